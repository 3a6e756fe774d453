"""One simulated first ketamine visit of the patient alone, and what published doses do to many of them.

Doses follow the shipped procedure: a test dose, time to look, further doses up to the limit, then the
multiple of the required dose, or midazolam for whoever is anxious.  No controller and no pump.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cache

import numpy as np

from controller.cli.options import existing_plan
from controller.plan import Plan
from sim.chance import Normals
from sim.drug_models import parameter_set
from sim.patient import INJECTION_S, Patient
from sim.pharmacokinetics import Kinetics
from sim.population import Population, draws_of

PROCEDURE = "ketamine-first-visit"
AGE_YEARS, HEIGHT_CM = 40.0, 170.0
STEP_S = 5
INFUSED = ("dissociation", "analgesia")
"""The responses after which the procedure goes on to the infusion."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One first visit: what the first dose and all test doses were answered with, and what came of it.

    ``midazolam_mg`` also of those who were anxious during the infusion only.
    """

    weight_kg: float
    first: str
    response: str
    test_mg: float
    infusion_mg: float
    midazolam_mg: float
    peak_mmhg: float
    """Highest rise of systolic pressure, without noise."""


@dataclass(frozen=True, slots=True)
class Rises:
    """What published doses do to the same people: 0.5 mg/kg over 40 min, and 10 mg over 60 s."""

    sbp_mmhg: float
    dbp_mmhg: float
    hr_bpm: float
    sbp_90_min_later_mmhg: float
    plasma_at_2_min_ng_ml: float
    plasma_gsd: float
    plasma_at_40_min_ng_ml: float


@cache
def plan() -> Plan:
    """The shipped procedure."""
    return existing_plan(PROCEDURE)


def weight_of(seed: int) -> float:
    """Normal, 78 kg with an SD of 15 kg, clipped to 45 to 130 kg; our choice."""
    normals = Normals(random.Random(f"{seed}:subject").random)
    return max(45.0, min(130.0, 78.0 + 15.0 * normals()))


def first_visit(seed: int) -> Visit:
    """The visit of the patient with this seed."""
    weight_kg = weight_of(seed)
    one = Patient(
        parameter_set("ketamine", age_years=AGE_YEARS),
        weight_kg=weight_kg,
        age_years=AGE_YEARS,
        height_cm=HEIGHT_CM,
        draw=random.Random(f"{seed}:patient").random,
    )
    orders = plan()
    looking = round(orders.times.observing_s_min)
    given_mg = orders.test_bolus.dose.ug / 1e3
    rises = [_give(one, given_mg, _seconds(orders.test_bolus.duration.ms), looking)]
    first, further_mg = one.response, orders.further_min.ug / 1e3
    while one.response == "nothing" and given_mg < orders.limits.test_total_hard.ug / 1e3:
        rises.append(_give(one, further_mg, _seconds(orders.further_duration.ms), looking))
        given_mg += further_mg
    response, infusion_mg, midazolam_mg = one.response, 0.0, 0.0
    if response in INFUSED:
        infusion_mg = orders.infusion.k_milli / 1e3 * given_mg
        rises.append(_give(one, infusion_mg, _seconds(orders.infusion.duration.ms), 0))
    if one.response == "anxiety":
        midazolam_mg = _rescue(one)
    return Visit(weight_kg, first, response, given_mg, infusion_mg, midazolam_mg, max(rises))


def _give(one: Patient, mg: float, over_s: int, then_s: int) -> float:
    """Give evenly and look afterwards; returns the highest rise of systolic pressure.

    It ends at once when somebody is anxious: no more ketamine.
    """
    start, rest = round(one.now_s), one.person.rest.sbp_mmhg
    highest = 0.0
    for second in range(STEP_S, over_s + then_s + 1, STEP_S):
        one.advance_to(float(start + second), mg * 1000 * STEP_S / over_s * (second <= over_s))
        highest = max(highest, one.settled_vitals().sbp_mmhg - rest)
        if one.response == "anxiety":
            break
    return highest


def _rescue(one: Patient) -> float:
    """Midazolam in the doses and at the intervals that the procedure proposes, while anxiety lasts."""
    limits, given_mg = plan().rescue, 0.0
    while one.signs.anxious and given_mg + limits.proposed <= limits.total:
        one.give_midazolam(limits.proposed)
        given_mg += limits.proposed
        one.advance_to(one.now_s + INJECTION_S + limits.step_every_s)
    return given_mg


def _seconds(ms: int) -> int:
    return ms // 1000


def rises_of(seed: int, count: int) -> Rises:
    """The published situations, in the same people."""
    weights = np.array([weight_of(one) for one in range(seed, seed + count)])
    chosen = parameter_set("ketamine", age_years=AGE_YEARS)

    def people() -> Population:
        return Population(chosen, draws_of(seed, count), weight_kg=weights, age_years=AGE_YEARS)

    bolus, infused = people(), people()
    bolus.advance_to(60.0, 10_000.0)
    bolus.advance_to(120.0)
    logs = np.log(bolus.drug.plasma_ng_ml)
    infused.advance_to(2400.0, 500.0 * weights)
    before, after = infused.rest(), infused.settled_vitals()
    plasma = float(infused.drug.plasma_ng_ml.mean())
    infused.advance_to(2400.0 + 5400.0)
    later = infused.settled_vitals()
    return Rises(
        sbp_mmhg=float((after["sbp_mmhg"] - before["sbp_mmhg"]).mean()),
        dbp_mmhg=float((after["dbp_mmhg"] - before["dbp_mmhg"]).mean()),
        hr_bpm=float((after["hr_bpm"] - before["hr_bpm"]).mean()),
        sbp_90_min_later_mmhg=float((later["sbp_mmhg"] - before["sbp_mmhg"]).mean()),
        plasma_at_2_min_ng_ml=math.exp(float(logs.mean())),
        plasma_gsd=math.exp(float(logs.std())),
        plasma_at_40_min_ng_ml=plasma,
    )


def typical_at_2_min() -> float:
    """Plasma (ng/mL) of the typical person of 70 kg, 2 min after 10 mg over 60 s began."""
    chosen = parameter_set("ketamine", age_years=AGE_YEARS)
    body = Kinetics(chosen.compartments(weight_kg=70.0, age_years=AGE_YEARS))
    body.advance(60.0, 10.0)
    body.advance(60.0)
    return body.plasma_ng_ml
