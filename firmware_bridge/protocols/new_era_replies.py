"""New Era replies: what the text of a frame from the pump says.

Answerable for meaning, not for bytes (`new_era_frames`) nor for what to do about it (`new_era`).
Source: NE-1000 manual, publication 1200-01, section 10.2 (status letters, alarms, command errors).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from firmware_bridge.dialect import Identity
from firmware_bridge.errors import ProtocolError
from firmware_bridge.messages import PumpAlarm, PumpState
from firmware_bridge.protocols.new_era_numbers import VOLUME_UNITS, parse_thousandths
from firmware_bridge.quantities import Volume

ALARMS = {
    "R": PumpAlarm.RESET,
    "S": PumpAlarm.OCCLUSION,
    "T": PumpAlarm.LEASE_EXPIRED,
    "E": PumpAlarm.INTERNAL_FAULT,
    "O": PumpAlarm.INTERNAL_FAULT,
}
"""Reset or power lost, motor stalled, safe-mode time-out, program error, program phase out of range."""

ERRORS = {
    "?": "the pump does not know this command",
    "?NA": "not applicable now, for example because the pump is running",
    "?OOR": "out of the pump's range",
    "?COM": "the packet arrived damaged",
    "?IGN": "ignored, because a new program phase began at the same moment",
}
RETRYABLE = ("?COM", "?IGN")
"""Errors that say nothing against the command itself."""

STATES = {
    "I": PumpState.RUNNING,
    "W": PumpState.RUNNING,
    "X": PumpState.RUNNING,
    "P": PumpState.PAUSED,
    "S": PumpState.STOPPED,
    # A timed pause or a wait for a trigger ends in motion that this host did not start.
    "T": PumpState.UNKNOWN,
    "U": PumpState.UNKNOWN,
}

_REPLY = re.compile(r"([0-9]{1,2})([IWSPTUXA])(.*)", re.ASCII)
_COUNTERS = re.compile(r"I([0-9.]{1,6})W([0-9.]{1,6})(UL|ML)", re.ASCII)
_VERSION = re.compile(r"NE(.+?)(?:X[0-9]*)?V([0-9]+\.[0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reply:
    """One understood frame: status letter, and either data, an error or an alarm."""

    address: int
    status: str
    data: str
    raw: bytes

    @property
    def alarm(self) -> PumpAlarm:
        """The alarm, or none.  An alarm type that nobody documented is an internal fault."""
        if self.status != "A":
            return PumpAlarm.NONE
        return ALARMS.get(self.data[1:], PumpAlarm.INTERNAL_FAULT)

    @property
    def error(self) -> str:
        """The error code with its question mark, or nothing."""
        return self.data if self.data.startswith("?") and self.status != "A" else ""


def parse_reply(text: str, raw: bytes) -> Reply | None:
    """The reply in ``text``; ``None`` if it is none.  An echo of our own request may look like one."""
    match = _REPLY.fullmatch(text)
    if match is None:
        return None
    address, status, data = match.groups()
    if status == "A" and not data.startswith("?"):
        return None
    return Reply(int(address), status, data, raw)


Shape = Callable[[str], bool]
"""Whether the data of a reply can be the answer to a certain request."""


def bare(data: str) -> bool:
    """The answer to a set, a start, a stop: status alone."""
    return not data


def is_version(data: str) -> bool:
    """The answer to ``VER``, from any model: it can be the answer to nothing else."""
    return len(data) > 3 and "V" in data and not data.startswith("?")


def parse_identity(data: str) -> Identity:
    """Who answered ``VER``.  An unknown form is kept whole, never fatal."""
    match = _VERSION.fullmatch(data)
    if match is None:
        return Identity(data, "", "", data)
    return Identity(f"NE-{match[1]}", match[2], "", data)


@dataclass(frozen=True, slots=True)
class Counters:
    """Delivered volumes since they were cleared, as the pump counts them."""

    infused: Volume
    withdrawn: Volume
    unit: str


@lru_cache(maxsize=16)  # each answer is looked at twice: can it be the answer, and what does it say
def parse_counters(data: str) -> Counters | None:
    """The answer to ``DIS``, such as ``I0.056W0.000ML``; ``None`` if it is none."""
    match = _COUNTERS.fullmatch(data)
    if match is None:
        return None
    infused, withdrawn = parse_thousandths(match[1]), parse_thousandths(match[2])
    if infused is None or withdrawn is None:
        return None
    factor = VOLUME_UNITS[match[3]]
    return Counters(Volume(infused * factor), Volume(withdrawn * factor), match[3])


def counters_of(reply: Reply) -> Counters:
    """The counters in a reply that `is_counters`; raises `ProtocolError` for any other."""
    counters = parse_counters(reply.data)
    if counters is None:
        raise ProtocolError("no counters", request=b"DIS", raw=reply.raw)
    return counters


def is_counters(data: str) -> bool:
    return parse_counters(data) is not None
