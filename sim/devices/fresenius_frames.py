"""The link layer of a Fresenius Orchestra, device side: bytes to frames and signs, and back.

STX, address, message, two upper-case hexadecimal digits of 0xFF minus the sum of address and message
modulo 256, ETX.  Between frames, and even inside one, ACK and DC4 may come at any time; NAK is followed
by an error byte.  An STX inside a frame begins a new one.  Any bytes are taken, one by one; nothing is
raised and nothing grows without bound.  Not answerable for what a message means.

19200 baud, 7 data bits, even parity, 1 stop bit.  A pseudo-terminal or a socket carries no parity; a
byte with its eighth bit set is a character reception problem here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

STX, ETX = 0x02, 0x03
ENQ, ACK, DC4, NAK = 0x05, 0x06, 0x14, 0x15

BAD_CHARACTER = "1"
BAD_CHECKSUM = "2"
BAD_ADDRESS = "4"
NO_ACK = "5"
NOT_READY = "6"
BAD_LENGTH = "7"
CONTROL_CHARACTER = "8"
"""Error bytes after NAK: 31 to 38 hexadecimal, which are these characters."""

_ERROR_BYTES = frozenset(range(0x31, 0x39))

TEXT_MAX = 120
"""A frame with more than this between STX and ETX is answered with `BAD_LENGTH` [design]; messages have
80 characters at most."""

_CHECK = 2


class Sign(Enum):
    """What was heard."""

    FRAME = "frame"
    DAMAGED = "damaged"
    ACK = "ack"
    NAK = "nak"
    DC4 = "dc4"


class Heard(NamedTuple):
    """``text``: address and message of a frame, or the error byte with which a damaged one is answered."""

    sign: Sign
    text: str = ""


_SIGNS = {ACK: Heard(Sign.ACK), DC4: Heard(Sign.DC4)}


def checksum(text: bytes) -> bytes:
    """The two digits that follow address and message."""
    return b"%02X" % (0xFF - sum(text) % 256)


def frame(text: str) -> bytes:
    """Address and message as they go over the wire."""
    data = text.encode("ascii")
    return b"\x02%b%b\x03" % (data, checksum(data))


def refusal(error: str) -> bytes:
    """NAK and its error byte."""
    return bytes([NAK]) + error.encode("ascii")


@dataclass(slots=True)
class Receiver:
    """What has been received of the frame in progress."""

    inside: bool = False
    after_nak: bool = False
    trouble: str = ""
    """The first thing that is wrong with this frame."""
    text: bytearray = field(default_factory=bytearray)

    def forget(self) -> None:
        """As after power-on."""
        self.inside = self.after_nak = False
        self.text.clear()

    def take(self, byte: int) -> Heard | None:
        """What this byte completes, if anything."""
        if self.after_nak:
            self.after_nak = False
            if byte in _ERROR_BYTES:
                return Heard(Sign.NAK)
        if byte == STX:
            self.inside, self.trouble = True, ""
            self.text.clear()
        elif byte in _SIGNS:
            return _SIGNS[byte]
        elif self.inside and byte == ETX:
            return self._finished()
        elif self.inside:
            self._add(byte)
        elif byte == NAK:
            self.after_nak = True
        return None

    def _add(self, byte: int) -> None:
        if byte >= 0x80:
            problem = BAD_CHARACTER
        elif byte < 0x20 or byte == 0x7F:
            problem = CONTROL_CHARACTER
        elif len(self.text) >= TEXT_MAX:
            problem = BAD_LENGTH
        else:
            self.text.append(byte)
            return
        self.trouble = self.trouble or problem

    def _finished(self) -> Heard:
        self.inside = False
        text = bytes(self.text)
        self.text.clear()
        if self.trouble:
            return Heard(Sign.DAMAGED, self.trouble)
        if len(text) <= _CHECK:
            return Heard(Sign.DAMAGED, BAD_LENGTH)
        if checksum(text[:-_CHECK]) != text[-_CHECK:]:
            return Heard(Sign.DAMAGED, BAD_CHECKSUM)
        return Heard(Sign.FRAME, text[:-_CHECK].decode("ascii"))
