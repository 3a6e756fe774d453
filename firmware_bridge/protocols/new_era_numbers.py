"""New Era numbers: what the pump can be told, chosen so that nothing is ever rounded up.

Answerable for turning exact quantities into the pump's four-digit texts and back, and for the rate
limits of a syringe.  Sources: NE-1000 manual, publication 1200-01, section 10.2 (a number has at most
four digits and a point, at most three decimals) and section 12.5 (plunger speeds).

Every number is held in *thousandths* of its unit, an integer, since no text has more decimals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from firmware_bridge.quantities import Duration, Rate, Volume

RATE_UNITS = {"MH": 1_000, "MM": 60_000, "UH": 1, "UM": 60}
"""Nanolitres per hour in one thousandth of the unit, in the order of preference between equals."""

VOLUME_UNITS = {"ML": 1_000, "UL": 1}
"""Nanolitres in one thousandth of the unit, in the order of preference between equals."""

DIAMETER_UM_MIN = 100
DIAMETER_UM_MAX = 80_000
"""The widest range that drivers of the family use, 0.1 to 80 mm; the pump itself may refuse sooner."""

LEASE_S_MIN = 1
LEASE_S_MAX = 255
"""What ``SAF n`` can hold, in whole seconds; 0 would switch the dead-man off (manual 10.2.3)."""

LOSS_PARTS = 500
"""A set whose accepted value is lower by more than 1 part in this many is refused."""

_LARGEST = 9_999_999  # thousandths: "9999" is the largest text, whatever follows is cut
_NUMBER = re.compile(r"(?=.*[0-9])([0-9]{0,4})\.?([0-9]{0,3})", re.ASCII)

# Plunger speed 0.004205 cm/h to 5.1005 cm/min (manual 12.5), both in nanometres per hour.
_SPEED_NM_H_MIN = 42_050
_SPEED_NM_H_MAX = 3_060_300_000
_PI_E15 = 3_141_592_653_589_793


def thousandths_text(thousandths: int) -> str:
    """The longest text of at most four digits that is not above ``thousandths``.

    Raises `ValueError` above 9999, which the pump cannot be told.
    """
    if not 0 <= thousandths <= _LARGEST:
        raise ValueError(f"{thousandths / 1000} is outside 0 to 9999")
    whole, part = divmod(thousandths, 1_000)
    decimals = max(0, 4 - len(str(whole)))
    tail = f"{part:03d}"[:decimals]
    return f"{whole}.{tail}" if tail else str(whole)


def parse_thousandths(text: str) -> int | None:
    """A number of the pump in thousandths; ``None`` if it is not one.

    Takes the fixed five characters of a reply, and ``1500.`` as well as ``1500``: sources differ about
    the point of a real pump's larger numbers.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    whole, part = match.groups()
    if len(whole) + len(part) > 4:
        return None
    return int(whole or "0") * 1_000 + int(part.ljust(3, "0"))


@dataclass(frozen=True, slots=True)
class PumpNumber:
    """A value as the pump knows it: a text with its unit, and what that text stands for."""

    text: str
    unit: str
    amount: int
    """Nanolitres per hour for a rate, nanolitres for a volume."""


def _quantise(amount: int, units: dict[str, int]) -> PumpNumber | None:
    """``amount`` in the unit that loses least, rounded down; ``None`` where nothing of it is left."""
    best: PumpNumber | None = None
    for unit, factor in units.items():
        thousandths = amount // factor
        if not 0 < thousandths <= _LARGEST:
            continue
        text = thousandths_text(thousandths)
        kept = (parse_thousandths(text) or 0) * factor
        if best is None or kept > best.amount:
            best = PumpNumber(text, unit, kept)
    return best


def quantise_rate(rate: Rate, units: tuple[str, ...] = tuple(RATE_UNITS)) -> PumpNumber | None:
    """``rate`` for ``RAT``, never above it; ``None`` if no unit of ``units`` can hold any of it."""
    return _quantise(rate.nl_h, {unit: RATE_UNITS[unit] for unit in units})


def quantise_volume(volume: Volume) -> PumpNumber | None:
    """``volume`` for ``VOL``, never above it and never 0, which would mean *without end*."""
    return _quantise(volume.nl, VOLUME_UNITS)


def _parse_with_unit(text: str, units: dict[str, int]) -> PumpNumber | None:
    number, unit = text[:-2], text[-2:]
    thousandths = parse_thousandths(number)
    if thousandths is None or unit not in units:
        return None
    return PumpNumber(number, unit, thousandths * units[unit])


def parse_rate(text: str) -> PumpNumber | None:
    """The answer to ``RAT``, such as ``26.70MH``; ``None`` if it is none."""
    return _parse_with_unit(text, RATE_UNITS)


def parse_volume(text: str) -> PumpNumber | None:
    """The answer to ``VOL``, such as ``20.00ML``; ``None`` if it is none."""
    return _parse_with_unit(text, VOLUME_UNITS)


def diameter_text(diameter_um: int) -> str:
    """The diameter for ``DIA`` in millimetres, rounded *up* to what four digits can say.

    A diameter stated too small makes the plunger travel too far, so here up is the safe way: 14.427 mm
    becomes 14.43 and delivers 0.04 % too little, where 14.42 would deliver 0.1 % too much.
    Raises `ValueError` outside 0.1 to 80 mm.
    """
    if not DIAMETER_UM_MIN <= diameter_um <= DIAMETER_UM_MAX:
        raise ValueError(f"{diameter_um / 1000} mm is outside 0.1 to 80 mm")
    step = 1 if diameter_um < 10_000 else 10
    return thousandths_text(-(-diameter_um // step) * step)


def whole_seconds(lease: Duration) -> int | None:
    """The ``SAF`` time for ``lease``: never longer than it; ``None`` when it is below one second."""
    seconds = min(lease.ms // 1_000, LEASE_S_MAX)
    return seconds if seconds >= LEASE_S_MIN else None


def lost_too_much(asked: int, accepted: int) -> bool:
    """Whether ``accepted`` is above ``asked``, or below it by more than the stated part."""
    return accepted > asked or (asked - accepted) * LOSS_PARTS > asked


def rate_limits(diameter_um: int) -> tuple[Rate, Rate]:
    """The slowest and the fastest rate with a syringe of this inner diameter, rounded inwards.

    Rate = plunger speed x pi (d/2)^2.
    """
    # nm/h x um^2 x 1e15 is 4e21 times the rate in nL/h: 1 nL = 1e6 um^3, 1 um = 1e3 nm, pi in 1e-15, /4
    area = _PI_E15 * diameter_um * diameter_um
    scale = 4 * 10**24
    slowest = -(-_SPEED_NM_H_MIN * area // scale)
    return Rate(slowest), Rate(_SPEED_NM_H_MAX * area // scale)


def counter_step(size: Volume) -> Volume:
    """The coarsest step of the delivered-volume counter over a whole syringe of ``size``.

    The counter has four digits: 1 uL below 10 mL, 10 uL below 100 mL, else 100 uL.
    """
    if size.nl < 10_000_000:
        return Volume(1_000)
    return Volume(10_000) if size.nl < 100_000_000 else Volume(100_000)
