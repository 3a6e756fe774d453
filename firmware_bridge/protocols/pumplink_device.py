"""The pump's end of `pumplink/1` (the bridge, for its controller): sans-I/O, takes ``now``.

::

    session = DeviceSession(identity)          # or DeviceSession(); session.introduce(identity) later
    for command in session.receive(data, now): # each command once, however often it was sent
        ...                                    # Hello (a new link has begun: close the gate), Arm, ...
    session.answer(Result(...) | Snapshot(...))
    session.event(EventKind.ALARM_RAISED, bit_index, uptime, now)
    transport.write(session.outgoing())        # after every call above
    session.wake_at() -> float | None          # then call session.on_timer(now)

HELLO, TIMESYNC and COUNTERS are answered here.  LEASE, SNAPSHOT_REQ, ALARM_ACK and ESTOP are to be
answered with a `Snapshot`, every command with an id by `Result`s: none, one or several that say
accepted or in progress, and one that ends it.  An `Estop` is handed up every time it arrives, from
anybody, before HELLO too.  One session serves one connection; a new link id replaces the old link.

Not answerable for what a command means, for the gate, the lease or the latch: those are the bridge's.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from firmware_bridge.messages import (
    AlarmAck,
    Capability,
    Code,
    Command,
    Counters,
    Ending,
    Estop,
    Event,
    EventKind,
    Hello,
    HelloAck,
    Lease,
    Message,
    Result,
    Snapshot,
    SnapshotRequest,
    Stop,
    TimeSync,
)
from firmware_bridge.protocols.pumplink import SCHEMA_HASH, VERSION, Header
from firmware_bridge.protocols.pumplink_endpoint import Endpoint, Numbered
from firmware_bridge.quantities import Duration, Rate, Volume

REMEMBERED = 32
"""Results kept for duplicates.  Window 1 and 3 retries need one; the rest is for hosts without them."""

EVENT_REPEAT_S = 1.0
"""An alarm is repeated every second until acknowledged (PROTOCOL.md, "Alarms")."""

_NOTHING = (Rate(0), Volume(0))
_NOBODY = HelloAck(
    version=0,
    schema_hash=SCHEMA_HASH,
    boot_id=0,
    firmware="",
    serial_number="",
    capabilities=Capability.NONE,
    rate_min=Rate(0),
    rate_max=Rate(0),
    volume_step=Volume(0),
    lease_min=Duration(0),
    lease_max=Duration(0),
)


@dataclass(slots=True)
class _Remembered:
    """A command that was handed up, and the last that was said about it."""

    command: Numbered
    result: Result


@dataclass(slots=True)
class _Unacknowledged:
    """An alarm event that goes on being said."""

    event: Event
    due: float


class DeviceSession:
    """Hands every command up once, and says again what a duplicate asks for."""

    def __init__(
        self,
        identity: HelloAck | None = None,
        *,
        schema_hash: int = SCHEMA_HASH,
        event_repeat_s: float = EVENT_REPEAT_S,
    ) -> None:
        self._identity = identity
        self._schema_hash = schema_hash
        self._event_repeat_s = event_repeat_s
        self._end = Endpoint(0, schema_hash)
        self._open = False
        self._hello_waits = False
        self._remembered: OrderedDict[int, _Remembered] = OrderedDict()
        self._highest_id = -1
        self._event_seq = 0
        self._alarms: dict[int, _Unacknowledged] = {}

    # --- what the owner calls ---------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether a host with the same page has said HELLO."""
        return self._open

    @property
    def counters(self) -> Counters:
        """The health of this end of the link."""
        return self._end.counters()

    def introduce(self, identity: HelloAck) -> None:
        """From now on HELLO is answered with ``identity``; one that is waiting is answered at once.

        ``version`` and ``schema_hash`` of it are filled in here.
        """
        self._identity = identity
        if self._hello_waits:
            self._accept(identity)

    def receive(self, data: bytes, now: float) -> list[Command]:
        """The commands in ``data`` that were not handed up before.  Never raises."""
        commands: list[Command] = []
        for header, message in self._end.decoder.feed(data):
            command = self._heard(header, message, now)
            if command is not None:
                commands.append(command)
        return commands

    def answer(self, message: Result | Snapshot) -> None:
        """Send the answer; a result is kept for duplicates of its command.

        A result of a command that nobody on this link gave is dropped: it would be taken for the
        answer to another host's command.
        """
        if isinstance(message, Result):
            remembered = self._remembered.get(message.command_id)
            if remembered is None:
                return
            remembered.result = message
        self._end.send(message)

    def event(self, kind: EventKind, id: int, uptime: Duration, now: float) -> None:  # noqa: A002 - the field's name
        """Say that something happened; a raised alarm is said every second until acknowledged.

        Without a link an alarm waits for one, and anything else is left to the next snapshot.
        """
        event = Event(self._event_seq, kind, id, uptime)
        self._event_seq = (self._event_seq + 1) & 0xFFFF
        if kind is EventKind.ALARM_RAISED:
            self._alarms[id] = _Unacknowledged(event, now + self._event_repeat_s)
        elif kind is EventKind.ALARM_CLEARED:
            self._alarms.pop(id, None)
        if self._open:
            self._end.send(event)

    def outgoing(self) -> bytes:
        """The bytes to write now; whole frames."""
        return self._end.take()

    def wake_at(self) -> float | None:
        """When `on_timer` has something to do."""
        if not self._open or not self._alarms:
            return None
        return min(alarm.due for alarm in self._alarms.values())

    def on_timer(self, now: float) -> None:
        """Say the alarms again whose second is over."""
        if not self._open:
            return
        for alarm in self._alarms.values():
            if alarm.due <= now:
                alarm.due = now + self._event_repeat_s
                self._end.send(alarm.event)

    # --- what the host said -----------------------------------------------------------------------

    def _heard(self, header: Header, message: Message, now: float) -> Command | None:
        if isinstance(message, Estop):
            return message
        if isinstance(message, Hello):
            return self._greeted(header, message, now)
        if not self._open or header.link_id != self._end.link_id:
            return None
        repeated = self._end.seen_before(header.seq)
        if isinstance(message, Numbered):
            return self._commanded(message)
        if repeated:
            self._end.duplicates += 1
            return None
        return self._asked(message, now)

    def _greeted(self, header: Header, hello: Hello, now: float) -> Hello | None:
        if header.link_id == 0:  # what frames without a link carry
            return None
        if not self._understands(hello):
            self._begin_link(header, now)
            identity = self._identity or _NOBODY
            self._end.send(replace(identity, version=0, schema_hash=self._schema_hash))
            return None
        if header.link_id == self._end.link_id and (self._open or self._hello_waits):
            self._end.duplicates += 1
            if self._identity is not None:
                self._accept(self._identity)
            return None
        self._begin_link(header, now)
        self._hello_waits = True
        if self._identity is not None:
            self._accept(self._identity)
        return hello

    def _understands(self, hello: Hello) -> bool:
        same_page = hello.schema_hash == self._schema_hash
        return same_page and hello.version_min <= VERSION <= hello.version_max

    def _begin_link(self, header: Header, now: float) -> None:
        """The old link, if any, is over; the new one is not open yet."""
        self._open = self._hello_waits = False
        self._remembered.clear()
        self._highest_id = -1
        self._end.link_id = header.link_id
        self._end.forget_peer()
        self._end.seen_before(header.seq)
        for alarm in self._alarms.values():
            alarm.due = now

    def _accept(self, identity: HelloAck) -> None:
        self._open, self._hello_waits = True, False
        self._end.send(replace(identity, version=VERSION, schema_hash=self._schema_hash))

    def _commanded(self, command: Numbered) -> Numbered | None:
        """The command, if it was not handed up before; otherwise its duplicate is answered here."""
        known = self._remembered.get(command.command_id)
        if known is not None and known.command == command:
            self._end.duplicates += 1
            self._end.send(known.result)
            return None
        if isinstance(command, Stop):  # obeyed even where its id is wrong
            wrong = ""
        elif known is not None:
            wrong = "is that of another command"
        else:
            newest = self._highest_id
            wrong = "" if command.command_id > newest else f"is not above {newest}"
        if wrong:
            self._refuse(command.command_id, wrong)
            return None
        self._remember(command)
        return command

    def _refuse(self, command_id: int, wrong: str) -> None:
        reason = f"command id {command_id} {wrong}; ids only rise"
        self._end.send(
            Result(command_id, Ending.REFUSED, Code.BAD_ARGUMENT, *_NOTHING, reason=reason)
        )

    def _remember(self, command: Numbered) -> None:
        so_far = Result(command.command_id, Ending.IN_PROGRESS, Code.OK, *_NOTHING)
        self._remembered[command.command_id] = _Remembered(command, so_far)
        self._highest_id = max(self._highest_id, command.command_id)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    def _asked(self, message: Message, now: float) -> Command | None:
        if isinstance(message, Lease | SnapshotRequest):
            return message
        if isinstance(message, AlarmAck):
            for bit in [bit for bit in self._alarms if message.alarms >> bit & 1]:
                del self._alarms[bit]
            return message
        if isinstance(message, TimeSync):
            self._end.send(TimeSync(message.t_host_us, round(now * 1_000_000)))
        elif isinstance(message, Counters):
            self._end.send(self._end.counters())
        return None  # anything else is a pump's message: an echo of our own bytes
