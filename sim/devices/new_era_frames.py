"""Packets of a New Era pump, device side: bytes to texts and back, for basic and safe mode.

Answerable for framing, stripping, CRC and the 0.5 s after which an unfinished packet is forgotten.
Any bytes are taken; nothing is raised and nothing grows without bound.  Not answerable for what a text
means.

Basic mode: text up to CR, spaces and control characters stripped, upper-cased.  Safe mode: STX, length,
text, CRC, ETX, driven by the length alone, since CRC bytes may equal STX, ETX or CR.  A pump in basic
mode also takes a safe packet, because that is how some hosts open; there a length of 32 or more is
read as a character, so that a stray STX cannot swallow a line.
"""

from __future__ import annotations

from binascii import crc_hqx
from functools import lru_cache

STX = 0x02
ETX = 0x03
CR = 0x0D

FORGET_AFTER_NS = 500_000_000
"""An incomplete packet is discarded after 0.5 s without a byte."""

LINE_MAX = 512
"""A basic line longer than this is cut and marked unrecognisable; a burst to ten pumps needs 150."""

_OVERHEAD = 4  # the length byte itself, two CRC bytes, ETX
_FIRST_CHARACTER = 0x20
_DELETED = bytes(range(0x21)) + b"\x7f"


DAMAGED = "\x00"
"""Stands for a packet whose frame or CRC is wrong: a text that no packet can have."""


def clean(raw: bytes) -> str:
    """The text the pump parses: no spaces, no control characters, upper case."""
    return raw.translate(None, _DELETED).upper().decode("latin-1")


@lru_cache(maxsize=512)
def basic_frame(text: str) -> bytes:
    """STX, text, ETX: an answer in basic mode."""
    return f"\x02{text}\x03".encode("ascii")


@lru_cache(maxsize=512)
def safe_frame(text: str) -> bytes:
    """STX, length, text, CRC-16/XMODEM high byte first, ETX: an answer in safe mode."""
    data = text.encode("ascii")
    return b"\x02%c%b%b\x03" % (len(data) + _OVERHEAD, data, crc_hqx(data, 0).to_bytes(2, "big"))


def whole_packet(data: bytes, *, safe: bool) -> str | None:
    """The text of these bytes if they are one packet and nothing else: what nearly every host sends."""
    if not safe:
        return clean(data) if 0 <= data.find(CR) == len(data) - 1 and STX not in data else None
    if len(data) <= _OVERHEAD or data[0] != STX or data[1] != len(data) - 1:
        return None
    return take(bytearray(data), safe=True)


def take(buffer: bytearray, *, safe: bool) -> str | None:
    """The text of the next whole packet, removed from ``buffer``; ``None`` until more bytes come."""
    return _take_safe(buffer) if safe else _take_basic(buffer)


def forget(buffer: bytearray, *, safe: bool) -> None:
    """Drop an unfinished safe packet; a basic line may be typed as slowly as one likes."""
    if safe or _unfinished_frame(buffer):
        buffer.clear()


def _unfinished_frame(buffer: bytearray) -> bool:
    """Whether a safe packet has begun in what `take` left behind."""
    stx = buffer.find(STX)
    while 0 <= stx < len(buffer) - 1:
        if _OVERHEAD <= buffer[stx + 1] < _FIRST_CHARACTER:
            return True
        stx = buffer.find(STX, stx + 1)
    return stx >= 0


def _take_safe(buffer: bytearray) -> str | None:
    """In safe mode whatever does not begin with STX and a possible length is noise."""
    while True:
        start = buffer.find(STX)
        del buffer[: len(buffer) if start < 0 else start]
        if len(buffer) < 2:
            return None
        if buffer[1] >= _OVERHEAD:
            return _take_frame(buffer, 0)
        del buffer[0]


def _take_basic(buffer: bytearray) -> str | None:
    """A line, or a safe packet in between, in front of which anything unfinished is dropped."""
    start = 0
    while True:
        end = buffer.find(CR, start)
        stx = buffer.find(STX, start, len(buffer) if end < 0 else end)
        if stx < 0:
            break
        if stx + 1 == len(buffer):
            return None
        if _OVERHEAD <= buffer[stx + 1] < _FIRST_CHARACTER:
            return _take_frame(buffer, stx)
        start = stx + 1
    if end < 0:
        _shorten(buffer)
        return None
    text = clean(bytes(buffer[:end]))
    del buffer[: end + 1]
    return text if len(text) <= LINE_MAX else text[:LINE_MAX] + "?"


def _take_frame(buffer: bytearray, stx: int) -> str | None:
    """The safe packet at ``stx``, or ``None`` while it is incomplete."""
    end = stx + 1 + buffer[stx + 1]
    if len(buffer) < end:
        return None
    data = bytes(buffer[stx + 2 : end - 3])
    crc = int.from_bytes(buffer[end - 3 : end - 1], "big")
    valid = buffer[end - 1] == ETX and crc == crc_hqx(data, 0)
    del buffer[:end]
    return clean(data) if valid else DAMAGED


def _shorten(buffer: bytearray) -> None:
    """Bound a line without an end, and make sure that what was cut cannot become a command."""
    if len(buffer) > LINE_MAX:
        buffer[:] = buffer.translate(None, _DELETED)
        if len(buffer) > LINE_MAX:
            buffer[LINE_MAX:] = b"?"
