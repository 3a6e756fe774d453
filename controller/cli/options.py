"""What several commands take: a procedure, a pump, an operator, a log folder; each checked before anything starts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from controller.cli.clinicians import Script, SimulatedClinician
from controller.cli.outcome import Usage
from controller.event_log import next_session, read
from controller.library import LibraryError
from controller.log_format import Record
from controller.operators import ScriptError, load_script
from controller.plan import Plan, PlanError, load_plan
from controller.previous import PreviousError, with_previous
from firmware_bridge.declaration import undeclared
from firmware_bridge.dialects import PumpUrl, dialect_kind
from firmware_bridge.lacking import NEEDED_BY_PROCEDURES, names
from firmware_bridge.messages import Capability

if TYPE_CHECKING:
    from controller.cli.rehearsal import MakeOperator, Stage
    from controller.runner import Operator


def existing_plan(procedure: str, previous: Path | None = None) -> Plan:
    """The plan of a procedure, with what the log ``previous`` proposes for it.

    Raises `Usage` with the one line that says what is wrong.
    """
    try:
        plan = load_plan(procedure)
        return plan if previous is None else with_previous(plan, *_records(previous))
    except (PlanError, LibraryError, PreviousError) as error:
        raise Usage(str(error)) from error


def add_previous(parser: argparse.ArgumentParser) -> None:
    """The option that names an earlier visit."""
    parser.add_argument(
        "--previous",
        type=Path,
        metavar="LOG",
        help="an earlier session log, whose dose is proposed (ketamine-follow-up)",
    )


def _records(log: Path) -> tuple[str, tuple[Record, ...]]:
    """Name and records of a log that is intact and was ended."""
    try:
        prefix = read(log)
    except OSError as error:
        raise Usage(f"--previous {log}: {error.strerror or error}") from error
    if prefix.reason or not prefix.sealed:
        raise Usage(f"--previous {log}: {prefix.reason or 'the session did not end'}")
    return str(log), prefix.records


def make_operator(choice: str) -> MakeOperator:
    """The maker of the operator ``auto``, or of the script in a file.  Raises `Usage`."""
    if choice == "auto":
        return _simulated
    try:
        script = load_script(choice)
    except ScriptError as error:
        raise Usage(str(error)) from error

    def scripted(draw: Callable[[], float]) -> Operator:
        del draw  # a script leaves nothing to chance
        return Script(script)

    return scripted


def _simulated(draw: Callable[[], float]) -> Operator:
    from sim.clinician import Clinician  # noqa: PLC0415 - only where somebody is simulated

    return SimulatedClinician(Clinician(draw))


def check_abilities(pump: PumpUrl, url: str, declared: str = "") -> None:
    """What is known of the family before anybody has answered; the self-test asks the pump itself.

    Raises `Usage`.
    """
    can = dialect_kind(pump.dialect).capabilities
    missing = Capability.NONE if can is None else NEEDED_BY_PROCEDURES & ~can
    if missing:
        raise Usage(
            f"--pump {url}: a procedure needs {names(NEEDED_BY_PROCEDURES)}, and this pump has no "
            f"{names(missing)}; infusor pump drives it by hand, bounded by target"
        )
    problem = "" if pump.simulated else undeclared(can, declared)
    if problem:
        raise Usage(f"--pump {url}: {problem}")


def check_log_dir(log_dir: Path | None) -> None:
    """Make the folder for logs where one is asked for, before anything runs.  Raises `Usage`."""
    if log_dir is None:
        return
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Usage(f"--log-dir {log_dir}: {error.strerror or error}") from error
    if not os.access(log_dir, os.W_OK | os.X_OK):
        raise Usage(f"--log-dir {log_dir}: no permission to write there")


def write_log(log_dir: Path | None, stage: Stage) -> Path | None:
    """Keep the log of a rehearsal in ``log_dir``; None where nobody asked for it.  Raises `Usage`."""
    if log_dir is None:
        return None
    try:
        _, path = next_session(log_dir, stage.device_id)
        path.write_bytes(stage.storage.contents())
    except OSError as error:
        raise Usage(f"--log-dir {log_dir}: {error.strerror or error}") from error
    return path


def progress_line(virtual_s: float, wall_s: float) -> str:
    """How fast simulated time went by."""
    return (
        f"{virtual_s:.0f} simulated s in {wall_s:.2f} s: {virtual_s / wall_s:,.0f} times real time"
    )
