"""Who one simulated patient is: how this body and mind differ from the typical one, drawn once.

All draws happen at the beginning and in a fixed order, so the same stream gives the same person whatever
is done to them afterwards.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from sim.chance import Draw, Normals
from sim.drug_models import TYPICAL, Factors
from sim.effects import effects


@dataclass(frozen=True, slots=True)
class Person:
    """Factors on the typical parameters, and the one draw that decides about anxiety.

    ``anxiety_draw`` is compared with the propensity: 0 makes a person anxious at the slightest
    dissociation, 1 never.
    """

    drug: Factors = TYPICAL
    midazolam: Factors = TYPICAL
    dissociation: float = 1.0
    pain_fall: float = 1.0
    haemodynamics: float = 1.0
    anxiety_draw: float = 1.0


def drawn_person(draw: Draw) -> Person:
    """A person from a stream: published medians, spread as the data files say."""
    figures, normals = effects(), Normals(draw)
    return Person(
        anxiety_draw=draw(),
        dissociation=normals.factor(figures.dissociation.cv),
        pain_fall=normals.factor(figures.pain_fall.cv),
        # The fitted rise is the mean of the population, not its median: published rises are means.
        haemodynamics=normals.factor(figures.haemodynamics.cv, mean_is_one=True),
        drug=drawn_factors(normals),
        midazolam=drawn_factors(normals),
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


@cache
def _population() -> dict[str, float]:
    text = files("sim").joinpath("data/pharmacokinetics.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)["population"]
    return {key: float(table[key]) for key in ("cl_cv", "v_cv", "q_cv", "clip_sd")}
