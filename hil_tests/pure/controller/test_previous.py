"""The dose an earlier visit proposes: read from its log, shown with its arithmetic, never given by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.plan import Plan
from controller.previous import PreviousError, proposal_from, with_previous
from controller.procedure.effects import Outcome, StartInfusion
from controller.procedure.table import State
from firmware_bridge.quantities import Mass
from hil_tests.pure.controller.visit_driver import Stage, shipped_plan

HEADER: dict[str, object] = {
    "kind": "header",
    "session": "S-0004",
    "procedure": "ketamine-first-visit",
    "drug": "ketamine",
    "concentration_mg_ml": 10.0,
}
Log = list[dict[str, object]]


def log_of(stage: Stage) -> Log:
    log: Log = [HEADER]
    for record in stage.records:
        log.append({"kind": record.kind, **record.data})
    return log


def first_visit() -> Log:
    stage = Stage().to_recovering()
    return log_of(stage.discharge())


@pytest.fixture(scope="module")
def earlier() -> Log:
    return first_visit()


@pytest.fixture
def follow_up() -> Plan:
    return shipped_plan("ketamine-follow-up")


def test_a_completed_visit_proposes_the_infusion_it_had(earlier: Log) -> None:
    proposal = proposal_from(earlier)
    assert (proposal.session, proposal.drug, proposal.dose) == (
        "S-0004",
        "ketamine",
        Mass.from_mg(25),
    )
    text = "\n".join(proposal.lines)
    assert "response dissociation" in text
    assert "test doses 10 mg, infusion ordered 25 mg, delivered 25 mg" in text
    assert "pain 6.0 before, 3.0 after" in text


def test_an_infusion_that_was_cut_short_proposes_what_was_delivered() -> None:
    stage = Stage().to_infusing()
    stage.run(1_000)
    stage.answer("supervise", "hold")
    stage.run(5)
    stage.answer("holding", "recover")
    dose = proposal_from(log_of(stage.discharge())).dose
    assert dose is not None
    assert Mass.from_mg(9) < dose < Mass.from_mg(9.5)
    assert dose.ug % 100 == 0


def anxious(stage: Stage) -> Stage:
    stage.to_observing().answer("response", "anxiety")
    stage.agree("rescue_drug")
    stage.agree("rescue_drug")
    return stage.discharge()


def aborted(stage: Stage) -> Stage:
    stage.to_infusing().answer("supervise", "abort")
    return stage


def recovered_at_once(stage: Stage) -> Stage:
    stage.to_observing().answer("supervise", "hold")
    stage.run(5)
    stage.answer("holding", "recover")
    return stage.discharge()


def nothing_at_all(stage: Stage) -> Stage:
    stage.to_observing().respond("nothing", dose_mg=10)
    stage.agree("confirm")
    stage.run(70)
    stage.respond("nothing")
    return stage.discharge()


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (nothing_at_all, "the response nothing"),
        (anxious, "not completed"),
        (aborted, "not completed"),
        (recovered_at_once, "no infusion"),
    ],
)
def test_a_visit_that_says_nothing_about_a_dose_proposes_none(
    way: Callable[[Stage], Stage], why: str
) -> None:
    proposal = proposal_from(log_of(way(Stage())))
    assert proposal.dose is None
    assert any(why in line for line in proposal.lines)


def test_the_follow_up_shows_the_proposal_and_a_person_confirms_it(
    follow_up: Plan, earlier: Log
) -> None:
    stage = Stage(with_previous(follow_up, "log", earlier))
    stage.to_confirm()
    question = stage.ask("confirm")
    assert "earlier session S-0004" in question.text
    assert "Infuse 25 mg ketamine over 45 min?" in question.text
    assert not stage.pump.starts
    stage.agree("confirm")
    [start] = stage.pump.starts
    assert isinstance(start, StartInfusion)
    assert start.mass == Mass.from_mg(25)
    stage.run(2_710, until=State.RECOVERING)
    assert stage.discharge().outcomes == [Outcome.COMPLETED]
    again = proposal_from(log_of(stage))  # a series carries on
    assert again.dose == Mass.from_mg(25)


def test_a_person_may_change_what_is_proposed_within_the_limits(
    follow_up: Plan, earlier: Log
) -> None:
    stage = Stage(with_previous(follow_up, "log", earlier)).to_confirm()
    stage.answer("confirm", "change")
    question = stage.ask("infusion_dose")
    assert question.values["dose_mg"].max == 52.5
    stage.answer("infusion_dose", dose_mg=20)
    assert "Infuse 20 mg" in stage.ask("confirm").text
    assert not stage.pump.starts


def test_without_a_log_nothing_is_proposed_and_a_dose_must_be_entered(follow_up: Plan) -> None:
    stage = Stage(follow_up).to_confirm()
    question = stage.ask("infusion_dose")
    assert question.proposed is None
    assert "--previous LOG" in question.text


def test_a_proposal_beyond_a_limit_is_refused_like_any_other_dose(
    follow_up: Plan, earlier: Log
) -> None:
    plan = with_previous(follow_up, "log", earlier)
    light = replace(plan, subject=replace(plan.subject, weight_g=30_000))
    stage = Stage(light).to_confirm()
    assert "beyond a hard limit" in stage.ask("infusion_dose").text
    assert stage.ask("infusion_dose").values["dose_mg"].max == 22.5


def test_a_log_of_another_drug_or_for_another_rule_is_refused(
    follow_up: Plan, earlier: Log
) -> None:
    other = [{**HEADER, "drug": "lidocaine"}, *earlier[1:]]
    with pytest.raises(PreviousError, match="that visit was with lidocaine, this one is ketamine"):
        with_previous(follow_up, "log", other)
    with pytest.raises(PreviousError, match="rule multiple takes no dose"):
        with_previous(shipped_plan(), "log", earlier)


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ([], "which drug"),
        ([{"kind": "state", "to": "infusing"}], "which drug"),
        ([{**HEADER, "concentration_mg_ml": "much"}], "cannot be followed"),
        ([{**HEADER, "concentration_mg_ml": 0.0}], "cannot be followed"),
        ([HEADER, {"kind": "dose", "what": "delivered", "delivery_id": 4}], "cannot be followed"),
    ],
)
def test_a_log_that_cannot_be_followed_proposes_nothing_and_says_why(log: Log, why: str) -> None:
    with pytest.raises(PreviousError, match=why):
        proposal_from(log)


def test_the_log_that_cannot_be_followed_is_named(follow_up: Plan) -> None:
    with pytest.raises(PreviousError, match=r"old\.jsonl: the log does not say which drug"):
        with_previous(follow_up, "old.jsonl", [])
