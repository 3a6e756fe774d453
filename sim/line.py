"""Syringe and tubing as an elastic vessel with an outlet: the figures, and volume against pressure.

Answerable for how much the vessel holds at which pressure (two slopes and a knee between them) and for
what stands at its outlet.  Not answerable for how it fills and drains in time (`sim.line_flow`).

    stored(p) = soft x min(p, knee) + hard x max(0, p - knee)          counted from the pressure at rest
    outlet    = pressure behind the line - 0.734 mmHg per cm that the pump stands higher
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sim.mechanics_make import PARTS_PER_NL, MakeError, require

MMHG_PER_CM = 0.734
"""Pressure of a column of water, arithmetic: 98.07 Pa per cm, 133.3 Pa per mmHg, at 20 C."""

NL_H_PER_UL_MIN = 60_000

ATMOSPHERE_MMHG = 760.0


@dataclass(frozen=True, slots=True)
class Valve:
    """An antisiphon valve: shut until the pressure before it exceeds that behind it by ``opens_mmhg``.

    Once open it stays so until the flow ends, and takes ``closes_mmhg`` from the pressure meanwhile.
    """

    opens_mmhg: float
    closes_mmhg: float

    def __post_init__(self) -> None:
        """Raises `MakeError`."""
        require("closes_mmhg", self.closes_mmhg, 0, 10_000)
        require("opens_mmhg", self.opens_mmhg, self.closes_mmhg, 10_000)


@dataclass(frozen=True, slots=True)
class Line:
    """Syringe and tubing; the defaults are one spring that empties at once.

    ``compliance_nl_mmhg``: 2 uL/mmHg lies inside the 1.2-2.8 uL/mmHg of Snijder's review
    (10.1515/bmt-2014-0148); an alarm 500 mmHg above the start then stores 1.0 mL, inside what Doenmez
    2005 (10.1111/j.1460-9592.2005.01436.x) measured.  ``soft_nl_mmhg``: the compliance below
    ``knee_mmhg``; ``None``: the same.  ``resistance_mmhg_min_ul``: of the line; with the compliance it
    makes the time constant.  ``back_mmhg``: the pressure behind the line.  ``dead_volume_nl``: what the
    line holds that is no drug when it is connected.  ``air_detector_nl``: volume from the syringe to the
    air detector, ``None`` where there is none; it sees bubbles from ``air_seen_nl`` on (own choice).
    ``sensor``: pressure is measured as the force on the plunger, or in the line behind the syringe.
    ``siphon_mmhg_min_ul``: what a plunger that nothing holds leaves of resistance (own choice).
    """

    compliance_nl_mmhg: int = 2_000
    alarm_mmhg: int = 500
    soft_nl_mmhg: int | None = None
    knee_mmhg: float = 0.0
    resistance_mmhg_min_ul: float = 0.0
    back_mmhg: float = 0.0
    valve: Valve | None = None
    dead_volume_nl: int = 0
    air_detector_nl: int | None = None
    air_seen_nl: int = 50_000
    sensor: str = "force"
    siphon_mmhg_min_ul: float = 0.02

    def __post_init__(self) -> None:
        """Raises `MakeError`."""
        require("compliance_nl_mmhg", self.compliance_nl_mmhg, 1, 10**7)
        require("alarm_mmhg", self.alarm_mmhg, 1, 10_000)
        if self.soft_nl_mmhg is not None:
            require("soft_nl_mmhg", self.soft_nl_mmhg, 1, 10**7)
        require("knee_mmhg", self.knee_mmhg, 0, 10_000)
        require("resistance_mmhg_min_ul", self.resistance_mmhg_min_ul, 0, 10_000)
        require("back_mmhg", self.back_mmhg, -1_000, 1_000)
        require("dead_volume_nl", self.dead_volume_nl, 0, 10**9)
        require("air_detector_nl", self.air_detector_nl or 0, 0, 10**9)
        require("siphon_mmhg_min_ul", self.siphon_mmhg_min_ul, 1e-6, 10_000)
        if self.sensor not in {"force", "line"}:
            raise MakeError(f"sensor {self.sensor!r}: it is force or line")

    @property
    def is_spring(self) -> bool:
        """One slope, no resistance, nothing at the outlet, no detector: nothing happens by itself."""
        bent = self.soft_nl_mmhg not in {None, self.compliance_nl_mmhg}
        passive = self.air_detector_nl is None and self.valve is None
        return passive and not (bent or self.resistance_mmhg_min_ul or self.back_mmhg)

    def siphon_nl_h(self, height_cm: float) -> int:
        """Flow of a line that hangs ``height_cm`` below a plunger that nothing holds."""
        return round(max(0.0, height_cm) * MMHG_PER_CM / self.siphon_mmhg_min_ul * NL_H_PER_UL_MIN)


class Spring(NamedTuple):
    """Volume against pressure, in parts and mmHg: straight on either side of the knee."""

    soft: float
    """Parts per mmHg up to the knee."""
    hard: float
    knee_mmhg: float
    knee_parts: float

    def pressure(self, stored: float) -> float:
        """At this content (mmHg)."""
        beyond = stored - self.knee_parts
        return self.knee_mmhg + beyond / (self.soft if beyond < 0 else self.hard)

    def stored(self, mmhg: float) -> float:
        """At this pressure (parts)."""
        beyond = mmhg - self.knee_mmhg
        return self.knee_parts + beyond * (self.soft if beyond < 0 else self.hard)


def spring(line: Line, air_parts: float = 0.0, air_offset: float = 0.0) -> Spring:
    """The line's own, softened by the bubbles in it.

    ``air_parts``: what they give per mmHg; ``air_offset``: what that makes at the pressures at which they
    came in, so that a bubble that comes changes no volume and no pressure.
    """
    hard = line.compliance_nl_mmhg * PARTS_PER_NL
    soft = hard if line.soft_nl_mmhg is None else line.soft_nl_mmhg * PARTS_PER_NL
    knee, rest = line.knee_mmhg, line.back_mmhg
    at_knee = (knee - rest) * (soft if rest < knee else hard)
    return Spring(soft + air_parts, hard + air_parts, knee, at_knee + knee * air_parts - air_offset)
