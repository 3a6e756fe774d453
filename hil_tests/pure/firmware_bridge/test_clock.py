from __future__ import annotations

import asyncio
import math
import selectors

import pytest

from firmware_bridge.clock import (
    ScaledLoop,
    at_least_wall,
    fresh_boot_id,
    fresh_u16,
    new_loop,
    speed_of,
)
from firmware_bridge.errors import ConfigurationError


@pytest.mark.parametrize(
    ("seconds", "speed", "expected"),
    [
        (5.0, 1.0, 5.0),
        (0.001, 1.0, 0.001),
        (5.0, 20.0, 5.0),
        (5.0, 20.001, 5.00025),
        (5.0, 60.0, 15.0),
        (0.1, 0.5, 0.125),
        (0.2, 0.5, 0.2),
    ],
)
def test_bounds_last_a_quarter_second_on_the_wall_in_scaled_time_only(
    seconds: float, speed: float, expected: float
) -> None:
    assert at_least_wall(seconds, speed) == pytest.approx(expected)


@pytest.mark.parametrize("speed", [0.0, -1.0, 0.0099, 1000.1, math.nan, math.inf])
def test_a_speed_that_cannot_be_is_refused_with_its_limits(speed: float) -> None:
    with pytest.raises(ConfigurationError, match=r"speed .* between 0.01 and 1000"):
        new_loop(speed)


@pytest.mark.parametrize("speed", [0.01, 1.0, 120.0, 1000.0])
def test_a_loop_says_how_fast_it_runs(speed: float) -> None:
    loop = new_loop(speed)
    assert speed_of(loop) == speed
    assert isinstance(loop, ScaledLoop) == (speed != 1.0)
    loop.close()


def test_the_scaled_loop_tells_its_selector_to_wait_a_fraction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float | None] = []

    def select(_self: object, timeout: float | None = None) -> list[object]:
        asked.append(timeout)
        return []

    loop = ScaledLoop(60)
    monkeypatch.setattr(selectors.DefaultSelector, "select", select)
    scaled = loop._selector  # type: ignore[attr-defined]  # typeshed hides it
    for timeout in (None, 0, 30.0):
        scaled.select(timeout)
    assert asked == [None, 0, 0.5]
    loop.close()


def test_boot_ids_differ_and_are_never_zero() -> None:
    boots = {fresh_boot_id() for _ in range(100)}
    assert len(boots) == 100
    assert all(0 < boot < 2**32 for boot in boots)
    numbers = {fresh_u16() for _ in range(100)}
    assert len(numbers) > 90
    assert all(0 <= number < 2**16 for number in numbers)


def test_an_ordinary_loop_runs_at_speed_one() -> None:
    loop = asyncio.SelectorEventLoop()
    assert speed_of(loop) == 1.0
    loop.close()
