"""Harvard bytes: golden exchanges, any stream in any pieces, and what a reply says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialect import Identity
from firmware_bridge.protocols.harvard_frames import LONGEST, FrameReader, request
from firmware_bridge.protocols.harvard_replies import (
    is_version,
    parse_identity,
    parse_reply,
    parse_status,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "harvard_host.txt"
ROWS = [
    [cell.strip() for cell in line.split("|")]
    for line in VECTORS.read_text().splitlines()
    if line and not line.startswith("#")
]

REPLY = b"\n1.69023 ul\r\n>\x11"
PIECES = st.sampled_from(
    [
        b"\n",
        b"\r",
        b":",
        b"02",
        b"T*",
        b"*",
        b">",
        b"<",
        b"\x11",
        b"\x13",
        b"\x00",
        b"\xff",
        b"1 ul",
    ]
)
STREAMS = st.lists(st.one_of(PIECES, st.binary(max_size=4)), max_size=40).map(b"".join)


def replies(*chunks: bytes, idle: bool = True) -> list[bytes]:
    """Every reply in a stream that came in these chunks, the one that silence ends included."""
    reader = FrameReader(idle_s=0.1)
    found = [frame.raw for chunk in chunks for frame in reader.feed(chunk, 0.0)]
    if idle:
        reader.settle()
        found += [frame.raw for frame in reader.feed(b"", 0.0)]
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1][:24]} {row[3]}")
def test_a_golden_exchange_is_sent_and_understood(row: list[str]) -> None:
    address, sent, came = int(row[0]), bytes.fromhex(row[1]), bytes.fromhex(row[2])
    text = sent.decode().lstrip("02").strip("@\r")
    assert request(address, text) == sent
    assert replies(came, idle=False) == [came]
    reply = parse_reply(came)
    assert reply is not None
    assert (reply.address or 0, reply.prompt) == (address, row[3])
    assert [line.strip() for line in reply.lines] == [
        line.strip() for line in row[4].split(" / ") if line
    ]
    assert reply.polled
    assert reply.head == ""


@given(STREAMS, st.lists(st.integers(0, 80), max_size=6))
def test_any_split_of_a_stream_gives_the_same_replies(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    assert replies(*chunks) == replies(stream)
    assert replies(*(stream[i : i + 1] for i in range(len(stream)))) == replies(stream)


@given(STREAMS)
def test_any_bytes_are_replies_or_noise_and_never_an_error(stream: bytes) -> None:
    for raw in replies(stream):
        reply = parse_reply(raw)
        if reply is not None:
            parse_status(reply.line)
            assert reply.error is not None


@given(st.binary(max_size=300))
def test_after_noise_at_most_one_reply_is_lost(noise: bytes) -> None:
    found = replies(noise, REPLY, REPLY, idle=False)
    assert found[-1] == REPLY


@given(st.binary(max_size=300))
def test_after_noise_and_a_silence_none_is_lost(noise: bytes) -> None:
    reader = FrameReader(idle_s=0.1)
    reader.feed(noise, 0.0)
    assert reader.feed(REPLY, 0.2)[-1].raw == REPLY


@pytest.mark.parametrize("size", [LONGEST - 1, LONGEST, LONGEST + 1, 10 * LONGEST])
def test_a_line_without_end_is_dropped_whole_however_it_comes(size: int) -> None:
    flood = b"x" * size
    reader = FrameReader(idle_s=0.1)
    assert reader.feed(flood, 0.0) == []
    assert len(reader._buffer) < LONGEST  # memory is what this is about
    assert replies(flood, REPLY, REPLY) == replies(
        *(bytes((byte,)) for byte in flood), REPLY, REPLY
    )


def test_without_polling_silence_ends_a_reply_and_nothing_else_does() -> None:
    reader = FrameReader(idle_s=0.1)
    assert reader.feed(b"\n02:", 0.0) == []
    assert reader.discard_at() == 0.1
    assert reader.feed(b"5 ul\r\n02:", 0.05) == []
    reader.settle()
    assert [frame.raw for frame in reader.feed(b"", 0.15)] == [b"\n02:5 ul\r\n02:"]
    assert reader.discard_at() is None


def test_two_replies_in_one_silence_are_two() -> None:
    assert replies(b"\n:\n1 ul\r\n:") == [b"\n:", b"\n1 ul\r\n:"]
    assert replies(b"\n:\n:\x11") == [b"\n:", b"\n:\x11"]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\n02:1 ul\r\n03:\x11", "a line of another pump than the prompt"),
        (b"\n1 ul\r\n02:\x11", "a line without the address that the prompt has"),
        (b"\n1.\x8069 ul\r\n:\x11", "a byte that is no text"),
        (b"\n1 ul\n:\x11", "a line without its end"),
        (b":\x11", "a prompt that no line feed comes before"),
    ],
)
def test_a_damaged_reply_is_none(raw: bytes, why: str) -> None:
    assert parse_reply(raw) is None, why


def test_an_echo_is_told_from_the_answer_behind_it() -> None:
    reply = parse_reply(b"@ivolume\r\n0 ul\r\n:\x11")
    assert reply is not None
    assert (reply.head, reply.lines) == ("@ivolume", ("0 ul",))


@pytest.mark.parametrize(
    ("line", "rate", "volume_nl", "moving", "infusing", "stalled", "target"),
    [
        ("83333333333 1680000000 2500000000000 I...I.", 300_000_000, 2_500_000, 1, 1, 0, 0),
        ("83333333333 1680000000 2500000000000 i...IT", 300_000_000, 2_500_000, 0, 1, 0, 1),
        ("0 0 0 i.S.I.", 0, 0, 0, 1, 1, 0),
        ("16666666 30 999999 W..TW.", 60_000, 0, 1, 0, 0, 0),
        ("83333333333 30 2500000000000 I...I", 300_000_000, 2_500_000, 1, 1, 0, 0),
        ("83333333333 30.25 2500000000000 iI..I", 300_000_000, 2_500_000, 0, 1, 0, 0),
    ],
)
def test_the_status_of_elite_and_phd_ultra(
    line: str, rate: int, volume_nl: int, moving: int, infusing: int, stalled: int, target: int
) -> None:
    status = parse_status(line)
    assert status is not None
    assert abs(status.rate.nl_h - rate) <= 1
    assert status.rate.nl_h <= rate
    assert status.volume.nl == volume_nl
    flags = (status.moving, status.infusing, status.stalled, status.at_target)
    assert flags == (bool(moving), bool(infusing), bool(stalled), bool(target))


@pytest.mark.parametrize(
    "line",
    ["", "1 2 3", "1 2 3 I...", "1 2 3 X...I.", "-1 2 3 I...I.", "1 2 3 I...I.x", "1e3 2 3 I...I."],
)
def test_what_is_no_status_is_none(line: str) -> None:
    assert parse_status(line) is None


@pytest.mark.parametrize(
    ("version", "ver", "identity"),
    [
        (
            ("Firmware:      v3.0.6", "Pump address:  0", "Serial number: D101754"),
            (),
            ("Harvard/KDS", "3.0.6", "D101754"),
        ),
        (
            ("Firmware: v2.1.0", "RTOS: FreeRTOS v7.1.0 (GCC)", "Pump address: 0"),
            ("11 ELITE I/W Single 3.0.4",),
            ("11 ELITE I/W Single", "2.1.0", ""),
        ),
        ((), (" 11 Elite 3.0.4",), ("11 Elite", "3.0.4", "")),
    ],
)
def test_who_answers(
    version: tuple[str, ...], ver: tuple[str, ...], identity: tuple[str, str, str]
) -> None:
    found = parse_identity(version, ver)
    assert (found.model, found.firmware, found.serial_number) == identity
    assert isinstance(found, Identity)


def test_only_a_version_looks_like_a_version() -> None:
    for lines in (b"199.49 ul/min", b"05/08/23 2:48:23 PM", b"Echo is OFF", b"7.2620 mm"):
        reply = parse_reply(b"\n" + lines + b"\r\n:\x11")
        assert reply is not None
        assert not is_version(reply)
