"""Which compartment model stands for which drug in which person: the parameter sets and their sources.

Reads ``data/pharmacokinetics.toml`` and turns a set into the `Compartments` of one subject.  A subject
outside the range a set is meant for is refused, never extrapolated to.  Bench and simulation only: no
value here may be used to treat anybody.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from sim.pharmacokinetics import Compartments, EffectSite, PatientError

_MIN_PER_H = 60.0


@dataclass(frozen=True, slots=True)
class Factors:
    """How one person differs from the typical one: each parameter is multiplied by its factor."""

    cl: float = 1.0
    v1: float = 1.0
    v2: float = 1.0
    v3: float = 1.0
    q2: float = 1.0
    q3: float = 1.0


TYPICAL = Factors()


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """One published set of parameters, where it comes from, and whom it may stand for."""

    name: str
    model: str
    drug: str
    source: str
    doi: str
    pmid: str
    mark: str
    sampling: str
    caution: str
    age_years_from: float
    age_years_below: float
    weight_kg_from: float
    weight_kg_to: float
    form: str
    values: Mapping[str, float]
    sites: tuple[EffectSite, ...]

    def fits_age(self, age_years: float) -> bool:
        return self.age_years_from <= age_years < self.age_years_below

    def check(self, *, weight_kg: float, age_years: float) -> None:
        """Raise `PatientError` unless the set may stand for a subject of this weight and age."""
        if not self.fits_age(age_years):
            raise PatientError(
                f"age_years {age_years:g}: {self.name} ({self.drug}) stands for ages from "
                f"{self.age_years_from:g} to below {self.age_years_below:g}"
            )
        if not self.weight_kg_from <= weight_kg <= self.weight_kg_to:
            raise PatientError(
                f"weight_kg {weight_kg:g}: {self.name} ({self.drug}) stands for weights from "
                f"{self.weight_kg_from:g} to {self.weight_kg_to:g}"
            )

    def compartments(
        self, *, weight_kg: float, age_years: float, factors: Factors = TYPICAL
    ) -> Compartments:
        """The body of one subject.  Raises `PatientError` outside the ranges of the set."""
        self.check(weight_kg=weight_kg, age_years=age_years)
        return self.scaled(weight_kg, factors)

    def scaled(self, weight_kg: float, factors: Factors) -> Compartments:
        """The same for a subject that was checked; arrays of weights and factors serve as well."""
        from_form = _from_flows if self.form == "flows" else _from_rate_constants
        v1, v2, v3, cl, q2, q3 = from_form(self.values, weight_kg)
        return Compartments(
            v1_l=v1 * factors.v1,
            v2_l=v2 * factors.v2,
            v3_l=v3 * factors.v3,
            cl_l_min=cl * factors.cl,
            q2_l_min=q2 * factors.q2,
            q3_l_min=q3 * factors.q3,
            sites=self.sites,
        )


_Six = tuple[float, float, float, float, float, float]


def _from_flows(values: Mapping[str, float], weight_kg: float) -> _Six:
    """V1, V2, V3 (L), CL, Q2, Q3 (L/min): volumes scale with weight, flows with its power."""
    size = weight_kg / values["reference_weight_kg"]
    flow = size ** values["flow_exponent"] / _MIN_PER_H
    return (
        values["v1_l"] * size,
        values["v2_l"] * size,
        values["v3_l"] * size,
        values["cl_l_h"] * flow,
        values["q2_l_h"] * flow,
        values["q3_l_h"] * flow,
    )


def _from_rate_constants(values: Mapping[str, float], weight_kg: float) -> _Six:
    """The same six from V1 and k (/min): V2 = V1 k12/k21, V3 = V1 k13/k31, CL = V1 k10."""
    v1 = values["v1_l"] if "v1_l" in values else values["v1_l_kg"] * weight_kg
    cl = values["cl_l_min"] if "cl_l_min" in values else v1 * values["k10_min"]
    q2, q3 = v1 * values["k12_min"], v1 * values["k13_min"]
    return v1, q2 / values["k21_min"], q3 / values["k31_min"], cl, q2, q3


@cache
def parameter_sets() -> tuple[ParameterSet, ...]:
    """Every parameter set of the data file, in its order."""
    text = files("sim").joinpath("data/pharmacokinetics.toml").read_text(encoding="utf-8")
    return tuple(_parsed(table) for table in tomllib.loads(text)["parameter_set"])


def models_of(drug: str) -> tuple[str, ...]:
    """The models there are for ``drug``, the default first.  Raises `PatientError` for another drug."""
    names = tuple(dict.fromkeys(one.model for one in parameter_sets() if one.drug == drug))
    if not names:
        drugs = ", ".join(dict.fromkeys(one.drug for one in parameter_sets()))
        raise PatientError(f"drug {drug!r}: there are {drugs}")
    return names


def parameter_set(drug: str, model: str | None = None, *, age_years: float) -> ParameterSet:
    """The set of ``model`` for this age (default: the first model of ``drug``).

    Raises `PatientError` for a drug or model that is not there and for an age no set stands for.
    """
    known = models_of(drug)
    wanted = known[0] if model is None else model
    if wanted not in known:
        raise PatientError(f"model {wanted!r}: for {drug} there are {', '.join(known)}")
    candidates = [one for one in parameter_sets() if one.model == wanted]
    for one in candidates:
        if one.fits_age(age_years):
            return one
    youngest = min(one.age_years_from for one in candidates)
    oldest = max(one.age_years_below for one in candidates)
    raise PatientError(
        f"age_years {age_years:g}: {wanted} stands for ages from {youngest:g} to below {oldest:g}"
    )


_DESCRIBES_A_SET = {
    *("name", "model", "drug", "source", "doi", "pmid", "mark", "sampling", "form"),
    *("age_years_from", "age_years_below", "weight_kg_from", "weight_kg_to", "range_note"),
    *("effect_sites", "caution"),
}
_MAY_BE_LEFT_OUT = {"range_note", "effect_sites", "caution"}


def _parsed(table: Mapping[str, Any]) -> ParameterSet:
    values = {key: float(x) for key, x in table.items() if key not in _DESCRIBES_A_SET}
    described = {key: table[key] for key in _DESCRIBES_A_SET - _MAY_BE_LEFT_OUT}
    sites = tuple(_site(site) for site in table["effect_sites"])
    caution = str(table.get("caution", ""))
    return ParameterSet(**described, caution=caution, values=values, sites=sites)


def _site(table: Mapping[str, Any]) -> EffectSite:
    if "ke0_min" in table:
        return EffectSite(str(table["name"]), float(table["ke0_min"]))
    return EffectSite(str(table["name"]), math.log(2) / float(table["half_life_min"]))
