"""Alaris GH/Asena framing: ``!`` message ``|`` CRC CR, both ways.

Answerable for where a frame begins and ends and whether it arrived whole; not for what it means
(`alaris_replies`).  The CRC is CRC-16/CCITT-FALSE (polynomial 0x1021, initial value 0xFFFF, no
reflection, no final xor) over the text between ``!`` and ``|``, as four upper-case hex digits.  ESC
aborts a frame in progress.  Source: two independent open drivers, OpenICE (Asena) and infupy, whose
published frames recompute.

A frame begins at the *last* ``!`` before its CR, so that noise costs at most the frame it falls into.
"""

from __future__ import annotations

import re
from binascii import crc_hqx

from firmware_bridge.dialect import Frame

ABORT = b"\x1b"
"""Ends whatever was half sent before."""

LONGEST_TEXT = 160
"""The longest frame known is a status of 73 characters; names of drugs and syringes may be longer."""

_LONGEST_BODY = LONGEST_TEXT + 5  # "|" and four digits
_BODY = re.compile(rb"([\x20-\x7e]*)\|([0-9A-F]{4})")


def check_text(text: str) -> str:
    """The CRC of ``text`` as it is sent; of a serial number, the pump's security code.

    Raises `UnicodeEncodeError` for what is not ASCII.
    """
    return f"{crc_hqx(text.encode('ascii'), 0xFFFF):04X}"


def encode(text: str) -> bytes:
    """``text`` as a whole frame."""
    return f"!{text}|{check_text(text)}\r".encode("ascii")


class FrameReader:
    """Cuts a byte stream, however it arrives, into whole frames; memory is bounded by one frame."""

    def __init__(self) -> None:
        self.frames = 0
        self.damaged = 0
        """Ends of frames that fitted no frame."""
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completed, in order.  Never raises."""
        *whole, rest = (self._rest + data).split(b"\r")
        start = rest.rfind(b"!")
        rest = b"" if start < 0 else rest[start:]
        self._rest = rest if len(rest) <= 1 + _LONGEST_BODY else b""
        found = [frame for line in whole if (frame := self._frame(line)) is not None]
        self.frames += len(found)
        return found

    def discard(self) -> None:
        """An incomplete frame is forgotten."""
        self._rest = b""

    def _frame(self, line: bytes) -> Frame | None:
        start = line.rfind(b"!")
        match = _BODY.fullmatch(line, start + 1)
        if start < 0 or match is None or len(line) - start > 1 + _LONGEST_BODY:
            self.damaged += 1
            return None
        if crc_hqx(match[1], 0xFFFF) != int(match[2], 16):
            self.damaged += 1
            return None
        return Frame(line[start:] + b"\r", match[1].decode("ascii"))
