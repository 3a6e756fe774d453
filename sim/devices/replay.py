"""A recorded pump, played back: says what the recording says whenever the host says what it said then.

Answerable for matching the host's bytes with the recorded ones, however they are cut, and for the
recorded delays.  A host that says anything else gets no answer any more; `ReplayPump.deviation` tells
what was expected.  It has no physics: nothing is ever delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

from sim.devices.base import Reply, unheard
from sim.faults.parameters import FaultError, FaultValue
from sim.mechanics import Mechanics, Truth
from sim.recording import TO_PUMP, Piece

SHOWN_BYTES_MAX = 200
"""What a deviation quotes of either side."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """What the host said, and what the pump said until the host spoke again, each after its delay."""

    heard: bytes
    replies: list[Reply]


@dataclass(slots=True)
class ReplayState:
    """Where the playing is."""

    begun: bool = False
    turn: int = 0
    heard: bytes = b""
    deviation: str = ""


class ReplayPump:
    """The device of one recording.  See `sim.devices.base.Device`."""

    def __init__(
        self, pieces: Sequence[Piece], on_deviation: Callable[[str], None] = unheard
    ) -> None:
        self.on_command: Callable[[str], None] = unheard
        self._on_deviation = on_deviation
        self._before, self._turns = _turns(pieces)
        self.state = ReplayState()

    @property
    def deviation(self) -> str:
        """What the host was expected to say and said instead; empty while it follows the recording."""
        return self.state.deviation

    @property
    def finished(self) -> bool:
        """Whether the host has said everything that it said then."""
        return self.state.turn == len(self._turns)

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """The recorded answers, once the host has said all of what they answered."""
        replies = self.advance(now)
        state = self.state
        if state.deviation:
            return replies
        state.heard += data
        while state.heard and not state.deviation:
            expected = b"" if self.finished else self._turns[state.turn].heard
            said = state.heard[: len(expected)]
            if not expected or not expected.startswith(said):
                self._deviate(expected)
            elif len(said) < len(expected):
                break
            else:
                replies += self._turns[state.turn].replies
                state.heard = state.heard[len(expected) :]
                state.turn += 1
        return replies

    def _deviate(self, expected: bytes) -> None:
        state = self.state
        wanted = repr(expected[:SHOWN_BYTES_MAX]) if expected else "nothing more"
        heard = state.heard[:SHOWN_BYTES_MAX]
        state.deviation = f"turn {state.turn + 1}: expected {wanted}, heard {heard!r}"
        state.heard = b""
        self._on_deviation(state.deviation)

    def next_event(self, now: float) -> None:
        """Never: after its start it speaks only in answer."""
        del now

    def advance(self, now: float) -> list[Reply]:
        """What the pump said before it was asked anything, the first time; nothing happens later."""
        del now
        if self.state.begun:
            return []
        self.state.begun = True
        return list(self._before)

    def truth(self) -> Truth:
        """Nothing was ever delivered."""
        return Mechanics().truth()

    def snapshot(self) -> ReplayState:
        """Where it is."""
        return replace(self.state)

    def restore(self, state: ReplayState) -> None:
        """It is where it was then."""
        self.state = replace(state)

    def power_cycle(self, now: float) -> list[Reply]:
        """The recording begins again."""
        self.state = ReplayState()
        return self.advance(now)

    def inject(self, kind: str, now: float, **parameters: FaultValue) -> list[Reply]:
        """Always refused."""
        del now, parameters
        raise FaultError(f"fault {kind} cannot be done to a recording, only to its line")

    def clear(self, kind: str | None, now: float) -> list[Reply]:
        """There is nothing to mend; refused for a single kind."""
        del now
        if kind is not None:
            raise FaultError(f"fault {kind} cannot be done to a recording, only to its line")
        return []


def _turns(pieces: Sequence[Piece]) -> tuple[list[Reply], list[_Turn]]:
    """What the pump said first, after its start, and the turns that followed.

    A turn is there when its last byte is; how either side was cut into pieces means nothing.
    """
    before: list[Reply] = []
    turns: list[_Turn] = []
    asked_s = 0.0
    for to, group in groupby(pieces, key=attrgetter("to")):
        same = list(group)
        if to == TO_PUMP:
            asked_s = same[-1].t_s
            turns.append(_Turn(b"".join(piece.data for piece in same), []))
        else:
            replies = turns[-1].replies if turns else before
            replies += [(piece.t_s - asked_s, piece.data) for piece in same]
    return before, turns
