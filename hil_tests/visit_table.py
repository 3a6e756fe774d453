"""``python -m hil_tests.visit_table [--seeds N]``: which states, ways and alarms were reached, and where.

Plays every procedure over N seeds (200 unless told otherwise) with the simulated clinician, and every
scene of `visit_scenes`, in virtual time; prints the table; exit code 1 for a violated invariant, a visit
that did not complete, or a state, way or alarm of the first set that nothing has reached.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from controller.alarms import ALARMS, FIRST_SET
from controller.cli.options import make_operator
from controller.cli.rehearsal import Stage
from controller.procedure.table import State
from hil_tests.visit_scenes import SCENES
from hil_tests.visit_stage import BUDGET_S, PROCEDURES, WAYS, Reached, plan_of, play
from sim.virtual_loop import run_virtual
from sim.virtual_refusals import VirtualTimeError


def one_seed(procedure: str, seed: int) -> tuple[Reached, str]:
    """What one visit of the simulated clinician has reached, and how it ended."""
    where, reached = f"{procedure}, seed {seed}", Reached()
    stage = Stage(plan_of(procedure), seed, make_operator("auto"))
    try:
        rehearsed, _ = run_virtual(stage.run, seed=seed, budget_s=BUDGET_S)
    except VirtualTimeError as error:
        reached.violations.append(f"{where}: {error}")
        return reached, "no end"
    reached.add(where, rehearsed, stage)
    return reached, rehearsed.report.outcome.value


def one_scene(number: int) -> Reached:
    """What one scene has reached."""
    where, reached = f"scene: {SCENES[number].name}", Reached()
    try:
        reached.add(where, *play(SCENES[number]))
    except VirtualTimeError as error:
        reached.violations.append(f"{where}: {error}")
    return reached


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(prog="visit_table", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, metavar="N", help="default 200")
    seeds = range(parser.parse_args().seeds)
    reached, outcomes = Reached(), Counter[tuple[str, str]]()
    with ProcessPoolExecutor() as pool:
        for procedure in PROCEDURES:
            for found, outcome in pool.map(partial(one_seed, procedure), seeds, chunksize=4):
                reached.join(found)
                outcomes[procedure, outcome] += 1
        for found in pool.map(one_scene, range(len(SCENES))):
            reached.join(found)
    for (procedure, outcome), count in sorted(outcomes.items()):
        sys.stdout.write(f"{procedure:<28}{outcome:<20}{count}\n")
    sys.stdout.write(reached.table(tuple(ALARMS)) + "\n")
    wrong = [*reached.violations, *missing(reached)]
    wrong += [f"{p}: {n} x {o}" for (p, o), n in outcomes.items() if o not in GOOD]
    for line in wrong:
        sys.stdout.write(f"NOT GOOD: {line}\n")
    return 1 if wrong else 0


GOOD = ("completed", "rescued")


def missing(reached: Reached) -> list[str]:
    """Every state, way and condition of the first set that nothing has reached."""
    lines = [f"state {s.value} not reached" for s in State if s.value not in reached.states]
    lines += [f"way {a} -> {b} not taken" for a, b in WAYS if (a, b) not in reached.ways]
    for condition, ids in FIRST_SET.items():
        if not any(alarm_id in reached.alarms for alarm_id in ids):
            lines.append(f"alarm {condition} not reached")
    return lines


if __name__ == "__main__":
    sys.exit(main())
