"""Harvard framing: bytes to replies, however they arrive.

Answerable for where a reply ends, never for what it says (`harvard_replies`).
Source: publication 5420-002 Rev C, pages 52-58, and recorded traffic of a Legato 100.

A reply is any number of lines ``LF [##:]text CR`` and then a prompt, ``LF [##]prompt``, which nothing
follows: ``02:`` may be a prompt, or the beginning of a line.  With ``poll on`` an XON comes behind the
prompt and ends it.  Without, only silence does.  So a reply ends at an XON, or when the pump has said
nothing for a while; what then does not end in a prompt is noise.
"""

from __future__ import annotations

import re

from firmware_bridge.dialect import Frame

LF = 0x0A
XON = 0x11
PROMPT = re.compile(rb"([0-9]{2})?(:|>\*?|<\*?|T?\*)")
"""Idle, infusing or withdrawing (``*``: at the limit switch), stalled, target reached."""

LONGEST = 2_048
"""Several times the longest answer to anything that is asked here (a ``version``, an error)."""


def request(address: int, text: str) -> bytes:
    """The line for one pump.  Without digits at address 0, as recorded; ``@`` spares the screen."""
    return f"{_prefix(address)}@{text}\r".encode("ascii")


def _prefix(address: int) -> str:
    return f"{address:02d}" if address else ""


class FrameReader:
    """Cuts a byte stream, however it was split, into replies; memory is bounded.

    A frame's ``raw`` is the whole reply with its XON, where it had one; its ``text`` is for people.
    """

    def __init__(self, idle_s: float) -> None:
        """``idle_s``: after so long without a byte, what ends in a prompt has ended."""
        self.frames = 0
        self.noise_bytes = 0
        self._idle_s = idle_s
        self._buffer = bytearray()
        self._ended: list[Frame] = []
        self._last_byte_at = 0.0

    def feed(self, data: bytes, now: float) -> list[Frame]:
        """The replies that ``data`` completed, or a silence before it, in order.  Never raises."""
        if self._buffer and now - self._last_byte_at > self._idle_s:
            self.settle()
        if data:
            self._last_byte_at = now
        taken = 0
        while taken < len(data):
            room = LONGEST - len(self._buffer)
            self._take(data[taken : taken + room])
            taken += room
        ended, self._ended = self._ended, []
        return ended

    def discard_at(self) -> float | None:
        """When what is in the buffer will have been followed by silence, if anything is."""
        return self._last_byte_at + self._idle_s if self._buffer else None

    def settle(self) -> None:
        """Nothing more came: the buffer is a reply without XON, or noise.  `feed` hands it out."""
        self._cut(bytes(self._buffer))
        self._buffer.clear()

    def forget(self) -> None:
        """Nothing that came before is an answer any more."""
        self._ended.clear()
        self._buffer.clear()

    def _take(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(XON)) >= 0:
            self._cut(bytes(self._buffer[: end + 1]))
            del self._buffer[: end + 1]
        if len(self._buffer) == LONGEST:
            self.noise_bytes += len(self._buffer)
            self._buffer.clear()

    def _cut(self, chunk: bytes) -> None:
        """One reply, or several of which only the last has an XON: each ends where its prompt does."""
        start = 0
        at = chunk.find(LF)
        while at >= 0:
            following = chunk.find(LF, at + 1)
            end = following if following >= 0 else len(chunk)
            if PROMPT.fullmatch(chunk[at + 1 : end].removesuffix(bytes((XON,)))):
                self._ended.append(_frame(chunk[start:end]))
                self.frames += 1
                start = end
            at = following
        self.noise_bytes += len(chunk) - start


def _frame(raw: bytes) -> Frame:
    shown = raw.decode("ascii", "backslashreplace").replace("\x11", "")
    return Frame(raw, " ".join(shown.split()))
