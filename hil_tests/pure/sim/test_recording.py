"""Recordings: written and read again, refused by line and value, compared whatever the cuts and times."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.recording import (
    PIECES_MAX,
    TO_HOST,
    TO_PUMP,
    Piece,
    Recorder,
    RecordingError,
    difference,
    merged,
    parse,
    written,
)

HEAD = '{"infusor_recording": 1}\n'
WAYS = st.sampled_from([TO_PUMP, TO_HOST])
PIECES = st.lists(
    st.builds(Piece, st.integers(0, 10**12).map(lambda us: us / 1e6), WAYS, st.binary(min_size=1)),
    max_size=20,
).map(lambda pieces: sorted(pieces, key=lambda piece: piece.t_s))


def said(*turns: tuple[str, bytes]) -> list[Piece]:
    return [Piece(number * 0.1, to, data) for number, (to, data) in enumerate(turns)]


@given(PIECES)
def test_what_is_written_is_read_again(pieces: list[Piece]) -> None:
    assert parse(written(pieces, pump="a \u2028 pump"), "file") == pieces


def test_a_recording_can_be_read_by_people() -> None:
    text = written(said((TO_PUMP, b"VER\r"), (TO_HOST, b"\x0200S\x03")), port="/dev/ttyUSB0")
    assert text.splitlines() == [
        '{"infusor_recording": 1, "port": "/dev/ttyUSB0"}',
        '{"t_s": 0.0, "to": "pump", "hex": "5645520d"}',
        '{"t_s": 0.1, "to": "host", "hex": "0230305303"}',
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a recording of version 1"),
        ("VER\r", "line 1: not JSON"),
        ("[]", "line 1: not an object"),
        ('{"infusor_recording": 2}', "not a recording of version 1"),
        (HEAD + "nonsense", "line 2: not JSON"),
        (HEAD + "[" * 5_000, "line 2: not JSON"),
        (HEAD + "3", "line 2: not an object"),
        (HEAD + '{"t_s": -1, "to": "pump", "hex": ""}', "line 2: t_s = -1 must be in 0..1e9"),
        (HEAD + '{"t_s": NaN, "to": "pump", "hex": ""}', "t_s = nan"),
        (HEAD + '{"t_s": true, "to": "pump", "hex": ""}', "t_s = True"),
        (HEAD + '{"t_s": "0", "to": "pump", "hex": ""}', "t_s = '0'"),
        (HEAD + '{"t_s": 0, "to": "nobody", "hex": ""}', "to must be pump or host"),
        (HEAD + '{"t_s": 0, "to": [], "hex": ""}', "to must be pump or host"),
        (HEAD + '{"t_s": 0, "to": "pump", "hex": 0}', "hex a text"),
        (HEAD + '{"t_s": 0, "to": "pump", "hex": "0"}', "hex is none"),
        (HEAD + '{"t_s": 0, "to": "pump", "hex": "\u00e9\u00e9"}', "hex is none"),
        (
            HEAD + '{"t_s": 2, "to": "pump", "hex": ""}\n{"t_s": 1, "to": "pump", "hex": ""}',
            "line 3: t_s = 1 goes back",
        ),
        (HEAD + json.dumps({"hex": "0" * 2_000_000}), "line 2: longer than 2000000 characters"),
    ],
)
def test_what_is_no_recording_is_refused_by_file_line_and_value(text: str, complaint: str) -> None:
    with pytest.raises(RecordingError) as refused:
        parse(text, "some.jsonl")
    assert str(refused.value).startswith("some.jsonl")
    assert complaint in str(refused.value)


@given(st.text(), st.booleans())
def test_any_text_is_a_recording_or_is_refused(text: str, headed: bool) -> None:
    try:
        parse(HEAD + text if headed else text, "any")
    except RecordingError:
        return


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional={"t_s": JSON, "to": JSON | WAYS, "hex": JSON}))
def test_any_object_is_a_piece_or_is_refused(found: dict[str, object]) -> None:
    try:
        parse(HEAD + json.dumps(found), "any")
    except RecordingError:
        return


def test_a_recorder_counts_from_its_start_and_drops_what_is_too_much() -> None:
    recorder = Recorder(100.0)
    recorder.heard(b"a", 100.5)
    assert recorder.pieces == [Piece(0.5, TO_PUMP, b"a")]
    recorder.pieces = recorder.pieces * PIECES_MAX
    recorder.said(b"b", 101.0)
    assert (len(recorder.pieces), recorder.dropped) == (PIECES_MAX, 1)


# --- comparing -----------------------------------------------------------------------------------------


def test_a_question_is_there_with_its_last_byte_and_an_answer_with_its_first() -> None:
    cut = said((TO_PUMP, b"VE"), (TO_PUMP, b"R\r"), (TO_HOST, b"\x0200"), (TO_HOST, b"S\x03"))
    assert merged(cut) == [Piece(0.1, TO_PUMP, b"VER\r"), Piece(0.2, TO_HOST, b"\x0200S\x03")]


@given(PIECES, st.data())
def test_neither_cuts_nor_times_make_a_difference(pieces: list[Piece], data: st.DataObject) -> None:
    other: list[Piece] = []
    for piece in pieces:
        at = data.draw(st.integers(0, len(piece.data)))
        other += [Piece(9.0, piece.to, part) for part in (piece.data[:at], piece.data[at:]) if part]
    assert difference(pieces, other) is None


@given(PIECES, st.data())
def test_one_byte_changed_is_found_where_it_is(pieces: list[Piece], data: st.DataObject) -> None:
    if not pieces:
        return
    turns = merged(pieces)
    turn = data.draw(st.integers(0, len(turns) - 1))
    byte = data.draw(st.integers(0, len(turns[turn].data) - 1))
    hurt = bytearray(turns[turn].data)
    hurt[byte] ^= 1
    other = [*turns]
    other[turn] = Piece(turns[turn].t_s, turns[turn].to, bytes(hurt))
    found = difference(pieces, other)
    assert found is not None
    assert (found.turn, found.offset) == (turn + 1, byte)
    assert (found.first, found.second) == (turns[turn], other[turn])


def test_one_that_ends_sooner_differs_at_its_end() -> None:
    whole = said((TO_PUMP, b"VER\r"), (TO_HOST, b"\x0200S\x03"))
    found = difference(whole, whole[:1])
    assert found is not None
    assert (found.turn, found.offset, found.first, found.second) == (2, 0, whole[1], None)
    other = difference(whole[:1], whole)
    assert other is not None
    assert (other.turn, other.first, other.second) == (2, None, whole[1])
    assert difference([], []) is None


def test_the_other_direction_is_a_difference_even_with_the_same_bytes() -> None:
    found = difference(said((TO_PUMP, b"a")), said((TO_HOST, b"a")))
    assert found is not None
    assert (found.turn, found.offset) == (1, 0)
