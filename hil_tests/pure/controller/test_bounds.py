"""The procedure's waiting times in scaled time: people keep theirs, and a self-test fits into a resume."""

from __future__ import annotations

import pytest

from controller.cli.live_parts import bounds_at, pace_at, stretched
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
