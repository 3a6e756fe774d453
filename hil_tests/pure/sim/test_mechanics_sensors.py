"""What can be read at a pump besides its volumes: pressure with noise, battery, door and clamp."""

from __future__ import annotations

import random
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.mechanics import MakeError, Mechanics
from sim.mechanics_housing import Battery
from sim.mechanics_sensors import SAMPLE_NS, PressureSensor

MIN = 60_000_000_000
ML = 1_000_000


def test_a_sensor_without_noise_shows_the_pressure_with_its_error() -> None:
    pump, sensor = Mechanics(), PressureSensor()
    pump.fit(20_000)
    pump.occlude()
    pump.start(6 * ML)
    pump.advance(2 * MIN)
    assert sensor.mmhg(pump) == pytest.approx(100.0)
    pump.sensor_error(offset_mmhg=5, drift_mmhg_min=1)
    pump.advance(4 * MIN)
    assert sensor.mmhg(pump) == pytest.approx(200 + 5 + 2)


def test_noise_belongs_to_the_instant_and_not_to_the_reading() -> None:
    pump, sensor = Mechanics(), PressureSensor.of(2.0, random.Random("line").random)
    first = sensor.mmhg(pump)
    assert [sensor.mmhg(pump) for _ in range(3)] == [first] * 3
    pump.advance(SAMPLE_NS)
    assert sensor.mmhg(pump) != first
    assert PressureSensor.of(2.0, random.Random("other").random).mmhg(pump) != sensor.mmhg(pump)


def test_noise_has_the_spread_that_was_asked_for() -> None:
    pump, sensor = Mechanics(), PressureSensor.of(2.0, random.Random(1).random)
    shown = []
    for sample in range(2_000):
        pump.advance(sample * SAMPLE_NS)
        shown.append(sensor.mmhg(pump))
    assert abs(mean(shown)) < 0.2
    assert stdev(shown) == pytest.approx(2.0, abs=0.15)


def test_a_battery_runs_down_without_mains_and_up_with_it() -> None:
    battery = Battery(full_min=100, charge_min=200, low_min=30, was_min=100)
    battery.mains(0, on=False)
    assert battery.left_min(40 * MIN) == pytest.approx(60)
    assert battery.next_event_ns(0) == 70 * MIN
    assert not battery.is_low(69 * MIN)
    assert battery.is_low(70 * MIN)
    assert battery.next_event_ns(70 * MIN) == 100 * MIN
    assert not battery.is_empty(99 * MIN)
    assert battery.is_empty(100 * MIN)
    assert battery.next_event_ns(100 * MIN) is None
    battery.mains(100 * MIN, on=True)
    assert not battery.is_empty(100 * MIN)
    assert battery.left_min(200 * MIN) == pytest.approx(50)
    assert battery.left_min(900 * MIN) == 100
    assert battery.next_event_ns(200 * MIN) is None


@given(st.lists(st.integers(1, 100 * MIN), min_size=1, max_size=10), st.booleans())
def test_asking_a_battery_changes_nothing(looks: list[int], on_mains: bool) -> None:
    watched, alone = Battery(was_min=60), Battery(was_min=60)
    for battery in (watched, alone):
        battery.mains(0, on=on_mains)
    for at in sorted(looks):
        watched.left_min(at)
        watched.next_event_ns(at)
    assert watched == alone


def test_a_battery_can_be_set_and_not_beyond_full() -> None:
    battery = Battery()
    battery.set_left(MIN, 12.5)
    battery.mains(MIN, on=False)
    assert battery.left_min(3 * MIN) == pytest.approx(10.5)
    with pytest.raises(MakeError, match="battery minutes 1000"):
        battery.set_left(MIN, 1_000)


def test_door_clamp_and_battery_are_part_of_the_state() -> None:
    pump = Mechanics()
    pump.housing.door_open = True
    pump.housing.battery.mains(0, on=False)
    assert pump.state.housing.door_open
    assert not pump.housing.clamp_shut
    assert not pump.state.housing.battery.on_mains


def test_a_sensor_that_cannot_be_is_refused() -> None:
    with pytest.raises(MakeError, match="noise_mmhg"):
        PressureSensor(noise_mmhg=-1)
