"""The judge of every rehearsal, judged: a pump that moves after a confirmed stop is found out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from controller.cli.options import existing_plan
from controller.cli.oracle import Violation
from controller.cli.rehearsal import Stage
from controller.procedure.effects import Scalar
from controller.procedure.questions import Question, answer_to
from controller.procedure.table import State
from controller.runner import Observer, Runner
from sim.devices.new_era import NewEraPump
from sim.mechanics import Mount
from sim.virtual_loop import run_virtual

PLAN = existing_plan("ketamine-first-visit")
STOPPED = {State.HOLDING, State.EMERGENCY_STOPPED}
CREEP_NL_H = 6_000_000


class Intervening:
    """Lets the infusion run for five minutes, steps in with ``words`` one by one, and then goes on."""

    name = "intervening"

    def __init__(self, *words: str) -> None:
        self._words = list(words)

    def ask(self, question: Question, runner: Runner) -> None:
        if question.kind == "supervise":
            if question.state is State.INFUSING and self._words:
                self._say(runner, question, self._words.pop(0), 300.0)
        elif question.kind == "response":
            self._say(runner, question, "dissociation", 610.0)
        elif question.kind == "holding":
            self._say(runner, question, "resume", 120.0)
        elif question.kind == "checklist":
            self._say(runner, question, "yes", 1.0)
        elif question.proposed is not None:
            runner.loop.call_later(1.0, runner.answer, question.id, question.proposed, self.name)

    def _say(self, runner: Runner, question: Question, choice: str, after_s: float) -> None:
        answer = answer_to(question, choice)
        runner.loop.call_later(after_s, runner.answer, question.id, answer, self.name)

    def refused(self, question: Question, why: str, runner: Runner) -> None:
        raise AssertionError(why)

    def closed(self, question_id: int) -> None:
        """Nothing is kept that could be closed."""

    def close(self) -> Sequence[str]:
        return ()


class Creep(Observer):
    """The motor turns by itself for a second, unseen by the pump's own status, once the stop is confirmed."""

    def __init__(self, pump: NewEraPump) -> None:
        self._pump = pump
        self._left = 1

    def recorded(self, runner: Runner, kind: str, data: Mapping[str, Scalar]) -> None:
        if kind == "stop" and self._left and runner.state in STOPPED:
            self._left -= 1
            runner.loop.call_later(0.01, self._pump.mechanics.start, CREEP_NL_H)
            runner.loop.call_later(1.01, self._pump.mechanics.stop)


def violations(*words: str, creeping: bool) -> tuple[Violation, ...]:
    syringe = PLAN.syringe
    pump = NewEraPump(mount=Mount(syringe.diameter_um, syringe.size.nl, syringe.loaded.nl))
    observers = (Creep(pump),) if creeping else ()
    stage = Stage(PLAN, 1, lambda _draw: Intervening(*words), pump=pump, observers=observers)
    rehearsed, _ = run_virtual(stage.run, seed=1, budget_s=6 * 3600.0)
    return rehearsed.violations


@pytest.mark.parametrize("word", ["hold", "estop"])
def test_a_plunger_that_moves_after_a_confirmed_stop_is_found_out(word: str) -> None:
    found = violations(word, creeping=True)
    assert [violation.invariant for violation in found[:1]] == [2]
    assert "after the stop" in found[0].what


def test_holding_resuming_and_stopping_break_no_invariant() -> None:
    assert violations("hold", "hold", "estop", creeping=False) == ()
