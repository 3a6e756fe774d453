"""The way out to dashboards, as the runner sees it, and the ways that need no network.

A publisher takes messages synchronously, never blocks and holds a bounded amount.  Samples may be
lost; retained states are re-sent from the last value; events are not handed over at all: they are
taken from the session log by a cursor, so that a broken broker loses none of them.

What comes in is one thing: a stop.  Every live message on the stop topic is obeyed, whatever is in it;
a retained one was left there by somebody earlier and is ignored aloud.  Not answerable for MQTT
(`controller.mqtt`) nor for payloads (`controller.telemetry`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from controller.log_format import Record, Stamp
from controller.telemetry import Message, Telemetry

BACKFILL_MAX = 10_000
"""Events sent after a time without a broker: hours of a visit.  Older ones are named in one gap event."""

BATCH = 100
"""Events read from the log at a time."""

OnStop = Callable[[bytes], None]
"""Told the body of a stop, at once and from any thread.  Must stop first and must not raise."""

OnOdd = Callable[[str], None]
"""Told what a person should know and nobody need act on: low priority.  From any thread."""


class BrokerUnreachable(ConnectionError):
    """The broker could not be reached, or turned us away; the sentence names it and says why."""


class EventSource(Protocol):
    """Where events come from: a session log.  Both may be asked from any thread."""

    @property
    def readable_seq(self) -> int:
        """The ``seq`` of the newest record that can be read; -1 when there is none."""

    def records_after(self, seq: int, limit: int) -> list[Record]:
        """Up to ``limit`` records after ``seq``, oldest first.  Raises `OSError`."""


class Publisher(Protocol):
    """Where messages go.  Everything but `start` and `close` may be called from any thread."""

    @property
    def connected(self) -> bool:
        """Whether messages reach a broker at this moment."""

    @property
    def dropped(self) -> int:
        """How many samples were replaced by newer ones, or lost, before they could be sent."""

    def follow(self, source: EventSource) -> None:
        """Publish the events of ``source`` from its first on."""

    async def start(self, timeout_s: float) -> None:
        """Connected when it returns.  Raises `BrokerUnreachable` within ``timeout_s`` wall seconds."""

    def publish(self, message: Message) -> None:
        """Hand over one message.  Never blocks, never raises."""

    def log_advanced(self) -> None:
        """The source has new records; give it to the log as its ``on_written``."""

    async def close(self) -> None:
        """Say ``offline`` and leave, within a bounded time.  Idempotent."""


@dataclass(slots=True)
class EventCursor:
    """How far the events of a log have been published, and which of them are late.

    ``late_until`` is the newest record at the moment of (re)connecting: what is up to it was missed.
    """

    source: EventSource
    telemetry: Telemetry
    seq: int = -1
    late_until: int = -1

    def connected(self) -> list[tuple[int, Message]]:
        """Marks what is missing as late; a gap in place of the oldest when too much is missing."""
        self.late_until = self.source.readable_seq
        first, last = self.seq + 1, self.late_until - BACKFILL_MAX
        if last < first:
            return []
        skipped = self.source.records_after(last - 1, 1)[0]
        stamp = Stamp(int(skipped["ts"]), int(skipped["mono"]))
        return [(last, self.telemetry.gap(stamp, first, last))]

    def next(self) -> list[tuple[int, Message]]:
        """The next few events with their numbers; set ``seq`` to each when it has gone out."""
        numbered = ((int(r["seq"]), r) for r in self.source.records_after(self.seq, BATCH))
        return [(seq, self.telemetry.event(r, late=seq <= self.late_until)) for seq, r in numbered]


ODD_STOP = "remote stop"
"""How every sentence begins that says what was odd about a stop."""


def obey(payload: bytes, *, retained: bool, on_estop: OnStop, on_odd: OnOdd) -> None:
    """Passes on a message of the stop topic.  Whoever handles it may fail; the next one is heard."""
    if retained:
        on_odd(f"{ODD_STOP}: a retained one was ignored, left on the broker by somebody earlier")
        return
    try:
        on_estop(payload)
    except Exception as error:  # noqa: BLE001  # the next stop must still be heard
        on_odd(f"{ODD_STOP}: its handler failed: {error!r}")


class NullPublisher:
    """For ``off``: takes everything and sends nothing."""

    connected = False
    dropped = 0

    def follow(self, source: EventSource) -> None:
        """Nothing is published."""

    async def start(self, timeout_s: float) -> None:
        """There is nothing to reach."""

    def publish(self, message: Message) -> None:
        """Nothing is published."""

    def log_advanced(self) -> None:
        """Nothing is published."""

    async def close(self) -> None:
        """There is nothing to leave."""


class MemoryBus:
    """A broker as a plain object, for virtual time: one publisher, any number of subscribers.

    Delivery is synchronous.  `cut` and `mend` are the broker dying and coming back.
    """

    def __init__(
        self, telemetry: Telemetry, *, on_estop: OnStop, on_odd: OnOdd = lambda _: None
    ) -> None:
        self._telemetry = telemetry
        self._on_estop = on_estop
        self._on_odd = on_odd
        self._subscribers: list[Callable[[Message], None]] = []
        self._cursor: EventCursor | None = None
        self._own: dict[str, Message] = {}  # our retained states, to be sent again after a cut
        self.retained: dict[str, Message] = {}
        self.counts: Counter[str] = Counter()
        self.connected = False
        self.dropped = 0

    def follow(self, source: EventSource) -> None:
        self._cursor = EventCursor(source, self._telemetry)

    async def start(self, timeout_s: float) -> None:  # nothing to wait for
        self.mend()

    def publish(self, message: Message) -> None:
        if message.retain:
            self._own[message.topic] = message
        if self.connected:
            self._deliver(message)
        elif not message.retain:
            self.dropped += 1

    def log_advanced(self) -> None:
        if self.connected and self._subscribers:  # making messages for nobody would only cost time
            self._send_events()

    async def close(self) -> None:
        if self.connected:
            self.log_advanced()
            self._deliver(self._telemetry.availability(online=False))
            self.connected = False

    def subscribe(self, callback: Callable[[Message], None]) -> None:
        """Call ``callback`` with every retained message now, and with every message from now on."""
        if not self._subscribers and self.connected and self._cursor is not None:
            self._cursor.seq = self._cursor.source.readable_seq
        self._subscribers.append(callback)
        for message in list(self.retained.values()):
            callback(message)

    def inject(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """A message from somebody else; only one on the stop topic of this device has an effect."""
        if self.connected and topic == self._telemetry.estop_topic:
            obey(payload, retained=retained, on_estop=self._on_estop, on_odd=self._on_odd)

    def cut(self) -> None:
        """The connection is gone; the broker says ``offline`` for us."""
        if self.connected:
            self.connected = False
            self._deliver(self._telemetry.availability(online=False))

    def mend(self) -> None:
        """The connection is back: states are sent again, then the events that were missed."""
        self.connected = True
        self._deliver(self._telemetry.availability(online=True))
        for message in list(self._own.values()):
            self._deliver(message)
        if self._cursor is not None and self._subscribers:
            for seq, gap in self._cursor.connected():
                self._cursor.seq = seq
                self._deliver(gap)
            self._send_events()

    def _send_events(self) -> None:
        cursor = self._cursor
        while cursor is not None and (batch := cursor.next()):
            for seq, message in batch:
                if seq > cursor.seq:  # a subscriber may have logged something, and come here first
                    cursor.seq = seq
                    self._deliver(message)

    def _deliver(self, message: Message) -> None:
        self.counts[message.topic] += 1
        if message.retain:
            if message.payload:
                self.retained[message.topic] = message
            else:
                self.retained.pop(message.topic, None)
                self._own.pop(message.topic, None)
        for callback in self._subscribers:
            callback(message)
