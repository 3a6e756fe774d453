"""The program ``infusor`` of this environment, as a small script that can stand anywhere."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def wrapped(folder: Path) -> Path:
    """A script in ``folder`` that runs it, whatever environment it is called from."""
    script = folder / "infusor"
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" -m controller "$@"\n'
    )
    script.chmod(0o755)
    return script
