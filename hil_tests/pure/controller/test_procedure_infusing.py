"""The infusion: rule, arithmetic, limits, confirmation, and its two ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.procedure.effects import ArmGate, StartInfusion
from controller.procedure.table import State
from controller.procedure.visit import Kind, Status, begin
from firmware_bridge.messages import PumpState
from firmware_bridge.quantities import Mass, Volume
from hil_tests.pure.controller.visit_driver import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def at_twenty_mg(stage: Stage) -> Stage:
    stage.to_observing().respond("nothing", dose_mg=10)
    stage.agree("confirm")
    stage.run(70)
    return stage.respond("dissociation")


def test_the_confirmation_shows_the_arithmetic(stage: Stage) -> None:
    stage.to_observing().respond("dissociation")
    text = stage.ask("confirm").text
    for part in ("2.5 x required dose 10 mg = 25 mg", "= 2.5 mL", "45 min = 3.333333 mL/h"):
        assert part in text
    lines = [r.data["line"] for r in stage.records if r.kind == "arithmetic"]
    assert lines == [
        "rule multiple: 2.5 x required dose 10 mg = 25 mg",
        "volume = 25 mg / 10 mg/mL = 2.5 mL",
        "rate = 2.5 mL / 45 min = 3.333333 mL/h",
    ]


def test_the_rule_hold_effect_gives_about_fifteen_mg_after_ten(stage: Stage) -> None:
    stage.plan = replace(stage.plan, infusion=replace(stage.plan.infusion, name="hold_effect"))
    stage.visit = begin(stage.plan)
    stage.to_observing().respond("analgesia")
    stage.agree("confirm")
    start = next(e for e in stage.effects if isinstance(e, StartInfusion))
    assert Mass.from_mg(14) < start.mass < Mass.from_mg(15.5)


def test_the_volume_ends_the_infusion(stage: Stage) -> None:
    stage.to_recovering()
    assert stage.infused == Volume.from_ml(2.5)
    assert not stage.alarm_history


def test_more_than_a_soft_limit_is_named_in_the_confirmation(stage: Stage) -> None:
    at_twenty_mg(stage)
    soft = " ".join(stage.ask("confirm").soft)
    assert "infusion rate" in soft
    assert "infusion dose" in soft
    stage.agree("confirm")
    assert stage.pump.starts[-1].mass == Mass.from_mg(50)


def test_beyond_a_hard_limit_a_lower_dose_is_asked_for(stage: Stage) -> None:
    stage.heavy(60_000)
    at_twenty_mg(stage)
    question = stage.ask("infusion_dose")
    assert "hard limit" in question.text
    assert question.values["dose_mg"].max == 40  # 1 mg/kg in the visit, 20 mg of it given
    assert question.proposed is not None
    assert question.proposed.values["dose_mg"] == 22.5  # 0.5 mg/kg/h for 45 min
    stage.answer("infusion_dose", dose_mg=40.5)
    assert stage.at(State.INFUSING)
    assert stage.asked("infusion_dose")
    stage.answer("infusion_dose", dose_mg=30)
    assert "30 mg" in stage.ask("confirm").text
    stage.agree("confirm")
    assert stage.pump.starts[-1].mass == Mass.from_mg(30)


def test_a_dose_that_was_entered_and_refused_is_proposed_again_on_resume(stage: Stage) -> None:
    stage.heavy(60_000)
    at_twenty_mg(stage).answer("infusion_dose", dose_mg=20)
    stage.answer("confirm", "refuse")
    stage.run(2)
    stage.answer("holding", "resume")
    assert "Infuse 20 mg" in stage.ask("confirm").text


def test_a_rest_that_a_limit_forbids_is_not_offered(stage: Stage) -> None:
    stage.to_infusing()
    stage.run(100)
    stage.answer("supervise", "hold")
    stage.run(3)
    limits = replace(stage.plan.limits, visit_hard=Mass.from_mg(20))
    stage.visit = replace(stage.visit, plan=replace(stage.plan, limits=limits))
    stage.answer("holding", "resume")
    assert stage.at(State.HOLDING)
    assert "the rest cannot be given" in stage.ask("holding").text


def test_a_dose_that_nobody_enters_holds(stage: Stage) -> None:
    stage.heavy(60_000)
    at_twenty_mg(stage)
    stage.run(1_201)
    assert stage.at(State.HOLDING)


def test_when_nothing_is_left_within_the_limits_it_holds(stage: Stage) -> None:
    stage.plan = replace(stage.plan, limits=replace(stage.plan.limits, visit_hard=Mass.from_mg(10)))
    stage.visit = begin(stage.plan)
    stage.to_observing().respond("dissociation")
    assert stage.at(State.HOLDING)
    assert "no infusion dose is left" in stage.visit.chart.hold_reason


def test_a_syringe_that_does_not_hold_the_dose_counts_as_a_hard_limit(stage: Stage) -> None:
    syringe = replace(stage.plan.syringe, loaded=Volume.from_ml(2))
    stage.plan = replace(stage.plan, syringe=syringe)
    stage.visit = begin(stage.plan)
    stage.to_observing().respond("dissociation")
    question = stage.ask("infusion_dose")
    assert "left in the syringe" in question.text
    assert question.values["dose_mg"].max == 10


def test_a_required_dose_of_nothing_asks_a_person(stage: Stage) -> None:
    stage.to_test_bolus()
    stage.answer("supervise", "hold")
    stage.run(2)
    stage.answer("holding", "resume")
    stage.respond("dissociation")
    assert "the rule gives no dose" in stage.ask("infusion_dose").text


@pytest.mark.parametrize("how", ["refused", "expired"])
def test_an_infusion_that_is_not_confirmed_holds_and_is_asked_again_on_resume(
    stage: Stage, how: str
) -> None:
    stage.to_observing().respond("dissociation")
    if how == "refused":
        stage.answer("confirm", "refuse")
    else:
        stage.run(31)
    assert stage.at(State.HOLDING)
    assert "not confirmed" in stage.visit.chart.hold_reason
    stage.run(2)
    stage.answer("holding", "resume")
    assert stage.at(State.INFUSING)
    stage.agree("confirm")
    assert stage.pump.starts[-1].mass == Mass.from_mg(25)


def test_after_a_hold_only_the_rest_is_given(stage: Stage) -> None:
    stage.to_infusing()
    stage.run(900)
    stage.answer("supervise", "hold")
    stage.run(60)
    assert "remaining of the infusion" in stage.ask("holding").text
    given = stage.infused
    stage.answer("holding", "resume")
    assert "remaining volume" in stage.ask("confirm").text
    stage.agree("confirm")
    start = stage.pump.starts[-1]
    assert start.volume.nl == 2_500_000 - given.nl
    assert start.rate == stage.pump.starts[-2].rate
    stage.run(2_000, until=State.RECOVERING)
    assert stage.infused == Volume.from_ml(2.5)


def test_the_rest_must_be_confirmed_again(stage: Stage) -> None:
    stage.to_infusing()
    stage.run(900)
    stage.answer("supervise", "hold")
    stage.run(60)
    stage.answer("holding", "resume")
    starts = len(stage.pump.starts)
    stage.run(31)
    assert stage.at(State.HOLDING)
    assert len(stage.pump.starts) == starts


def test_nothing_left_ends_the_infusion_without_a_start(stage: Stage) -> None:
    stage.to_infusing()
    stage.run(2_695)
    stage.pump.infused = Volume.from_ml(2.499)
    stage.answer("supervise", "hold")
    stage.pump.infused = Volume.from_ml(2.499)
    stage.run(2)
    starts = len(stage.pump.starts)
    stage.answer("holding", "resume")
    assert stage.at(State.RECOVERING)
    assert len(stage.pump.starts) == starts


def test_the_ceiling_on_motor_time_ends_the_infusion_with_an_alarm(stage: Stage) -> None:
    stage.plan = replace(
        stage.plan,
        infusion=replace(stage.plan.infusion, ceiling=stage.plan.infusion.duration),
    )
    stage.visit = begin(stage.plan)
    stage.to_infusing()
    stage.pump.speed_pct = 95
    stage.run(2_705)
    assert stage.at(State.RECOVERING)
    assert "time_ceiling" in stage.alarm_history
    last = stage.visit.account.last
    assert last is not None
    assert last.status is Status.STOPPED


def test_motor_time_adds_up_over_a_hold(stage: Stage) -> None:
    stage.to_infusing()
    stage.run(1_000)
    stage.answer("supervise", "hold")
    stage.run(600)
    stage.answer("holding", "resume")
    stage.agree("confirm")
    arm = [e for e in stage.effects if isinstance(e, ArmGate)][-1]
    assert arm.time_max.s == pytest.approx(2_970 - 1_002, abs=3)


def test_a_used_up_ceiling_is_not_resumed(stage: Stage) -> None:
    stage.to_infusing()
    stage.run(100)
    stage.answer("supervise", "hold")
    stage.run(5)
    rule = replace(stage.plan.infusion, ceiling=stage.plan.infusion.duration)
    last = stage.visit.account.last
    assert last is not None
    assert last.started_at is not None
    long_ago = replace(last, started_at=last.started_at - 5_000)
    account = replace(
        stage.visit.account, deliveries=(*stage.visit.account.deliveries[:-1], long_ago)
    )
    stage.visit = replace(stage.visit, account=account, plan=replace(stage.plan, infusion=rule))
    stage.answer("holding", "resume")
    assert stage.at(State.RECOVERING)
    assert "time_ceiling" in stage.alarms


def test_the_four_amounts_are_kept_apart(stage: Stage) -> None:
    stage.pump.accepted_rate_pct = 99
    stage.to_infusing()
    stage.run(600)
    last = stage.visit.account.last
    assert last is not None
    assert last.kind is Kind.INFUSION
    assert last.programmed_rate is not None
    assert last.programmed_rate < last.rate
    estimated = last.estimated(stage.now)
    assert last.delivered <= estimated <= last.volume
    assert estimated.nl - last.delivered.nl < 5_000


def test_a_pump_that_stops_early_holds(stage: Stage) -> None:
    stage.to_infusing()
    stage.run(300)
    stage.pump.state = PumpState.STOPPED
    stage.run(1)
    assert stage.at(State.HOLDING)
    assert "stopped early" in stage.visit.chart.hold_reason
