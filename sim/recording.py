"""What went over a line, with its times: kept, written, read, compared.

A recording is JSON lines: a head {"infusor_recording": 1, ...}, then one object for each piece of bytes,
{"t_s": 0.012, "to": "pump", "hex": "..."}; ``to`` is "pump" or "host".  Pure: not answerable for files (`sim.recording_file`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from operator import attrgetter

VERSION = 1
TO_PUMP, TO_HOST = "pump", "host"
PIECES_MAX = 1_000_000
"""Kept in memory: some 200 MB."""
LINE_CHARS_MAX = 2_000_000


class RecordingError(ValueError):
    """The text is no recording."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that went one way at one moment, in seconds from the start of the recording."""

    t_s: float
    to: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two recordings part.

    ``turn``: how many times the direction had changed by then, from 1 on.  ``offset``: how many bytes of
    this turn are the same.  ``first``, ``second``: the turn in each, ``None`` where it has ended.
    """

    turn: int
    offset: int
    first: Piece | None
    second: Piece | None


class Recorder:
    """Keeps what goes over a line from a moment on; beyond `PIECES_MAX` it only counts."""

    def __init__(self, now: float) -> None:
        self._started = now
        self.pieces: list[Piece] = []
        self.dropped = 0

    def heard(self, data: bytes, now: float) -> None:
        """The pump hears this."""
        self._note(TO_PUMP, data, now)

    def said(self, data: bytes, now: float) -> None:
        """The pump says this."""
        self._note(TO_HOST, data, now)

    def _note(self, to: str, data: bytes, now: float) -> None:
        if len(self.pieces) >= PIECES_MAX:
            self.dropped += 1
        else:
            self.pieces.append(Piece(round(now - self._started, 6), to, data))


def written(pieces: Iterable[Piece], **about: str | int) -> str:
    """The recording as text; ``about`` goes into its head."""
    return head(**about) + "".join(map(line, pieces))


def head(**about: str | int) -> str:
    """The first line of a recording."""
    return json.dumps({"infusor_recording": VERSION, **about}) + "\n"


def line(piece: Piece) -> str:
    """One more line of a recording."""
    return json.dumps({"t_s": piece.t_s, "to": piece.to, "hex": piece.data.hex()}) + "\n"


def parse(text: str, name: str) -> list[Piece]:
    """The pieces of a recording, in order of time.  Raises `RecordingError` naming ``name`` and line."""
    lines = text.splitlines()
    first = _object(lines[0], name, 1) if lines else {}
    if first.get("infusor_recording") != VERSION:
        raise RecordingError(f"{name}: not a recording of version {VERSION}")
    if len(lines) - 1 > PIECES_MAX:
        raise RecordingError(f"{name}: more than {PIECES_MAX} pieces")
    pieces: list[Piece] = []
    for number, told in enumerate(lines[1:], start=2):
        piece = _piece(_object(told, name, number), name, number)
        if pieces and piece.t_s < pieces[-1].t_s:
            raise RecordingError(f"{name}, line {number}: t_s = {piece.t_s:g} goes back")
        pieces.append(piece)
    return pieces


def merged(pieces: Sequence[Piece]) -> list[Piece]:
    """The same with neighbours of one direction joined: how a stream was cut means nothing.

    What goes to the pump is there when its last byte is, what comes from it when its first is.
    """
    joined: list[Piece] = []
    for to, group in groupby(pieces, key=attrgetter("to")):
        same = list(group)
        at = same[-1] if to == TO_PUMP else same[0]
        joined.append(Piece(at.t_s, to, b"".join(piece.data for piece in same)))
    return joined


def difference(first: Sequence[Piece], second: Sequence[Piece]) -> Difference | None:
    """The first place where two recordings say different things; times and cuts do not count."""
    one, other = merged(first), merged(second)
    for number in range(max(len(one), len(other))):
        here = one[number] if number < len(one) else None
        there = other[number] if number < len(other) else None
        if here is None or there is None or (here.to, here.data) != (there.to, there.data):
            return Difference(number + 1, _alike(here, there), here, there)
    return None


def _alike(one: Piece | None, other: Piece | None) -> int:
    """How many bytes two turns share before they part."""
    if one is None or other is None or one.to != other.to:
        return 0
    pairs = zip(one.data, other.data, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _object(told: str, name: str, number: int) -> dict[str, object]:
    if len(told) > LINE_CHARS_MAX:
        raise RecordingError(f"{name}, line {number}: longer than {LINE_CHARS_MAX} characters")
    try:
        found = json.loads(told)
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{name}, line {number}: not JSON") from error
    if not isinstance(found, dict):
        raise RecordingError(f"{name}, line {number}: not an object")
    return found


def _piece(found: dict[str, object], name: str, number: int) -> Piece:
    t_s, to, digits = found.get("t_s"), found.get("to"), found.get("hex")
    timed = isinstance(t_s, int | float) and not isinstance(t_s, bool)
    if not timed or not isinstance(t_s, int | float) or not 0 <= t_s < 1e9:
        raise RecordingError(f"{name}, line {number}: t_s = {t_s!r} must be in 0..1e9")
    if to not in (TO_PUMP, TO_HOST) or not isinstance(digits, str):
        raise RecordingError(f"{name}, line {number}: to must be pump or host, hex a text")
    try:
        return Piece(float(t_s), str(to), bytes.fromhex(digits))
    except ValueError as error:
        raise RecordingError(f"{name}, line {number}: hex is none") from error
