"""One program at a time over one wire: which step is waited for, and until when.

Answerable for the order of things: a step is sent, its answer or its time-out goes back into the
program, the program says what is next.  Pure: takes ``now``, returns the bytes to send and keeps
`wake_at`.  The shell (`link`) owns transport, timer and callers.

An answer is only ever something that arrived *after* its request was sent: what came before, what comes
in a silence, and what the pump says with nobody asking, is unsolicited.  Which of the later frames is
the answer, the program decides by content, and it can go on listening.  So a late answer can reach a
later request only by looking exactly like its own; dialects guard against that (see
`protocols.new_era_wire`).
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.dialect import Ask, Frame, HostDialect, Program, SelfAnswering, Step, Timed
from firmware_bridge.errors import LinkError

_EARLY_S = 0.001
"""Timers of an event loop may fire early by its clock's resolution."""


class PushedAside(LinkError):
    """A STOP came first.  What was under way is given up, and what waited was never sent."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: with a value, or with an error."""

    value: object = None
    error: Exception | None = None


class Conversation:
    """The state of the one program under way, if any."""

    def __init__(self, dialect: HostDialect) -> None:
        self._dialect = dialect
        self._answers_itself = dialect if isinstance(dialect, SelfAnswering) else None
        self._timed = dialect if isinstance(dialect, Timed) else None
        self._program: Program[object] | None = None
        self._step: Step | None = None
        self._deadline: float | None = None
        self._hushed = False
        self.ended: Ended | None = None
        """Set when the program has ended; the shell takes it by `take_ended`."""
        self.unsolicited: list[Frame] = []
        """Frames that answered nothing; the shell takes them away."""

    @property
    def busy(self) -> bool:
        """Whether a program is under way."""
        return self._program is not None

    def wake_at(self) -> float | None:
        """When `on_timer` wants to be called, if at all."""
        discard_at = self._dialect.discard_at()
        if self._deadline is None or (discard_at is not None and discard_at < self._deadline):
            return discard_at
        return self._deadline

    def take_ended(self) -> Ended | None:
        """The ending, once."""
        ended, self.ended = self.ended, None
        return ended

    def begin(self, program: Program[object], now: float, *, sent: bytes = b"") -> bytes:
        """Start ``program``; returns what to send.  Must not be `busy`.

        ``sent`` is a frame that has already left: if the first step is that frame, it is not sent again.
        """
        if self._program is not None:
            raise RuntimeError("a program is under way already")
        self._program = program
        outgoing = self._advance(program, None, now)
        return b"" if sent and outgoing == sent else outgoing

    def receive(self, data: bytes, now: float) -> bytes:
        """Take in bytes from the pump; returns what to send, what the link layer owes first."""
        outgoing = b""
        for frame in self._dialect.receive(data, now):
            program = self._program
            if program is None or self._hushed or outgoing:
                self.unsolicited.append(frame)
            else:
                outgoing = self._advance(program, frame, now)
        return self._owed() + outgoing

    def _owed(self) -> bytes:
        return b"" if self._answers_itself is None else self._answers_itself.take_owed()

    def on_timer(self, now: float) -> bytes:
        """The time of `wake_at` has come; returns what to send."""
        discard_at = self._dialect.discard_at()
        if discard_at is not None and now >= discard_at - _EARLY_S:
            self._dialect.discard(now)
            outgoing = self.receive(b"", now)  # where silence ends a frame, it may have ended one
            if outgoing or self.ended is not None:
                return outgoing
        program = self._program
        if program is None or self._deadline is None or now < self._deadline - _EARLY_S:
            return b""
        if self._hushed and isinstance(self._step, Ask):
            self._hushed = False
            self._deadline = now + self._step.within.s
            return self._step.frame
        return self._advance(program, None, now)

    def abandon(self, error: LinkError) -> None:
        """The program under way is told of ``error`` and must end; it cannot send any more.

        What it makes of it is its ending: a start whose RUN was out calls it uncertain.
        """
        program, self._program = self._program, None
        self._step = self._deadline = None
        self._hushed = False
        if program is None:
            return
        try:
            program.throw(error)
        except StopIteration as stop:
            self.ended = Ended(stop.value)
        except Exception as made_of_it:  # noqa: BLE001  whatever it is belongs to the caller
            self.ended = Ended(error=made_of_it)
        else:  # it wants to go on, and must not
            program.close()
            self.ended = Ended(error=error)

    def _advance(self, program: Program[object], frame: Frame | None, now: float) -> bytes:
        """Hand ``frame`` to the program and take its next step."""
        if self._timed is not None:
            self._timed.it_is(now)
        try:
            step = program.send(frame)
        except StopIteration as stop:
            self._finish(Ended(stop.value))
            return b""
        except Exception as error:  # noqa: BLE001  whatever it is belongs to the caller
            self._finish(Ended(error=error))
            return b""
        self._step = step
        if not isinstance(step, Ask):
            self._deadline = now + step.within.s
            return b""
        if step.silence_before.ms:
            self._hushed = True
            self._deadline = now + step.silence_before.s
            return b""
        self._deadline = now + step.within.s
        return step.frame

    def _finish(self, ended: Ended) -> None:
        self._program = self._step = self._deadline = None
        self.ended = ended
