"""Frames of pumplink/1 on the pump's side: cut out of a stream, checked, and made.

Answerable for COBS, the check and the bounds of what is kept between reads.  What a message means is
told in `sim.devices.pumplink_table`; whose it is, in `sim.devices.pumplink_link`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from sim.devices.pumplink_table import BY_NAME, SCHEMA_HASH, UNHASHED

VERSION = 1
PIECE_MAX = 211
"""The longest frame has 210 bytes, 211 when stuffed."""

PAYLOAD_MAX = 200
_HEADER, _CHECK = 6, 4
_RUN = 254
"""The most bytes that COBS copies behind one length."""

_ESTOP = BY_NAME["ESTOP"].number
_HELLO = BY_NAME["HELLO"].number


class Bad(Enum):
    """Why a piece is no frame; each is counted."""

    OVERSIZE = "too long"
    RESYNC = "no frame"
    CHECK = "the check failed"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame whose check holds; its payload is not understood yet."""

    number: int
    seq: int
    ack: int
    link_id: int
    payload: bytes


@dataclass(slots=True)
class Receiver:
    """What is kept between reads: never more than the longest piece."""

    kept: bytearray = field(default_factory=bytearray)
    too_long: bool = False

    def take(self, data: bytes) -> Iterator[Frame | Bad]:
        """What ``data`` completes, one by one; empty pieces mean nothing."""
        begin = 0
        while (end := data.find(0, begin)) >= 0:
            self._keep(data[begin:end])
            begin = end + 1
            piece, long = bytes(self.kept), self.too_long
            self.forget()
            if long:
                yield Bad.OVERSIZE
            elif piece:
                yield _frame(piece)
        self._keep(data[begin:])

    def forget(self) -> None:
        """An unfinished piece is gone."""
        self.kept.clear()
        self.too_long = False

    def _keep(self, part: bytes) -> None:
        if len(self.kept) + len(part) > PIECE_MAX:
            self.too_long = True
            self.kept.clear()
        if not self.too_long:
            self.kept += part


def _frame(piece: bytes) -> Frame | Bad:
    whole = unstuffed(piece)
    if whole is None or len(whole) < _HEADER + _CHECK:
        return Bad.RESYNC
    body, sent = whole[:-_CHECK], whole[-_CHECK:]
    if check(body) != sent:
        return Bad.CHECK
    if body[0] != VERSION and body[1] not in (_ESTOP, _HELLO):
        return Bad.RESYNC
    return Frame(body[1], body[2], body[3], int.from_bytes(body[4:6], "big"), body[6:])


def made(number: int, seq: int, ack: int, link_id: int, payload: bytes) -> bytes:
    """The frame as it goes over the wire, with its delimiter."""
    body = bytes([VERSION, number, seq, ack]) + link_id.to_bytes(2, "big") + payload
    return stuffed(body + check(body)) + b"\0"


def check(body: bytes) -> bytes:
    """The four bytes that end a frame: over the body and the schema hash, which is not sent."""
    covered = 0 if body[1] in UNHASHED else SCHEMA_HASH
    return zlib.crc32(body + covered.to_bytes(4, "big")).to_bytes(4, "big")


def stuffed(data: bytes) -> bytes:
    """COBS (Cheshire and Baker, 1999): the same without a zero byte."""
    out = bytearray()
    groups = data.split(b"\0")
    for place, group in enumerate(groups):
        last = place == len(groups) - 1
        while len(group) >= _RUN:
            out += bytes([_RUN + 1]) + group[:_RUN]
            group = group[_RUN:]
            if last and not group:
                return bytes(out)
        out += bytes([len(group) + 1]) + group
    return bytes(out)


def unstuffed(piece: bytes) -> bytes | None:
    """The bytes that `stuffed` made this of; ``None`` if there are none such."""
    out, place = bytearray(), 0
    while place < len(piece):
        length = piece[place]
        end = place + length
        if not length or end > len(piece) or 0 in piece[place + 1 : end]:
            return None
        out += piece[place + 1 : end]
        if length <= _RUN and end < len(piece):
            out.append(0)
        place = end
    return bytes(out)
