"""The procedure's waiting times in scaled time: people keep theirs, and a self-test fits into a resume."""

from __future__ import annotations

import pytest

from controller.cli.live_parts import bounds_at, pace_at, stretched, unhurried
from controller.procedure.visit import Bounds
from hil_tests.pure.controller.visit_driver import shipped_plan

PLAN = shipped_plan()


def test_at_the_speed_of_the_clock_they_are_the_usual_ones() -> None:
    assert bounds_at(1.0, PLAN) == Bounds(data_age_s=PLAN.limits.data_age_s_max)


@pytest.mark.parametrize("speed", [1.0, 10.0, 60.0, 240.0])
def test_a_resume_waits_for_a_self_test_however_long_that_is(speed: float) -> None:
    bounds = bounds_at(speed, PLAN)
    assert bounds.resume_s >= 60
    assert bounds.resume_s > bounds.command_s + pace_at(speed).lease.s + bounds.stop_s


@pytest.mark.parametrize(("speed", "confirm_s"), [(60.0, 30.0), (120.0, 30.0), (240.0, 60.0)])
def test_a_person_confirms_in_the_time_of_the_visit_but_never_in_less_than_250_ms(
    speed: float, confirm_s: float
) -> None:
    assert bounds_at(speed, PLAN).confirm_s == confirm_s
    (said,) = stretched(speed)
    assert ("time to confirm 30 -> 60 s" in said) is (confirm_s == 60)


@pytest.mark.parametrize("speed", [0.5, 1.0])
def test_a_visit_that_is_not_fast_hurries_nobody(speed: float) -> None:
    assert unhurried(PLAN, speed) == PLAN
    assert bounds_at(speed, PLAN, typed=True).confirm_s == 30


def test_whoever_types_has_the_time_of_the_wall_clock_and_the_patient_that_of_the_visit() -> None:
    plan = unhurried(PLAN, 60.0)
    assert plan.times.before_drug_s_max == 60 * PLAN.times.before_drug_s_max
    assert plan.times.observing_answer_s == 60 * PLAN.times.observing_answer_s
    assert plan.times.holding_answer_s == 60 * PLAN.times.holding_answer_s
    assert plan.times.observing_s_min == PLAN.times.observing_s_min
    assert plan.times.recovering_s_min == PLAN.times.recovering_s_min
    assert bounds_at(60.0, PLAN, typed=True).confirm_s == 1_800
    (said,) = stretched(60.0, typed=True)
    assert said.endswith("who types answers by the wall clock")
