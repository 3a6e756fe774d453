"""A recording in the place of a pump: in any cut, with its delays, and a word when the host parts from it."""

from __future__ import annotations

from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.devices.base import Reply
from sim.devices.replay import ReplayPump
from sim.faults.parameters import FaultError
from sim.recording import TO_HOST, TO_PUMP, Piece

TALK = [
    Piece(0.5, TO_HOST, b"hello"),
    Piece(1.0, TO_PUMP, b"VE"),
    Piece(1.1, TO_PUMP, b"R\r"),
    Piece(1.25, TO_HOST, b"\x0200"),
    Piece(1.30, TO_HOST, b"S\x03"),
    Piece(9.0, TO_HOST, b"alarm"),
    Piece(10.0, TO_PUMP, b"STP\r"),
    Piece(10.0, TO_HOST, b"ok"),
    Piece(10.0, TO_PUMP, b"bye"),
]


def rounded(replies: list[Reply]) -> list[Reply]:
    return [(round(delay_s, 6), data) for delay_s, data in replies]


def played(pump: ReplayPump, *parts: bytes) -> list[list[Reply]]:
    return [rounded(pump.feed(part, 0.0)) for part in parts]


def begun(pieces: list[Piece] | None = None) -> ReplayPump:
    pump = ReplayPump(TALK if pieces is None else pieces)
    pump.advance(0.0)
    return pump


def test_each_answer_comes_after_the_delay_it_had() -> None:
    pump = ReplayPump(TALK)
    assert rounded(pump.advance(100.0)) == [(0.5, b"hello")]
    assert pump.advance(101.0) == []
    assert played(pump, b"VER\r", b"STP\r", b"bye") == [
        [(0.15, b"\x0200"), (0.2, b"S\x03"), (7.9, b"alarm")],
        [(0.0, b"ok")],
        [],
    ]
    assert pump.finished
    assert pump.deviation == ""
    assert pump.truth().plunger_nl == 0


def test_what_it_says_first_is_said_even_to_a_host_that_speaks_at_once() -> None:
    assert rounded(ReplayPump(TALK).feed(b"VER\r", 0.0))[0] == (0.5, b"hello")


@given(st.lists(st.integers(0, 11), max_size=6))
def test_in_any_cut_it_says_the_same(cuts: list[int]) -> None:
    whole = b"VER\rSTP\rbye"
    edges = [0, *sorted(cuts), len(whole)]
    parts = [whole[begin:end] for begin, end in pairwise(edges)]
    pump = begun()
    apart, at_once = played(pump, *parts), played(begun(), whole)
    assert list(chain(*apart)) == list(chain(*at_once))
    assert pump.finished


def test_answers_of_the_same_instant_stay_with_their_questions() -> None:
    now = 3.0
    pump = begun([Piece(now, to, data) for to, data in ((TO_PUMP, b"a"), (TO_HOST, b"A")) * 2])
    assert played(pump, b"a", b"a") == [[(0.0, b"A")], [(0.0, b"A")]]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([b"VEX"], "turn 1: expected b'VER\\r', heard b'VEX'"),
        ([b"VER\rST", b"X"], "turn 2: expected b'STP\\r', heard b'STX'"),
        ([b"VER\rSTP\rbye!"], "turn 4: expected nothing more, heard b'!'"),
    ],
)
def test_a_host_that_says_something_else_is_told_of_and_not_answered_any_more(
    parts: list[bytes], told: str
) -> None:
    heard: list[str] = []
    pump = ReplayPump(TALK, heard.append)
    played(pump, *parts)
    assert pump.deviation == told
    assert played(pump, b"VER\r", b"x" * 1_000) == [[], []]
    assert heard == [told]
    assert pump.state.heard == b""


def test_a_deviation_is_told_in_few_words() -> None:
    pump = begun([Piece(0.0, TO_PUMP, b"a" * 5_000)])
    pump.feed(b"b" * 5_000, 0.0)
    assert len(pump.deviation) < 500


def test_mains_off_and_on_begins_it_again() -> None:
    pump = begun()
    played(pump, b"VEX")
    assert rounded(pump.power_cycle(5.0)) == [(0.5, b"hello")]
    assert pump.deviation == ""
    assert len(played(pump, b"VER\r")[0]) == 3


def test_it_can_be_put_back_to_where_it_was() -> None:
    pump = begun()
    played(pump, b"VER\rS")
    kept = pump.snapshot()
    assert played(pump, b"TP\r") == [[(0.0, b"ok")]]
    pump.restore(kept)
    assert played(pump, b"TP\r") == [[(0.0, b"ok")]]


def test_it_cannot_be_broken_nor_mended() -> None:
    pump = begun()
    with pytest.raises(FaultError, match="mute cannot be done to a recording"):
        pump.inject("mute", 0.0)
    with pytest.raises(FaultError, match="mute cannot be done to a recording"):
        pump.clear("mute", 0.0)
    assert pump.clear(None, 0.0) == []


@given(st.lists(st.binary(), max_size=10))
def test_any_bytes_end_in_a_deviation_at_worst(parts: list[bytes]) -> None:
    pump = begun()
    played(pump, *parts)
    assert len(pump.state.heard) < 5
