"""What the first record of a log says about the visit it belongs to, besides who wrote it.

A report is made from the log alone, so whatever it must show and no later record says is said here:
subject, drug, syringe, the limits of the vital signs, and the hashes of the files that decided.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.flat_json import Scalar
from controller.limits import VitalLimit
from controller.plan import Plan

NO_LIMIT = 1e9
"""From here on an upper limit stands for none (see the drug library)."""


def visit_facts(plan: Plan) -> dict[str, Scalar]:
    """The plan as flat data, units in the keys."""
    return {
        "weight_kg": plan.subject.weight_kg,
        "age_years": plan.subject.age_years,
        "height_cm": plan.subject.height_cm,
        "drug": plan.drug,
        "profile": plan.profile,
        "concentration_mg_ml": plan.concentration.mg_ml,
        "syringe": plan.syringe.name,
        "syringe_diameter_mm": plan.syringe.diameter_um / 1_000,
        "syringe_size_ml": plan.syringe.size.ml,
        "loaded_ml": plan.syringe.loaded.ml,
        "library_version": plan.library_version,
        "library_sha256": plan.library_sha256,
        **vital_limits(plan.limits.vitals),
    }


def vital_limits(limits: Iterable[VitalLimit]) -> dict[str, Scalar]:
    """``hold_below_spo2_pct`` and the like; of two with the same name the one that counts first."""
    found: dict[str, Scalar] = {}
    for limit in limits:
        low, high = f"{limit.action}_below_{limit.key}", f"{limit.action}_above_{limit.key}"
        if limit.low > 0:
            found[low] = max(limit.low, float(found.get(low, limit.low)))
        if limit.high < NO_LIMIT:
            found[high] = min(limit.high, float(found.get(high, limit.high)))
    return found
