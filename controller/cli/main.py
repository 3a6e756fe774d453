"""Finds the command that was asked for, and loads no other.

Each command is a module with ``add_arguments(parser)`` and ``run(arguments) -> exit code``.  Loading them
one by one keeps `infusor estop` and `infusor sim pump` quick: neither waits for MQTT or reports.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from controller.cli.outcome import BAD_USAGE, ENDED_BADLY, CommandProblem
from controller.plain_text import spelt_out
from firmware_bridge.notice import NOTICE

COMMANDS: dict[tuple[str, ...], tuple[str, str]] = {
    ("demo",): ("controller.cli.demo", "a whole first ketamine visit, 120 times as fast, on a PTY"),
    ("run",): ("controller.cli.run", "one visit in real or scaled time"),
    ("rehearse",): ("controller.cli.rehearse", "the same visit in virtual time, in one process"),
    ("sim", "pump"): ("sim.pump_command", "a simulated pump for anybody's software"),
    ("sim", "faults"): ("sim.faults_command", "what can be broken, how, and in which pump"),
    ("sim", "record"): ("sim.record_command", "write down what passes between software and a pump"),
    ("sim", "diff"): ("sim.diff_command", "where two recordings part"),
    ("sim", "patient"): ("sim.patient_command", "drug concentrations and effects of given doses"),
    ("pump",): ("controller.cli.pump", "drive any pump by hand, through bridge and gate"),
    ("estop",): ("controller.cli.estop", "emergency stop, from anywhere; --reset clears the latch"),
    ("log",): ("controller.cli.log", "verify or show a session log"),
    ("bench", "analyse"): (
        "controller.cli.bench_analyse",
        "how accurate a pump was, from a recording",
    ),
    ("bench", "predict"): ("controller.cli.bench_predict", "what to expect of a closed line"),
    ("doctor",): ("controller.cli.doctor", "environment, ports, name clashes, broker self-test"),
}
SPELLINGS: dict[tuple[str, ...], tuple[str, ...]] = {("bench", "analyze"): ("bench", "analyse")}
GROUPS = ("sim", "bench")
NOT_YET = {
    ("campaign",): "campaigns",
    ("bench",): "this bench test",
    ("course",): "courses",
}


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaint is one line, and whose exit code is 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_USAGE, f"{self.prog}: {_one_line(message)}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (see `controller.cli.outcome`)."""
    words = list(sys.argv[1:] if argv is None else argv)
    command = _command_of(words)
    if command is None:
        return _no_command(words)
    module_name, summary = COMMANDS[command]
    module = importlib.import_module(module_name)
    prog = " ".join(("infusor", *command))
    parser = OneLineParser(
        prog=prog,
        description=(module.__doc__ or summary).strip(),
        epilog=NOTICE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    arguments = parser.parse_args(words[len(command) :])
    try:
        return int(module.run(arguments))
    except CommandProblem as problem:
        sys.stderr.write(f"{prog}: {_one_line(problem)}\n")
        return problem.code
    except KeyboardInterrupt:  # a second Ctrl-C, or one before anything ran
        sys.stderr.write(f"{prog}: interrupted\n")
        return ENDED_BADLY


def _one_line(text: object) -> str:
    """The text, whatever the values in it hold: a complaint is one line and commands no terminal."""
    return spelt_out(" ".join(str(text).split()))


def _command_of(words: Sequence[str]) -> tuple[str, ...] | None:
    for length in (2, 1):
        name = tuple(words[:length])
        name = SPELLINGS.get(name, name)
        if name in COMMANDS:
            return name
    return None


def _no_command(words: Sequence[str]) -> int:
    if not words or words[0] in {"-h", "--help"}:
        sys.stdout.write(_overview())
        return 0
    if words[0] == "--version":
        from importlib.metadata import version  # noqa: PLC0415  # slow, and wanted nowhere else

        sys.stdout.write(f"infusor {version('infusor')}\n")
        return 0
    if words[0] in GROUPS and words[1:] in (["-h"], ["--help"]):
        sys.stdout.write(_overview(words[0]))
        return 0
    for name, what in NOT_YET.items():
        if tuple(words[: len(name)]) == name:
            sys.stderr.write(f"infusor {' '.join(name)}: {what}: not part of this version\n")
            return BAD_USAGE
    given = " ".join(words[:2]) if words[0] in GROUPS else words[0]
    known = ", ".join(" ".join(name) for name in COMMANDS)
    sys.stderr.write(f"infusor: no command {given!r}; there are: {known}\n")
    return BAD_USAGE


def _overview(group: str = "") -> str:
    """What there is; with ``group``, of the commands that begin with it."""
    listed = {name: text for name, (_, text) in COMMANDS.items() if group in ("", name[0])}
    width = max(len(" ".join(name)) for name in listed)
    rows = "\n".join(f"  {' '.join(name):<{width}}  {text}" for name, text in listed.items())
    return (
        "infusor: an infusion-pump controller with hardware-in-the-loop simulation\n"
        f"{NOTICE}\n\ncommands:\n{rows}\n\n"
        "infusor COMMAND --help tells more.  Exit codes: 0 done, 1 ended badly or a check found\n"
        "something, 2 bad usage (nothing was started), 3 a port or broker could not be reached.\n"
    )
