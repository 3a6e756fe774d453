"""Whether two recordings say the same, and where they part.

Only the bytes and their directions count: neither the times nor how a stream was cut into pieces.  Exit
code 1 and the first difference, or 0 when there is none.  Recordings are made by `infusor sim record`, or
by record.start and record.stop of a simulated pump's control channel.  For bench and simulation only.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from firmware_bridge.errors import ConfigurationError
from sim.recording import TO_PUMP, Difference, Piece, difference, merged
from sim.recording_file import read_recording

PROG = "infusor sim diff"
SAME, DIFFERENT, BAD_USAGE = 0, 1, 2
SHOWN_BYTES_MAX = 48
"""What a person is shown of either side, around the place."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("a", metavar="A", help="a recording")
    parser.add_argument("b", metavar="B", help="another one")
    parser.add_argument(
        "--json", action="store_true", help="one object: same, turns, and where they part"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit codes: 0 for the same, 1 for a difference, 2 for a file that is no recording."""
    try:
        first, second = (read_recording(Path(name)) for name in (arguments.a, arguments.b))
    except ConfigurationError as problem:
        sys.stderr.write(f"{PROG}: {problem}\n")
        return BAD_USAGE
    found = difference(first, second)
    turns = len(merged(first)) if found is None else found.turn - 1
    if arguments.json:
        sys.stdout.write(json.dumps(_as_json(found, turns)) + "\n")
    else:
        sys.stdout.write(_as_text(found, turns, arguments.a, arguments.b))
    return SAME if found is None else DIFFERENT


def _as_json(found: Difference | None, turns: int) -> dict[str, object]:
    """``turns``: how many are the same, from the start."""
    if found is None:
        return {"same": True, "turns": turns}
    return {
        "same": False,
        "turns": turns,
        "turn": found.turn,
        "offset": found.offset,
        "a": _piece(found.first),
        "b": _piece(found.second),
    }


def _piece(piece: Piece | None) -> dict[str, object] | None:
    if piece is None:
        return None
    return {"t_s": piece.t_s, "to": piece.to, "hex": piece.data.hex()}


def _as_text(found: Difference | None, turns: int, first: str, second: str) -> str:
    if found is None:
        return f"the same: {turns} turns\n"
    width = max(len(first), len(second))
    rows = (
        f"  {name:<{width}}  {_shown(piece, found.offset)}\n"
        for name, piece in ((first, found.first), (second, found.second))
    )
    return f"{turns} turns are the same; they part in turn {found.turn}, byte {found.offset}:\n" + (
        "".join(rows)
    )


def _shown(piece: Piece | None, offset: int) -> str:
    """When it was, where it went, and the bytes around the place."""
    if piece is None:
        return "has ended"
    begin = max(0, offset - SHOWN_BYTES_MAX // 2)
    part = piece.data[begin : begin + SHOWN_BYTES_MAX]
    before = "..." if begin else ""
    after = "..." if begin + SHOWN_BYTES_MAX < len(piece.data) else ""
    to = "to the pump" if piece.to == TO_PUMP else "from the pump"
    return f"at {piece.t_s:.3f} s {to}: {before}{part!r}{after}"
