"""The drug library: the figures of every drug, and what a rescue is prompted with.

Illustrative bench values, never for patients.  Answerable for reading ``data/drug_library.toml`` whole
or not at all, with its version and its hash.  What the limits mean is in `limits`.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from typing import Any

from controller.alarms import ALARMS
from controller.limits import DrugLimits, Sign, VitalLimit
from firmware_bridge.quantities import Concentration, Duration, Mass, Number

_NOT_DRUGS = frozenset({"rescue"})


class LibraryError(ValueError):
    """The drug library is damaged; nothing may start."""


@dataclass(frozen=True, slots=True)
class RescueLimits:
    """What the clinician is prompted with: one drug at the age, or the weight, of the subject.

    Amounts are in ``unit``; ``key`` is what they are called where they are asked for and recorded.  The
    soft figures are the usual ones, the others are as far as a record may go.  ``vitals`` are watched
    from the first dose on.
    """

    drug: str
    key: str
    unit: str
    smallest: float
    soft_step: float
    soft_total: float
    first: float
    step: float
    total: float
    step_every_s: float
    proposed: float
    basis: str
    vitals: tuple[VitalLimit, ...]

    def largest(self, given: float, doses: int) -> float:
        """The largest next dose after ``doses`` doses that came to ``given``; 0 where none is left."""
        most = min(self.step if doses else self.first, round(self.total - given, 6))
        return most if most >= self.smallest else 0.0


@dataclass(frozen=True, slots=True)
class Library:
    """The whole library, with the version and the hash of the file it came from.

    ``drugs`` are found by name and profile; the profile is empty where a drug has only one.
    """

    version: str
    sha256: str
    drugs: Mapping[tuple[str, str], DrugLimits]
    rescues: Mapping[str, Mapping[str, Any]]

    @property
    def names(self) -> tuple[str, ...]:
        """The drugs in it."""
        return tuple(dict.fromkeys(name for name, _ in self.drugs))

    def profiles(self, drug: str) -> tuple[str, ...]:
        """The profiles of a drug; one empty name where it has no choice of them."""
        return tuple(profile for name, profile in self.drugs if name == drug)

    def rescue(self, drug: str, *, age_years: int, weight_kg: float) -> RescueLimits:
        """What a rescue from this drug is prompted with; for midazolam the age decides."""
        name, table = next(
            (name, table) for name, table in self.rescues.items() if drug in table["for_drugs"]
        )
        bands = table["bands"]
        band = next(b for b in bands if age_years < b["age_years_below"])
        first = band is bands[0]
        weight = Decimal(str(weight_kg)) if band.get("per_kg") else Decimal(1)
        if band.get("per_kg"):
            basis = f"at {weight_kg:g} kg"
        else:
            edge = bands[0]["age_years_below"]
            basis = f"at {age_years} years ({'under' if first else 'not under'} {edge})"

        def amount(key: str) -> float:
            return float(band[key] * weight)

        unit = str(table["unit"])
        return RescueLimits(
            drug=str(table.get("name", name)),
            key=f"{name}_{unit.lower()}",
            unit=unit,
            smallest=float(table["smallest"]),
            soft_step=amount("soft_step"),
            soft_total=amount("soft_total"),
            first=amount("first_max"),
            step=amount("step_max"),
            total=amount("total_max"),
            step_every_s=float(table["step_every_s_min"]),
            proposed=amount("proposed"),
            basis=basis,
            vitals=tuple(_vital({**row, "action": "watch"}) for row in table.get("vitals", ())),
        )


# --- loading --------------------------------------------------------------------------------------


def load_library() -> Library:
    """The shipped library; raises `LibraryError` if it is damaged."""
    return parse_library((files("controller") / "data" / "drug_library.toml").read_bytes())


def parse_library(raw: bytes) -> Library:
    """The library in these bytes; raises only `LibraryError`."""
    try:
        data = tomllib.loads(raw.decode(), parse_float=Decimal)
        drugs = {
            (limits.drug, limits.profile): limits
            for name, table in data.items()
            if isinstance(table, dict) and name not in _NOT_DRUGS
            for limits in _all_limits(name, table)
        }
        library = Library(
            str(data["version"]), hashlib.sha256(raw).hexdigest(), drugs, data["rescue"]
        )
        for drug in library.names:
            for age_years in (0, 120):
                library.rescue(drug, age_years=age_years, weight_kg=70.0)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ArithmeticError,
        StopIteration,
        IndexError,
    ) as error:
        raise LibraryError(f"drug library: {error!r}") from error
    return library


def _all_limits(drug: str, table: dict[str, Any]) -> list[DrugLimits]:
    profiles: Mapping[str, dict[str, Any]] = table.get("profiles", {"": {}})
    return [_limits(drug, profile, {**table, **own}) for profile, own in profiles.items()]


def _ug(value: Number) -> int:
    return Mass.from_mg(value).ug


_NO_BOLUS: Mapping[str, Number] = {
    "dose_mg_soft_max": 0,
    "dose_mg_hard_max": 0,
    "dose_mg_per_kg_hard_max": 0,
    "duration_s_soft_min": 0,
    "duration_s_hard_min": 0,
    "interval_s_soft_min": 0,
    "further_dose_mg_min": 0,
    "further_dose_mg_max": 0,
    "test_total_mg_hard_max": 0,
}
"""A drug that is not given as a bolus: nothing of it may be."""


def _limits(drug: str, profile: str, table: dict[str, Any]) -> DrugLimits:
    bolus, infusion, visit = table.get("bolus", _NO_BOLUS), table["infusion"], table["visit"]
    load = table.get("load", {"dose_mg_per_kg_hard_max": 0, "duration_s_hard_min": 0})
    rate_hard = infusion.get("rate_mg_h_hard_max")
    return DrugLimits(
        drug=drug,
        profile=profile,
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
        load_hard_ug_kg=_ug(load["dose_mg_per_kg_hard_max"]),
        load_time_hard=Duration.from_s(load["duration_s_hard_min"]),
        ideal_weight=bool(table.get("ideal_weight", False)),
        weight_g_min=int(table.get("weight_kg_hard_min", 0) * 1_000),
        rate_hard=None if rate_hard is None else Mass.from_mg(rate_hard),
        infusion_time_hard=Duration.from_s(infusion["duration_s_hard_min"]),
        infusion_time_above_soft_hard=Duration.from_s(infusion["duration_s_above_soft_hard_min"]),
        infusion_time_max=Duration.from_s(infusion["duration_s_hard_max"]),
        signs=tuple(
            Sign(str(row["key"]), str(row["text"]), bool(row["severe"]))
            for row in table.get("signs", ())
        ),
    )


def _vital(row: dict[str, Any]) -> VitalLimit:
    if row["action"] not in {"hold", "warn", "watch"}:
        raise LibraryError(f"vitals {row['key']}: action {row['action']!r} is not hold or warn")
    low, high = float(row.get("low", 0)), float(row.get("high", 1e9))
    limit = VitalLimit(row["key"], low, high, float(row["for_s"]), row["action"])
    if limit.alarm_id not in ALARMS:
        raise LibraryError(f"vitals {limit.key}: there is no alarm {limit.alarm_id}")
    return limit
