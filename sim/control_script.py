"""What was done to a pump by hand, kept so that it can be done again: a fault script and a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.faults.kinds import find
from sim.faults.parameters import FaultValue
from sim.faults.script import ENTRIES_MAX


@dataclass(slots=True)
class _Done:
    kind: str
    parameters: Mapping[str, FaultValue]
    at_s: float
    until_s: float | None = None


class SessionScript:
    """The faults of one pump since ``started_s`` of its own time, in order."""

    def __init__(self, pump: str, started_s: float, seed: int) -> None:
        self._pump = pump
        self._started_s = started_s
        self._seed = seed
        self._done: list[_Done] = []
        self.left_out = 0
        """Faults beyond what a script may hold."""

    def began(self, kind: str, parameters: Mapping[str, FaultValue], now: float) -> None:
        """The fault was put there; one of the same kind before it is replaced by it."""
        self.ended(kind, now)
        if len(self._done) >= ENTRIES_MAX:
            self.left_out += 1
        else:
            self._done.append(_Done(kind, dict(parameters), self._at(now)))

    def ended(self, kind: str | None, now: float) -> None:
        """The fault, or every one, was taken away."""
        for done in self._done:
            lasts = done.until_s is None and find(done.kind).lasting
            if kind in (None, done.kind) and lasts:
                done.until_s = self._at(now)

    def text(self) -> str:
        """The script."""
        tables = [_table(done) for done in self._done]
        return f"# pump {self._pump}, seed {self._seed}\n" + "".join(
            f"\n{table}" for table in tables
        )

    def _at(self, now: float) -> float:
        return round(max(0.0, now - self._started_s), 6)


def _table(done: _Done) -> str:
    lines = ["[[fault]]", f"at_s = {done.at_s:f}", f'kind = "{done.kind}"']
    lines += [
        f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
        for key, value in done.parameters.items()
    ]
    if done.until_s is not None:
        lines.append(f"for_s = {done.until_s - done.at_s:f}")
    return "\n".join(lines) + "\n"
