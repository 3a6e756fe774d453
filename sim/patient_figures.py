"""What doses do to a typical patient and to a population, at the times asked for.

Concentrations are exact from one change of the doses to the next.  Effects and vital signs follow from
them; only lidocaine, whose seizure is an event, is walked through second by second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sim.drug_models import ParameterSet
from sim.patient import Patient
from sim.patient_doses import Dose, changes, given_at_once, given_between
from sim.person import Person
from sim.pharmacokinetics import Compartments, Kinetics
from sim.vital_signs import Vitals

if TYPE_CHECKING:
    from sim.batch_kinetics import Array
    from sim.population import Population

HEIGHT_CM = 170.0
"""Does not matter to any figure here."""
EVENT_STEP_S = 1.0
EVENT_STEPS_MAX = 20_000
"""A poisoning that takes longer is walked through in longer steps."""
CHUNK = 1000
"""Members computed together: their arrays fit the cache."""
UG_PER_MG = 1000.0

SHOWN = {
    "ketamine": ("dissociation_pct", "pain_fall_cm"),
    "lidocaine": ("pain_fall_cm", "toxicity_stage", "toxicity"),
    "midazolam": ("sedation_pct",),
}
"""The effects of each drug, by their names in `sim.patient.Signs`."""


def concentrations(
    body: Compartments, doses: Sequence[Dose], times_s: Sequence[float], *, step_s: float = math.inf
) -> tuple[list[float], dict[str, list[float]]]:
    """Plasma, and each effect site, at each of the ascending ``times_s``.

    Exact from one change of the doses to the next, whatever ``step_s``.  A dose given at once at the
    very moment asked for is already in.
    """
    kinetics = Kinetics(body)
    plasma: list[float] = []
    effect: dict[str, list[float]] = {site.name: [] for site in body.sites}
    wanted = set(times_s)
    now = 0.0
    for moment in changes(doses, times_s):
        steps = max(1, math.ceil((moment - now) / step_s))
        mg = given_between(doses, now, moment)
        for _ in range(steps):
            kinetics.advance((moment - now) / steps, mg / steps)
        now = moment
        kinetics.bolus(given_at_once(doses, now))
        if moment in wanted:
            plasma.append(kinetics.plasma_ng_ml)
            for name, values in effect.items():
                values.append(kinetics.effect_ng_ml(name))
    return plasma, effect


def typical(
    drug: ParameterSet,
    doses: Sequence[Dose],
    times_s: Sequence[float],
    *,
    weight_kg: float,
    age_years: float,
    step_s: float = math.inf,
) -> tuple[dict[str, list[Any]], dict[str, list[float]]]:
    """Effects and vital signs of the typical person, without noise, at each of ``times_s``."""
    patient = Patient(
        drug,
        weight_kg=weight_kg,
        age_years=age_years,
        height_cm=HEIGHT_CM,
        draw=lambda: 0.0,
        person=Person(),
    )
    effects: dict[str, list[Any]] = {name: [] for name in SHOWN[drug.drug]}
    vitals: dict[str, list[float]] = {name: [] for name in Vitals._fields}

    def note() -> None:
        for name, values in effects.items():
            values.append(getattr(patient.signs, name))
        for name, value in patient.settled_vitals()._asdict().items():
            vitals[name].append(value)

    _walk(patient.advance_to, drug.drug, doses, times_s, note, step_s)
    return effects, vitals


def population(
    drug: ParameterSet,
    doses: Sequence[Dose],
    times_s: Sequence[float],
    *,
    count: int,
    seed: int,
    weight_kg: float,
    age_years: float,
    progress: Callable[[int], None],
) -> dict[str, Any]:
    """``p5``, ``p50`` and ``p95`` of concentrations and effects, and ``vitals`` with means and SDs.

    Each vital sign has ``mean`` and ``sd``, and ``change_mean``, ``change_sd`` and ``change_pct_mean``,
    ``change_pct_sd``: what the drug does to each member's own value at rest, without noise.
    ``progress`` is told after each part how many people are done.
    """
    import numpy as np  # noqa: PLC0415 - a single patient needs none of it

    from sim.population import Population, draws_of  # noqa: PLC0415

    parts: list[list[dict[str, Array]]] = []
    for first in range(0, count, CHUNK):
        size = min(CHUNK, count - first)
        people = Population(
            drug, draws_of(seed + first, size), weight_kg=weight_kg, age_years=age_years
        )
        parts.append(_seen(people, drug.drug, doses, times_s))
        progress(first + size)
    everybody = [
        {key: np.concatenate([part[index][key] for part in parts]) for key in parts[0][index]}
        for index in range(len(times_s))
    ]

    def over(key: str, summary: Callable[[Array], float]) -> list[float]:
        return [float(summary(moment[key])) for moment in everybody]

    found: dict[str, Any] = {}
    for name, percentage in (("p5", 5), ("p50", 50), ("p95", 95)):

        def percentile(values: Array, percentage: int = percentage) -> float:
            return float(np.percentile(values, percentage))

        found[name] = {
            "plasma_ng_ml": over("plasma", percentile),
            "effect_ng_ml": {
                site.name: over(f"site {site.name}", percentile) for site in drug.sites
            },
            "effects": {
                key.removeprefix("effect "): over(key, percentile)
                for key in everybody[0]
                if key.startswith("effect ")
            },
        }
    found["vitals"] = {
        vital: {
            name: over(f"{which} {vital}", summary)
            for which, prefix in (("vital", ""), ("change", "change_"), ("part", "change_pct_"))
            for name, summary in ((f"{prefix}mean", np.mean), (f"{prefix}sd", np.std))
        }
        for vital in Vitals._fields
    }
    return found


def _seen(
    people: Population, drug: str, doses: Sequence[Dose], times_s: Sequence[float]
) -> list[dict[str, Array]]:
    """Everything that is asked of these people, at each time."""
    seen: list[dict[str, Array]] = []

    def note() -> None:
        now: dict[str, Array] = {"plasma": people.drug.plasma_ng_ml.copy()}
        for site in people.drug.sites:
            now[f"site {site.name}"] = people.site_ng_ml(site.name).copy()
        now |= {f"effect {key}": values for key, values in people.effects().items()}
        rest, settled, shown = people.rest(), people.settled_vitals(), people.vitals()
        for name, before in rest.items():
            now[f"vital {name}"] = shown[name]
            now[f"change {name}"] = settled[name] - before
            now[f"part {name}"] = 100.0 * (settled[name] / before - 1.0)
        seen.append(now)

    _walk(people.advance_to, drug, doses, times_s, note)
    return seen


def _walk(
    advance_to: Callable[[float, float], None],
    drug: str,
    doses: Sequence[Dose],
    times_s: Sequence[float],
    note: Callable[[], None],
    step_s: float = math.inf,
) -> None:
    """From 0 through all doses; ``note`` is called at each time asked for.

    A seizure begins at the first moment looked at, so lidocaine has steps of its own, whatever is asked.
    """
    if drug == "lidocaine":
        step_s = max(EVENT_STEP_S, times_s[-1] / EVENT_STEPS_MAX)
    wanted = set(times_s)
    for start, end in pairwise([0.0, *changes(doses, times_s)]):
        steps = max(1, math.ceil((end - start) / step_s))
        ug = given_between(doses, start, end) * UG_PER_MG
        for step in range(1, steps + 1):
            advance_to(start + (end - start) * step / steps, ug / steps)
        advance_to(end, given_at_once(doses, end) * UG_PER_MG)
        if end in wanted:
            note()
