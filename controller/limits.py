"""The limits of one drug, soft and hard, and which of them an order would exceed.

Answerable for comparing an order, together with what was given before, with every limit there is,
exactly (integers only); each finding names quantity, value, limit and unit, and several limits give
several findings.  Not answerable for the figures (`library`), for asking anybody (procedure), nor for
what reaches the wire (gate).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from firmware_bridge.quantities import Concentration, Duration, Mass, Rate

_UG_H_SCALE = 1_000_000  # (nL/h) * (ug/mL) = 10^-6 ug/h
_MS_PER_H = 3_600_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One limit an order exceeds."""

    quantity: str
    value: float
    limit: float
    unit: str
    bound: str = "max"

    def __str__(self) -> str:
        side = "above" if self.bound == "max" else "below"
        return f"{self.quantity} {self.value:g} {self.unit} is {side} {self.limit:g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything an order exceeds: ``soft`` needs a confirmation, ``hard`` is refused."""

    soft: tuple[Finding, ...] = ()
    hard: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class VitalLimit:
    """A vital sign outside ``low``..``high`` for ``for_s`` seconds counts.

    ``action``: hold (stop, and wait for a person), warn, or watch (an alarm of high priority).
    """

    key: str
    low: float
    high: float
    for_s: float
    action: str

    @property
    def alarm_id(self) -> str:
        """The alarm that says so."""
        if self.action == "watch":
            return f"ventilation_{self.key}"
        return f"vitals_{self.key}_warn" if self.action == "warn" else f"vitals_{self.key}"


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign of toxicity that is asked for; a severe one is toxicity itself."""

    key: str
    text: str
    severe: bool


@dataclass(frozen=True, slots=True)
class DrugLimits:
    """The limits of one drug in one profile (empty where the drug has only one).

    Fields per kilogram are integers, micrograms per kilogram (per hour).  A drug without test doses has
    nothing but zeros for them; one without a load has ``load_hard_ug_kg`` 0.  ``ideal_weight``: the
    lower of ideal and real weight is what counts.
    """

    drug: str
    profile: str
    concentrations: tuple[Concentration, ...]
    bolus_soft: Mass
    bolus_hard: Mass
    bolus_hard_ug_kg: int
    bolus_time_soft: Duration
    bolus_time_hard: Duration
    bolus_interval_soft: Duration
    further_min: Mass
    further_max: Mass
    test_total_hard: Mass
    rate_soft_ug_kg_h: int
    rate_hard_ug_kg_h: int
    infusion_soft_ug_kg: int
    infusion_hard_ug_kg: int
    infusion_hard: Mass
    hour_hard_ug_kg: int
    hour_hard: Mass
    visit_hard_ug_kg: int
    visit_hard: Mass
    vitals: tuple[VitalLimit, ...]
    data_age_s_max: float
    nibp_age_s_max: float
    load_hard_ug_kg: int = 0
    load_time_hard: Duration = Duration(0)
    ideal_weight: bool = False
    weight_g_min: int = 0
    rate_hard: Mass | None = None
    infusion_time_hard: Duration = Duration(0)
    infusion_time_above_soft_hard: Duration = Duration(0)
    infusion_time_max: Duration = Duration(4 * _MS_PER_H)
    signs: tuple[Sign, ...] = ()

    def sign(self, key: str) -> Sign | None:
        """The sign of this name; None for a word that stands for none."""
        return next((sign for sign in self.signs if sign.key == key), None)


@dataclass(frozen=True, slots=True)
class BolusOrder:
    """A dose to be given within a minute or so."""

    dose: Mass
    duration: Duration


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """A loading dose, given over some minutes before an infusion."""

    dose: Mass
    duration: Duration


@dataclass(frozen=True, slots=True)
class InfusionOrder:
    """A dose to be given slowly, at a constant rate."""

    dose: Mass
    rate: Rate
    concentration: Concentration

    @property
    def ug_h_scaled(self) -> int:
        """The rate in 10^-6 ug/h, exactly."""
        return self.rate.nl_h * self.concentration.ug_ml

    @property
    def in_an_hour(self) -> Mass:
        """What of it flows within any hour (rounded up)."""
        return min(self.dose, Mass(-(-self.ug_h_scaled // _UG_H_SCALE)))


@dataclass(frozen=True, slots=True)
class Given:
    """What this subject has already had or is committed to: test doses, last hour, whole visit.

    ``since_last`` is None before the first dose.
    """

    test: Mass = Mass(0)
    hour: Mass = Mass(0)
    visit: Mass = Mass(0)
    since_last: Duration | None = None


NOTHING_GIVEN = Given()


Order = BolusOrder | LoadOrder | InfusionOrder


def check(limits: DrugLimits, order: Order, *, weight_g: int, given: Given) -> Findings:
    """Everything this order would exceed, on top of what was given before."""
    found: list[tuple[bool, Finding]] = []
    if weight_g < limits.weight_g_min:
        found.append(
            (True, Finding("weight", weight_g / 1_000, limits.weight_g_min / 1_000, "kg", "min"))
        )
    in_an_hour = order.dose
    if isinstance(order, BolusOrder):
        found += _bolus_findings(limits, order, weight_g, given)
    elif isinstance(order, LoadOrder):
        found += _load_findings(limits, order, weight_g)
    else:
        found += _infusion_findings(limits, order, weight_g)
        in_an_hour = order.in_an_hour
    found += _total_findings(limits, in_an_hour, order.dose, weight_g, given)
    soft = tuple(finding for hard, finding in found if not hard)
    return Findings(soft, tuple(finding for hard, finding in found if hard))


def largest_bolus(limits: DrugLimits, *, weight_g: int, given: Given) -> Mass:
    """The largest bolus that no hard limit forbids now (rounded down; nothing if used up)."""
    return min(
        limits.bolus_hard,
        per_kg(limits.bolus_hard_ug_kg, weight_g),
        _left(limits.test_total_hard, given.test),
        _largest_by_totals(limits, weight_g, given),
    )


def largest_infusion(
    limits: DrugLimits, *, weight_g: int, duration: Duration, given: Given
) -> Mass:
    """The largest dose that no hard limit forbids to infuse over ``duration`` (rounded down)."""
    by_rate = per_kg(limits.rate_hard_ug_kg_h, weight_g)
    if limits.rate_hard is not None:
        by_rate = min(by_rate, limits.rate_hard)
    most = min(
        by_rate.times(duration.ms, _MS_PER_H),
        limits.infusion_hard,
        per_kg(limits.infusion_hard_ug_kg, weight_g),
        _left(limits.visit_hard, given.visit),
        _left(per_kg(limits.visit_hard_ug_kg, weight_g), given.visit),
        _by_hour(limits, weight_g, duration, given),
    )
    if duration < limits.infusion_time_above_soft_hard:
        most = min(most, per_kg(limits.infusion_soft_ug_kg, weight_g))
    return most


def _by_hour(limits: DrugLimits, weight_g: int, duration: Duration, given: Given) -> Mass:
    """The largest dose over ``duration`` of which no hour gets more than is left of its limit."""
    hour = min(
        _left(limits.hour_hard, given.hour),
        _left(per_kg(limits.hour_hard_ug_kg, weight_g), given.hour),
    )
    return hour.times(duration.ms, _MS_PER_H) if duration.ms > _MS_PER_H else hour


def largest_soft_infusion(limits: DrugLimits, *, weight_g: int, duration: Duration) -> Mass:
    """The largest dose over ``duration`` that needs no second confirmation (rounded down)."""
    by_rate = per_kg(limits.rate_soft_ug_kg_h, weight_g).times(duration.ms, _MS_PER_H)
    return min(by_rate, per_kg(limits.infusion_soft_ug_kg, weight_g))


_Found = Iterator[tuple[bool, Finding]]


def _bolus_findings(limits: DrugLimits, order: BolusOrder, weight_g: int, given: Given) -> _Found:
    dose, time = order.dose, order.duration
    if dose > limits.bolus_hard:
        yield True, Finding("bolus dose", dose.mg, limits.bolus_hard.mg, "mg")
    if dose > limits.bolus_soft:
        yield False, Finding("bolus dose", dose.mg, limits.bolus_soft.mg, "mg")
    if _above_per_kg(dose, limits.bolus_hard_ug_kg, weight_g):
        yield True, _per_kg_finding("bolus dose", dose, limits.bolus_hard_ug_kg, weight_g)
    if time < limits.bolus_time_hard:
        yield True, Finding("bolus duration", time.s, limits.bolus_time_hard.s, "s", "min")
    if time < limits.bolus_time_soft:
        yield False, Finding("bolus duration", time.s, limits.bolus_time_soft.s, "s", "min")
    since = given.since_last
    if since is not None and since < limits.bolus_interval_soft:
        interval = limits.bolus_interval_soft.s
        yield False, Finding("time since the last dose", since.s, interval, "s", "min")
    total = given.test + dose
    if total > limits.test_total_hard:
        yield True, Finding("test doses in total", total.mg, limits.test_total_hard.mg, "mg")


def _infusion_findings(limits: DrugLimits, order: InfusionOrder, weight_g: int) -> _Found:
    ug_h = order.ug_h_scaled
    if limits.rate_hard is not None and ug_h > limits.rate_hard.ug * _UG_H_SCALE:
        value = ug_h / _UG_H_SCALE / 1_000
        yield True, Finding("infusion rate", value, limits.rate_hard.mg, "mg/h")
    for hard, limit in ((True, limits.rate_hard_ug_kg_h), (False, limits.rate_soft_ug_kg_h)):
        if ug_h * 1_000 > limit * weight_g * _UG_H_SCALE:
            value = ug_h / _UG_H_SCALE / weight_g
            yield hard, Finding("infusion rate", value, limit / 1_000, "mg/kg/h")
    for hard, limit in ((True, limits.infusion_hard_ug_kg), (False, limits.infusion_soft_ug_kg)):
        if _above_per_kg(order.dose, limit, weight_g):
            yield hard, _per_kg_finding("infusion dose", order.dose, limit, weight_g)
    if order.dose > limits.infusion_hard:
        yield True, Finding("infusion dose", order.dose.mg, limits.infusion_hard.mg, "mg")


def duration_findings(
    limits: DrugLimits, dose: Mass, duration: Duration, weight_g: int
) -> list[Finding]:
    """Hard limits of the planned time of an infusion (a resumed rest keeps the rate, not the time)."""
    above_soft = _above_per_kg(dose, limits.infusion_soft_ug_kg, weight_g)
    least = limits.infusion_time_above_soft_hard if above_soft else limits.infusion_time_hard
    found = []
    if duration < least:
        found.append(Finding("infusion duration", duration.s, least.s, "s", "min"))
    if duration > limits.infusion_time_max:
        found.append(Finding("infusion duration", duration.s, limits.infusion_time_max.s, "s"))
    return found


def _load_findings(limits: DrugLimits, order: LoadOrder, weight_g: int) -> _Found:
    if _above_per_kg(order.dose, limits.load_hard_ug_kg, weight_g):
        yield True, _per_kg_finding("loading dose", order.dose, limits.load_hard_ug_kg, weight_g)
    if order.duration < limits.load_time_hard:
        least = limits.load_time_hard.s
        yield True, Finding("loading duration", order.duration.s, least, "s", "min")


def _total_findings(
    limits: DrugLimits, in_an_hour: Mass, dose: Mass, weight_g: int, given: Given
) -> _Found:
    for name, more, before, absolute, ug_kg in (
        ("dose within 60 min", in_an_hour, given.hour, limits.hour_hard, limits.hour_hard_ug_kg),
        ("dose of the visit", dose, given.visit, limits.visit_hard, limits.visit_hard_ug_kg),
    ):
        total = before + more
        if total > absolute:
            yield True, Finding(name, total.mg, absolute.mg, "mg")
        if _above_per_kg(total, ug_kg, weight_g):
            yield True, _per_kg_finding(name, total, ug_kg, weight_g)


def _largest_by_totals(limits: DrugLimits, weight_g: int, given: Given) -> Mass:
    return min(
        _left(limits.hour_hard, given.hour),
        _left(per_kg(limits.hour_hard_ug_kg, weight_g), given.hour),
        _left(limits.visit_hard, given.visit),
        _left(per_kg(limits.visit_hard_ug_kg, weight_g), given.visit),
    )


def _above_per_kg(dose: Mass, limit_ug_kg: int, weight_g: int) -> bool:
    return dose.ug * 1_000 > limit_ug_kg * weight_g


def per_kg(ug_kg: int, weight_g: int) -> Mass:
    """``ug_kg`` micrograms per kilogram at this weight, rounded down."""
    return Mass(ug_kg * weight_g // 1_000)


def _left(limit: Mass, used: Mass) -> Mass:
    return Mass(max(0, limit.ug - used.ug))


def _per_kg_finding(name: str, dose: Mass, limit_ug_kg: int, weight_g: int) -> Finding:
    return Finding(name, round(dose.ug / weight_g, 4), limit_ug_kg / 1_000, "mg/kg")
