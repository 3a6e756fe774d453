"""A first ketamine visit on real serial bytes, 120 times as fast: what `make demo` runs.

A simulated New Era pump with a patient behind it, in a process of its own, on a pseudo-terminal; a bridge
process that owns the port; this controller; an embedded MQTT broker on loopback; a clinician who follows
a script.  Two hours of visit in about a minute, then a verified log and its report.
"""

from __future__ import annotations

import argparse
import sys

from controller import event_log
from controller.cli import run as visit
from controller.cli.outcome import ENDED_BADLY

SPEED = 120.0
HELP = {"speed": "default 120", "device": "default demo", "operator": "default: the script 'demo'"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    visit.add_options(parser)
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to reword an option
        action.help = HELP.get(action.dest, action.help)
    parser.set_defaults(
        speed=SPEED, operator="demo", device="demo", procedure="ketamine-first-visit"
    )


def run(arguments: argparse.Namespace) -> int:
    sys.stderr.write(f"{(__doc__ or '').strip()}\n\n")
    code, log = visit.visit(arguments)
    if log is None:
        return code
    found = event_log.verify(log)
    verdict = "intact and sealed" if found.ok and found.sealed else f"NOT INTACT: {found.reason}"
    sys.stderr.write(f"log verified: {found.records} records, {verdict}\n")
    return code if found.ok and found.sealed else ENDED_BADLY
