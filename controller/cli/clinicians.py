"""Who answers the questions of a visit: the simulated clinician, or a script, at their own pace.

Both are asked once a question is open and say *when* they will answer; the runner's loop does the
waiting.  A person at a terminal is `controller.cli.prompt`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from controller.operators import ScriptedOperator
from controller.procedure.questions import Answer, Question, answer_to

if TYPE_CHECKING:
    from controller.runner import Runner


class Bedside(Protocol):
    """The simulated clinician (`sim.clinician.Clinician`), by shape."""

    def see(self, sample: Mapping[str, Any]) -> None:
        """A look at the patient."""

    def reply(self, question: Mapping[str, Any]) -> tuple[float, dict[str, Any] | None]:
        """After so many seconds: the answer, or None for *ask me again*."""


class Waiting:
    """The answers that are on their way; one for each open question."""

    def __init__(self) -> None:
        self._handles: dict[int, asyncio.TimerHandle] = {}

    def later(
        self, runner: Runner, question: Question, delay_s: float, answer: Answer, by: str
    ) -> None:
        """Answer after ``delay_s``, unless the question is closed by then."""
        self.call(runner, question, delay_s, lambda: runner.answer(question.id, answer, by))

    def call(self, runner: Runner, question: Question, delay_s: float, then: Any) -> None:  # noqa: ANN401 - any callable without arguments
        """Call ``then`` after ``delay_s``, unless the question is closed by then."""
        former = self._handles.pop(question.id, None)
        if former is not None:
            former.cancel()

        def due() -> None:
            self._handles.pop(question.id, None)
            if question.id in runner.questions and not runner.finished.done():
                then()

        self._handles[question.id] = runner.loop.call_later(delay_s, due)

    def forget(self, question_id: int) -> bool:
        """The question is closed; true if its answer was still on its way."""
        handle = self._handles.pop(question_id, None)
        if handle is None:
            return False
        handle.cancel()
        return True

    def cancel_all(self) -> None:
        """Nobody answers any more."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()


class SimulatedClinician:
    """``--operator auto``: somebody at the bedside who sees what the monitor and the patient show."""

    name = "simulated clinician"

    def __init__(self, bedside: Bedside) -> None:
        self._bedside = bedside
        self._waiting = Waiting()

    def ask(self, question: Question, runner: Runner) -> None:
        delay_s, answer = self._bedside.reply(_as_seen(question, runner))
        if answer is None:
            self._waiting.call(runner, question, delay_s, lambda: self.ask(question, runner))
        else:
            said = answer_to(question, answer["choice"], answer["values"])
            by = question.answered_by(self.name)
            self._waiting.later(runner, question, delay_s, said, by)

    def refused(self, question: Question, why: str, runner: Runner) -> None:
        del why  # the clinician looks again and decides anew
        self._waiting.call(runner, question, 15.0, lambda: self.ask(question, runner))

    def closed(self, question_id: int) -> None:
        self._waiting.forget(question_id)

    def close(self) -> Sequence[str]:
        self._waiting.cancel_all()
        return ()


class Script:
    """``--operator FILE``: the scripted clinician."""

    name = "script"

    def __init__(self, script: ScriptedOperator) -> None:
        self._script = script
        self._waiting = Waiting()

    def ask(self, question: Question, runner: Runner) -> None:
        planned = self._script.answer(question, runner.loop.time(), runner.entered_at)
        if planned is not None:
            delay_s, answer = planned
            by = question.answered_by(self.name)
            self._waiting.later(runner, question, delay_s, answer, by)

    def refused(self, question: Question, why: str, runner: Runner) -> None:
        runner.warnings.append(f"operator script: {question.kind} in {question.state}: {why}")

    def closed(self, question_id: int) -> None:
        if self._waiting.forget(question_id):
            self._script.withdrawn(question_id)

    def close(self) -> Sequence[str]:
        self._waiting.cancel_all()
        return self._script.unused()


def _as_seen(question: Question, runner: Runner) -> dict[str, Any]:
    """The question as plain data, with what is to be seen at the bedside."""
    proposed = question.proposed
    return {
        "kind": question.kind,
        "state": question.state.value,
        "choices": question.choices,
        "values": {name: {"min": v.min, "max": v.max} for name, v in question.values.items()},
        "proposed": None
        if proposed is None
        else {"choice": proposed.choice, "values": dict(proposed.values)},
        "in_state_s": runner.loop.time() - runner.entered_at,
        "sample": runner.vitals,
        "reason": runner.visit.chart.hold_reason,
    }
