"""Dose to volume to rate, the two infusion rules, and the small model behind one of them."""

from __future__ import annotations

from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dosing import (
    DosingError,
    by_weight,
    check_twice,
    hold_effect,
    multiple,
    programme,
    remainder,
)
from controller.effect_model import (
    Dose,
    effect_site,
    holding_dose_mg,
    plasma,
    psychedelic,
)
from firmware_bridge.quantities import Concentration, Duration, Mass, Rate, Volume

TEN = Concentration.from_mg_ml(10)
SPAN = Duration.from_min(45)
CARDIOVASCULAR_HALF_LIFE_MIN = 2.28
"""Kamp 2021, BJA 127:23: the site that the checkpoints were printed for."""

P1 = [Dose(0, 60, 10)]
P2 = [Dose(0, 2_400, 35)]
P3 = [Dose(0, 2_700, 40)]
P8 = [Dose(0, 60, 10), Dose(600, 660, 10), Dose(900, 2_100, 25 / 45 * 20)]


def printed(value: float) -> float:
    """As the checkpoints are printed: four significant digits."""
    return float(f"{value:.4g}")


@pytest.mark.parametrize(
    ("doses", "weight_kg", "minute", "cp", "ce"),
    [
        (P1, 70, 1, 360.1, 51.26),
        (P1, 70, 2, 291.9, 122.5),
        (P1, 70, 5, 163.0, 175.0),
        (P1, 70, 10, 76.71, 117.7),
        (P1, 70, 20, 38.87, 48.23),
        (P2, 70, 10, 154.5, 122.4),
        (P2, 70, 20, 198.3, 184.8),
        (P2, 70, 40, 253.1, 245.0),
        (P2, 70, 60, 95.86, 103.1),
        (P2, 70, 120, 49.91, 51.32),
        (P3, 100, 15, 135.5, 120.5),
        (P3, 100, 45, 198.8, 193.2),
        (P3, 100, 60, 85.75, 96.09),
        (P3, 100, 90, 57.87, 60.00),
        (P8, 70, 15, 212.0, 245.4),
        (P8, 70, 35, 188.7, 186.2),
        (P8, 70, 60, 76.38, 80.40),
    ],
)
def test_the_model_meets_the_published_checkpoints(
    doses: list[Dose], weight_kg: float, minute: float, cp: float, ce: float
) -> None:
    site = effect_site(weight_kg, CARDIOVASCULAR_HALF_LIFE_MIN)
    assert printed(plasma(weight_kg).level(doses, minute * 60)) == pytest.approx(cp, rel=1e-4)
    assert printed(site.level(doses, minute * 60)) == pytest.approx(ce, rel=1e-4)


def test_the_psychedelic_site_peaks_where_it_should() -> None:
    assert psychedelic(70).level(P1, 450) == pytest.approx(107.8, abs=0.1)
    assert psychedelic(70).level(P2, 41 * 60) == pytest.approx(228.6, abs=0.2)


def test_a_mean_is_the_mean_of_levels() -> None:
    site, steps = psychedelic(82.5), 5_000
    doses = [Dose(10, 70, 10), Dose(700, 3_400, 25)]
    levels = [site.level(doses, 300 + (i + 0.5) * 3_000 / steps) for i in range(steps)]
    assert site.mean(doses, 300, 3_300) == pytest.approx(sum(levels) / steps, rel=1e-6)


def test_nothing_is_there_before_a_dose() -> None:
    assert psychedelic(70).level(P1, 0) == 0
    assert psychedelic(70).mean([Dose(100, 160, 10)], 0, 50) == 0


@given(st.floats(40, 150), st.floats(1, 20))
def test_levels_are_proportional_to_the_dose(weight_kg: float, mg: float) -> None:
    one = psychedelic(weight_kg).level([Dose(0, 60, 1)], 600)
    assert psychedelic(weight_kg).level([Dose(0, 60, mg)], 600) == pytest.approx(mg * one)


def test_an_effect_site_follows_a_steady_level_with_its_half_life() -> None:
    fast, slow = effect_site(70, 1e-3), plasma(70)
    assert fast.level(P1, 600) == pytest.approx(slow.level(P1, 600), rel=1e-3)
    assert exp(-log(2)) == pytest.approx(0.5)


def test_hold_effect_holds_the_mean_at_the_level_seen() -> None:
    dose, level, remains = holding_dose_mg(70, P1, seen_at_s=660, start_s=680, end_s=680 + 2_700)
    assert dose == pytest.approx(15, abs=1)
    together = [*P1, Dose(680, 680 + 2_700, dose)]
    assert psychedelic(70).mean(together, 680, 680 + 2_700) == pytest.approx(level)
    assert remains < level


def test_hold_effect_gives_nothing_where_the_remains_are_enough() -> None:
    doses = [Dose(0, 60, 10), Dose(300, 360, 30)]
    assert holding_dose_mg(70, doses, seen_at_s=120, start_s=370, end_s=380)[0] == 0


def test_hold_effect_is_rounded_down_to_a_tenth_and_explained() -> None:
    result = hold_effect(70, P1, seen_at_s=660, start_s=680, duration=SPAN)
    exact = holding_dose_mg(70, P1, seen_at_s=660, start_s=680, end_s=3_380)[0]
    assert result.mass.ug % 100 == 0
    assert 0 <= exact - result.mass.mg < 0.1
    assert len(result.arithmetic) == 3
    assert "ng/mL" in result.arithmetic[0]


def test_ten_mg_over_a_minute_is_one_ml_at_sixty() -> None:
    order = programme(Mass.from_mg(10), TEN, Duration.from_s(60))
    assert (order.volume, order.rate) == (Volume.from_ml(1), Rate.from_ml_h(60))
    assert order.arithmetic == (
        "volume = 10 mg / 10 mg/mL = 1 mL",
        "rate = 1 mL / 1 min = 60 mL/h",
    )


def test_the_rule_multiple_takes_k_times_the_required_dose() -> None:
    result = multiple(Mass.from_mg(10), 2_500)
    assert result.mass == Mass.from_mg(25)
    assert "2.5 x required dose 10 mg = 25 mg" in result.arithmetic[0]


@given(st.integers(1, 100_000), st.integers(1, 50_000), st.integers(1_000, 10_000_000))
def test_a_programme_never_holds_more_than_the_dose_nor_runs_shorter(
    ug: int, ug_ml: int, ms: int
) -> None:
    dose, conc, span = Mass(ug), Concentration(ug_ml), Duration(ms)
    order = programme(dose, conc, span)
    assert order.volume.mass_at(conc) <= dose
    assert order.rate.times(span) <= order.volume


@given(st.integers(0, 20_000_000), st.integers(1, 10_000_000))
def test_a_remainder_keeps_volume_and_rate(nl: int, nl_h: int) -> None:
    rest = remainder(Volume(nl), Rate(nl_h), TEN)
    assert (rest.volume, rest.rate) == (Volume(nl), Rate(nl_h))
    assert rest.mass == Volume(nl).mass_at(TEN)


@given(st.integers(0, 20_000), st.integers(100, 10_000))
def test_a_multiple_is_rounded_down(ug: int, k_milli: int) -> None:
    assert multiple(Mass(ug), k_milli).mass.ug * 1_000 <= ug * k_milli


@pytest.mark.parametrize(
    ("volume_ml", "rate_ml_h", "why"),
    [
        (2.5, 3.333333, ""),
        (2.4975, 3.33, ""),
        (2.49, 3.32, "volume_ml = 2.49 by one way and 2.5 by another"),
        (25.0, 33.33333, "volume_ml"),
        (2.5, 33.33333, "rate_ml_h = 33.3333 by one way and 3.33333 by another"),
        (2.5, 0.0, "rate_ml_h"),
    ],
)
def test_volume_and_rate_are_reckoned_twice_by_different_ways(
    volume_ml: float, rate_ml_h: float, why: str
) -> None:
    if not why:
        check_twice(25.0, 10.0, 2_700.0, volume_ml, rate_ml_h)
        return
    with pytest.raises(DosingError, match=why):
        check_twice(25.0, 10.0, 2_700.0, volume_ml, rate_ml_h)


def test_a_dose_by_weight_shows_the_weight_it_counts_with() -> None:
    result = by_weight("per_kg", 3_000, 70_500, Duration.from_min(45), ideal=False)
    assert result.mass == Mass.from_mg(211.5)
    assert result.arithmetic == ("rule per_kg: 3 mg/kg x 70.5 kg = 211.5 mg",)
    rate = by_weight("rate_per_kg", 1_500, 65_000, Duration.from_min(90), ideal=True)
    assert rate.mass == Mass.from_mg(146.25)
    assert "65 kg (ideal body weight) = 97.5 mg in an hour" in rate.arithmetic[0]
