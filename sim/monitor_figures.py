"""The figures of ``data/monitor.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

Span = tuple[float, float]
"""From and to, for a uniform draw."""


@dataclass(frozen=True, slots=True)
class Cuff:
    """Cycle and errors of the pressure cuff."""

    interval_s: float
    inflation_s: float
    bias_sd_mmhg: float
    reading_sd_mmhg: float
    readable_mmhg: float


@dataclass(frozen=True, slots=True)
class Bouts:
    """Something that comes and goes: how long it lasts, how long it pauses, maybe how bad it is."""

    bout_s: Span
    pause_s: Span
    size: Span = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class MonitorFigures:
    """Everything in the data file."""

    cuff: Cuff
    averaging_s: float
    breaths_min_bpm: float
    motion: Bouts
    electrosurgery: Bouts
    low_perfusion: Bouts
    mouth_breathing: Span
    late_s: float


@cache
def monitor_figures() -> MonitorFigures:
    """The figures of the data file."""
    data = tomllib.loads(files("sim").joinpath("data/monitor.toml").read_text(encoding="utf-8"))
    artefacts = data["artefacts"]

    def bouts(name: str, size: str = "") -> Bouts:
        table = artefacts[name]
        keys = ("bout_s", "pause_s", size) if size else ("bout_s", "pause_s")
        return Bouts(*(tuple(table[key]) for key in keys))

    cuff = {key: value for key, value in data["cuff"].items() if key not in {"mark", "source"}}
    return MonitorFigures(
        cuff=Cuff(**cuff),
        averaging_s=data["oximeter"]["averaging_s"],
        breaths_min_bpm=data["capnograph"]["breaths_min_bpm"],
        motion=bouts("motion", "low_pct"),
        electrosurgery=bouts("electrosurgery", "hr_bpm"),
        low_perfusion=bouts("low_perfusion"),
        mouth_breathing=tuple(artefacts["mouth_breathing"]["part"]),
        late_s=artefacts["late"]["delay_s"],
    )
