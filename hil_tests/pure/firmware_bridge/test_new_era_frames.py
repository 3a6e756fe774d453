"""Frames of the New Era dialect: golden packets, hostile streams, bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.protocols.new_era_frames import FrameReader, basic_request, safe_frame

VECTORS = Path(__file__).parents[2] / "vectors" / "new_era_host.txt"
GOLDEN = [
    (text.strip(), bytes.fromhex(packet))
    for text, _, packet in (
        line.partition("|")
        for line in VECTORS.read_text(encoding="ascii").splitlines()
        if not line.startswith("#")
    )
]
STANDING = bytes.fromhex("02 07 30 30 53 aa a6 03")
LONGEST_FRAME = 48


def texts(reader: FrameReader, data: bytes, now: float = 0.0) -> list[str]:
    return [frame.text for frame in reader.feed(data, now)]


@pytest.mark.parametrize(("text", "packet"), GOLDEN)
def test_a_golden_packet_is_built_byte_for_byte(text: str, packet: bytes) -> None:
    assert safe_frame(text) == packet


@pytest.mark.parametrize(("text", "packet"), GOLDEN)
def test_a_golden_packet_is_read_whole_and_byte_by_byte(text: str, packet: bytes) -> None:
    assert texts(FrameReader(0.5), packet) == [text]
    reader = FrameReader(0.5)
    assert [one for byte in packet for one in texts(reader, bytes((byte,)))] == [text]


def test_a_basic_command_ends_with_a_carriage_return() -> None:
    assert basic_request("0RAT26.70MH") == b"0RAT26.70MH\r"


@pytest.mark.parametrize("text", ["00S", "0S", "00A?R", "00SNE1000V3.928", "00S26.70MH"])
def test_a_basic_reply_is_read(text: str) -> None:
    assert texts(FrameReader(0.5), b"\x02" + text.encode() + b"\x03") == [text]


def test_basic_replies_are_not_believed_in_safe_mode() -> None:
    reader = FrameReader(0.5)
    reader.accept_basic = False
    assert texts(reader, b"\x0200S\x03") == []
    assert texts(reader, STANDING) == ["00S"]


def test_an_over_long_text_cannot_be_framed() -> None:
    with pytest.raises(ValueError, match="longer than 43"):
        safe_frame("0" * 44)


@pytest.mark.parametrize("position", range(len(STANDING)))
def test_one_flipped_bit_anywhere_loses_the_frame_and_not_the_next(position: int) -> None:
    for bit in range(8):
        damaged = bytearray(STANDING)
        damaged[position] ^= 1 << bit
        reader = FrameReader(0.5)
        reader.accept_basic = False
        following = safe_frame("00I")
        assert texts(reader, bytes(damaged) + following) == ["00I"]


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00" * 40,
        b"\x02",
        b"\x02\x20",
        b"\x02\x2f00S",
        b"\x02\x02\x02",
        b"\x11\x13\x7e",
        b"\xff\xfe\x02\x07",
        b"\x020",
        b"\x02\x04",
        b"0DIS\r",
        STANDING[:-1],
        STANDING[:-2],
    ],
)
def test_the_first_good_frame_behind_noise_comes_out_at_once(noise: bytes) -> None:
    reader = FrameReader(0.5)
    assert texts(reader, noise + STANDING) == ["00S"]
    assert reader.noise_bytes == len(noise)
    assert reader.discard_at() is None


def test_several_replies_in_one_read_come_out_in_order() -> None:
    reader = FrameReader(0.5)
    stream = safe_frame("00A?T") + safe_frame("00S") + b"\x0200S14.43\x03"
    assert texts(reader, stream) == ["00A?T", "00S", "00S14.43"]
    assert reader.frames == 3


def test_an_incomplete_frame_is_given_up_after_half_a_second() -> None:
    reader = FrameReader(0.5)
    assert texts(reader, STANDING[:4], now=10.0) == []
    assert reader.discard_at() == 10.5
    assert texts(reader, STANDING[4:], now=10.6) == []
    assert reader.noise_bytes == len(STANDING)


def test_a_slow_frame_survives_as_long_as_its_bytes_keep_coming() -> None:
    reader = FrameReader(0.5)
    got = [
        text for at, byte in enumerate(STANDING) for text in texts(reader, bytes((byte,)), at * 0.4)
    ]
    assert got == ["00S"]


def test_giving_up_forgets_and_counts() -> None:
    reader = FrameReader(0.5)
    reader.feed(STANDING[:5], 0.0)
    reader.discard()
    assert reader.noise_bytes == 5
    assert reader.discard_at() is None


def test_an_endless_basic_frame_does_not_hold_up_what_follows() -> None:
    reader = FrameReader(0.5)
    assert texts(reader, b"\x0200S" + b"1" * 60) == []
    assert reader.discard_at() is None
    assert texts(reader, STANDING) == ["00S"]


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=43)


@given(printable.filter(bool))
def test_any_text_survives_the_round_trip(text: str) -> None:
    assert texts(FrameReader(0.5), safe_frame(text)) == [text]


@given(st.lists(st.binary(max_size=40), max_size=12), st.booleans())
def test_any_bytes_give_frames_or_nothing_and_memory_stays_bounded(
    chunks: list[bytes], accept_basic: bool
) -> None:
    reader = FrameReader(0.5)
    reader.accept_basic = accept_basic
    total = 0
    framed = 0
    for chunk in chunks:
        frames = reader.feed(chunk, 0.0)
        total += len(chunk)
        framed += sum(len(frame.raw) for frame in frames)
        assert len(reader._buffer) < LONGEST_FRAME
        assert framed + reader.noise_bytes + len(reader._buffer) == total


pieces = st.one_of(
    st.sampled_from([packet for _, packet in GOLDEN]),
    st.sampled_from(
        [b"\x0200S\x03", b"\x0200SNE1000V3.928\x03", b"\x02", b"\x02\x15", b"\r", b"\x03"]
    ),
    st.binary(max_size=6),
)


@given(st.lists(pieces, max_size=10), st.lists(st.integers(1, 9), min_size=1, max_size=20))
def test_any_split_of_the_stream_gives_the_same_frames(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    whole = texts(FrameReader(0.5), stream)
    reader = FrameReader(0.5)
    split: list[str] = []
    at = 0
    turn = 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        split += texts(reader, stream[at : at + size])
        at += size
        turn += 1
    assert split == whole
