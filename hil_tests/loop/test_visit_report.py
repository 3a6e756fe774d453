"""What a whole visit leaves behind for its report, and what it says of it."""

from __future__ import annotations

import pytest

from controller.cli.options import existing_plan, make_operator
from controller.cli.rehearsal import Stage
from controller.log_format import longest_valid_prefix, verify
from controller.procedure.events import vitals_arrived
from controller.report.doses import doses
from controller.report.story import Story, tell
from controller.report.write import html_of
from controller.samples import Samples
from sim.virtual_loop import run_virtual

DAY_S = 12 * 3600.0


@pytest.fixture(scope="module")
def stage() -> Stage:
    made = Stage(existing_plan("ketamine-first-visit"), 11, make_operator("dissociation"))
    run_virtual(made.run, seed=11, budget_s=DAY_S)
    return made


@pytest.fixture(scope="module")
def told(stage: Stage) -> Story:
    return tell(longest_valid_prefix(stage.storage.contents()), "bench-1.S-0001.jsonl")


def test_every_dose_of_a_visit_was_ordered_programmed_delivered_and_can_be_estimated(
    told: Story,
) -> None:
    given = doses(told)
    assert [dose.use for dose in given] == ["test", "infusion"]
    for dose in given:
        estimate = dose.estimated(told.end_s, 10.0)
        assert dose.status == "completed"
        assert dose.ordered.dose_mg is not None
        assert dose.programmed is not None
        assert dose.delivered is not None
        assert estimate is not None
        assert dose.delivered.dose_mg == pytest.approx(dose.ordered.dose_mg, abs=0.02)
        assert estimate.dose_mg == pytest.approx(dose.delivered.dose_mg, rel=0.01)


def test_the_pump_is_known_by_name_once(told: Story) -> None:
    assert [moment.record["firmware"] for moment in told.of_kind("pump")] == ["NE-1000 3.928"]


def test_the_report_of_a_two_hour_visit_is_small_and_sealed(stage: Stage) -> None:
    html = html_of(longest_valid_prefix(stage.storage.contents()), "bench-1.S-0001.jsonl")
    assert "hash chain intact and sealed" in html
    assert html.count("<svg ") == 6
    assert len(html.encode()) < 400_000


def test_a_monitor_that_goes_on_after_the_visit_adds_nothing_to_the_sealed_log(
    stage: Stage,
) -> None:
    before = stage.storage.contents()
    assert stage.runner is not None
    raw: dict[str, object] = {"t_s": 9e3, "seq": 99_999, "hr_bpm": 70.0}
    Samples().vitals_seen(stage.runner, vitals_arrived(raw), raw)
    assert stage.storage.contents() == before
    assert verify(before).sealed
