"""Alaris GH/Asena replies: what the fields of a frame from the pump say.

Answerable for meaning, not for bytes (`alaris_frames`) nor for what to do about it (`alaris`).  Fields
are split by ``^``; the first one names the request that is answered.  Source: the open drivers OpenICE
(Asena) and infupy; the official expansions of the alarm codes were not found, so they are read by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from firmware_bridge.dialect import Identity
from firmware_bridge.messages import PumpAlarm
from firmware_bridge.quantities import Duration, Rate, Volume

NO_ALARM = ("", "-", "AL_NOALM")

ALARMS = {
    "AL_OCCLU": PumpAlarm.OCCLUSION,
    "AL_COMTO": PumpAlarm.LEASE_EXPIRED,
    "AL_NEOIN": PumpAlarm.EMPTY,
    "AL_EOIKV": PumpAlarm.EMPTY,
    "AL_EOIST": PumpAlarm.EMPTY,
    "AL_LWBAT": PumpAlarm.BATTERY,
    "AL_EMBAT": PumpAlarm.BATTERY,
    "AL_LBTAC": PumpAlarm.BATTERY,
    "AL_ACDIS": PumpAlarm.BATTERY,
}
"""Codes that one bit says.  Every other code, known or not, is an internal fault with its raw text."""

COMPLETE = ("AL_VTBIS", "AL_EOIST")
"""The target is reached and the pump has stopped; no alarm where the counter says so too."""

GOES_ON = ("AL_VTBIC", "AL_VTBIK", "AL_EOIKV")
"""The target is reached and the pump goes on, or keeps the vein open."""

_MPA_PER_MMHG = 133_322  # millipascal in a millimetre of mercury

_NUMBER = re.compile(r" *([0-9]{1,6})(?:\.([0-9]{0,3}))?", re.ASCII)
_SERIAL = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,39}", re.ASCII)
_PROTOCOL = re.compile(r"(.+?) (Rev .+)", re.ASCII)

Fields = tuple[str, ...]
Fits = Callable[[Fields], bool]
"""Whether fields can be the answer to a certain request."""


def split(text: str) -> Fields:
    return tuple(text.split("^"))


def thousandths(text: str) -> int | None:
    """A number of the pump in thousandths, such as ``26.70`` or `` 50``; ``None`` if it is none."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    return int(match[1]) * 1_000 + int((match[2] or "").ljust(3, "0"))


def parse_rate(fields: Fields) -> Rate | None:
    """The rate in an answer such as ``INF_RATE^3.50^ml/h``; ``None`` if there is none."""
    if len(fields) != 3 or fields[2] != "ml/h":
        return None
    value = thousandths(fields[1])
    return None if value is None else Rate(value * 1_000)


def parse_infused(fields: Fields) -> Volume | None:
    """The volume in an answer such as ``INF_VI^7.412^ml``; ``None`` if there is none."""
    if len(fields) != 3 or fields[2] != "ml":
        return None
    value = thousandths(fields[1])
    return None if value is None else Volume(value * 1_000)


@dataclass(frozen=True, slots=True)
class Target:
    """The pump's volume to be infused: ``state`` is ``ACTIV`` or another word, ``at_end`` the action."""

    state: str
    volume: Volume | None
    at_end: str


def parse_target(fields: Fields) -> Target | None:
    """An answer to ``INF_VTBI``, whose volume may be empty; ``None`` if it is none."""
    if len(fields) != 5 or fields[3] != "ml":
        return None
    if not fields[2].strip():
        return Target(fields[1], None, fields[4])
    value = thousandths(fields[2])
    return None if value is None else Target(fields[1], Volume(value * 1_000), fields[4])


@dataclass(frozen=True, slots=True)
class Status:
    """The answer to ``INF``."""

    alarm: str
    """A code, or empty."""
    rate: Rate
    infused: Volume
    pressure_pa: int


def parse_status(fields: Fields) -> Status | None:
    """The status in an answer to ``INF``; ``None`` if it is none."""
    if len(fields) != 14 or (fields[5], fields[8], fields[10]) != ("ml/h", "ml", "mmHg"):
        return None
    rate, infused = thousandths(fields[4]), thousandths(fields[7])
    if rate is None or infused is None:
        return None
    alarm = "" if fields[2].strip() in NO_ALARM else fields[2].strip()
    return Status(alarm, Rate(rate * 1_000), Volume(infused * 1_000), _pascal(fields[9]))


def _pascal(text: str) -> int:
    """A pressure in mmHg as whole pascal; below nothing, or unreadable, counts as nothing."""
    return (thousandths(text) or 0) * _MPA_PER_MMHG // 1_000_000


def parse_alarms(fields: Fields) -> tuple[str, ...] | None:
    """The codes in an answer to ``ALARM``, none or several; ``None`` if it is none."""
    if not 2 <= len(fields) <= 8:
        return None
    return tuple(code for field in fields[1:] if (code := field.strip()) not in NO_ALARM)


def alarm_of(codes: Iterable[str]) -> PumpAlarm:
    """What ``codes`` mean; a code that nobody documented is an internal fault, never nothing."""
    alarms = PumpAlarm.NONE
    for code in codes:
        alarms |= ALARMS.get(code, PumpAlarm.INTERNAL_FAULT)
    return alarms


@dataclass(frozen=True, slots=True)
class MountedSyringe:
    """What the operator confirmed at the pump."""

    kind: str
    size: Volume
    confirmed: bool


def parse_syringe(fields: Fields) -> MountedSyringe | None:
    """The answer to ``SYRINGE_STATUS``, such as ``BD PLASTIPAK^ 50^CONF``; ``None`` if it is none."""
    if len(fields) != 4:
        return None
    size = thousandths(fields[2])
    if size is None:
        return None
    return MountedSyringe(fields[1].strip(), Volume(size * 1_000), fields[3].strip() == "CONF")


def parse_response_max(fields: Fields) -> Duration | None:
    """How long the pump says it may take to answer; ``None`` if it says nothing of the kind."""
    if (
        len(fields) != 3
        or fields[2] != "ms"
        or not re.fullmatch(r"[0-9]{1,5}", fields[1], re.ASCII)
    ):
        return None
    return Duration(int(fields[1]))


def is_serial(fields: Fields) -> bool:
    """Whether fields answer ``INST_SERIALNO``."""
    if fields[0] != "INST_SERIALNO" or len(fields) != 2:
        return False
    return _SERIAL.fullmatch(fields[1]) is not None


def identity_of(serial: str, protocol: str) -> Identity:
    """Who answered.  An unknown form of the protocol's name is kept whole, never fatal."""
    match = _PROTOCOL.fullmatch(protocol)
    model, firmware = (match[1], match[2]) if match else (protocol, "")
    return Identity(f"Alaris {model}".strip(), firmware, serial, f"{serial}^{protocol}")


def rate_text(rate: Rate) -> str:
    """``rate`` for the pump in mL/h with two decimals, rounded down to 0.01 mL/h."""
    hundredths = rate.nl_h // 10_000
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def volume_text(volume: Volume) -> str:
    """``volume`` for the pump in mL with three decimals, rounded down to 0.001 mL."""
    value = volume.nl // 1_000
    return f"{value // 1_000}.{value % 1_000:03d}"
