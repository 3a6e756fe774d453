"""One simulated patient: takes the drug that was really delivered, shows signs and vitals.

The patient is told how much drug entered since last time and lets time pass; nothing here has a clock.
Concentrations do not depend on how often that happens.  Highest values and events are kept as of the
moments advanced to, so advance at least once a second where peaks matter.

Answerable for ketamine, lidocaine and midazolam in the line, and for midazolam given by the clinician.
Not for the vital signs' formulae (`sim.vital_signs`) nor for what a monitor makes of them
(`sim.monitor`).  Bench and simulation only.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sim.chance import Draw, key_of
from sim.drug_models import ParameterSet, parameter_set
from sim.effects import Effects, effects
from sim.person import Person, drawn_person
from sim.pharmacokinetics import Kinetics, PatientError
from sim.toxicity import CALM, Poisoning
from sim.unrest import SETTLED, Restlessness, Unrest
from sim.vital_signs import Laws, Levels, Vitals, vital_signs

INJECTION_S = 120.0
"""A clinician gives midazolam over 2 min, as its label asks."""
_UG_PER_MG = 1000.0
_US_PER_S = 1_000_000
_HEIGHT_CM = (120.0, 230.0)
"""Adult heights this model takes for a slip of the pen outside of; our choice."""


class Signs(NamedTuple):
    """What a person at the bedside would see or be told at one moment.

    ``toxicity`` is one of `sim.toxicity.SIGNS` or empty; ``toxicity_stage`` its number, from 1, with one
    more for arrest.
    """

    dissociation_pct: float
    pain_fall_cm: float
    anxious: bool
    sedated: bool
    rousable: bool
    sedation_pct: float = 0.0
    toxicity: str = ""
    toxicity_stage: int = 0


def laws_of(figures: Effects, age_years: float) -> Laws:
    """The formulae of vital signs for people of this age."""
    return Laws(
        figures.haemodynamics,
        figures.haemodynamics.of_age(age_years),
        figures.midazolam.drive(age_years),
        figures.gases,
        figures.toxicity.crisis,
    )


class Patient:
    """A person with one drug in the line.

    ``draw`` is the stream of this patient: first the person is drawn from it, then the key of the unrest
    of the vitals.  Raises `PatientError` for a subject outside the ranges of the parameter sets.
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
        if not _HEIGHT_CM[0] <= height_cm <= _HEIGHT_CM[1]:
            raise PatientError(
                f"height_cm {height_cm:g}: must be from {_HEIGHT_CM[0]:g} to {_HEIGHT_CM[1]:g}"
            )
        self.figures = figures = effects()
        drawn = drawn_person(draw)  # also when a person is given, so that the noise is the same
        self.person = person or drawn
        self._unrest = Restlessness(
            figures.at_rest, key_of(draw), self.person.drift, self.person.rest.rr_bpm / 60.0
        )
        self._laws = laws_of(figures, age_years)
        self._sedation_ec50 = figures.midazolam.sedation_ec50(age_years) * self.person.sedation
        self._make_bodies(drug, weight_kg, age_years)
        self._midazolam_given = drug.drug == "midazolam"
        self._injections: list[tuple[int, float]] = []
        """Until when (us) and how fast (mg/us) the clinician injects midazolam."""
        self._start_us = self._now_us = round(start_s * _US_PER_S)
        self.received_ug = 0.0
        self.dissociation_peak_pct = 0.0
        self.pain_fall_peak_cm = 0.0
        self.events_s: dict[str, float] = {}
        """When anxiety, dissociation, analgesia and each stage of toxicity was first there."""
        self._poisoning = (
            Poisoning(figures.toxicity, self.person.toxicity, self.person.skipped)
            if drug.drug == "lidocaine"
            else None
        )
        self._keep(self._show())

    def _make_bodies(self, drug: ParameterSet, weight_kg: float, age_years: float) -> None:
        person, figures = self.person, self.figures
        factors = person.midazolam if drug.drug == "midazolam" else person.drug
        self.drug = Kinetics(
            drug.compartments(weight_kg=weight_kg, age_years=age_years, factors=factors)
        )
        self._site_keys = [
            "effect_ng_ml" if site.name == "effect" else f"effect_{site.name}_ng_ml"
            for site in self.drug.compartments.sites
        ]
        self.midazolam = self.drug
        if drug.drug != "midazolam":
            calming = parameter_set("midazolam", age_years=age_years)
            self.midazolam = Kinetics(
                calming.compartments(
                    weight_kg=weight_kg, age_years=age_years, factors=person.midazolam
                )
            )
        self._ketamine = drug.drug == "ketamine"
        wanted = (figures.dissociation, figures.pain_fall, figures.haemodynamics)
        self._psychedelic, self._analgesic, self._cardiovascular = (
            # A model with a single site drives everything with that one.
            self.drug.site_index(one.site) if len(self.drug.effects_ng_ml) > 1 else 0
            for one in wanted
        )

    @property
    def now_s(self) -> float:
        """The moment the patient is at."""
        return self._now_us / _US_PER_S

    @property
    def signs(self) -> Signs:
        """What can be seen or asked now."""
        return self._signs

    @property
    def poisonable(self) -> bool:
        """Whether the drug in the line is one whose toxicity shows in stages."""
        return self._poisoning is not None

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
        if not 0.0 <= delivered_ug < math.inf:
            raise PatientError(f"dose {delivered_ug!r} ug: not a finite amount of at least 0 ug")
        if self._injections and dt_us:
            self._advance_injecting(now_us, delivered_ug / _UG_PER_MG)
        else:
            self.drug.advance(dt_us / _US_PER_S, delivered_ug / _UG_PER_MG)
            if self._midazolam_given and self.midazolam is not self.drug:
                self.midazolam.advance(dt_us / _US_PER_S)
        self._now_us = now_us
        self.received_ug += delivered_ug
        self._keep(self._show())

    def give_midazolam(self, mg: float, *, over_s: float = INJECTION_S) -> None:
        """The clinician begins to inject ``mg`` milligrams over ``over_s`` seconds (0: at once).

        Raises `PatientError` for a dose that is not finite and above 0, or a time below 0.
        """
        if not 0.0 < mg < math.inf:
            raise PatientError(f"midazolam {mg!r} mg: not a finite amount above 0 mg")
        if not 0.0 <= over_s < math.inf:
            raise PatientError(f"midazolam over {over_s!r} s: not a finite time of at least 0 s")
        self._midazolam_given = True
        over_us = round(over_s * _US_PER_S)
        if over_us == 0:
            self.midazolam.bolus(mg)
        else:
            self._injections.append((self._now_us + over_us, mg / over_us))

    def vitals(self) -> Vitals:
        """The true vital signs now."""
        return self._vitals(self._unrest.at(self.now_s))

    def settled_vitals(self) -> Vitals:
        """The same without drift, swing and noise."""
        return self._vitals(SETTLED)

    def _vitals(self, unrest: Unrest) -> Vitals:
        levels = Levels(
            self.drug.effects_ng_ml[self._cardiovascular] if self._ketamine else 0.0,
            self.midazolam.effects_ng_ml[0],
        )
        distress = self._poisoning.distress(self.now_s) if self._poisoning else CALM
        return vital_signs(self._laws, self.person, levels, distress, unrest)

    def concentrations(self) -> dict[str, float]:
        """Every concentration of the model now, keyed as the vitals samples carry them."""
        found = {"plasma_ng_ml": self.drug.plasma_ng_ml}
        found.update(zip(self._site_keys, self.drug.effects_ng_ml, strict=True))
        if self._midazolam_given and self.midazolam is not self.drug:
            found["midazolam_plasma_ng_ml"] = self.midazolam.plasma_ng_ml
            found["midazolam_effect_ng_ml"] = self.midazolam.effects_ng_ml[0]
        return found

    def _advance_injecting(self, now_us: int, dose_mg: float) -> None:
        """As `advance_to`, in parts within which every injection either goes on or is over."""
        span_us = now_us - self._now_us
        moment = self._now_us
        while moment < now_us:
            until = min([now_us, *(end for end, _ in self._injections)])
            dt_us = until - moment
            from_line = dose_mg * dt_us / span_us
            injected = dt_us * sum(speed for _, speed in self._injections)
            if self.midazolam is self.drug:
                self.drug.advance(dt_us / _US_PER_S, from_line + injected)
            else:
                self.drug.advance(dt_us / _US_PER_S, from_line)
                self.midazolam.advance(dt_us / _US_PER_S, injected)
            moment = until
            self._injections = [one for one in self._injections if one[0] > moment]

    def _show(self) -> Signs:
        figures, asleep = self.figures, self._sedation_ec50
        midazolam = self.midazolam.effects_ng_ml[0]
        dissociation, relief, anxious = 0.0, 0.0, False
        if self._ketamine:
            person, levels = self.person, self.drug.effects_ng_ml
            calm = figures.midazolam.calm(midazolam)
            felt = figures.dissociation.at(levels[self._psychedelic], person.dissociation)
            propensity = figures.anxiety.propensity(felt, figures.dissociation.event)
            dissociation, anxious = calm * felt, person.anxiety_draw < calm * propensity
            relief = figures.pain_fall.at(levels[self._analgesic], person.pain_fall)
        shown = Signs(
            dissociation,
            relief,
            anxious,
            midazolam >= asleep,
            midazolam < figures.midazolam.unrousable_ng_ml,
            100.0 * midazolam / (midazolam + asleep),
        )
        return self._poisoned(shown, self._poisoning) if self._poisoning else shown

    def _poisoned(self, shown: Signs, poisoning: Poisoning) -> Signs:
        """``shown``, with what lidocaine does; each stage is recorded when it is first there."""
        level, now_s = self.drug.effects_ng_ml[0], self.now_s
        poisoning.follow(now_s, level)
        number, sign = poisoning.stage(now_s)
        for name in poisoning.reached if number else ():
            self.events_s.setdefault(name, now_s)
        return shown._replace(
            pain_fall_cm=self.figures.relief.at(level, self.person.pain_fall),
            rousable=shown.rousable and not poisoning.unrousable,
            toxicity=sign,
            toxicity_stage=number,
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
