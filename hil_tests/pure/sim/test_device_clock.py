"""The clock of a simulated pump: held, stepped, faster, put back; the loop's own until then, to the last bit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.device_clock import STEP_S_MAX, DeviceClock

MOMENTS = st.floats(0, 1e6)


@given(MOMENTS, st.lists(MOMENTS, max_size=5))
def test_untouched_it_is_the_loop_s_clock_exactly(start: float, later: list[float]) -> None:
    clock = DeviceClock(start)
    for moment in later:
        assert clock.now(start + moment) == start + moment
        assert clock.loop_time(start + moment) == start + moment
    assert not clock.held
    assert clock.rate == 1.0


def test_held_it_stands_and_afterwards_goes_on_from_there() -> None:
    clock = DeviceClock(100.0)
    clock.hold(110.0)
    clock.hold(115.0)
    assert clock.held
    assert clock.now(120.0) == 110.0
    assert clock.loop_time(111.0) is None
    clock.go_on(120.0)
    clock.go_on(125.0)
    assert clock.now(126.0) == 116.0
    assert clock.loop_time(116.0) == 126.0


def test_a_step_passes_at_once_whether_it_is_held_or_not() -> None:
    clock = DeviceClock(0.0)
    assert clock.step(60.0, 10.0) == 70.0
    assert clock.now(11.0) == 71.0
    clock.hold(11.0)
    assert clock.step(60.0, 20.0) == 131.0
    assert clock.now(99.0) == 131.0


def test_faster_it_shows_so_many_of_its_seconds_in_one_of_the_loop_s() -> None:
    clock = DeviceClock(0.0)
    clock.run_at(60.0, 10.0)
    assert clock.now(11.0) == 70.0
    assert clock.loop_time(130.0) == pytest.approx(12.0)
    clock.hold(11.0)
    clock.run_at(2.0, 50.0)
    assert clock.now(60.0) == 70.0
    clock.go_on(60.0)
    assert clock.now(61.0) == 72.0


def test_it_can_be_put_back() -> None:
    clock = DeviceClock(0.0)
    clock.set(5.0, 100.0)
    assert clock.now(101.0) == 6.0
    assert clock.loop_time(6.0) == pytest.approx(101.0)


@pytest.mark.parametrize("seconds", [-1e-9, -1.0, math.nan, math.inf, STEP_S_MAX + 1])
def test_a_step_that_cannot_be_made_changes_nothing(seconds: float) -> None:
    clock = DeviceClock(0.0)
    with pytest.raises(ValueError, match=r"seconds = .*must be in 0\.\.86400"):
        clock.step(seconds, 1.0)
    assert clock.now(2.0) == 2.0


@pytest.mark.parametrize("rate", [0.0, 0.001, -1.0, math.nan, math.inf, 1_001.0])
def test_a_speed_that_cannot_be_had_changes_nothing(rate: float) -> None:
    clock = DeviceClock(0.0)
    with pytest.raises(ValueError, match=r"speed = .*must be in 0\.01\.\.1000"):
        clock.run_at(rate, 1.0)
    assert clock.now(2.0) == 2.0


ACTS = st.lists(
    st.tuples(
        st.floats(0, 100),
        st.one_of(
            st.just(("hold", None)),
            st.just(("go_on", None)),
            st.tuples(st.just("step"), st.floats(0, 1_000)),
            st.tuples(st.just("run_at"), st.floats(0.01, 1_000)),
        ),
    ),
    max_size=20,
)


@given(ACTS)
def test_whatever_is_done_but_put_back_it_never_runs_backwards(
    acts: list[tuple[float, tuple[str, float | None]]],
) -> None:
    clock, loop_now, shown = DeviceClock(0.0), 0.0, 0.0
    for wait, (name, value) in acts:
        loop_now += wait
        assert clock.now(loop_now) >= shown
        shown = clock.now(loop_now)
        getattr(clock, name)(*(() if value is None else (value,)), loop_now)
        assert clock.now(loop_now) >= shown
        shown = clock.now(loop_now)
        due = clock.loop_time(shown + 10.0)
        assert clock.held is (due is None)
        if due is not None:
            assert clock.now(due) == pytest.approx(shown + 10.0)
