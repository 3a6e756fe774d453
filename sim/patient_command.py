"""Drug concentrations of given doses in a typical patient, from published compartment models.

Says what the models say at the times asked for.  A dose is "10 mg over 60 s at 0 s", or "10 mg at 0 s"
for one that is there at once; repeat --dose for more.  Bench and simulation only: no value here may be
used to treat anybody.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from firmware_bridge.notice import NOTICE
from sim.drug_models import parameter_set
from sim.pharmacokinetics import Compartments, Kinetics, PatientError

PROG = "infusor sim patient"
BAD_USAGE = 2
TIME_S_MAX = 1e7
"""About four months; every drug here is gone long before."""
STEPS_MAX = 1_000_000
"""Bounds the work that --step-s can ask for."""
DOSE_MG_MAX = 1e5
TIMES_MAX = 10_000

_NUMBER = r"(?P<{}>[^\s]+)"
_DOSE = re.compile(
    rf"{_NUMBER.format('mg')}\s+mg"
    rf"(?:\s+over\s+{_NUMBER.format('over')}\s+(?P<over_unit>\w+))?"
    rf"\s+at\s+{_NUMBER.format('at')}\s+(?P<at_unit>\w+)"
)
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Dose:
    """``mg`` given evenly from ``start_s`` to ``end_s``; at once when they are the same."""

    mg: float
    start_s: float
    end_s: float

    @property
    def at_once(self) -> bool:
        return self.end_s == self.start_s

    def between(self, start_s: float, end_s: float) -> float:
        """The milligrams that flow in between two moments."""
        if self.at_once:
            return 0.0
        overlap = min(end_s, self.end_s) - max(start_s, self.start_s)
        return self.mg * max(0.0, overlap) / (self.end_s - self.start_s)


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
        "--at", required=True, metavar="T,T,..", help="times in s, ascending: 60,120,300"
    )
    parser.add_argument(
        "--step-s", metavar="S", help="longest step in s; the answer does not depend on it"
    )
    parser.add_argument("--population", metavar="N", help="not part of this version")
    parser.add_argument("--seed", metavar="S", help="only with --population")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code: 0, or 2 after one line about a bad input."""
    try:
        result = _result(arguments)
    except PatientError as problem:
        sys.stderr.write(f"{PROG}: {problem}\n")
        return BAD_USAGE
    if arguments.json:
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stderr.write(f"{NOTICE}\n")
    else:
        sys.stdout.write(table(result))
    return 0


def _result(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.population is not None or arguments.seed is not None:
        raise PatientError("--population, --seed: populations are not part of this version")
    weight_kg = parsed_number(arguments.weight_kg, "--weight-kg")
    age_years = parsed_number(arguments.age_years, "--age-years")
    doses = [parsed_dose(text) for text in arguments.dose]
    times_s = parsed_times(arguments.at)
    step_s = math.inf
    if arguments.step_s is not None:
        step_s = parsed_seconds(arguments.step_s, "--step-s")
        if step_s == 0 or times_s[-1] / step_s > STEPS_MAX:
            raise PatientError(
                f"--step-s {step_s:g}: {times_s[-1]:g} s are to be at most {STEPS_MAX} steps"
            )
    chosen = parameter_set(arguments.drug, arguments.model, age_years=age_years)
    body = chosen.compartments(weight_kg=weight_kg, age_years=age_years)
    plasma, effect = concentrations(body, doses, times_s, step_s=step_s)
    return {
        "bench_only": True,
        "drug": chosen.drug,
        "model": chosen.model,
        "parameter_set": chosen.name,
        "sampling": chosen.sampling,
        "weight_kg": weight_kg,
        "age_years": age_years,
        "times_s": list(times_s),
        "plasma_ng_ml": plasma,
        "effect_ng_ml": effect,
    }


def concentrations(
    body: Compartments, doses: Sequence[Dose], times_s: Sequence[float], *, step_s: float = math.inf
) -> tuple[list[float], dict[str, list[float]]]:
    """Plasma, and each effect site, at each of the ascending ``times_s``.

    Exact from one change of the doses to the next, whatever ``step_s``.  A dose given at once at the
    very moment asked for is already in.
    """
    kinetics = Kinetics(body)
    plasma: list[float] = []
    effect: dict[str, list[float]] = {site.name: [] for site in body.sites}
    wanted = set(times_s)
    changes = {moment for dose in doses for moment in (dose.start_s, dose.end_s)}
    now = 0.0
    for moment in sorted(wanted | {one for one in changes if one <= times_s[-1]}):
        _advance(kinetics, doses, now, moment, step_s)
        now = moment
        kinetics.bolus(sum(dose.mg for dose in doses if dose.at_once and dose.start_s == now))
        if moment in wanted:
            plasma.append(kinetics.plasma_ng_ml)
            for name, values in effect.items():
                values.append(kinetics.effect_ng_ml(name))
    return plasma, effect


def _advance(
    kinetics: Kinetics, doses: Sequence[Dose], start_s: float, end_s: float, step_s: float
) -> None:
    """From ``start_s`` to ``end_s`` in equal steps of at most ``step_s``; no dose changes between."""
    span = end_s - start_s
    steps = max(1, math.ceil(span / step_s))
    mg = sum(dose.between(start_s, end_s) for dose in doses)
    for _ in range(steps):
        kinetics.advance(span / steps, mg / steps)


def parsed_number(text: str, what: str, limit: float = TIME_S_MAX) -> float:
    """A plain number from 0 to ``limit``.  Raises `PatientError` naming what was wrong."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if "_" in text or not 0.0 <= value <= limit:
        raise PatientError(f"{what} {text!r}: not a number from 0 to {limit:g}")
    return value


def parsed_seconds(text: str, what: str, unit_s: float = 1.0) -> float:
    """A time from 0 to `TIME_S_MAX` in s, to the nearest microsecond.  Raises `PatientError`."""
    return round(parsed_number(text, what, TIME_S_MAX / unit_s) * unit_s, 6)


def parsed_dose(text: str) -> Dose:
    """A dose in the words of the command line.  Raises `PatientError` naming what was wrong."""
    found = _DOSE.fullmatch(text.strip())
    if found is None:
        raise PatientError(
            f'--dose {text!r}: write it like "10 mg over 60 s at 0 s" or "10 mg at 0 s"'
        )
    what = f"--dose {text!r}:"
    mg = parsed_number(found["mg"], what, DOSE_MG_MAX)
    start_s = _parsed_time(found["at"], found["at_unit"], what)
    if found["over"] is None:
        return Dose(mg, start_s, start_s)
    over_s = _parsed_time(found["over"], found["over_unit"], what)
    if over_s == 0:
        raise PatientError(f"{what} over 0 s; leave out 'over' for a dose given at once")
    return Dose(mg, start_s, start_s + over_s)


def _parsed_time(number: str, unit: str, what: str) -> float:
    if unit not in _SECONDS:
        raise PatientError(f"{what} unit {unit!r} is none of {', '.join(_SECONDS)}")
    return parsed_seconds(number, what, _SECONDS[unit])


def parsed_times(text: str) -> list[float]:
    """Ascending times in s.  Raises `PatientError` naming what was wrong."""
    parts = text.split(",")
    if len(parts) > TIMES_MAX:
        raise PatientError(f"--at: {len(parts)} times are more than {TIMES_MAX}")
    times = [parsed_seconds(part.strip(), "--at") for part in parts]
    for earlier, later in pairwise(times):
        if later <= earlier:
            raise PatientError(f"--at: {later:g} does not come after {earlier:g}")
    return times


def table(result: Mapping[str, Any]) -> str:
    """The result for people: one line per time, concentrations to four digits."""
    effect: Mapping[str, Sequence[float]] = result["effect_ng_ml"]
    headings = ["time s", "plasma", *effect]
    columns = [result["plasma_ng_ml"], *effect.values()]
    rows = [
        [f"{time:g}", *(four_digits(value) for value in values)]
        for time, *values in zip(result["times_s"], *columns, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in (headings, *rows)
    ]
    title = (
        f"{result['drug']}, {result['parameter_set']} (sampling: {result['sampling']}), "
        f"{result['weight_kg']:g} kg, {result['age_years']:g} years; concentrations in ng/mL"
    )
    return "\n".join((title, NOTICE, "", *lines)) + "\n"


def four_digits(value: float) -> str:
    """Four significant digits without an exponent: 2519, 163.0, 48.23, 0.01250."""
    if value < 1e-6:
        return "0"
    return f"{value:.{max(0, 3 - math.floor(math.log10(value)))}f}"
