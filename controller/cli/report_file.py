"""The report of a visit beside its log: what `run`, `demo` and `rehearse` leave behind."""

from __future__ import annotations

import sys
from pathlib import Path

from controller.report.write import write_report


def report_beside(log: Path) -> Path | None:
    """Where the report was written, once the pump has stopped; None (and a line) where it cannot be."""
    target = log.with_suffix(".html")
    try:
        write_report(log, target)
    except OSError as error:
        sys.stderr.write(f"no report: {target}: {error.strerror or error}\n")
        return None
    return target
