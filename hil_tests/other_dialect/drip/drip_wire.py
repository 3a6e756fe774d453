"""One drip pump on one wire, host side: lines, checksums, and which answer belongs to which request.

An answer repeats its request's number, so a late one is known as such and skipped.  Not answerable for
what the exchanges are for (`drip_host`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from operator import xor
from typing import NamedTuple

from firmware_bridge.dialect import Ask, Frame, Listen, Program
from firmware_bridge.errors import NoAnswer, ProtocolError, PumpInAlarm, PumpRefused
from firmware_bridge.quantities import Duration, Volume

STEP = 1_000
"""The pump counts thousandths of a millilitre; so many nanolitres."""
STOP = "STOP"
_AT_ONCE = Duration(0)

_LINE_MAX = 64
_SENDS = 3  # of a question or a setting, which may be repeated; never of GO
_STRAYS = 8  # answers to earlier requests that one request outlives

_FRAME = re.compile(rb"#([0-9]{2} [ -~]{1,57})\*([0-9A-F]{2})")
NUMBER = re.compile(r"[0-9]{1,6}\.[0-9]{3}", re.ASCII)
STATUS = re.compile(rf"(RUN|IDLE) ({NUMBER.pattern}) (-|[A-Z]+(?:,[A-Z]+)*)", re.ASCII)


class Status(NamedTuple):
    """What the pump says of itself."""

    running: bool
    infused: Volume
    alarms: tuple[str, ...]


class Wire:
    """The state of one conversation with one pump: what came of a line so far, and the last number."""

    def __init__(self, port: str, within: Duration) -> None:
        self.port = port
        self.noise = 0
        """Lines that were no frames."""
        self._within = within
        self._buffer = bytearray()
        self._number = 0

    def receive(self, data: bytes) -> Sequence[Frame]:
        """Whole lines with the right checksum; the rest is counted, and never kept beyond one line."""
        self._buffer += data
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer[:] = rest[-_LINE_MAX:]
        return [frame for line in lines if (frame := self._frame(line)) is not None]

    def _frame(self, line: bytes) -> Frame | None:
        found = _FRAME.fullmatch(line[max(0, line.rfind(b"#")) :])
        if found is None or int(found[2], 16) != reduce(xor, found[1]):
            self.noise += 1
            return None
        return Frame(line, found[1].decode("ascii"))

    def discard(self) -> None:
        """What came of a line so far is forgotten."""
        self._buffer.clear()

    def once(self, words: str, silence: Duration = _AT_ONCE) -> Program[str | None]:
        """Send once; the words of its answer, or ``None``.  Raises what the link raises."""
        number = 0
        if words != STOP:
            number = self._number = self._number % 99 + 1
        frame = yield Ask(encode(number, words), self._within, silence)
        for _ in range(_STRAYS):
            if frame is None:
                break
            heard, _, answer = frame.text.partition(" ")
            if int(heard) == number:
                return answer
            frame = yield Listen(self._within)
        return None

    def ask(self, words: str, shape: re.Pattern[str]) -> Program[re.Match[str]]:
        """Send until answered: for what may be repeated.

        Raises `NoAnswer`; `PumpRefused` with the pump's own reason; `ProtocolError`.
        """
        for _ in range(_SENDS):
            answer = yield from self.once(words)
            if answer is not None:
                return understood(words, answer, shape)
        raise NoAnswer(self.port, f"no answer from a drip pump to {words}")

    def status(self, words: str) -> Program[Status]:
        """`ask` for what is answered by a status."""
        return status_of((yield from self.ask(words, STATUS)))

    def silence(self, span: Duration) -> Program[None]:
        """Nothing is sent for at least so long; answers that come late are dropped."""
        for _ in range(_STRAYS):
            if (yield Listen(span)) is None:
                return


def encode(number: int, words: str) -> bytes:
    """The line with this number and these words."""
    body = f"{number:02} {words}".encode("ascii")
    return b"#%b*%02X\n" % (body, reduce(xor, body))


def understood(words: str, answer: str, shape: re.Pattern[str]) -> re.Match[str]:
    """The answer to ``words``, if it has this shape.  Raises as `Wire.ask`."""
    if answer.startswith("ERR"):
        refusal = PumpInAlarm if answer == "ERR ALARM" else PumpRefused
        raise refusal(words, f"the pump says {answer}")
    found = shape.fullmatch(answer)
    if found is None:
        raise ProtocolError("no such answer", request=words.encode(), raw=answer.encode())
    return found


def status_of(found: re.Match[str]) -> Status:
    """What a match of `STATUS` says."""
    alarms = () if found[3] == "-" else tuple(found[3].split(","))
    return Status(found[1] == "RUN", Volume(thousandths(found[2]) * STEP), alarms)


def text_of(amount: int) -> str:
    """So many thousandths, as the sheet writes them."""
    return f"{amount // 1_000}.{amount % 1_000:03}"


def thousandths(text: str) -> int:
    """The reverse."""
    return int(text.replace(".", ""))
