"""Fresenius Orchestra link layer: bytes to frames and back, and what a receiver owes for each.

Answerable for framing, checksums and the answers of the link layer; not for what a frame means
(`fresenius_replies`).  Source: the open driver infupy.

A frame is ``STX address message checksum ETX``: address ``0`` is the base and ``1`` to ``5`` are modules,
a message has at most 80 characters, the checksum is 0xFF less the sum of address and message, as two
upper-case hex digits.  Whoever receives a frame answers ACK, or NAK and an error byte.  The pump sends ENQ
to hear whether its host lives, which is answered by DC4; and what it says by itself (``E;``, ``M;``) has
to be repeated to it without its contents.

All of this is owed at once, whatever the host is about to say, and none of it moves a plunger.
"""

from __future__ import annotations

import re

from firmware_bridge.dialect import Frame

STX, ETX, ENQ, ACK, DC4, NAK = 0x02, 0x03, 0x05, 0x06, 0x14, 0x15

NAK_ERRORS = {
    0x31: "character",
    0x32: "checksum",
    0x34: "address",
    0x35: "acknowledgement time-out",
    0x36: "not ready",
    0x37: "length",
    0x38: "control character",
}

_BAD_CHECKSUM = bytes((NAK, 0x32))
_LONGEST_BODY = 1 + 80 + 2
_BODY = re.compile(rb"([\x20-\x7e]+)([0-9A-F]{2})")
_FROM_A_PUMP = re.compile(r"[0-5]?(?:C(?:;.*)?|I;.*|[EM];.*)")
_SPONTANEOUS = re.compile(r"([0-5]?[EM]);.*")


def checksum(text: str) -> str:
    """The two digits behind address and message.  Raises `UnicodeEncodeError` for what is not ASCII."""
    return f"{0xFF - sum(text.encode('ascii')) % 0x100:02X}"


def encode(text: str) -> bytes:
    """Address and message as a whole frame."""
    return bytes((STX,)) + f"{text}{checksum(text)}".encode("ascii") + bytes((ETX,))


def is_spontaneous(text: str) -> bool:
    """Whether nobody asked for this."""
    return _SPONTANEOUS.fullmatch(text) is not None


def is_nak(frame: Frame) -> bool:
    """Whether the pump says that the last frame did not reach it whole."""
    return frame.raw[0] == NAK


class LinkLayer:
    """Cuts a byte stream, however it arrives; memory is bounded by one frame.

    Only a frame that is whole but for its checksum is answered by NAK.  Answering noise so would make a
    pump repeat an answer that was understood.
    """

    def __init__(self) -> None:
        self.acknowledged = 0
        """How many of our frames the pump has said it got."""
        self.echoes = 0
        """How many frames we sent by ourselves, to answer what the pump said by itself."""
        self.damaged = 0
        self._owed = bytearray()
        self._body: bytearray | None = None
        self._after_nak = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames, and the refusals of ours, that ``data`` completed, in order.  Never raises."""
        found: list[Frame] = []
        for byte in data:
            if self._after_nak:
                self._after_nak = False
                if byte in NAK_ERRORS:
                    found.append(Frame(bytes((NAK, byte)), f"NAK {NAK_ERRORS[byte]}"))
                    continue
                found.append(Frame(bytes((NAK,)), "NAK"))
            if byte == STX:
                self._begin()
            elif self._body is None:
                self._signal(byte)
            elif byte == ETX:
                self._end(found)
            elif 0x20 <= byte < 0x7F and len(self._body) < _LONGEST_BODY:
                self._body.append(byte)
            else:
                self.discard()
                self._signal(byte)
        return found

    def take_owed(self) -> bytes:
        """What is to be sent at once; from now on it counts as sent."""
        owed = bytes(self._owed)
        self._owed.clear()
        return owed

    def discard(self) -> None:
        """An incomplete frame is forgotten."""
        self.damaged += self._body is not None
        self._body = None

    def _begin(self) -> None:
        self.discard()
        self._body = bytearray()

    def _signal(self, byte: int) -> None:
        """One byte outside a frame; what has no meaning there is noise."""
        if byte == ENQ:
            self._owed.append(DC4)
        elif byte == ACK:
            self.acknowledged += 1
        elif byte == NAK:
            self._after_nak = True

    def _end(self, found: list[Frame]) -> None:
        body, self._body = bytes(self._body or b""), None
        match = _BODY.fullmatch(body)
        if match is None:
            self.damaged += 1
            return
        text = match[1].decode("ascii")
        if checksum(text).encode() != match[2]:
            self.damaged += 1
            self._owed += _BAD_CHECKSUM
            return
        if _FROM_A_PUMP.fullmatch(text) is None:  # an echo of our own, on some adapters
            return
        self._owed.append(ACK)
        spontaneous = _SPONTANEOUS.fullmatch(text)
        if spontaneous is not None:
            self.echoes += 1
            self._owed += encode(spontaneous[1])
        found.append(Frame(bytes((STX,)) + body + bytes((ETX,)), text))
