"""500 simulated first ketamine visits, beside the published figures that the patient was made from.

The patient alone: doses follow the procedure (10 mg over 60 s, 10 min of looking, one or two further
doses, 2.5 times the required dose over 45 min), without controller and pump.  How often each branch
occurs is illustrative: clinical frequencies are not published.

    python -m hil_tests.bench.first_visits [VISITS]

Bench and simulation only.
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

import numpy as np

from sim.chance import Normals
from sim.drug_models import parameter_set
from sim.effects import RESPONSES
from sim.patient import Patient
from sim.pharmacokinetics import Kinetics
from sim.population import Population, draws_of

AGE_YEARS, HEIGHT_CM = 40.0, 170.0
STEP_S = 5
TEST_MG, TEST_S, LOOK_S = 10.0, 60, 600
FURTHER_MG, TEST_TOTAL_MG_MAX = 5.0, 20.0
RULE_K, INFUSION_S = 2.5, 2700


@dataclass(frozen=True, slots=True)
class Visit:
    """One first visit: what the first dose and all test doses were answered with, and what came of it."""

    weight_kg: float
    first: str
    response: str
    test_mg: float
    infusion_mg: float
    peak_mmhg: float
    """Highest rise of systolic pressure, without noise."""


@dataclass(frozen=True, slots=True)
class Rises:
    """What 0.5 mg/kg over 40 min does to the same people, and 10 mg over 60 s; means."""

    sbp_mmhg: float
    dbp_mmhg: float
    hr_bpm: float
    plasma_at_2_min_ng_ml: float
    plasma_at_40_min_ng_ml: float


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
    given_mg, first = TEST_MG, ""
    rises = [_give(one, TEST_MG, TEST_S, LOOK_S)]
    first = one.response
    while one.response == "nothing" and given_mg < TEST_TOTAL_MG_MAX:
        rises.append(_give(one, FURTHER_MG, TEST_S, LOOK_S))
        given_mg += FURTHER_MG
    response, infusion_mg = one.response, 0.0
    if response in ("dissociation", "analgesia"):
        infusion_mg = RULE_K * given_mg
        rises.append(_give(one, infusion_mg, INFUSION_S, 0))
    return Visit(weight_kg, first, response, given_mg, infusion_mg, max(rises))


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


def rises_of(seed: int, count: int) -> Rises:
    """The published situations, in the same people."""
    weights = np.array([weight_of(one) for one in range(seed, seed + count)])
    chosen = parameter_set("ketamine", age_years=AGE_YEARS)

    def people() -> Population:
        return Population(chosen, draws_of(seed, count), weight_kg=weights, age_years=AGE_YEARS)

    bolus, infused = people(), people()
    bolus.advance_to(60.0, 10_000.0)
    bolus.advance_to(120.0)
    infused.advance_to(2400.0, 500.0 * weights)
    before, after = infused.rest(), infused.settled_vitals()
    sbp, dbp, pulse = (
        float((after[key] - before[key]).mean()) for key in ("sbp_mmhg", "dbp_mmhg", "hr_bpm")
    )
    return Rises(
        sbp,
        dbp,
        pulse,
        math.exp(float(np.log(bolus.drug.plasma_ng_ml).mean())),
        float(infused.drug.plasma_ng_ml.mean()),
    )


def typical_at_2_min() -> float:
    """Plasma (ng/mL) of the typical person of 70 kg, 2 min after 10 mg over 60 s began."""
    chosen = parameter_set("ketamine", age_years=AGE_YEARS)
    body = Kinetics(chosen.compartments(weight_kg=70.0, age_years=AGE_YEARS))
    body.advance(60.0, 10.0)
    body.advance(60.0)
    return body.plasma_ng_ml


def report(visits: Sequence[Visit], rises: Rises) -> str:
    """Simulated figures beside published ones, each with what it is."""
    count = len(visits)
    first, ended = (
        Counter(getattr(visit, which) for visit in visits) for which in ("first", "response")
    )
    infused = [visit for visit in visits if visit.infusion_mg]
    per_kg = [visit.infusion_mg / visit.weight_kg for visit in infused]
    peaks = [visit.peak_mmhg for visit in infused]
    rows = [("simulated", "published", "what")]
    rows += [
        (
            f"{rises.sbp_mmhg:+.2f} mmHg",
            "+12.61 (10.40 to 14.82)",
            "SBP, 0.5 mg/kg over 40 min (a)",
        ),
        (f"{rises.dbp_mmhg:+.2f} mmHg", "+8.49 (6.89 to 10.09)", "DBP, the same (a)"),
        (f"{rises.hr_bpm:+.2f} bpm", "+4.09 (0.55 to 7.63)", "HR, the same (a)"),
        (f"{typical_at_2_min():.0f} ng/mL", "296", "plasma 2 min after 10 mg, typical 70 kg (b)"),
        (f"{rises.plasma_at_2_min_ng_ml:.0f} ng/mL", "296", "the same, geometric mean (b)"),
        (f"{rises.plasma_at_40_min_ng_ml:.0f} ng/mL", "185 venous", "arterial, 0.5 mg/kg (c)"),
        (_pct(ended["anxiety"], count), "12 %", "anxiety (design choice; emergence reactions, d)"),
    ]
    rows += [
        (_pct(first[name], count), "not published", f"{name} after 10 mg (illustrative)")
        for name in RESPONSES
    ]
    rows += [
        (_pct(ended[name], count), "not published", f"{name} after all test doses (illustrative)")
        for name in RESPONSES
    ]
    rows += [
        (f"{fmean(v.test_mg for v in visits):.1f} mg", "10 to 20 (procedure)", "test doses in all"),
        (
            f"{median(v.infusion_mg for v in infused):.1f} mg",
            "2.5 x required (procedure)",
            "infusion, median",
        ),
        (f"{fmean(per_kg):.2f} mg/kg", "0.5", "infusion, mean; published: the usual dose"),
        (
            f"{fmean(peaks):+.1f} ({stdev(peaks):.1f})",
            "see above",
            "highest rise of SBP in those infused, mmHg",
        ),
    ]
    widths = [max(len(row[index]) for row in rows) for index in (0, 1)]
    lines = [f"{a.rjust(widths[0])}  {b.ljust(widths[1])}  {c}" for a, b, c in rows]
    return "\n".join(
        (
            f"{count} simulated first visits; bench and simulation only",
            *lines,
            "(a) Vankawala 2021, n = 2252, 10.3389/fpsyt.2021.549080; the model is fitted to it",
            "(b) PMC9118341, table 6; these people weigh 78 kg on average",
            "(c) Zarate 2006, quoted in PMC6020109; arterial above venous is expected (Henthorn 2018)",
            "(d) Ketalar label",
            "",
        )
    )


def _pct(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    visits = [first_visit(seed) for seed in range(1, count + 1)]
    sys.stdout.write(report(visits, rises_of(1, count)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
