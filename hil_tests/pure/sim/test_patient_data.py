"""Every figure of the simulated patient is in a data file, in a table that says where it comes from."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

MARKS = {"confirmed", "secondary", "design", "unconfirmed"}
FILES = ("effects.toml", "monitor.toml", "pharmacokinetics.toml")


def tables(name: str, table: dict[str, Any], said: bool = False) -> Iterator[tuple[str, bool, Any]]:
    """Every table with figures of its own, and whether it or one around it says where they come from."""
    said = said or {"mark", "source"} <= table.keys()
    inner = {key: value for key, value in table.items() if _tables(value)}
    if table.keys() - inner.keys():
        yield name, said, table.get("mark")
    for key, value in inner.items():
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            yield from tables(f"{name} {key} {number}", one, said)


def _tables(value: object) -> bool:
    if isinstance(value, list):
        return any(isinstance(one, dict) for one in value)
    return isinstance(value, dict)


@pytest.mark.parametrize("file", FILES)
def test_every_figure_has_a_source_and_a_mark(file: str) -> None:
    text = files("sim").joinpath(f"data/{file}").read_text(encoding="utf-8")
    assert "no value here may be used" in " ".join(text.replace("#", " ").split()).lower()
    found = list(tables(file, tomllib.loads(text)))
    assert len(found) > 5
    for name, said, mark in found:
        assert said, name
        assert mark is None or mark in MARKS, name
