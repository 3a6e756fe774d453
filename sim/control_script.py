"""What was done to a bench by hand, kept so that it can be done again: a fault script and a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.faults.kinds import find
from sim.faults.parameters import FaultValue


@dataclass(slots=True)
class _Done:
    pump: str
    kind: str
    parameters: Mapping[str, FaultValue]
    at_s: float
    until_s: float | None = None


class SessionScript:
    """Faults of one session, in seconds from its start."""

    def __init__(self, started_s: float, seed: int) -> None:
        self.seed = seed
        self._started_s = started_s
        self._done: list[_Done] = []

    def began(self, pump: str, kind: str, parameters: Mapping[str, FaultValue], now: float) -> None:
        """The fault was put there; one of the same kind before it is replaced by it."""
        self.ended(pump, kind, now)
        self._done.append(_Done(pump, kind, dict(parameters), self._at(now)))

    def ended(self, pump: str, kind: str | None, now: float) -> None:
        """The fault, or every one, was taken away."""
        for done in self._done:
            lasts = done.until_s is None and find(done.kind).lasting
            if done.pump == pump and kind in (None, done.kind) and lasts:
                done.until_s = self._at(now)

    def standing(self, pump: str) -> list[dict[str, object]]:
        """What is broken now."""
        return [
            {"kind": done.kind, **done.parameters}
            for done in self._done
            if done.pump == pump and done.until_s is None and find(done.kind).lasting
        ]

    def text(self) -> str:
        """The script; where there are several pumps, a comment names the one that was meant."""
        several = len({done.pump for done in self._done}) > 1
        tables = [_table(done, named=several) for done in self._done]
        return f"# seed {self.seed}\n" + "".join(f"\n{table}" for table in tables)

    def _at(self, now: float) -> float:
        return round(max(0.0, now - self._started_s), 3)


def _table(done: _Done, *, named: bool) -> str:
    lines = ["[[fault]]"] + ([f"# pump {done.pump}"] if named else [])
    lines += [f"at_s = {done.at_s}", f'kind = "{done.kind}"']
    lines += [
        f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
        for key, value in done.parameters.items()
    ]
    if done.until_s is not None:
        lines.append(f"for_s = {round(done.until_s - done.at_s, 3)}")
    return "\n".join(lines) + "\n"
