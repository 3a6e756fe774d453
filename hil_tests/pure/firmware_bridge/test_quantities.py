"""Quantities: exact, unit-safe, and never rounded in the direction of more drug."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.quantities import (
    Concentration,
    Duration,
    Mass,
    QuantityError,
    Rate,
    Volume,
)

MAKERS: list[Callable[[object], object]] = [
    Mass.from_mg,  # type: ignore[list-item]  # what is no number is the point
    Volume.from_ml,  # type: ignore[list-item]
    Rate.from_ml_h,  # type: ignore[list-item]
    Concentration.from_mg_ml,  # type: ignore[list-item]
    Duration.from_s,  # type: ignore[list-item]
    Duration.from_min,  # type: ignore[list-item]
]
NO_NUMBERS = [
    "nan", "inf", "-1", "+1", "1e3", "1,5", "1_000", "", " 1", ".5", "5.", "\u0667", "1.2.3", "0x10",
    float("nan"), float("inf"), float("-inf"), -1, -0.001, True, False, None, [], b"1",
    Decimal("NaN"), Decimal(-1), 10**13, 1e300, "9" * 16,
]  # fmt: skip


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_plain_number_is_refused_by_name(
    make: Callable[[object], object], value: object
) -> None:
    with pytest.raises(QuantityError):
        make(value)


def test_the_refusal_names_quantity_and_value() -> None:
    with pytest.raises(QuantityError, match=r"rate in mL/h: '1,5' is not a number"):
        Rate.from_ml_h("1,5")
    with pytest.raises(QuantityError, match=r"volume in mL: -1 is negative"):
        Volume.from_ml(-1)
    with pytest.raises(QuantityError, match=r"mass in mg: nan is not finite"):
        Mass.from_mg(float("nan"))
    with pytest.raises(QuantityError, match=r"duration in s: 10000000000000 is above"):
        Duration.from_s(10**13)


@pytest.mark.parametrize("value", [0, 1, 0.1, "0.1", "26.7", Decimal("1.001"), 20.025])
def test_numbers_are_held_exactly(value: float | str | Decimal) -> None:
    assert Volume.from_ml(value).nl == Fraction(str(value)) * 1_000_000


def test_ten_tenths_are_one() -> None:
    assert sum(Volume.from_ml(0.1).nl for _ in range(10)) == Volume.from_ml(1).nl


def test_a_number_finer_than_the_unit_is_rounded_down() -> None:
    assert Volume.from_ml("0.0000019").nl == 1
    assert Mass.from_mg("0.9999").ug == 999
    assert Volume.from_ml(Decimal("0." + "9" * 60)).nl == 999_999


def test_a_concentration_finer_than_the_unit_is_refused_not_rounded() -> None:
    assert Concentration.from_mg_ml("10.001").ug_ml == 10_001
    with pytest.raises(QuantityError, match=r"finer than 0\.001 mg/mL"):
        Concentration.from_mg_ml("10.0005")


@pytest.mark.parametrize("ug_ml", [0, -1])
def test_a_concentration_of_nothing_does_not_exist(ug_ml: int) -> None:
    with pytest.raises(QuantityError):
        Concentration(ug_ml)


@pytest.mark.parametrize("quantity", [Mass, Volume, Rate, Duration])
def test_no_quantity_is_negative(quantity: Callable[[int], object]) -> None:
    assert quantity(0) == quantity(0)
    with pytest.raises(QuantityError):
        quantity(-1)


def test_the_test_bolus_is_one_millilitre_at_sixty() -> None:
    volume = Mass.from_mg(10).at(Concentration.from_mg_ml(10))
    rate = volume.over(Duration.from_s(60))
    assert (str(volume), str(rate)) == ("1 mL", "60 mL/h")
    assert rate.time_for(volume) == Duration.from_min(1)


def test_sums_and_differences_keep_the_unit() -> None:
    assert Mass(3) + Mass(4) == Mass(7)
    assert Mass(4) - Mass(3) == Mass(1)
    assert Volume(3) + Volume(4) == Volume(7)
    assert Volume(4) - Volume(3) == Volume(1)
    assert Duration(3) + Duration(4) == Duration(7)
    assert Volume(3).less(Volume(5)) == Volume(0)
    assert Volume(5).less(Volume(3)) == Volume(2)
    for difference in (lambda: Mass(3) - Mass(4), lambda: Volume(3) - Volume(4)):
        with pytest.raises(QuantityError):
            difference()


def test_quantities_read_as_people_write_them() -> None:
    assert [str(q) for q in (Mass(2_500), Volume(1_500_000), Rate(26_700_000))] == [
        "2.5 mg",
        "1.5 mL",
        "26.7 mL/h",
    ]
    assert [str(q) for q in (Concentration(10_000), Duration(90_500))] == ["10 mg/mL", "90.5 s"]
    assert (Mass(2_500).mg, Volume(1_500_000).ml, Rate(26_700_000).ml_h) == (2.5, 1.5, 26.7)
    assert (Concentration(10_000).mg_ml, Duration(90_000).s, Duration(90_000).min) == (10, 90, 1.5)


volumes = st.integers(0, 10**9).map(Volume)
rates = st.integers(1, 2 * 10**9).map(Rate)
durations = st.integers(1, 10**8).map(Duration)
concentrations = st.integers(1, 10**6).map(Concentration)
masses = st.integers(0, 10**9).map(Mass)


@given(masses, concentrations)
def test_a_volume_never_holds_more_than_the_mass_it_was_made_for(
    mass: Mass, concentration: Concentration
) -> None:
    assert mass.at(concentration).mass_at(concentration) <= mass


@given(volumes, durations)
def test_a_rate_never_delivers_more_than_the_volume_it_was_made_for(
    volume: Volume, duration: Duration
) -> None:
    assert volume.over(duration).times(duration) <= volume


@given(rates, volumes)
def test_the_time_for_a_volume_is_never_too_short(rate: Rate, volume: Volume) -> None:
    after = rate.time_for(volume)
    assert rate.times(after) >= volume
    assert after.ms == 0 or rate.times(Duration(after.ms - 1)) < volume


@given(masses, st.integers(0, 10_000), st.integers(1, 10_000))
def test_a_multiple_of_a_dose_is_rounded_down(mass: Mass, numerator: int, denominator: int) -> None:
    assert mass.times(numerator, denominator).ug == mass.ug * numerator // denominator


@given(st.floats(0, 10**6, allow_nan=False))
def test_a_float_is_never_rounded_up(value: float) -> None:
    assert Fraction(Volume.from_ml(value).nl, 1_000_000) <= Fraction(str(value))
