"""``infusor log followup``: how long a visit helped, as it is told days later, beside its sealed log."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys

from controller import event_log
from controller.cli.outcome import DONE, Usage
from controller.followup import FollowUp, FollowUpError, beside, more
from firmware_bridge.clock import wall_ms


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that only ``followup`` takes."""
    group = parser.add_argument_group("followup: entered beside the log, which stays as it is")
    group.add_argument("--benefit-h", type=float, metavar="H", help="hours of benefit, 0 for none")
    group.add_argument("--pain-0-10", type=float, metavar="P", help="pain now, 0 none to 10 worst")
    group.add_argument("--mood-0-10", type=float, metavar="M", help="mood now, 0 worst to 10 best")
    group.add_argument("--side-effects", default="", metavar="TEXT", help="side effects in words")
    group.add_argument("--by", default="clinician", metavar="ROLE", help="who enters it")


def run(arguments: argparse.Namespace) -> int:
    """Append one entry; it is on the disk when this returns."""
    if arguments.benefit_h is None:
        raise Usage("--benefit-h is required: for how many hours the benefit lasted, 0 for none")
    path = beside(arguments.file)
    entry = FollowUp(
        arguments.benefit_h,
        arguments.by,
        arguments.pain_0_10,
        arguments.mood_0_10,
        arguments.side_effects,
    )
    log = event_log.read(arguments.file)
    existing = path.read_bytes() if path.exists() else b""
    loop = asyncio.new_event_loop()
    try:
        added = more(log, arguments.file.name, existing, entry, wall_ms(loop))
    except FollowUpError as error:
        raise Usage(str(error)) from error
    finally:
        loop.close()
    with path.open("ab") as file:
        file.write(added)
        file.flush()
        os.fsync(file.fileno())
    told = {"followup": str(path), **entry.data()}
    if arguments.json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(f"{path}: benefit {entry.benefit_h:g} h, entered by {entry.by}\n")
    return DONE
