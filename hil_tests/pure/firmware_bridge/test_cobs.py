import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import ProtocolError
from firmware_bridge.protocols import cobs

# The first three stand in PROTOCOL.md; the long ones follow from Cheshire and Baker, section 2.
FULL = bytes(range(1, 255))
BY_HAND = [
    (b"", b"\x01"),
    (b"\x00", b"\x01\x01"),
    (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33"),
    (b"\x00\x00", b"\x01\x01\x01"),
    (b"\x11\x00\x00\x00", b"\x02\x11\x01\x01\x01"),
    (FULL[:-1], b"\xfe" + FULL[:-1]),
    (FULL, b"\xff" + FULL),
    (FULL + b"\xff", b"\xff" + FULL + b"\x02\xff"),
    (FULL + b"\x00", b"\xff" + FULL + b"\x01\x01"),
    (FULL + b"\x00\x07", b"\xff" + FULL + b"\x01\x02\x07"),
    (b"\x00" + FULL, b"\x01\xff" + FULL),
    (FULL + FULL, b"\xff" + FULL + b"\xff" + FULL),
]


@pytest.mark.parametrize(("data", "stuffed"), BY_HAND)
def test_examples_by_hand_are_stuffed_and_unstuffed(data: bytes, stuffed: bytes) -> None:
    assert cobs.encode(data) == stuffed
    assert cobs.decode(stuffed) == data


def test_a_needless_empty_run_after_a_full_one_is_understood_too() -> None:
    assert cobs.decode(b"\xff" + FULL + b"\x01") == FULL


@pytest.mark.parametrize(
    "broken",
    [b"", b"\x00", b"\x02", b"\x03\x11", b"\x02\x11\x05\x01", b"\x03\x11\x00", b"\x01\x00\x01"],
)
def test_what_no_encoder_made_is_refused(broken: bytes) -> None:
    with pytest.raises(ProtocolError) as refusal:
        cobs.decode(broken)
    assert refusal.value.raw == broken


@given(st.binary(max_size=900))
def test_any_data_come_back_without_a_zero_on_the_way(data: bytes) -> None:
    stuffed = cobs.encode(data)
    assert 0 not in stuffed
    assert len(stuffed) <= len(data) + len(data) // 254 + 1
    assert cobs.decode(stuffed) == data


@given(st.binary(max_size=300))
def test_any_bytes_are_unstuffed_or_refused_and_nothing_else(stuffed: bytes) -> None:
    try:
        data = cobs.decode(stuffed)
    except ProtocolError:
        return
    assert cobs.decode(cobs.encode(data)) == data
