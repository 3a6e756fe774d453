"""What a syringe can be: a barrel of a believable length, and of the diameter that its name stands for.

The rate of a pump goes with the square of the diameter it is told, and nothing downstream can notice a
wrong one.  Answerable for refusing slips; measuring the syringe stays with whoever mounts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import pi

from firmware_bridge.quantities import Volume

BARREL_MM = (15, 250)
"""How long a barrel may be, by its volume and diameter: a 0.5 mL insulin syringe has about 30 mm, a
140 mL syringe 120 mm, gas-tight ones 60 mm.  Beyond, one of the two numbers is a slip."""

KNOWN_UM: Mapping[str, tuple[int, int]] = {
    "bd 1 ml": (4_699, 1_000_000),
    "bd 10 ml": (14_430, 10_000_000),
    "bd 20 ml": (19_050, 20_000_000),
    "bd 60 ml": (26_590, 60_000_000),
}
"""Diameter in micrometres and size in nanolitres of plastic syringes (NE-1000 manual, section 12.5)."""

KNOWN_PCT = 1
"""Other manufacturers' lists print the same syringe with diameters up to half a per cent away."""


def barrel_mm(diameter_um: int, size: Volume) -> float:
    """How long the barrel of such a syringe would be, in mm."""
    return size.ml * 1_000 / (pi / 4 * (diameter_um / 1_000) ** 2)


def unlikely(diameter_um: int, size: Volume) -> str:
    """Why no such syringe exists, in one sentence; empty if it may."""
    shortest, longest = BARREL_MM
    long_mm = barrel_mm(diameter_um, size)
    if shortest <= long_mm <= longest:
        return ""
    return f"such a syringe would be {long_mm:.0f} mm long; must be {shortest} to {longest}"


def misnamed(name: str, diameter_um: int, size: Volume) -> str:
    """Why these numbers are not those of the syringe of this name; empty if they are, or it is unknown."""
    known_um, known_nl = KNOWN_UM.get(" ".join(name.lower().split()), (0, 0))
    if not known_um:
        return ""
    if abs(diameter_um - known_um) * 100 > known_um * KNOWN_PCT:
        return f"a {name} has {known_um / 1_000:g} mm"
    return "" if size.nl == known_nl else f"a {name} holds {Volume(known_nl)}"
