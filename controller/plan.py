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

from controller.library import Library, RescueLimits, load_library
from controller.limits import (
    NOTHING_GIVEN,
    BolusOrder,
    DrugLimits,
    InfusionOrder,
    LoadOrder,
    check,
    duration_findings,
    per_kg,
)
from controller.plan_parts import InfusionRule, Item, Proposal, Subject, Syringe, Times
from controller.plan_section import PlanError, Section
from controller.syringe import misnamed, unlikely
from firmware_bridge.quantities import Concentration, Duration, Mass, Volume

__all__ = [
    "Item",
    "Plan",
    "PlanError",
    "Proposal",
    "load_plan",
    "parse_plan",
    "shipped_procedures",
]

RULES_AFTER_TEST = ("multiple", "hold_effect")
"""How an infusion follows from test doses."""
RULES_WITHOUT_TEST = ("previous", "per_kg", "rate_per_kg")
"""How it follows from an earlier visit, or from the weight."""
SEXES = ("female", "male")


@dataclass(frozen=True, slots=True)
class Plan:
    """A validated procedure; ``limits`` are the library's, narrowed where the file asks for it.

    Without a test dose (``test_bolus`` of nothing) the infusion follows the baseline, or the load where
    there is one.  ``previous`` is what an earlier visit proposes, for the rule of that name.
    """

    name: str
    file: str
    subject: Subject
    drug: str
    profile: str
    concentration: Concentration
    syringe: Syringe
    test_bolus: BolusOrder
    further_min: Mass
    further_max: Mass
    further_duration: Duration
    load: LoadOrder | None
    infusion: InfusionRule
    limits: DrugLimits
    rescue: RescueLimits
    times: Times
    checklist: tuple[Item, ...]
    instructions: tuple[str, ...]
    library_version: str
    library_sha256: str
    procedure_sha256: str
    """Of the procedure file's bytes, as they were read."""
    previous: Proposal | None = None

    @property
    def has_test_dose(self) -> bool:
        """Whether a test dose finds out what the subject needs."""
        return self.test_bolus.dose > Mass(0)

    @property
    def dosing_weight_g(self) -> int:
        """The weight that doses and limits are reckoned with."""
        return self.subject.ideal_weight_g if self.limits.ideal_weight else self.subject.weight_g

    @property
    def planned_dose(self) -> Mass | None:
        """What a rule by weight comes to; None where the dose follows from something else."""
        rule = self.infusion
        if rule.name == "per_kg":
            return per_kg(rule.ug_kg, self.dosing_weight_g)
        if rule.name == "rate_per_kg":
            return per_kg(rule.ug_kg, self.dosing_weight_g).times(rule.duration.ms, 3_600_000)
        return None

    @property
    def distress(self) -> str:
        """What ends delivery for good: anxiety, or toxicity where its signs are asked for."""
        return "toxicity" if self.limits.signs else "anxiety"


NO_BOLUS = BolusOrder(Mass(0), Duration(0))


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


class _Reader:
    """Reads the sections of one file into a `Plan`."""

    def __init__(self, file: str, data: dict[str, Any], library: Library, sha256: str) -> None:
        self.file = file
        self.sha256 = sha256
        self.root = Section(file, "", data)
        self.library = library

    def section(self, name: str) -> Section:
        self.root.known.append(name)
        if name not in self.root.table:
            raise self.root.fail(name, "this table is required")
        return Section(self.file, name, self.root.table[name])

    def plan(self) -> Plan:
        name = self.root.text("name")
        limits, concentration = self._drug()
        subject = self._subject(limits)
        syringe = self._syringe()
        limits = self._narrowed(limits)
        tested = limits.bolus_hard > Mass(0) and "test_bolus" in self.root.table
        bolus, further = NO_BOLUS, (Mass(0), Mass(0), Duration(0))
        if tested:
            bolus = self._test_bolus(limits, subject, concentration, syringe)
            further = self._further(limits)
        infusion = self._infusion(tested=tested)
        times = self._times(limits, tested=tested)
        plan = Plan(
            name=name,
            file=self.file,
            subject=subject,
            drug=limits.drug,
            profile=limits.profile,
            concentration=concentration,
            syringe=syringe,
            test_bolus=bolus,
            further_min=further[0],
            further_max=further[1],
            further_duration=further[2],
            load=None,
            infusion=infusion,
            limits=limits,
            rescue=self.library.rescue(
                limits.drug, age_years=subject.age_years, weight_kg=subject.weight_kg
            ),
            times=times,
            checklist=self._checklist(),
            instructions=self._instructions(),
            library_version=self.library.version,
            library_sha256=self.library.sha256,
            procedure_sha256=self.sha256,
        )
        if not tested:
            plan = self._by_weight(self._with_load(plan))
        self.root.close()
        return plan

    def _with_load(self, plan: Plan) -> Plan:
        """The plan with its load, which is optional where the library has limits for one."""
        for key in ("test_bolus", "further_dose"):
            self.root.refuse(key, f"{plan.drug} has no test dose")
        if "load" not in self.root.table:
            return plan
        s = self.section("load")
        most = plan.limits.load_hard_ug_kg / 1_000
        ug_kg = Mass.from_mg(s.number("dose_mg_per_kg", "0", f"{most:g}", "mg/kg (hard limit)")).ug
        least = f"{plan.limits.load_time_hard.s:g}"
        duration = Duration.from_s(s.number("duration_s", least, "3600", "s (hard limit)"))
        s.close()
        load = LoadOrder(per_kg(ug_kg, plan.dosing_weight_g), duration)
        return replace(plan, load=load if load.dose > Mass(0) else None)

    def _by_weight(self, plan: Plan) -> Plan:
        """Refuse what the weight makes too much before anything is started."""
        weight_g, rule = plan.dosing_weight_g, plan.infusion
        limits = plan.limits
        if weight_g < limits.weight_g_min:
            shown, least = weight_g / 1_000, limits.weight_g_min / 1_000
            why = f"{shown:g} kg counts, which must be at least {least:g} kg (hard limit)"
            raise PlanError(self.file, "subject.weight_kg", plan.subject.weight_kg, why)
        found = duration_findings(limits, plan.planned_dose or Mass(0), rule.duration, weight_g)
        if found:
            why = f"beyond a hard limit: {found[0]}"
            raise PlanError(self.file, "infusion.duration_s", rule.duration.s, why)
        dose = plan.planned_dose
        if dose is None:
            return plan
        volume = dose.at(plan.concentration)
        order = InfusionOrder(dose, volume.over(rule.duration), plan.concentration)
        hard = check(limits, order, weight_g=weight_g, given=NOTHING_GIVEN).hard
        key = "infusion.dose_mg_per_kg" if rule.name == "per_kg" else "infusion.rate_mg_per_kg_h"
        if hard:
            why = f"beyond a hard limit: {hard[0]}"
            raise PlanError(self.file, key, rule.ug_kg / 1_000, why)
        load = Volume(0) if plan.load is None else plan.load.dose.at(plan.concentration)
        if volume + load > plan.syringe.loaded:
            why = f"more than the syringe holds, {plan.syringe.loaded}"
            raise PlanError(self.file, key, rule.ug_kg / 1_000, why)
        return plan

    def _subject(self, limits: DrugLimits) -> Subject:
        s = self.section("subject")
        # The range in which the pharmacokinetic sets are used; outside it nothing would be meant.
        weight = s.number("weight_kg", "30", "200", "kg")
        age = s.whole("age_years", 18, 100, "years")
        height = s.number("height_cm", "120", "230", "cm")
        sex = s.choice("sex", SEXES) if limits.ideal_weight or "sex" in s.table else ""
        s.close()
        return Subject(int(weight * 1_000), age, int(height), sex)

    def _drug(self) -> tuple[DrugLimits, Concentration]:
        s = self.section("drug")
        name = s.text("name")
        if name not in self.library.names:
            known = ", ".join(self.library.names)
            raise s.fail("name", f"not in the drug library, which has: {known}")
        profiles, profile = self.library.profiles(name), ""
        if profiles == ("",):
            s.refuse("profile", f"{name} has no profiles")
        else:
            # Their limits conflict: none of them is a default, and a visit has one.
            profile = s.choice("profile", profiles)
        limits = self.library.drugs[name, profile]
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
        s = Section(self.file, "limits", self.root.table.get("limits", {}))
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

    def _infusion(self, *, tested: bool) -> InfusionRule:
        s = self.section("infusion")
        rule = s.choice("rule", RULES_AFTER_TEST if tested else RULES_WITHOUT_TEST)
        k, amount = Decimal(0), Decimal(0)
        if tested:
            k = s.number("k", "0.1", "10", "times the required dose")
        elif rule == "per_kg":
            amount = s.number("dose_mg_per_kg", "0.1", "100", "mg/kg")
        elif rule == "rate_per_kg":
            amount = s.number("rate_mg_per_kg_h", "0.1", "100", "mg/kg/h")
        duration = Duration.from_s(s.number("duration_s", "600", "86400", "s"))
        over = s.number("ceiling_pct", "0", "20", "%")
        s.close()
        ceiling = Duration(int(duration.ms * (100 + over) / 100))
        return InfusionRule(rule, int(k * 1_000), duration, ceiling, Mass.from_mg(amount).ug)

    def _times(self, limits: DrugLimits, *, tested: bool) -> Times:
        s = self.section("times")
        observing = float(s.number("observing_s_min", "60", "3600", "s")) if tested else 0.0
        asked = bool(limits.signs)
        times = Times(
            before_drug_s_max=float(s.number("before_drug_s_max", "60", "7200", "s")),
            baseline_vitals_s=float(s.number("baseline_vitals_s", "10", "1800", "s")),
            observing_s_min=observing,
            observing_answer_s=float(s.number("observing_answer_s", "60", "7200", "s")),
            holding_answer_s=float(s.number("holding_answer_s", "60", "7200", "s")),
            recovering_s_min=float(s.number("recovering_s_min", "3600", "14400", "s")),
            recovering_s_max=float(s.number("recovering_s_max", "3600", "28800", "s")),
            signs_every_s=float(s.number("signs_every_s", "60", "900", "s")) if asked else 0.0,
            signs_answer_s=float(s.number("signs_answer_s", "15", "300", "s")) if asked else 0.0,
        )
        if times.observing_answer_s <= times.observing_s_min:
            raise s.fail("observing_answer_s", "must be longer than observing_s_min")
        if times.recovering_s_max <= times.recovering_s_min:
            raise s.fail("recovering_s_max", "must be longer than recovering_s_min")
        s.close()
        return times

    def _checklist(self) -> tuple[Item, ...]:
        s = self.section("checklist")
        items: Mapping[str, Any] = s.table
        if not items:
            raise self.root.fail("checklist", "must have at least one item")
        return tuple(self._item(s, key, value) for key, value in items.items())

    def _item(self, s: Section, key: str, value: object) -> Item:
        """A sentence, or a table of ``text`` and ``role``."""
        if not isinstance(value, dict):
            return Item(key, s.text(key))
        s.known.append(key)
        item = Section(self.file, f"checklist.{key}", value)
        found = Item(key, item.text("text"), item.text("role"))
        item.close()
        return found

    def _instructions(self) -> tuple[str, ...]:
        self.root.known.append("discharge")
        s = Section(self.file, "discharge", self.root.table.get("discharge", {}))
        found = s.texts("instructions")
        s.close()
        return found
