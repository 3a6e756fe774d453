"""The checkpoints of the simulated patient, P1 to P10, and that the step changes nothing: by command line.

Each is a command that anybody can type; here all of them are run, and each figure is held against its
interval.  P1 to P8 were computed by an independent adaptive solver (DOP853, rtol 1e-12) and are printed to
four digits: met to 1e-4, or to half a unit of the last one.  P9 is an independent Monte-Carlo run; P10 is
published.  Exit code 1 when one does not hold.

    python -m hil_tests.bench.checkpoints

Bench and simulation only.
"""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from firmware_bridge.notice import NOTICE

Words = tuple[str, ...]
Ask = Callable[[Words], Mapping[str, Any]]
"""Runs ``infusor sim patient`` with these words and ``--json``; gives the object."""

STEPS_S = ("0.1", "1", "2")
STEP_REL = 1e-9


class Expected(NamedTuple):
    """A figure of the answer, by its place in it, and the interval it must be in, ends included."""

    what: str
    place: tuple[str | int, ...]
    low: float
    high: float


class Seen(NamedTuple):
    """A figure as it came out."""

    expected: Expected
    value: float

    @property
    def holds(self) -> bool:
        return self.expected.low <= self.value <= self.expected.high

    def line(self) -> str:
        what, _, low, high = self.expected
        verdict = "holds" if self.holds else "DOES NOT HOLD"
        return f"  {verdict}  {self.value:.6g}  [{low:.6g}, {high:.6g}]  {what}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One command and what its answer must be."""

    key: str
    words: Words
    expected: tuple[Expected, ...]

    @property
    def command(self) -> str:
        """As it is typed."""
        return shlex.join(("infusor", "sim", "patient", *self.words))

    def seen(self, answer: Mapping[str, Any]) -> list[Seen]:
        """Every figure of the answer that is held against something."""
        return [Seen(one, _at(answer, one.place)) for one in self.expected]


def _levels(
    key: str,
    words: str,
    site: str,
    at_min: Sequence[float],
    cp: Sequence[float],
    ce: Sequence[float],
) -> Checkpoint:
    """A checkpoint of printed concentrations at some minutes."""
    times = ",".join(f"{60 * minute:g}" for minute in at_min)
    expected = []
    for index, minute in enumerate(at_min):
        for name, place, values in (
            ("Cp", ("plasma_ng_ml", index), cp),
            ("Ce", ("effect_ng_ml", site, index), ce),
        ):
            value = values[index]
            half_unit = 0.5 * 10.0 ** (math.floor(math.log10(value)) - 3)
            off = max(1e-4 * value, half_unit * (1 + 1e-9))
            what = f"{name} ng/mL at {minute:g} min, printed {value:g}"
            expected.append(Expected(what, place, value - off, value + off))
    return Checkpoint(key, (*shlex.split(words), "--at", times), tuple(expected))


KAMP = "--drug ketamine --model kamp2020 --weight-kg 70"
FIRST = f"{KAMP} --dose '10 mg over 60 s at 0 s'"
FORTY = f"{KAMP} --dose '35 mg over 40 min at 0 s'"
ALBRECHT = "--drug midazolam --model albrecht1999 --weight-kg 70 --dose '2 mg over 2 min at 0 s'"


def _change(vital: str, what: str, low: float, high: float) -> Expected:
    return Expected(f"{what}, mean change", ("vitals", vital, "change_mean", 0), low, high)


def _percent(vital: str, name: str, mean: float, sd: float) -> list[Expected]:
    return [
        Expected(
            f"{name}, mean change in % at {minute} min, published {mean:g} (SD {sd:g})",
            ("vitals", vital, "change_pct_mean", index),
            mean - sd,
            mean + sd,
        )
        for index, minute in enumerate((5, 10, 15))
    ]


CHECKPOINTS = (
    _levels(
        "P1",
        FIRST,
        "cardiovascular",
        (1, 2, 5, 10, 20),
        (360.1, 291.9, 163.0, 76.71, 38.87),
        (51.26, 122.5, 175.0, 117.7, 48.23),
    ),
    _levels(
        "P2",
        FORTY,
        "cardiovascular",
        (10, 20, 40, 60, 120),
        (154.5, 198.3, 253.1, 95.86, 49.91),
        (122.4, 184.8, 245.0, 103.1, 51.32),
    ),
    _levels(
        "P3",
        "--drug ketamine --model kamp2020 --weight-kg 100 --dose '40 mg over 45 min at 0 s'",
        "cardiovascular",
        (15, 45, 60, 90),
        (135.5, 198.8, 85.75, 57.87),
        (120.5, 193.2, 96.09, 60.00),
    ),
    _levels(
        "P4",
        "--drug ketamine --model domino1984 --weight-kg 70 --dose '10 mg at 0 s'",
        "effect",
        (1, 5, 30),
        (507.9, 79.28, 16.97),
        (507.7, 139.5, 17.54),
    ),
    _levels(
        "P5",
        "--drug lidocaine --model foong2025 --weight-kg 70 --dose '105 mg over 10 min at 0 s' "
        "--dose '105 mg over 60 min at 10 min'",
        "effect",
        (10, 40, 70, 100),
        (2519, 1551, 1687, 1023),
        (2222, 1544, 1680, 1041),
    ),
    _levels(
        "P6",
        "--drug lidocaine --model foong2025 --weight-kg 70 --dose '350 mg over 40 min at 0 s'",
        "effect",
        (20, 40, 60, 120),
        (3110, 4511, 2501, 1332),
        (2964, 4407, 2564, 1354),
    ),
    _levels(
        "P7",
        ALBRECHT,
        "effect",
        (2, 5, 10, 30, 60),
        (190.9, 86.08, 37.30, 20.26, 14.00),
        (21.36, 51.02, 51.93, 26.14, 15.78),
    ),
    _levels(
        "P8",  # 25 mg in 45 min from 15 min on, stopped at 35 min: 20 min of it
        f"{FIRST} --dose '10 mg over 60 s at 10 min' --dose '11.1111111111 mg over 20 min at 15 min'",
        "cardiovascular",
        (10, 15, 35, 45, 60),
        (76.71, 212.0, 188.7, 100.5, 76.38),
        (117.7, 245.4, 186.2, 117.7, 80.40),
    ),
    Checkpoint(
        "P9",
        (*shlex.split(FORTY), "--at", "2400", "--population", "20000"),
        tuple(
            Expected(
                f"Cp ng/mL at 40 min, {which}, {value:g} to 1.5 %",
                (which, "plasma_ng_ml", 0),
                value * 0.985,
                value * 1.015,
            )
            for which, value in (("p5", 206.3), ("p50", 250.6), ("p95", 305.2))
        ),
    ),
    Checkpoint(
        "P10a",
        (*shlex.split(FIRST), "--at", "120"),
        (
            Expected(
                "Cp ng/mL at 2 min, published 296 to 10 % (PMC9118341, table 6)",
                ("plasma_ng_ml", 0),
                296 * 0.9,
                296 * 1.1,
            ),
        ),
    ),
    Checkpoint(
        "P10b",  # Vankawala 2021, 10.3389/fpsyt.2021.549080
        (*shlex.split(FORTY), "--at", "2400", "--population", "4000"),
        (
            _change("sbp_mmhg", "SBP mmHg, published +12.61", 10.40, 14.82),
            _change("dbp_mmhg", "DBP mmHg, published +8.49", 6.89, 10.09),
            _change("hr_bpm", "HR bpm, published +4.09", 0.55, 7.63),
        ),
    ),
    Checkpoint(
        "P10c",  # 10.1371/journal.pone.0172750
        (*shlex.split(ALBRECHT), "--at", "300,600,900", "--population", "4000"),
        (
            *_percent("minute_l_min", "MV", -14.3, 5.9),
            *_percent("tidal_ml", "TV", -22.3, 4.5),
            *_percent("rr_bpm", "RR", 10.3, 4.7),
        ),
    ),
)

STEPPED = {
    drug: (*shlex.split(words), "--at", "60,300,600,1200,2400,7200")
    for drug, words in {
        "ketamine": f"{FIRST} --dose '25 mg over 45 min at 15 min'",
        "lidocaine": "--drug lidocaine --weight-kg 70 --dose '350 mg over 40 min at 0 s'",
        "midazolam": ALBRECHT,
    }.items()
}
"""Whose answer must be the same with every step; all doses begin and end at whole seconds."""


def step_changes(ask: Ask) -> list[Seen]:
    """By how much (relative) the step moves any number of any answer from that without steps."""
    found = []
    for drug, words in STEPPED.items():
        whole = _numbers(ask(words))
        for step_s in STEPS_S:
            cut = _numbers(ask((*words, "--step-s", step_s)))
            moved = [abs(a - b) / max(abs(a), 1e-300) for a, b in zip(whole, cut, strict=True)]
            what = f"{drug}: largest change of any number with --step-s {step_s}"
            found.append(Seen(Expected(what, (), 0.0, STEP_REL), max(moved)))
    return found


def judged(ask: Ask, say: Callable[[str], object]) -> bool:
    """Run everything, say every command and figure; whether all of them hold."""
    holding = True
    for one in CHECKPOINTS:
        seen = one.seen(ask(one.words))
        say(f"{one.key}: {one.command}")
        for figure in seen:
            say(figure.line())
        holding = holding and all(figure.holds for figure in seen)
    moved = step_changes(ask)
    say(f"Steps: {shlex.join(('infusor', 'sim', 'patient', *STEPPED['ketamine']))} --step-s 1")
    for figure in moved:
        say(figure.line())
    return holding and all(figure.holds for figure in moved)


def _at(answer: Mapping[str, Any], place: Sequence[str | int]) -> float:
    found: Any = answer
    for key in place:
        found = found[key]
    return float(found)


def _numbers(answer: Any) -> list[float]:
    """Every number of an answer, in its order."""
    if isinstance(answer, Mapping):
        return [x for value in answer.values() for x in _numbers(value)]
    if isinstance(answer, list):
        return [x for value in answer for x in _numbers(value)]
    return [] if isinstance(answer, str) else [float(answer)]


def _ask(words: Words) -> Mapping[str, Any]:
    """A process of its own, as somebody at a terminal would."""
    command = (sys.executable, "-m", "controller", "sim", "patient", *words, "--json")
    ran = subprocess.run(command, capture_output=True, check=True, timeout=300)
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def main() -> int:
    sys.stdout.write(f"{NOTICE}\n")
    holding = judged(_ask, lambda line: sys.stdout.write(f"{line}\n"))
    sys.stdout.write("all hold\n" if holding else "NOT ALL HOLD\n")
    return 0 if holding else 1


if __name__ == "__main__":
    sys.exit(main())
