"""The session log: verify its hash chain, show what happened, or enter how long it helped.

verify says whether every record is intact and chained; it finds damage, it is no proof against the
owner of the machine.  show prints a timeline in the time of the visit, or with --json every record as
one line; with --html it writes the report of the visit instead.  followup writes an entry beside the log.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from controller import event_log, show_log
from controller.cli import log_followup
from controller.cli.outcome import DONE, ENDED_BADLY, Usage, seen_enough
from controller.followup import beside, follow_ups
from controller.log_format import Prefix, Record
from controller.plain_text import spelt_out
from controller.report.write import html_of

LATER = ("export", "replay")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("verify", "show", "followup", *LATER))
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--samples", action="store_true", help="show: the one-second samples too")
    parser.add_argument(
        "--all",
        action="store_true",
        help="show: samples, and the counts of a dose that is still running",
    )
    parser.add_argument(
        "--html",
        type=Path,
        metavar="OUT.html",
        help="show: write the report of the visit to this file",
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    log_followup.add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.action in LATER:
        raise Usage(f"{arguments.action}: not part of this version")
    try:
        code = ACTIONS[arguments.action](arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        return seen_enough()
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
    if arguments.html:
        _write(arguments, prefix)
    elif arguments.json:
        for line in show_log.as_json_lines(prefix.records):
            sys.stdout.write(f"{line}\n")
    else:
        sys.stdout.write(
            show_log.as_text(prefix.records, samples=arguments.samples, everything=arguments.all)
        )
        for entry in _later(arguments.file, prefix):
            sys.stdout.write(show_log.as_line(entry))
    if prefix.reason:
        sys.stderr.write(
            f"{arguments.file}: what follows cannot be believed: {spelt_out(prefix.reason)}\n"
        )
        return ENDED_BADLY
    return DONE


def _later(log: Path, prefix: Prefix) -> list[Record]:
    """What was told after the visit, from the file beside its log."""
    path = beside(log)
    return follow_ups(path.read_bytes() if path.exists() else b"", prefix)


def _write(arguments: argparse.Namespace, prefix: Prefix) -> None:
    """The report, and where it is."""
    try:
        page = html_of(prefix, arguments.file.name, _later(arguments.file, prefix))
        arguments.html.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Usage(f"--html {arguments.html}: {error.strerror or error}") from error
    line = json.dumps({"report": str(arguments.html)}) if arguments.json else arguments.html
    sys.stdout.write(f"{line}\n")


ACTIONS = {"verify": _verify, "show": _show, "followup": log_followup.run}
