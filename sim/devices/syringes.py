"""The table of syringes that can be put into a simulated pump, from ``sim/data/syringes.toml``.

Tables of diameters differ between brands, pumps and printings; what somebody measured goes before any of
them (`Calibration`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite, pi, sqrt
from pathlib import Path

from sim.mechanics import Mount

TABLE = Path(__file__).parent.parent / "data" / "syringes.toml"

TEXT_MAX = 40
DIAMETER_MM_MIN, DIAMETER_MM_MAX = 0.1, 100.0


class SyringeError(ValueError):
    """No such syringe, load or calibration; the message names those there are, or the limit."""


@dataclass(frozen=True, slots=True)
class Syringe:
    """One row of the table."""

    name: str
    diameter_mm: float
    capacity_ml: float
    source: str
    sure: bool
    """A primary source confirmed the diameter."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What somebody measured of one syringe: its inner diameter, whatever the table says."""

    diameter_mm: float

    def __post_init__(self) -> None:
        """Raises `SyringeError`."""
        known = isfinite(self.diameter_mm)
        if not (known and DIAMETER_MM_MIN <= self.diameter_mm <= DIAMETER_MM_MAX):
            limits = f"{DIAMETER_MM_MIN:g}..{DIAMETER_MM_MAX:g}"
            raise SyringeError(f"diameter {self.diameter_mm:g} mm: it is in {limits} mm")

    @classmethod
    def from_travel(cls, volume_ul: float, travel_mm: float) -> Calibration:
        """From a weighed volume and the travel that gave it: area = volume / travel."""
        if not (volume_ul > 0 and travel_mm > 0 and isfinite(volume_ul / travel_mm)):
            raise SyringeError(f"{volume_ul:g} uL over {travel_mm:g} mm is no calibration")
        return cls(sqrt(4 * volume_ul / travel_mm / pi))

    @classmethod
    def parse(cls, text: str) -> Calibration:
        """``19.12 mm`` or ``287.1 uL/mm``.  Raises `SyringeError`."""
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(mm|ul/mm)", "".join(text.lower().split()))
        if found is None or len(text) > TEXT_MAX:
            raise SyringeError(
                f"calibration {text[:TEXT_MAX]!r}: it is such as '19.12 mm' or '287.1 uL/mm'"
            )
        number = float(found[1])
        return cls(number) if found[2] == "mm" else cls.from_travel(number, 1.0)


def syringes() -> tuple[Syringe, ...]:
    """Every row, in the table's order."""
    import tomllib  # noqa: PLC0415  # a pump without a named syringe starts without it

    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return tuple(Syringe(name, **row) for name, row in table.items())


def syringe(name: str) -> Syringe:
    """The row of this name.  Raises `SyringeError`.

    Names are those of the table, however spelt: ``bd-10``, ``BD 10``, ``BD 10 mL``.
    """
    rows = {row.name: row for row in syringes()}
    key = "-".join(name.lower().strip().removesuffix("ml").split())
    if key not in rows:
        raise SyringeError(f"syringe {name!r} does not exist; there are {', '.join(rows)}")
    return rows[key]


def mount(
    name: str, *, loaded_ml: float | None = None, calibration: Calibration | None = None
) -> Mount:
    """The syringe of this name, full unless ``loaded_ml`` says otherwise.  Raises `SyringeError`."""
    row = syringe(name)
    if loaded_ml is not None and not 0 <= loaded_ml <= row.capacity_ml:
        raise SyringeError(
            f"syringe {name!r} cannot hold {loaded_ml:g} mL; it is 0..{row.capacity_ml}"
        )
    content_ml = row.capacity_ml if loaded_ml is None else loaded_ml
    diameter_mm = row.diameter_mm if calibration is None else calibration.diameter_mm
    return Mount(
        diameter_um=round(diameter_mm * 1_000),
        capacity_nl=round(row.capacity_ml * 1_000_000),
        loaded_nl=round(content_ml * 1_000_000),
    )
