"""Frames of the Alaris dialect: golden frames, hostile streams, bounded memory; and what fields say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.messages import PumpAlarm
from firmware_bridge.protocols import alaris_replies as replies
from firmware_bridge.protocols.alaris_frames import (
    LONGEST_TEXT,
    FrameReader,
    check_text,
    encode,
)
from firmware_bridge.quantities import Duration, Rate, Volume

VECTORS = Path(__file__).parents[2] / "vectors" / "alaris_host.txt"
GOLDEN = [
    (text, f"!{text}|{check}\r".encode())
    for text, _, check in (
        line.rpartition("|")
        for line in VECTORS.read_text(encoding="ascii").splitlines()
        if not line.startswith("#")
    )
]
STATUS = "INF^8002-51740^-^SET^26.70^ml/h^^7.412^ml^17.91^mmHg^24+^EVENT^127904"
STOPPED = b"!INF_STOP|CD57\r"


def texts(reader: FrameReader, data: bytes) -> list[str]:
    return [frame.text for frame in reader.feed(data)]


def test_there_is_a_vector_for_every_frame_published_or_computed() -> None:
    assert len(GOLDEN) == 40
    assert check_text("123456789") == "29B1"


@pytest.mark.parametrize(("text", "frame"), GOLDEN)
def test_a_golden_frame_is_built_byte_for_byte(text: str, frame: bytes) -> None:
    assert encode(text) == frame


@pytest.mark.parametrize(("text", "frame"), GOLDEN)
def test_a_golden_frame_is_read_whole_and_byte_by_byte(text: str, frame: bytes) -> None:
    assert texts(FrameReader(), frame) == [text]
    reader = FrameReader()
    assert [one for byte in frame for one in texts(reader, bytes((byte,)))] == [text]


def test_the_slip_of_the_pen_in_a_published_frame_is_refused() -> None:
    assert texts(FrameReader(), b"!REMQUERY^DEACT^^^|E5C9\r") == []
    assert texts(FrameReader(), b"!REMQUERY^DEACT^^^|B968\r") == ["REMQUERY^DEACT^^^"]


@pytest.mark.parametrize("position", range(len(STOPPED)))
def test_one_flipped_bit_anywhere_loses_the_frame_and_at_most_the_next(position: int) -> None:
    for bit in range(8):
        damaged = bytearray(STOPPED)
        damaged[position] ^= 1 << bit
        got = texts(FrameReader(), bytes(damaged) + encode("INF_START") + encode("INF"))
        assert got in (["INF_START", "INF"], ["INF"])


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00" * 400,
        b"!",
        b"!!!",
        b"!INF|",
        b"!INF_RATE^26",
        b"!INF|4961",
        b"\x11\x13~|||",
        b"!INF|4961\x1b",
        b"!" + b"A" * 500,
        b"\xff\xfe\r\r",
        b"!INF|4961\n\r",
        b"!inf|4961\r",
        b"!INF|49 1\r",
        b"!INF|d407\r",
    ],
)
def test_the_first_good_frame_behind_noise_comes_out_at_once(noise: bytes) -> None:
    assert texts(FrameReader(), noise + STOPPED) == ["INF_STOP"]


def test_an_aborted_frame_is_none() -> None:
    assert texts(FrameReader(), b"!INF_\x1bSTOP|CD57\r") == []


def test_giving_up_forgets_the_incomplete_frame() -> None:
    reader = FrameReader()
    reader.feed(STOPPED[:6])
    reader.discard()
    assert texts(reader, STOPPED[6:]) == []
    assert (reader.frames, reader.damaged) == (0, 1)


def test_the_longest_frame_is_read_and_a_longer_one_is_not() -> None:
    assert texts(FrameReader(), encode("A" * LONGEST_TEXT)) == ["A" * LONGEST_TEXT]
    assert texts(FrameReader(), encode("A" * (LONGEST_TEXT + 1))) == []


printable = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="!"),
    max_size=LONGEST_TEXT,
)


@given(printable)
def test_any_text_survives_the_round_trip(text: str) -> None:
    assert texts(FrameReader(), encode(text)) == [text]


@given(st.lists(st.binary(max_size=200), max_size=12))
def test_any_bytes_give_frames_or_nothing_and_memory_stays_bounded(chunks: list[bytes]) -> None:
    reader = FrameReader()
    for chunk in chunks:
        reader.feed(chunk)
        assert len(reader._rest) <= LONGEST_TEXT + 6
    assert texts(reader, b"\r" + STOPPED) == ["INF_STOP"]


pieces = st.one_of(
    st.sampled_from([frame for _, frame in GOLDEN]),
    st.sampled_from([b"!", b"|", b"\r", b"\x1b", b"CD57", b"A" * 170]),
    st.binary(max_size=6),
)


@given(st.lists(pieces, max_size=10), st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_any_split_of_the_stream_gives_the_same_frames(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    whole = texts(FrameReader(), stream)
    reader = FrameReader()
    split: list[str] = []
    at = turn = 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        split += texts(reader, stream[at : at + size])
        at += size
        turn += 1
    assert split == whole


# --- fields -------------------------------------------------------------------------------------------


def test_the_security_code_is_the_crc_of_the_serial_number() -> None:
    assert check_text("8002-51740") == "3CC1"
    assert check_text("8002-51733") == "9535"


def test_a_status_is_read_by_its_fields() -> None:
    assert replies.parse_status(replies.split(STATUS)) == replies.Status(
        "", Rate.from_ml_h("26.7"), Volume.from_ml("7.412"), 2387
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("^26.70^", "^^"),
        ("^26.70^", "^1e3^"),
        ("^ml/h^", "^ml/min^"),
        ("^7.412^", "^-7.412^"),
        ("^7.412^", "^7.4123^"),
        ("^mmHg^", "^kPa^"),
        ("^EVENT^127904", ""),
        ("^EVENT^", "^EVENT^^"),
    ],
)
def test_a_status_that_is_none_is_not_guessed_at(old: str, new: str) -> None:
    assert replies.parse_status(replies.split(STATUS.replace(old, new, 1))) is None


def test_an_unreadable_pressure_is_no_pressure() -> None:
    for text in ("-3.10", "", "--"):
        status = replies.parse_status(replies.split(STATUS.replace("17.91", text)))
        assert status is not None
        assert status.pressure_pa == 0


@pytest.mark.parametrize(
    ("code", "alarm"),
    [
        ("AL_OCCLU", PumpAlarm.OCCLUSION),
        ("AL_COMTO", PumpAlarm.LEASE_EXPIRED),
        ("AL_NEOIN", PumpAlarm.EMPTY),
        ("AL_EOIKV", PumpAlarm.EMPTY),
        ("AL_EOIST", PumpAlarm.EMPTY),
        ("AL_VTBIC", PumpAlarm.INTERNAL_FAULT),
        ("AL_VTBIK", PumpAlarm.INTERNAL_FAULT),
        ("AL_VTBIS", PumpAlarm.INTERNAL_FAULT),
        ("AL_SYRCO", PumpAlarm.INTERNAL_FAULT),
        ("AL_DRDIS", PumpAlarm.INTERNAL_FAULT),
        ("AL_LDSCN", PumpAlarm.INTERNAL_FAULT),
        ("AL_PRDSC", PumpAlarm.INTERNAL_FAULT),
        ("AL_LWBAT", PumpAlarm.BATTERY),
        ("AL_EMBAT", PumpAlarm.BATTERY),
        ("AL_LBTAC", PumpAlarm.BATTERY),
        ("AL_ACDIS", PumpAlarm.BATTERY),
        ("AL_RHIGH", PumpAlarm.INTERNAL_FAULT),
        ("AL_CALLB", PumpAlarm.INTERNAL_FAULT),
        ("AL_FAULT", PumpAlarm.INTERNAL_FAULT),
        ("AL_TCITG", PumpAlarm.INTERNAL_FAULT),
        ("AL_TITCA", PumpAlarm.INTERNAL_FAULT),
        ("AL_TITNC", PumpAlarm.INTERNAL_FAULT),
        ("AL_NEVER_HEARD_OF", PumpAlarm.INTERNAL_FAULT),
        ("scrambled", PumpAlarm.INTERNAL_FAULT),
    ],
)
def test_every_alarm_code_is_an_alarm(code: str, alarm: PumpAlarm) -> None:
    assert replies.parse_alarms(("ALARM", code, " ", " ")) == (code,)
    assert replies.alarm_of((code,)) == alarm


def test_no_alarm_is_none_and_two_are_two() -> None:
    assert replies.parse_alarms(replies.split("ALARM^AL_NOALM^ ^ ")) == ()
    both = replies.parse_alarms(replies.split("ALARM^AL_OCCLU^AL_LWBAT^ "))
    assert both == ("AL_OCCLU", "AL_LWBAT")
    assert replies.alarm_of(both) == PumpAlarm.OCCLUSION | PumpAlarm.BATTERY
    assert replies.parse_alarms(("ALARM",)) is None


def test_a_target_may_be_empty_which_is_none_set() -> None:
    parse = replies.parse_target
    assert parse(replies.split("INF_VTBI^ACTIV^11.000^ml^STOP")) == replies.Target(
        "ACTIV", Volume.from_ml(11), "STOP"
    )
    assert parse(replies.split("INF_VTBI^DEACT^^ml^STOP")) == replies.Target("DEACT", None, "STOP")
    assert parse(replies.split("INF_VTBI^DEACT")) is None
    assert parse(replies.split("INF_VTBI^ACTIV^x^ml^STOP")) is None


def test_a_keep_alives_answer_is_no_rate_and_no_volume() -> None:
    fields = replies.split("REMOTE_CTRL^ENABLED^****^PERMIT^0^ms")
    assert replies.parse_rate(fields) is None
    assert replies.parse_infused(fields) is None
    assert replies.parse_rate(("INF_RATE", "0", "ms")) is None
    assert replies.parse_response_max(fields) is None


def test_the_syringe_and_the_patience_asked_for_are_read() -> None:
    parse = replies.parse_syringe
    fifty = replies.MountedSyringe("BD PLASTIPAK", Volume.from_ml(50), confirmed=True)
    assert parse(replies.split("SYRINGE_STATUS^BD PLASTIPAK^ 50^CONF")) == fifty
    unsure = parse(replies.split("SYRINGE_STATUS^BD PLASTIPAK^ 50^NOCONF"))
    assert unsure is not None
    assert not unsure.confirmed
    assert parse(("SYRINGE_STATUS", "", "", "CONF")) is None
    assert parse(("SYRINGE_STATUS",)) is None
    most = replies.parse_response_max(replies.split("COMMS_RESPONSE_MAX^4000^ms"))
    assert most == Duration(4_000)


def test_an_unknown_model_is_kept_whole() -> None:
    known = replies.identity_of("8002-51740", "Asena Rev 2.1.5")
    assert (known.model, known.firmware) == ("Alaris Asena", "Rev 2.1.5")
    assert replies.identity_of("1", "?!").model == "Alaris ?!"
    assert not replies.is_serial(("INST_SERIALNO", ""))
    assert not replies.is_serial(("INF", "8002"))


@given(st.integers(0, 10**12))
def test_what_is_told_to_the_pump_is_never_above_what_was_asked(amount: int) -> None:
    rate = replies.thousandths(replies.rate_text(Rate(amount)))
    volume = replies.thousandths(replies.volume_text(Volume(amount)))
    if rate is not None:
        assert amount - 10_000 < rate * 1_000 <= amount
    if volume is not None:
        assert amount - 1_000 < volume * 1_000 <= amount


@given(st.lists(st.text(max_size=12), min_size=1, max_size=16).map(tuple))
def test_any_fields_are_read_or_refused_without_an_error(fields: tuple[str, ...]) -> None:
    for parse in (
        replies.parse_rate,
        replies.parse_infused,
        replies.parse_target,
        replies.parse_status,
        replies.parse_alarms,
        replies.parse_syringe,
        replies.parse_response_max,
        replies.is_serial,
    ):
        parse(fields)
