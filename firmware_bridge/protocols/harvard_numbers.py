"""Harvard numbers: quantities as the pump can be told them and as it tells them, never rounded up.

Answerable for texts and units, exactly: what a text says is held as a fraction, so that "more than was
asked for" is decided before anything is rounded.  Not for what is asked (`harvard`).
Sources: publication 5420-002 Rev C, pages 52-60 (units, at most six significant digits in an answer),
and recorded traffic of a Legato 100.

Rates are always sent *per minute*: the pump answers so, whatever it was told, and only then does its own
six-digit answer repeat the six digits that were sent.  100 mL/h would come back as 1.66667 ml/min, which
is more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from firmware_bridge.quantities import Rate, Volume

DIGITS = 6
"""Significant digits in an answer of the pump; nothing finer is sent (5420-002)."""

LOSS_PARTS = 1_000
"""A set whose accepted value is lower by more than 1 part in this many is refused [design]."""

DIAMETER_UM_MIN = 100
DIAMETER_UM_MAX = 50_000
"""0.1 to 50 mm, the range of the family's older command set; the pump itself may refuse sooner."""

_NL = {
    "l": Fraction(10**9),
    "ml": Fraction(10**6),
    "ul": Fraction(10**3),
    "nl": Fraction(1),
    "pl": Fraction(1, 10**3),
}
"""Nanolitres in one unit of volume."""

_PER_HOUR = {"s": 3_600, "sec": 3_600, "m": 60, "min": 60, "h": 1, "hr": 1, "hour": 1}
"""How often the unit of time, as the pump may spell it, goes into an hour."""

_SENT = ("ml", "ul", "nl")
_NUMBER = r"([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})"
_VOLUME = re.compile(rf"{_NUMBER} ?([munp]?l)", re.ASCII | re.IGNORECASE)
_RATE = re.compile(rf"{_NUMBER} ?([munp]l)/(s|sec|m|min|h|hr|hour)", re.ASCII | re.IGNORECASE)
_LIMITS = re.compile(r"(.+?) to (.+)", re.ASCII)
_DIAMETER = re.compile(rf"{_NUMBER} ?mm", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told:
    """What is sent for an amount, and what exactly that text stands for."""

    text: str
    amount: Fraction
    """Nanolitres for a volume, nanolitres per hour for a rate."""


def volume_text(volume: Volume) -> Told | None:
    """``volume`` in the pump's six digits, rounded down; ``None`` where nothing of it is left."""
    return _told(Fraction(volume.nl), 1, "")


def rate_text(rate: Rate) -> Told | None:
    """``rate`` in the pump's six digits per minute, rounded down; ``None`` where nothing is left."""
    return _told(Fraction(rate.nl_h), 60, "/min")


def parse_volume(text: str) -> Fraction | None:
    """The nanolitres that ``1.69023 ul`` says; ``None`` if it is no volume."""
    match = _VOLUME.fullmatch(text.strip())
    return None if match is None else _exact(match[1]) * _NL[match[2].lower()]


def parse_rate(text: str) -> Fraction | None:
    """The nanolitres per hour that ``199.49 ul/min`` says; ``None`` if it is no rate."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        return None
    return _exact(match[1]) * _NL[match[2].lower()] * _PER_HOUR[match[3].lower()]


def parse_rate_limits(text: str) -> tuple[Rate, Rate] | None:
    """Slowest and fastest rate in ``25.0404 nl/min to 26.0035 ml/min``, rounded inwards."""
    match = _LIMITS.fullmatch(text.strip())
    slow = parse_rate(match[1]) if match else None
    fast = parse_rate(match[2]) if match else None
    if slow is None or fast is None or fast < slow:
        return None
    return Rate(-int(-slow // 1)), Rate(int(fast // 1))


def parse_diameter_um(text: str) -> Fraction | None:
    """The micrometres that ``7.2620 mm`` says; ``None`` if it is no diameter."""
    match = _DIAMETER.fullmatch(text.strip())
    return None if match is None else _exact(match[1]) * 1_000


def diameter_text(diameter_um: int) -> str:
    """The diameter in millimetres, exactly: the pump holds four decimals.

    Raises `ValueError` outside 0.1 to 50 mm.
    """
    if not DIAMETER_UM_MIN <= diameter_um <= DIAMETER_UM_MAX:
        raise ValueError(f"{diameter_um / 1000} mm is outside 0.1 to 50 mm")
    return f"{diameter_um // 1000}.{diameter_um % 1000:03d}"


def volume_down(amount: Fraction) -> Volume:
    """The whole nanolitres in ``amount``."""
    return Volume(int(amount // 1))


def rate_down(amount: Fraction) -> Rate:
    """The whole nanolitres per hour in ``amount``."""
    return Rate(int(amount // 1))


def lost_too_much(asked: Fraction | int, accepted: Fraction) -> bool:
    """Whether ``accepted`` is above ``asked``, or below it by more than the stated part."""
    return accepted > asked or (asked - accepted) * LOSS_PARTS > asked


def display_step(size: Volume) -> Volume:
    """The coarsest step of the delivered volume that the pump shows over a whole syringe of ``size``."""
    return Volume(max(1, 10 ** max(0, len(str(size.nl)) - DIGITS)))


def _told(amount: Fraction, per: int, suffix: str) -> Told | None:
    """``amount`` in the largest unit of which it holds at least one, else in the smallest."""
    for unit in _SENT:
        factor = _NL[unit] * per
        if amount >= factor or unit == _SENT[-1]:
            text = _six_digits(amount / factor)
            if text is None:
                return None
            return Told(f"{text} {unit}{suffix}", _exact(text) * factor)
    return None


def _six_digits(value: Fraction) -> str | None:
    """The longest text of at most six significant digits that is not above ``value``."""
    whole = int(value // 1)
    decimals = DIGITS - (len(str(whole)) if whole else 0)
    if decimals < 0:  # a whole part beyond six digits: the lower ones become zeros
        cut = 10**-decimals
        return str(whole // cut * cut)
    scaled = int(value * 10**decimals // 1)
    if scaled == 0:
        return None
    if decimals == 0:
        return str(scaled)
    digits = f"{scaled:0{decimals + 1}d}"
    tail = digits[-decimals:].rstrip("0")
    return f"{digits[:-decimals]}.{tail}" if tail else digits[:-decimals]


def _exact(text: str) -> Fraction:
    whole, _, part = text.partition(".")
    return Fraction(int((whole or "0") + part), 10 ** len(part))
