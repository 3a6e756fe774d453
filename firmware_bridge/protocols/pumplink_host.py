"""The host's end of `pumplink/1` (the controller, for its bridge): sans-I/O, takes ``now``.

::

    session = HostSession(link_id)               # a fresh random u16, 1..65535, for every connection
    session.hello(now)                           # until HelloAck or ProtocolMismatch is heard
    session.command(Run(command_id, ...), now)   # anything with an id; ids are the caller's and rise
    session.ask(SnapshotRequest() | AlarmAck(...), now)
    session.lease(Duration(3000), now)           # only ever from the task that supervises
    session.estop(now)                           # in every state; the caller may also write ESTOP_FRAME
    for heard in session.receive(data, now): ... # answers, and what became of commands
    transport.write(session.outgoing())          # after every call
    session.wake_at() -> float | None            # then: for heard in session.on_timer(now): ...

Every command ends with a final `Result` (done, refused, uncertain) or with a `Silence`.  After a
silence the command is uncertain unless it was never sent; it is not given again, the pump is asked
what it delivered.  A result that comes after the silence is still handed up, once.

On a local stream nothing is ever sent twice.  With ``reliable=True``, towards a microcontroller over
a cable, a command whose result does not come is repeated, at most three times, byte for byte the same
but for the acknowledgement; one is under way at a time and the others wait, except STOP.  A lease is
never repeated: only its owner may renew it.

Not answerable for what the answers mean, nor for ids: those are the runner's.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass

from firmware_bridge.errors import ConfigurationError, LinkError
from firmware_bridge.messages import (
    AlarmAck,
    Answer,
    Counters,
    Ending,
    Event,
    EventKind,
    Hello,
    HelloAck,
    Lease,
    PumpAlarm,
    PumpState,
    Result,
    Sensors,
    SensorsRequest,
    Snapshot,
    SnapshotRequest,
    Stop,
    TimeSync,
)
from firmware_bridge.protocols.pumplink import ESTOP_FRAME, SCHEMA_HASH, VERSION, Header, encode
from firmware_bridge.protocols.pumplink_endpoint import Endpoint, Numbered
from firmware_bridge.protocols.pumplink_timing import RoundTrip, Timing
from firmware_bridge.quantities import Duration

RETRIES = 3
WAITING_MAX = 32
"""Commands open at once.  A visit has one or two; more means that somebody does not wait for answers."""

_REMEMBERED = 32
_FINAL = frozenset({Ending.DONE, Ending.REFUSED, Ending.UNCERTAIN})
_STANDING = frozenset({PumpState.STOPPED, PumpState.COMPLETED, PumpState.ALARM})


@dataclass(frozen=True, slots=True)
class Silence:
    """The command's ending is unknown and it is not repeated; ``sent`` is false if it never left."""

    command_id: int
    sent: bool


@dataclass(frozen=True, slots=True)
class LinkQuiet:
    """A HELLO, a lease or a question was not answered in time; ``since`` is when it was sent."""

    since: float


@dataclass(frozen=True, slots=True)
class ProtocolMismatch:
    """The peer was built from another page.  From now on only `HostSession.estop` reaches it."""

    version: int
    schema_hash: int


Outcome = Silence | LinkQuiet | ProtocolMismatch
Heard = Answer | Outcome


@dataclass(slots=True)
class _Pending:
    """A HELLO or a command whose answer has not come."""

    message: Hello | Numbered
    seq: int
    sent_at: float
    due: float
    timeout: float
    tries_left: int
    repeatable: bool = True
    said: Result | None = None


@dataclass(slots=True)
class _Told:
    """An event that was handed up, and when its alarm was acknowledged."""

    event: Event
    acknowledged_at: float | None = None


class HostSession:
    """One link, from its HELLO to the loss of its connection; a new connection takes a new session."""

    def __init__(
        self,
        link_id: int,
        *,
        reliable: bool = False,
        timing: Timing = Timing(),
        schema_hash: int = SCHEMA_HASH,
    ) -> None:
        if not 0 <= link_id <= 0xFFFF:
            raise ConfigurationError(f"link id {link_id} is not in 0..65535")
        self._end = Endpoint(link_id, schema_hash)
        self._schema_hash = schema_hash
        self._reliable = reliable
        self._timing = timing
        self._round_trip = RoundTrip(timing)
        self._timed: tuple[int, float] | None = None
        self._is_open = False
        self._hello: _Pending | None = None
        self._open: dict[int, _Pending] = {}
        self._waiting: deque[Numbered] = deque()
        self._ended: deque[int] = deque(maxlen=_REMEMBERED)
        self._told: OrderedDict[int, _Told] = OrderedDict()
        self._asked_at: float | None = None
        self._estop_due: float | None = None
        self._never_sent: list[Silence] = []
        self._never_sent_at = 0.0
        self._clock_offset_s: float | None = None

    # --- what the caller knows --------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether a peer with the same page has answered HELLO."""
        return self._is_open

    @property
    def patience_s(self) -> float:
        """How long an answer may take, by what was seen of this line so far."""
        return self._round_trip.timeout if self._reliable else self._timing.answer_s

    @property
    def counters(self) -> Counters:
        """The health of this end of the link; `ask_counters` shows the other one's."""
        return self._end.counters()

    @property
    def clock_offset_s(self) -> float | None:
        """Pump clock minus host clock at the last TIMESYNC, good to half its round trip."""
        return self._clock_offset_s

    # --- what the caller says ---------------------------------------------------------------------

    def hello(self, now: float) -> None:
        """Ask who is there, perhaps again: a pump that was reset counts frames and events anew.

        Raises `ConfigurationError` on a session that only stops (link id 0).
        """
        if self._end.link_id == 0:
            raise ConfigurationError("link id 0 is for connections that only stop")
        self._end.forget_peer()
        self._told.clear()
        self._hello = self._send(Hello(VERSION, VERSION, self._schema_hash), now)

    def command(self, message: Numbered, now: float) -> None:
        """Give a command; its ending will be heard.

        A `Stop` goes out at once: what waits behind another command is dropped (`Silence`, not
        sent), and what went out before it is not repeated, lest it arrive after the stop.

        Raises `LinkError` without an open link or with too many commands open, and
        `ConfigurationError` for a number that does not fit or an id in use; nothing is then sent.
        """
        self._demand_open()
        if isinstance(message, Stop):
            self._stand_aside(now)
            self._open[message.command_id] = self._send(message, now)
            return
        command_id = message.command_id
        if command_id in self._open or any(w.command_id == command_id for w in self._waiting):
            raise ConfigurationError(f"command id {command_id} is already in use")
        if len(self._open) + len(self._waiting) >= WAITING_MAX:
            raise LinkError(
                "pumplink/1", f"{WAITING_MAX} commands are open; wait for their results"
            )
        if self._is_window_full():
            encode(Header(0, 0, 0), message)  # for the error, which must come now and not later
            self._waiting.append(message)
        else:
            self._open[command_id] = self._send(message, now)

    def lease(self, duration: Duration, now: float) -> None:
        """Renew the permission to deliver; a `Snapshot` or `LinkQuiet` will be heard.

        Raises `LinkError` without an open link.
        """
        self._demand_open()
        self._question(Lease(duration), now)

    def ask(self, question: SnapshotRequest | SensorsRequest | AlarmAck, now: float) -> None:
        """Ask, or acknowledge; a `Snapshot` (`Sensors`) or `LinkQuiet` will be heard.  Raises `LinkError`."""
        self._demand_open()
        self._question(question, now)
        if isinstance(question, AlarmAck):
            for told in self._told.values():
                if _is_about(told.event, question.alarms):
                    told.acknowledged_at = now

    def timesync(self, now: float) -> None:
        """Ask for the pump's clock; a `TimeSync` will be heard.  Raises `LinkError`."""
        self._demand_open()
        self._end.send(TimeSync(round(now * 1_000_000), 0))

    def ask_counters(self) -> None:
        """Show the peer our counters and ask for its own: a `Counters` will be heard."""
        self._demand_open()
        self._end.send(self._end.counters())

    def estop(self, now: float) -> None:
        """Stop, in place of everything not yet written, again and again until the pump shows it.

        Confirmed by a `Snapshot` that is latched and standing still.  Works without a link.
        """
        self._stand_aside(now)
        self._end.send_instead(ESTOP_FRAME)
        self._estop_due = now + self._timing.estop_repeat_s

    def stop_frame(self, command_id: int) -> bytes:
        """A STOP that the caller writes at once, past everything that waits here, as often as it likes.

        Behind a delimiter, which ends whatever was cut off.  Its id is used once and never again; its
        result is handed up.  `step_aside` follows, where the caller has time.
        """
        return b"\0" + self._end.frame(Stop(command_id))

    def step_aside(self, now: float) -> None:
        """A STOP was written: nothing given earlier goes out any more, and nobody waits for its ending."""
        self._end.take()
        self._stand_aside(now)
        self._open.clear()

    def outgoing(self) -> bytes:
        """The bytes to write now; whole frames."""
        return self._end.take()

    # --- time -------------------------------------------------------------------------------------

    def wake_at(self) -> float | None:
        """When `on_timer` has something to do or to tell."""
        times = [pending.due for pending in self._open.values()]
        if self._hello is not None:
            times.append(self._hello.due)
        if self._asked_at is not None:
            times.append(self._asked_at + self._timing.answer_s)
        if self._estop_due is not None:
            times.append(self._estop_due)
        if self._never_sent:
            times.append(self._never_sent_at)
        earliest = min(times, default=math.inf)
        return None if earliest == math.inf else earliest

    def on_timer(self, now: float) -> list[Heard]:
        """Repeat what may be repeated; tell what nobody answered."""
        heard: list[Heard] = [*self._never_sent]
        self._never_sent.clear()
        if self._estop_due is not None and self._estop_due <= now:
            self._end.repeat(ESTOP_FRAME)
            self._estop_due = now + self._timing.estop_repeat_s
        if self._hello is not None and self._hello.due <= now and not self._again(self._hello, now):
            self._hello.due = math.inf  # a late answer is still welcome
            heard.append(LinkQuiet(self._hello.sent_at))
        if self._asked_at is not None and self._asked_at + self._timing.answer_s <= now:
            heard.append(LinkQuiet(self._asked_at))
            self._asked_at = None
        for command_id, pending in list(self._open.items()):
            if pending.due <= now and not self._again(pending, now):
                del self._open[command_id]
                heard.append(Silence(command_id, sent=True))
        self._admit(now)
        return heard

    def _again(self, pending: _Pending, now: float) -> bool:
        """Whether ``pending`` could be sent once more; its patience doubles each time."""
        if not pending.repeatable or pending.tries_left == 0:
            return False
        self._end.send(pending.message, pending.seq)
        if self._timed is not None and self._timed[0] == pending.seq:
            self._timed = None
        pending.tries_left -= 1
        pending.timeout = min(2 * pending.timeout, self._timing.retry_max_s)
        pending.due = now + pending.timeout
        return True

    # --- what the pump says -----------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Heard]:
        """What is new in ``data``: answers, events, and what became of commands.  Never raises."""
        heard: list[Heard] = []
        for header, message in self._end.decoder.feed(data):
            if header.link_id != self._end.link_id or not isinstance(message, Answer):
                continue
            if self._end.seen_before(header.seq):
                self._end.duplicates += 1
                continue
            if self._timed is not None and self._timed[0] == header.ack:
                self._round_trip.measured(now - self._timed[1])
                self._timed = None
            new = self._heard(message, now)
            if new is not None:
                heard.append(new)
        return heard

    def _heard(self, answer: Answer, now: float) -> Heard | None:
        """What of ``answer`` is new to the caller: clocks, counters and snapshots always are."""
        if isinstance(answer, Sensors):
            self._asked_at = None
        elif isinstance(answer, Snapshot):
            self._asked_at = None
            if self._estop_due is not None and _shows_stopped(answer):
                self._estop_due = None
        elif isinstance(answer, Result):
            return self._result(answer, now)
        elif isinstance(answer, Event):
            return self._event(answer, now)
        elif isinstance(answer, HelloAck):
            return self._greeted(answer)
        elif isinstance(answer, TimeSync):
            middle_us = (answer.t_host_us + now * 1_000_000) / 2
            self._clock_offset_s = (answer.t_pump_us - middle_us) / 1_000_000
        return answer

    def _greeted(self, ack: HelloAck) -> Heard | None:
        if self._hello is None:
            self._end.duplicates += 1
            return None
        self._hello = None
        if ack.version != VERSION or ack.schema_hash != self._schema_hash:
            self._is_open = False
            return ProtocolMismatch(ack.version, ack.schema_hash)
        self._is_open = True
        return ack

    def _result(self, result: Result, now: float) -> Result | None:
        pending = self._open.get(result.command_id)
        if pending is None:
            if result.command_id in self._ended:
                self._end.duplicates += 1
                return None
        elif result.ending not in _FINAL:
            return self._stands(pending, result, now)
        if result.ending in _FINAL:
            self._open.pop(result.command_id, None)
            self._ended.append(result.command_id)
            self._admit(now)
        return result

    def _stands(self, pending: _Pending, result: Result, now: float) -> Result | None:
        """The command is under way.  Over a cable its ending can be lost, so it is asked for."""
        new = result != pending.said
        self._end.duplicates += not new
        pending.said = result
        pending.timeout = self._timing.answer_s
        pending.due = now + pending.timeout if self._reliable else math.inf
        pending.tries_left = RETRIES
        self._admit(now)
        return result if new else None

    def _event(self, event: Event, now: float) -> Event | None:
        told = self._told.get(event.event_seq)
        if told is None:
            self._told[event.event_seq] = _Told(event)
            if len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
            return event
        self._end.duplicates += 1
        self._told.move_to_end(event.event_seq)
        acknowledged_at = told.acknowledged_at
        # One that crossed our acknowledgement is no reason to repeat it; one much later is.
        if (
            self._reliable
            and acknowledged_at is not None
            and now - acknowledged_at > self._round_trip.timeout
        ):
            self._question(AlarmAck(PumpAlarm(1 << event.id)), now)
            told.acknowledged_at = now
        return None

    # --- small tools ------------------------------------------------------------------------------

    def _demand_open(self) -> None:
        if not self._is_open:
            raise LinkError(
                "pumplink/1", "no link: HELLO has not been answered by this protocol page"
            )

    def _send(self, message: Hello | Numbered, now: float) -> _Pending:
        seq = self._end.send(message)
        self._timed = (seq, now)
        wait = self._round_trip.timeout if self._reliable else self._timing.answer_s
        tries = RETRIES if self._reliable else 0
        return _Pending(message, seq, now, now + wait, wait, tries)

    def _question(
        self, question: Lease | SnapshotRequest | SensorsRequest | AlarmAck, now: float
    ) -> None:
        seq = self._end.send(question)
        self._timed = (seq, now)
        if self._asked_at is None:
            self._asked_at = now

    def _is_window_full(self) -> bool:
        return self._reliable and any(pending.said is None for pending in self._open.values())

    def _admit(self, now: float) -> None:
        """Send what waits, once the command before it has been heard of."""
        while self._waiting and not self._is_window_full():
            command = self._waiting.popleft()
            self._open[command.command_id] = self._send(command, now)

    def _stand_aside(self, now: float) -> None:
        """Nothing given earlier may reach the pump after a stop that is about to be sent."""
        for pending in self._open.values():
            pending.repeatable = False
        self._never_sent += [Silence(w.command_id, sent=False) for w in self._waiting]
        self._never_sent_at = now
        self._waiting.clear()


def _shows_stopped(snapshot: Snapshot) -> bool:
    latched = PumpAlarm.ESTOP_LATCHED in snapshot.alarms
    confirmed = PumpAlarm.STOP_UNCONFIRMED not in snapshot.alarms
    return latched and confirmed and snapshot.state in _STANDING


def _is_about(event: Event, alarms: PumpAlarm) -> bool:
    return event.kind is EventKind.ALARM_RAISED and bool(alarms >> event.id & 1)
