"""Telnet with serial-port options, server side: every word is answered once, every byte gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.rfc2217 import COM_PORT, DO, DONT, IAC, SB, SE, SUB_BYTES_MAX, WILL, WONT, Rfc2217


def said(*codes: int) -> bytes:
    return bytes(codes)


def sub(command: int, value: bytes) -> bytes:
    body = (bytes((COM_PORT, command)) + value).replace(b"\xff", b"\xff\xff")
    return bytes((IAC, SB)) + body + bytes((IAC, SE))


def test_plain_bytes_pass_and_a_doubled_255_is_one() -> None:
    server = Rfc2217()
    assert server.feed(b"RUN\r") == (b"RUN\r", b"")
    assert server.feed(b"a\xff\xffb") == (b"a\xffb", b"")
    assert server.escape(b"a\xffb") == b"a\xff\xffb"


def test_an_option_we_have_is_agreed_once_and_one_we_have_not_is_refused() -> None:
    server = Rfc2217()
    assert server.feed(said(IAC, WILL, COM_PORT)) == (b"", said(IAC, DO, COM_PORT))
    assert server.feed(said(IAC, WILL, COM_PORT)) == (b"", b"")
    assert server.feed(said(IAC, DO, 24)) == (b"", said(IAC, WONT, 24))
    assert server.feed(said(IAC, WILL, 24)) == (b"", said(IAC, DONT, 24))


def test_what_the_server_offered_is_not_answered_again() -> None:
    server = Rfc2217()
    greeting = server.greeting()
    assert said(IAC, DO, COM_PORT) in greeting
    assert server.feed(said(IAC, WILL, COM_PORT)) == (b"", b"")


def test_an_option_given_up_is_confirmed_once() -> None:
    server = Rfc2217()
    server.feed(said(IAC, DO, 0))
    assert server.feed(said(IAC, DONT, 0)) == (b"", said(IAC, WONT, 0))
    assert server.feed(said(IAC, DONT, 0)) == (b"", b"")


@pytest.mark.parametrize(
    ("command", "value", "answer"),
    [
        (0, b"", b"infusor"),
        (0, b"pyserial", b"pyserial"),
        (1, (19_200).to_bytes(4, "big"), (19_200).to_bytes(4, "big")),
        (1, bytes(4), (9_600).to_bytes(4, "big")),
        (2, b"\x07", b"\x07"),
        (3, b"\x00", b"\x01"),
        (4, b"\x02", b"\x02"),
        (5, b"\x08", b"\x08"),
        (5, b"\x07", b"\x08"),
        (10, b"\xff", b"\xff"),
        (11, b"\x00", b"\x00"),
        (12, b"\x03", b"\x03"),
    ],
)
def test_every_sub_negotiation_is_acknowledged_with_its_value(
    command: int, value: bytes, answer: bytes
) -> None:
    assert Rfc2217().feed(sub(command, value)) == (b"", sub(command + 100, answer))


def test_a_setting_is_kept_until_the_next() -> None:
    server = Rfc2217()
    server.feed(sub(1, (255).to_bytes(4, "big")))
    assert server.feed(sub(1, bytes(4))) == (b"", sub(101, (255).to_bytes(4, "big")))


def test_an_endless_sub_negotiation_is_given_up_and_the_next_word_understood() -> None:
    server = Rfc2217()
    server.feed(bytes((IAC, SB)) + b"x" * (SUB_BYTES_MAX + 1))
    assert server.ignored == 1
    assert server.feed(b"RUN\r") == (b"RUN\r", b"")


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_cut_of_a_stream_means_the_same(data: bytes, at: int) -> None:
    whole, cut = Rfc2217(), Rfc2217()
    plain, answers = whole.feed(data)
    first, second = cut.feed(data[:at]), cut.feed(data[at:])
    assert (first[0] + second[0], first[1] + second[1]) == (plain, answers)


@given(st.binary(max_size=200))
def test_what_is_escaped_comes_back(data: bytes) -> None:
    assert Rfc2217().feed(Rfc2217().escape(data)) == (data, b"")
