"""How the bench measures: several rounds in which ours and the floor take turns, so that both meet the same load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import quantiles
from time import perf_counter

US = 1e6

Figures = Mapping[str, float]
Measure = Callable[[], Figures]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: ``quick`` only shows that every table can be made."""

    quick: bool

    def rounds(self, usual: int) -> int:
        return 2 if self.quick else usual

    def count(self, usual: int) -> int:
        """Repetitions within one round."""
        return max(8, usual // 50) if self.quick else usual


def taking_turns(rounds: int, measures: Mapping[str, Measure]) -> dict[str, dict[str, list[float]]]:
    """Each measure once a round, in the opposite order every other round.

    Returns for each measure its figures by name, one value a round.
    """
    seen: dict[str, list[Figures]] = {name: [] for name in measures}
    for number in range(rounds):
        names = list(measures)
        for name in names if number % 2 == 0 else reversed(names):
            seen[name].append(measures[name]())
    return {
        name: {key: [figures[key] for figures in each] for key in each[0]}
        for name, each in seen.items()
    }


def closed_loop(exchange: Callable[[], object], count: int) -> Figures:
    """``count`` exchanges one after the other: see `latencies`."""
    lasted: list[float] = []
    before = began = perf_counter()
    for _ in range(count):
        exchange()
        now = perf_counter()
        lasted.append(now - before)
        before = now
    return latencies(lasted, before - began)


def latencies(lasted_s: list[float], together_s: float) -> Figures:
    """Rates and percentiles of exchanges that were measured one by one.

    ``per_s`` counts everything; ``typical_per_s`` leaves out, by the median, what others on the same
    computer did meanwhile.
    """
    cuts = quantiles(lasted_s, n=100, method="inclusive")
    return {
        "per_s": len(lasted_s) / together_s,
        "typical_per_s": 1 / cuts[49],
        "p50_us": cuts[49] * US,
        "p99_us": cuts[98] * US,
    }


def per_call(call: Callable[[], object], count: int) -> Measure:
    """A measure of the microseconds that one call takes, as ``us``; the loop around it is part of it."""

    def measure() -> Figures:
        turns = range(count)
        began = perf_counter()
        for _ in turns:
            call()
        return {"us": (perf_counter() - began) / count * US}

    return measure
