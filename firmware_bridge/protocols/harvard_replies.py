"""Harvard replies: what a whole reply says.

Answerable for meaning, not for bytes (`harvard_frames`) nor for what to do about it (`harvard`).
Source: publication 5420-002 Rev C, pages 52-60; PHD Ultra 5419-002 (status with five flags); recorded
traffic of a Legato 100.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from firmware_bridge.dialect import Identity
from firmware_bridge.messages import PumpAlarm, PumpState
from firmware_bridge.protocols.harvard_frames import PROMPT, XON
from firmware_bridge.quantities import Rate, Volume

STATES = {
    ":": PumpState.STOPPED,
    ">": PumpState.RUNNING,
    "<": PumpState.RUNNING,
    "*": PumpState.ALARM,
    "T*": PumpState.COMPLETED,
    ">*": PumpState.ALARM,
    "<*": PumpState.STOPPED,
}
"""By the prompt.  ``<*``, the plunger quite drawn back, hinders nothing that could be infused."""

ALARMS = {"*": PumpAlarm.OCCLUSION, ">*": PumpAlarm.EMPTY}
"""Stalled; at the switch that ends infusing."""

_FL_PER_NL = 10**6
_STATUS = re.compile(
    r"([0-9]{1,20}) +([0-9]{1,20}(?:\.[0-9]{1,6})?) +([0-9]{1,20}) +"
    r"([IiWw])([IW.])([S.])([T.])([IW])([T.])?",
    re.ASCII,
)
_VERSION = re.compile(r"v?([0-9]+\.[0-9]+\.[0-9]+)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """One understood reply: lines without their address, and the prompt, which is a state."""

    address: int | None
    """As the pump wrote it; ``None``: it wrote none."""
    lines: tuple[str, ...]
    prompt: str
    polled: bool
    """Whether an XON came behind the prompt."""
    head: str
    """What came before the first line: an echo of the host's own line, or noise."""
    raw: bytes

    @property
    def error(self) -> str:
        """``Command error`` or ``Argument error`` with its explanation, or nothing."""
        first = self.lines[0].strip() if self.lines else ""
        if not first.startswith(("Command error", "Argument error")):
            return ""
        return " ".join(line.strip() for line in self.lines)

    @property
    def line(self) -> str:
        """The only line, or nothing."""
        return self.lines[0].strip() if len(self.lines) == 1 else ""


def parse_reply(raw: bytes) -> Reply | None:
    """The reply in ``raw``; ``None`` where a line of it is damaged or has another pump's address.

    Only the prompt tells whether there are addresses: ``01:30:00`` is a time at address 0.
    """
    polled = raw.endswith(bytes((XON,)))
    text = raw.removesuffix(bytes((XON,)))
    if not _clean(text):
        return None
    head, *lines, last = text.decode("ascii").split("\n")
    match = PROMPT.fullmatch(last.encode())
    if match is None:
        return None
    digits = (match[1] or b"").decode()
    read: list[str] = []
    for line in lines:
        if not line.strip():
            continue
        if not line.endswith("\r") or not line.startswith(f"{digits}:" if digits else ""):
            return None
        read.append(line[3 if digits else 0 : -1].rstrip("\r"))
    address = int(digits) if digits else None
    return Reply(address, tuple(read), match[2].decode(), polled, head.strip(), raw)


def _clean(text: bytes) -> bool:
    """Printable ASCII, CR and LF; at least one LF."""
    return (
        b"\n" in text
        and text.translate(None, b"\r\n").decode("latin-1").isprintable()
        and (text.isascii())
    )


Shape = Callable[[Reply], bool]
"""Whether a reply can be the answer to a certain request."""


def bare(reply: Reply) -> bool:
    """The answer to a set, a start, a stop: the prompt alone."""
    return not reply.lines


@dataclass(frozen=True, slots=True)
class Status:
    """The answer to ``status``: all of it is about the current direction."""

    rate_fl_s: int
    volume_fl: int
    infusing: bool
    """Whether the current direction is to infuse."""
    moving: bool
    at_limit: str
    stalled: bool
    at_target: bool

    @property
    def rate(self) -> Rate:
        """Whole nanolitres per hour, rounded down: 1 fL/s is 0.0036 nL/h."""
        return Rate(self.rate_fl_s * 36 // 10_000)

    @property
    def volume(self) -> Volume:
        """Whole nanolitres, rounded down."""
        return Volume(self.volume_fl // _FL_PER_NL)


def parse_status(line: str) -> Status | None:
    """Rate fL/s, time, volume fL, and six flags (Elite) or five (PHD Ultra, without the target's).

    Its time is in clock cycles or in seconds; nothing here depends on it.
    """
    match = _STATUS.fullmatch(line.strip())
    if match is None:
        return None
    direction = match[4]
    return Status(
        rate_fl_s=int(match[1]),
        volume_fl=int(match[3]),
        infusing=direction in "Ii",
        moving=direction.isupper(),
        at_limit=match[5].replace(".", ""),
        stalled=match[6] == "S",
        at_target=match[9] == "T",
    )


def is_status(reply: Reply) -> bool:
    return parse_status(reply.line) is not None


def is_version(reply: Reply) -> bool:
    """The answer to ``version`` or ``ver``, from any model: it can be the answer to nothing else."""
    return not reply.error and any(
        _VERSION.search(line) or "irmware" in line for line in reply.lines
    )


def parse_identity(version: tuple[str, ...], ver: tuple[str, ...] = ()) -> Identity:
    """Who answered ``version``, and ``ver`` if that was needed.  An unknown form is kept whole."""
    named: dict[str, str] = {}
    for line in version:
        name, _, value = line.partition(":")
        named[name.strip()] = value.strip()
    short = ver[0].strip() if ver else ""
    found = _VERSION.search(named.get("Firmware", "")) or _VERSION.search(" ".join(version))
    found = found or _VERSION.search(short)
    model = _VERSION.sub("", short).strip() or "Harvard/KDS"
    return Identity(
        model=model,
        firmware=found[1] if found else "",
        serial_number=named.get("Serial number", ""),
        raw=" / ".join(line.strip() for line in (*version, *ver)),
    )
