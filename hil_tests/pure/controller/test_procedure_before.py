"""Before any drug: checklist, self-test, baseline, the confirmation of the test bolus."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.plan import shipped_procedures
from controller.procedure.effects import (
    Ask,
    Configure,
    Outcome,
    RunSelfTest,
    StartBolus,
    StopPump,
)
from controller.procedure.events import (
    Answered,
    LinkLost,
    LinkRestored,
    LogFailed,
    SelfTestEnded,
    Started,
    TimerFired,
    VitalsLost,
)
from controller.procedure.table import State
from controller.procedure.visit import begin
from firmware_bridge.messages import Ending, PumpAlarm
from firmware_bridge.quantities import Mass
from hil_tests.pure.controller.visit_driver import Stage, shipped_plan


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_every_item_of_the_checklist_is_a_question_of_its_own(stage: Stage) -> None:
    stage.to_self_test()
    texts = [
        e.question.text
        for e in stage.effects
        if isinstance(e, Ask) and e.question.kind == "checklist"
    ]
    items = stage.plan.checklist
    assert len(texts) == len(items)
    for number, (text, item) in enumerate(zip(texts, items, strict=True), start=1):
        assert text.startswith(f"Checklist {number} of {len(items)}, for the {item.role}: ")
        assert item.text in text or item.key.startswith("syringe_")
    assert stage.path == [State.PREPARING, State.SELF_TEST, State.BASELINE]


def test_a_no_on_the_checklist_ends_the_visit_before_any_command(stage: Stage) -> None:
    stage.feed(Started())
    stage.answer("checklist", "yes")
    stage.answer("checklist", "no")
    assert stage.at(State.ABORTED)
    assert stage.outcomes == [Outcome.ABORTED]
    assert "indication" in stage.visit.chart.end_reason
    assert not [e for e in stage.effects if isinstance(e, Configure | StopPump)]


def test_what_is_in_the_syringe_is_named_twice_to_two_roles_and_kept(stage: Stage) -> None:
    stage.to_self_test()
    said = [r.data for r in stage.records if r.kind == "checklist"][-2:]
    assert [data["role"] for data in said] == ["nurse", "physician"]
    for data in said:
        assert "ketamine 10 mg/mL, 20 mL in a BD 20 mL; label and syringe read" in str(data["text"])


@pytest.mark.parametrize("procedure", shipped_procedures())
def test_every_shipped_checklist_names_drug_and_concentration_and_proposes_no_answer(
    procedure: str,
) -> None:
    stage = Stage(shipped_plan(procedure))
    stage.to_self_test()
    asked = [e.question for e in stage.effects if isinstance(e, Ask) and e.question.role]
    assert len(asked) == len(stage.plan.checklist)
    assert all(question.proposed is None for question in asked)
    assert not any("{" in question.text for question in asked)
    named = f"{stage.plan.drug} {stage.plan.concentration}"
    assert sum(named in question.text for question in asked) == 2


def test_an_item_needs_somebody_who_answers_for_it(stage: Stage) -> None:
    stage.feed(Started())
    question = stage.ask("checklist")
    stage.feed(Answered(question.id, "yes", {}, "", question.token))
    assert stage.ask("checklist") == question
    assert "named role" in stage.refused[-1].why


def test_a_visit_begins_once(stage: Stage) -> None:
    stage.feed(Started())
    stage.feed(Started())
    assert "begun already" in stage.why_refused()


@pytest.mark.parametrize("state", [State.PREPARING, State.SELF_TEST, State.BASELINE])
def test_half_an_hour_before_any_drug_ends_the_visit(stage: Stage, state: State) -> None:
    if state is State.PREPARING:
        stage.feed(Started())
    else:
        stage.pump.endings["Configure"] = (
            Ending.ACCEPTED if state is State.BASELINE else Ending.IN_PROGRESS
        )
        stage.visit = begin(stage.plan, replace(stage.visit.bounds, command_s=99_999))
        stage.to_self_test()
    assert stage.at(state)
    stage.run(1_790)
    assert stage.at(state)
    stage.run(20)
    assert stage.at(State.ABORTED)


def test_the_self_test_follows_the_syringe_and_must_pass(stage: Stage) -> None:
    stage.self_test_ok = False
    stage.to_self_test()
    configure = next(e for e in stage.effects if isinstance(e, Configure))
    assert configure.diameter_um == 19_050
    assert stage.at(State.ABORTED)
    assert stage.alarm_history == ["self_test"]


def test_a_syringe_the_pump_does_not_take_fails_the_self_test(stage: Stage) -> None:
    stage.pump.endings["Configure"] = Ending.REFUSED
    stage.to_self_test()
    assert stage.at(State.ABORTED)
    assert "said no" in stage.visit.chart.end_reason
    assert stage.self_tests == 0


def test_a_syringe_that_is_never_acknowledged_fails_the_self_test(stage: Stage) -> None:
    stage.pump.endings["Configure"] = Ending.IN_PROGRESS
    stage.to_self_test()
    stage.run(11)
    assert stage.at(State.ABORTED)


def test_a_link_lost_during_the_self_test_starts_it_again_when_it_is_back(stage: Stage) -> None:
    stage.pump.endings["Configure"] = Ending.IN_PROGRESS
    stage.to_self_test()
    stage.feed(LinkLost("unplugged"))
    assert stage.alarms.keys() == {"link_lost"}
    del stage.pump.endings["Configure"]
    stage.feed(LinkRestored(9))
    assert stage.at(State.BASELINE)
    assert not stage.alarms
    assert stage.visit.pump.tested_boot_id == 9


def test_a_self_test_that_nobody_asked_for_is_refused(stage: Stage) -> None:
    stage.feed(Started())
    stage.feed(SelfTestEnded(ok=True))
    assert stage.at(State.PREPARING)
    assert "no self-test" in stage.why_refused()


def test_the_test_bolus_is_asked_for_after_two_good_minutes_and_the_scores(stage: Stage) -> None:
    stage.to_baseline()
    stage.run(60)
    stage.agree("baseline_scores")
    assert not stage.asked("confirm")
    stage.run(70)
    question = stage.ask("confirm")
    assert "10 mg" in question.text
    assert "1 mL" in question.text
    assert "60 mL/h" in question.text
    assert question.soft == ()
    assert question.expires_after_s == 30


def test_vitals_that_leave_their_limits_start_the_two_minutes_anew(stage: Stage) -> None:
    stage.to_baseline()
    stage.agree("baseline_scores")
    stage.run(100)
    assert stage.vitals is not None
    stage.vitals["hr_bpm"] = 160.0
    stage.run(10)
    stage.vitals["hr_bpm"] = 70.0
    stage.run(100)
    assert not stage.asked("confirm")
    stage.run(30)
    assert stage.asked("confirm")
    assert stage.alarm_history == ["vitals_hr_bpm"]
    assert not stage.alarms


def test_no_vitals_no_test_bolus(stage: Stage) -> None:
    stage.vitals = None
    stage.to_baseline()
    stage.agree("baseline_scores")
    stage.run(600)
    assert not stage.asked("confirm")
    assert "vitals_stale" in stage.alarms


def test_a_confirmation_that_expires_is_asked_again_with_a_new_token(stage: Stage) -> None:
    stage.to_confirm()
    first = stage.ask("confirm")
    stage.run(31)
    second = stage.ask("confirm")
    assert second.token != first.token
    stage.feed(Answered(first.id, "confirm", {}, "nurse", first.token))
    assert stage.at(State.BASELINE)
    assert "not open" in stage.why_refused()


def test_a_confirmation_with_another_token_starts_nothing(stage: Stage) -> None:
    stage.to_confirm()
    question = stage.ask("confirm")
    stage.feed(Answered(question.id, "confirm", {}, "nurse", "other"))
    assert stage.at(State.BASELINE)
    assert "other values" in stage.refused[-1].why


def test_a_refused_test_bolus_ends_the_visit(stage: Stage) -> None:
    stage.to_confirm().answer("confirm", "refuse")
    assert stage.at(State.ABORTED)
    assert not [e for e in stage.effects if isinstance(e, StartBolus)]


@pytest.mark.parametrize("trouble", ["vitals", "monitor", "pump alarm", "link"])
def test_the_confirmation_is_withdrawn_while_something_is_wrong(stage: Stage, trouble: str) -> None:
    stage.to_confirm()
    assert stage.vitals is not None
    if trouble == "vitals":
        stage.vitals["spo2_pct"] = 92.0
        stage.report()
    elif trouble == "monitor":
        stage.feed(VitalsLost())
    elif trouble == "pump alarm":
        stage.pump.alarms = PumpAlarm.OCCLUSION
        stage.report()
    else:
        stage.feed(LinkLost())
    assert not stage.asked("confirm")
    assert stage.at(State.BASELINE)


def test_a_pump_alarm_that_is_gone_brings_the_confirmation_back(stage: Stage) -> None:
    stage.to_confirm()
    stage.pump.alarms = PumpAlarm.OCCLUSION
    stage.report()
    stage.pump.alarms = PumpAlarm.NONE
    stage.report()
    stage.agree("confirm")
    assert stage.at(State.TEST_BOLUS)


def test_a_new_bridge_in_baseline_is_tested_before_it_may_start_anything(stage: Stage) -> None:
    stage.to_confirm()
    stage.pump.endings["Configure"] = Ending.IN_PROGRESS
    stage.feed(LinkLost())
    stage.pump.boot_id = 8
    stage.feed(LinkRestored(8))
    assert not stage.asked("confirm")
    stage.feed(LinkLost())
    del stage.pump.endings["Configure"]
    stage.feed(LinkRestored(8))
    assert stage.self_tests == 2
    stage.agree("confirm")
    assert stage.at(State.TEST_BOLUS)


def test_a_new_bridge_that_fails_its_test_in_baseline_ends_the_visit(stage: Stage) -> None:
    stage.to_baseline()
    stage.report()
    stage.self_test_ok = False
    stage.feed(LinkLost())
    stage.feed(LinkRestored(8))
    assert stage.at(State.ABORTED)


def test_a_test_bolus_beyond_a_hard_limit_ends_the_visit(stage: Stage) -> None:
    heavy = replace(stage.plan.test_bolus, dose=Mass.from_mg(21))
    stage.plan = replace(stage.plan, test_bolus=heavy)
    stage.visit = begin(stage.plan)
    stage.to_confirm()
    assert stage.at(State.ABORTED)
    assert "hard limit" in stage.visit.chart.end_reason


def test_a_test_bolus_beyond_a_soft_limit_names_it(stage: Stage) -> None:
    bolus = replace(stage.plan.test_bolus, dose=Mass.from_mg(12))
    stage.plan = replace(stage.plan, test_bolus=bolus)
    stage.visit = begin(stage.plan)
    stage.to_confirm()
    assert stage.ask("confirm").soft == ("bolus dose 12 mg is above 10 mg",)
    assert "beyond a soft limit" in stage.ask("confirm").text


@pytest.mark.parametrize("state", [State.PREPARING, State.BASELINE])
def test_a_log_that_cannot_be_written_blocks_the_start(stage: Stage, state: State) -> None:
    if state is State.PREPARING:
        stage.feed(Started())
    else:
        stage.to_baseline()
    stage.feed(LogFailed("disk full"))
    assert stage.at(State.ABORTED)
    assert "disk full" in stage.visit.chart.end_reason


def test_the_self_test_is_asked_for_once(stage: Stage) -> None:
    stage.to_confirm()
    assert len([e for e in stage.effects if isinstance(e, RunSelfTest)]) == 1


def test_a_timer_that_was_started_anew_does_not_count(stage: Stage) -> None:
    stage.feed(Started())
    stage.feed(TimerFired("before_drug"))
    assert stage.at(State.PREPARING)
