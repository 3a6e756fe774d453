"""The drug library: soft and hard limits, and which of them an order would exceed.

Illustrative bench values, never for patients.  Answerable for comparing an order, together with what
was given before, with every limit there is, exactly (integers only); each finding names quantity,
value, limit and unit, and several limits give several findings.  Not answerable for asking anybody
(procedure) nor for what reaches the wire (gate).
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from typing import Any

from firmware_bridge.quantities import Concentration, Duration, Mass, Number, Rate

_UG_H_SCALE = 1_000_000  # (nL/h) * (ug/mL) = 10^-6 ug/h


class LibraryError(ValueError):
    """The drug library is damaged; nothing may start."""


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
    """A vital sign outside ``low``..``high`` for ``for_s`` seconds counts; ``action`` hold or warn."""

    key: str
    low: float
    high: float
    for_s: float
    action: str


@dataclass(frozen=True, slots=True)
class DrugLimits:
    """The limits of one drug.  Fields per kilogram are integers, micrograms per kilogram (per hour)."""

    drug: str
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


@dataclass(frozen=True, slots=True)
class RescueLimits:
    """What the clinician is prompted with for midazolam at the subject's age."""

    step: Mass
    first: Mass
    total: Mass
    step_every: Duration
    proposed: Mass


@dataclass(frozen=True, slots=True)
class Library:
    """The whole library, with the version and the hash of the file it came from."""

    version: str
    sha256: str
    drugs: Mapping[str, DrugLimits]
    midazolam: Mapping[str, Decimal]

    def rescue(self, age_years: int) -> RescueLimits:
        """The midazolam limits for this age; the label changes them at 60 years."""
        m = self.midazolam
        every = Duration.from_s(m["step_every_s_min"])
        if age_years < m["age_years_split"]:
            step = Mass.from_mg(m["under_step_mg_max"])
            total = Mass.from_mg(m["under_total_mg_max"])
            return RescueLimits(step, step, total, every, Mass.from_mg(m["under_proposed_mg"]))
        first = Mass.from_mg(m["from_first_mg_max"])
        total = Mass.from_mg(m["from_total_mg_max"])
        return RescueLimits(
            Mass.from_mg(m["from_step_mg_max"]),
            first,
            total,
            every,
            Mass.from_mg(m["from_proposed_mg"]),
        )


@dataclass(frozen=True, slots=True)
class BolusOrder:
    """A dose to be given within a minute or so."""

    dose: Mass
    duration: Duration


@dataclass(frozen=True, slots=True)
class InfusionOrder:
    """A dose to be given slowly, at a constant rate."""

    dose: Mass
    rate: Rate
    concentration: Concentration


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


def check(
    limits: DrugLimits, order: BolusOrder | InfusionOrder, *, weight_g: int, given: Given
) -> Findings:
    """Everything this order would exceed, on top of what was given before."""
    if isinstance(order, BolusOrder):
        found = [*_bolus_findings(limits, order, weight_g, given)]
    else:
        found = [*_infusion_findings(limits, order, weight_g)]
    found += _total_findings(limits, order.dose, weight_g, given)
    soft = tuple(finding for hard, finding in found if not hard)
    return Findings(soft, tuple(finding for hard, finding in found if hard))


def largest_bolus(limits: DrugLimits, *, weight_g: int, given: Given) -> Mass:
    """The largest bolus that no hard limit forbids now (rounded down; nothing if used up)."""
    return min(
        limits.bolus_hard,
        _per_kg(limits.bolus_hard_ug_kg, weight_g),
        _left(limits.test_total_hard, given.test),
        _largest_by_totals(limits, weight_g, given),
    )


def largest_infusion(
    limits: DrugLimits, *, weight_g: int, duration: Duration, given: Given
) -> Mass:
    """The largest dose that no hard limit forbids to infuse over ``duration`` (rounded down)."""
    by_rate = _per_kg(limits.rate_hard_ug_kg_h, weight_g).times(duration.ms, 3_600_000)
    return min(
        by_rate,
        limits.infusion_hard,
        _per_kg(limits.infusion_hard_ug_kg, weight_g),
        _largest_by_totals(limits, weight_g, given),
    )


def largest_soft_infusion(limits: DrugLimits, *, weight_g: int, duration: Duration) -> Mass:
    """The largest dose over ``duration`` that needs no second confirmation (rounded down)."""
    by_rate = _per_kg(limits.rate_soft_ug_kg_h, weight_g).times(duration.ms, 3_600_000)
    return min(by_rate, _per_kg(limits.infusion_soft_ug_kg, weight_g))


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
    for hard, limit in ((True, limits.rate_hard_ug_kg_h), (False, limits.rate_soft_ug_kg_h)):
        ug_h = order.rate.nl_h * order.concentration.ug_ml  # in 10^-6 ug/h
        if ug_h * 1_000 > limit * weight_g * _UG_H_SCALE:
            value = ug_h / _UG_H_SCALE / weight_g
            yield hard, Finding("infusion rate", value, limit / 1_000, "mg/kg/h")
    for hard, limit in ((True, limits.infusion_hard_ug_kg), (False, limits.infusion_soft_ug_kg)):
        if _above_per_kg(order.dose, limit, weight_g):
            yield hard, _per_kg_finding("infusion dose", order.dose, limit, weight_g)
    if order.dose > limits.infusion_hard:
        yield True, Finding("infusion dose", order.dose.mg, limits.infusion_hard.mg, "mg")


def _total_findings(limits: DrugLimits, dose: Mass, weight_g: int, given: Given) -> _Found:
    for name, before, absolute, per_kg in (
        ("dose within 60 min", given.hour, limits.hour_hard, limits.hour_hard_ug_kg),
        ("dose of the visit", given.visit, limits.visit_hard, limits.visit_hard_ug_kg),
    ):
        total = before + dose
        if total > absolute:
            yield True, Finding(name, total.mg, absolute.mg, "mg")
        if _above_per_kg(total, per_kg, weight_g):
            yield True, _per_kg_finding(name, total, per_kg, weight_g)


def _largest_by_totals(limits: DrugLimits, weight_g: int, given: Given) -> Mass:
    return min(
        _left(limits.hour_hard, given.hour),
        _left(_per_kg(limits.hour_hard_ug_kg, weight_g), given.hour),
        _left(limits.visit_hard, given.visit),
        _left(_per_kg(limits.visit_hard_ug_kg, weight_g), given.visit),
    )


def _above_per_kg(dose: Mass, limit_ug_kg: int, weight_g: int) -> bool:
    return dose.ug * 1_000 > limit_ug_kg * weight_g


def _per_kg(limit_ug_kg: int, weight_g: int) -> Mass:
    return Mass(limit_ug_kg * weight_g // 1_000)


def _left(limit: Mass, used: Mass) -> Mass:
    return Mass(max(0, limit.ug - used.ug))


def _per_kg_finding(name: str, dose: Mass, limit_ug_kg: int, weight_g: int) -> Finding:
    return Finding(name, round(dose.ug / weight_g, 4), limit_ug_kg / 1_000, "mg/kg")


# --- loading --------------------------------------------------------------------------------------


def load_library() -> Library:
    """The shipped library; raises `LibraryError` if it is damaged."""
    return parse_library((files("controller") / "data" / "drug_library.toml").read_bytes())


def parse_library(raw: bytes) -> Library:
    """The library in these bytes; raises only `LibraryError`."""
    try:
        data = tomllib.loads(raw.decode(), parse_float=Decimal)
        drugs = {
            name: _limits(name, table) for name, table in data.items() if _is_drug(name, table)
        }
        midazolam = {key: Decimal(value) for key, value in data["midazolam"].items()}
        library = Library(str(data["version"]), hashlib.sha256(raw).hexdigest(), drugs, midazolam)
        for age_years in (0, 120):
            library.rescue(age_years)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise LibraryError(f"drug library: {error!r}") from error
    return library


def _is_drug(name: str, table: object) -> bool:
    return isinstance(table, dict) and name != "midazolam"


def _ug(value: Number) -> int:
    return Mass.from_mg(value).ug


def _limits(drug: str, table: dict[str, Any]) -> DrugLimits:
    bolus, infusion, visit = table["bolus"], table["infusion"], table["visit"]
    return DrugLimits(
        drug=drug,
        concentrations=tuple(map(Concentration.from_mg_ml, table["concentrations_mg_ml"])),
        bolus_soft=Mass.from_mg(bolus["dose_mg_soft_max"]),
        bolus_hard=Mass.from_mg(bolus["dose_mg_hard_max"]),
        bolus_hard_ug_kg=_ug(bolus["dose_mg_per_kg_hard_max"]),
        bolus_time_soft=Duration.from_s(bolus["duration_s_soft_min"]),
        bolus_time_hard=Duration.from_s(bolus["duration_s_hard_min"]),
        bolus_interval_soft=Duration.from_s(bolus["interval_s_soft_min"]),
        further_min=Mass.from_mg(bolus["further_dose_mg_min"]),
        further_max=Mass.from_mg(bolus["further_dose_mg_max"]),
        test_total_hard=Mass.from_mg(bolus["test_total_mg_hard_max"]),
        rate_soft_ug_kg_h=_ug(infusion["rate_mg_per_kg_h_soft_max"]),
        rate_hard_ug_kg_h=_ug(infusion["rate_mg_per_kg_h_hard_max"]),
        infusion_soft_ug_kg=_ug(infusion["total_mg_per_kg_soft_max"]),
        infusion_hard_ug_kg=_ug(infusion["total_mg_per_kg_hard_max"]),
        infusion_hard=Mass.from_mg(infusion["total_mg_hard_max"]),
        hour_hard_ug_kg=_ug(visit["hour_mg_per_kg_hard_max"]),
        hour_hard=Mass.from_mg(visit["hour_mg_hard_max"]),
        visit_hard_ug_kg=_ug(visit["visit_mg_per_kg_hard_max"]),
        visit_hard=Mass.from_mg(visit["visit_mg_hard_max"]),
        vitals=tuple(map(_vital, table["vitals"])),
        data_age_s_max=float(table["monitoring"]["data_age_s_max"]),
        nibp_age_s_max=float(table["monitoring"]["nibp_age_s_max"]),
    )


def _vital(row: dict[str, Any]) -> VitalLimit:
    if row["action"] not in {"hold", "warn"}:
        raise LibraryError(f"vitals {row['key']}: action {row['action']!r} is not hold or warn")
    low, high = float(row.get("low", 0)), float(row.get("high", 1e9))
    return VitalLimit(row["key"], low, high, float(row["for_s"]), row["action"])
