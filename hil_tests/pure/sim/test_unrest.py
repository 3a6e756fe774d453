"""The unrest of vital signs: how large, how long, how together, and what must not change it."""

from __future__ import annotations

import math
import random

import pytest

from sim.effects import effects
from sim.person import STEADY, Drift, drawn_person
from sim.unrest import HORIZON_S, SETTLED, Restlessness, Unrest

FIGURES = effects().at_rest


def restless(key: int = 12345, drift: tuple[Drift, ...] = STEADY, rr: float = 0.0) -> Restlessness:
    return Restlessness(FIGURES, key, drift, rr / 60.0)


def correlation(a: list[float], b: list[float]) -> float:
    n = len(a)
    mean_a, mean_b = sum(a) / n, sum(b) / n
    together = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True)) / n
    sd = [math.sqrt(sum((x - m) ** 2 for x in c) / n) for c, m in ((a, mean_a), (b, mean_b))]
    return together / sd[0] / sd[1]


def test_noise_has_the_size_the_memory_and_the_company_that_the_data_file_says() -> None:
    one = restless()
    seen = [one.at(float(second)) for second in range(30_000)]
    columns = dict(zip(Unrest._fields, map(list, zip(*seen, strict=True)), strict=True))
    for channel, values in zip(FIGURES.restless, columns.values(), strict=True):
        sd = math.sqrt(sum(x * x for x in values) / len(values))
        assert sd == pytest.approx(channel.noise_sd, rel=0.12)
        assert correlation(values[:-30], values[30:]) == pytest.approx(math.exp(-1), abs=0.1)
    pulse, pressure = columns["hr_bpm"], columns["pressure_mmhg"]
    assert correlation(pulse, pressure) == pytest.approx(0.3, abs=0.1)
    assert correlation(columns["rr_bpm"], columns["etco2_mmhg"]) == pytest.approx(-0.4, abs=0.1)
    assert correlation(pulse, columns["spo2_pct"]) == pytest.approx(0.0, abs=0.1)
    beyond = sum(abs(x) > 2 * 1.5 for x in pulse) / len(pulse)
    assert 0.02 < beyond < 0.08  # as of a normal distribution


def test_looking_often_or_late_or_after_a_gap_sees_the_same() -> None:
    often, seldom = restless(), restless()
    for tenth in range(100_000, 130_001):
        seen = often.at(tenth / 10)
    seldom.at(10_000.0)
    assert list(seldom.at(13_000.0)) == pytest.approx(list(seen), abs=1e-8)
    assert list(restless().at(13_000.0)) == pytest.approx(list(seen), abs=1e-8)


def test_the_horizon_is_far_beyond_every_memory() -> None:
    assert max(channel.noise_s for channel in FIGURES.restless) * 20 <= HORIZON_S


def test_moments_before_zero_are_moments_too() -> None:
    assert restless().at(-5.0) != SETTLED


def test_the_key_of_nobody_is_silent() -> None:
    assert restless(key=0).at(77.0) == SETTLED


def test_the_pulse_swings_with_the_breath() -> None:
    one = restless(key=0, rr=15.0)
    values = [one.at(quarter / 4).hr_bpm for quarter in range(17)]
    assert max(values) == pytest.approx(1.25, abs=0.01)
    assert min(values) == pytest.approx(-1.25, abs=0.01)
    assert values[16] == pytest.approx(0.0, abs=1e-9)  # 4 s later


def test_people_differ_at_rest_and_drift_slowly() -> None:
    people = [drawn_person(random.Random(f"{seed}:patient").random) for seed in range(800)]
    pulses = [one.rest.hr_bpm for one in people]
    mean = sum(pulses) / len(pulses)
    sd = math.sqrt(sum((x - mean) ** 2 for x in pulses) / len(pulses))
    assert mean == pytest.approx(70, abs=0.7)
    assert sd == pytest.approx(5.5, abs=0.6)
    assert min(pulses) >= 58
    assert max(pulses) <= 82
    pressures = [one.rest.sbp_mmhg for one in people]
    assert correlation(pressures, [one.rest.map_mmhg for one in people]) > 0.8
    assert all(one.rest.map_mmhg < one.rest.sbp_mmhg for one in people)
    drifts = [restless(key=0, drift=one.drift).at(5000.0).pressure_mmhg for one in people]
    assert math.sqrt(sum(x * x for x in drifts) / len(drifts)) == pytest.approx(2.0, abs=0.4)
    slow = max(people, key=lambda one: abs(one.drift[1].amplitude))
    moving = restless(key=0, drift=slow.drift)
    assert abs(moving.at(0.0).pressure_mmhg - moving.at(10.0).pressure_mmhg) < 0.5
