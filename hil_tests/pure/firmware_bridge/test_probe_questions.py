"""What an unknown pump is asked, what answers show, and that a question is nobody's command."""

from __future__ import annotations

import re
from binascii import crc_hqx

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import ConfigurationError
from firmware_bridge.probe import Wanted, parse_auto_url, tries
from firmware_bridge.probe_questions import QUESTIONS, Question

LINES, ALARIS, SAFE, FRESENIUS, PUMPLINK = QUESTIONS
ASKED = [question.asks(address) for question in QUESTIONS for address in question.addresses]

MOVERS = re.compile(
    r"^[0-9]*[@*:]*(RUN|PUR|IRUN|WRUN|RRUN|RAT|VOL|DIR|IRAT|WRAT|TVOL|TTIM|CRAT|IRAM|FUN|PHN|RESET)"
)
"""What starts one of the line-driven families, or changes what a start would do."""


def test_the_questions_are_these_bytes() -> None:
    assert LINES.asks(0) == b"VER\r"
    assert LINES.asks(7) == b"7VER\r"
    assert ALARIS.asks(0) == b"!INST_SERIALNO|457D\r"
    assert SAFE.asks(0) == bytes.fromhex("02 08 30 56 45 52 48 09 03")
    assert FRESENIUS.asks(0) == b"\x020LE;bA1\x03"
    assert PUMPLINK.asks(0)[:1] == b"\x00"
    assert PUMPLINK.asks(0)[-1:] == b"\x00"


def test_whatever_a_line_driven_pump_makes_of_any_sequence_of_questions_it_is_no_command() -> None:
    """Read as New Era reads (blanks and control characters stripped), and as Harvard reads."""
    for first in ASKED:
        for second in ASKED:
            for line in (first + b"\r" + second + b"\r").split(b"\r"):
                text = "".join(chr(byte) for byte in line if 0x20 < byte < 0x7F).upper()
                assert not MOVERS.match(text), text


def test_only_one_question_reads_as_a_command_of_a_framed_family() -> None:
    for frame in ASKED:
        alaris = re.findall(rb"!([^|]*)\|[0-9A-F]{4}\r", frame)
        assert alaris in ([], [b"INST_SERIALNO"])
        fresenius = re.findall(rb"\x02([0-5][^\x03]*)([0-9A-F]{2})\x03", frame)
        valid = [
            text for text, check in fresenius if 0xFF - sum(text) % 256 == int(check.decode(), 16)
        ]
        assert valid in ([], [b"0LE;b"])


@pytest.mark.parametrize(
    ("question", "said", "dialect", "address"),
    [
        (LINES, b"\x0200SNE1000V3.928\x03", "new-era", 0),
        (LINES, b"\x0207A?R\x03", "new-era", 7),
        (LINES, b"\n 11 Elite 3.0.4\r\n:", "harvard", 0),
        (LINES, b"\n11 ELITE I/W Single 3.0.4\r\n:\x11", "harvard", 0),
        (LINES, b"\n02:11 ELITE I/W Single 3.0.4\r\n02T*", "harvard", 2),
        (LINES, b"\nCommand error:\r\n   Unknown command\r\n:\x11", "harvard", 0),
        (LINES, b"VER\r\nCommand error:\r\n   Unknown command\r\n:", "harvard", 0),
        (LINES, b"\r\nPHD1.2.345\r\n00:", "harvard-legacy", 0),
        (SAFE, bytes.fromhex("02 09 30 30 41 3f 52 65 86 03"), "new-era", 0),
        (
            SAFE,
            bytes.fromhex("02 13 30 30 53 4e 45 31 30 30 30 56 33 2e 39 32 38 27 22 03"),
            "new-era",
            0,
        ),
        (ALARIS, b"!INST_SERIALNO^8002-51740|050B\r", "alaris", 0),
        (FRESENIUS, b"\x06\x020I;0D%s\x03", "fresenius", 0),
        (FRESENIUS, b"\x060C8C\x03\x06\x020C8C\x03", "fresenius", 0),
    ],
)
def test_who_has_said_that(question: Question, said: bytes, dialect: str, address: int) -> None:
    if b"%s" in said:
        said = said % b"%02X" % (0xFF - sum(b"0I;0D") % 256)
    answer = question.reads(said)
    assert answer is not None
    assert (answer.dialect, answer.address) == (dialect, address)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (LINES, b""),
        (LINES, b"VER\r"),
        (LINES, b"\n:\x11"),
        (LINES, b"\x0200S"),
        (ALARIS, b"!INST_SERIALNO^8002-51740|050C\r"),
        (ALARIS, b"!INST_SERIALNO|457D\r"),
        (FRESENIUS, b"\x06"),
        (FRESENIUS, b"\x020C8D\x03"),
        (PUMPLINK, b"\x00\x00"),
    ],
)
def test_nobody_has_said_that(question: Question, said: bytes) -> None:
    answer = question.reads(said)
    assert answer is None


def test_an_echo_of_the_question_is_no_answer() -> None:
    for question in QUESTIONS:
        if question is not FRESENIUS:  # its own frames have no direction
            assert question.reads(question.asks(0)) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_none(data: bytes) -> None:
    for question in QUESTIONS:
        question.reads(data)


def test_the_likely_address_is_tried_at_every_speed_before_any_other() -> None:
    order = list(tries(Wanted(port="x"), any_speed=False))
    firsts = [one for one in order if one.addresses == (0,)]
    assert order[: len(firsts)] == firsts
    assert [one.baud for one in firsts[:3]] == [115_200, 19_200, 9_600]
    assert {address for one in order for address in one.addresses} == set(range(10))
    slow = [one.addresses for one in order if one.baud < 9_600]
    assert set(slow) == {(0,)}


def test_what_the_user_knows_is_not_searched() -> None:
    order = list(tries(Wanted(port="x", baud=9_600, address=42), any_speed=False))
    assert {one.baud for one in order} == {9_600}
    assert {one.addresses for one in order} == {(42,)}
    assert len(order) == len(QUESTIONS)


def test_where_there_is_no_line_speed_each_question_is_asked_once() -> None:
    order = [one for one in tries(Wanted(port="x"), any_speed=True) if one.addresses == (0,)]
    assert len(order) == len(QUESTIONS)


def test_where_to_look_is_checked() -> None:
    wanted = parse_auto_url("auto:/dev/ttyUSB0?baud=9600&address=7")
    assert (wanted.port, wanted.baud, wanted.address) == ("/dev/ttyUSB0", 9_600, 7)
    assert parse_auto_url("auto:socket://127.0.0.1:5000").port == "socket://127.0.0.1:5000"
    for wrong in (
        "auto:",
        "new-era:x",
        "auto:x?",
        "auto:x?parity=E",
        "auto:x?baud=fast",
        "auto:x?baud=0",
        "auto:x?address=100",
        "auto:x?address=1&address=2",
    ):
        with pytest.raises(ConfigurationError, match="pump URL"):
            parse_auto_url(wrong)


def test_the_checksums_here_are_the_sheets() -> None:
    assert crc_hqx(b"INST_SERIALNO", 0xFFFF) == 0x457D
    assert 0xFF - sum(b"0LE;b") % 256 == 0xA1
