"""Fresenius Orchestra replies and numbers: what the text of a frame says.

Answerable for meaning, not for bytes (`fresenius_frames`) nor for what to do about it (`fresenius`).
Source: the open driver infupy, the only one there is; it reads rates and volumes as hex digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from firmware_bridge.quantities import Rate, Volume

ERRORS = {
    "01": "unknown command",
    "02": "not in this mode",
    "03": "not in this state",
    "04": "syntax",
    "05": "mode not authorised",
    "06": "mode already active",
    "07": "mode change not possible from this mode",
    "08": "beyond a limit",
    "09": "mode change not possible in this state",
    "0A": "identifier unused",
    "0B": "identifier wrong",
    "0C": "message too long",
    "0D": "the base is not open",
    "0E": "the module cannot be reached",
    "12": "an alarm is present",
    "14": "no rate set",
    "15": "volume too small for a bolus",
    "16": "empty-syringe mode impossible",
    "1A": "event number",
    "1E": "the module is not open",
    "1F": "a module is not in manual mode",
    "20": "not on this port",
    "22": "the new mode is not authorised",
    "24": "connection mode",
    "25": "drug number",
}

NOT_OPEN = ("0D", "1E")
"""The pump knows nothing of this session: never opened, or reset since."""

ALREADY = "06"
IN_ALARM = "12"
WRONG_STATE = "03"

RATE_STEP = 100_000  # nL/h in a digit of a rate, 0.1 mL/h
VOLUME_STEP = 1_000  # nL in a digit of a volume, 0.001 mL

_REPLY = re.compile(r"([0-5])(?:C(?:;(.*))?|I;(.*))")
_HEX = re.compile(r"[0-9A-Fa-f]{1,8}")
_SPONTANEOUS_ALARM = re.compile(r"[0-5]?E;(?:.*;)?a([0-9A-Fa-f]{1,8})(?:;.*)?")


@dataclass(frozen=True, slots=True)
class Reply:
    """One understood answer: data, or the code of a refusal."""

    address: int
    data: str
    error: str
    raw: bytes


def parse_reply(text: str, raw: bytes) -> Reply | None:
    """The reply in ``text``; ``None`` if it is none, as what the pump says by itself."""
    match = _REPLY.fullmatch(text)
    if match is None:
        return None
    return Reply(int(match[1]), match[2] or "", match[3] or "", raw)


def describe(error: str) -> str:
    """A refusal in words."""
    return f"I;{error}: {ERRORS.get(error, 'an unknown error')}"


Fits = Callable[[Reply], bool]
"""Whether a reply that is no refusal can be the answer to a certain request."""


def variable(data: str, identifier: str) -> int | None:
    """The value of one variable in an answer such as ``d0032``; ``None`` if it is not there."""
    for part in data.split(";"):
        if part[:1] == identifier and _HEX.fullmatch(part, 1):
            return int(part[1:], 16)
    return None


def bare(reply: Reply) -> bool:
    """The answer to a command: done, and nothing more."""
    return not reply.data


def holds(identifier: str) -> Fits:
    """The answer to a question for one variable."""
    return lambda reply: variable(reply.data, identifier) is not None


def spontaneous_alarm(text: str) -> int:
    """The value of the alarm variable that the pump tells of by itself; 0 for anything else."""
    match = _SPONTANEOUS_ALARM.fullmatch(text)
    return 0 if match is None else int(match[1], 16)


class SetArgument(Enum):
    """How a rate or a volume is told to the pump.  No source shows it; hex is how it shows them itself."""

    HEX = "hex"
    DECIMAL = "decimal"

    def rate(self, rate: Rate) -> str:
        """``rate`` in tenths of mL/h, four digits, rounded down."""
        tenths = rate.nl_h // RATE_STEP
        return f"{tenths:04X}" if self is SetArgument.HEX else f"{tenths:04d}"

    def volume(self, volume: Volume) -> str:
        """``volume`` in thousandths of mL, six digits, rounded down."""
        thousandths = volume.nl // VOLUME_STEP
        return f"{thousandths:06X}" if self is SetArgument.HEX else f"{thousandths:06d}"

    @property
    def fastest(self) -> Rate:
        """The highest rate that four digits can say."""
        return Rate((0xFFFF if self is SetArgument.HEX else 9_999) * RATE_STEP)
