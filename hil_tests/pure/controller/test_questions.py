"""Questions and what counts as an answer to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.procedure.questions import Answer, Question, Value, answer_to, why_not
from controller.procedure.table import State

RESPONSE = Question(
    1,
    State.OBSERVING,
    "response",
    "?",
    ("nothing", "anxiety"),
    {"dose_mg": Value("mg", 5, 10, ("nothing",))},
    token="t",
)
SCORES = Question(
    2, State.BASELINE, "baseline_scores", "?", (), {"pain_0_10": Value("of 10", 0, 10)}
)


@pytest.mark.parametrize(
    ("question", "answer", "part"),
    [
        (RESPONSE, Answer("bored", {}, "t"), "'bored' is not one of nothing, anxiety"),
        (RESPONSE, Answer("anxiety", {}, "u"), "other values"),
        (RESPONSE, Answer("nothing", {}, "t"), "dose_mg is missing"),
        (RESPONSE, Answer("nothing", {"dose_mg": 4.99}, "t"), "outside 5 to 10 mg"),
        (RESPONSE, Answer("nothing", {"dose_mg": float("nan")}, "t"), "not a number"),
        (RESPONSE, Answer("nothing", {"dose_mg": "7"}, "t"), "not a number"),  # type: ignore[dict-item]  # from outside
        (RESPONSE, Answer("anxiety", {"colour": 1.0}, "t"), "colour is not asked for"),
        (SCORES, Answer("yes", {"pain_0_10": 1.0}), "where only values are asked for"),
        (SCORES, Answer("", {}), "pain_0_10 is missing"),
    ],
)
def test_what_is_no_answer_is_said_in_one_sentence(
    question: Question, answer: Answer, part: str
) -> None:
    why = why_not(question, answer)
    assert why is not None
    assert part in why


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (RESPONSE, Answer("anxiety", {}, "t")),
        (RESPONSE, Answer("nothing", {"dose_mg": 5}, "t")),
        (RESPONSE, Answer("nothing", {"dose_mg": 10.0}, "t")),
        (SCORES, Answer("", {"pain_0_10": 0.0})),
    ],
)
def test_an_answer_within_its_limits_is_one(question: Question, answer: Answer) -> None:
    assert why_not(question, answer) is None


def test_an_answer_is_made_with_the_token_and_only_what_is_asked() -> None:
    made = answer_to(RESPONSE, "nothing", {"dose_mg": 7.0, "colour": 2.0})
    assert made == Answer("nothing", {"dose_mg": 7.0}, "t")


@given(st.text(), st.dictionaries(st.text(), st.floats()), st.text())
def test_nothing_a_person_can_say_raises(choice: str, values: dict[str, float], token: str) -> None:
    why_not(RESPONSE, Answer(choice, values, token))
    why_not(SCORES, Answer(choice, values, token))
