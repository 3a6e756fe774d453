"""Somebody else's distribution, installed for a test: what pip would leave of ``hil_tests/other_dialect``."""

from __future__ import annotations

import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent / "other_dialect"


def install(site: Path) -> tuple[str, str]:
    """Its metadata is in ``site``; returns what has to be on the path, most important first."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    with (info / "entry_points.txt").open("w", encoding="utf-8") as file:
        for group, entries in project["entry-points"].items():
            file.write(f"[{group}]\n")
            file.writelines(f"{entry} = {value}\n" for entry, value in entries.items())
    return str(site), str(FOLDER)
