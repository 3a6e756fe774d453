"""Single exchanges with a microcontroller that speaks `pumplink/1`, as steps of a program.

Answerable for one link: its id, its command ids, repetitions of commands by `HostSession`, and of
questions by asking anew; for alarms that the pump tells of unasked.  Not answerable for what is asked
when (`pumplink_dialect`).  Pure: it is told the time before each step.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from itertools import count
from math import ceil
from typing import TypeVar

from firmware_bridge.dialect import Ask, Frame, Listen, Program
from firmware_bridge.errors import NoAnswer, ProtocolError
from firmware_bridge.messages import (
    AlarmAck,
    Answer,
    Ending,
    Event,
    EventKind,
    HelloAck,
    PumpAlarm,
    Result,
    Sensors,
    SensorsRequest,
    Snapshot,
    SnapshotRequest,
    TimeSync,
)
from firmware_bridge.protocols.pumplink_endpoint import Numbered
from firmware_bridge.protocols.pumplink_host import (
    Heard,
    HostSession,
    LinkQuiet,
    ProtocolMismatch,
    Silence,
)
from firmware_bridge.protocols.pumplink_timing import Timing
from firmware_bridge.quantities import Duration

QUESTIONS = 4
"""So often a question is asked before nobody answers; each waits twice as long as the one before."""

_LINKS = 0xFFFF
_ALARM_BITS = 32
_MS = 1_000
_PATIENCE_S = 60.0
"""No command is under way for longer; the longest is a self-test, which lasts a lease."""

_FINAL = (Ending.DONE, Ending.REFUSED, Ending.UNCERTAIN)
A = TypeVar("A", Snapshot, Sensors, TimeSync)


class Said(Frame):
    """A frame that was understood."""

    __slots__ = ("answer",)

    answer: Answer

    def __init__(self, raw: bytes, answer: Answer) -> None:
        super().__init__(raw, _told(answer))
        object.__setattr__(self, "answer", answer)


class Wire:
    """One port.  A link is opened by `greet`; before, nothing but `stop_frame` can be said."""

    def __init__(self, port: str, within: Duration) -> None:
        """``within``: how long an answer is waited for on a line of which nothing is known yet, halved.

        PROTOCOL.md's bounds (first 1 s, then 0.1 to 5 s) belong to half a second; a clock that is
        stretched stretches them all.
        """
        self.port = port
        self.now = 0.0
        self.told = PumpAlarm.NONE
        """Alarms the pump told of that no reading has carried."""
        self._timing = Timing(
            answer_s=4 * within.s,
            retry_first_s=2 * within.s,
            retry_min_s=within.s / 5,
            retry_max_s=10 * within.s,
        )
        self._session: HostSession | None = None
        self._ids: Iterator[int] = count(1)
        self._links: Iterator[int] = count()
        self._unwritten = b""
        """The last `stop_frame`, for the program that goes on from there."""

    # --- bytes ------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Frame]:
        """What was said that is new.  Never raises."""
        self.now = now
        session = self._session
        if session is None:
            return []
        frames: list[Frame] = []
        for heard in session.receive(data, now):
            if isinstance(heard, Event) and heard.kind is EventKind.ALARM_RAISED:
                self.told |= _bit(heard.id)
            if isinstance(heard, ProtocolMismatch):
                frames.append(Frame(data, f"HELLO_ACK version {heard.version}"))
            elif not isinstance(heard, Silence | LinkQuiet):
                frames.append(Said(data, heard))
        return frames

    @property
    def is_open(self) -> bool:
        """Whether the pump has answered HELLO."""
        return self._session is not None and self._session.is_open

    # --- stopping ---------------------------------------------------------------------------------

    def stop_frame(self) -> bytes:
        """STOP on the open link; without one a HELLO on a fresh link, which ends whatever another began."""
        session = self._session
        if session is not None and session.is_open:
            self._unwritten = session.stop_frame(next(self._ids))
        else:
            self._unwritten = b"\0" + self._fresh().outgoing()
        return self._unwritten

    def stop(self) -> Program[bool]:
        """One STOP; whether the pump confirmed it.  The one that `stop_frame` made last counts."""
        session = self._session
        frame = self._unwritten or self.stop_frame()
        self._unwritten = b""
        if session is None or session is not self._session or not session.is_open:
            yield from self._greeted(frame)
            return False
        session.step_aside(self.now)
        return (yield from self._answered(frame, _is_done, session.patience_s)) is not None

    # --- the link ---------------------------------------------------------------------------------

    def _fresh(self) -> HostSession:
        """A new link with an id that no other is likely to have; its HELLO waits to be sent."""
        chance = zlib.crc32(f"{self.port} {self.now!r} {next(self._links)}".encode())
        session = HostSession(1 + chance % _LINKS, reliable=True, timing=self._timing)
        self._session, self._ids = session, count(1)
        session.hello(self.now)
        return session

    def greet(self) -> Program[HelloAck]:
        """A new link is open, and whatever an older one had begun is stopped.  Raises `NoAnswer`.

        Raises `ProtocolError` for a pump that was built from another page.
        """
        frame = b"\0" + self._fresh().outgoing()
        return (yield from self._greeted(frame))

    def greet_again(self) -> Program[HelloAck]:
        """A pump that has forgotten the link opens it again; one that has not does nothing.

        Raises as `greet` does.
        """
        session = self._open_session()
        session.hello(self.now)
        return (yield from self._greeted(b"\0" + session.outgoing()))

    def _greeted(self, frame: bytes) -> Program[HelloAck]:
        began = self.now

        def ends(heard: Heard) -> bool:
            if isinstance(heard, LinkQuiet):
                return heard.since >= began  # and not of a question before this
            return isinstance(heard, HelloAck | ProtocolMismatch)

        heard = yield from self._until(ends, frame)
        if isinstance(heard, HelloAck):
            return heard
        if isinstance(heard, ProtocolMismatch):
            raise ProtocolError(
                f"the pump was built from another page of pumplink/1: it has the schema hash "
                f"{heard.schema_hash:08X}",
                request=frame,
            )
        raise NoAnswer(self.port, "no answer to HELLO")

    def _open_session(self) -> HostSession:
        if self._session is None:
            raise NoAnswer(self.port, "no link to the pump is open")
        return self._session

    # --- commands and questions -------------------------------------------------------------------

    def command_id(self) -> int:
        """The next one of this link."""
        return next(self._ids)

    def command(self, message: Numbered) -> Program[Result]:
        """How it ended.  Raises `NoAnswer` where nobody knows."""
        session = self._open_session()
        session.command(message, self.now)
        command_id = message.command_id

        def ends(heard: Heard) -> bool:
            if isinstance(heard, Result):
                return heard.command_id == command_id and heard.ending in _FINAL
            return isinstance(heard, Silence) and heard.command_id == command_id

        heard = yield from self._until(ends)
        if isinstance(heard, Result):
            return heard
        raise NoAnswer(self.port, f"no answer to {type(message).__name__}")

    def _until(self, ends: Callable[[Heard], bool], first: bytes = b"") -> Program[Heard | None]:
        """The session repeats what may be repeated until it has heard this; ``None``: given up."""
        session, give_up = self._open_session(), self.now + _PATIENCE_S
        outgoing = first or session.outgoing()
        while self.now < give_up:
            wake = session.wake_at()
            wait = _at_least(0.0 if wake is None else wake - self.now)
            frame = yield Ask(outgoing, wait) if outgoing else Listen(wait)
            heard = session.on_timer(self.now) if frame is None else _meaning(frame, session)
            for each in heard:
                if ends(each):
                    return each
            outgoing = session.outgoing()
        return None

    def snapshot(self, *, tries: int = QUESTIONS) -> Program[Snapshot]:
        """One consistent state, without renewing anything.  Raises `NoAnswer`."""
        return (
            yield from self._asked(Snapshot, lambda s: s.ask(SnapshotRequest(), self.now), tries)
        )

    def acknowledge(self, alarms: PumpAlarm) -> Program[Snapshot]:
        """What the pump shows once it knows that these were seen.  Raises `NoAnswer`."""
        return (yield from self._asked(Snapshot, lambda s: s.ask(AlarmAck(alarms), self.now)))

    def sensors(self) -> Program[Sensors]:
        """What every sensor shows.  Raises `NoAnswer`."""
        return (yield from self._asked(Sensors, lambda s: s.ask(SensorsRequest(), self.now)))

    def clocks(self) -> Program[TimeSync]:
        """Both clocks side by side.  Raises `NoAnswer`."""
        return (yield from self._asked(TimeSync, lambda s: s.timesync(self.now)))

    def renew(self, lease: Duration, shortest: Duration) -> Program[Snapshot]:
        """The pump may go on for ``lease`` from when this was begun, however often it has to be said.

        Raises `NoAnswer`.
        """
        began = self.now

        def say(session: HostSession) -> None:
            over = Duration(round((self.now - began) * _MS))
            session.lease(max(shortest, Duration(max(0, lease.ms - over.ms))), self.now)

        return (yield from self._asked(Snapshot, say))

    def _asked(
        self, kind: type[A], say: Callable[[HostSession], None], tries: int = QUESTIONS
    ) -> Program[A]:
        session = self._open_session()
        for turn in range(tries):
            say(session)
            patience_s = min(session.patience_s * 2**turn, self._timing.retry_max_s)
            heard = yield from self._answered(
                session.outgoing(), lambda each: isinstance(each, kind), patience_s
            )
            if isinstance(heard, kind):
                return heard
        raise NoAnswer(self.port, f"no {kind.__name__} in {tries} tries")

    def _answered(
        self, outgoing: bytes, fits: Callable[[Answer], bool], patience_s: float
    ) -> Program[Answer | None]:
        """Sent once; the first answer that fits, within so long."""
        deadline = self.now + patience_s
        frame = yield Ask(outgoing, _at_least(patience_s))
        while frame is not None:
            if isinstance(frame, Said) and fits(frame.answer):
                return frame.answer
            if self.now >= deadline:
                return None
            frame = yield Listen(_at_least(deadline - self.now))
        return None


def _at_least(seconds: float) -> Duration:
    """In whole milliseconds, rounded up, and one at least."""
    return Duration(max(1, ceil(seconds * _MS)))


def _meaning(frame: Frame, session: HostSession) -> list[Heard]:
    if isinstance(frame, Said):
        return [frame.answer]
    return [] if session.is_open else [ProtocolMismatch(0, 0)]


def _is_done(answer: Answer) -> bool:
    return isinstance(answer, Result) and answer.ending is Ending.DONE


def _bit(number: int) -> PumpAlarm:
    """The alarm of this number; there is room for 32."""
    return PumpAlarm(1 << number) if number < _ALARM_BITS else PumpAlarm.INTERNAL_FAULT


def _told(answer: Answer) -> str:
    if isinstance(answer, Event) and answer.kind is not EventKind.STATE:
        return f"{answer.kind.name} {_bit(answer.id).name or answer.id}"
    return type(answer).__name__
