"""Drug concentrations, effects and vital signs after given doses, from published models.

Says what the models say at the times asked for, of the typical patient or of a population.  A dose is
"10 mg over 60 s at 0 s", or "10 mg at 0 s" for one that is there at once; repeat --dose for more.  Member
i of a population is the patient of the visit with seed S + i.  Bench and simulation only: no value here
may be used to treat anybody.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from typing import Any

from firmware_bridge.notice import NOTICE
from sim.drug_models import ParameterSet, parameter_set
from sim.patient_doses import Dose, parsed_dose, parsed_number, parsed_seconds, parsed_times
from sim.patient_figures import concentrations, population, typical
from sim.patient_table import population_table, single_table
from sim.pharmacokinetics import PatientError

PROG = "infusor sim patient"
BAD_USAGE = 2
STEPS_MAX = 1_000_000
"""Bounds the work that --step-s can ask for."""
PEOPLE_MAX = 100_000
FIGURES_MAX = 1_000_000
"""People times moments: what is kept of each takes some 300 bytes."""
SEED_MAX = 2**63


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command; numbers stay text here, so that every complaint is ours."""
    parser.add_argument("--drug", required=True, help="ketamine, lidocaine or midazolam")
    parser.add_argument(
        "--model", help="kamp2020 or domino1984; foong2025; albrecht1999 (default: the first)"
    )
    parser.add_argument("--weight-kg", required=True, metavar="W", help="body weight in kg")
    parser.add_argument("--age-years", default="40", metavar="A", help="age in years (default 40)")
    parser.add_argument(
        "--dose",
        required=True,
        action="append",
        metavar="DOSE",
        help='"10 mg over 60 s at 0 s", or "10 mg at 0 s" for an instantaneous one; units s, min, h',
    )
    parser.add_argument(
        "--at", required=True, metavar="T,T,...", help="ascending times in s after the start"
    )
    parser.add_argument(
        "--step-s",
        metavar="S",
        help="advance the typical person in equal steps of at most S seconds (the same answer: steps are exact)",
    )
    parser.add_argument(
        "--population",
        metavar="N",
        help=f"N people that differ as people do, at most {PEOPLE_MAX}: p5, p50, p95, means and SDs",
    )
    parser.add_argument("--seed", metavar="S", help="seed of the first of them (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Print the answer; returns the exit code, 2 after one line on stderr for bad input."""
    try:
        result = _result(arguments)
    except PatientError as error:
        sys.stderr.write(f"{PROG}: {' '.join(str(error).split())}\n")
        return BAD_USAGE
    if arguments.json:
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stderr.write(f"{NOTICE}\n")
    else:
        table = population_table if "population" in result else single_table
        sys.stdout.write(table(result))
    return 0


def _result(arguments: argparse.Namespace) -> dict[str, Any]:
    age_years = parsed_number(arguments.age_years, "--age-years")
    doses = [parsed_dose(text) for text in arguments.dose]
    times_s = parsed_times(arguments.at)
    step_s = _step(arguments.step_s, times_s[-1])
    people = _people(arguments, len(times_s))
    chosen = parameter_set(arguments.drug, arguments.model, age_years=age_years)
    lightest, heaviest = chosen.weight_kg_from, chosen.weight_kg_to
    weight_kg = parsed_number(arguments.weight_kg, "--weight-kg", heaviest, lowest=lightest)
    body = chosen.compartments(weight_kg=weight_kg, age_years=age_years)
    plasma, effect = concentrations(body, doses, times_s, step_s=step_s)
    result = {
        "bench_only": True,
        "drug": chosen.drug,
        "model": chosen.model,
        "parameter_set": chosen.name,
        "sampling": chosen.sampling,
        "caution": chosen.caution,
        "weight_kg": weight_kg,
        "age_years": age_years,
        "times_s": list(times_s),
        "plasma_ng_ml": plasma,
        "effect_ng_ml": effect,
    }
    subject = {"weight_kg": weight_kg, "age_years": age_years}
    if people is None:
        result["effects"], result["vitals"] = typical(
            chosen, doses, times_s, step_s=step_s, **subject
        )
        return result
    count, seed = people
    return {
        **result,
        "population": count,
        "seed": seed,
        **_of_many(chosen, doses, times_s, count, seed, subject),
    }


def _of_many(
    chosen: ParameterSet,
    doses: list[Dose],
    times_s: list[float],
    count: int,
    seed: int,
    subject: dict[str, float],
) -> dict[str, Any]:
    """The figures of a population; a bar on a terminal says how far it is."""

    def computed(progress: Callable[[int], None]) -> dict[str, Any]:
        return population(
            chosen, doses, times_s, count=count, seed=seed, progress=progress, **subject
        )

    if not sys.stderr.isatty():
        return computed(lambda _done: None)
    from rich.console import Console  # noqa: PLC0415 - only where somebody watches
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{count} people", total=count)
        return computed(lambda done: bar.update(task, completed=done))


def _step(text: str | None, end_s: float) -> float:
    if text is None:
        return math.inf
    step_s = parsed_seconds(text, "--step-s")
    if step_s == 0 or end_s / step_s > STEPS_MAX:
        raise PatientError(f"--step-s {step_s:g}: {end_s:g} s are to be at most {STEPS_MAX} steps")
    return step_s


def _people(arguments: argparse.Namespace, moments: int) -> tuple[int, int] | None:
    """How many and from which seed on; None for the typical patient alone."""
    if arguments.population is None:
        if arguments.seed is not None:
            raise PatientError(f"--seed {arguments.seed!r}: goes with --population")
        return None
    count = _whole(arguments.population, "--population", 1, PEOPLE_MAX)
    if count * moments > FIGURES_MAX:
        raise PatientError(
            f"--population {count}: people times the {moments} moments of --at are to be at most "
            f"{FIGURES_MAX}"
        )
    return count, _whole(arguments.seed or "1", "--seed", 0, SEED_MAX)


def _whole(text: str, what: str, lowest: int, highest: int) -> int:
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    if not lowest <= value <= highest:
        raise PatientError(f"{what} {text!r}: not a whole number from {lowest} to {highest}")
    return value
