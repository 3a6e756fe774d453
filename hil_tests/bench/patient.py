"""What one second of one patient costs, beside the same drug in a plain loop."""

from __future__ import annotations

import random
from time import perf_counter

from hil_tests.bench.tables import Row, Table
from hil_tests.bench.timing import US, Effort, Figures, Measure, taking_turns
from sim.drug_models import parameter_set
from sim.monitor import Monitor
from sim.patient import Patient
from sim.pharmacokinetics import Compartments, Kinetics, exact_step

WEIGHT_KG, AGE_YEARS, HEIGHT_CM = 70.0, 40.0, 175.0
DOSE_UG = 11.0
"""A second of 40 mg in an hour."""


def patient(effort: Effort) -> Table:
    """A step of the drug alone, of the patient, and of patient and monitor together."""
    count = effort.count(2_000)
    found = taking_turns(
        effort.rounds(15),
        {
            "floor": lambda: _plain(count),
            "the drug alone": lambda: _drug(count),
            "one patient: drug, signs, noise": _living(count, watched=False),
            "patient and monitor: a whole sample": _living(count, watched=True),
        },
    )
    floor = found.pop("floor")["us"]
    return Table(
        "patient",
        "one step of 1 s of one patient",
        "the exact discretisation of one drug written out: 3 compartments, 3 effect sites",
        tuple(Row.of(what, figures["us"], floor, "us") for what, figures in found.items()),
    )


def _plain(count: int) -> Figures:
    """Nothing but the arithmetic, in local variables."""
    rows = exact_step(_compartments(), 1.0)
    (a11, a12, a13, b1), (a21, a22, a23, b2), (a31, a32, a33, b3), sites = rows
    (e1, e2, e3, e4, e5), (f1, f2, f3, f4, f5), (g1, g2, g3, g4, g5) = sites
    c1 = c2 = c3 = e = f = g = 0.0
    u = DOSE_UG / 1e3
    began = perf_counter()
    for _ in range(count):
        e = e1 * c1 + e2 * c2 + e3 * c3 + e4 * e + e5 * u
        f = f1 * c1 + f2 * c2 + f3 * c3 + f4 * f + f5 * u
        g = g1 * c1 + g2 * c2 + g3 * c3 + g4 * g + g5 * u
        c1, c2, c3 = (
            a11 * c1 + a12 * c2 + a13 * c3 + b1 * u,
            a21 * c1 + a22 * c2 + a23 * c3 + b2 * u,
            a31 * c1 + a32 * c2 + a33 * c3 + b3 * u,
        )
    return {"us": (perf_counter() - began) / count * US}


def _drug(count: int) -> Figures:
    drug = Kinetics(_compartments())
    began = perf_counter()
    for _ in range(count):
        drug.advance(1.0, DOSE_UG / 1e3)
    return {"us": (perf_counter() - began) / count * US}


def _living(count: int, *, watched: bool) -> Measure:
    def measure() -> Figures:
        one = Patient(
            parameter_set("ketamine", age_years=AGE_YEARS),
            weight_kg=WEIGHT_KG,
            age_years=AGE_YEARS,
            height_cm=HEIGHT_CM,
            draw=random.Random(1).random,
        )
        monitor = Monitor(one, random.Random(2).random)
        one.advance_to(1.0, DOSE_UG)  # the matrix of a step is made once
        began = perf_counter()
        for second in range(2, count + 2):
            one.advance_to(float(second), DOSE_UG)
            if watched:
                monitor.sample(float(second))
        return {"us": (perf_counter() - began) / count * US}

    return measure


def _compartments() -> Compartments:
    model = parameter_set("ketamine", age_years=AGE_YEARS)
    return model.compartments(weight_kg=WEIGHT_KG, age_years=AGE_YEARS)
