"""Numbers as a Harvard Elite, PHD Ultra or Legato reads, limits and writes them.

Read: plain decimals of any length, exactly (hosts send ``10.000000000000000 m``).  Written: at most six
significant digits, cut off and never rounded up, without trailing zeros, in the unit that makes it at
least one.  Inside, volumes are whole femtolitres and rates exact fractions of nL/h.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import pi

from sim.devices.base import NS_PER_S

FL_PER_NL = 1_000_000

_VOLUMES_FL = {"l": 10**15, "m": 10**12, "u": 10**9, "n": 10**6, "p": 10**3}
_WRITTEN = (("ml", 10**12), ("ul", 10**9), ("nl", 10**6), ("pl", 10**3))
_PER_HOUR = {"h": 1, "m": 60, "s": 3_600}
_TIME_WORDS = {"h": "h", "hr": "h", "m": "m", "min": "m", "s": "s", "sec": "s"}
_LONG_TIME = {"h": "hr", "m": "min", "s": "sec"}

_NUMBER = re.compile(r"(?:[0-9]{1,20}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-5][0-9]):([0-5][0-9])")
_DIGITS = 6

FASTEST_MM_MIN = 159.0045
SLOWEST_MM_MIN = 1.531154e-4
"""Plunger speed: 15.9 cm/min and 1.531e-5 cm/min fit every row of the Elite's appendix B; the last digits
are those of a Legato 100, which printed ``25.0404 nl/min to 26.0035 ml/min`` (for 14.43 mm)."""


class ArgumentRefused(Exception):
    """The argument is refused: ``argument`` as it came, and ``why`` as the pump explains it."""

    def __init__(self, argument: str, why: str) -> None:
        super().__init__(why)
        self.argument = argument
        self.why = why


@lru_cache(maxsize=1_024)
def number(text: str) -> Fraction:
    """A plain decimal.  Raises `ArgumentRefused`."""
    if not _NUMBER.fullmatch(text):
        raise ArgumentRefused(text, "Invalid number")
    return Fraction(Decimal(text))


def whole(text: str, low: int, high: int, why: str) -> int:
    """A count such as an address or a percentage.  Raises `ArgumentRefused`."""
    if not (text.isascii() and text.isdigit()):
        raise ArgumentRefused(text, "Invalid number")
    if len(text) > 8 or not low <= int(text) <= high:
        raise ArgumentRefused(text, why)
    return int(text)


@lru_cache(maxsize=256)
def volume_fl(value: str, unit: str) -> int:
    """A volume in whole fL, cut off; units ``l``, ``m``/``ml``, ``u``, ``n``, ``p``.  Raises `ArgumentRefused`."""
    short = unit.lower()
    short = short[:-1] if len(short) == 2 and short.endswith("l") else short
    if short not in _VOLUMES_FL:
        raise ArgumentRefused(unit, "Unknown units")
    return int(number(value) * _VOLUMES_FL[short])


@lru_cache(maxsize=256)
def rate_nl_h(value: str, unit: str) -> Fraction:
    """A rate; units ``m/m``, ``ul/min``, ``nl/hr``...  Raises `ArgumentRefused`."""
    volume, _, time = unit.lower().partition("/")
    short = volume[:-1] if len(volume) == 2 and volume.endswith("l") else volume
    if short not in _VOLUMES_FL or short == "l" or time not in _TIME_WORDS:
        raise ArgumentRefused(unit, "Unknown units")
    per_hour = _PER_HOUR[_TIME_WORDS[time]]
    return number(value) * _VOLUMES_FL[short] * per_hour / FL_PER_NL


def time_base(unit: str) -> str:
    """``h``, ``m`` or ``s`` of a rate's unit, which `rate_nl_h` has accepted."""
    return _TIME_WORDS[unit.lower().partition("/")[2]]


def duration_ns(text: str) -> int:
    """Seconds, with decimals, or ``hh:mm:ss``.  Raises `ArgumentRefused`."""
    match = _CLOCK.fullmatch(text)
    if match is not None:
        hours, minutes, seconds = (int(part) for part in match.groups())
        return (hours * 3_600 + minutes * 60 + seconds) * NS_PER_S
    return int(number(text) * NS_PER_S)


# -- written ----------------------------------------------------------------------------------------


def significant(numerator: int, denominator: int = 1) -> str:
    """Six significant digits at most of a number that is not negative, cut off; no trailing zeros."""
    whole = numerator // denominator
    places = _DIGITS - len(str(whole)) if whole else _DIGITS
    if places <= 0:
        return str(whole // 10**-places * 10**-places)
    digits = f"{numerator * 10**places // denominator:0{places + 1}d}"
    return f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")


def format_volume(fl: int) -> str:
    """Such as ``1.69023 ul``; nothing at all is ``0 ul``."""
    unit, size = _written_unit(fl)
    return f"{significant(fl, size)} {unit}"


@lru_cache(maxsize=256)
def format_rate(nl_h: Fraction, base: str = "m") -> str:
    """Such as ``199.49 ul/min``; ``base`` is the time of the unit."""
    fl = nl_h * FL_PER_NL / _PER_HOUR[base]
    unit, size = _written_unit(fl)
    return f"{significant(fl.numerator, fl.denominator * size)} {unit}/{_LONG_TIME[base]}"


def _written_unit(fl: int | Fraction) -> tuple[str, int]:
    """The largest unit in which it is at least one."""
    for row in _WRITTEN:
        if fl >= row[1]:
            return row
    return _WRITTEN[-1] if fl else ("ul", _VOLUMES_FL["u"])


def format_duration(ns: int) -> str:
    """``30 seconds`` below a minute, ``hh:mm:ss`` from there on."""
    if ns < 60 * NS_PER_S:
        return format_seconds(ns)
    seconds = ns // NS_PER_S
    return f"{seconds // 3_600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def format_seconds(ns: int) -> str:
    """Seconds with what milliseconds there are."""
    text = f"{ns // NS_PER_S}.{ns // 1_000_000 % 1_000:03d}".rstrip("0").rstrip(".")
    return f"{text} seconds"


def format_mm(tenths_um: int) -> str:
    """A diameter with its four decimals."""
    return f"{tenths_um // 10_000}.{tenths_um % 10_000:04d}"


# -- limits -----------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def rate_limits_nl_h(tenths_um: int) -> tuple[Fraction, Fraction]:
    """Slowest and fastest rate for this diameter, as they are printed: to six digits."""
    area_mm2 = pi / 4 * (tenths_um / 10_000) ** 2
    return _printed(SLOWEST_MM_MIN * area_mm2), _printed(FASTEST_MM_MIN * area_mm2)


def _printed(ul_min: float) -> Fraction:
    """mm3/min are uL/min; rounded to what the pump can write, and then in nL/h."""
    return Fraction(Decimal(f"{ul_min:.5e}")) * 60_000
