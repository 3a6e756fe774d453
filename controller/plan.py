"""The plan of a visit: what a procedure file asks for, validated once against the drug library, frozen.

Answerable for refusing, in one line that names file, key, value and limit, everything a procedure
file can get wrong; nothing is corrected and nothing is filled in.  Not answerable for what happens
during the visit.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

from controller.library import (
    NOTHING_GIVEN,
    BolusOrder,
    DrugLimits,
    Library,
    RescueLimits,
    check,
    load_library,
)
from controller.syringe import misnamed, unlikely
from firmware_bridge.quantities import Concentration, Duration, Mass, Volume

RULES = ("multiple", "hold_effect")


class PlanError(ValueError):
    """The procedure file is not usable; the sentence names file, key, value and limit."""

    def __init__(self, file: str, key: str, value: object, limit: str) -> None:
        shown = " ".join(str(value).split())
        super().__init__(f"{file}: {key} = {shown}: {limit}" if key else f"{file}: {limit}")
        self.file = file
        self.key = key
        self.value = value
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Subject:
    """The bench subject: weight in whole grams, age in years, height in whole centimetres."""

    weight_g: int
    age_years: int
    height_cm: int

    @property
    def weight_kg(self) -> float:
        return self.weight_g / 1_000


@dataclass(frozen=True, slots=True)
class Syringe:
    """The syringe and what is in it."""

    name: str
    diameter_um: int
    size: Volume
    loaded: Volume


@dataclass(frozen=True, slots=True)
class Times:
    """How long each phase must or may last, in seconds."""

    before_drug_s_max: float
    baseline_vitals_s: float
    observing_s_min: float
    observing_answer_s: float
    holding_answer_s: float
    recovering_s_min: float
    recovering_s_max: float


@dataclass(frozen=True, slots=True)
class InfusionRule:
    """How the infusion follows from the required dose; ``k_milli`` is k in thousandths."""

    name: str
    k_milli: int
    duration: Duration
    ceiling: Duration


@dataclass(frozen=True, slots=True)
class Plan:
    """A validated procedure; ``limits`` are the library's, narrowed where the file asks for it."""

    name: str
    file: str
    subject: Subject
    drug: str
    concentration: Concentration
    syringe: Syringe
    test_bolus: BolusOrder
    further_min: Mass
    further_max: Mass
    further_duration: Duration
    infusion: InfusionRule
    limits: DrugLimits
    rescue: RescueLimits
    times: Times
    checklist: tuple[tuple[str, str], ...]
    library_version: str
    library_sha256: str
    procedure_sha256: str


def shipped_procedures() -> tuple[str, ...]:
    """The names of the procedures that come with the product, sorted."""
    folder = files("controller") / "data" / "procedures"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir()))


def load_plan(procedure: str, library: Library | None = None) -> Plan:
    """The plan of a shipped procedure (a name) or of a file (a separator or ``.toml`` in it).

    Raises `PlanError`, also for a file that is not there, and `LibraryError`.
    """
    if "/" in procedure or "\\" in procedure or procedure.endswith(".toml"):
        try:
            raw = Path(procedure).read_bytes()
        except OSError as error:
            raise PlanError(procedure, "", "", f"cannot be read: {error.strerror}") from error
    elif procedure in shipped_procedures():
        raw = (files("controller") / "data" / "procedures" / f"{procedure}.toml").read_bytes()
    else:
        names = ", ".join(shipped_procedures())
        raise PlanError(procedure, "", "", f"no such procedure; shipped are: {names}")
    return parse_plan(raw, procedure, library or load_library())


def parse_plan(raw: bytes, file: str, library: Library) -> Plan:
    """The plan in these bytes; raises only `PlanError`."""
    try:
        data = tomllib.loads(raw.decode(), parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise PlanError(file, "", "", f"not a TOML file: {error}") from error
    return _Reader(file, data, library, hashlib.sha256(raw).hexdigest()).plan()


class _Section:
    """One table of the file; hands out each key once, checked, and names what nobody asked for."""

    def __init__(self, file: str, name: str, table: object) -> None:
        if not isinstance(table, dict):
            raise PlanError(file, name, table, "must be a table")
        self.file = file
        self.name = name
        self.table: dict[str, Any] = table
        self.known: list[str] = []

    def fail(self, key: str, limit: str) -> PlanError:
        full = f"{self.name}.{key}" if self.name else key
        return PlanError(self.file, full, self.table.get(key, "(missing)"), limit)

    def _get(self, key: str) -> object:
        self.known.append(key)
        if key not in self.table:
            hint = self._spelt_without_unit(key)
            raise self.fail(key, f"is required{hint}")
        return self.table[key]

    def _spelt_without_unit(self, key: str) -> str:
        near = [other for other in self.table if key.startswith(f"{other}_")]
        return f"; {near[0]} lacks its unit" if near else ""

    def text(self, key: str) -> str:
        value = self._get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(key, "must be text")
        return value

    def number(self, key: str, low: str, high: str, unit: str) -> Decimal:
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.fail(key, f"must be a number, {low} to {high} {unit}")
        exact = Decimal(value)
        if not exact.is_finite() or not Decimal(low) <= exact <= Decimal(high):
            raise self.fail(key, f"must be {low} to {high} {unit}")
        return exact

    def whole(self, key: str, low: int, high: int, unit: str) -> int:
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fail(key, f"must be a whole number, {low} to {high} {unit}")
        return int(self.number(key, str(low), str(high), unit))

    def close(self) -> None:
        """Raises `PlanError` for the first key that no reader asked for."""
        for key in self.table:
            if key not in self.known:
                near = [known for known in self.known if known.startswith(f"{key}_")]
                hint = f"unit missing, write {near[0]}" if near else f"unknown key; {self._all()}"
                raise self.fail(key, hint)

    def _all(self) -> str:
        return f"known are: {', '.join(dict.fromkeys(self.known))}"


class _Reader:
    """Reads the sections of one file into a `Plan`."""

    def __init__(self, file: str, data: dict[str, Any], library: Library, sha256: str) -> None:
        self.file = file
        self.sha256 = sha256
        self.root = _Section(file, "", data)
        self.library = library

    def section(self, name: str) -> _Section:
        self.root.known.append(name)
        if name not in self.root.table:
            raise self.root.fail(name, "this table is required")
        return _Section(self.file, name, self.root.table[name])

    def plan(self) -> Plan:
        name = self.root.text("name")
        subject = self._subject()
        limits, concentration = self._drug()
        syringe = self._syringe()
        limits = self._narrowed(limits)
        bolus = self._test_bolus(limits, subject, concentration, syringe)
        further = self._further(limits)
        infusion = self._infusion()
        times = self._times()
        checklist = self._checklist()
        self.root.close()
        return Plan(
            name=name,
            file=self.file,
            subject=subject,
            drug=limits.drug,
            concentration=concentration,
            syringe=syringe,
            test_bolus=bolus,
            further_min=further[0],
            further_max=further[1],
            further_duration=further[2],
            infusion=infusion,
            limits=limits,
            rescue=self.library.rescue(subject.age_years),
            times=times,
            checklist=checklist,
            library_version=self.library.version,
            library_sha256=self.library.sha256,
            procedure_sha256=self.sha256,
        )

    def _subject(self) -> Subject:
        s = self.section("subject")
        # The range in which the pharmacokinetic sets are used; outside it nothing would be meant.
        weight = s.number("weight_kg", "30", "200", "kg")
        age = s.whole("age_years", 18, 100, "years")
        height = s.number("height_cm", "120", "230", "cm")
        s.close()
        return Subject(int(weight * 1_000), age, int(height))

    def _drug(self) -> tuple[DrugLimits, Concentration]:
        s = self.section("drug")
        name = s.text("name")
        if name not in self.library.drugs:
            known = ", ".join(self.library.drugs)
            raise s.fail("name", f"not in the drug library, which has: {known}")
        limits = self.library.drugs[name]
        value = s.number("concentration_mg_ml", "0.001", "1000", "mg/mL")
        allowed = {c.mg_ml for c in limits.concentrations}
        if value not in {Decimal(str(mg_ml)) for mg_ml in allowed}:
            known = ", ".join(f"{mg_ml:g}" for mg_ml in sorted(allowed))
            raise s.fail("concentration_mg_ml", f"not in the drug library, which has {known} mg/mL")
        s.close()
        return limits, Concentration.from_mg_ml(value)

    def _syringe(self) -> Syringe:
        s = self.section("syringe")
        name = s.text("name")
        diameter = s.number("diameter_mm", "1", "50", "mm")
        size = Volume.from_ml(s.number("size_ml", "0.1", "150", "mL"))
        loaded = Volume.from_ml(s.number("loaded_ml", "0.1", "150", "mL"))
        if loaded > size:
            raise s.fail("loaded_ml", f"must be at most the size, {size}")
        diameter_um = int(diameter * 1_000)
        wrong = misnamed(name, diameter_um, size) or unlikely(diameter_um, size)
        if wrong:
            raise s.fail("diameter_mm", f"with size_ml = {size.ml:g}: {wrong}")
        s.close()
        return Syringe(name, diameter_um, size, loaded)

    def _narrowed(self, limits: DrugLimits) -> DrugLimits:
        self.root.known.append("limits")
        s = _Section(self.file, "limits", self.root.table.get("limits", {}))
        for key, field in (
            ("bolus_dose_mg_max", "bolus_hard"),
            ("test_total_mg_max", "test_total_hard"),
            ("infusion_total_mg_max", "infusion_hard"),
            ("visit_total_mg_max", "visit_hard"),
        ):
            hard: Mass = getattr(limits, field)
            if key in s.table:
                value = Mass.from_mg(s.number(key, "0", f"{hard.mg:g}", "mg (hard limit)"))
                change: dict[str, Any] = {field: value}
                limits = replace(limits, **change)
            s.known.append(key)
        s.close()
        return limits

    def _test_bolus(
        self, limits: DrugLimits, subject: Subject, concentration: Concentration, syringe: Syringe
    ) -> BolusOrder:
        s = self.section("test_bolus")
        order = BolusOrder(
            Mass.from_mg(s.number("dose_mg", "0.1", "1000", "mg")),
            Duration.from_s(s.number("duration_s", "1", "3600", "s")),
        )
        found = check(limits, order, weight_g=subject.weight_g, given=NOTHING_GIVEN)
        for finding in found.hard:
            key = "duration_s" if finding.unit == "s" else "dose_mg"
            raise s.fail(key, f"beyond a hard limit: {finding}")
        if order.dose.at(concentration) > syringe.loaded:
            raise s.fail("dose_mg", f"more than the syringe holds, {syringe.loaded}")
        s.close()
        return order

    def _further(self, limits: DrugLimits) -> tuple[Mass, Mass, Duration]:
        s = self.section("further_dose")
        low, high = f"{limits.further_min.mg:g}", f"{limits.further_max.mg:g}"
        least = Mass.from_mg(s.number("dose_mg_min", low, high, "mg"))
        most = Mass.from_mg(s.number("dose_mg_max", low, high, "mg"))
        if most < least:
            raise s.fail("dose_mg_max", f"must be at least dose_mg_min, {least}")
        shortest = f"{limits.bolus_time_hard.s:g}"
        duration = Duration.from_s(s.number("duration_s", shortest, "3600", "s (hard limit)"))
        s.close()
        return least, most, duration

    def _infusion(self) -> InfusionRule:
        s = self.section("infusion")
        rule = s.text("rule")
        if rule not in RULES:
            raise s.fail("rule", f"must be one of: {', '.join(RULES)}")
        k = s.number("k", "0.1", "10", "times the required dose")
        duration = Duration.from_s(s.number("duration_s", "600", "14400", "s"))
        over = s.number("ceiling_pct", "0", "20", "%")
        s.close()
        ceiling = Duration(int(duration.ms * (100 + over) / 100))
        return InfusionRule(rule, int(k * 1_000), duration, ceiling)

    def _times(self) -> Times:
        s = self.section("times")
        times = Times(
            before_drug_s_max=float(s.number("before_drug_s_max", "60", "7200", "s")),
            baseline_vitals_s=float(s.number("baseline_vitals_s", "10", "1800", "s")),
            observing_s_min=float(s.number("observing_s_min", "60", "3600", "s")),
            observing_answer_s=float(s.number("observing_answer_s", "60", "7200", "s")),
            holding_answer_s=float(s.number("holding_answer_s", "60", "7200", "s")),
            recovering_s_min=float(s.number("recovering_s_min", "3600", "14400", "s")),
            recovering_s_max=float(s.number("recovering_s_max", "3600", "28800", "s")),
        )
        if times.observing_answer_s <= times.observing_s_min:
            raise s.fail("observing_answer_s", "must be longer than observing_s_min")
        if times.recovering_s_max <= times.recovering_s_min:
            raise s.fail("recovering_s_max", "must be longer than recovering_s_min")
        s.close()
        return times

    def _checklist(self) -> tuple[tuple[str, str], ...]:
        s = self.section("checklist")
        items: Mapping[str, Any] = s.table
        if not items:
            raise self.root.fail("checklist", "must have at least one item")
        return tuple((key, s.text(key)) for key in items)
