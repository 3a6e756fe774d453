"""Who one simulated patient is: how this body and mind differ from the typical one, drawn once.

All draws happen at the beginning and in a fixed order, so the same stream gives the same person whatever
is done to them afterwards.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from sim.chance import Draw, Normals
from sim.drug_models import TYPICAL, Factors
from sim.effects import Channel, effects
from sim.toxicity import Toxicity


class Rest(NamedTuple):
    """Vital signs of one person without any drug, as means over a long time."""

    hr_bpm: float
    sbp_mmhg: float
    map_mmhg: float
    spo2_pct: float
    rr_bpm: float
    etco2_mmhg: float
    tidal_ml: float


class Drift(NamedTuple):
    """The slow wandering of one vital sign: a sine of this amplitude, period (s) and phase (rad)."""

    amplitude: float = 0.0
    period_s: float = 1.0
    phase: float = 0.0


def _typical_rest() -> Rest:
    rest = effects().at_rest
    return Rest(*(getattr(rest, name).baseline for name in Rest._fields))


STEADY = (Drift(), Drift(), Drift(), Drift(), Drift())


@dataclass(frozen=True, slots=True)
class Person:
    """Factors on the typical parameters, the vital signs at rest, and the draw that decides about anxiety.

    ``anxiety_draw`` is compared with the propensity: 0 makes a person anxious at the slightest
    dissociation, 1 never.  ``drift`` is in the order of `AtRest.restless`.  In a population every
    number is an array over its members.
    """

    drug: Factors = TYPICAL
    midazolam: Factors = TYPICAL
    dissociation: float = 1.0
    pain_fall: float = 1.0
    haemodynamics: float = 1.0
    anxiety_draw: float = 1.0
    sedation: float = 1.0
    tidal_fall: float = 1.0
    rate_rise: float = 1.0
    toxicity: float = 1.0
    skipped: frozenset[str] = frozenset()
    rest: Rest = _typical_rest()
    drift: tuple[Drift, ...] = STEADY


def drawn_person(draw: Draw) -> Person:
    """A person from a stream: published medians, spread as the data files say."""
    figures, normals = effects(), Normals(draw)
    midazolam = figures.midazolam
    return Person(
        anxiety_draw=draw(),
        dissociation=normals.factor(figures.dissociation.cv),
        pain_fall=normals.factor(figures.pain_fall.cv),
        # The fitted rise is the mean of the population, not its median: published rises are means.
        haemodynamics=normals.factor(figures.haemodynamics.cv, mean_is_one=True),
        drug=drawn_factors(normals),
        midazolam=drawn_factors(normals),
        sedation=normals.factor(midazolam.sedation_cv),
        tidal_fall=normals.factor(midazolam.tidal_fall_cv, mean_is_one=True),
        rate_rise=normals.factor(midazolam.rate_rise_cv, mean_is_one=True),
        toxicity=normals.factor(figures.toxicity.cv),
        skipped=_drawn_skips(figures.toxicity, draw),
        rest=_drawn_rest(normals),
        drift=tuple(_drawn_drift(channel, normals, draw) for channel in figures.at_rest.restless),
    )


def drawn_factors(normals: Normals) -> Factors:
    """How one body differs for one drug: independent log-normal factors with median 1."""
    spread = _population()

    def factor(which: str) -> float:
        return normals.factor(spread[which], clip_sd=spread["clip_sd"])

    return Factors(
        cl=factor("cl_cv"),
        v1=factor("v_cv"),
        v2=factor("v_cv"),
        v3=factor("v_cv"),
        q2=factor("q_cv"),
        q3=factor("q_cv"),
    )


def _drawn_skips(toxicity: Toxicity, draw: Draw) -> frozenset[str]:
    """The stages this person never shows.  The stream that is always 0 skips none."""
    optional = [stage.name for stage in toxicity.stages if stage.may_be_skipped]
    return frozenset(name for name in optional if draw() > 1.0 - toxicity.skip)


def _drawn_rest(normals: Normals) -> Rest:
    figures = effects().at_rest

    def around(typical: float, channel: Channel) -> float:
        clip = figures.between_clip_sd
        return typical + channel.between_sd * max(-clip, min(clip, normals()))

    def drawn(channel: Channel) -> float:
        return around(channel.baseline, channel)

    sbp = drawn(figures.sbp_mmhg)
    together = figures.map_mmhg.baseline * sbp / figures.sbp_mmhg.baseline
    return Rest(
        hr_bpm=drawn(figures.hr_bpm),
        sbp_mmhg=sbp,
        map_mmhg=around(together, figures.map_mmhg),
        spo2_pct=drawn(figures.spo2_pct),
        rr_bpm=drawn(figures.rr_bpm),
        etco2_mmhg=drawn(figures.etco2_mmhg),
        tidal_ml=drawn(figures.tidal_ml),
    )


def _drawn_drift(channel: Channel, normals: Normals, draw: Draw) -> Drift:
    """A sine whose square, over people and time, is that of ``drift_sd``."""
    figures = effects().at_rest
    shortest, longest, clip = figures.drift_s_min, figures.drift_s_max, figures.between_clip_sd
    return Drift(
        amplitude=math.sqrt(2.0) * channel.drift_sd * max(-clip, min(clip, normals())),
        period_s=shortest + (longest - shortest) * draw(),
        phase=math.tau * draw(),
    )


@cache
def _population() -> dict[str, float]:
    text = files("sim").joinpath("data/pharmacokinetics.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)["population"]
    return {key: float(table[key]) for key in ("cl_cv", "v_cv", "q_cv", "clip_sd")}
