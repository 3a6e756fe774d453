"""The session log: verify its hash chain, or show what happened.

verify says whether every record is intact and chained; it finds damage, it is no proof against the
owner of the machine.  show prints a timeline, or with --json every record as one line.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from controller import event_log, show_log
from controller.cli.outcome import DONE, ENDED_BADLY, Usage
from controller.plain_text import spelt_out

LATER = ("export", "replay")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("verify", "show", *LATER))
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--samples", action="store_true", help="show: the one-second samples too")
    parser.add_argument(
        "--plot", type=Path, metavar="PNG", help="show: draw the visit to this file"
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout")


def run(arguments: argparse.Namespace) -> int:
    if arguments.action in LATER:
        raise Usage(f"{arguments.action}: not part of this version")
    try:
        return _verify(arguments) if arguments.action == "verify" else _show(arguments)
    except OSError as error:
        raise Usage(f"{arguments.file}: {error.strerror or error}") from error


def _verify(arguments: argparse.Namespace) -> int:
    found = event_log.verify(arguments.file)
    if arguments.json:
        result = {
            "ok": found.ok,
            "records": found.records,
            "first_bad": found.first_bad,
            "sealed": found.sealed,
            "reason": found.reason,
        }
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        verdict = (
            "intact"
            if found.ok
            else f"DAMAGED at record {found.first_bad}: {spelt_out(found.reason)}"
        )
        seal = "sealed" if found.sealed else "not sealed: the session did not end"
        sys.stdout.write(f"{arguments.file}: {found.records} records, {verdict}, {seal}\n")
    return DONE if found.ok else ENDED_BADLY


def _show(arguments: argparse.Namespace) -> int:
    prefix = event_log.read(arguments.file)
    if not prefix.records:
        raise Usage(f"{arguments.file}: no session log ({prefix.reason or 'empty'})")
    if arguments.plot:
        from controller.plot import PlotUnavailable, draw  # noqa: PLC0415 - heavy, only when asked for

        try:
            draw(prefix.records, arguments.plot, arguments.file.name)
        except PlotUnavailable as error:
            raise Usage(str(error)) from error
        except OSError as error:
            raise Usage(f"--plot {arguments.plot}: {error.strerror or error}") from error
    if arguments.json:
        for record in prefix.records:
            sys.stdout.write(json.dumps(record) + "\n")
    else:
        sys.stdout.write(show_log.as_text(prefix.records, samples=arguments.samples))
    if prefix.reason:
        sys.stderr.write(
            f"{arguments.file}: what follows cannot be believed: {spelt_out(prefix.reason)}\n"
        )
        return ENDED_BADLY
    return DONE
