"""The unrest of vital signs: slow drift, the swing of the pulse with breathing, and correlated noise.

The noise of each channel is first-order autoregressive, moved once per whole second of absolute time by
a number that belongs to that second and this patient alone (`sim.chance.scattered`).  So neither how
often somebody looks, nor what was done before, nor how many patients there are changes it.  After a gap
it is taken up `HORIZON_S` before the moment asked for, by when its memory has faded to nothing.

Innovations are uniform: after smoothing over tens of seconds nobody can tell them from normal ones.
"""

from __future__ import annotations

import math
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


def mixed(figures: AtRest, values: tuple[float, ...] | list[float]) -> Unrest:
    """The noises in their units, correlated as the data file says, from independent standard ones."""
    hr, sbp, spo2, rr, etco2 = values
    hr_sd, sbp_sd, spo2_sd, rr_sd, etco2_sd = (one.noise_sd for one in figures.restless)
    with_hr, with_rr = figures.hr_sbp_correlation, figures.rr_etco2_correlation
    return Unrest(
        hr_sd * hr,
        sbp_sd * (with_hr * hr + math.sqrt(1.0 - with_hr * with_hr) * sbp),
        spo2_sd * spo2,
        rr_sd * rr,
        etco2_sd * (with_rr * rr + math.sqrt(1.0 - with_rr * with_rr) * etco2),
    )


class Restlessness:
    """The unrest of one person.  ``key`` 0 has no noise, which is what the stream of zeros gives."""

    def __init__(
        self, figures: AtRest, key: int, drift: tuple[Drift, ...], breaths_per_s: float
    ) -> None:
        self._figures = figures
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
        noise = mixed(self._figures, self._values)
        hr, pressure, spo2, rr, etco2 = [
            drift.amplitude * math.sin(math.tau * now_s / drift.period_s + drift.phase)
            for drift in self._drift
        ]
        swing = self._swing * math.sin(math.tau * self._breaths_per_s * now_s)
        return Unrest(
            noise.hr_bpm + hr + swing,
            noise.pressure_mmhg + pressure,
            noise.spo2_pct + spo2,
            noise.rr_bpm + rr,
            noise.etco2_mmhg + etco2,
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
