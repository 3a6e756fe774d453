"""Rescue, recovery, and the ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.alarms import Priority
from controller.library import load_library
from controller.procedure.effects import Outcome, StopPump
from controller.procedure.events import (
    EmergencyStopRequested,
    Failed,
    LinkLost,
    LinkRestored,
    LogFailed,
    StopConfirmed,
    StopUnconfirmed,
)
from controller.procedure.table import State
from controller.procedure.visit import begin
from firmware_bridge.messages import Ending, PumpState
from hil_tests.pure.controller.visit_driver import GOOD, Stage, shipped_plan


@pytest.fixture
def stage() -> Stage:
    return Stage()


def rescued(stage: Stage) -> Stage:
    stage.to_observing()
    stage.answer("response", "anxiety")
    return stage


def test_the_rescue_prompts_midazolam_within_its_limits_and_records_it(stage: Stage) -> None:
    question = rescued(stage).ask("rescue_drug")
    assert question.values["midazolam_mg"].max == 2.5
    for part in ("under 60", "than 2.5 mg first", "after 2 min", "5 mg in all", "Watch breathing"):
        assert part in question.text
    stage.answer("rescue_drug", "given", midazolam_mg=2)
    record = next(r for r in stage.records if r.kind == "rescue")
    assert (record.data["midazolam_mg"], record.data["total_mg"]) == (2, 2)
    assert record.data["beyond_soft"] == "dose 2 mg is above 1 mg"
    assert stage.at(State.RESCUE)
    stage.answer("rescue_drug", "enough")
    assert stage.at(State.RECOVERING)


def test_a_further_dose_waits_until_the_last_one_can_be_judged_and_ends_at_the_total(
    stage: Stage,
) -> None:
    rescued(stage).answer("rescue_drug", "given", midazolam_mg=2.5)
    stage.answer("rescue_drug", "given", midazolam_mg=2)
    assert "wait for what the last dose does: 120 s are left" in stage.refused[-1].why
    stage.run(119)
    assert not [r for r in stage.records if r.kind == "prompt" and "further" in str(r.data)]
    stage.run(2)
    assert [r for r in stage.records if r.kind == "prompt" and "further" in str(r.data)]
    stage.answer("rescue_drug", "given", midazolam_mg=2.5)
    assert stage.ask("rescue_drug").choices == ("enough",)
    assert "5 mg in 2 dose(s)" in stage.ask("rescue_drug").text
    assert stage.visit.chart.rescue_total == 5.0
    stage.answer("rescue_drug", "enough")
    assert stage.at(State.RECOVERING)


@pytest.mark.parametrize(
    ("key", "value"), [("spo2_pct", 93.0), ("rr_bpm", 25.0), ("etco2_mmhg", 51.0)]
)
def test_breathing_is_watched_more_closely_once_midazolam_was_given(
    stage: Stage, key: str, value: float
) -> None:
    rescued(stage)
    assert stage.vitals is not None
    stage.vitals[key] = value
    stage.run(60)
    assert f"ventilation_{key}" not in stage.alarms
    stage.agree("rescue_drug")
    stage.run(20)
    assert stage.alarms[f"ventilation_{key}"].priority is Priority.HIGH
    stage.vitals[key] = GOOD[key]
    stage.run(2)
    assert f"ventilation_{key}" not in stage.alarms


def test_end_tidal_co2_that_is_missing_after_midazolam_is_an_alarm_and_no_discharge(
    stage: Stage,
) -> None:
    rescued(stage).agree("rescue_drug")
    stage.answer("rescue_drug", "enough")
    assert stage.vitals is not None
    del stage.vitals["etco2_mmhg"]
    stage.run(3_610)
    assert "ventilation_etco2_mmhg" in stage.alarms
    stage.agree("recovery_scores")
    assert "etco2 has no valid value" in stage.why_refused()


def test_an_older_subject_is_prompted_with_less(stage: Stage) -> None:
    stage.plan = replace(
        stage.plan, rescue=load_library().rescue("ketamine", age_years=60, weight_kg=70)
    )
    stage.visit = begin(stage.plan)
    question = rescued(stage).ask("rescue_drug")
    assert question.values["midazolam_mg"].max == 1.5
    assert "not under 60" in question.text
    stage.answer("rescue_drug", "given", midazolam_mg=1.5)
    assert stage.ask("rescue_drug").values["midazolam_mg"].max == 1.0


def test_more_than_the_limit_is_not_taken_and_declined_needs_no_dose(stage: Stage) -> None:
    rescued(stage).answer("rescue_drug", "given", midazolam_mg=5.5)
    assert stage.at(State.RESCUE)
    stage.answer("rescue_drug", "declined")
    assert stage.at(State.RECOVERING)


def test_a_rescue_nobody_records_raises_an_alarm_and_ends_in_an_abort(stage: Stage) -> None:
    rescued(stage).run(1_201)
    assert "rescue_unanswered" in stage.alarms
    stage.run(14_400)
    assert stage.at(State.ABORTED)


def test_a_rescued_visit_ends_as_rescued_an_hour_after_the_midazolam(stage: Stage) -> None:
    rescued(stage).run(300)
    stage.agree("rescue_drug")
    stage.agree("rescue_drug")
    stage.run(3_595)
    assert not stage.asked("recovery_scores")
    stage.run(6)
    stage.agree("recovery_scores")
    stage.agree("discharge")
    assert stage.outcomes == [Outcome.RESCUED]


def test_recovery_takes_an_hour_from_the_last_dose(stage: Stage) -> None:
    stage.to_recovering()
    stage.run(3_595)
    assert not stage.asked("recovery_scores")
    stage.run(6)
    assert stage.asked("recovery_scores")


def test_a_visit_without_a_dose_need_not_wait(stage: Stage) -> None:
    stage.pump.endings["StartBolus"] = Ending.REFUSED
    stage.to_confirm().agree("confirm")
    stage.answer("holding", "recover")
    stage.run(1)
    assert stage.asked("recovery_scores")


@pytest.mark.parametrize(
    ("score", "value", "why"),
    [
        ("sedation_0_4", 2, "sedation"),
        ("nausea_0_3", 2, "nausea"),
        ("walking_ok", 0, "walk safely"),
    ],
)
def test_an_unfit_patient_is_asked_about_again_later(
    stage: Stage, score: str, value: float, why: str
) -> None:
    stage.to_recovering().run(3_610)
    good = {
        "pain_0_10": 3.0,
        "mood_0_10": 6.0,
        "sedation_0_4": 0.0,
        "nausea_0_3": 0.0,
        "walking_ok": 1.0,
    }
    stage.say(stage.ask("recovery_scores"), "", {**good, score: value})
    assert why in stage.why_refused()
    assert not stage.asked("discharge")
    stage.run(601)
    again = stage.ask("recovery_scores")
    assert "Not discharged" in again.text
    assert why in again.text
    stage.say(again, "", good)
    assert "pain change: -3" in stage.ask("discharge").text
    stage.agree("discharge")
    assert stage.outcomes == [Outcome.COMPLETED]
    finished = next(r for r in stage.records if r.kind == "finished")
    assert (finished.data["pain_before_0_10"], finished.data["pain_after_0_10"]) == (6, 3)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"escort_present": 0.0, "instructions_given": 1.0}, "no escort"),
        ({"escort_present": 1.0, "instructions_given": 0.0}, "instructions"),
    ],
)
def test_a_discharge_is_refused_with_its_reason(
    stage: Stage, values: dict[str, float], why: str
) -> None:
    stage.to_recovering().run(3_610)
    stage.agree("recovery_scores")
    stage.say(stage.ask("discharge"), "discharge", values)
    assert stage.at(State.RECOVERING)
    assert why in stage.why_refused()
    stage.run(601)
    assert stage.asked("recovery_scores")


def test_not_yet_and_unsafe_vitals_keep_the_patient(stage: Stage) -> None:
    stage.to_recovering().run(3_610)
    stage.agree("recovery_scores")
    stage.answer("discharge", "not_yet")
    assert "not yet, says nurse" in stage.why_refused()
    stage.run(601)
    stage.vitals = {**GOOD, "nibp_sys_mmhg": 85.0}
    stage.run(2)
    assert stage.at(State.RECOVERING)  # alarms only: nothing is being delivered
    assert "vitals_nibp_sys_mmhg" in stage.alarms
    stage.agree("recovery_scores")
    assert "below 90" in stage.why_refused()


UNFIT = {
    "pain_0_10": 3.0,
    "mood_0_10": 6.0,
    "sedation_0_4": 0.0,
    "nausea_0_3": 0.0,
    "walking_ok": 0.0,
}


def unfit_for(stage: Stage, seconds: float) -> None:
    """Somebody scores the patient as unfit whenever asked."""
    end = stage.now + seconds
    while stage.now < end:
        if stage.asked("recovery_scores"):
            stage.say(stage.ask("recovery_scores"), "", UNFIT)
        stage.run(60)


def test_who_is_unfit_after_four_hours_is_watched_on_and_goes_home_when_fit(stage: Stage) -> None:
    unfit_for(stage.to_recovering(), 14_460)
    assert stage.at(State.RECOVERING)
    alarm = stage.alarms["recovery_too_long"]
    assert alarm.text == "the patient was not fit for discharge within 4 h"
    assert stage.vitals is not None
    stage.vitals["spo2_pct"] = 85.0
    unfit_for(stage, 60)
    assert "vitals_spo2_pct" in stage.alarms  # as the monitor is
    stage.vitals["spo2_pct"] = 98.0
    unfit_for(stage, 20_000)
    assert stage.at(State.RECOVERING)
    stage.run(601)
    stage.say(stage.ask("recovery_scores"), "", {**UNFIT, "walking_ok": 1.0})
    stage.agree("discharge")
    assert stage.outcomes == [Outcome.COMPLETED]
    assert "recovery_too_long" not in stage.alarms


def test_the_end_of_the_four_hours_does_not_cut_off_a_discharge(stage: Stage) -> None:
    stage.to_recovering().run(14_390)
    stage.agree("recovery_scores")
    stage.run(60)
    assert "recovery_too_long" in stage.alarms
    stage.agree("discharge")
    assert stage.outcomes == [Outcome.COMPLETED]


def test_who_stays_unfit_can_be_handed_over_by_a_person(stage: Stage) -> None:
    stage.to_recovering().run(3_700)
    assert not stage.asked("supervise")
    stage.run(10_800)
    assert stage.ask("supervise").choices == ("abort",)
    stage.answer("supervise", "abort")
    assert stage.outcomes == [Outcome.ABORTED]
    assert stage.visit.chart.end_reason == (
        "handed over to further care, not fit for discharge, by nurse"
    )


def test_a_recovery_where_nobody_answers_for_twice_four_hours_ends(stage: Stage) -> None:
    stage.to_recovering().run(14_401 + 14_390)
    assert stage.at(State.RECOVERING)
    stage.run(20)
    assert stage.outcomes == [Outcome.ABORTED]
    assert "nobody has answered in recovery for 4 h" in stage.visit.chart.end_reason


def until_signs_are_asked(stage: Stage) -> Stage:
    while not stage.asked("signs"):
        stage.run(60)
    return stage


def test_toxicity_after_the_four_hours_begins_them_anew() -> None:
    stage = Stage(shipped_plan("lidocaine-chronic-pain"))
    stage.to_infusing_at_once().no_signs(2_710, until=State.RECOVERING)
    stage.no_signs(14_500)
    assert "recovery_too_long" in stage.alarms
    until_signs_are_asked(stage).answer("signs", "seizure")
    stage.answer("rescue_drug", "declined")
    assert stage.at(State.RECOVERING)
    assert "recovery_too_long" not in stage.alarms
    stage.no_signs(14_300)
    assert stage.at(State.RECOVERING)


def test_nobody_goes_home_with_a_sign_of_toxicity_that_is_not_over() -> None:
    stage = Stage(shipped_plan("lidocaine-chronic-pain"))
    stage.to_infusing_at_once().no_signs(2_710, until=State.RECOVERING)
    stage.no_signs(2_710)
    until_signs_are_asked(stage).answer("signs", "tinnitus")
    stage.run(1_000)
    stage.agree("recovery_scores")
    assert "a sign of toxicity is not over: tinnitus" in stage.why_refused()
    stage.answer("signs", "none")
    stage.run(601)
    stage.agree("recovery_scores")
    stage.agree("discharge")
    assert stage.outcomes == [Outcome.COMPLETED]


def test_an_abort_waits_for_the_stop_before_it_is_finished(stage: Stage) -> None:
    stage.to_infusing()
    stage.pump.answers_stop = False
    stage.answer("supervise", "abort")
    assert stage.at(State.ABORTED)
    assert not stage.outcomes
    stage.feed(StopConfirmed())
    assert stage.outcomes == [Outcome.ABORTED]


def test_an_abort_whose_stop_is_not_confirmed_is_a_fault(stage: Stage) -> None:
    stage.to_infusing()
    stage.pump.fails_stop = True
    stage.answer("supervise", "abort")
    assert stage.at(State.FAULT)
    assert stage.outcomes == []  # the stop goes on
    stage.feed(StopConfirmed())
    assert stage.outcomes == [Outcome.FAULT]


def test_an_emergency_stop_that_is_not_confirmed_alarms_and_goes_on(stage: Stage) -> None:
    stage.to_infusing()
    stage.pump.answers_stop = False
    stage.feed(EmergencyStopRequested("nurse"))
    assert not stage.outcomes
    stage.run(11)
    assert "stop_unconfirmed" in stage.alarms
    stage.feed(StopUnconfirmed("it still turns"))
    assert not stage.outcomes
    stage.feed(StopConfirmed())
    assert "stop_unconfirmed" not in stage.alarms
    assert stage.outcomes == [Outcome.EMERGENCY_STOPPED]


@pytest.mark.parametrize("way", ["holding", "recovering", "rescue"])
def test_an_abort_after_a_stop_was_given_up_without_a_cable_still_ends(
    stage: Stage, way: str
) -> None:
    stage.to_infusing()
    stage.pump.answers_stop = False
    stage.feed(LinkLost("unplugged"))
    stage.run(60)
    assert stage.at(State.HOLDING)
    if way == "holding":
        stage.answer("holding", "abort")
    else:
        stage.answer("holding", "recover" if way == "recovering" else "anxiety")
        stage.run(14_401)
    if way == "recovering":
        stage.answer("supervise", "abort")
    stage.run(11)
    assert stage.at(State.FAULT)
    assert "is not confirmed" in stage.visit.chart.end_reason


def test_nobody_is_sent_home_while_the_pump_may_still_run(stage: Stage) -> None:
    stage.to_infusing()
    stage.pump.answers_stop = False
    stage.feed(LinkLost("unplugged"))
    stage.run(60)
    stage.answer("holding", "recover")
    stage.run(3_610)
    stage.agree("recovery_scores")
    stage.agree("discharge")
    assert stage.at(State.RECOVERING)
    assert "stop is not confirmed" in stage.why_refused()
    stage.pump.answers_stop, stage.pump.state = True, PumpState.STOPPED
    stage.feed(LinkRestored(7))
    stage.run(601)
    stage.agree("recovery_scores")
    stage.agree("discharge")
    assert stage.outcomes == [Outcome.COMPLETED]


def test_the_end_says_what_must_be_assumed_beside_what_was_seen(stage: Stage) -> None:
    stage.to_infusing().run(600)
    stage.pump.rate = type(stage.pump.rate)(1)
    stage.report()
    stage.answer("holding", "recover")
    stage.discharge()
    said = next(r.data for r in stage.records if r.kind == "finished")
    assert said["counted_mg"] == 35
    assert said["counted_ml"] == 3.5
    assert isinstance(said["delivered_mg"], float)
    assert said["delivered_mg"] < 20


def test_an_emergency_stop_after_the_end_counts(stage: Stage) -> None:
    stage.to_recovering().discharge()
    stage.feed(EmergencyStopRequested("page"))
    assert stage.outcomes == [Outcome.COMPLETED, Outcome.EMERGENCY_STOPPED]


def test_a_fault_from_any_state_stops_the_pump_once(stage: Stage) -> None:
    stage.to_baseline().feed(Failed("another pump answers"))
    assert stage.at(State.FAULT)
    assert any(isinstance(e, StopPump) for e in stage.effects)
    stage.feed(Failed("again"))
    assert stage.outcomes == [Outcome.FAULT]
    assert "stopped already" in stage.why_refused()


def test_after_the_end_nothing_alarms_any_more(stage: Stage) -> None:
    stage.to_recovering().discharge()
    stage.vitals = None
    stage.run(60)
    stage.feed(LinkLost())
    stage.feed(LogFailed("sealed"))
    assert not stage.alarms


def test_trouble_in_recovery_alarms_and_changes_nothing(stage: Stage) -> None:
    stage.to_recovering()
    stage.feed(LogFailed("disk full"))
    stage.feed(LinkLost("unplugged"))
    assert stage.alarms.keys() == {"log_not_writable", "link_lost"}
    assert stage.at(State.RECOVERING)


def test_an_unconfirmed_stop_in_recovery_of_a_reachable_pump_is_a_fault(stage: Stage) -> None:
    stage.to_recovering()
    stage.feed(StopUnconfirmed("it still turns"))
    assert stage.at(State.FAULT)
