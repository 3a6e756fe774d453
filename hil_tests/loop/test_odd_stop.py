"""A remote stop that was not as it should be: kept in the log, told as an alarm, and nothing decided."""

from __future__ import annotations

from controller.cli.options import existing_plan, make_operator
from controller.cli.rehearsal import Stage
from controller.runner import ODD_STOP, Runner
from sim.virtual_loop import run_virtual

WHAT = "remote stop: a retained one was ignored"


def test_an_odd_remote_stop_is_logged_every_time_and_raises_one_low_alarm() -> None:
    def twice(runner: Runner) -> None:
        runner.loop.call_later(5.0, runner.note_odd, WHAT)
        runner.loop.call_later(9.0, runner.note_odd, WHAT)

    plan = existing_plan("ketamine-first-visit")
    stage = Stage(plan, 3, make_operator("anxiety"), on_runner=twice)
    rehearsed, _ = run_virtual(stage.run, seed=3, budget_s=6 * 3600.0)
    assert rehearsed.report.outcome == "rescued"
    assert ODD_STOP in rehearsed.report.alarms
    assert [r["what"] for r in stage.events() if r["kind"] == "odd"] == [WHAT, WHAT]
    alarms = [r for r in stage.events() if r.get("alarm") == ODD_STOP]
    assert [(r["priority"], r["active"], r["text"]) for r in alarms] == [("low", True, WHAT)]
    assert stage.runner is not None
    before = len(stage.events())
    stage.runner.note_odd(WHAT)  # the visit is over and its log sealed
    assert len(stage.events()) == before
