"""The Fresenius link layer: golden frames, what is owed for them, hostile streams; and what texts say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.protocols.fresenius_frames import (
    NAK_ERRORS,
    LinkLayer,
    encode,
    is_nak,
    is_spontaneous,
)
from firmware_bridge.protocols.fresenius_replies import (
    ERRORS,
    SetArgument,
    describe,
    parse_reply,
    spontaneous_alarm,
    variable,
)
from firmware_bridge.quantities import Rate, Volume

VECTORS = Path(__file__).parents[2] / "vectors" / "fresenius_host.txt"
GOLDEN = [
    (text.strip(), bytes.fromhex(frame))
    for text, _, frame in (
        line.partition("|")
        for line in VECTORS.read_text(encoding="ascii").splitlines()
        if not line.startswith("#")
    )
]
ANSWERS = [(text, frame) for text, frame in GOLDEN if text[1] in "CI"]
RATE = bytes.fromhex("02 31 43 3b 64 30 30 33 32 32 37 03")
LONGEST_BODY = 83


def texts(link: LinkLayer, data: bytes) -> list[str]:
    return [frame.text for frame in link.feed(data)]


def test_there_is_a_vector_for_every_frame_published() -> None:
    assert (len(GOLDEN), len(ANSWERS)) == (10, 3)


@pytest.mark.parametrize(("text", "frame"), GOLDEN)
def test_a_golden_frame_is_built_byte_for_byte(text: str, frame: bytes) -> None:
    assert encode(text) == frame


@pytest.mark.parametrize(("text", "frame"), ANSWERS)
def test_a_golden_answer_is_read_whole_and_byte_by_byte_and_acknowledged(
    text: str, frame: bytes
) -> None:
    link = LinkLayer()
    assert texts(link, frame) == [text]
    assert link.take_owed() == b"\x06"
    assert [one for byte in frame for one in texts(link, bytes((byte,)))] == [text]
    assert (link.take_owed(), link.take_owed()) == (b"\x06", b"")


def test_enq_is_answered_by_dc4_even_in_the_middle_of_a_frame() -> None:
    link = LinkLayer()
    assert texts(link, b"\x05") == []
    assert link.take_owed() == b"\x14"
    assert texts(link, RATE[:5] + b"\x05" + RATE) == ["1C;d0032"]
    assert link.take_owed() == b"\x14\x06"


def test_a_wrong_checksum_is_answered_by_nak_32() -> None:
    link = LinkLayer()
    assert texts(link, RATE.replace(b"0032", b"0033")) == []
    assert link.take_owed() == b"\x152"


@pytest.mark.parametrize(
    "noise", [b"\x02\x03", b"\x021\x03", b"abc\x03", b"\xff" * 9, b"\x021C\xb18C"]
)
def test_noise_is_not_answered(noise: bytes) -> None:
    link = LinkLayer()
    link.feed(noise)
    assert link.take_owed() == b""


@pytest.mark.parametrize(
    ("text", "echo"), [("1E;a0001", "1E"), ("1M;d0032", "1M"), ("E;a0001", "E"), ("3E;", "3E")]
)
def test_what_the_pump_says_by_itself_is_acknowledged_and_echoed(text: str, echo: str) -> None:
    link = LinkLayer()
    assert texts(link, encode(text)) == [text]
    assert is_spontaneous(text)
    assert link.take_owed() == b"\x06" + encode(echo)
    assert link.echoes == 1


def test_our_own_frames_heard_again_are_neither_answered_nor_believed() -> None:
    link = LinkLayer()
    for text in ("1PO", "1LE;d", "1E", "1DC"):
        assert texts(link, encode(text)) == []
    assert link.take_owed() == b""


def test_acknowledgements_are_counted_and_refusals_are_frames() -> None:
    link = LinkLayer()
    assert texts(link, b"\x06\x06") == []
    assert link.acknowledged == 2
    for code, name in NAK_ERRORS.items():
        (frame,) = link.feed(bytes((0x15, code)))
        assert is_nak(frame)
        assert frame.text == f"NAK {name}"
    assert texts(link, b"\x15" + RATE) == ["NAK", "1C;d0032"]
    assert texts(link, b"\x15\x06") == ["NAK"]
    assert link.acknowledged == 3


@pytest.mark.parametrize("position", range(len(RATE)))
def test_one_flipped_bit_anywhere_loses_the_frame_and_not_the_next(position: int) -> None:
    for bit in range(8):
        damaged = bytearray(RATE)
        damaged[position] ^= 1 << bit
        got = texts(LinkLayer(), bytes(damaged) + encode("1C"))
        assert [text for text in got if not text.startswith("NAK")] == ["1C"]


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00" * 90,
        b"\x02",
        b"\x02\x02",
        b"\x021C",
        RATE[:-1],
        b"\x02" + b"A" * 300,
        b"\x15",
        b"\x03",
    ],
)
def test_the_first_good_frame_behind_noise_comes_out_at_once(noise: bytes) -> None:
    assert texts(LinkLayer(), noise + RATE)[-1] == "1C;d0032"


def test_the_longest_message_is_read_and_a_longer_one_is_not() -> None:
    longest = "1C;" + "A" * 78
    assert texts(LinkLayer(), encode(longest)) == [longest]
    assert texts(LinkLayer(), encode(longest + "A")) == []


def test_giving_up_forgets_the_incomplete_frame() -> None:
    link = LinkLayer()
    link.feed(RATE[:6])
    link.discard()
    assert texts(link, RATE[6:]) == []
    assert link.damaged == 1


@given(st.lists(st.binary(max_size=120), max_size=12))
def test_any_bytes_give_frames_or_nothing_and_memory_stays_bounded(chunks: list[bytes]) -> None:
    link = LinkLayer()
    for chunk in chunks:
        link.feed(chunk)
        link.take_owed()
        assert len(link._body or b"") <= LONGEST_BODY
    assert texts(link, RATE)[-1] == "1C;d0032"


pieces = st.one_of(
    st.sampled_from([frame for _, frame in GOLDEN]),
    st.sampled_from([b"\x02", b"\x03", b"\x05", b"\x06", b"\x15", b"\x152", encode("1E;a0001")]),
    st.binary(max_size=6),
)


@given(st.lists(pieces, max_size=10), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_any_split_of_the_stream_gives_the_same_frames_and_answers(
    parts: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(parts)
    whole = LinkLayer()
    expected = texts(whole, stream)
    link = LinkLayer()
    split: list[str] = []
    at = turn = 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        split += texts(link, stream[at : at + size])
        at += size
        turn += 1
    assert split == expected
    assert link.take_owed() == whole.take_owed()


# --- texts --------------------------------------------------------------------------------------------


def test_an_answer_is_data_or_a_refusal() -> None:
    done = parse_reply("1C", b"")
    assert done is not None
    assert (done.address, done.data, done.error) == (1, "", "")
    rate = parse_reply("1C;d0032", b"")
    assert rate is not None
    assert variable(rate.data, "d") == 50  # 5.0 mL/h
    refused = parse_reply("1I;1E", b"")
    assert refused is not None
    assert (refused.data, refused.error) == ("", "1E")
    assert parse_reply("1E;a0001", b"") is None
    assert parse_reply("1PO", b"") is None


@pytest.mark.parametrize("code", ERRORS)
def test_every_refusal_has_words(code: str) -> None:
    assert describe(code) == f"I;{code}: {ERRORS[code]}"
    assert describe("7F") == "I;7F: an unknown error"


def test_a_variable_is_found_among_others_and_never_guessed() -> None:
    assert variable("d0032;r00000A", "r") == 10
    assert variable("d0032", "r") is None
    assert variable("r", "r") is None
    assert variable("rXYZ", "r") is None
    assert variable("r123456789", "r") is None


def test_an_alarm_told_unasked_is_found() -> None:
    assert spontaneous_alarm("1E;a0010") == 16
    assert spontaneous_alarm("1E;m0001;a0002") == 2
    assert spontaneous_alarm("1E;a0000") == 0
    assert spontaneous_alarm("1E;d0032") == 0
    assert spontaneous_alarm("1C;a0010") == 0


def test_numbers_are_told_in_hex_or_decimal() -> None:
    rate, volume = Rate.from_ml_h(5), Volume.from_ml(3)
    assert (SetArgument.HEX.rate(rate), SetArgument.HEX.volume(volume)) == ("0032", "000BB8")
    assert (SetArgument.DECIMAL.rate(rate), SetArgument.DECIMAL.volume(volume)) == (
        "0050",
        "003000",
    )


@given(st.integers(0, 6_553_500_000), st.integers(0, 999_999_000))
def test_what_is_told_to_the_pump_is_never_above_what_was_asked(rate: int, volume: int) -> None:
    for way, base in ((SetArgument.HEX, 16), (SetArgument.DECIMAL, 10)):
        assert rate - 100_000 < int(way.rate(Rate(rate)), base) * 100_000 <= rate
        assert volume - 1_000 < int(way.volume(Volume(volume)), base) * 1_000 <= volume


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_without_an_error(text: str) -> None:
    for whole in (text, f"1C;{text}", f"1I;{text}", f"1E;{text}"):
        reply = parse_reply(whole, b"")
        if reply is not None:
            variable(reply.data, "d")
        spontaneous_alarm(whole)
