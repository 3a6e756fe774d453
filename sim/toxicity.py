"""Lidocaine in excess: symptoms in order at rising concentrations, a seizure, apnoea, collapse.

Stages belong to concentrations at the effect site, which lags behind the plasma: symptoms go on rising
after the pump has stopped.  A person may skip early stages, never the late ones.  One seizure with a
surge of pulse and pressure is followed by apnoea until the concentration is well below where it began;
the saturation falls once the reserve is used up.  Arrest is final: nobody resuscitates here.

The formulae of `Crisis` are arithmetic, so that arrays of people serve as well as numbers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from sim.breathing import clamped, positive

SEIZURE, CARDIOVASCULAR, ARREST = "seizure", "cardiovascular", "arrest"
SIGNS = (
    "perioral_numbness",
    "metallic_taste",
    "tinnitus",
    "light_headedness",
    "slurred_speech",
    "twitching",
    SEIZURE,
    CARDIOVASCULAR,
)
"""What can be seen or told, in order; arrest is seen as a cardiovascular sign."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage and the concentration from which the typical person is in it."""

    name: str
    from_ng_ml: float
    may_be_skipped: bool


class Distress(NamedTuple):
    """What a crisis does to vital signs at one moment; the defaults are no crisis.

    ``breathing`` and ``alive`` are 1 or 0; ``surge`` goes from 0 to 1.
    """

    surge: float = 0.0
    depression: float = 0.0
    desaturation_pct: float = 0.0
    breathing: float = 1.0
    alive: float = 1.0


CALM = Distress()


@dataclass(frozen=True, slots=True)
class Crisis:
    """Times and sizes of seizure, apnoea and depression."""

    seizure_s: float
    apnoea_s_min: float
    breathing_again: float
    surge_rise_s: float
    surge_fall_s: float
    hr_surge: float
    pressure_surge: float
    depression: float
    reserve_s: float
    desaturation_pct_s: float
    desaturation_pct_max: float
    recovery_s: float

    @property
    def unbreathed_s_min(self) -> float:
        """From the onset of the seizure until breathing can be back at the earliest."""
        return self.seizure_s + self.apnoea_s_min

    def surge(self, since_s: float) -> float:
        """How strong the surge is, so long after the onset of the seizure."""
        falling = (self.seizure_s + self.surge_fall_s - since_s) / self.surge_fall_s
        return clamped(since_s / self.surge_rise_s) * clamped(falling)

    def depressed(self, ng_ml: float, from_ng_ml: float, arrest_ng_ml: float) -> float:
        """The part of pulse and pressure that is lost."""
        return self.depression * clamped((ng_ml - from_ng_ml) / (arrest_ng_ml - from_ng_ml))

    def desaturation(self, unbreathed_s: float) -> float:
        """By how much the saturation (%) has fallen after so long without a breath."""
        fallen = self.desaturation_pct_s * positive(unbreathed_s - self.reserve_s)
        return self.desaturation_pct_max * clamped(fallen / self.desaturation_pct_max)


@dataclass(frozen=True, slots=True)
class Toxicity:
    """The stages in rising order, how people differ, and the crisis."""

    cv: float
    skip: float
    stages: tuple[Stage, ...]
    crisis: Crisis

    def threshold(self, name: str) -> float:
        """Where the typical person enters the named stage, in ng/mL."""
        return next(stage.from_ng_ml for stage in self.stages if stage.name == name)

    def number(self, name: str) -> int:
        """The number of the named stage, from 1."""
        return 1 + [stage.name for stage in self.stages].index(name)


class Poisoning:
    """How one person goes through the stages; concentrations in ng/mL, times in s."""

    def __init__(self, toxicity: Toxicity, factor: float, skipped: Collection[str] = ()) -> None:
        self._crisis = toxicity.crisis
        self._stages = tuple(
            (stage.from_ng_ml * factor, number, stage.name)
            for number, stage in enumerate(toxicity.stages, start=1)
            if stage.name not in skipped
        )
        self._first_ng_ml = self._stages[0][0]
        levels = {name: ng_ml for ng_ml, _, name in self._stages}
        self._seizure_ng_ml = levels[SEIZURE]
        self._depression_ng_ml, self._arrest_ng_ml = levels[CARDIOVASCULAR], levels[ARREST]
        self._seizure_number = toxicity.number(SEIZURE)
        self._ng_ml = 0.0
        self.onset_s: float | None = None
        """When the seizure began."""
        self.breathing_s: float | None = None
        """When breathing was back after it."""
        self.arrest_s: float | None = None

    def follow(self, now_s: float, ng_ml: float) -> None:
        """The effect site has reached ``ng_ml``; seizure, its end and arrest happen at most once."""
        self._ng_ml = ng_ml
        if self.onset_s is None:
            if ng_ml < self._seizure_ng_ml:
                return
            self.onset_s = now_s
        if self.arrest_s is None and ng_ml >= self._arrest_ng_ml:
            self.arrest_s = now_s
        crisis = self._crisis
        over = now_s - self.onset_s >= crisis.unbreathed_s_min
        low = ng_ml < crisis.breathing_again * self._seizure_ng_ml
        if self.breathing_s is None and over and low:
            self.breathing_s = now_s

    @property
    def reached(self) -> list[str]:
        """Every stage, in order, that this person is in or beyond now."""
        return [name for ng_ml, _, name in self._stages if self._ng_ml >= ng_ml]

    def stage(self, now_s: float) -> tuple[int, str]:
        """Number and sign of the highest stage that shows now; 0 and nothing below the first."""
        if self.arrest_s is not None:
            return self._stages[-1][1], CARDIOVASCULAR
        found, sign = 0, ""
        if self._ng_ml >= self._first_ng_ml:
            for ng_ml, number, name in self._stages:
                if self._ng_ml < ng_ml:
                    break
                found, sign = number, name
        if self.seizing(now_s) and found < self._seizure_number:
            return self._seizure_number, SEIZURE
        return found, sign

    def seizing(self, now_s: float) -> bool:
        """Whether the seizure is going on."""
        return self.onset_s is not None and now_s - self.onset_s < self._crisis.seizure_s

    @property
    def unrousable(self) -> bool:
        """Seizing, or not breathing yet, or in arrest."""
        return self.arrest_s is not None or (self.onset_s is not None and self.breathing_s is None)

    def distress(self, now_s: float) -> Distress:
        """What the crisis does to the vital signs now."""
        if self.onset_s is None:
            return CALM
        crisis, back = self._crisis, self.breathing_s
        unbreathed = (now_s if back is None else back) - self.onset_s
        recovered = 1.0 if back is None else 0.5 ** ((now_s - back) / crisis.recovery_s)
        return Distress(
            surge=crisis.surge(now_s - self.onset_s),
            depression=crisis.depressed(self._ng_ml, self._depression_ng_ml, self._arrest_ng_ml),
            desaturation_pct=crisis.desaturation(unbreathed) * recovered,
            breathing=float(back is not None and self.arrest_s is None),
            alive=float(self.arrest_s is None),
        )
