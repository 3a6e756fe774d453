"""Quantities on a command line: digits, a point, and no other way to write a number.

No sign, exponent, comma or infinity, and no digits that would be rounded away: each of those has been
misread before.  The unit stands in the option's name.
"""

from __future__ import annotations

import re
from decimal import Decimal

from controller.cli.outcome import Usage

DIGITS_MAX = 5
"""Before the point; a larger number of any unit here is a slip."""


def number(option: str, text: str, *, decimals: int) -> Decimal:
    """The number that ``text`` writes, above zero.  Raises `Usage` naming option, value and form."""
    form = rf"(0|[1-9][0-9]{{0,{DIGITS_MAX - 1}}})(\.[0-9]{{1,{decimals}}})?"
    if not re.fullmatch(form, text, re.ASCII):
        raise Usage(
            f"{option} {_shown(text)}: must be digits, at most {DIGITS_MAX}, "
            f"with at most {decimals} decimals behind a point, as in 7.5"
        )
    value = Decimal(text)
    if value == 0:
        raise Usage(f"{option} {text}: must be above 0")
    return value


def _shown(text: str) -> str:
    return text if text.isprintable() and 0 < len(text) <= 40 else repr(text[:40])
