"""The questions a visit asks a person, and what counts as an answer.

A question is plain data, so that a terminal, a page, a script and a simulated clinician can all
answer it.  Kinds and choices are a closed list:

=================  ==========================================  =====================================
kind               choices                                     values
=================  ==========================================  =====================================
checklist          yes, no                                     (one question per item)
baseline_scores    (none)                                      pain_0_10, mood_0_10
confirm            confirm, refuse; for an infusion change too (none; bound to exact values by token)
response           anxiety, analgesia, dissociation, nothing   dose_mg with "nothing"
supervise          hold, estop, anxiety (or toxicity), abort   (standing; need never be answered)
signs              none, or the word of a sign of toxicity     (none; asked at intervals)
holding            resume, recover, anxiety (or toxicity),     (those that are possible now)
                   abort
infusion_dose      (none)                                      dose_mg
rescue_drug        given, declined; after a dose enough, given midazolam_mg (or lipid_ml) with "given"
recovery_scores    (none)                                      pain_0_10, mood_0_10, sedation_0_4,
                                                               nausea_0_3, walking_ok
discharge          discharge, not_yet                          escort_present, instructions_given
=================  ==========================================  =====================================

Where there are no choices, the choice of an answer is the empty string.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from controller.procedure.table import State


@dataclass(frozen=True, slots=True)
class Value:
    """A number that is asked for: its unit, its limits (both allowed), and with which choices.

    An empty ``needed_for`` means: with every answer.
    """

    unit: str
    min: float
    max: float
    needed_for: tuple[str, ...] = ()

    @property
    def is_yes_or_no(self) -> bool:
        """Whether it is a word rather than a number: 1 is yes, 0 is no."""
        return (self.min, self.max) == (0, 1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says to a question; ``token`` is copied from the question."""

    choice: str
    values: Mapping[str, float] = field(default_factory=dict)
    token: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One open question.

    ``id`` is unique within a visit.  ``proposed`` is the answer that "yes, as proposed" gives; None
    where nothing may be assumed.  ``role`` is whom it is for, where that is not left open.  ``soft`` names every soft limit that saying yes would exceed.
    ``expires_after_s`` counts from the asking; None while it may stand for ever.
    """

    id: int
    state: State
    kind: str
    text: str
    choices: tuple[str, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)
    proposed: Answer | None = None
    soft: tuple[str, ...] = ()
    token: str = ""
    expires_after_s: float | None = None
    role: str = ""

    def answered_by(self, who: str) -> str:
        """The role and who spoke for it, for the record: "nurse, operator at the terminal"."""
        return f"{self.role}, {who}" if self.role else who


def answer_to(question: Question, choice: str, values: Mapping[str, float] | None = None) -> Answer:
    """The answer with the token of the question and only those values that it asks for."""
    asked = {name: v for name, v in (values or {}).items() if name in question.values}
    return Answer(choice, asked, question.token)


def why_not(question: Question, answer: Answer) -> str | None:
    """Why this is no answer to the question, in one sentence; None if it is one.

    Asks only about form: choice, names, numbers, limits of the values, token.  Whether it is the
    time for it, the procedure decides.
    """
    if question.choices and answer.choice not in question.choices:
        return f"choice {answer.choice!r} is not one of {', '.join(question.choices)}"
    if not question.choices and answer.choice:
        return f"choice {answer.choice!r} where only values are asked for"
    if answer.token != question.token:
        return "the confirmation is for other values than the ones shown"
    return _wrong_value(question, answer)


def _wrong_value(question: Question, answer: Answer) -> str | None:
    for name in answer.values:
        if name not in question.values:
            return f"{name} is not asked for"
    for name, value in question.values.items():
        if name not in answer.values:
            if not value.needed_for or answer.choice in value.needed_for:
                return f"{name} is missing"
            continue
        number: object = answer.values[name]
        if not isinstance(number, int | float) or not isfinite(number):
            return f"{name} = {number!r} is not a number"
        if not value.min <= number <= value.max:
            return f"{name} = {number} is outside {value.min:g} to {value.max:g} {value.unit}"
    return None
