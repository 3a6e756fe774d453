"""A controller that died: the log is replayed, the pump is read, and a person is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.procedure.effects import Outcome, StartBolus, StartInfusion, StopPump
from controller.procedure.events import Interrupted, Started
from controller.procedure.table import State
from controller.procedure.visit import Delivery, Kind, Recovered, Status
from controller.replay import replay
from firmware_bridge.messages import PumpState, Snapshot
from firmware_bridge.quantities import Mass, Rate, Volume
from hil_tests.pure.controller.visit_driver import Stage, shipped_plan, snapshot


def after_crash(before: Stage, pump: Snapshot | None, *, same_pump: bool | None = None) -> Stage:
    """A new controller with the old one's log, and a pump that the new bridge has stopped and read."""
    log = [{"kind": record.kind, **record.data} for record in before.records]
    stage = Stage(before.plan)
    stage.now = 50.0
    stage.pump.boot_id = 99
    if pump is not None:
        stage.pump.infused = pump.infused
    stage.feed(Interrupted(replay(log).recovered, pump, same_pump))
    return stage


def stopped_at(stage: Stage) -> Snapshot:
    stage.pump.advance(stage.now)
    return snapshot(PumpState.STOPPED, stage.pump.infused)


def titrating(stage: Stage) -> Stage:
    stage.to_observing().respond("nothing", dose_mg=5)
    return stage


@pytest.mark.parametrize(
    ("way", "choice_leads_to"),
    [
        (Stage.to_baseline, State.SELF_TEST),
        (Stage.to_observing, State.OBSERVING),
        (titrating, State.OBSERVING),
        (Stage.to_infusing, State.INFUSING),
    ],
)
def test_after_a_crash_it_holds_and_resumes_where_the_diagram_says(
    way: Callable[[Stage], Stage], choice_leads_to: State
) -> None:
    before = way(Stage())
    before.run(20)
    stage = after_crash(before, stopped_at(before))
    assert stage.path == [State.PREPARING, State.HOLDING]
    assert "interrupted" in stage.ask("holding").text
    assert isinstance(next(e for e in stage.effects if isinstance(e, StopPump)), StopPump)
    stage.run(3)
    assert stage.at(State.HOLDING)
    stage.answer("holding", "resume")
    assert choice_leads_to in stage.path
    assert stage.self_tests == 1
    assert not [e for e in stage.effects if isinstance(e, StartBolus | StartInfusion)]


@pytest.mark.parametrize("answered", [0, 1, 9])
def test_a_visit_whose_checklist_was_cut_short_can_only_be_ended(answered: int) -> None:
    before = Stage()
    before.feed(Started())
    for _ in range(answered):
        before.answer("checklist", "yes")
    stage = after_crash(before, stopped_at(before))
    question = stage.ask("holding")
    assert question.choices == ("abort",)
    assert f"only {answered} of the 16 items of the checklist were answered" in question.text
    assert question.text.endswith(
        "Next: abort ends the visit, and so does no answer; nothing was given."
    )
    stage.run(3)
    stage.answer("holding", "abort")
    assert stage.outcomes == [Outcome.ABORTED]


def test_a_visit_whose_checklist_was_cut_short_ends_when_nobody_answers() -> None:
    before = Stage()
    before.feed(Started())
    once = after_crash(before, stopped_at(before))
    once.records = [*before.records, *once.records]
    twice = after_crash(once, stopped_at(once))
    assert twice.ask("holding").choices == ("abort",)
    twice.run(1_801)
    assert twice.path == [State.PREPARING, State.HOLDING, State.ABORTED]


@pytest.mark.parametrize("procedure", ["ketamine-first-visit", "lidocaine-chronic-pain"])
def test_only_what_may_be_answered_is_said_to_lead_anywhere(procedure: str) -> None:
    before = Stage(shipped_plan(procedure))
    before.to_confirm()
    stage = after_crash(before, stopped_at(before))
    assert not stage.asked("signs")  # of a drug that was not given
    for choice in stage.ask("holding").choices:
        assert re.search(rf"\b{choice}\b", stage.ask("holding").text.partition("Next: ")[2])


def test_what_was_given_in_a_rescue_counts_on_and_its_wait_begins_anew() -> None:
    before = Stage()
    before.to_observing().answer("response", "anxiety")
    before.answer("rescue_drug", "given", midazolam_mg=2.5)
    before.run(130)
    before.answer("rescue_drug", "given", midazolam_mg=2)
    stage = after_crash(before, stopped_at(before))
    stage.run(1_000)
    both = [*before.records, *stage.records]
    again = replay([{"kind": record.kind, **record.data} for record in both]).recovered
    assert (again.rescue_doses, again.rescue_total, again.rescued) == (2, 4.5, True)
    stage.answer("holding", "anxiety")
    assert stage.ask("rescue_drug").values["midazolam_mg"].max == 0.5
    stage.answer("rescue_drug", "enough")
    stage.run(2_590)
    assert not stage.asked("recovery_scores")  # an hour from when it may have been given
    stage.run(60)
    assert stage.asked("recovery_scores")


def test_a_rescue_dose_right_after_a_crash_waits_for_what_the_last_one_does() -> None:
    before = Stage()
    before.to_observing().answer("response", "anxiety")
    before.agree("rescue_drug")
    before.run(200)
    stage = after_crash(before, stopped_at(before))
    stage.answer("holding", "anxiety")
    stage.answer("rescue_drug", "given", midazolam_mg=1)
    assert "wait for what the last dose does: 120 s are left" in stage.refused[-1].why


def test_the_scores_of_before_a_crash_are_compared_with_those_of_after() -> None:
    before = Stage().to_infusing()
    stage = after_crash(before, stopped_at(before))
    stage.run(3)
    stage.answer("holding", "recover")
    stage.discharge()
    finished = next(r for r in stage.records if r.kind == "finished")
    assert (finished.data["pain_before_0_10"], finished.data["pain_after_0_10"]) == (6, 3)


def test_an_entered_dose_is_still_taken_for_a_slip_after_a_crash() -> None:
    before = Stage(shipped_plan("lidocaine-chronic-pain"))
    before.to_confirm()
    before.answer("confirm", "change")
    before.answer("infusion_dose", dose_mg=21)
    stage = after_crash(before, stopped_at(before))
    stage.run(3)
    stage.answer("holding", "resume")
    stage.agree("baseline_scores")
    stage.run(130)
    assert stage.at(State.INFUSING)
    assert "10 times away from 210 mg" in stage.ask("confirm").soft[0]


def test_it_never_resumes_by_itself() -> None:
    before = Stage().to_infusing()
    before.run(100)
    stage = after_crash(before, stopped_at(before))
    stage.run(1_801)
    assert stage.at(State.RECOVERING)
    assert not stage.pump.starts


def test_the_rest_of_the_infusion_is_what_the_pump_says_was_not_given() -> None:
    before = Stage().to_infusing()
    before.run(900)
    pump = stopped_at(before)
    stage = after_crash(before, pump)
    stage.run(3)
    stage.answer("holding", "resume")
    stage.agree("confirm")
    assert stage.pump.starts[-1].volume.nl == 2_500_000 - pump.infused.nl
    assert stage.visit.account.required == Mass.from_mg(10)


def test_the_alarm_says_where_it_was_interrupted_and_what_log_and_pump_say() -> None:
    before = Stage().to_infusing()
    before.run(900)
    pump = stopped_at(before)
    log = before.visit.account.deliveries[-1].recorded
    text = after_crash(before, pump).alarms["interrupted"].text
    assert text == (
        f"the controller was interrupted in infusing; of 2.5 mL the log says {log}, "
        f"the pump {pump.infused}"
    )
    unread = after_crash(before, None).alarms["interrupted"].text
    assert unread.endswith("the pump nothing")
    idle = Stage().to_observing()
    text = after_crash(idle, stopped_at(idle)).alarms["interrupted"].text
    assert text == "the controller was interrupted in observing"


@pytest.mark.parametrize("off_ml", [-0.06, 0.06])
def test_where_log_and_pump_disagree_the_infusion_cannot_be_resumed(off_ml: float) -> None:
    before = Stage().to_infusing()
    before.run(900)
    pump = stopped_at(before)
    other = replace(pump, infused=Volume(pump.infused.nl + int(off_ml * 1e6)))
    stage = after_crash(before, other)
    question = stage.ask("holding")
    assert "resume" not in question.choices
    assert "delivery_disagreement" in stage.alarms
    stage.run(3)
    assert stage.visit.account.infusion_counted >= before.infused


def test_a_pump_that_cannot_be_read_counts_as_having_given_everything() -> None:
    before = Stage().to_infusing()
    before.run(60)
    stage = after_crash(before, None)
    assert "resume" not in stage.ask("holding").choices
    assert stage.visit.account.given(stage.now).visit == Mass.from_mg(35)
    stage.answer("holding", "recover")
    assert stage.at(State.RECOVERING)


@pytest.mark.parametrize("counts_ml", [0.0, 0.84, 5.0])
def test_what_another_pump_counts_says_nothing_of_the_delivery_that_was_cut_short(
    counts_ml: float,
) -> None:
    before = Stage().to_infusing()
    before.run(900)
    other = snapshot(PumpState.STOPPED, Volume.from_ml(counts_ml))
    stage = after_crash(before, other, same_pump=False)
    question = stage.ask("holding")
    assert "resume" not in question.choices
    assert "another pump answers" in stage.alarms["interrupted"].text
    assert "another pump answers" in stage.alarms["delivery_disagreement"].text
    stage.run(30)
    assert stage.visit.account.given(stage.now).visit == Mass.from_mg(35)


@pytest.mark.parametrize("same", [True, None])
def test_the_count_of_the_pump_that_was_tested_is_taken(same: bool | None) -> None:
    before = Stage().to_infusing()
    before.run(900)
    stage = after_crash(before, stopped_at(before), same_pump=same)
    assert "resume" in stage.ask("holding").choices


def test_another_pump_does_not_add_to_a_dose_that_was_complete() -> None:
    before = Stage().to_observing()
    other = snapshot(PumpState.STOPPED, Volume.from_ml(5))
    stage = after_crash(before, other, same_pump=False)
    stage.run(30)
    assert stage.visit.account.required == Mass.from_mg(10)


def test_an_interrupted_bolus_counts_whole_until_the_pump_says_otherwise() -> None:
    before = Stage().to_test_bolus()
    before.run(30)
    stage = after_crash(before, stopped_at(before))
    stage.run(3)
    assert stage.visit.account.required == Mass.from_mg(5)
    stage.answer("holding", "resume")
    assert stage.at(State.OBSERVING)
    stage.answer("response", "nothing", dose_mg=5)
    assert stage.at(State.OBSERVING)  # ten minutes count from the restart
    assert "600 s" in stage.refused[-1].why


@pytest.mark.parametrize("way", ["rescue", "recovering"])
def test_after_rescue_or_recovery_nothing_is_resumed(way: str) -> None:
    before = Stage()
    if way == "rescue":
        before.to_observing().answer("response", "anxiety")
    else:
        before.to_recovering()
    stage = after_crash(before, stopped_at(before))
    assert stage.ask("holding").choices == ("recover", "anxiety", "abort")
    stage.answer("holding", "recover")
    stage.discharge()
    assert stage.outcomes == [Outcome.RESCUED if way == "rescue" else Outcome.COMPLETED]


def test_a_crash_while_holding_remembers_where_it_came_from() -> None:
    before = Stage().to_infusing()
    before.run(100)
    before.answer("supervise", "hold")
    before.run(3)
    stage = after_crash(before, stopped_at(before))
    stage.run(3)
    stage.answer("holding", "resume")
    assert stage.at(State.INFUSING)


def test_a_crash_after_a_crash_is_still_a_crash() -> None:
    before = Stage().to_infusing()
    before.run(100)
    once = after_crash(before, stopped_at(before))
    once.run(3)
    once.records = [*before.records, *once.records]
    twice = after_crash(once, stopped_at(once))
    twice.run(3)
    twice.answer("holding", "resume")
    assert twice.at(State.INFUSING)
    twice.agree("confirm")
    assert twice.pump.starts[-1].volume.nl == 2_500_000 - once.pump.infused.nl


@pytest.mark.parametrize(
    ("state", "end"),
    [
        (State.EMERGENCY_STOPPED, Outcome.EMERGENCY_STOPPED),
        (State.FAULT, Outcome.FAULT),
    ],
)
def test_a_latched_end_stays_one(state: State, end: Outcome) -> None:
    stage = Stage()
    stage.feed(Interrupted(Recovered(state, None, ())))
    assert stage.outcomes == [end]


def test_an_interruption_of_a_visit_that_has_begun_is_refused() -> None:
    stage = Stage()
    stage.feed(Started())
    stage.feed(Interrupted(Recovered(State.INFUSING, None, ())))
    assert stage.at(State.PREPARING)


def test_an_order_that_never_left_gave_nothing() -> None:
    ordered = Delivery(5, Kind.TEST, Mass.from_mg(10), Volume.from_ml(1), Rate.from_ml_h(60))
    stage = Stage()
    known = Recovered(State.TEST_BOLUS, None, (ordered,), checked=16, next_id=6)
    stage.feed(Interrupted(known))
    assert stage.visit.account.given(stage.now).visit == Mass(0)
    stage.run(2)
    stage.answer("holding", "resume")
    assert State.SELF_TEST in stage.path


def test_a_start_whose_answer_never_came_counts_whole() -> None:
    sent = Delivery(
        5, Kind.TEST, Mass.from_mg(10), Volume.from_ml(1), Rate.from_ml_h(60), Status.STARTING
    )
    stage = Stage()
    stage.feed(Interrupted(Recovered(State.TEST_BOLUS, None, (sent,), next_id=6), snapshot()))
    stage.run(5)
    assert stage.visit.account.given(stage.now).test == Mass.from_mg(10)


def test_hold_effect_asks_a_person_once_the_times_are_lost() -> None:
    before = Stage()
    before.plan = replace(before.plan, infusion=replace(before.plan.infusion, name="hold_effect"))
    before.visit = replace(before.visit, plan=before.plan)
    before.to_observing().respond("dissociation")
    stage = after_crash(before, stopped_at(before))
    stage.run(3)
    stage.answer("holding", "resume")
    assert "times of the test doses were lost" in stage.ask("infusion_dose").text


def test_hold_effect_knows_its_times_where_no_drug_was_given_before_the_crash() -> None:
    before = Stage()
    before.plan = replace(before.plan, infusion=replace(before.plan.infusion, name="hold_effect"))
    before.visit = replace(before.visit, plan=before.plan)
    before.to_baseline()
    stage = after_crash(before, stopped_at(before))
    stage.run(3)
    stage.answer("holding", "resume")
    stage.agree("baseline_scores")
    stage.run(130)
    stage.agree("confirm")
    stage.run(70, until=State.OBSERVING)
    stage.respond("dissociation")
    assert "effect-site level when the response was seen" in stage.ask("confirm").text


def test_motor_time_before_the_crash_is_not_forgotten() -> None:
    before = Stage().to_infusing()
    before.run(1_350)
    stage = after_crash(before, stopped_at(before))
    stage.run(3)
    assert stage.visit.account.motor_s(stage.now) == pytest.approx(1_352, abs=30)
