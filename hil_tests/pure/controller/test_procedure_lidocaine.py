"""Visits with lidocaine: no test dose, signs asked for at intervals, any sign holds, toxicity ends it."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import pytest

from controller.alarms import Priority
from controller.plan import PlanError, parse_plan
from controller.procedure.effects import Outcome, StartBolus, StartInfusion
from controller.procedure.events import Interrupted
from controller.procedure.signs_watch import SIGNS_TIMER
from controller.procedure.table import State
from controller.procedure.visit import Bounds, Kind, begin
from controller.replay import replay
from firmware_bridge.messages import PumpState
from firmware_bridge.quantities import Duration, Mass
from hil_tests.pure.controller.visit_driver import LIBRARY, Stage, shipped_plan, snapshot


@pytest.fixture
def stage() -> Stage:
    return Stage(shipped_plan("lidocaine-chronic-pain"))


@pytest.fixture
def peri() -> Stage:
    return Stage(shipped_plan("lidocaine-peri-operative"))


def infusing(stage: Stage) -> Stage:
    return stage.to_infusing_at_once()


def to_signs(stage: Stage) -> Stage:
    infusing(stage).run(300)
    assert stage.asked("signs")
    return stage


def test_lidocaine_goes_from_baseline_to_the_infusion_without_a_test_dose(stage: Stage) -> None:
    stage.to_confirm()
    question = stage.ask("confirm")
    assert stage.path[-2:] == [State.BASELINE, State.INFUSING]
    assert "rule per_kg: 3 mg/kg x 70 kg = 210 mg" in question.text
    assert "volume = 210 mg / 20 mg/mL = 10.5 mL" in question.text
    assert "Infuse 210 mg lidocaine over 45 min?" in question.text
    stage.agree("confirm")
    [start] = stage.pump.starts
    assert isinstance(start, StartInfusion)
    assert start.mass == Mass.from_mg(210)


def test_a_whole_visit_for_chronic_pain_ends_completed_and_its_log_gives_its_state(
    stage: Stage,
) -> None:
    infusing(stage).no_signs(2_710, until=State.RECOVERING)
    assert stage.at(State.RECOVERING)
    stage.no_signs(3_610)
    stage.agree("recovery_scores")
    stage.agree("discharge")
    assert stage.outcomes == [Outcome.COMPLETED]
    assert not stage.alarm_history
    assert stage.visit.account.required == Mass(0)
    log = replay([{"kind": r.kind, **r.data} for r in stage.records])
    assert (log.state, log.outcome, log.sign) == (State.DISCHARGED, "completed", "")


def test_a_peri_operative_visit_gives_its_load_over_ten_minutes_and_then_its_rate(
    peri: Stage,
) -> None:
    peri.to_confirm()
    assert "Give the load: 105 mg lidocaine over 600 s?" in peri.ask("confirm").text
    peri.agree("confirm")
    assert peri.at(State.LOADING)
    [start] = peri.pump.starts
    assert isinstance(start, StartBolus)
    began = peri.now
    peri.no_signs(700, until=State.INFUSING)
    assert peri.now - began == pytest.approx(600, abs=32)
    assert "1.5 mg/kg/h x 70 kg (ideal body weight)" in peri.ask("confirm").text
    peri.agree("confirm")
    assert peri.visit.account.deliveries[0].kind is Kind.LOAD
    assert peri.visit.account.deliveries[1].mass == Mass.from_mg(105)


def test_ideal_body_weight_depends_on_sex_and_is_never_above_the_real_one() -> None:
    plan = shipped_plan("lidocaine-peri-operative")
    woman = replace(plan.subject, sex="female")
    heavy = replace(plan.subject, weight_g=120_000)
    light = replace(plan.subject, weight_g=50_000)
    assert [s.ideal_weight_g for s in (plan.subject, woman, heavy, light)] == [
        70_000,
        65_000,
        70_000,
        50_000,
    ]


@pytest.mark.parametrize(
    ("name", "old", "new", "part"),
    [
        ("chronic-pain", "dose_mg_per_kg = 3.0", "dose_mg_per_kg = 30.0", "hard limit"),
        ("chronic-pain", "dose_mg_per_kg = 3.0", "dose_mg_per_kg = 5.1", "hard limit"),
        ("chronic-pain", "duration_s = 2700", "duration_s = 1700", "below 1800 s"),
        ("chronic-pain", 'profile = "chronic-pain"', 'profile = "both"', "chronic-pain, peri-op"),
        ("chronic-pain", 'profile = "chronic-pain"', "", "drug.profile"),
        ("chronic-pain", "concentration_mg_ml = 20.0", "concentration_mg_ml = 200.0", "20 mg/mL"),
        ("chronic-pain", "loaded_ml = 50.0", "loaded_ml = 10.0", "syringe holds"),
        ("chronic-pain", 'rule = "per_kg"', 'rule = "multiple"', "previous, per_kg"),
        ("chronic-pain", "signs_every_s = 300", "", "times.signs_every_s"),
        (
            "chronic-pain",
            "[times]",
            "[load]\ndose_mg_per_kg = 1.0\nduration_s = 600\n[times]",
            "0 to 0 mg/kg (hard limit)",
        ),
        ("chronic-pain", "[times]", "[test_bolus]\ndose_mg = 5\n[times]", "no test dose"),
        ("peri-operative", "rate_mg_per_kg_h = 1.5", "rate_mg_per_kg_h = 15", "hard limit"),
        ("peri-operative", "dose_mg_per_kg = 1.5", "dose_mg_per_kg = 15", "0 to 1.5 mg/kg"),
        ("peri-operative", "weight_kg = 70.0", "weight_kg = 39.0", "at least 40 kg"),
        ("peri-operative", 'sex = "male"', "", "subject.sex"),
        ("peri-operative", "\nduration_s = 600", "\nduration_s = 60", "load.duration_s"),
        (
            "peri-operative",
            'profile = "peri-operative"',
            'profile = "chronic-pain"',
            "0 to 0 mg/kg",
        ),
    ],
)
def test_a_procedure_beyond_its_profile_is_refused_in_one_line(
    name: str, old: str, new: str, part: str
) -> None:
    folder = files("controller") / "data" / "procedures"
    text = (folder / f"lidocaine-{name}.toml").read_text()
    assert old in text
    with pytest.raises(PlanError) as caught:
        parse_plan(text.replace(old, new, 1).encode(), "visit.toml", LIBRARY)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ketamine_has_no_profile_to_choose() -> None:
    text = (files("controller") / "data" / "procedures" / "ketamine-first-visit.toml").read_text()
    text = text.replace('name = "ketamine"\n', 'name = "ketamine"\nprofile = "chronic-pain"\n')
    with pytest.raises(PlanError, match="ketamine has no profiles"):
        parse_plan(text.encode(), "visit.toml", LIBRARY)


def test_a_tenfold_entry_at_the_bedside_is_not_taken(stage: Stage) -> None:
    stage.to_confirm()
    stage.answer("confirm", "change")
    question = stage.ask("infusion_dose")
    assert question.values["dose_mg"].max == 350
    stage.answer("infusion_dose", dose_mg=2_100)
    assert "dose_mg = 2100 is outside 0.1 to 350 mg" in stage.refused[-1].why
    assert not stage.pump.starts


def test_a_tenth_of_the_computed_dose_is_confirmed_as_the_slip_it_may_be(stage: Stage) -> None:
    stage.to_confirm()
    stage.answer("confirm", "change")
    stage.answer("infusion_dose", dose_mg=21)
    question = stage.ask("confirm")
    assert question.soft == (
        "infusion dose 21 mg is 10 times away from 210 mg, which the rule gives",
    )
    stage.answer("confirm", "change")
    stage.answer("infusion_dose", dose_mg=150)
    assert stage.ask("confirm").soft == ()


# --- signs ----------------------------------------------------------------------------------------


def test_signs_are_asked_for_every_five_minutes_with_the_words_of_the_library(stage: Stage) -> None:
    question = to_signs(stage).ask("signs")
    assert question.choices == ("none", *(sign.key for sign in stage.plan.limits.signs))
    assert question.proposed is None
    assert "tinnitus: ringing in the ears" in question.text
    assert "lipid emulsion 20 %" in question.text
    stage.answer("signs", "none")
    stage.run(280)
    assert not stage.asked("signs")
    stage.run(20)
    assert stage.asked("signs")


def test_nobody_is_asked_about_signs_of_a_drug_that_was_not_given_yet(stage: Stage) -> None:
    stage.visit = begin(stage.plan, Bounds(confirm_s=1_800))
    stage.to_confirm().run(900)
    assert stage.asked("confirm")
    assert not stage.asked("signs")
    stage.agree("confirm")
    stage.run(310)
    assert stage.asked("signs")


def test_whoever_is_answering_is_not_asked_again_meanwhile(stage: Stage) -> None:
    patient = replace(stage.plan.times, signs_answer_s=10_000.0)
    stage.visit = begin(replace(stage.plan, times=patient))
    question = to_signs(stage).ask("signs")
    stage.run(700)
    assert stage.ask("signs") == question


def test_ketamine_is_not_asked_about_signs() -> None:
    stage = Stage().to_infusing()
    stage.run(400)
    assert not stage.asked("signs")
    assert SIGNS_TIMER not in stage.timers


@pytest.mark.parametrize(
    "sign", ["perioral_numbness", "metallic_taste", "tinnitus", "light_headedness"]
)
def test_any_early_sign_holds_and_is_no_longer_there_before_anybody_resumes(
    stage: Stage, sign: str
) -> None:
    to_signs(stage).answer("signs", sign)
    assert stage.at(State.HOLDING)
    assert stage.alarms["toxicity_sign"].priority is Priority.HIGH
    assert stage.ask("holding").choices == ("resume", "recover", "toxicity", "abort")
    stage.answer("holding", "resume")
    assert "a sign of toxicity is not over" in stage.refused[-1].why
    stage.answer("signs", sign)
    stage.run(300)
    stage.answer("signs", "none")
    assert "toxicity_sign" not in stage.alarms
    stage.answer("holding", "resume")
    stage.run(2)
    assert stage.at(State.INFUSING)
    assert "remaining volume" in stage.ask("confirm").text


def test_a_resume_waits_for_the_open_question_about_signs(stage: Stage) -> None:
    infusing(stage).answer("supervise", "hold")
    assert stage.asked("signs")
    stage.answer("holding", "resume")
    assert "signs of toxicity is open" in stage.refused[-1].why


@pytest.mark.parametrize("sign", ["slurred_speech", "twitching", "seizure", "cardiovascular"])
def test_a_severe_sign_ends_delivery_and_prompts_lipid_emulsion(stage: Stage, sign: str) -> None:
    to_signs(stage).answer("signs", sign)
    assert stage.at(State.RESCUE)
    question = stage.ask("rescue_drug")
    assert "lipid emulsion 20 % is given by the clinician" in question.text
    assert question.values["lipid_ml"].max == 105
    stage.answer("rescue_drug", "given", lipid_ml=100)
    record = next(r for r in stage.records if r.kind == "rescue")
    assert (record.data["lipid_ml"], record.data["total_ml"]) == (100, 100)
    stage.run(310)
    stage.answer("rescue_drug", "given", lipid_ml=100)
    stage.answer("rescue_drug", "enough")
    stage.no_signs(4_000)
    stage.agree("recovery_scores")
    stage.agree("discharge")
    assert stage.outcomes == [Outcome.RESCUED]
    assert stage.visit.chart.response == "toxicity"


def test_a_question_about_signs_that_nobody_answers_holds_delivery(stage: Stage) -> None:
    to_signs(stage).run(121)
    assert stage.at(State.HOLDING)
    assert "unanswered" in stage.alarms


def test_signs_may_still_come_after_the_pump_has_stopped(stage: Stage) -> None:
    infusing(stage).no_signs(2_710, until=State.RECOVERING)
    stage.run(900)
    stage.answer("signs", "tinnitus")
    assert stage.at(State.RECOVERING)
    assert "toxicity_sign" in stage.alarms
    stage.run(900)
    stage.answer("signs", "seizure")
    assert stage.at(State.RESCUE)


def test_nobody_answering_in_recovery_is_an_alarm_until_somebody_does(stage: Stage) -> None:
    infusing(stage).no_signs(2_710, until=State.RECOVERING)
    stage.run(900)
    stage.run(121)
    assert stage.at(State.RECOVERING)
    assert "unanswered" in stage.alarms
    while not stage.asked("signs"):
        stage.run(30)
    stage.answer("signs", "none")
    assert "unanswered" not in stage.alarms


@pytest.mark.parametrize("state", [State.INFUSING, State.HOLDING])
def test_a_person_may_call_it_toxicity_without_being_asked(stage: Stage, state: State) -> None:
    infusing(stage)
    if state is State.HOLDING:
        stage.answer("supervise", "hold")
        stage.answer("holding", "toxicity")
    else:
        stage.answer("supervise", "toxicity")
    assert stage.at(State.RESCUE)
    assert stage.pump.starts


def test_an_interrupted_load_is_never_completed_and_the_infusion_follows(peri: Stage) -> None:
    peri.to_loading().run(200)
    peri.answer("supervise", "hold")
    peri.run(5)
    peri.answer("signs", "none")
    peri.answer("holding", "resume")
    peri.run(2)
    assert peri.at(State.INFUSING)
    assert len(peri.pump.starts) == 1
    assert "Infuse 105 mg" in peri.ask("confirm").text


def test_after_a_crash_in_the_load_a_person_goes_on_to_the_infusion(peri: Stage) -> None:
    peri.to_loading().run(200)
    recovered = replay([{"kind": r.kind, **r.data} for r in peri.records]).recovered
    assert recovered.state is State.LOADING
    again = Stage(peri.plan)
    again.pump, again.now = peri.pump, peri.now
    again.pump.state = PumpState.STOPPED
    again.feed(Interrupted(recovered, snapshot(infused=peri.pump.infused)))
    again.run(10)
    assert again.at(State.HOLDING)
    again.answer("signs", "none")
    again.answer("holding", "resume")
    again.run(5)
    assert again.at(State.INFUSING)


def test_a_sign_survives_a_crash_and_still_blocks_the_resume(stage: Stage) -> None:
    to_signs(stage).answer("signs", "tinnitus")
    recovered = replay([{"kind": r.kind, **r.data} for r in stage.records]).recovered
    again = Stage(stage.plan)
    again.pump, again.now = stage.pump, stage.now
    again.feed(Interrupted(recovered, snapshot(infused=stage.pump.infused)))
    again.run(10)
    again.answer("holding", "resume")
    assert "tinnitus" in again.refused[-1].why


def test_a_load_that_takes_too_long_is_held(peri: Stage) -> None:
    peri.to_loading()
    peri.pump.state = PumpState.UNKNOWN
    peri.no_signs(700)
    assert peri.at(State.HOLDING)
    assert "bolus_time_ceiling" in peri.alarms
    assert peri.plan.load is not None
    assert peri.plan.load.duration == Duration.from_min(10)


def test_a_load_that_is_refused_ends_the_visit(peri: Stage) -> None:
    peri.to_confirm().answer("confirm", "refuse")
    assert peri.at(State.ABORTED)
