"""Numbers of the New Era dialect: never rounded up, the unit that loses least, tolerant reading."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.protocols.new_era_numbers import (
    RATE_UNITS,
    counter_step,
    diameter_text,
    lost_too_much,
    parse_rate,
    parse_thousandths,
    parse_volume,
    quantise_rate,
    quantise_volume,
    rate_limits,
    thousandths_text,
    whole_seconds,
)
from firmware_bridge.quantities import Duration, Rate, Volume

SAYABLE = re.compile(r"[0-9]{1,4}|[0-9]\.[0-9]{3}|[0-9]{2}\.[0-9]{2}|[0-9]{3}\.[0-9]")


@pytest.mark.parametrize(
    ("thousandths", "text"),
    [
        (0, "0.000"),
        (1, "0.001"),
        (9_999, "9.999"),
        (10_009, "10.00"),
        (14_430, "14.43"),
        (99_999, "99.99"),
        (100_099, "100.0"),
        (999_999, "999.9"),
        (1_000_999, "1000"),
        (9_999_999, "9999"),
    ],
)
def test_a_number_is_cut_to_four_digits(thousandths: int, text: str) -> None:
    assert thousandths_text(thousandths) == text


@pytest.mark.parametrize("thousandths", [-1, 10_000_000])
def test_a_number_beyond_four_digits_cannot_be_said(thousandths: int) -> None:
    with pytest.raises(ValueError, match="outside 0 to 9999"):
        thousandths_text(thousandths)


@pytest.mark.parametrize(
    ("text", "thousandths"),
    [
        ("0.000", 0),
        ("20.00", 20_000),
        ("100.0", 100_000),
        ("1000.", 1_000_000),
        ("1500.", 1_500_000),
        ("1500", 1_500_000),
        (".5", 500),
        ("5", 5_000),
        ("5.", 5_000),
    ],
)
def test_both_forms_of_a_reply_number_are_read(text: str, thousandths: int) -> None:
    assert parse_thousandths(text) == thousandths


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1e+03",
        "1,5",
        "-1",
        "+1",
        "1.2.3",
        "12345",
        "12.345",
        "1.2345",
        " 1",
        "1 ",
        "\u0661",
    ],
)
def test_what_is_not_a_number_of_the_pump_is_none(text: str) -> None:
    assert parse_thousandths(text) is None


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (Rate.from_ml_h("26.7"), "26.70MH"),
        (Rate.from_ml_h("66.6667"), "66.66MH"),
        (Rate.from_ml_h("133.333"), "2.222MM"),
        (Rate.from_ml_h("60"), "60.00MH"),
        (Rate(1), "0.001UH"),
        (Rate(729), "0.729UH"),
        (Rate.from_ml_h("2120"), "2120MH"),
    ],
)
def test_the_unit_that_loses_least_is_chosen_and_ml_per_h_between_equals(
    wanted: Rate, sent: str
) -> None:
    number = quantise_rate(wanted)
    assert number is not None
    assert number.text + number.unit == sent


def test_between_the_two_minute_units_the_exact_one_is_chosen() -> None:
    wanted = Rate(555_500 * 60)  # 0.5555 mL/min
    by_minute = quantise_rate(wanted, ("MM", "UM"))
    assert by_minute is not None
    assert by_minute.text + by_minute.unit == "555.5UM"
    exact = quantise_rate(wanted)
    assert exact is not None
    assert exact.text + exact.unit == "33.33MH"
    assert exact.amount == by_minute.amount == wanted.nl_h


def test_a_unit_that_cannot_hold_any_of_it_is_refused() -> None:
    assert quantise_rate(Rate(0)) is None
    assert quantise_rate(Rate(59_999), ("MM",)) is None
    assert quantise_rate(Rate(10_000 * 1_000), ("UH",)) is None
    assert quantise_volume(Volume(0)) is None
    assert quantise_volume(Volume(10_000 * 1_000_000)) is None


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (Volume.from_ml("20"), "20.00ML"),
        (Volume.from_ml("1"), "1.000ML"),
        (Volume.from_ml("0.75"), "0.750ML"),
        (Volume.from_ml("0.5555"), "555.5UL"),
        (Volume(1), "0.001UL"),
        (Volume.from_ml("3.3333"), "3.333ML"),
    ],
)
def test_a_target_is_said_in_millilitres_unless_that_loses(wanted: Volume, sent: str) -> None:
    number = quantise_volume(wanted)
    assert number is not None
    assert number.text + number.unit == sent


@given(st.integers(1, 9_999_000_000))
def test_a_rate_is_never_rounded_up_and_loses_little(nl_h: int) -> None:
    number = quantise_rate(Rate(nl_h))
    assert number is not None
    assert number.amount <= nl_h
    assert (nl_h - number.amount) * 1_000 <= nl_h
    assert SAYABLE.fullmatch(number.text)
    assert parse_rate(number.text + number.unit) == number


@given(st.integers(1, 9_999_000_000), st.sampled_from(sorted(RATE_UNITS)))
def test_the_chosen_unit_is_never_worse_than_another(nl_h: int, unit: str) -> None:
    best, other = quantise_rate(Rate(nl_h)), quantise_rate(Rate(nl_h), (unit,))
    assert best is not None
    assert other is None or best.amount >= other.amount


@given(st.integers(1, 9_999_000_000))
def test_a_volume_is_never_rounded_up_and_never_becomes_without_end(nl: int) -> None:
    number = quantise_volume(Volume(nl))
    assert number is not None
    assert 0 < number.amount <= nl
    assert SAYABLE.fullmatch(number.text)
    assert parse_volume(number.text + number.unit) == number


@given(st.text(max_size=8))
def test_any_text_is_a_number_or_none(text: str) -> None:
    for parsed in (parse_rate(text), parse_volume(text)):
        assert parsed is None or parsed.amount >= 0
    value = parse_thousandths(text)
    assert value is None or 0 <= value <= 9_999_000


def test_units_of_answers_must_be_known() -> None:
    assert parse_rate("26.70OS") is None
    assert parse_volume("20.00OZ") is None


@pytest.mark.parametrize(
    ("diameter_um", "text"),
    [(4_699, "4.699"), (14_430, "14.43"), (14_427, "14.43"), (26_590, "26.59"), (9_999, "9.999")],
)
def test_a_diameter_is_rounded_up_because_that_delivers_less(diameter_um: int, text: str) -> None:
    assert diameter_text(diameter_um) == text


@pytest.mark.parametrize("diameter_um", [0, 99, 80_001])
def test_a_diameter_that_no_pump_takes_is_refused(diameter_um: int) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.1 to 80 mm"):
        diameter_text(diameter_um)


@pytest.mark.parametrize(
    ("lease_ms", "seconds"),
    [(999, None), (1_000, 1), (2_999, 2), (3_000, 3), (255_999, 255), (600_000, 255)],
)
def test_the_dead_man_is_never_longer_than_the_lease(lease_ms: int, seconds: int | None) -> None:
    assert whole_seconds(Duration(lease_ms)) == seconds


@pytest.mark.parametrize(
    ("asked", "accepted", "refused"),
    [
        (500, 500, False),
        (500, 501, True),
        (500, 499, False),
        (500, 498, True),
        (1_000_000, 998_000, False),
        (1_000_000, 997_999, True),
    ],
)
def test_more_than_asked_and_much_less_are_refused(
    asked: int, accepted: int, refused: bool
) -> None:
    assert lost_too_much(asked, accepted) is refused


@pytest.mark.parametrize(
    ("diameter_um", "slowest_ul_h", "fastest_ml_h"),
    [
        (4_699, "0.7292", "53.07"),
        (14_430, "6.877", "500.5"),
        (19_050, "11.99", "872.3"),
        (26_590, "23.35", "1699"),
        (29_700, "29.13", "2120"),
    ],
)
def test_rate_limits_agree_with_the_manuals_table(
    diameter_um: int, slowest_ul_h: str, fastest_ml_h: str
) -> None:
    slowest, fastest = rate_limits(diameter_um)
    assert slowest.nl_h == pytest.approx(float(slowest_ul_h) * 1_000, rel=5e-4, abs=1)
    assert fastest.ml_h == pytest.approx(float(fastest_ml_h), rel=5e-4)


@given(st.integers(100, 80_000))
def test_rate_limits_are_rounded_inwards(diameter_um: int) -> None:
    slowest, fastest = rate_limits(diameter_um)
    area_um2 = 3.141592653589793 / 4 * diameter_um**2
    assert slowest.nl_h >= 42.05 * area_um2 / 1e6 * (1 - 1e-12)
    assert fastest.nl_h <= 3_060_300 * area_um2 / 1e6 * (1 + 1e-12)


def test_the_counter_is_coarser_with_a_larger_syringe() -> None:
    steps = [counter_step(Volume.from_ml(ml)) for ml in ("5", "10", "60", "99", "100")]
    assert [step.nl for step in steps] == [1_000, 10_000, 10_000, 10_000, 100_000]
