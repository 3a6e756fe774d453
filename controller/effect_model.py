"""A small pharmacokinetic model of ketamine, for one purpose: the infusion rule `hold_effect`.

Kamp 2020 (doi 10.1097/ALN.0000000000003577), three compartments, per 70 kg; volumes scale with
weight, flows with its power 0.75.  Effect site: psychedelic, half-life 6.1 min (Anesthesiology
2012;117:353).  Solved in closed form: the response to a constant rate is a sum of exponentials, so
nothing depends on a step.

Concentrations in ng/mL, doses in mg, times in seconds.  Not answerable for the simulated patient,
which has a model of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import acos, cos, exp, log, pi, sqrt

V1_L, V2_L, V3_L = 25.0, 56.0, 157.0
CL_L_H, Q2_L_H, Q3_L_H = 84.0, 161.0, 79.0
REFERENCE_KG = 70.0
PSYCHEDELIC_HALF_LIFE_MIN = 6.1
_NG_ML_PER_MG_L = 1_000.0


@dataclass(frozen=True, slots=True)
class Dose:
    """``mg`` at a constant rate from ``start_s`` to ``end_s`` (later than the start)."""

    start_s: float
    end_s: float
    mg: float


@dataclass(frozen=True, slots=True)
class Site:
    """A place where a concentration is asked for: impulse response = sum of b*exp(-m*t).

    ``terms`` are pairs (b in ng/mL per mg, m in 1/min).
    """

    terms: tuple[tuple[float, float], ...]

    def level(self, doses: Iterable[Dose], at_s: float) -> float:
        """The concentration in ng/mL at ``at_s`` after these doses."""
        return sum(self._one_level(dose, at_s) for dose in doses)

    def mean(self, doses: Iterable[Dose], from_s: float, to_s: float) -> float:
        """The mean concentration in ng/mL from ``from_s`` to ``to_s``."""
        area = sum(self._area(dose, to_s) - self._area(dose, from_s) for dose in doses)
        return area / ((to_s - from_s) / 60.0)

    def _one_level(self, dose: Dose, at_s: float) -> float:
        if at_s <= dose.start_s:
            return 0.0
        since, after, rate = _minutes(dose, at_s)
        return rate * sum(b / m * (exp(-m * after) - exp(-m * since)) for b, m in self.terms)

    def _area(self, dose: Dose, at_s: float) -> float:
        """Area under the concentration from the beginning to ``at_s``, in ng/mL times min."""
        if at_s <= dose.start_s:
            return 0.0
        since, after, rate = _minutes(dose, at_s)
        return rate * sum(
            b / m * ((since - after) - (exp(-m * after) - exp(-m * since)) / m)
            for b, m in self.terms
        )


def _minutes(dose: Dose, at_s: float) -> tuple[float, float, float]:
    """Minutes since the start, minutes since the end (0 while it runs), and the rate in mg/min."""
    since = (at_s - dose.start_s) / 60.0
    after = max(0.0, (at_s - dose.end_s) / 60.0)
    return since, after, dose.mg / ((dose.end_s - dose.start_s) / 60.0)


def plasma(weight_kg: float) -> Site:
    """The central compartment."""
    scale = weight_kg / REFERENCE_KG
    v1, v2, v3 = V1_L * scale, V2_L * scale, V3_L * scale
    per_min = scale**0.75 / 60.0
    k10, k12, k13 = CL_L_H * per_min / v1, Q2_L_H * per_min / v1, Q3_L_H * per_min / v1
    k21, k31 = Q2_L_H * per_min / v2, Q3_L_H * per_min / v3
    rates = _real_roots(
        k10 + k12 + k13 + k21 + k31,
        k10 * k21 + k10 * k31 + k12 * k31 + k13 * k21 + k21 * k31,
        k10 * k21 * k31,
    )
    terms = []
    for index, m in enumerate(rates):
        others = [other for place, other in enumerate(rates) if place != index]
        share = (k21 - m) * (k31 - m) / ((others[0] - m) * (others[1] - m))
        terms.append((_NG_ML_PER_MG_L * share / v1, m))
    return Site(tuple(terms))


def effect_site(weight_kg: float, half_life_min: float) -> Site:
    """An effect site with this equilibration half-life."""
    ke0 = log(2.0) / half_life_min
    terms = [(b * ke0 / (ke0 - m), m) for b, m in plasma(weight_kg).terms]
    return Site((*terms, (-sum(b for b, _ in terms), ke0)))


def psychedelic(weight_kg: float) -> Site:
    return effect_site(weight_kg, PSYCHEDELIC_HALF_LIFE_MIN)


def holding_dose_mg(
    weight_kg: float, doses: Iterable[Dose], *, seen_at_s: float, start_s: float, end_s: float
) -> tuple[float, float, float]:
    """The dose whose constant rate from ``start_s`` to ``end_s`` holds the level seen.

    Returns (dose in mg, level seen in ng/mL, mean of what remains of ``doses`` in ng/mL): with the
    dose, the mean psychedelic concentration of the span equals the level at ``seen_at_s``.  The dose
    is 0 where the remains alone exceed it.
    """
    site, before = psychedelic(weight_kg), tuple(doses)
    level = site.level(before, seen_at_s)
    remains = site.mean(before, start_s, end_s)
    per_mg = site.mean([Dose(start_s, end_s, 1.0)], start_s, end_s)
    return max(0.0, (level - remains) / per_mg), level, remains


def _real_roots(a: float, b: float, c: float) -> tuple[float, float, float]:
    """The roots of x^3 - a*x^2 + b*x - c, all real and positive in a mammillary model."""
    p = b - a * a / 3.0
    q = -2.0 * a**3 / 27.0 + a * b / 3.0 - c
    r = sqrt(-p / 3.0)
    angle = acos(max(-1.0, min(1.0, -q / (2.0 * r**3))))
    first, second, third = (2.0 * r * cos((angle + 2.0 * pi * n) / 3.0) + a / 3.0 for n in range(3))
    return first, second, third
