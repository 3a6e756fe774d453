"""Many patients at once, as arrays: each is the very person that the single patient of his seed is.

Member ``i`` of a population with seed ``s`` is the patient of the visit with seed ``s + i``: same body,
same mind, same noise.  Who is beside him changes nothing, so a population may be computed in parts.

One drug flows into all members; midazolam by hand is for single patients (`sim.patient`), and so are
anxiety and the order of events.  For bench and simulation only.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.batch_kinetics import Array, BatchKinetics
from sim.chance import FIRST, GOLDEN, SECOND, Draw, key_of
from sim.drug_models import Factors, ParameterSet
from sim.effects import effects
from sim.patient import laws_of
from sim.person import Drift, Person, Rest, drawn_person
from sim.pharmacokinetics import PatientError
from sim.toxicity import ARREST, CARDIOVASCULAR, SEIZURE, Distress, Toxicity
from sim.unrest import BITS, CHANNELS, HORIZON_S, LOWEST, SETTLED, STEP, Mixture, Unrest, memory
from sim.vital_signs import Levels, vital_signs

Many = Any
"""An array over the members, where a formula written for one person says float: it is only arithmetic."""

Keys = NDArray[np.uint64]
_UG_PER_MG = 1000.0
_US_PER_S = 1_000_000


def draws_of(seed: int, count: int) -> list[Draw]:
    """The streams of the patients of the visits with seeds ``seed`` to ``seed + count - 1``."""
    return [
        random.Random(f"{one}:patient").random  # noqa: S311 - a simulation, not a secret
        for one in range(seed, seed + count)
    ]


class Population:
    """People of one age with one drug in their lines.

    ``weight_kg`` is one for all or one each.  Raises `PatientError` for subjects outside the ranges of
    the parameter set, and for nobody.
    """

    def __init__(
        self,
        drug: ParameterSet,
        draws: Sequence[Draw],
        *,
        weight_kg: float | Array,
        age_years: float,
        start_s: float = 0.0,
    ) -> None:
        if not draws:
            raise PatientError("population 0: must be of at least one")
        for extreme in (np.min(weight_kg), np.max(weight_kg)):
            drug.check(weight_kg=float(extreme), age_years=age_years)
        self.count = len(draws)
        self._now_us = round(start_s * _US_PER_S)
        self.figures = figures = effects()
        people = [drawn_person(draw) for draw in draws]
        self._unrest = _BatchUnrest(people, [key_of(draw) for draw in draws])
        self.person = _together(people)
        self._laws = laws_of(figures, age_years)
        self._drug = drug.drug
        factors = self.person.midazolam if drug.drug == "midazolam" else self.person.drug
        weights: Many = weight_kg
        self.drug = BatchKinetics(drug.scaled(weights, factors), self.count)
        self._sedation_ec50 = figures.midazolam.sedation_ec50(age_years) * self.person.sedation
        self._poisoning = (
            _BatchPoisoning(figures.toxicity, people) if drug.drug == "lidocaine" else None
        )

    def advance_to(self, now_s: float, delivered_ug: float | Array = 0.0) -> None:
        """Time passes until ``now_s`` while the dose (one for all, or one each) flows in evenly.

        Raises `PatientError` as `sim.patient.Patient.advance_to` does.
        """
        # Whole microseconds, as for the single patient.
        if not math.isfinite(now_s) or (now_us := round(now_s * _US_PER_S)) < self._now_us:
            raise PatientError(f"now {now_s!r} s: the population is at {self.now_s!r} s already")
        self.drug.advance((now_us - self._now_us) / _US_PER_S, delivered_ug / _UG_PER_MG)
        self._now_us = now_us
        if self._poisoning is not None:
            self._poisoning.follow(self.now_s, self.drug.effects_ng_ml[0])

    @property
    def now_s(self) -> float:
        """The moment the population is at."""
        return self._now_us / _US_PER_S

    def site_ng_ml(self, site: str) -> Array:
        """The named effect site; a model with a single site drives everything with that one."""
        names = [one.name for one in self.drug.sites]
        row: Array = self.drug.effects_ng_ml[names.index(site) if len(names) > 1 else 0]
        return row

    def effects(self) -> dict[str, Array]:
        """What can be seen or asked at the bedside, named as in `sim.patient.Signs`."""
        figures, person = self.figures, self.person
        if self._poisoning is not None:
            return {
                "pain_fall_cm": self._array(figures.relief.at(self._only_site(), person.pain_fall)),
                "toxicity_stage": self._poisoning.stage(self.now_s),
            }
        if self._drug == "midazolam":
            level = self._only_site()
            return {"sedation_pct": 100.0 * level / (level + self._sedation_ec50)}
        felt, relief = figures.dissociation, figures.pain_fall
        return {
            "dissociation_pct": np.minimum(
                felt.cap, felt.slope * person.dissociation * self.site_ng_ml(felt.site)
            ),
            "pain_fall_cm": np.minimum(
                relief.cap, relief.slope * person.pain_fall * self.site_ng_ml(relief.site)
            ),
        }

    def vitals(self) -> dict[str, Array]:
        """The true vital signs now, named as in `sim.vital_signs.Vitals`."""
        return self._vitals(self._unrest.at(self.now_s))

    def settled_vitals(self) -> dict[str, Array]:
        """The same without drift, swing and noise: what the drug does to each member's rest."""
        return self._vitals(SETTLED)

    def rest(self) -> dict[str, Array]:
        """The vital signs of each member without any drug."""
        return self._signs(Levels(), Distress(), SETTLED)

    def _vitals(self, unrest: Unrest) -> dict[str, Array]:
        levels = Levels()
        if self._drug == "ketamine":
            site: Many = self.site_ng_ml(self.figures.haemodynamics.site)
            levels = Levels(ketamine=site)
        if self._drug == "midazolam":
            levels = Levels(midazolam=self._only_site())
        distress = Distress()
        if self._poisoning is not None:
            distress = self._poisoning.distress(self.now_s)
        return self._signs(levels, distress, unrest)

    def _signs(self, levels: Levels, distress: Distress, unrest: Unrest) -> dict[str, Array]:
        signs = vital_signs(self._laws, self.person, levels, distress, unrest)
        return {name: self._array(values) for name, values in signs._asdict().items()}

    def _only_site(self) -> Many:
        return self.drug.effects_ng_ml[0]

    def _array(self, values: float) -> Array:
        """An array over the members, also of what is the same for all."""
        return np.broadcast_to(np.asarray(values, dtype=float), (self.count,))


class _BatchUnrest:
    """As `sim.unrest.Restlessness`, of many people."""

    def __init__(self, people: Sequence[Person], keys: Sequence[int]) -> None:
        figures = effects().at_rest
        self._mixture = Mixture(figures)
        self._keys = np.array(keys, dtype=np.uint64)
        self._noisy = (self._keys != 0).astype(float)
        drifts = np.array([person.drift for person in people]).transpose(2, 1, 0)
        self._amplitude, self._period_s, self._phase = drifts
        self._swing = 0.5 * figures.hr_respiratory_swing_bpm
        self._breaths_per_s = np.array([person.rest.rr_bpm for person in people]) / 60.0
        weights = np.array(memory(figures)).T[:, :, np.newaxis]
        self._kept, self._new = weights
        self._shifts = (np.arange(CHANNELS, dtype=np.uint64) * np.uint64(BITS))[:, np.newaxis]
        self._values: Array = np.zeros((CHANNELS, len(keys)))
        self._second: int | None = None

    def at(self, now_s: float) -> Unrest:
        """The unrest of everybody at ``now_s``, which never goes back."""
        second = math.floor(now_s)
        if second != self._second:
            self._move(second)
        values: Many = self._values
        noise: Many = self._mixture.of(values)
        drift: Many = self._amplitude * np.sin(math.tau * now_s / self._period_s + self._phase)
        drift[0] += self._swing * np.sin(math.tau * now_s * self._breaths_per_s)
        return Unrest(*(one + slow for one, slow in zip(noise, drift, strict=True)))

    def _move(self, second: int) -> None:
        start = second - HORIZON_S
        if self._second is None or self._second < start:
            self._values = np.zeros_like(self._values)
        else:
            start = self._second
        self._second = second
        mask = np.uint64((1 << BITS) - 1)
        step, lowest = self._new * STEP * self._noisy, self._new * LOWEST * self._noisy
        for one in range(start + 1, second + 1):
            numbers = (_scattered(self._keys, one) >> self._shifts) & mask
            self._values *= self._kept
            self._values += step * numbers + lowest


class _BatchPoisoning:
    """As `sim.toxicity.Poisoning`, of many people; a moment that never came is NaN."""

    def __init__(self, toxicity: Toxicity, people: Sequence[Person]) -> None:
        self._crisis = toxicity.crisis
        factor = np.array([person.toxicity for person in people])
        self._thresholds = np.array([[stage.from_ng_ml] for stage in toxicity.stages]) * factor
        names = [stage.name for stage in toxicity.stages]
        self._shown = np.array([[name not in one.skipped for one in people] for name in names])
        self._numbers = np.arange(1, len(names) + 1, dtype=float)[:, np.newaxis]
        self._seizure, self._depression, self._arrest = (
            names.index(name) for name in (SEIZURE, CARDIOVASCULAR, ARREST)
        )
        self._ng_ml: Array = np.zeros(len(people))
        self._onset_s, self._breathing_s, self._arrest_s = np.full((3, len(people)), np.nan)

    def follow(self, now_s: float, ng_ml: Array) -> None:
        """The effect sites have reached ``ng_ml``."""
        self._ng_ml = ng_ml
        seizure, crisis = self._thresholds[self._seizure], self._crisis
        self._onset_s[np.isnan(self._onset_s) & (ng_ml >= seizure)] = now_s
        arrested = np.isnan(self._arrest_s) & (ng_ml >= self._thresholds[self._arrest])
        self._arrest_s[arrested] = now_s
        over = now_s - self._onset_s >= crisis.unbreathed_s_min  # never, where there is no onset
        back = np.isnan(self._breathing_s) & over & (ng_ml < crisis.breathing_again * seizure)
        self._breathing_s[back] = now_s

    def stage(self, now_s: float) -> Array:
        """The number of the highest stage that shows."""
        inside = self._shown & (self._ng_ml >= self._thresholds)
        stage: Array = (inside * self._numbers).max(axis=0)
        seizing = now_s - self._onset_s < self._crisis.seizure_s
        stage = np.where(seizing, np.maximum(stage, self._seizure + 1.0), stage)
        return np.where(np.isnan(self._arrest_s), stage, self._arrest + 1.0)

    def distress(self, now_s: float) -> Distress:
        """What the crisis does to the vital signs of each."""
        crisis: Many = self._crisis
        ill = ~np.isnan(self._onset_s)
        back = ~np.isnan(self._breathing_s)
        onset = np.where(ill, self._onset_s, now_s)
        until = np.where(back, self._breathing_s, now_s)
        depression = crisis.depressed(
            self._ng_ml, self._thresholds[self._depression], self._thresholds[self._arrest]
        )
        alive = np.isnan(self._arrest_s)
        found: Many = (
            np.where(ill, crisis.surge(now_s - onset), 0.0),
            np.where(ill, depression, 0.0),
            crisis.desaturation(until - onset) * 0.5 ** ((now_s - until) / crisis.recovery_s),
            np.where(ill, back & alive, 1.0),
            alive.astype(float),
        )
        return Distress(*found)


def _scattered(keys: Keys, index: int) -> Keys:
    """As `sim.chance.scattered`, of many keys."""
    z = keys + np.uint64(index * GOLDEN % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
    return z ^ (z >> np.uint64(31))


def _together(people: Sequence[Person]) -> Person:
    """One `Person` whose numbers are arrays over ``people``."""

    def columns(ones: Sequence[object], names: Sequence[str]) -> dict[str, Many]:
        return {name: np.array([getattr(one, name) for one in ones]) for name in names}

    numbers = (
        *("dissociation", "pain_fall", "haemodynamics", "anxiety_draw", "sedation"),
        *("tidal_fall", "rate_rise", "toxicity"),
    )
    factors = tuple(Factors.__dataclass_fields__)
    return Person(
        drug=Factors(**columns([person.drug for person in people], factors)),
        midazolam=Factors(**columns([person.midazolam for person in people], factors)),
        rest=Rest(**columns([person.rest for person in people], Rest._fields)),
        drift=(Drift(),) * CHANNELS,  # kept as one array by `_BatchUnrest`
        **columns(people, numbers),
    )
