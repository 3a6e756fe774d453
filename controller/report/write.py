"""From a log file to a report file: the only part of the report that touches a disk."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from controller import event_log
from controller.log_format import Prefix, Record
from controller.report.page import page
from controller.report.story import tell


def html_of(prefix: Prefix, file: str, later: Iterable[Record] = ()) -> str:
    """The report of what can be believed of a log that is called ``file``, and of later follow-ups."""
    style = (files("controller") / "report" / "report.css").read_text(encoding="utf-8")
    return page(tell(prefix, file, later), style)


def write_report(log: Path, target: Path) -> None:
    """Write the report of ``log`` to ``target``.  Raises `OSError`."""
    target.write_text(html_of(event_log.read(log), log.name), encoding="utf-8")
