"""Lines of a Harvard pump, device side: bytes to address and command, and texts to answers.

Answerable for where a line ends, for the address and the ``@`` in front of it, and for the form of an
answer.  Any bytes are taken; nothing is raised and nothing grows without bound.  Not answerable for what a
command means.

Host to pump: ``[@][address][:][@]command CR``; a following LF and trailing spaces are tolerated.  Pump to
host: each text is ``LF [##:]text CR``, and then ``LF [##]prompt`` without CR, after which XON follows in
poll mode (5420-002 Rev C, pp. 52-58, and recorded traffic of a Legato 100).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

CR = 0x0D
XON = "\x11"

LINE_MAX = 256
"""A line longer than this is cut and made unrecognisable; the longest command has about 60 characters."""

_LINE = re.compile(r"@?([0-9]{1,2})?:?@?(.*)")
_DELETED = bytes(range(0x20)) + b"\x7f"


class Line(NamedTuple):
    """What a host sent.  ``address``: ``None`` where it gave none."""

    address: int | None
    text: str


def take(buffer: bytearray) -> bytes | None:
    """The next whole line, removed from ``buffer``, or ``None`` until more bytes come."""
    end = buffer.find(CR)
    if end < 0:
        _shorten(buffer)
        return None
    raw = bytes(buffer[:end])
    del buffer[: end + 1]
    return raw


def _shorten(buffer: bytearray) -> None:
    """Bound a line without an end, and make sure that what was cut cannot become a command."""
    if len(buffer) > LINE_MAX:
        buffer[:] = buffer.translate(None, _DELETED)
        if len(buffer) > LINE_MAX:
            buffer[:LINE_MAX] = b"?" * 4
            del buffer[4:]


@lru_cache(maxsize=256)
def read(raw: bytes) -> Line:
    """Address and command of a line; control characters do not count."""
    text = raw.translate(None, _DELETED).decode("latin-1").strip()
    match = _LINE.fullmatch(text)
    if match is None:
        return Line(None, text)
    return Line(None if match[1] is None else int(match[1]), match[2].strip())


def answer(
    texts: Iterable[str], prompt: str, *, line_prefix: str, prompt_prefix: str, poll: bool
) -> bytes:
    """The whole answer; the prefixes are empty, or ``##:`` before a text and ``##`` before the prompt."""
    lines = "".join(f"\n{line_prefix}{text}\r" for text in texts)
    return f"{lines}\n{prompt_prefix}{prompt}{XON if poll else ''}".encode("latin-1")
