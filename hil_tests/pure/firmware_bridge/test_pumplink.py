"""The codec of pumplink/1, held against PROTOCOL.md and against vectors computed by hand."""

import itertools
import re
import zlib
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmware_bridge import messages as m
from firmware_bridge.errors import ConfigurationError, ProtocolError
from firmware_bridge.protocols import pumplink
from firmware_bridge.protocols.pumplink import FrameDecoder, Header, decode, encode
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume

PAGE = (Path(__file__).parents[3] / "PROTOCOL.md").read_text(encoding="utf-8")
SHEET_HASH = 0x3FDC488E  # CRC-32 of "pumplink/1": what the vectors were first computed with
RUN = m.Run(0x101, Rate(26_700_000), Volume(20_000_000), Duration(2000))
LEASE = m.Lease(Duration(3000))
RESULT = m.Result(
    0x101, m.Ending.REFUSED, m.Code.OVER_LIMIT, Rate(0), Volume(0), reason="over limit"
)
VECTORS: dict[str, tuple[Header, m.Message]] = {
    "HELLO": (Header(0, 0, 0xBEEF), m.Hello(1, 1, pumplink.SCHEMA_HASH)),
    "ESTOP": (Header(0, 0, 0), m.Estop()),
    "RUN": (Header(7, 6, 0xBEEF), RUN),
    "LEASE": (Header(8, 7, 0xBEEF), LEASE),
    "RESULT": (Header(10, 7, 0xBEEF), RESULT),
}


def wire(text: str) -> bytes:
    return bytes.fromhex(text)


def framed(body: bytes, schema_hash: int) -> bytes:
    """A frame as a third party would make it, from the page alone."""
    raw = body + zlib.crc32(body + schema_hash.to_bytes(4, "big")).to_bytes(4, "big")
    return b"".join(bytes([len(run) + 1]) + run for run in raw.split(b"\0"))


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the tables under a heading of the page, without their head rows."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] not in {"type", "enumeration", "frame"}]


# --- the page -------------------------------------------------------------------------------------


def test_the_page_and_the_code_have_the_same_table() -> None:
    rows = rows_below("Message table")
    stated = [
        "|".join([*row[:3], "" if row[3] == "-" else row[3]]) if len(row) == 4 else "|".join(row)
        for row in rows
    ]
    assert "\n".join(stated) + "\n" == pumplink.canonical_text()


def test_the_schema_hash_can_be_computed_from_the_page_alone() -> None:
    canonical = PAGE.split("```text canonical\n")[1].split("```")[0]
    (stated,) = re.findall(r"It is \*\*0x([0-9A-F]{8})\*\*", PAGE)
    assert zlib.crc32(canonical.encode("ascii")) == int(stated, 16) == pumplink.SCHEMA_HASH


def test_every_message_has_a_row_and_every_field_a_place() -> None:
    rows = {cls: payload for _, _, _, cls, payload in pumplink.ROWS}
    assert set(rows) == set(get_args(m.Message))
    for cls, payload in rows.items():
        names = [field.name for field in fields(cls)]
        places = [item.split()[0] for item in payload.split(", ") if item]
        assert len(names) == len(places)
        for name, place in zip(names, places, strict=True):
            assert place.startswith(re.sub(r"_(min|max)$", "", name)), (name, place)


@pytest.mark.parametrize("row", rows_below("Vectors"), ids=lambda row: row[0].split(",")[0])
def test_the_vectors_of_the_page_are_what_goes_over_the_wire(row: list[str]) -> None:
    header, message = VECTORS[row[0].split(",")[0]]
    frame = wire(row[2])
    assert encode(header, message) == frame
    assert FrameDecoder().feed(frame) == [(header, message)]
    hashed = 0 if isinstance(message, m.Hello | m.Estop) else pumplink.SCHEMA_HASH
    assert framed(wire(row[1])[:-4], hashed) + b"\0" == frame


def test_the_run_vector_changes_with_the_hash_that_is_not_sent() -> None:
    by_hand = wire(
        "07 01 12 07 06 be ef 01 0a 01 01 01 97 68 e0 01 31 2d 03 07 d0 05 1b d9 45 1f 00"
    )
    assert encode(Header(7, 6, 0xBEEF), RUN, SHEET_HASH) == by_hand
    assert FrameDecoder(SHEET_HASH).feed(by_hand) == [(Header(7, 6, 0xBEEF), RUN)]


def test_a_hello_can_be_read_whatever_page_its_sender_has() -> None:
    by_hand = wire("03 01 01 01 0d be ef 01 01 3f dc 48 8e f7 d0 0d d8 00")
    hello = m.Hello(1, 1, SHEET_HASH)
    assert encode(Header(0, 0, 0xBEEF), hello) == by_hand
    assert FrameDecoder().feed(by_hand) == [(Header(0, 0, 0xBEEF), hello)]


def test_the_emergency_stop_is_one_frame_for_ever_and_ends_what_was_cut_before_it() -> None:
    assert wire("00 03 01 7f 01 01 01 05 23 52 0f 4c 00") == pumplink.ESTOP_FRAME
    cut_off = encode(Header(7, 6, 0xBEEF), RUN)[:9]
    decoder = FrameDecoder()
    assert decoder.feed(cut_off + pumplink.ESTOP_FRAME) == [(Header(0, 0, 0), m.Estop())]


# --- round trips ----------------------------------------------------------------------------------

U8, U16, U32 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32))
RATES, VOLUMES = U32.map(Rate), U32.map(Volume)
LEASES, SPANS = U16.map(Duration), U32.map(Duration)
ALARMS = U32.map(m.PumpAlarm)


TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)


def fitting(most: int) -> st.SearchStrategy[str]:
    return TEXTS.filter(lambda text: len(text.encode()) <= most)


NUMBERED = st.one_of(
    st.builds(m.Configure, U32, U32, VOLUMES),
    st.builds(
        m.Arm, U32, RATES, VOLUMES, VOLUMES, SPANS, st.integers(1, 0xFFFFFFFF).map(Concentration)
    ),
    st.builds(m.Bolus, U32, RATES, VOLUMES, LEASES),
    st.builds(m.Run, U32, RATES, VOLUMES, LEASES, st.sampled_from(m.Direction)),
    st.builds(m.SetRate, U32, RATES),
    st.builds(m.SelfTest, U32, LEASES),
    st.builds(m.Reset, U32, U32),
    *(st.builds(cls, U32) for cls in (m.Disarm, m.Pause, m.Resume, m.Stop, m.ClearCounters)),
)
MESSAGES: st.SearchStrategy[m.Message] = st.one_of(
    NUMBERED,
    st.builds(m.Hello, U8, U8, U32),
    st.builds(m.Lease, LEASES),
    st.builds(m.AlarmAck, ALARMS),
    st.builds(m.SnapshotRequest),
    st.builds(m.SensorsRequest),
    st.builds(m.Sensors, SPANS, U32.map(m.Input), U32, U32, U32, U32),
    st.builds(m.TimeSync, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    st.builds(m.Estop),
    st.builds(
        m.HelloAck,
        *(U8, U32, U32, fitting(80), fitting(80), U32.map(m.Capability)),
        *(RATES, RATES, VOLUMES, LEASES, LEASES),
    ),
    st.builds(
        m.Result,
        *(U32, st.sampled_from(m.Ending), st.sampled_from(m.Code), RATES, VOLUMES, fitting(184)),
    ),
    st.builds(
        m.Snapshot,
        *(SPANS, st.sampled_from(m.PumpState), RATES, VOLUMES, VOLUMES, U32, ALARMS, SPANS),
    ),
    st.builds(m.Event, U16, st.sampled_from(m.EventKind), U16, SPANS),
    st.builds(m.Counters, U32, U32, U32, U32, U32, U32),
)
HEADERS = st.builds(Header, U8, U8, U16, st.just(1))
FRAMES = st.tuples(HEADERS, MESSAGES)


@given(FRAMES)
def test_every_message_comes_back_as_it_was_sent(frame: tuple[Header, m.Message]) -> None:
    data = encode(*frame)
    assert data.index(0) == len(data) - 1 <= pumplink.STUFFED_MAX
    assert decode(data[:-1]) == frame


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(0, 1100), max_size=8))
def test_any_cut_of_a_stream_gives_the_same_frames(
    frames: list[tuple[Header, m.Message]], cuts: list[int]
) -> None:
    stream = b"".join(encode(*frame) for frame in frames)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    decoder = FrameDecoder()
    found = []
    for start, end in itertools.pairwise(edges):
        found += decoder.feed(stream[start:end])
    assert found == frames
    assert decoder.frames == len(frames)


def test_the_longest_message_fills_its_frame() -> None:
    longest = replace(RESULT, reason="x" * 184)
    frame = encode(Header(255, 255, 0xFFFF), longest)
    assert len(frame) == 212
    assert FrameDecoder().feed(frame)[0][1] == longest


def test_a_reason_too_long_for_its_field_is_cut_between_characters() -> None:
    ((_, heard),) = FrameDecoder().feed(encode(Header(0, 0, 1), replace(RESULT, reason="µ" * 93)))
    assert heard == replace(RESULT, reason="µ" * 92)
    ((_, heard),) = FrameDecoder().feed(
        encode(Header(0, 0, 1), replace(RESULT, reason="x" + "µ" * 92))
    )
    assert heard == replace(RESULT, reason="x" + "µ" * 91)


def test_a_text_that_is_no_unicode_does_not_keep_an_answer_from_going_out() -> None:
    ((_, heard),) = FrameDecoder().feed(encode(Header(0, 0, 1), replace(RESULT, reason="\ud800")))
    assert heard == replace(RESULT, reason="?")


def test_an_uptime_of_fifty_days_wraps_instead_of_stopping_the_bridge() -> None:
    event = m.Event(1, m.EventKind.STATE, 0, Duration(2**32 + 5))
    ((_, heard),) = FrameDecoder().feed(encode(Header(0, 0, 1), event))
    assert heard == replace(event, uptime=Duration(5))


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (replace(RUN, rate=Rate(2**32)), "RUN: rate_nl_h 4294967296 does not fit u32"),
        (m.Lease(Duration(65_536)), "LEASE: lease_ms 65536 does not fit u16 (0..65535)"),
        (m.Stop(-1), "STOP: command_id -1 does not fit u32"),
        (replace(RESULT, volume=Volume(2**40)), "RESULT: volume_nl 1099511627776 does not fit"),
    ],
)
def test_a_number_too_large_for_its_field_is_refused_by_name(
    message: m.Message, sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        encode(Header(0, 0, 1), message)


def test_an_alarm_without_a_name_is_kept() -> None:
    alarms = m.PumpAlarm(1 << 30 | 1)
    ((_, heard),) = FrameDecoder().feed(encode(Header(0, 0, 1), m.AlarmAck(alarms)))
    assert heard == m.AlarmAck(alarms)


# --- damage ---------------------------------------------------------------------------------------


def piece(body: str, schema_hash: int = pumplink.SCHEMA_HASH) -> bytes:
    return framed(wire(body), schema_hash)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (framed(b"", 0), "shortest"),
        (piece("01 18 08 07 be"), "shortest"),
        (piece("01 30 00 00 be ef"), "unknown type 0x30"),
        (piece("02 16 00 00 be ef 00 00 00 01"), "version 2"),
        (piece("01 16 00 00 be ef 00 00 01"), "malformed STOP"),
        (piece("01 16 00 00 be ef 00 00 00 01 00"), "malformed STOP"),
        (piece("01 12 00 00 be ef 00000001 00000001 00000001 0bb8 02"), "malformed RUN"),
        (piece("01 1c 00 00 be ef" + "00000001" * 5 + "00000000"), "malformed ARM"),
        (piece("01 22 00 00 be ef 0001 03 0000 00000000"), "malformed EVENT"),
        (piece("01 20 00 00 be ef 00000001 03 0000 00000000 00000000 02 41"), "reason is cut off"),
        (piece("01 20 00 00 be ef 00000001 03 0000 00000000 00000000 01 ff"), "utf-8"),
        (piece("01 20 00 00 be ef 00000001 03 0000 00000000 00000000 00 41"), "1 bytes too many"),
        (piece("01 20 00 00 be ef 00000001 03 0000 00000000 00000000"), "malformed RESULT"),
        (piece("01 20 00 00 be ef 00000001 03 00"), "malformed RESULT"),
    ],
)
def test_a_sound_frame_with_senseless_contents_is_refused(broken: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        decode(broken)
    decoder = FrameDecoder()
    assert decoder.feed(broken + b"\0") == []
    assert (decoder.resyncs, decoder.crc_errors, decoder.frames) == (1, 0, 0)


def test_hello_and_estop_of_another_version_are_understood() -> None:
    decoder = FrameDecoder()
    hello = piece("07 01 00 00 be ef 02 07 00 00 00 05", 0) + b"\0"
    estop = piece("07 7f 00 00 00 00", 0) + b"\0"
    assert decoder.feed(hello + estop) == [
        (Header(0, 0, 0xBEEF, 7), m.Hello(2, 7, 5)),
        (Header(0, 0, 0, 7), m.Estop()),
    ]


@given(FRAMES, st.data())
def test_one_flipped_bit_is_never_taken_for_a_frame(
    frame: tuple[Header, m.Message], data: st.DataObject
) -> None:
    stream = bytearray(encode(*frame))
    bit = data.draw(st.integers(0, 8 * (len(stream) - 1) - 1))
    stream[bit // 8] ^= 1 << bit % 8
    assert FrameDecoder().feed(bytes(stream)) == []


def test_a_frame_built_from_another_page_is_counted_as_damaged() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(encode(Header(8, 7, 0xBEEF), LEASE, SHEET_HASH)) == []
    assert decoder.crc_errors == 1


@given(st.lists(st.binary(max_size=600), max_size=6))
@example([b"\x01" * 500, b"\x00"])
def test_any_bytes_raise_nothing_and_memory_stays_bounded(chunks: list[bytes]) -> None:
    decoder = FrameDecoder()
    for chunk in chunks:
        decoder.feed(chunk)
        assert len(decoder._rest) <= pumplink.STUFFED_MAX + 1
    frame = encode(Header(8, 7, 0xBEEF), LEASE)
    assert decoder.feed(b"\0" + frame)[-1:] == [(Header(8, 7, 0xBEEF), LEASE)]


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_noise_without_an_end_is_dropped_once_and_counted_once(step: int) -> None:
    decoder = FrameDecoder()
    noise = b"\x55" * 5000
    for start in range(0, len(noise), step):
        decoder.feed(noise[start : start + step])
    assert decoder.feed(b"\0" + encode(Header(8, 7, 0xBEEF), LEASE)) == [
        (Header(8, 7, 0xBEEF), LEASE)
    ]
    assert (decoder.oversize, decoder.frames) == (1, 1)
    assert (decoder.crc_errors, decoder.resyncs) == (0, 0)


def test_zeros_between_frames_mean_nothing() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(bytes(300)) == []
    assert (decoder.resyncs, decoder.oversize, decoder.crc_errors) == (0, 0, 0)
