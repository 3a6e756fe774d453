"""New Era framing: bytes to frames and back, in basic and in safe mode.

Answerable for where a frame begins and ends and whether it arrived whole; not for what it means
(`new_era_replies`).

Two framings share one wire (NE-1000 manual, publication 1200-01, sections 10.2.2 and 10.2.3)::

    basic, to the pump      text CR
    basic, from the pump    STX text ETX
    safe, both ways         STX LEN text CRC_hi CRC_lo ETX     LEN = len(text) + 4

The CRC (CRC-16/XMODEM over the text) may contain STX, ETX or CR, so safe mode is read by length, never
by delimiter.  The byte behind STX tells the framings apart: a basic reply goes on with an address digit
(0x30..0x39), and a safe length stays below 0x30, because no reply is longer than 23 characters.

The reader tries *every* STX in its buffer and takes the earliest that leads to a whole frame, so a
false start costs nothing: the first good frame behind the noise comes out as soon as it is complete.
That is safe because the text of a frame is printable and so cannot hold another frame.
"""

from __future__ import annotations

import re
from binascii import crc_hqx

from firmware_bridge.dialect import Frame

STX = 0x02
ETX = 0x03
_OVERHEAD = 4  # LEN counts itself, two CRC bytes and ETX (manual 10.2.3)
_LONGEST_TEXT = 0x2F - _OVERHEAD  # the longest that LEN can state below the digits
_LONGEST_FRAME = 1 + 0x2F
_BASIC_REPLY = re.compile(rb"[0-9]{1,2}[IWSPTUXA][\x20-\x7e]*")

_INCOMPLETE = 0
_INVALID = -1


def basic_request(text: str) -> bytes:
    """``text`` as a basic-mode command line."""
    return text.encode("ascii") + b"\r"


def safe_frame(text: str) -> bytes:
    """``text`` as a safe-mode packet.  Raises `ValueError` when it is too long for one."""
    payload = text.encode("ascii")
    if len(payload) > _LONGEST_TEXT:
        raise ValueError(f"{text!r} is longer than {_LONGEST_TEXT} characters")
    crc = crc_hqx(payload, 0)
    return bytes((STX, len(payload) + _OVERHEAD)) + payload + crc.to_bytes(2, "big") + bytes((ETX,))


def _printable(text: bytes | bytearray) -> bool:
    return text.isascii() and text.decode("ascii").isprintable()


def _end_of_safe(buffer: bytes | bytearray, start: int) -> int:
    """Where the safe packet at ``start`` ends, or `_INCOMPLETE`, or `_INVALID`."""
    if len(buffer) - start < 2:
        return _INCOMPLETE
    length = buffer[start + 1]
    if buffer[start] != STX or not _OVERHEAD < length < 0x30:
        return _INVALID
    end = start + 1 + length
    text = buffer[start + 2 : end - 3]
    if not _printable(text):
        return _INVALID
    if len(buffer) < end:
        return _INCOMPLETE
    crc = buffer[end - 3] << 8 | buffer[end - 2]
    whole = buffer[end - 1] == ETX and crc == crc_hqx(text, 0)
    return end if whole else _INVALID


def _frame(raw: bytes) -> Frame:
    text = raw[1:-1] if raw[1] >= 0x30 else raw[2:-3]
    return Frame(raw, text.decode("ascii"))


class FrameReader:
    """Cuts a byte stream, however it arrives, into whole frames; memory is bounded by one frame.

    ``accept_basic`` says whether frames without a CRC are believed.  It is off while the pump is known
    to be in safe mode, so that nothing unprotected is ever acted on.
    """

    def __init__(self, idle_s: float) -> None:
        """``idle_s``: after so long without a byte an incomplete frame is given up."""
        self.accept_basic = True
        self.frames = 0
        self.noise_bytes = 0
        self._buffer = bytearray()
        self._idle_s = idle_s
        self._last_byte_at = 0.0

    def feed(self, data: bytes, now: float) -> list[Frame]:
        """The frames that ``data`` completed, in order.  Never raises."""
        if self._buffer and now - self._last_byte_at > self._idle_s:
            self.discard()
        self._last_byte_at = now
        if not self._buffer and data and _end_of_safe(data, 0) == len(data):  # the usual case
            self.frames += 1
            return [_frame(data)]
        self._buffer += data
        found: list[Frame] = []
        kept = self._scan(found)
        del self._buffer[:kept]
        self.frames += len(found)
        return found

    def discard_at(self) -> float | None:
        """When the incomplete frame in the buffer is to be given up, if there is one."""
        return self._last_byte_at + self._idle_s if self._buffer else None

    def discard(self) -> None:
        """The incomplete frame is forgotten and counted as noise."""
        self.noise_bytes += len(self._buffer)
        self._buffer.clear()

    def _scan(self, found: list[Frame]) -> int:
        """Append every whole frame to ``found``; return how many leading bytes are done with."""
        buffer = self._buffer
        done = 0
        waiting: int | None = None
        start = buffer.find(STX)
        while start >= 0:
            end = self._end_of_frame(start)
            if end > 0:
                self.noise_bytes += start - done
                found.append(_frame(bytes(buffer[start:end])))
                done = end
                waiting = None
                start = buffer.find(STX, end)
                continue
            if end == _INCOMPLETE and waiting is None:
                waiting = start
            start = buffer.find(STX, start + 1)
        rest = len(buffer) if waiting is None else waiting
        self.noise_bytes += rest - done
        return rest

    def _end_of_frame(self, start: int) -> int:
        """Where the frame at ``start`` ends, or `_INCOMPLETE`, or `_INVALID`."""
        if len(self._buffer) - start < 2:
            return _INCOMPLETE
        if 0x30 <= self._buffer[start + 1] <= 0x39:
            return self._end_of_basic(start) if self.accept_basic else _INVALID
        return _end_of_safe(self._buffer, start)

    def _end_of_basic(self, start: int) -> int:
        limit = start + _LONGEST_FRAME
        end = self._buffer.find(ETX, start, limit)
        text = self._buffer[start + 1 : end if end >= 0 else limit]
        if not _printable(text):
            return _INVALID
        if end >= 0:
            return end + 1 if _BASIC_REPLY.fullmatch(text) else _INVALID
        return _INVALID if len(self._buffer) >= limit else _INCOMPLETE
