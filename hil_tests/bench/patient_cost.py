"""What one patient-second costs: one patient, a population, and a plain loop of the same arithmetic.

Every function gives microseconds of processor time for one patient-second.  The floor is the exact
discretisation of one drug written out (3 compartments, 3 effect sites): no effects, no vital signs.

    python -m hil_tests.bench.patient_cost

Bench and simulation only.
"""

from __future__ import annotations

import random
import sys
from time import process_time

from sim.drug_models import parameter_set
from sim.patient import Patient
from sim.pharmacokinetics import Compartments, exact_step
from sim.population import Population, draws_of

US = 1e6
WEIGHT_KG, AGE_YEARS, HEIGHT_CM = 70.0, 40.0, 170.0
UG_PER_S = 11.0
"""40 mg in an hour."""
PATIENT_US_MAX, POPULATION_US_MAX = 15.0, 1.0
"""What this product promises of one step of one patient, and of one patient-second of many."""


def plain_us(seconds: int = 20_000) -> float:
    """Nothing but the arithmetic of one drug in one body, in local variables."""
    body = _body()
    (a11, a12, a13, b1), (a21, a22, a23, b2), (a31, a32, a33, b3), sites = exact_step(body, 1.0)
    (e1, e2, e3, e4, e5), (f1, f2, f3, f4, f5), (g1, g2, g3, g4, g5) = sites
    c1 = c2 = c3 = e = f = g = 0.0
    u = UG_PER_S / 1e3
    began = process_time()
    for _ in range(seconds):
        e = e1 * c1 + e2 * c2 + e3 * c3 + e4 * e + e5 * u
        f = f1 * c1 + f2 * c2 + f3 * c3 + f4 * f + f5 * u
        g = g1 * c1 + g2 * c2 + g3 * c3 + g4 * g + g5 * u
        c1, c2, c3 = (
            a11 * c1 + a12 * c2 + a13 * c3 + b1 * u,
            a21 * c1 + a22 * c2 + a23 * c3 + b2 * u,
            a31 * c1 + a32 * c2 + a33 * c3 + b3 * u,
        )
    return (process_time() - began) / seconds * US


def patient_us(seconds: int = 10_000, drug: str = "ketamine", *, midazolam: bool = False) -> float:
    """One patient: concentrations, signs and full vital signs every second."""
    one = Patient(
        parameter_set(drug, age_years=AGE_YEARS),
        weight_kg=WEIGHT_KG,
        age_years=AGE_YEARS,
        height_cm=HEIGHT_CM,
        draw=random.Random("1:patient").random,
    )
    if midazolam:
        one.give_midazolam(2.0)
    one.advance_to(1.0, UG_PER_S)  # the matrix of a step is made once
    one.vitals()
    began = process_time()
    for second in range(2, seconds + 2):
        one.advance_to(float(second), UG_PER_S)
        one.vitals()
    return (process_time() - began) / seconds * US


def population_us(count: int = 1000, seconds: int = 600, drug: str = "ketamine") -> float:
    """Many: concentrations and full vital signs every second, without drawing them."""
    many = _people(count, drug)
    many.advance_to(1.0, UG_PER_S)
    many.vitals()
    began = process_time()
    for second in range(2, seconds + 2):
        many.advance_to(float(second), UG_PER_S)
        many.vitals()
    return (process_time() - began) / seconds / count * US


def drawing_us(count: int = 1000) -> float:
    """Microseconds to draw one member of a population and to make the matrices of his first step."""
    began = process_time()
    _people(count, "ketamine").advance_to(1.0)
    return (process_time() - began) / count * US


def _people(count: int, drug: str) -> Population:
    chosen = parameter_set(drug, age_years=AGE_YEARS)
    return Population(chosen, draws_of(1, count), weight_kg=WEIGHT_KG, age_years=AGE_YEARS)


def _body() -> Compartments:
    model = parameter_set("ketamine", age_years=AGE_YEARS)
    return model.compartments(weight_kg=WEIGHT_KG, age_years=AGE_YEARS)


def main() -> int:
    floor = plain_us()
    rows = (
        ("one patient, full vital signs", patient_us(), PATIENT_US_MAX),
        ("the same with midazolam", patient_us(midazolam=True), PATIENT_US_MAX),
        ("one patient on lidocaine", patient_us(drug="lidocaine"), PATIENT_US_MAX),
        ("1000 people, full vital signs", population_us(), POPULATION_US_MAX),
        ("1000 people on lidocaine", population_us(drug="lidocaine"), POPULATION_US_MAX),
    )
    write = sys.stdout.write
    write(f"plain exact discretisation of one drug, no vital signs: {floor:.2f} us\n")
    write("us per patient-second  at most  x plain\n")
    for what, us, limit in rows:
        write(f"{us:21.2f}  {limit:7.0f}  {us / floor:7.2f}  {what}\n")
    write(f"drawing a person once: {drawing_us():.0f} us\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
