"""What concentrations do to a person: pure formulae, with their figures from ``data/effects.toml``.

Ketamine: dissociation and relief of pain rise in proportion to their effect sites; anxiety is a
propensity that grows with dissociation; pressure and pulse rise along a saturating curve.  Midazolam
calms: it multiplies anxiety and dissociation down.

Not answerable for whose body it is (`sim.person`) nor for time (`sim.patient`).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

RESPONSES = ("anxiety", "dissociation", "analgesia", "nothing")
"""How a test dose can be answered; when several apply, the first of them is the response."""


@dataclass(frozen=True, slots=True)
class LinearEffect:
    """An effect in proportion to a concentration, up to a cap; an event from a threshold on."""

    site: str
    slope: float
    cv: float
    cap: float
    event: float

    def at(self, ng_ml: float, factor: float) -> float:
        return min(self.cap, self.slope * factor * ng_ml)


@dataclass(frozen=True, slots=True)
class Anxiety:
    """How likely a person is to be anxious at a given dissociation."""

    at_event: float
    cap: float

    def propensity(self, dissociation_pct: float, event_pct: float) -> float:
        return min(self.cap, self.at_event * dissociation_pct / event_pct)


@dataclass(frozen=True, slots=True)
class Saturating:
    """A fractional rise that levels off: ``emax * C / (ec50 + C)``."""

    emax: float
    ec50_ng_ml: float

    def at(self, ng_ml: float) -> float:
        return self.emax * ng_ml / (self.ec50_ng_ml + ng_ml)


@dataclass(frozen=True, slots=True)
class Haemodynamics:
    """The rises of systolic and mean pressure and of the pulse; one factor per person for all three."""

    site: str
    cv: float
    sbp: Saturating
    map: Saturating
    hr: Saturating


@dataclass(frozen=True, slots=True)
class Midazolam:
    """Calming and sedation by midazolam."""

    calming_ec50_ng_ml: float
    sedated_ng_ml: float
    sedated_from_65_ng_ml: float
    unrousable_ng_ml: float

    def calm(self, ng_ml: float) -> float:
        """What is left of anxiety and dissociation, 1 without midazolam."""
        return 1.0 - ng_ml / (ng_ml + self.calming_ec50_ng_ml)

    def sedated_from(self, age_years: float) -> float:
        """The effect-site concentration in ng/mL from which a person of this age is sedated."""
        return self.sedated_from_65_ng_ml if age_years >= 65 else self.sedated_ng_ml


@dataclass(frozen=True, slots=True)
class Channel:
    """A vital sign at rest: baseline, standard deviation and time constant of its noise."""

    baseline: float
    noise_sd: float = 0.0
    noise_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Effects:
    """Everything in the data file."""

    dissociation: LinearEffect
    pain_fall: LinearEffect
    anxiety: Anxiety
    haemodynamics: Haemodynamics
    midazolam: Midazolam
    hr_bpm: Channel
    sbp_mmhg: Channel
    map_mmhg: Channel
    spo2_pct: Channel
    rr_bpm: Channel
    etco2_mmhg: Channel
    hr_respiratory_swing_bpm: float

    def response(self, *, anxious: bool, dissociation_pct: float, pain_fall_cm: float) -> str:
        """Which of `RESPONSES` a person shows who reached these highest values."""
        if anxious:
            return "anxiety"
        if dissociation_pct >= self.dissociation.event:
            return "dissociation"
        if pain_fall_cm >= self.pain_fall.event:
            return "analgesia"
        return "nothing"


@cache
def effects() -> Effects:
    """The figures of the data file."""
    data = tomllib.loads(files("sim").joinpath("data/effects.toml").read_text(encoding="utf-8"))
    ketamine, vitals = data["ketamine"], data["vitals"]
    sedation = _figures(data["midazolam"]["sedation"])
    return Effects(
        dissociation=LinearEffect(**_figures(ketamine["dissociation"])),
        pain_fall=LinearEffect(**_figures(ketamine["pain_fall"])),
        anxiety=Anxiety(**_figures(ketamine["anxiety"])),
        haemodynamics=_haemodynamics(ketamine["haemodynamics"]),
        midazolam=Midazolam(
            calming_ec50_ng_ml=data["midazolam"]["calming"]["ec50_ng_ml"], **sedation
        ),
        **{key: Channel(**value) for key, value in vitals.items() if isinstance(value, dict)},
        hr_respiratory_swing_bpm=vitals["hr_respiratory_swing_bpm"],
    )


def _figures(table: dict[str, Any]) -> dict[str, Any]:
    """A table without the two entries that say where it comes from."""
    return {key: value for key, value in table.items() if key not in {"mark", "source"}}


def _haemodynamics(table: dict[str, Any]) -> Haemodynamics:
    curves = {
        vital: Saturating(table[f"{vital}_emax"], table[f"{vital}_ec50_ng_ml"])
        for vital in ("sbp", "map", "hr")
    }
    return Haemodynamics(table["site"], table["cv"], **curves)
