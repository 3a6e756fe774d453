"""From a dose to what the pump is told: volume and rate, always rounded down, with the arithmetic.

Answerable for the numbers and for the lines of text that let a person check them; not for limits
(`library`) nor for asking (procedure).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller.effect_model import Dose, holding_dose_mg
from firmware_bridge.quantities import Concentration, Duration, Mass, Rate, Volume

HOLD_EFFECT_STEP_UG = 100
"""A dose from the model is rounded down to 0.1 mg: more digits would pretend to a precision."""


TWICE_PCT = 0.1
"""How far two ways of reckoning may differ (smart-pump practice: dose to rate is checked twice)."""
LAST_DIGIT = 1e-5
"""In mL and mL/h; ten times the integers' own resolution, and nothing any pump could tell."""


class DosingError(ArithmeticError):
    """Two ways of reckoning volume and rate disagree: a fault of ours, and nothing may start."""


@dataclass(frozen=True, slots=True)
class Programme:
    """A dose as the pump will be told it; ``arithmetic`` is one line per step of the computation."""

    mass: Mass
    volume: Volume
    rate: Rate
    arithmetic: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """The total an infusion rule asks for, and how it came about."""

    mass: Mass
    arithmetic: tuple[str, ...]


def programme(dose: Mass, concentration: Concentration, duration: Duration) -> Programme:
    """``dose`` over ``duration``: at most that dose, in at least that time."""
    volume = dose.at(concentration)
    rate = volume.over(duration)
    check_twice(dose.mg, concentration.mg_ml, duration.s, volume.ml, rate.ml_h)
    return Programme(
        dose,
        volume,
        rate,
        (
            f"volume = {dose} / {concentration} = {volume}",
            f"rate = {volume} / {duration.min:g} min = {rate}",
        ),
    )


def check_twice(
    dose_mg: float, conc_mg_ml: float, duration_s: float, volume_ml: float, rate_ml_h: float
) -> None:
    """Reckon volume and rate once more, in floats; raises `DosingError` where the two ways differ.

    0.1 % and the last digit of a volume or rate are allowed: the integers round down.
    """
    for name, other, value in (
        ("volume_ml", dose_mg / conc_mg_ml, volume_ml),
        ("rate_ml_h", volume_ml * 3600.0 / duration_s, rate_ml_h),
    ):
        if abs(other - value) > TWICE_PCT / 100 * other + LAST_DIGIT:
            raise DosingError(f"{name} = {value:g} by one way and {other:g} by another")


def remainder(volume: Volume, rate: Rate, concentration: Concentration) -> Programme:
    """What is left of an interrupted infusion, at the rate it had."""
    mass = volume.mass_at(concentration)
    lines = (f"remaining volume = {volume} ({mass} at {concentration})", f"rate as before = {rate}")
    return Programme(mass, volume, rate, lines)


def multiple(required: Mass, k_milli: int) -> RuleResult:
    """Rule `multiple`: k times the required dose."""
    mass = required.times(k_milli, 1_000)
    line = f"rule multiple: {k_milli / 1_000:g} x required dose {required} = {mass}"
    return RuleResult(mass, (line,))


def by_weight(
    rule: str, ug_kg: int, weight_g: int, duration: Duration, *, ideal: bool
) -> RuleResult:
    """Rules `per_kg` (a dose) and `rate_per_kg` (a rate, over ``duration``): so much per kilogram."""
    body = f"{weight_g / 1_000:g} kg{' (ideal body weight)' if ideal else ''}"
    amount = Mass(ug_kg * weight_g // 1_000)
    if rule == "per_kg":
        line = f"rule per_kg: {ug_kg / 1_000:g} mg/kg x {body} = {amount}"
        return RuleResult(amount, (line,))
    mass = amount.times(duration.ms, 3_600_000)
    per_h = f"rule rate_per_kg: {ug_kg / 1_000:g} mg/kg/h x {body} = {amount} in an hour"
    return RuleResult(mass, (per_h, f"over {duration.min:g} min = {mass}"))


def hold_effect(
    weight_kg: float,
    doses: Iterable[Dose],
    *,
    seen_at_s: float,
    start_s: float,
    duration: Duration,
) -> RuleResult:
    """Rule `hold_effect`: keep the mean psychedelic level where it was when the response was seen."""
    mg, level, remains = holding_dose_mg(
        weight_kg, doses, seen_at_s=seen_at_s, start_s=start_s, end_s=start_s + duration.s
    )
    mass = Mass.from_mg(mg)
    mass = Mass(mass.ug // HOLD_EFFECT_STEP_UG * HOLD_EFFECT_STEP_UG)
    return RuleResult(
        mass,
        (
            f"rule hold_effect: effect-site level when the response was seen = {level:.1f} ng/mL",
            f"mean over {duration.min:g} min of what remains of the test doses = {remains:.1f} ng/mL",
            f"dose that makes up the difference, rounded down = {mass}",
        ),
    )
