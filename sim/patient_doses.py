"""Doses and times in the words of the command line.

A dose is "10 mg over 60 s at 0 s", or "10 mg at 0 s" for one that is there at once; units s, min and h.
Every complaint is a `PatientError` that names what was wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sim.pharmacokinetics import PatientError

TIME_S_MAX = 1e7
"""About four months; every drug here is gone long before."""
DOSE_MG_MAX = 1e5
TIMES_MAX = 10_000

_NUMBER = r"(?P<{}>[^\s]+)"
_DOSE = re.compile(
    rf"{_NUMBER.format('mg')}\s+mg"
    rf"(?:\s+over\s+{_NUMBER.format('over')}\s+(?P<over_unit>\w+))?"
    rf"\s+at\s+{_NUMBER.format('at')}\s+(?P<at_unit>\w+)"
)
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Dose:
    """``mg`` given evenly from ``start_s`` to ``end_s``; at once when they are the same."""

    mg: float
    start_s: float
    end_s: float

    @property
    def at_once(self) -> bool:
        return self.end_s == self.start_s

    def between(self, start_s: float, end_s: float) -> float:
        """The milligrams that flow in between two moments."""
        if self.at_once:
            return 0.0
        overlap = min(end_s, self.end_s) - max(start_s, self.start_s)
        return self.mg * max(0.0, overlap) / (self.end_s - self.start_s)


def given_at_once(doses: Sequence[Dose], moment_s: float) -> float:
    """The milligrams that are there at once at ``moment_s``."""
    return sum(dose.mg for dose in doses if dose.at_once and dose.start_s == moment_s)


def given_between(doses: Sequence[Dose], start_s: float, end_s: float) -> float:
    """The milligrams that flow in between two moments."""
    return sum(dose.between(start_s, end_s) for dose in doses)


def changes(doses: Sequence[Dose], times_s: Sequence[float]) -> list[float]:
    """Every moment up to the last of ``times_s`` at which a dose changes or somebody asks, in order."""
    edges = {moment for dose in doses for moment in (dose.start_s, dose.end_s)}
    return sorted({*times_s, *(one for one in edges if one <= times_s[-1])})


def parsed_number(text: str, what: str, limit: float = TIME_S_MAX, *, lowest: float = 0.0) -> float:
    """A plain number from ``lowest`` to ``limit``.  Raises `PatientError` naming what was wrong."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if "_" in text or not lowest <= value <= limit:
        raise PatientError(f"{what} {text!r}: not a number from {lowest:g} to {limit:g}")
    return value


def parsed_seconds(text: str, what: str, unit_s: float = 1.0) -> float:
    """A time from 0 to `TIME_S_MAX` in s, to the nearest microsecond.  Raises `PatientError`."""
    return round(parsed_number(text, what, TIME_S_MAX / unit_s) * unit_s, 6)


def parsed_dose(text: str) -> Dose:
    """A dose in the words of the command line.  Raises `PatientError` naming what was wrong."""
    found = _DOSE.fullmatch(text.strip())
    if found is None:
        raise PatientError(
            f'--dose {text!r}: write it like "10 mg over 60 s at 0 s" or "10 mg at 0 s"'
        )
    what = f"--dose {text!r}:"
    mg = parsed_number(found["mg"], what, DOSE_MG_MAX)
    start_s = _parsed_time(found["at"], found["at_unit"], what)
    if found["over"] is None:
        return Dose(mg, start_s, start_s)
    over_s = _parsed_time(found["over"], found["over_unit"], what)
    if over_s == 0:
        raise PatientError(f"{what} over 0 s; leave out 'over' for a dose given at once")
    return Dose(mg, start_s, start_s + over_s)


def _parsed_time(number: str, unit: str, what: str) -> float:
    if unit not in _SECONDS:
        raise PatientError(f"{what} unit {unit!r} is none of {', '.join(_SECONDS)}")
    return parsed_seconds(number, what, _SECONDS[unit])


def parsed_times(text: str) -> list[float]:
    """Ascending times in s.  Raises `PatientError` naming what was wrong."""
    parts = text.split(",")
    if len(parts) > TIMES_MAX:
        raise PatientError(f"--at: {len(parts)} times are more than {TIMES_MAX}")
    times = [parsed_seconds(part.strip(), "--at") for part in parts]
    for earlier, later in pairwise(times):
        if later <= earlier:
            raise PatientError(f"--at: {later:g} does not come after {earlier:g}")
    return times
