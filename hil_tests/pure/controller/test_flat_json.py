"""Flat JSON: what is read from outside, and what may be written."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.flat_json import FlatJsonError, check_flat, parse_flat


def test_a_flat_object_is_read_with_its_types() -> None:
    assert parse_flat(b'{"a":1,"b":1.5,"c":"x","d":true}') == {
        "a": 1,
        "b": 1.5,
        "c": "x",
        "d": True,
    }
    assert parse_flat(b"{}") == {}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a":1,"a":2}', "key 'a' appears twice"),
        (b'{"a":NaN}', "NaN is not a number"),
        (b'{"a":-Infinity}', "-Infinity is not a number"),
        (b'{"a":1e999}', "not a finite number"),
        (b'{"a":null}', "null or nested"),
        (b'{"a":[1]}', "null or nested"),
        (b'{"a":{"b":1}}', "null or nested"),
        (b"[1]", "not a JSON object"),
        (b"7", "not a JSON object"),
        (b"", "not JSON"),
        (b'{"a":1} x', "not JSON"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'{"a":"\\ud800"}', "half a surrogate"),
        (b'{"\\udc00":1}', "half a surrogate"),
        (b'{"a":9223372036854775808}', "beyond 64 bits"),
        (b'{"a":%s}' % (b"9" * 4000), "beyond 64 bits"),
        (b'{"a":1' + b" " * 4096, "4102 bytes are more than 4096"),
        (b"[" * 4000, "not JSON"),
    ],
)
def test_anything_else_is_refused_with_its_reason(data: bytes, why: str) -> None:
    with pytest.raises(FlatJsonError) as caught:
        parse_flat(data)
    assert why in str(caught.value) or str(caught.value) == "nested too deep"


def test_deep_nesting_and_endless_digits_are_refused_too() -> None:
    for data in (b"[" * 60_000, b'{"a":' * 10_000, b'{"a":' + b"9" * 60_000 + b"}"):
        with pytest.raises(FlatJsonError):
            parse_flat(data, max_bytes=65_536)


@given(st.binary(max_size=200))
@example(b'{"a":0}')
def test_any_bytes_give_an_object_or_the_one_error(data: bytes) -> None:
    try:
        found = parse_flat(data)
    except FlatJsonError:
        return
    check_flat(found)


@pytest.mark.parametrize("value", [math.nan, math.inf, None, [1], {"b": 1}, b"x", 2**63, -(2**63)])
def test_what_no_reader_could_use_is_not_written(value: object) -> None:
    with pytest.raises(FlatJsonError, match=r"^a: "):
        check_flat({"a": value})  # type: ignore[dict-item]  # the point


def test_enumerations_count_as_what_they_hold() -> None:
    class Odd(float):
        pass

    check_flat({"a": Odd(1.0)})
    with pytest.raises(FlatJsonError, match="not a finite number"):
        check_flat({"a": Odd("nan")})
