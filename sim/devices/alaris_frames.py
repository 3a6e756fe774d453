r"""Frames of an Alaris GH / Asena pump, device side: bytes to messages and back.

``!`` message ``|`` CRC as four upper-case hexadecimal digits, CR.  The CRC is CRC-16/CCITT-FALSE
(polynomial 0x1021, initial value 0xFFFF, not reflected) over the text between ``!`` and ``|``.  ESC
aborts the frame in progress; so does another ``!``, which begins a new one.  Any bytes are taken;
nothing is raised and nothing grows without bound.  Not answerable for what a message means.

38400 baud, 8N1, no flow control.
"""

from __future__ import annotations

import re
from binascii import crc_hqx

START = b"!"
_TAIL = 5
"""``|`` and four digits."""

FRAME_MAX = 128
"""A frame longer than this is dropped [design]; the longest known message has 85 characters."""

_EDGE = re.compile(rb"[!\x1b\r]")
_MESSAGE = re.compile(rb"[ -{}~]*")
"""Printable, without the ``|`` that ends it."""

DAMAGED = ""
"""Stands for a frame whose CRC or form is wrong; no message is empty."""


def crc_text(text: bytes) -> bytes:
    """The four digits that go with a text; those of a serial number are its security code."""
    return b"%04X" % crc_hqx(text, 0xFFFF)


def frame(message: str) -> bytes:
    """The message as it goes over the wire."""
    data = message.encode("ascii")
    return b"!%b|%b\r" % (data, crc_text(data))


def take(buffer: bytearray) -> str | None:
    """The message of the next whole frame, removed from ``buffer``; ``None`` until more bytes come."""
    while True:
        start = buffer.find(START)
        del buffer[: len(buffer) if start < 0 else start]
        edge = _EDGE.search(buffer, 1)
        if edge is None:
            if len(buffer) > FRAME_MAX:
                buffer.clear()
            return None
        end = edge.start()
        if buffer[end : end + 1] != b"\r":
            del buffer[:end]
            continue
        content = bytes(buffer[1:end])
        del buffer[: end + 1]
        if end <= FRAME_MAX:
            return _message(content)


def _message(content: bytes) -> str:
    """What is between ``!`` and CR, or `DAMAGED`."""
    text, tail = content[:-_TAIL], content[-_TAIL:]
    if tail != b"|" + crc_text(text) or not _MESSAGE.fullmatch(text):
        return DAMAGED
    return text.decode("ascii")
