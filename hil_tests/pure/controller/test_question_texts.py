"""Every question says what it wants, in which unit, within which limits, and what happens next."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from controller.procedure.effects import Ask
from controller.procedure.questions import Question
from hil_tests.pure.controller.visit_driver import Stage, shipped_plan

KINDS = {
    "checklist",
    "baseline_scores",
    "confirm",
    "response",
    "supervise",
    "signs",
    "holding",
    "infusion_dose",
    "rescue_drug",
    "recovery_scores",
    "discharge",
}


def whole_visit(stage: Stage) -> None:
    stage.to_observing().respond("nothing", dose_mg=5)
    stage.agree("confirm")
    stage.run(70)
    stage.respond("dissociation")
    stage.answer("confirm", "change")
    stage.answer("infusion_dose", dose_mg=20)
    stage.agree("confirm")
    stage.run(300)
    stage.answer("supervise", "hold")
    stage.run(5)
    stage.answer("holding", "recover")
    stage.discharge()


def limit_used_up(stage: Stage) -> None:
    stage.to_observing().respond("nothing", dose_mg=10)
    stage.agree("confirm")
    stage.run(70)
    assert "limit of test doses is used up" in stage.ask("response").text
    assert "dose_mg" not in stage.ask("response").values


def rescue(stage: Stage) -> None:
    stage.to_observing().answer("response", "anxiety")
    stage.agree("rescue_drug")
    stage.run(130)
    stage.answer("rescue_drug", "given", midazolam_mg=2.5)


def signs(stage: Stage) -> None:
    stage.to_infusing_at_once().run(300)
    stage.answer("signs", "tinnitus")
    stage.answer("signs", "none")


def entry(stage: Stage) -> None:
    stage.to_confirm()


def asked_in(way: Callable[[Stage], None], procedure: str) -> list[Question]:
    stage = Stage(shipped_plan(procedure))
    way(stage)
    return [effect.question for effect in stage.effects if isinstance(effect, Ask)]


ALL = [
    *asked_in(whole_visit, "ketamine-first-visit"),
    *asked_in(limit_used_up, "ketamine-first-visit"),
    *asked_in(rescue, "ketamine-first-visit"),
    *asked_in(signs, "lidocaine-chronic-pain"),
    *asked_in(signs, "lidocaine-peri-operative"),
    *asked_in(entry, "ketamine-follow-up"),
]


def test_every_kind_of_question_is_among_them() -> None:
    assert {question.kind for question in ALL} == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_question_says_what_happens_next(kind: str) -> None:
    for question in ALL:
        if question.kind == kind:
            assert re.search(r"^Next: .{10,}$", question.text, re.MULTILINE), question.text


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_question_names_every_number_with_its_unit_and_limits(kind: str) -> None:
    for question in ALL:
        if question.kind == kind:
            for name, value in question.values.items():
                span = f"{value.min:g} to {value.max:g} {value.unit}"
                line = f"{name}: {'yes or no' if value.is_yes_or_no else span}"
                assert line in question.text, question.text


def test_a_question_that_expires_says_when() -> None:
    for question in ALL:
        if question.expires_after_s is not None:
            assert re.search(r"^Answer within [0-9]+ (s|min)\.$", question.text, re.MULTILINE)


def test_a_dose_is_confirmed_with_its_arithmetic() -> None:
    confirms = [q for q in ALL if q.kind == "confirm"]
    assert confirms
    for question in confirms:
        assert "volume = " in question.text
        assert "rate = " in question.text


def test_no_line_is_too_long_to_read_and_none_is_empty() -> None:
    for question in ALL:
        for line in question.text.splitlines():
            assert line.strip()
            assert len(line) < 320, line
