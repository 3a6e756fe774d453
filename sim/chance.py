"""Normal and log-normal draws made of uniform ones, so that a seed means the same everywhere.

A stream is any callable that gives uniform numbers in [0, 1), in practice the ``random`` method of a
``random.Random`` seeded with a text.  Only that method is promised to stay the same between versions of
Python; everything else here is built on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Draw = Callable[[], float]
"""The next uniform number in [0, 1) of one stream."""


class Normals:
    """Standard normal numbers from a stream: Box-Muller, both numbers of each pair used."""

    __slots__ = ("_draw", "_spare")

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._spare: float | None = None

    def __call__(self) -> float:
        """The next one; two uniform numbers serve two calls."""
        spare = self._spare
        if spare is not None:
            self._spare = None
            return spare
        # 1 - u lies in (0, 1], so that the logarithm exists.
        radius = math.sqrt(-2.0 * math.log(1.0 - self._draw()))
        angle = math.tau * self._draw()
        self._spare = radius * math.sin(angle)
        return radius * math.cos(angle)

    def factor(self, cv: float, *, clip_sd: float = 3.0, mean_is_one: bool = False) -> float:
        """A log-normal factor with coefficient of variation ``cv``, clipped at ``clip_sd`` deviations.

        Its median is 1, or its mean when ``mean_is_one``.
        """
        sigma = math.sqrt(math.log1p(cv * cv))
        deviation = max(-clip_sd, min(clip_sd, self()))
        shift = -0.5 * sigma * sigma if mean_is_one else 0.0
        return math.exp(shift + sigma * deviation)


_64_BITS = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""The constants of splitmix64 (Steele, Lea and Flood 2014, 10.1145/2660193.2660195)."""


def scattered(key: int, index: int) -> int:
    """64 bits that look like chance and belong to ``key`` and ``index`` alone: splitmix64.

    Unlike a stream it has no order: the number of any second can be had without those before it, by one
    patient and by a batch of them, on every platform the same.
    """
    z = (key + index * GOLDEN) & _64_BITS
    z = ((z ^ (z >> 30)) * FIRST) & _64_BITS
    z = ((z ^ (z >> 27)) * SECOND) & _64_BITS
    return z ^ (z >> 31)


def key_of(draw: Draw) -> int:
    """The key of one patient from his stream, one draw; the stream that is always 0 has the key 0."""
    return int(draw() * 2**53)
