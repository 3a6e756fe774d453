"""The parts of a plan: who, with which syringe, how long, by which rule, what is asked before.

Plain frozen data.  `plan` puts them together and reads them from a procedure file.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.quantities import Duration, Mass, Volume

ROLE = "clinician"
"""Who answers an item of the checklist that names nobody."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The bench subject: weight in whole grams, age in years, height in whole centimetres.

    ``sex`` is empty unless a profile doses by ideal body weight, which depends on it.
    """

    weight_g: int
    age_years: int
    height_cm: int
    sex: str = ""

    @property
    def weight_kg(self) -> float:
        return self.weight_g / 1_000

    @property
    def ideal_weight_g(self) -> int:
        """Height in cm less 100 (men) or 105 (women), in kilograms; never above the real weight."""
        ideal_kg = self.height_cm - (100 if self.sex == "male" else 105)
        return min(self.weight_g, ideal_kg * 1_000)


@dataclass(frozen=True, slots=True)
class Syringe:
    """The syringe and what is in it."""

    name: str
    diameter_um: int
    size: Volume
    loaded: Volume


@dataclass(frozen=True, slots=True)
class Times:
    """How long each phase must or may last, in seconds."""

    before_drug_s_max: float
    baseline_vitals_s: float
    observing_s_min: float
    observing_answer_s: float
    holding_answer_s: float
    recovering_s_min: float
    recovering_s_max: float
    signs_every_s: float = 0.0
    signs_answer_s: float = 0.0


@dataclass(frozen=True, slots=True)
class InfusionRule:
    """How the infusion follows from what is known.

    ``k_milli`` is k in thousandths (rule `multiple`); ``ug_kg`` micrograms per kilogram (rule `per_kg`) or
    per kilogram and hour (rule `rate_per_kg`).
    """

    name: str
    k_milli: int
    duration: Duration
    ceiling: Duration
    ug_kg: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an earlier visit proposes for this one (`previous`).

    ``dose`` is None where it proposes nothing; the lines say how it came about, or why not.
    """

    session: str
    drug: str
    dose: Mass | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the checklist: its name, its sentence, and the role that answers it."""

    key: str
    text: str
    role: str = ROLE
