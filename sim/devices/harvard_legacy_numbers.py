"""Numbers as the older Harvard pumps read, limit and write them: five characters, point included.

Inside, a number is a whole count of thousandths of its unit.  Longer decimals are cut off, as hosts have
it; a number that does not fit before the point is out of range.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import pi

RATE_UNITS_NL_H = {"UM": 60, "MM": 60_000, "UH": 1, "MH": 1_000}
"""nL/h in one thousandth of uL/min, mL/min, uL/h, mL/h."""

RATE_TEXTS = {"UM": "ul/mn", "MM": "ml/mn", "UH": "ul/hr", "MH": "ml/hr"}

VOLUME_UNITS_NL = {"UL": 1, "ML": 1_000}
"""nL in one thousandth of uL, mL."""

WIDTH = 5
LARGEST = 9_999_000

_NUMBER = re.compile(r"([0-9]{0,12})(?:\.([0-9]{0,30}))?")

FASTEST_MM_MIN = 159.0
SLOWEST_MM_MIN = 1.531e-4
"""Plunger speed of the Pump 11 Elite (5420-002 Rev C, appendix B); the older tables are not at hand."""


class Refusal(Exception):
    """The command is refused: one of the words below."""


SYNTAX = "?"
NOT_NOW = "NA"
OUT_OF_RANGE = "OOR"


def parse(text: str) -> int:
    """Thousandths.  Raises `Refusal`."""
    match = _NUMBER.fullmatch(text)
    if match is None or text in {"", "."}:
        raise Refusal(SYNTAX)
    whole, decimals = match[1].lstrip("0"), match[2] or ""
    if len(whole) > WIDTH - 1:
        raise Refusal(OUT_OF_RANGE)
    kept = decimals[: min(3, WIDTH - 1 - len(whole))]
    return int(whole or "0") * 1_000 + int(kept.ljust(3, "0"))


def write(thousandths: int) -> str:
    """Five characters, cut off, never rounded: ``0.500``, ``14.43``, ``1000.`` and so on."""
    value = min(thousandths, LARGEST + 999)
    digits = f"{value:04d}"
    return f"{digits[:-3]}.{digits[-3:]}"[:WIDTH]


@lru_cache(maxsize=64)
def rate_limits_nl_h(diameter_um: int) -> tuple[float, float]:
    """Slowest and fastest rate for this diameter."""
    area_mm2 = pi / 4 * (diameter_um / 1_000) ** 2
    return SLOWEST_MM_MIN * area_mm2 * 60_000, FASTEST_MM_MIN * area_mm2 * 60_000
