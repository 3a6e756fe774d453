"""What ventilation does to carbon dioxide and oxygen, and what midazolam does to ventilation.

Arithmetic only, no comparison: arrays of people serve as well as numbers.  ``v`` is the minute volume as
a fraction of rest.  A slow fall of ventilation is meant; the sudden apnoea after a seizure is in
`sim.toxicity`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Saturating:
    """A fractional change that levels off: ``emax * C / (ec50 + C)``."""

    emax: float
    ec50_ng_ml: float

    def at(self, ng_ml: float) -> float:
        return self.emax * ng_ml / (self.ec50_ng_ml + ng_ml)


@dataclass(frozen=True, slots=True)
class Drive:
    """How midazolam changes depth and frequency of breathing at one age."""

    tidal_fall: Saturating
    rate_rise: Saturating
    apnoea_ng_ml: float

    def tidal(self, ng_ml: float, factor: float) -> float:
        """Tidal volume as a fraction of rest."""
        return positive(1.0 - factor * self.tidal_fall.at(ng_ml))

    def rate(self, ng_ml: float, factor: float) -> float:
        """Breaths as a fraction of rest: more of them, until very high concentrations stop them."""
        ratio = ng_ml / self.apnoea_ng_ml
        square = ratio * ratio
        return (1.0 + factor * self.rate_rise.at(ng_ml)) / (1.0 + square * square)


@dataclass(frozen=True, slots=True)
class Gases:
    """Carbon dioxide and oxygen of arterial blood on room air, as functions of ventilation."""

    paco2_mmhg: float
    paco2_exponent: float
    paco2_floor: float
    shallow: float
    inspired_o2_mmhg: float
    respiratory_quotient: float
    alveolar_arterial_mmhg: float
    saturation_a: float
    saturation_b: float

    def carbon_dioxide(self, v: float) -> float:
        """PaCO2 as a multiple of rest."""
        floor = self.paco2_floor
        risen: float = (floor + (1.0 - floor) * v) ** -self.paco2_exponent
        return risen

    def displayed(self, carbon_dioxide: float, tidal: float) -> float:
        """EtCO2 as a multiple of rest; less than PaCO2 where breaths are shallow."""
        return carbon_dioxide * (1.0 - self.shallow * (1.0 - tidal))

    def saturation_pct(self, carbon_dioxide: float) -> float:
        """Arterial saturation for PaCO2 as a multiple of rest: alveolar gas equation, Severinghaus curve."""
        alveolar = (
            self.inspired_o2_mmhg - self.paco2_mmhg * carbon_dioxide / self.respiratory_quotient
        )
        # Never nothing at all: the curve has no value there.
        p = 10.0 + positive(alveolar - self.alveolar_arterial_mmhg - 10.0)
        return 100.0 / (1.0 + self.saturation_a / (p * (p * p + self.saturation_b)))


def positive(x: float) -> float:
    """``x``, or 0 where it is negative."""
    return 0.5 * (x + abs(x))


def clamped(x: float) -> float:
    """``x``, but at least 0 and at most 1."""
    return 0.5 * (abs(x) - abs(x - 1.0) + 1.0)
