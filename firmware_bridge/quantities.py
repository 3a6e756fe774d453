"""Quantities that cannot lose their unit: mass, volume, rate, concentration and duration.

Each is a small frozen value object on one integer, so sums are exact and equal values are equal.
Operators exist only where physics has one.  Every division rounds *down*, because each of them ends
up as an amount of drug or the speed of its delivery, and a rounded dose is never larger than the
request.  Plain numbers appear only at the edges, with the unit in the name: ``Volume.from_ml(1.5)``,
``rate.ml_h``.

Not answerable for limits (drug library, gate) nor for what a pump can represent (dialects).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

Number = int | float | str | Decimal
"""What the edges hand in.  A float counts as the shortest decimal that names it: 0.1 is one tenth."""

_NL_PER_ML = 1_000_000
_UG_PER_MG = 1_000
_MS_PER_H = 3_600_000
_MS_PER_MIN = 60_000
_UG_NL_PER_UG_ML = 1_000_000  # 1 ug/mL is 1 ug in 10^6 nL


_LARGEST = 10**12
"""Beyond any pump, drug or visit by orders of magnitude: a slip, or an attack on the arithmetic."""
_TEXT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
"""Plain digits with a point: no sign, exponent, comma, underscore, or digit of another script."""


class QuantityError(ValueError):
    """The number is not one a quantity can hold: not finite, negative, or not a number at all."""


def _floor_scaled(value: Number, scale: int, what: str) -> int:
    """``value * scale`` rounded down to an integer, exactly.

    Raises `QuantityError` unless it is a number from 0 to `_LARGEST`; a text must be plain digits.
    """
    exact = _exact(value, what)
    if not exact.is_finite():
        raise QuantityError(f"{what}: {value!r} is not finite")
    if exact < 0:
        raise QuantityError(f"{what}: {value!r} is negative")
    if exact > _LARGEST:
        raise QuantityError(f"{what}: {value!r} is above {_LARGEST}")
    numerator, denominator = exact.as_integer_ratio()
    return numerator * scale // denominator


def _exact(value: Number, what: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise QuantityError(f"{what}: {value!r} is not a number")
    if isinstance(value, str) and not _TEXT.fullmatch(value):
        raise QuantityError(f"{what}: {value!r} is not a number")
    return value if isinstance(value, Decimal) else Decimal(str(value))


@dataclass(frozen=True, slots=True, order=True)
class Mass:
    """An amount of drug in whole micrograms."""

    ug: int

    def __post_init__(self) -> None:
        if self.ug < 0:
            raise QuantityError(f"mass in ug: {self.ug} is negative")

    @classmethod
    def from_mg(cls, mg: Number) -> Mass:
        """The mass of ``mg`` milligrams, rounded down to 1 ug.  Raises `QuantityError`."""
        return cls(_floor_scaled(mg, _UG_PER_MG, "mass in mg"))

    @property
    def mg(self) -> float:
        """Milligrams, for display and for the edges."""
        return self.ug / _UG_PER_MG

    def __add__(self, other: Mass) -> Mass:
        return Mass(self.ug + other.ug)

    def __sub__(self, other: Mass) -> Mass:
        """The difference; raises `QuantityError` when it would be negative."""
        return Mass(self.ug - other.ug)

    def times(self, numerator: int, denominator: int = 1) -> Mass:
        """``self * numerator / denominator``, rounded down."""
        return Mass(self.ug * numerator // denominator)

    def at(self, concentration: Concentration) -> Volume:
        """The volume that holds this mass, rounded down, so that it never holds more."""
        return Volume(self.ug * _UG_NL_PER_UG_ML // concentration.ug_ml)

    def __str__(self) -> str:
        return f"{_trimmed(self.ug, 3)} mg"


@dataclass(frozen=True, slots=True, order=True)
class Volume:
    """A volume in whole nanolitres."""

    nl: int

    def __post_init__(self) -> None:
        if self.nl < 0:
            raise QuantityError(f"volume in nL: {self.nl} is negative")

    @classmethod
    def from_ml(cls, ml: Number) -> Volume:
        """The volume of ``ml`` millilitres, rounded down to 1 nL.  Raises `QuantityError`."""
        return cls(_floor_scaled(ml, _NL_PER_ML, "volume in mL"))

    @property
    def ml(self) -> float:
        """Millilitres, for display and for the edges."""
        return self.nl / _NL_PER_ML

    def __add__(self, other: Volume) -> Volume:
        return Volume(self.nl + other.nl)

    def __sub__(self, other: Volume) -> Volume:
        """The difference; raises `QuantityError` when it would be negative."""
        return Volume(self.nl - other.nl)

    def less(self, other: Volume) -> Volume:
        """The difference, or nothing where ``other`` is the larger."""
        return Volume(max(0, self.nl - other.nl))

    def over(self, duration: Duration) -> Rate:
        """The constant rate that delivers at most this volume in ``duration``: rounded down."""
        return Rate(self.nl * _MS_PER_H // duration.ms)

    def mass_at(self, concentration: Concentration) -> Mass:
        """The drug in this volume, rounded down to 1 ug."""
        return Mass(self.nl * concentration.ug_ml // _UG_NL_PER_UG_ML)

    def __str__(self) -> str:
        return f"{_trimmed(self.nl, 6)} mL"


@dataclass(frozen=True, slots=True, order=True)
class Rate:
    """A flow rate in whole nanolitres per hour."""

    nl_h: int

    def __post_init__(self) -> None:
        if self.nl_h < 0:
            raise QuantityError(f"rate in nL/h: {self.nl_h} is negative")

    @classmethod
    def from_ml_h(cls, ml_h: Number) -> Rate:
        """The rate of ``ml_h`` millilitres per hour, rounded down to 1 nL/h.  Raises `QuantityError`."""
        return cls(_floor_scaled(ml_h, _NL_PER_ML, "rate in mL/h"))

    @property
    def ml_h(self) -> float:
        """Millilitres per hour, for display and for the edges."""
        return self.nl_h / _NL_PER_ML

    def times(self, duration: Duration) -> Volume:
        """The volume delivered in ``duration``, rounded down."""
        return Volume(self.nl_h * duration.ms // _MS_PER_H)

    def time_for(self, volume: Volume) -> Duration:
        """The time after which ``volume`` is certainly there: rounded *up* to 1 ms.

        The one rounding up here: a time-out that came early would cut a dose short and call it done.
        Raises `ZeroDivisionError` for a rate of nothing.
        """
        return Duration(-(-volume.nl * _MS_PER_H // self.nl_h))

    def __str__(self) -> str:
        return f"{_trimmed(self.nl_h, 6)} mL/h"


@dataclass(frozen=True, slots=True, order=True)
class Concentration:
    """Drug per volume in whole micrograms per millilitre; never zero."""

    ug_ml: int

    def __post_init__(self) -> None:
        if self.ug_ml <= 0:
            raise QuantityError(f"concentration in ug/mL: {self.ug_ml} is not above zero")

    @classmethod
    def from_mg_ml(cls, mg_ml: Number) -> Concentration:
        """The concentration of ``mg_ml`` mg/mL.

        Raises `QuantityError` for one finer than 1 ug/mL: rounding it either way would put more drug
        into one of the two conversions (mass to volume, volume to mass).
        """
        ug_ml = _floor_scaled(mg_ml, _UG_PER_MG, "concentration in mg/mL")
        if Decimal(str(mg_ml)) * _UG_PER_MG != ug_ml:
            raise QuantityError(f"concentration in mg/mL: {mg_ml!r} is finer than 0.001 mg/mL")
        return cls(ug_ml)

    @property
    def mg_ml(self) -> float:
        """Milligrams per millilitre, for display and for the edges."""
        return self.ug_ml / _UG_PER_MG

    def __str__(self) -> str:
        return f"{_trimmed(self.ug_ml, 3)} mg/mL"


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of monotonic time in whole milliseconds."""

    ms: int

    def __post_init__(self) -> None:
        if self.ms < 0:
            raise QuantityError(f"duration in ms: {self.ms} is negative")

    @classmethod
    def from_s(cls, seconds: Number) -> Duration:
        """The span of ``seconds``, rounded down to 1 ms.  Raises `QuantityError`."""
        return cls(_floor_scaled(seconds, 1_000, "duration in s"))

    @classmethod
    def from_min(cls, minutes: Number) -> Duration:
        """The span of ``minutes``, rounded down to 1 ms.  Raises `QuantityError`."""
        return cls(_floor_scaled(minutes, _MS_PER_MIN, "duration in min"))

    @property
    def s(self) -> float:
        """Seconds, for display and for the loop's clock."""
        return self.ms / 1_000

    @property
    def min(self) -> float:
        """Minutes, for display."""
        return self.ms / _MS_PER_MIN

    def __add__(self, other: Duration) -> Duration:
        return Duration(self.ms + other.ms)

    def __str__(self) -> str:
        return f"{_trimmed(self.ms, 3)} s"


def _trimmed(value: int, digits: int) -> str:
    """``value * 10**-digits`` as text without trailing zeros; exact, since no float is involved."""
    whole, part = divmod(value, 10**digits)
    tail = f"{part:0{digits}d}".rstrip("0")
    return f"{whole}.{tail}" if tail else str(whole)
