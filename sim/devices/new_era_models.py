"""What differs between the models of the New Era family: name, units, how fast, keys, syringe or tubing.

For bench and simulation only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import pi

FIRMWARE = "V3.928"
"""A version that drivers were written against; ``X`` upgrades are not played."""

SLOWEST_CM_H = 0.004205
FASTEST_CM_MIN = 5.1005
"""Plunger speed, NE-1000 manual 12.5: 0.004205 cm/h to 5.1005 cm/min."""

_FASTEST_NE_4000_CM_MIN = 18.08
"""From the greatest rates in mL/min of the NE-4000 manual 11.7, as a driver quotes them for BD syringes of
1 to 60 mL: 3.135, 10.46, 20.41, 29.56, 51.53, 66.19, 100.3.  They fit one speed if they were cut off."""

_TUBING_NL_H = (1.0, 3.6e12)
"""[design] The NE-9000's limits by tubing were not found: 1 nL/h to 1 L/s, so that the four digits
and the unit are what limits it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model."""

    name: str
    """As its answer to ``VER`` begins."""
    rate_units: tuple[str, ...] = ("UM", "MM", "UH", "MH")
    volume_units: tuple[str, ...] = ("UL", "ML")
    rate_unit: str = "MH"
    """Before any was set (own choice; no source gives the factory value)."""
    fastest_cm_min: float = FASTEST_CM_MIN
    cuts_per_min: bool = False
    """Its fastest rates are printed in mL/min, cut off; the others' in mL/h, rounded."""
    has_keys: bool = True
    has_tubing: bool = False
    """Peristaltic: the diameter is a fraction of an inch, and no syringe says how fast."""

    @property
    def version(self) -> str:
        """The answer to ``VER``."""
        return self.name + FIRMWARE

    def limits_nl_h(self, diameter_um: int) -> tuple[float, float]:
        """Slowest and fastest rate."""
        if self.has_tubing:
            return _TUBING_NL_H
        if self.cuts_per_min:
            return rate_limits_nl_h(diameter_um, self.fastest_cm_min, cuts_per_min=True)
        return rate_limits_nl_h(diameter_um, self.fastest_cm_min)


MODELS = {
    "ne-1000": Model(name="NE1000"),
    "ne-1600": Model(name="NE1600"),
    "ne-500": Model(name="NE500", has_keys=False),
    "ne-4000": Model(name="NE4000", fastest_cm_min=_FASTEST_NE_4000_CM_MIN, cuts_per_min=True),
    "ne-9000": Model(
        name="NE9000",
        rate_units=("MM", "MS", "OM", "OS"),
        volume_units=("ML", "OZ"),
        rate_unit="MM",
        has_tubing=True,
    ),
}
"""Models with this command set; the first is the default.  Where nothing else is known, limits are the
NE-1000's."""


@lru_cache(maxsize=64)
def rate_limits_nl_h(
    diameter_um: int,
    fastest_cm_min: float = FASTEST_CM_MIN,
    *,
    cuts_per_min: bool = False,
) -> tuple[float, float]:
    """Slowest and fastest rate for this syringe, as the manual prints them: to four digits.

    Rate = plunger speed x area; without the rounding the printed 500.5 mL/h for a BD 10 mL would be
    refused, since the arithmetic gives 500.48.
    """
    area_cm2 = pi / 4 * (diameter_um / 10_000) ** 2
    nl_per_cm = area_cm2 * 1_000_000
    slowest, fastest = SLOWEST_CM_H * nl_per_cm, fastest_cm_min * 60 * nl_per_cm
    return _four_digits(slowest), _cut(fastest / 60) * 60 if cuts_per_min else _four_digits(fastest)


def _four_digits(value: float) -> float:
    return float(f"{value:.3e}")


def _cut(value: float) -> float:
    unit = 10.0 ** (len(str(int(value))) - 4)
    return value // unit * unit
