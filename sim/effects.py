"""What concentrations do to a person: pure formulae, with their figures from ``data/effects.toml``.

Ketamine: dissociation and relief of pain rise in proportion to their effect sites; anxiety is a
propensity that grows with dissociation; pressure and pulse rise along a saturating curve.  Midazolam
calms (it multiplies anxiety and dissociation down), sedates, and makes breaths shallow.  Lidocaine
relieves pain; its toxicity is in `sim.toxicity`.

Not answerable for whose body it is (`sim.person`) nor for time (`sim.patient`).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from sim.breathing import Drive, Gases, Saturating, clamped
from sim.toxicity import Crisis, Stage, Toxicity

RESPONSES = ("anxiety", "dissociation", "analgesia", "nothing")
"""How a test dose can be answered; when several apply, the first of them is the response."""
ELDERLY_YEARS = 65.0
"""From this age on the figures for the elderly hold, as in the studies quoted."""


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
class Relief:
    """Relief of pain by lidocaine: ``emax * C**2 / (ec50**2 + C**2)``, at most ``cap``; arithmetic only."""

    emax: float
    ec50_ng_ml: float
    cv: float
    cap: float

    def at(self, ng_ml: float, factor: float) -> float:
        square = ng_ml * ng_ml
        relief = factor * self.emax * square / (self.ec50_ng_ml * self.ec50_ng_ml + square)
        return self.cap * clamped(relief / self.cap)


@dataclass(frozen=True, slots=True)
class Anxiety:
    """How likely a person is to be anxious at a given dissociation."""

    at_event: float
    cap: float

    def propensity(self, dissociation_pct: float, event_pct: float) -> float:
        return min(self.cap, self.at_event * dissociation_pct / event_pct)


@dataclass(frozen=True, slots=True)
class Haemodynamics:
    """The rises of systolic and mean pressure and of the pulse; one factor per person for all three."""

    site: str
    cv: float
    sbp: Saturating
    map: Saturating
    hr: Saturating
    older_per_year: float
    older_from_years: float

    def of_age(self, age_years: float) -> float:
        """The factor on all rises at this age."""
        return 1.0 + self.older_per_year * max(0.0, age_years - self.older_from_years)


@dataclass(frozen=True, slots=True)
class Midazolam:
    """Calming, sedation and breathing under midazolam."""

    calming_ec50_ng_ml: float
    sedation_ec50_ng_ml: float
    sedation_ec50_from_65_ng_ml: float
    sedation_cv: float
    unrousable_ng_ml: float
    younger: Drive
    elderly: Drive
    tidal_fall_cv: float
    rate_rise_cv: float

    def calm(self, ng_ml: float) -> float:
        """What is left of anxiety and dissociation, 1 without midazolam."""
        return 1.0 - ng_ml / (ng_ml + self.calming_ec50_ng_ml)

    def sedation_ec50(self, age_years: float) -> float:
        """The effect-site concentration in ng/mL from which a person of this age is sedated."""
        elderly = age_years >= ELDERLY_YEARS
        return self.sedation_ec50_from_65_ng_ml if elderly else self.sedation_ec50_ng_ml

    def drive(self, age_years: float) -> Drive:
        """How the breathing of somebody of this age changes."""
        return self.elderly if age_years >= ELDERLY_YEARS else self.younger


@dataclass(frozen=True, slots=True)
class Channel:
    """A vital sign at rest: typical value, spread between people, slow drift, noise and its time."""

    baseline: float
    between_sd: float
    drift_sd: float = 0.0
    noise_sd: float = 0.0
    noise_s: float = 1.0


@dataclass(frozen=True, slots=True)
class AtRest:
    """People without any drug."""

    hr_bpm: Channel
    sbp_mmhg: Channel
    map_mmhg: Channel
    spo2_pct: Channel
    rr_bpm: Channel
    etco2_mmhg: Channel
    tidal_ml: Channel
    between_clip_sd: float
    drift_s_min: float
    drift_s_max: float
    hr_sbp_correlation: float
    rr_etco2_correlation: float
    hr_respiratory_swing_bpm: float

    @property
    def restless(self) -> tuple[Channel, Channel, Channel, Channel, Channel]:
        """The channels that have noise and drift of their own, in the order of `sim.unrest`."""
        return self.hr_bpm, self.sbp_mmhg, self.spo2_pct, self.rr_bpm, self.etco2_mmhg


@dataclass(frozen=True, slots=True)
class Effects:
    """Everything in the data file."""

    dissociation: LinearEffect
    pain_fall: LinearEffect
    anxiety: Anxiety
    haemodynamics: Haemodynamics
    midazolam: Midazolam
    gases: Gases
    relief: Relief
    toxicity: Toxicity
    at_rest: AtRest

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
    ketamine, lidocaine, vitals = data["ketamine"], data["lidocaine"], data["vitals"]
    at_rest: dict[str, Any] = {
        key: Channel(**value) if isinstance(value, dict) else value
        for key, value in _figures(vitals).items()
    }
    return Effects(
        dissociation=LinearEffect(**_figures(ketamine["dissociation"])),
        pain_fall=LinearEffect(**_figures(ketamine["pain_fall"])),
        anxiety=Anxiety(**_figures(ketamine["anxiety"])),
        haemodynamics=_haemodynamics(_figures(ketamine["haemodynamics"])),
        midazolam=_midazolam(data["midazolam"]),
        gases=Gases(**_figures(data["breathing"])),
        relief=Relief(**_figures(lidocaine["pain_fall"])),
        toxicity=_toxicity(lidocaine),
        at_rest=AtRest(**at_rest),
    )


def _figures(table: dict[str, Any]) -> dict[str, Any]:
    """A table without the two entries that say where it comes from."""
    return {key: value for key, value in table.items() if key not in {"mark", "source"}}


def _haemodynamics(table: dict[str, Any]) -> Haemodynamics:
    curves: dict[str, Any] = {
        vital: Saturating(table.pop(f"{vital}_emax"), table.pop(f"{vital}_ec50_ng_ml"))
        for vital in ("sbp", "map", "hr")
    }
    return Haemodynamics(**table, **curves)


def _midazolam(table: dict[str, Any]) -> Midazolam:
    sedation, breathing = table["sedation"], table["breathing"]
    drives = [
        Drive(
            Saturating(breathing["tidal_fall_emax"], breathing[f"tidal_fall_ec50{age}_ng_ml"]),
            Saturating(breathing[f"rate_rise_emax{age}"], breathing["rate_rise_ec50_ng_ml"]),
            breathing["apnoea_ng_ml"],
        )
        for age in ("", "_from_65")
    ]
    return Midazolam(
        calming_ec50_ng_ml=table["calming"]["ec50_ng_ml"],
        sedation_ec50_ng_ml=sedation["ec50_ng_ml"],
        sedation_ec50_from_65_ng_ml=sedation["ec50_from_65_ng_ml"],
        sedation_cv=sedation["cv"],
        unrousable_ng_ml=sedation["unrousable_ng_ml"],
        younger=drives[0],
        elderly=drives[1],
        tidal_fall_cv=breathing["tidal_fall_cv"],
        rate_rise_cv=breathing["rate_rise_cv"],
    )


def _toxicity(table: dict[str, Any]) -> Toxicity:
    toxicity = table["toxicity"]
    return Toxicity(
        cv=toxicity["cv"],
        skip=toxicity["skip"],
        stages=tuple(Stage(**stage) for stage in toxicity["stage"]),
        crisis=Crisis(**_figures(table["crisis"])),
    )
