"""What the texts of New Era replies mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import ProtocolError
from firmware_bridge.protocols.new_era_replies import (
    Counters,
    Reply,
    counters_of,
    parse_counters,
    parse_identity,
    parse_reply,
)
from firmware_bridge.quantities import Volume


@pytest.mark.parametrize(
    ("text", "address", "status", "data"),
    [
        ("00S", 0, "S", ""),
        ("5I", 5, "I", ""),
        ("10SI0.000W20.00ML", 10, "S", "I0.000W20.00ML"),
        ("00S26.70MH", 0, "S", "26.70MH"),
        ("00S?NA", 0, "S", "?NA"),
        ("00A?R", 0, "A", "?R"),
    ],
)
def test_a_reply_has_address_status_and_data(
    text: str, address: int, status: str, data: str
) -> None:
    assert parse_reply(text, b"") == Reply(address, status, data, b"")


@pytest.mark.parametrize("text", ["", "00", "S", "00Z", "000S", "xxS", "00A", "00AR", "00s"])
def test_other_texts_are_no_reply(text: str) -> None:
    assert parse_reply(text, b"") is None


def test_a_published_answer_is_read_as_infused_and_withdrawn() -> None:
    counters = parse_counters("I0.000W20.00ML")
    assert counters == Counters(Volume(0), Volume.from_ml(20), "ML")
    assert parse_counters("I123.4W0.000UL") == Counters(Volume(123_400), Volume(0), "UL")


def test_counters_of_anything_else_is_a_protocol_error_with_the_raw_bytes() -> None:
    with pytest.raises(ProtocolError, match="raw-bytes"):
        counters_of(Reply(0, "S", "14.43", b"raw-bytes"))


@given(st.text(max_size=24))
def test_any_text_is_understood_or_none(text: str) -> None:
    parse_reply(text, b"")
    parse_counters(text)
    assert parse_identity(text).raw == text
