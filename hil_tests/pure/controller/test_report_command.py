"""`infusor log show --html`, the facts a log begins with, and the report beside a log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.cli.main import main
from controller.cli.report_file import report_beside
from controller.limits import VitalLimit
from controller.log_facts import NO_LIMIT, visit_facts, vital_limits
from controller.plan import load_plan
from hil_tests.pure.controller.report_logs import FIRST_VISIT, SEAL, log_bytes


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "bench-1.S-0001.jsonl"
    path.write_bytes(log_bytes([*FIRST_VISIT, SEAL]))
    return path


def test_a_report_is_made_again_from_its_log_alone(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beside = report_beside(log)
    again = tmp_path / "again.html"
    assert main(["log", "show", str(log), "--html", str(again)]) == 0
    assert capsys.readouterr().out == f"{again}\n"
    assert beside == log.with_suffix(".html")
    assert again.read_bytes() == beside.read_bytes()


def test_json_says_where_the_report_is(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "again.html"
    assert main(["log", "show", str(log), "--html", str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(target)}


def test_a_damaged_log_has_a_report_and_an_exit_code_that_says_so(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.write_bytes(log.read_bytes()[:-20])
    target = tmp_path / "again.html"
    assert main(["log", "show", str(log), "--html", str(target)]) == 1
    assert "cannot be believed" in capsys.readouterr().err
    assert "LOG DAMAGED" in target.read_text(encoding="utf-8")


def test_a_place_that_cannot_be_written_is_named(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "absent" / "again.html"
    assert main(["log", "show", str(log), "--html", str(target)]) == 2
    assert str(target) in capsys.readouterr().err


def test_a_visit_does_not_fail_because_its_report_cannot_be_written(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.with_suffix(".html").mkdir()
    assert report_beside(log) is None
    assert "no report" in capsys.readouterr().err


def test_a_log_begins_with_whom_what_and_within_which_limits() -> None:
    plan = load_plan("ketamine-first-visit")
    facts = visit_facts(plan)
    assert (facts["weight_kg"], facts["age_years"], facts["height_cm"]) == (70.0, 40, 170)
    assert (facts["drug"], facts["concentration_mg_ml"]) == ("ketamine", 10.0)
    assert (facts["syringe_diameter_mm"], facts["loaded_ml"]) == (19.05, 20.0)
    assert (facts["hold_below_spo2_pct"], facts["warn_below_spo2_pct"]) == (90.0, 94.0)
    assert facts["library_sha256"] == plan.library_sha256
    assert len(plan.procedure_sha256) == 64
    assert plan.procedure_sha256 != plan.library_sha256


def test_of_two_limits_with_one_name_the_tighter_one_is_told_and_none_is_not() -> None:
    limits = [
        VitalLimit("hr_bpm", 50.0, NO_LIMIT, 5.0, "hold"),
        VitalLimit("hr_bpm", 45.0, 150.0, 60.0, "hold"),
        VitalLimit("hr_bpm", 0.0, 160.0, 60.0, "hold"),
    ]
    assert vital_limits(limits) == {"hold_below_hr_bpm": 50.0, "hold_above_hr_bpm": 150.0}
