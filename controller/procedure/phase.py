"""What a phase of the visit has to say: five questions every state answers, with an answer by default.

The default of every one of them is written out here, so that a state that says nothing refuses aloud.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.procedure.draft import Draft, Said
from controller.procedure.questions import Question
from controller.procedure.table import State


def _refuse_entry(draft: Draft, previous: State) -> None:
    draft.refuse("Entered", f"no way leads here from {previous.value}")


def _refuse_answer(draft: Draft, said: Said) -> None:
    draft.not_taken(said.question, "this is not asked here")


def _let_expire(draft: Draft, question: Question) -> None:
    draft.refuse(question.kind, "expired")


def _refuse_timer(draft: Draft, name: str) -> None:
    draft.refuse(name, "no such timer here")


def _wait_on(draft: Draft) -> None:
    """News that this phase was not waiting for."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One state's answers: entered, answered, a question expired, a timer fired, news came in.

    ``progressed`` is called after any news of vitals, link, pump, stop or self-test: the phase looks
    whether what it waits for is there now.
    """

    entered: Callable[[Draft, State], None] = _refuse_entry
    answered: Callable[[Draft, Said], None] = _refuse_answer
    expired: Callable[[Draft, Question], None] = _let_expire
    timer: Callable[[Draft, str], None] = _refuse_timer
    progressed: Callable[[Draft], None] = _wait_on
