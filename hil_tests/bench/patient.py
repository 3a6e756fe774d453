"""What one second of one patient costs, and of a thousand, beside the same drug in a plain loop.

Processor time throughout.  The limits are what this product promises of a step of one patient and of a
patient-second of many; a row says whether they were kept.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import median
from time import process_time

import numpy as np

from hil_tests.bench.tables import Row, Table
from hil_tests.bench.timing import US, Effort, Figures, Measure, taking_turns
from sim.drug_models import parameter_set
from sim.monitor import Monitor
from sim.patient import Patient
from sim.pharmacokinetics import Compartments, Kinetics, exact_step
from sim.population import Population, draws_of

WEIGHT_KG, AGE_YEARS, HEIGHT_CM = 70.0, 40.0, 175.0
DOSE_UG = 11.0
"""A second of 40 mg in an hour."""
PEOPLE = 1000
PATIENT_US_MAX, POPULATION_US_MAX = 15.0, 1.0


def patient(effort: Effort) -> Table:
    """A step of the drug alone, of the patient and his vital signs, and of patient and monitor together."""
    count = effort.count(2_000)
    found = taking_turns(
        effort.rounds(15),
        {
            "floor": lambda: _plain(count),
            "the drug alone": lambda: _drug(count),
            "one patient: drug, signs, vital signs with noise": _living(count),
            "the same with midazolam": _living(count, midazolam=True),
            "one patient on lidocaine": _living(count, "lidocaine"),
            "patient and monitor: a whole sample": _living(count, watched=True),
        },
    )
    floor = found.pop("floor")["us"]
    unlimited = ("the drug alone", "patient and monitor: a whole sample")
    return Table(
        "patient",
        "one step of 1 s of one patient",
        "the exact discretisation of one drug written out: 3 compartments, 3 effect sites",
        tuple(
            Row.of(
                what,
                figures["us"],
                floor,
                "us",
                "" if what in unlimited else kept(figures["us"], PATIENT_US_MAX),
            )
            for what, figures in found.items()
        ),
    )


def population(effort: Effort) -> Table:
    """A second of a thousand people; the cost of drawing them is a note."""
    seconds, one = effort.count(200), effort.count(2_000)
    found = taking_turns(
        effort.rounds(7),
        {
            "floor": lambda: _plain_batch(seconds),
            "plain loop": lambda: _plain(one),
            "drawing": _drawing,
            f"{PEOPLE} people: drug, vital signs with noise": _crowd(seconds, "ketamine"),
            f"{PEOPLE} people on lidocaine": _crowd(seconds, "lidocaine"),
        },
    )
    floor, plain, drawing = (found.pop(key)["us"] for key in ("floor", "plain loop", "drawing"))
    loops = [
        f"{median(us / loop for us, loop in zip(figures['us'], plain, strict=True)):.2f}"
        for figures in found.values()
    ]
    return Table(
        "population",
        f"one patient-second, in a batch of {PEOPLE}",
        "the exact discretisation of one drug in as many bodies: one einsum a second",
        tuple(
            Row.of(what, figures["us"], floor, "us", kept(figures["us"], POPULATION_US_MAX))
            for what, figures in found.items()
        ),
        (
            f"beside the plain loop over one body ({median(plain):.2g} us) these are {' and '.join(loops)} of it",
            f"to draw a person and make the matrices of the first step: {median(drawing):.0f} us, once",
        ),
    )


def kept(us: Sequence[float], limit_us: float) -> str:
    """Whether the median is within what is promised."""
    return f"at most {limit_us:g} us: {'kept' if median(us) <= limit_us else 'NOT KEPT'}"


def _plain(count: int) -> Figures:
    """Nothing but the arithmetic, in local variables."""
    rows = exact_step(_compartments(), 1.0)
    (a11, a12, a13, b1), (a21, a22, a23, b2), (a31, a32, a33, b3), sites = rows
    (e1, e2, e3, e4, e5), (f1, f2, f3, f4, f5), (g1, g2, g3, g4, g5) = sites
    c1 = c2 = c3 = e = f = g = 0.0
    u = DOSE_UG / 1e3
    began = process_time()
    for _ in range(count):
        e = e1 * c1 + e2 * c2 + e3 * c3 + e4 * e + e5 * u
        f = f1 * c1 + f2 * c2 + f3 * c3 + f4 * f + f5 * u
        g = g1 * c1 + g2 * c2 + g3 * c3 + g4 * g + g5 * u
        c1, c2, c3 = (
            a11 * c1 + a12 * c2 + a13 * c3 + b1 * u,
            a21 * c1 + a22 * c2 + a23 * c3 + b2 * u,
            a31 * c1 + a32 * c2 + a33 * c3 + b3 * u,
        )
    return {"us": (process_time() - began) / count * US}


def _drug(count: int) -> Figures:
    drug = Kinetics(_compartments())
    began = process_time()
    for _ in range(count):
        drug.advance(1.0, DOSE_UG / 1e3)
    return {"us": (process_time() - began) / count * US}


def _living(
    count: int, drug: str = "ketamine", *, midazolam: bool = False, watched: bool = False
) -> Measure:
    def measure() -> Figures:
        one = Patient(
            parameter_set(drug, age_years=AGE_YEARS),
            weight_kg=WEIGHT_KG,
            age_years=AGE_YEARS,
            height_cm=HEIGHT_CM,
            draw=random.Random(1).random,
        )
        monitor = Monitor(one, random.Random(2).random)
        if midazolam:
            one.give_midazolam(2.0)
        look = monitor.sample if watched else lambda _now: one.vitals()
        one.advance_to(1.0, DOSE_UG)  # the matrix of a step is made once
        look(1.0)  # and so is the noise of the time before
        began = process_time()
        for second in range(2, count + 2):
            one.advance_to(float(second), DOSE_UG)
            look(float(second))
        return {"us": (process_time() - began) / count * US}

    return measure


def _plain_batch(seconds: int) -> Figures:
    """Nothing but the arithmetic, of all bodies at once."""
    *rows, sites = exact_step(_compartments(), 1.0)
    size = len(rows) + len(sites)
    one = np.diag([0.0] * len(rows) + [site[3] for site in sites])
    one[:, :3] = [row[:3] for row in (*rows, *sites)]
    matrices = np.ascontiguousarray(np.broadcast_to(one[:, :, np.newaxis], (size, size, PEOPLE)))
    entering = np.repeat([[row[-1] * DOSE_UG / 1e3] for row in (*rows, *sites)], PEOPLE, axis=1)
    state = np.zeros((size, PEOPLE))
    began = process_time()
    for _ in range(seconds):
        state = np.einsum("ijn,jn->in", matrices, state) + entering
    return {"us": (process_time() - began) / seconds / PEOPLE * US}


def _crowd(seconds: int, drug: str) -> Measure:
    def measure() -> Figures:
        many = _people(drug)
        many.advance_to(1.0, DOSE_UG)
        many.vitals()
        began = process_time()
        for second in range(2, seconds + 2):
            many.advance_to(float(second), DOSE_UG)
            many.vitals()
        return {"us": (process_time() - began) / seconds / PEOPLE * US}

    return measure


def _drawing() -> Figures:
    began = process_time()
    _people("ketamine").advance_to(1.0)
    return {"us": (process_time() - began) / PEOPLE * US}


def _people(drug: str) -> Population:
    chosen = parameter_set(drug, age_years=AGE_YEARS)
    return Population(chosen, draws_of(1, PEOPLE), weight_kg=WEIGHT_KG, age_years=AGE_YEARS)


def _compartments() -> Compartments:
    model = parameter_set("ketamine", age_years=AGE_YEARS)
    return model.compartments(weight_kg=WEIGHT_KG, age_years=AGE_YEARS)
