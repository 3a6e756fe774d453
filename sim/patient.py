"""One simulated patient: takes the drug that was really delivered, shows signs and vitals.

The patient is told how much drug entered since last time and lets time pass; nothing here has a clock.
Concentrations do not depend on how often that happens.  Highest values are kept as of the moments
advanced to, so advance at least once a second where peaks matter.  Noise moves once per whole second of
the patient's time, so an additional advance within a second changes nothing.

Answerable for ketamine and for midazolam given by the clinician.  Not for what a monitor makes of it
(`sim.monitor`).  Bench and simulation only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from sim.chance import Draw, Normals
from sim.drug_models import ParameterSet, parameter_set
from sim.effects import Channel, effects
from sim.person import Person, drawn_person
from sim.pharmacokinetics import Kinetics, PatientError

_UG_PER_MG = 1000.0
_US_PER_S = 1_000_000
_HEIGHT_CM = (120.0, 230.0)
"""Adult heights this model takes for a slip of the pen outside of; our choice."""


class Vitals(NamedTuple):
    """True vital signs at one moment, before any sensor."""

    hr_bpm: float
    sbp_mmhg: float
    dbp_mmhg: float
    map_mmhg: float
    spo2_pct: float
    rr_bpm: float
    etco2_mmhg: float


class Signs(NamedTuple):
    """What a person at the bedside would see or be told at one moment."""

    dissociation_pct: float
    pain_fall_cm: float
    anxious: bool
    sedated: bool
    rousable: bool


@dataclass(slots=True)
class _Noise:
    """First-order autoregressive noise of one vital sign.

    ``kept`` and ``fresh`` are the weights of what was and of what is new over the last ``seconds``.
    """

    sd: float
    time_s: float
    value: float
    seconds: int = 0
    kept: float = 1.0
    fresh: float = 0.0

    @classmethod
    def of(cls, channel: Channel, normals: Normals) -> _Noise:
        return cls(channel.noise_sd, channel.noise_s, channel.noise_sd * normals())

    def stir(self, seconds: int, normal: float) -> None:
        """``seconds`` whole seconds pass; exact in distribution for any number of them."""
        if seconds != self.seconds:
            self.seconds = seconds
            self.kept = math.exp(-seconds / self.time_s)
            self.fresh = self.sd * math.sqrt(1.0 - self.kept * self.kept)
        self.value = self.kept * self.value + self.fresh * normal


class Patient:
    """A person with one drug in the line.

    ``draw`` is the stream of this patient: first the person is drawn from it, then the noise of the
    vitals.  Raises `PatientError` for a subject outside the ranges of the parameter sets.
    """

    def __init__(
        self,
        drug: ParameterSet,
        *,
        weight_kg: float,
        age_years: float,
        height_cm: float,
        draw: Draw,
        person: Person | None = None,
        start_s: float = 0.0,
    ) -> None:
        if drug.drug != "ketamine":
            raise PatientError(f"drug {drug.drug!r}: this patient responds to ketamine only")
        if not _HEIGHT_CM[0] <= height_cm <= _HEIGHT_CM[1]:
            raise PatientError(
                f"height_cm {height_cm:g}: must be from {_HEIGHT_CM[0]:g} to {_HEIGHT_CM[1]:g}"
            )
        self.figures = effects()
        drawn = drawn_person(draw)  # also when a person is given, so that the noise is the same
        self.person = person or drawn
        subject = {"weight_kg": weight_kg, "age_years": age_years}
        self.drug = Kinetics(drug.compartments(**subject, factors=self.person.drug))
        self._site_keys = [
            "effect_ng_ml" if site.name == "effect" else f"effect_{site.name}_ng_ml"
            for site in self.drug.compartments.sites
        ]
        calming = parameter_set("midazolam", age_years=age_years)
        self.midazolam = Kinetics(calming.compartments(**subject, factors=self.person.midazolam))
        self._midazolam_given = False
        self._sedated_from = self.figures.midazolam.sedated_from(age_years)
        self._psychedelic = self._site(self.figures.dissociation.site)
        self._analgesic = self._site(self.figures.pain_fall.site)
        self._cardiovascular = self._site(self.figures.haemodynamics.site)
        self._now_us = round(start_s * _US_PER_S)
        self.received_ug = 0.0
        self.dissociation_peak_pct = 0.0
        self.pain_fall_peak_cm = 0.0
        self.events_s: dict[str, float] = {}
        """When each of anxiety, dissociation and analgesia was first there; it stays recorded."""
        self._normals = Normals(draw)
        figures = self.figures
        channels = (figures.hr_bpm, figures.sbp_mmhg, figures.spo2_pct, figures.rr_bpm)
        self._noise = [
            _Noise.of(channel, self._normals) for channel in (*channels, figures.etco2_mmhg)
        ]
        self._keep(self._show())

    @property
    def now_s(self) -> float:
        """The moment the patient is at."""
        return self._now_us / _US_PER_S

    @property
    def signs(self) -> Signs:
        """What can be seen or asked now."""
        return self._signs

    @property
    def response(self) -> str:
        """How the drug was answered so far: anxiety, dissociation, analgesia or nothing, in this order."""
        return self.figures.response(
            anxious="anxiety" in self.events_s,
            dissociation_pct=self.dissociation_peak_pct,
            pain_fall_cm=self.pain_fall_peak_cm,
        )

    def advance_to(self, now_s: float, delivered_ug: float = 0.0) -> None:
        """Time passes until ``now_s`` while ``delivered_ug`` micrograms flow in evenly.

        At no distance the dose is there at once.  Raises `PatientError` for a moment in the past and
        for a dose that is negative or not finite; nothing has changed then.
        """
        if not math.isfinite(now_s):
            raise PatientError(f"now {now_s!r} s: not a moment")
        # Whole microseconds: differences of the loop's floats would be a new step length each time.
        now_us = round(now_s * _US_PER_S)
        dt_us = now_us - self._now_us
        if dt_us < 0:
            raise PatientError(f"now {now_s!r} s: the patient is at {self.now_s!r} s already")
        dt_s = dt_us / _US_PER_S
        self.drug.advance(dt_s, delivered_ug / _UG_PER_MG)
        if self._midazolam_given:
            self.midazolam.advance(dt_s)
        seconds = now_us // _US_PER_S - self._now_us // _US_PER_S
        self._now_us = now_us
        self.received_ug += delivered_ug
        if seconds:
            for noise in self._noise:
                noise.stir(seconds, self._normals())
        self._keep(self._show())

    def give_midazolam(self, mg: float) -> None:
        """The clinician has given ``mg`` milligrams into the vein.  Raises `PatientError` unless above 0."""
        if not 0.0 < mg < math.inf:
            raise PatientError(f"midazolam {mg!r} mg: not a finite amount above 0 mg")
        self.midazolam.bolus(mg)
        self._midazolam_given = True

    def vitals(self) -> Vitals:
        """The true vital signs now; pressure and pulse follow the cardiovascular site."""
        figures, noise, factor = self.figures, self._noise, self.person.haemodynamics
        rise = figures.haemodynamics
        ng_ml = self.drug.effects_ng_ml[self._cardiovascular]
        sbp = figures.sbp_mmhg.baseline * (1.0 + factor * rise.sbp.at(ng_ml))
        mean = figures.map_mmhg.baseline * (1.0 + factor * rise.map.at(ng_ml))
        breaths = figures.rr_bpm.baseline / 60.0 * self.now_s
        swing = 0.5 * figures.hr_respiratory_swing_bpm * math.sin(math.tau * breaths)
        pulse = figures.hr_bpm.baseline * (1.0 + factor * rise.hr.at(ng_ml))
        pressure = noise[1].value
        return Vitals(
            hr_bpm=pulse + swing + noise[0].value,
            sbp_mmhg=sbp + pressure,
            dbp_mmhg=0.5 * (3.0 * mean - sbp) + pressure,
            map_mmhg=mean + pressure,
            spo2_pct=min(100.0, figures.spo2_pct.baseline + noise[2].value),
            rr_bpm=figures.rr_bpm.baseline + noise[3].value,
            etco2_mmhg=figures.etco2_mmhg.baseline + noise[4].value,
        )

    def concentrations(self) -> dict[str, float]:
        """Every concentration of the model now, keyed as the vitals samples carry them."""
        found = {"plasma_ng_ml": self.drug.plasma_ng_ml}
        found.update(zip(self._site_keys, self.drug.effects_ng_ml, strict=True))
        if self._midazolam_given:
            found["midazolam_plasma_ng_ml"] = self.midazolam.plasma_ng_ml
            found["midazolam_effect_ng_ml"] = self.midazolam.effects_ng_ml[0]
        return found

    def _site(self, name: str) -> int:
        """The index of the effect site called ``name``; a model with one site has only that."""
        return self.drug.site_index(name) if len(self.drug.effects_ng_ml) > 1 else 0

    def _show(self) -> Signs:
        figures, person, concentrations = self.figures, self.person, self.drug.effects_ng_ml
        midazolam = self.midazolam.effects_ng_ml[0]
        calm = figures.midazolam.calm(midazolam)
        dissociation = calm * figures.dissociation.at(
            concentrations[self._psychedelic], person.dissociation
        )
        propensity = calm * figures.anxiety.propensity(dissociation, figures.dissociation.event)
        return Signs(
            dissociation_pct=dissociation,
            pain_fall_cm=figures.pain_fall.at(concentrations[self._analgesic], person.pain_fall),
            anxious=person.anxiety_draw < propensity,
            sedated=midazolam >= self._sedated_from,
            rousable=midazolam < figures.midazolam.unrousable_ng_ml,
        )

    def _keep(self, signs: Signs) -> None:
        """The signs are the current ones; peaks and events are brought up to date."""
        self._signs = signs
        if signs.dissociation_pct > self.dissociation_peak_pct:
            self.dissociation_peak_pct = signs.dissociation_pct
        if signs.pain_fall_cm > self.pain_fall_peak_cm:
            self.pain_fall_peak_cm = signs.pain_fall_cm
        if signs.anxious:
            self.events_s.setdefault("anxiety", self.now_s)
        if signs.dissociation_pct >= self.figures.dissociation.event:
            self.events_s.setdefault("dissociation", self.now_s)
        if signs.pain_fall_cm >= self.figures.pain_fall.event:
            self.events_s.setdefault("analgesia", self.now_s)
