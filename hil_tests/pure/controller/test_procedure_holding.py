"""Holding: what leads there, what a person may do, what must be true before anything goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.procedure.effects import AcknowledgeAlarms, DisarmGate, Outcome, StopPump
from controller.procedure.events import (
    EmergencyStopRequested,
    LinkLost,
    LinkRestored,
    LogFailed,
    StopConfirmed,
    StopUnconfirmed,
)
from controller.procedure.table import State
from controller.procedure.visit import Bounds, Status
from firmware_bridge.messages import Ending, PumpAlarm, PumpState
from firmware_bridge.quantities import Volume
from hil_tests.pure.controller.visit_driver import GOOD, Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def held(stage: Stage) -> Stage:
    stage.to_infusing()
    stage.run(600)
    stage.answer("supervise", "hold")
    stage.run(3)
    assert stage.at(State.HOLDING)
    return stage


def test_holding_says_why_and_what_was_given(stage: Stage) -> None:
    text = held(stage).ask("holding").text
    assert "held by nurse" in text
    assert "delivered so far: 1.5" in text


def test_half_an_hour_unanswered_leads_to_recovery(stage: Stage) -> None:
    held(stage).run(1_795)
    assert stage.at(State.HOLDING)
    stage.run(5)
    assert stage.at(State.RECOVERING)
    assert "unanswered" in stage.alarm_history


@pytest.mark.parametrize(
    ("choice", "state"),
    [
        ("recover", State.RECOVERING),
        ("anxiety", State.RESCUE),
        ("abort", State.ABORTED),
        ("resume", State.INFUSING),
    ],
)
def test_a_person_goes_on_from_holding(stage: Stage, choice: str, state: State) -> None:
    held(stage).answer("holding", choice)
    assert stage.at(state)


@pytest.mark.parametrize("trouble", ["vitals", "no vitals", "link", "log"])
def test_resume_is_refused_while_the_cause_is_there(stage: Stage, trouble: str) -> None:
    held(stage)
    if trouble == "vitals":
        stage.vitals = {**GOOD, "hr_bpm": 160.0}
    elif trouble == "no vitals":
        stage.vitals = None
    elif trouble == "link":
        stage.feed(LinkLost("unplugged"))
    else:
        stage.feed(LogFailed("disk full"))
    stage.run(15)
    stage.answer("holding", "resume")
    assert stage.at(State.HOLDING)
    assert "not resumed" in stage.refused[-1].why
    assert stage.asked("holding")


def test_a_pump_alarm_is_acknowledged_by_resuming(stage: Stage) -> None:
    stage.to_infusing()
    stage.run(60)
    stage.pump.alarms = PumpAlarm.OCCLUSION
    stage.run(2)
    assert stage.at(State.HOLDING)
    assert "pump_occlusion" in stage.alarms
    stage.answer("holding", "resume")
    assert stage.effects.count(AcknowledgeAlarms(PumpAlarm.OCCLUSION)) == 1
    stage.run(2)
    assert stage.at(State.INFUSING)
    assert not stage.alarms


def test_an_alarm_that_stays_keeps_it_held_and_asks_again(stage: Stage) -> None:
    stage.pump.clears_alarms = False
    stage.to_infusing()
    stage.pump.alarms = PumpAlarm.OCCLUSION
    stage.run(2)
    stage.answer("holding", "resume")
    assert stage.asked("holding")  # while it waits, a person may still choose otherwise
    stage.run(61)
    assert stage.at(State.HOLDING)
    assert "the cause is not gone" in stage.ask("holding").text


def test_asking_again_does_not_prolong_the_half_hour(stage: Stage) -> None:
    stage.pump.clears_alarms = False
    stage.to_infusing()
    stage.pump.alarms = PumpAlarm.OCCLUSION
    stage.run(1)
    stage.run(1_700)
    stage.answer("holding", "resume")
    stage.run(105)
    assert stage.at(State.RECOVERING)


def test_a_new_bridge_repeats_the_self_test_before_resuming(stage: Stage) -> None:
    held(stage)
    tests = stage.self_tests
    stage.feed(LinkLost())
    stage.pump.boot_id = 8
    stage.feed(LinkRestored(8))
    assert stage.self_tests == tests
    stage.run(2)
    stage.answer("holding", "resume")
    assert stage.self_tests == tests + 1
    assert stage.at(State.INFUSING)


def test_a_new_bridge_that_fails_its_self_test_stays_held(stage: Stage) -> None:
    held(stage)
    stage.feed(LinkRestored(8))
    stage.pump.boot_id = 8
    stage.self_test_ok = False
    stage.run(2)
    stage.answer("holding", "resume")
    assert stage.at(State.HOLDING)
    assert "the self-test failed" in stage.ask("holding").text
    stage.self_test_ok = True
    stage.answer("holding", "resume")
    assert stage.at(State.INFUSING)


def test_resume_waits_for_the_stop_to_be_confirmed_and_counted(stage: Stage) -> None:
    stage.pump.answers_stop = False
    stage.to_infusing()
    stage.run(100)
    stage.answer("supervise", "hold")
    stage.answer("holding", "resume")
    assert stage.at(State.HOLDING)
    stage.feed(StopConfirmed())
    assert stage.at(State.HOLDING)
    stage.report()
    assert stage.at(State.INFUSING)


def test_a_hold_for_a_lost_link_refuses_nothing(stage: Stage) -> None:
    stage.to_infusing()
    seen = len(stage.effects)
    stage.feed(LinkLost("unplugged"))
    assert not [e for e in stage.effects[seen:] if isinstance(e, DisarmGate)]
    assert [e for e in stage.effects[seen:] if isinstance(e, StopPump)]


@pytest.mark.parametrize(("stopped", "refusals"), [(False, 1), (True, 0)])
def test_a_gate_that_does_not_close_is_recorded_unless_the_latch_has_closed_it(
    stage: Stage, stopped: bool, refusals: int
) -> None:
    stage.to_infusing()
    stage.pump.endings["DisarmGate"] = Ending.REFUSED
    if stopped:
        stage.feed(EmergencyStopRequested("nurse"))
    else:
        stage.answer("supervise", "hold")
    refused = [r.data["what"] for r in stage.records if r.kind == "refused"]
    assert refused == ["DisarmGate"] * refusals


def test_the_times_for_confirming_and_resuming_are_bounds(stage: Stage) -> None:
    stage.visit = replace(stage.visit, bounds=Bounds(confirm_s=75.0, resume_s=90.0))
    stage.pump.clears_alarms = False
    stage.to_confirm()
    assert stage.ask("confirm").expires_after_s == 75
    stage.agree("confirm")
    stage.pump.alarms = PumpAlarm.OCCLUSION
    stage.run(2)
    stage.answer("holding", "resume")
    stage.run(85)
    assert "not gone" not in stage.ask("holding").text
    stage.run(6)
    assert "not gone" in stage.ask("holding").text


def test_a_lost_link_holds_and_the_pump_is_stopped_again_when_it_is_back(stage: Stage) -> None:
    stage.pump.answers_stop = False
    stage.to_infusing()
    stage.run(100)
    stage.feed(LinkLost("unplugged"))
    assert stage.at(State.HOLDING)
    stage.feed(StopUnconfirmed("no link"))
    assert stage.at(State.HOLDING)  # its dead-man bounds a pump that cannot be reached
    assert "stop_unconfirmed" in stage.alarms
    stops = sum(isinstance(e, StopPump) for e in stage.effects)
    stage.pump.answers_stop = True
    stage.pump.state = PumpState.STOPPED
    stage.feed(LinkRestored(7))
    assert sum(isinstance(e, StopPump) for e in stage.effects) == stops + 1
    stage.run(2)
    assert not stage.alarms
    stage.answer("holding", "resume")
    assert stage.at(State.INFUSING)


def test_a_pump_unplugged_behind_the_bridge_is_stopped_again_on_resume(stage: Stage) -> None:
    stage.to_infusing()
    stage.pump.answers_stop = False
    stage.run(100)
    stage.pump.alarms = PumpAlarm.LINK_LOST
    stage.report()
    stage.feed(StopUnconfirmed("no pump"))
    assert stage.at(State.HOLDING)
    stage.pump.state = PumpState.STOPPED
    stage.pump.answers_stop = True
    stage.answer("holding", "resume")
    stage.run(3)
    assert stage.at(State.INFUSING)


def test_an_unconfirmed_stop_of_a_reachable_pump_is_a_fault(stage: Stage) -> None:
    stage.pump.fails_stop = True
    stage.to_infusing().answer("supervise", "hold")
    assert stage.at(State.FAULT)
    assert stage.outcomes == []
    stage.feed(StopConfirmed())
    assert stage.outcomes == [Outcome.FAULT]


def test_a_stop_that_is_never_answered_is_a_fault(stage: Stage) -> None:
    stage.pump.answers_stop = False
    stage.to_infusing().answer("supervise", "hold")
    stage.run(11)
    assert stage.at(State.FAULT)
    stage.run(11)
    assert "stop_unconfirmed" in stage.alarms
    assert stage.outcomes == []  # when to give up is not the procedure's to say
    stage.feed(StopConfirmed())
    assert "stop_unconfirmed" not in stage.alarms
    assert stage.outcomes == [Outcome.FAULT]


def test_a_bridge_that_was_restarted_under_a_delivery_holds(stage: Stage) -> None:
    stage.to_infusing()
    stage.pump.boot_id = 9
    stage.report()
    assert stage.at(State.HOLDING)
    assert "bridge_restarted" in stage.alarms


def test_a_link_that_comes_back_as_another_bridge_holds_even_if_its_loss_was_not_seen(
    stage: Stage,
) -> None:
    stage.to_infusing()
    stage.feed(LinkRestored(9))
    assert stage.at(State.HOLDING)


def test_a_log_that_fails_during_delivery_holds_and_only_recovery_is_left(stage: Stage) -> None:
    stage.to_infusing()
    stage.feed(LogFailed("disk full"))
    assert stage.at(State.HOLDING)
    stage.run(2)
    stage.answer("holding", "recover")
    assert stage.at(State.RECOVERING)


def test_a_counter_that_went_back_leaves_only_an_end(stage: Stage) -> None:
    stage.to_infusing()
    stage.run(300)
    stage.pump.rate = type(stage.pump.rate)(1)
    stage.report()
    assert stage.at(State.HOLDING)
    assert "delivery_counter" in stage.alarms
    question = stage.ask("holding")
    assert "resume" not in question.choices
    assert "uncertain" in question.text
    last = stage.visit.account.last
    assert last is not None
    assert last.status is Status.UNCERTAIN


def test_an_emergency_stop_from_holding_ends_the_visit(stage: Stage) -> None:
    held(stage).feed(EmergencyStopRequested("page"))
    assert stage.at(State.EMERGENCY_STOPPED)
    assert stage.outcomes == [Outcome.EMERGENCY_STOPPED]
    stage.feed(EmergencyStopRequested("page"))
    assert "stopped already" in stage.why_refused()


def test_a_count_that_turns_out_uncertain_while_resuming_leaves_only_an_end(stage: Stage) -> None:
    stage.pump.answers_stop = False
    stage.to_infusing()
    stage.run(100)
    stage.answer("supervise", "hold")
    stage.answer("holding", "resume")
    stage.feed(StopConfirmed())
    stage.pump.infused = Volume(0)
    stage.report()
    assert stage.at(State.HOLDING)
    assert "resume" not in stage.ask("holding").choices
    assert "uncertain" in stage.ask("holding").text


def test_a_link_lost_while_resuming_keeps_it_held(stage: Stage) -> None:
    stage.pump.clears_alarms = False
    stage.to_infusing()
    stage.pump.alarms = PumpAlarm.OCCLUSION
    stage.run(2)
    stage.answer("holding", "resume")
    stage.feed(LinkLost())
    assert "cannot be reached" in stage.ask("holding").text
