"""A dialect and a scripted pump on one line, with a clock that jumps: programs run as `link` runs them.

The pump is any object with ``feed(data, now)``, which returns delays and bytes, and ``advance(now)``,
which returns what it says unasked.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import Protocol, TypeVar

from firmware_bridge.conversation import Conversation
from firmware_bridge.dialect import Frame, HostDialect, Program
from firmware_bridge.errors import LinkError

T = TypeVar("T")


class ScriptedPump(Protocol):
    def feed(self, data: bytes, now: float) -> list[tuple[float, bytes]]: ...

    def advance(self, now: float) -> None: ...


class LineBench:
    """Runs programs of ``dialect`` against ``pump``; ``now`` is the loop's time."""

    def __init__(self, dialect: HostDialect, pump: ScriptedPump) -> None:
        self.dialect = dialect
        self.pump = pump
        self.now = 100.0
        self.sent: list[tuple[float, bytes]] = []
        self.unsolicited: list[Frame] = []
        self._talk = Conversation(dialect)
        self._coming: list[tuple[float, int, bytes]] = []
        self._number = count()

    def do(self, program: Program[T], *, steps: int = 3_000) -> T:
        """The program's result, or what it raises."""
        self._send(self._talk.begin(program, self.now))
        for _ in range(steps):
            ended = self._talk.take_ended()
            if ended is not None:
                if ended.error is not None:
                    raise ended.error
                return ended.value  # type: ignore[return-value]  # typed by the program
            self._step(float("inf"))
        raise AssertionError(f"the program did not end within {steps} steps")

    def cut(self, program: Program[T], error: LinkError, after: bytes) -> object:
        """The program's error when the line fails right after ``after`` was sent."""
        self._send(self._talk.begin(program, self.now))
        while not any(after in data for _, data in self.sent):
            self._step(float("inf"))
        self._talk.abandon(error)
        ended = self._talk.take_ended()
        assert ended is not None
        return ended.error

    def wait(self, seconds: float) -> None:
        """Time passes without a program."""
        until = self.now + seconds
        while self._coming and self._coming[0][0] <= until:
            self._step(until)
        self.now = until
        self.pump.advance(until)

    def says(self, data: bytes, after_s: float = 0.0) -> None:
        """The pump says something by itself."""
        heapq.heappush(self._coming, (self.now + after_s, next(self._number), data))

    def texts(self) -> list[str]:
        return [data.decode("latin-1") for _, data in self.sent]

    def _step(self, until: float) -> None:
        wake = self._talk.wake_at()
        arrives = self._coming[0][0] if self._coming else None
        if arrives is not None and (wake is None or arrives <= wake):
            self.now = max(self.now, arrives)
            self.pump.advance(self.now)
            _, _, data = heapq.heappop(self._coming)
            self._send(self._talk.receive(data, self.now))
            self.unsolicited += self._talk.unsolicited
            self._talk.unsolicited = []
            return
        assert wake is not None, "a program waits for nothing"
        self.now = min(max(self.now, wake), until)
        self.pump.advance(self.now)
        self._send(self._talk.on_timer(self.now))

    def _send(self, data: bytes) -> None:
        if not data:
            return
        self.sent.append((self.now, data))
        for delay_s, answer in self.pump.feed(data, self.now):
            self.says(answer, delay_s)
