"""One visit in virtual time, in one process: controller, bridge, gate, pump, patient under one seed.

The same seed and version give the same digest, which covers every byte on every wire and every log
record.  Exit code 0 for a visit that ended completed or rescued with no invariant violated.

--faults FILE breaks pump, line and monitor as a fault script says (TOML, [[fault]] tables); each begin
and end is a record of kind ``fault`` in the session log.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter

from controller.cli.fault_stage import read_faults
from controller.cli.options import (
    add_previous,
    check_abilities,
    check_log_dir,
    existing_plan,
    make_operator,
    progress_line,
    write_log,
)
from controller.cli.outcome import DONE, ENDED_BADLY, Usage
from controller.cli.rehearsal import PUMP, Rehearsed, Stage
from controller.cli.report_file import report_beside
from controller.plain_text import spelt_out
from controller.procedure.effects import Outcome
from firmware_bridge.dialects import parse_pump_url
from firmware_bridge.errors import ConfigurationError
from firmware_bridge.notice import NOTICE
from sim.devices.kinds import device_kind
from sim.faults.script import Entry, ScriptError
from sim.virtual_loop import VirtualReport, run_virtual

BUDGET_S = 12 * 3600.0
"""Virtual time a visit may take: twice the longest one the procedure allows, and an hour."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "procedure", help="a shipped procedure, or a file (with a separator or .toml)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    parser.add_argument(
        "--operator", default="auto", metavar="auto|FILE", help="who answers (default: auto)"
    )
    parser.add_argument("--pump", default=PUMP, metavar="sim:DIALECT", help=f"default {PUMP}")
    add_previous(parser)
    parser.add_argument("--faults", metavar="FILE", help="a fault script (TOML)")
    parser.add_argument(
        "--log-dir", type=Path, metavar="DIR", help="write the session log and its report here"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(arguments: argparse.Namespace) -> int:
    if arguments.seed < 0:
        raise Usage(f"--seed {arguments.seed}: must be 0 or more")
    plan = existing_plan(arguments.procedure, arguments.previous)
    dialect = _dialect(arguments.pump)
    faults = _faults(arguments.faults, dialect)
    check_log_dir(arguments.log_dir)
    stage = Stage(
        plan,
        arguments.seed,
        make_operator(arguments.operator),
        dialect=dialect,
        faults=faults,
    )
    began = perf_counter()
    rehearsed, report = run_virtual(stage.run, seed=arguments.seed, budget_s=BUDGET_S)
    wall_s = perf_counter() - began
    log = write_log(arguments.log_dir, stage)
    page = report_beside(log) if log else None
    _tell(arguments, rehearsed, report, wall_s, (log, page))
    fine = rehearsed.report.outcome in {Outcome.COMPLETED, Outcome.RESCUED}
    return DONE if fine and not rehearsed.violations else ENDED_BADLY


def _dialect(url: str) -> str:
    """Of a simulated pump that can do what a procedure needs; raises `Usage`."""
    try:
        pump = parse_pump_url(url)
        device_kind(pump.dialect)
    except ConfigurationError as problem:
        raise Usage(f"--pump {url}: {problem}") from problem
    if not pump.simulated:
        raise Usage(f"--pump {url}: virtual time needs a simulated pump, such as {PUMP}")
    check_abilities(pump, url)
    return pump.dialect


def _faults(name: str | None, dialect: str) -> list[Entry]:
    """The fault script of this name; raises `Usage` for one that this rehearsal cannot play."""
    if name is None:
        return []
    if name == "random":
        raise Usage("--faults random: random fault scripts are not part of this version")
    try:
        return read_faults(Path(name), device_kind(dialect))
    except ScriptError as problem:
        raise Usage(f"--faults {problem}") from problem


def _tell(
    arguments: argparse.Namespace,
    rehearsed: Rehearsed,
    report: VirtualReport,
    wall_s: float,
    files: tuple[Path | None, Path | None],
) -> None:
    log, page = files
    violations = [
        {"invariant": v.invariant, "at_s": v.at_s, "what": v.what} for v in rehearsed.violations
    ]
    if arguments.json:
        result = rehearsed.report.as_json() | {
            "virtual_s": round(report.virtual_s, 3),
            "wall_s": round(wall_s, 3),
            "violations": violations,
            "faults_injected": dict(rehearsed.faults),
            "digest": rehearsed.digest,
            "log": str(log) if log else None,
            "report": str(page) if page else None,
        }
        sys.stdout.write(json.dumps(result) + "\n")
        return
    ended = rehearsed.report
    sys.stdout.write(
        f"{NOTICE}\n"
        f"{ended.outcome}: {ended.final_state}, response {ended.response or 'none'}, "
        f"{ended.delivered_mg:.3f} mg delivered\n"
        f"alarms: {', '.join(ended.alarms) or 'none'}\n"
        f"{progress_line(report.virtual_s, wall_s)}\n"
        f"digest {rehearsed.digest}, violations: {len(violations)}\n"
    )
    if arguments.faults is not None:
        counted = (f"{kind} {times}x" for kind, times in rehearsed.faults.items())
        sys.stdout.write(f"faults: {', '.join(counted) or 'none'}\n")
    for warning in ended.warnings:
        sys.stderr.write(f"{spelt_out(warning)}\n")
    for violation in violations:
        sys.stdout.write(f"  invariant {violation['invariant']} at {violation['at_s']} s: ")
        sys.stdout.write(f"{violation['what']}\n")
