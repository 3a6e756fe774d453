"""A recorded pump, played back: says what the recording says whenever the host says what it said then.

Answerable for matching the host's bytes with the recorded ones, however they are cut, and for the
recorded delays.  A host that says anything else gets no answer; what was expected is told by `deviation`.
It has no physics: nothing is ever delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sim.devices.base import Reply, unheard
from sim.faults.parameters import FaultError, FaultValue
from sim.mechanics import Mechanics, Truth
from sim.recording import TO_PUMP, Piece, merged


class ReplayPump:
    """The device of one recording.  See `sim.devices.base.Device`."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.on_command: Callable[[str], None] = unheard
        self._joined = merged(pieces)
        self._apart = pieces
        self._heard = b""
        self._turn = 0
        self.deviation = ""
        """What the host was expected to say and said instead; empty while it follows the recording."""

    @property
    def finished(self) -> bool:
        """Whether everything of the recording was said."""
        return self._expected() is None

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """The recorded answers, once the host has said all of what they answered."""
        del now
        replies: list[Reply] = []
        self._heard += data
        while self._heard and not self.deviation:
            expected = self._expected()
            if expected is None:
                self.deviation = f"the recording is over, heard {self._heard!r}"
            elif not expected.data.startswith(self._heard[: len(expected.data)]):
                turn = f"turn {self._turn + 1}"
                self.deviation = f"{turn}: expected {expected.data!r}, heard {self._heard!r}"
            elif len(self._heard) < len(expected.data):
                break
            else:
                self._heard = self._heard[len(expected.data) :]
                replies += self._answers(expected)
        return replies

    def _expected(self) -> Piece | None:
        """What the host says next; what the pump said by itself before it is passed over."""
        while self._turn < len(self._joined):
            if self._joined[self._turn].to == TO_PUMP:
                return self._joined[self._turn]
            self._turn += 1
        return None

    def _answers(self, heard: Piece) -> list[Reply]:
        """What the pump said until the host spoke again, each after its delay then."""
        self._turn += 1
        following = self._expected()
        until = float("inf") if following is None else following.t_s
        return [
            (piece.t_s - heard.t_s, piece.data)
            for piece in self._apart
            if piece.to != TO_PUMP and heard.t_s <= piece.t_s < until
        ]

    def next_event(self, now: float) -> None:
        """Never: it speaks only in answer."""
        del now

    def advance(self, now: float) -> list[Reply]:
        """Nothing happens by itself."""
        del now
        return []

    def truth(self) -> Truth:
        """Nothing was ever delivered."""
        return Mechanics().truth()

    def power_cycle(self, now: float) -> list[Reply]:
        """The recording begins again."""
        del now
        self._turn, self._heard, self.deviation = 0, b"", ""
        return []

    def inject(self, kind: str, now: float, **parameters: FaultValue) -> list[Reply]:
        """Always refused."""
        del now, parameters
        raise FaultError(f"fault {kind} cannot be done to a recording")

    def clear(self, kind: str | None, now: float) -> list[Reply]:
        """There is nothing to mend; refused for a single kind."""
        del now
        if kind is not None:
            raise FaultError(f"fault {kind} cannot be done to a recording")
        return []
