"""Round numbers for axes: where a range begins and ends, and where the ticks stand."""

from __future__ import annotations

from math import ceil, floor, log10

TIME_STEPS_S = (10, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 14_400, 43_200, 86_400)

LEAST_SPAN = 1e-9
"""Of the size of the values: a smaller difference between them is none."""


def step_for(span: float, count: int) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that divides ``span`` into ``count`` at most."""
    if span <= 0:
        return 1.0
    exact = span / max(1, count)
    power = 10.0 ** floor(log10(exact))
    return next((m * power for m in (1, 2, 5) if m * power >= exact * (1 - 1e-9)), 10 * power)


def rounded(low: float, high: float, count: int) -> tuple[float, float, float]:
    """The range widened to round numbers, and the step between its ticks."""
    if high - low < LEAST_SPAN * max(1.0, abs(low), abs(high)):
        high = low + max(1.0, abs(low))
    step = step_for(high - low, count)
    return floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step, step


def ticks(low: float, high: float, step: float) -> list[float]:
    """Every multiple of ``step`` from ``low`` to ``high``."""
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_text(value: float, step: float) -> str:
    """The tick with as many decimals as its step has."""
    decimals = max(0, -floor(log10(step) + 1e-9))
    return f"{value:.{decimals}f}"


def time_step(end_s: float, count: int) -> float:
    """A step in seconds that people count in, with at most ``count`` of them up to ``end_s``."""
    steps = (float(s) for s in TIME_STEPS_S if s * count >= end_s)
    return next(steps, step_for(end_s, count))
