"""The test dose and its four answers: test_bolus, observing, titrating."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.procedure.decide import decide
from controller.procedure.effects import ArmGate, DisarmGate, Outcome, StartBolus, StopPump
from controller.procedure.events import CommandEnded, Entered
from controller.procedure.table import State, Trigger
from controller.procedure.visit import Kind, Status, begin
from firmware_bridge.messages import Code, Ending, PumpState, Result
from firmware_bridge.quantities import Duration, Mass, Rate, Volume
from hil_tests.pure.controller.visit_driver import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_the_gate_is_opened_for_exactly_the_confirmed_bolus(stage: Stage) -> None:
    stage.to_test_bolus()
    arm = next(e for e in stage.effects if isinstance(e, ArmGate))
    assert (arm.rate_max, arm.volume_total_max) == (Rate.from_ml_h(60), Volume.from_ml(1))
    assert arm.volume_per_command_max == arm.volume_total_max
    assert Duration.from_s(60) < arm.time_max < Duration.from_s(90)
    assert arm.concentration.mg_ml == 10
    start = next(e for e in stage.effects if isinstance(e, StartBolus))
    assert (start.rate, start.volume, start.mass) == (
        Rate.from_ml_h(60),
        Volume.from_ml(1),
        Mass.from_mg(10),
    )


def test_intent_is_recorded_before_the_start(stage: Stage) -> None:
    stage.to_test_bolus()
    kinds = [(r.kind, r.data.get("what")) for r in stage.records if r.kind == "dose"]
    assert kinds[:3] == [("dose", "ordered"), ("dose", "starting"), ("dose", "programmed")]


def test_the_bolus_ends_by_the_pumps_own_target_and_the_gate_closes(stage: Stage) -> None:
    stage.to_observing()
    last = stage.visit.account.last
    assert last is not None
    assert last.status is Status.COMPLETED
    assert last.delivered == Volume.from_ml(1)
    assert any(isinstance(e, DisarmGate) for e in stage.effects)
    assert not any(isinstance(e, StopPump) for e in stage.effects)


@pytest.mark.parametrize(
    ("choice", "state"),
    [
        ("hold", State.HOLDING),
        ("estop", State.EMERGENCY_STOPPED),
        ("anxiety", State.RESCUE),
        ("abort", State.ABORTED),
    ],
)
@pytest.mark.parametrize("where", ["test_bolus", "observing", "titrating", "infusing"])
def test_a_person_may_intervene_at_any_time(
    stage: Stage, choice: str, state: State, where: str
) -> None:
    if where == "titrating":
        stage.to_observing().respond("nothing", dose_mg=5)
        stage.agree("confirm")
    else:
        getattr(stage, f"to_{where}")()
    stage.answer("supervise", choice)
    assert stage.at(state)
    assert any(isinstance(e, StopPump) for e in stage.effects)
    assert stage.pump.state is not PumpState.RUNNING


def test_dissociation_after_ten_mg_starts_a_forty_five_minute_infusion(stage: Stage) -> None:
    stage.to_infusing()
    last = stage.visit.account.last
    assert last is not None
    assert last.kind is Kind.INFUSION
    assert last.mass == Mass.from_mg(25)
    assert last.rate.times(Duration.from_min(45)) <= Volume.from_ml(2.5)


def test_analgesia_leads_to_the_infusion_too(stage: Stage) -> None:
    stage.to_observing().respond("analgesia")
    assert stage.at(State.INFUSING)
    assert stage.visit.chart.response == "analgesia"


def test_anxiety_is_heard_at_once_and_ends_ketamine(stage: Stage) -> None:
    stage.to_observing()
    stage.answer("response", "anxiety")
    assert stage.at(State.RESCUE)
    assert stage.visit.chart.rescued


@pytest.mark.parametrize("response", ["analgesia", "dissociation"])
def test_an_answer_before_ten_minutes_is_refused_and_the_question_stands(
    stage: Stage, response: str
) -> None:
    stage.to_observing()
    stage.run(599)
    question = stage.ask("response")
    stage.answer("response", response)
    assert stage.at(State.OBSERVING)
    assert stage.ask("response") == question
    assert "at least 600 s" in stage.refused[-1].why
    stage.run(1)
    stage.answer("response", response)
    assert stage.at(State.INFUSING)


def test_twenty_minutes_without_an_answer_hold_with_an_alarm(stage: Stage) -> None:
    stage.to_observing()
    stage.run(1_199)
    assert stage.at(State.OBSERVING)
    stage.run(2)
    assert stage.at(State.HOLDING)
    assert "unanswered" in stage.alarms


def test_nothing_leads_to_one_further_dose_within_its_limits(stage: Stage) -> None:
    stage.to_observing()
    value = stage.ask("response").values["dose_mg"]
    assert (value.min, value.max, value.unit) == (5, 10, "mg")
    stage.respond("nothing", dose_mg=7.5)
    assert stage.at(State.TITRATING)
    assert "7.5 mg" in stage.ask("confirm").text
    stage.agree("confirm")
    stage.run(70)
    assert stage.at(State.OBSERVING)
    assert stage.visit.account.required == Mass.from_mg(17.5)
    assert [d.kind for d in stage.visit.account.deliveries] == [Kind.TEST, Kind.FURTHER]


@pytest.mark.parametrize("dose_mg", [4.9, 10.1, float("nan"), float("inf")])
def test_a_further_dose_outside_its_limits_is_not_taken(stage: Stage, dose_mg: float) -> None:
    stage.to_observing().respond("nothing", dose_mg=dose_mg)
    assert stage.at(State.OBSERVING)
    assert "dose_mg" in stage.refused[-1].why


def test_the_limit_of_test_doses_bounds_the_last_one(stage: Stage) -> None:
    stage.to_observing().respond("nothing", dose_mg=5)
    stage.agree("confirm")
    stage.run(70)
    assert stage.ask("response").values["dose_mg"].max == 5
    stage.respond("nothing", dose_mg=5)
    stage.agree("confirm")
    stage.run(70)
    assert stage.visit.account.required == Mass.from_mg(20)
    assert not stage.ask("response").values


def test_nothing_with_the_limit_used_up_leads_to_recovery(stage: Stage) -> None:
    stage.to_observing().respond("nothing", dose_mg=7.5)
    stage.agree("confirm")
    stage.run(70)
    stage.respond("nothing")
    assert stage.at(State.RECOVERING)


def test_a_refused_further_dose_returns_to_observing(stage: Stage) -> None:
    stage.to_observing().respond("nothing", dose_mg=5)
    stage.answer("confirm", "refuse")
    assert stage.at(State.OBSERVING)
    stage.answer("response", "dissociation")  # ten minutes have passed since the dose
    assert stage.at(State.INFUSING)


def test_an_expired_further_dose_returns_to_observing(stage: Stage) -> None:
    stage.to_observing().respond("nothing", dose_mg=5)
    stage.run(31)
    assert stage.at(State.OBSERVING)
    assert len(stage.pump.starts) == 1


def test_a_light_subject_cannot_have_more_than_its_weight_allows(stage: Stage) -> None:
    stage.heavy(30_000)  # 0.35 mg/kg: 10.5 mg a bolus; 20 mg of test doses in all
    stage.to_observing()
    assert stage.ask("response").values["dose_mg"].max == 10


def test_a_further_dose_that_the_syringe_does_not_hold_returns_to_observing(stage: Stage) -> None:
    syringe = replace(stage.plan.syringe, loaded=Volume.from_ml(1.2))
    stage.plan = replace(stage.plan, syringe=syringe)
    stage.visit = begin(stage.plan)
    stage.to_observing().respond("nothing", dose_mg=5)
    assert stage.at(State.OBSERVING)
    assert "left in the syringe" in stage.why_refused()


def test_titrating_without_a_chosen_dose_returns_to_observing(stage: Stage) -> None:
    stage.to_observing()
    decision = decide(State.TITRATING, stage.visit, Entered(State.OBSERVING), stage.now)
    assert decision.trigger is Trigger.NOT_CONFIRMED


def test_further_doses_count_ten_minutes_from_the_last_one(stage: Stage) -> None:
    stage.to_observing().respond("nothing", dose_mg=5)
    stage.agree("confirm")
    stage.run(70, until=State.OBSERVING)
    stage.run(300)
    stage.answer("response", "analgesia")
    assert stage.at(State.OBSERVING)


# --- starts that go wrong ---------------------------------------------------------------------------


def test_a_gate_that_stays_closed_holds_and_nothing_was_given(stage: Stage) -> None:
    stage.pump.endings["ArmGate"] = Ending.REFUSED
    stage.to_confirm().agree("confirm")
    assert stage.at(State.HOLDING)
    assert "said no" in stage.visit.chart.hold_reason
    assert stage.visit.account.given(stage.now).visit == Mass(0)
    assert not stage.pump.starts


def test_a_gate_that_does_not_answer_holds(stage: Stage) -> None:
    stage.pump.endings["ArmGate"] = Ending.IN_PROGRESS
    stage.to_confirm().agree("confirm")
    stage.run(11)
    assert stage.at(State.HOLDING)
    assert stage.visit.account.last is not None
    assert stage.visit.account.last.status is Status.NEVER_STARTED


def test_a_refused_start_holds_and_nothing_was_given(stage: Stage) -> None:
    stage.pump.endings["StartBolus"] = Ending.REFUSED
    stage.to_confirm().agree("confirm")
    assert stage.at(State.HOLDING)
    assert "delivery_refused" in stage.alarms
    assert stage.visit.account.given(stage.now).visit == Mass(0)


@pytest.mark.parametrize("ending", [Ending.UNCERTAIN, Ending.IN_PROGRESS])
def test_a_start_whose_answer_is_lost_is_never_repeated_and_counts_whole(
    stage: Stage, ending: Ending
) -> None:
    stage.pump.endings["StartBolus"] = ending
    stage.to_confirm().agree("confirm")
    stage.run(11)
    assert stage.at(State.HOLDING)
    assert "delivery_uncertain" in stage.alarms
    assert len([e for e in stage.effects if isinstance(e, StartBolus)]) == 1
    assert stage.visit.account.given(stage.now).test == Mass.from_mg(10)
    stage.answer("holding", "resume")
    assert stage.at(State.OBSERVING)
    assert len([e for e in stage.effects if isinstance(e, StartBolus)]) == 1


def test_a_start_accepted_after_the_stop_is_counted_by_the_pump(stage: Stage) -> None:
    stage.pump.endings["StartBolus"] = Ending.IN_PROGRESS
    stage.to_confirm().agree("confirm")
    start = next(e for e in stage.effects if isinstance(e, StartBolus))
    stage.answer("supervise", "hold")
    late = Result(start.command_id, Ending.ACCEPTED, Code.OK, start.rate, start.volume)
    stage.feed(CommandEnded(late, "StartBolus"))
    stage.pump.infused = Volume.from_ml(0.2)
    stage.report()
    assert stage.at(State.HOLDING)
    assert stage.visit.account.given(stage.now).test == Mass.from_mg(2)


def test_a_start_refused_after_the_stop_gave_nothing(stage: Stage) -> None:
    stage.pump.endings["StartBolus"] = Ending.IN_PROGRESS
    stage.to_confirm().agree("confirm")
    start = next(e for e in stage.effects if isinstance(e, StartBolus))
    stage.answer("supervise", "hold")
    late = Result(start.command_id, Ending.REFUSED, Code.NOT_ARMED, Rate(0), Volume(0))
    stage.feed(CommandEnded(late, "StartBolus"))
    assert stage.visit.account.given(stage.now).test == Mass(0)


@pytest.mark.parametrize("pct", [101, 98])
def test_a_pump_that_accepts_other_values_is_stopped(stage: Stage, pct: int) -> None:
    stage.pump.accepted_rate_pct = pct
    stage.to_confirm().agree("confirm")
    assert stage.at(State.HOLDING)
    assert "delivery_read_back" in stage.alarms


def test_a_pump_may_round_down_by_a_little(stage: Stage) -> None:
    stage.pump.accepted_rate_pct = 99
    stage.to_test_bolus()
    stage.run(70, until=State.OBSERVING)
    assert stage.at(State.OBSERVING)


def test_a_bolus_that_takes_too_long_is_stopped(stage: Stage) -> None:
    stage.visit = stage.visit
    stage.to_test_bolus()
    stage.pump.state = PumpState.UNKNOWN  # reports say nothing, and the motor may go on
    stage.run(90)
    assert stage.at(State.HOLDING)
    assert "time_ceiling" in stage.alarms


def test_an_interrupted_bolus_is_neither_repeated_nor_completed(stage: Stage) -> None:
    stage.to_test_bolus()
    stage.run(30)
    stage.answer("supervise", "hold")
    stage.run(5)
    stage.answer("holding", "resume")
    assert stage.at(State.OBSERVING)
    assert len(stage.pump.starts) == 1
    assert stage.visit.account.required == Mass.from_mg(5)
    stage.respond("dissociation")
    assert "required dose 5 mg" in stage.ask("confirm").text


def test_a_visit_with_every_dose_given_can_still_be_completed(stage: Stage) -> None:
    stage.to_observing().respond("nothing", dose_mg=7.5)
    stage.agree("confirm")
    stage.run(70)
    stage.respond("nothing")
    stage.discharge()
    assert stage.outcomes == [Outcome.COMPLETED]
