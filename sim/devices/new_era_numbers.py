"""Numbers as a New Era pump reads, limits and writes them.

Inside, a number is a whole count of thousandths, because three decimals are all the protocol has.
Read: four digits and one point at most, anywhere or nowhere (``1234.``, ``.5``, ``600``); of longer
decimals, which hosts in the field send (``26.700``), what fits.  Written: five characters, four digits
and a point.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from sim.mechanics import PARTS_PER_NL

_OZ_NL_THOUSANDTH = Fraction(295_735_295_625, 10_000_000)
"""A US fluid ounce is 29.5735295625 mL (NIST Handbook 44, appendix C)."""

RATE_UNITS_NL_H: dict[str, int | Fraction] = {
    "UM": 60,
    "MM": 60_000,
    "UH": 1,
    "MH": 1_000,
    "MS": 3_600_000,
    "OM": _OZ_NL_THOUSANDTH * 60,
    "OS": _OZ_NL_THOUSANDTH * 3_600,
}
"""nL/h in one thousandth of uL/min, mL/min, uL/h, mL/h, mL/s, oz/min, oz/s."""

VOLUME_UNITS_PARTS = {
    "UL": PARTS_PER_NL,
    "ML": 1_000 * PARTS_PER_NL,
    "OZ": int(_OZ_NL_THOUSANDTH * PARTS_PER_NL),
}
"""Parts in one thousandth of uL, mL, oz; each a whole number of them."""

_NUMBER = re.compile(r"([0-9]*)(?:\.([0-9]*))?")
_MAX_DIGITS = 4
_MAX_DECIMALS = 3


class Refusal(Exception):
    """The command is refused; ``data`` is what stands in the answer's data field."""

    def __init__(self, data: str) -> None:
        super().__init__(data)
        self.data = data


UNKNOWN = "?"
NOT_NOW = "?NA"
OUT_OF_RANGE = "?OOR"
BAD_PACKET = "?COM"
IGNORED = "?IGN"


@lru_cache(maxsize=1_024)
def parse_number(text: str, *, cut_decimals: bool = True) -> int:
    """Thousandths.  Raises `Refusal`: ``?`` for what is no number, ``?OOR`` for one that is too long.

    Decimals that do not fit are cut off, or refused (quirk ``excess_decimals``); a number that would be
    cut down to nothing is refused, because a volume of nothing means "without end".
    """
    match = _NUMBER.fullmatch(text)
    if match is None or text in {"", "."}:
        raise Refusal(UNKNOWN)
    whole, decimals = match[1], match[2] or ""
    if len(whole) + len(decimals) > _MAX_DIGITS or len(decimals) > _MAX_DECIMALS:
        whole = whole.lstrip("0")
        kept = decimals[: min(_MAX_DECIMALS, _MAX_DIGITS - len(whole))]
        nothing_left = not (whole or kept.strip("0"))
        if not cut_decimals or len(whole) > _MAX_DIGITS or (nothing_left and decimals.strip("0")):
            raise Refusal(OUT_OF_RANGE)
        decimals = kept
    return int(whole or "0") * 1_000 + int(decimals.ljust(_MAX_DECIMALS, "0"))


def parse_whole(text: str, low: int, high: int) -> int:
    """A count such as a phase, an address, a time-out in s.  Raises `Refusal`."""
    if not (text.isascii() and text.isdigit()):
        raise Refusal(UNKNOWN)
    if len(text) > _MAX_DIGITS or not low <= int(text) <= high:
        raise Refusal(OUT_OF_RANGE)
    return int(text)


@lru_cache(maxsize=1_024)
def format_number(thousandths: int) -> str:
    """Four digits and a point, cut off, never rounded; ``1500.`` from 1000 on."""
    if thousandths >= 1_000_000:
        return f"{thousandths // 1_000}."
    digits = f"{thousandths:04d}"
    return f"{digits[:-3]}.{digits[-3:]}"[:5]


def format_pointless(thousandths: int) -> str:
    """The same without the point at the end: ``1500`` from 1000 on."""
    return format_number(thousandths).removesuffix(".")
