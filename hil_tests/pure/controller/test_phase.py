"""The bar of a phase: observation and recovery count from the last dose, whatever came in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from controller.phase import phase_of
from controller.procedure.table import State
from controller.procedure.visit import Visit
from hil_tests.pure.controller.visit_driver import Stage

if TYPE_CHECKING:
    from controller.runner import Runner


@dataclass
class Clock:
    now: float

    def time(self) -> float:
        return self.now


@dataclass
class Seen:
    """The little of a runner that a phase is made from."""

    loop: Clock
    state: State
    visit: Visit
    entered_at: float


def left_s(stage: Stage) -> float | None:
    seen = Seen(Clock(stage.now), stage.state, stage.visit, stage.visit.entered_at)
    return phase_of(cast("Runner", seen)).left_s


def test_a_further_dose_that_is_refused_does_not_begin_the_observation_anew() -> None:
    stage = Stage().to_observing()
    assert left_s(stage) == pytest.approx(600, abs=2)
    stage.run(700)
    assert left_s(stage) == 0
    stage.answer("response", "nothing", dose_mg=5)
    stage.answer("confirm", "refuse")
    assert stage.at(State.OBSERVING)
    assert left_s(stage) == 0
    stage.answer("response", "dissociation")  # as the bar says: at once
    assert stage.at(State.INFUSING)


def test_a_further_dose_that_is_given_does() -> None:
    stage = Stage().to_observing().respond("nothing", dose_mg=5)
    stage.agree("confirm")
    stage.run(70, until=State.OBSERVING)
    assert left_s(stage) == pytest.approx(600, abs=2)


def test_recovery_counts_from_the_last_dose_of_either_drug() -> None:
    stage = Stage().to_infusing()
    stage.run(100)
    stage.answer("supervise", "hold")
    stage.run(1_200)
    stage.answer("holding", "recover")
    assert left_s(stage) == pytest.approx(2_400, abs=5)
    stage = Stage().to_observing()
    stage.answer("response", "anxiety")
    stage.run(600)
    stage.agree("rescue_drug")
    stage.answer("rescue_drug", "enough")
    assert left_s(stage) == pytest.approx(3_600, abs=5)
