"""The unrest of vital signs: slow drift, the swing of the pulse with breathing, and correlated noise.

The noise of each channel is first-order autoregressive, moved once per whole second of absolute time by
a number that belongs to that second and this patient alone (`sim.chance.scattered`).  So neither how
often somebody looks, nor what was done before, nor how many patients there are changes it.  After a gap
it is taken up `HORIZON_S` before the moment asked for, by when its memory has faded to nothing.

Innovations are uniform: after smoothing over tens of seconds nobody can tell them from normal ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from sim.chance import scattered
from sim.effects import AtRest
from sim.person import Drift

HORIZON_S = 600
"""Twenty time constants of the slowest noise in the data file: e ** -20 is left."""
CHANNELS = 5
BITS = 12
"""Of each channel in the 64 bits of a second."""
_LEVELS = 1 << BITS
STEP = 2.0 * math.sqrt(3.0) / _LEVELS
LOWEST = 0.5 * STEP - math.sqrt(3.0)
"""Uniform with mean 0 and variance 1: ``LOWEST + STEP * number``, where a number is below 2 ** BITS."""


class Unrest(NamedTuple):
    """What is added to each vital sign; the first takes SBP, MAP and DBP together."""

    hr_bpm: float
    pressure_mmhg: float
    spo2_pct: float
    rr_bpm: float
    etco2_mmhg: float


SETTLED = Unrest(0.0, 0.0, 0.0, 0.0, 0.0)


def memory(figures: AtRest) -> list[tuple[float, float]]:
    """Of each channel: what is kept of its noise over a second, and the weight of what is new."""
    kept = [math.exp(-1.0 / channel.noise_s) for channel in figures.restless]
    return [(k, math.sqrt(1.0 - k * k)) for k in kept]


class Mixture:
    """Makes the noises of the channels, in their units and correlated, of independent standard ones.

    Arithmetic only, so that arrays of people serve as well as numbers.
    """

    __slots__ = ("_alone", "_sd", "_together")

    def __init__(self, figures: AtRest) -> None:
        self._sd = tuple(one.noise_sd for one in figures.restless)
        self._together = (figures.hr_sbp_correlation, figures.rr_etco2_correlation)
        self._alone = tuple(math.sqrt(1.0 - r * r) for r in self._together)

    def of(self, values: Iterable[float]) -> tuple[float, float, float, float, float]:
        """In the order of `Unrest`."""
        hr, sbp, spo2, rr, etco2 = values
        hr_sd, sbp_sd, spo2_sd, rr_sd, etco2_sd = self._sd
        with_hr, with_rr = self._together
        sbp_alone, etco2_alone = self._alone
        return (
            hr_sd * hr,
            sbp_sd * (with_hr * hr + sbp_alone * sbp),
            spo2_sd * spo2,
            rr_sd * rr,
            etco2_sd * (with_rr * rr + etco2_alone * etco2),
        )


class Restlessness:
    """The unrest of one person.  ``key`` 0 has no noise, which is what the stream of zeros gives."""

    def __init__(
        self, figures: AtRest, key: int, drift: tuple[Drift, ...], breaths_per_s: float
    ) -> None:
        self._mixture = Mixture(figures)
        self._key = key
        self._drift = drift
        self._swing = 0.5 * figures.hr_respiratory_swing_bpm
        self._breaths_per_s = breaths_per_s
        self._memory = memory(figures)
        self._values = [0.0] * CHANNELS
        self._second: int | None = None

    def at(self, now_s: float) -> Unrest:
        """The unrest at ``now_s``, which never goes back."""
        second = math.floor(now_s)
        if second != self._second and self._key:
            self._move(second)
        hr, pressure, spo2, rr, etco2 = self._mixture.of(self._values)
        turns = math.tau * now_s
        slow = [
            amplitude * math.sin(turns / period_s + phase)
            for amplitude, period_s, phase in self._drift
        ]
        swing = self._swing * math.sin(math.tau * self._breaths_per_s * now_s)
        return Unrest(
            hr + slow[0] + swing,
            pressure + slow[1],
            spo2 + slow[2],
            rr + slow[3],
            etco2 + slow[4],
        )

    def _move(self, second: int) -> None:
        start = second - HORIZON_S
        if self._second is None or self._second < start:
            self._values = [0.0] * CHANNELS
        else:
            start = self._second
        self._second = second
        values = self._values
        for one in range(start + 1, second + 1):
            bits = scattered(self._key, one)
            for index, (kept, new) in enumerate(self._memory):
                number = (bits >> (index * BITS)) & (_LEVELS - 1)
                values[index] = kept * values[index] + new * (LOWEST + STEP * number)
