"""Harvard numbers: exact, six digits, and never rounded up."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.protocols.harvard_numbers import (
    diameter_text,
    display_step,
    lost_too_much,
    parse_diameter_um,
    parse_rate,
    parse_rate_limits,
    parse_volume,
    rate_text,
    volume_text,
)
from firmware_bridge.quantities import Rate, Volume


@pytest.mark.parametrize(
    ("ml_h", "text"),
    [
        ("26.7", "445 ul/min"),
        ("60", "1 ml/min"),
        ("100", "1.66666 ml/min"),
        ("66.6667", "1.11111 ml/min"),
        ("133.333", "2.22221 ml/min"),
        ("50", "833.333 ul/min"),
        ("59.99999", "999.999 ul/min"),
        ("0.00006", "1 nl/min"),
        ("0.000001", "0.016666 nl/min"),
        ("2000", "33.3333 ml/min"),
    ],
)
def test_a_rate_is_sent_per_minute_and_rounded_down(ml_h: str, text: str) -> None:
    told = rate_text(Rate.from_ml_h(ml_h))
    assert told is not None
    assert told.text == text


@pytest.mark.parametrize(
    ("ml", "text"),
    [
        ("1", "1 ml"),
        ("8.6284", "8.6284 ml"),
        ("3.3333333", "3.33333 ml"),
        ("0.19949", "199.49 ul"),
        ("0.999999", "999.999 ul"),
        ("0.000001", "1 nl"),
        ("60", "60 ml"),
        ("12.3456789", "12.3456 ml"),
    ],
)
def test_a_volume_is_sent_in_six_digits_rounded_down(ml: str, text: str) -> None:
    told = volume_text(Volume.from_ml(ml))
    assert told is not None
    assert told.text == text


@given(st.integers(1, 2 * 10**12))
def test_no_rate_is_ever_sent_as_more(nl_h: int) -> None:
    told = rate_text(Rate(nl_h))
    assert told is not None
    assert told.amount == parse_rate(told.text)
    assert told.amount <= nl_h
    assert not lost_too_much(nl_h, told.amount)
    assert len(told.text.split()[0].replace(".", "").lstrip("0")) <= 6


@given(st.integers(1, 10**9))
def test_no_volume_is_ever_sent_as_more(nl: int) -> None:
    told = volume_text(Volume(nl))
    assert told is not None
    assert told.amount == parse_volume(told.text)
    assert told.amount <= nl
    assert not lost_too_much(nl, told.amount)


@given(st.integers(1, 2 * 10**12))
def test_a_rate_comes_back_as_it_was_sent_when_the_pump_shifts_the_unit(nl_h: int) -> None:
    told = rate_text(Rate(nl_h))
    assert told is not None
    value = told.amount / 60
    for unit, size in (("ml", 10**6), ("ul", 10**3), ("nl", 1)):
        shown = value / size
        if 1 <= shown < 1_000_000:
            digits = f"{float(shown):.6g}"
            if "e" not in digits:
                assert parse_rate(f"{digits} {unit}/min") == told.amount


def test_nothing_of_nothing_can_be_sent() -> None:
    assert rate_text(Rate(0)) is None
    assert volume_text(Volume(0)) is None


@pytest.mark.parametrize(
    ("text", "nl_h"),
    [
        ("199.49 ul/min", 11_969_400),
        ("1 ml/min", 60_000_000),
        ("25.0404 nl/min", Fraction(15_024_240, 10_000)),
        ("5 ml/hr", 5_000_000),
        ("10.000000000000000 m/m", None),
        ("1 ml/h", 1_000_000),
        ("2 pl/s", Fraction(72, 10)),
        ("1 ml", None),
        ("1e3 ul/min", None),
        ("-1 ul/min", None),
        ("nan ul/min", None),
        ("1,5 ul/min", None),
        (". ul/min", None),
    ],
)
def test_what_a_rate_says(text: str, nl_h: int | Fraction | None) -> None:
    assert parse_rate(text) == nl_h


@pytest.mark.parametrize(
    ("text", "nl"),
    [
        ("1.69023 ul", Fraction(169_023, 100)),
        ("0 ul", 0),
        ("2 l", 2 * 10**9),
        ("8.6284 ml", 8_628_400),
        ("Target volume not set", None),
        ("1.2.3 ul", None),
        ("", None),
    ],
)
def test_what_a_volume_says(text: str, nl: int | Fraction | None) -> None:
    assert parse_volume(text) == nl


def test_limits_are_rounded_inwards() -> None:
    limits = parse_rate_limits("25.0404 nl/min to 26.0035 ml/min")
    assert limits == (Rate(1_503), Rate(1_560_210_000))
    assert parse_rate_limits("26 ml/min to 25 nl/min") is None
    assert parse_rate_limits("25 nl/min") is None


def test_a_diameter_is_exact() -> None:
    assert diameter_text(19_050) == "19.050"
    assert parse_diameter_um("19.0500 mm") == 19_050
    assert parse_diameter_um("14.4273 mm") == Fraction(144_273, 10)
    for wrong in (99, 50_001):
        with pytest.raises(ValueError, match="outside"):
            diameter_text(wrong)


@pytest.mark.parametrize(("ml", "nl"), [("1", 10), ("9.99", 10), ("20", 100), ("100", 1_000)])
def test_the_step_of_the_display(ml: str, nl: int) -> None:
    assert display_step(Volume.from_ml(ml)) == Volume(nl)


def test_an_accepted_value_may_be_less_but_not_much_and_never_more() -> None:
    assert not lost_too_much(1_000, Fraction(999))
    assert lost_too_much(1_000, Fraction(9_989, 10))
    assert lost_too_much(1_000, Fraction(100_001, 100))
