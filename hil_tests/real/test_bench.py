"""The bench runs and prints every table.  No millisecond is asserted here: those are the machine's."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from hil_tests.bench.__main__ import TABLES
from hil_tests.bench.tables import Row, Spread, Table

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def tables() -> list[dict[str, object]]:
    ran = subprocess.run(
        [sys.executable, "-m", "hil_tests.bench", "--quick", "--json"],
        capture_output=True,
        check=True,
        timeout=110,
    )
    found: list[dict[str, object]] = json.loads(ran.stdout)["tables"]
    return found


@pytest.mark.timeout(120)
def test_a_quick_run_answers_every_question(tables: list[dict[str, object]]) -> None:
    assert [table["key"] for table in tables] == list(TABLES)


@pytest.mark.timeout(120)
def test_every_row_has_a_ratio_to_a_floor_of_the_same_run(tables: list[dict[str, object]]) -> None:
    for table in tables:
        rows = table["rows"]
        assert isinstance(rows, list)
        assert rows or table["notes"]
        for row in rows:
            assert row["ours"]["low"] <= row["ours"]["median"] <= row["ours"]["high"]
            assert row["ratio"] is None or row["ratio"]["median"] >= 0


@pytest.mark.timeout(120)
def test_the_three_largest_costs_of_a_rehearsal_are_named(tables: list[dict[str, object]]) -> None:
    (notes,) = [table["notes"] for table in tables if table["key"] == "rehearsal"]
    assert isinstance(notes, list)
    assert any(note.startswith("three largest costs: ") for note in notes)


def test_a_row_puts_its_ratio_first() -> None:
    row = Row.of("a thing", [3.0, 2.0, 4.0], [1.5, 1.0, 1.0], "us", "p99 5 us")
    line = Table("key", "title", "nothing", (row,)).text().splitlines()[-1]
    assert " ".join(line.split()) == "2 (2..4) 3 (2..4) 1 (1..1.5) us a thing p99 5 us"


def test_a_load_that_comes_and_goes_stays_out_of_the_ratio() -> None:
    row = Row.of("a thing", [2.0, 20.0, 200.0, 2000.0], [1.0, 10.0, 100.0, 1000.0], "us")
    assert row.ratio == Spread(2.0, 2.0, 2.0)


def test_a_floor_too_small_to_be_seen_has_no_ratio() -> None:
    row = Row.of("a thing", [1.0], [0.0], "%")
    assert math.isinf(row.ratio.median)
    assert '"ratio": null' in json.dumps(Table("key", "title", "nothing", (row,)).as_json())
