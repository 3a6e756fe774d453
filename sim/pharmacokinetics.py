"""Where a drug goes in a body: mammillary compartments with effect sites, advanced exactly.

With ``u`` the drug entering per minute, concentrations C and an effect site Ce per effect::

    dC1/dt = u/V1 - (CL + Q2 + Q3)/V1 * C1 + Q2/V1 * C2 + Q3/V1 * C3
    dC2/dt = Q2/V2 * (C1 - C2)        dC3/dt = Q3/V3 * (C1 - C3)        dCe/dt = ke0 * (C1 - Ce)

Over a step with constant ``u`` this has the exact solution ``x' = Ad x + Bd u``; both come from the
exponential of the augmented matrix [[A, B], [0, 0]] * dt and are kept per dt.  The answer therefore does
not depend on how time is cut, and an idle hour is one step.

Answerable for amounts and concentrations only: effects live in `sim.effects`, parameters in
`sim.drug_models`, and what was really delivered in the pump.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_S_PER_MIN = 60.0
_NG_ML_PER_MG_L = 1000.0
_KEPT_STEPS = 64
"""Step lengths whose solution is kept.  A visit uses a handful; the bound is for one that does not."""

_STEP_S_MIN = 1e-9
"""Below this a step says nothing more about a drug, and dividing a dose by it loses digits."""

Matrix = list[list[float]]


class PatientError(ValueError):
    """The person, drug or dose asked for is one this model cannot stand for."""


@dataclass(frozen=True, slots=True)
class EffectSite:
    """Where an effect follows the plasma, with its equilibration constant."""

    name: str
    ke0_min: float


@dataclass(frozen=True, slots=True)
class Compartments:
    """One body for one drug: volumes in L, clearances in L/min.  Two compartments: ``q3_l_min`` 0."""

    v1_l: float
    v2_l: float
    v3_l: float
    cl_l_min: float
    q2_l_min: float
    q3_l_min: float
    sites: tuple[EffectSite, ...]

    def system(self) -> tuple[Matrix, list[float]]:
        """The matrix A (/min) over C1, C2, C3 and the sites, and the column B (1/L)."""
        k12, k13 = self.q2_l_min / self.v1_l, self.q3_l_min / self.v1_l
        k21, k31 = self.q2_l_min / self.v2_l, self.q3_l_min / self.v3_l
        leaving = self.cl_l_min / self.v1_l + k12 + k13
        rows = [[-leaving, k12, k13], [k21, -k21, 0.0], [k31, 0.0, -k31]]
        count = len(self.sites)
        a = [[*row, *([0.0] * count)] for row in rows]
        for index, site in enumerate(self.sites):
            row = [site.ke0_min, 0.0, 0.0, *([0.0] * count)]
            row[3 + index] = -site.ke0_min
            a.append(row)
        return a, [1.0 / self.v1_l, *([0.0] * (2 + count))]


SiteRow = tuple[float, float, float, float, float]
"""What C1, C2, C3, the site itself and the dose of the step add to one effect site."""

Step = tuple[
    tuple[float, float, float, float],
    tuple[float, float, float, float],
    tuple[float, float, float, float],
    tuple[SiteRow, ...],
]
"""Three compartment rows (C1, C2, C3, dose of the step) and the rows of the effect sites."""


class Kinetics:
    """One drug in one body.  Concentrations in ng/mL, doses in mg, times in s."""

    __slots__ = ("_c1", "_c2", "_c3", "_effects", "_steps", "compartments")

    def __init__(self, compartments: Compartments) -> None:
        self.compartments = compartments
        self._c1 = self._c2 = self._c3 = 0.0
        self._effects = [0.0] * len(compartments.sites)
        self._steps: dict[float, Step] = {}

    @property
    def plasma_ng_ml(self) -> float:
        """The concentration in the central compartment."""
        return self._c1

    @property
    def effects_ng_ml(self) -> Sequence[float]:
        """The concentration at each effect site, in the order of ``compartments.sites``."""
        return self._effects

    def effect_ng_ml(self, site: str) -> float:
        """The concentration at the named effect site.  Raises `PatientError` when there is none."""
        return self._effects[self.site_index(site)]

    def site_index(self, site: str) -> int:
        """Where the named site stands in `effects_ng_ml`.  Raises `PatientError` when there is none."""
        names = [one.name for one in self.compartments.sites]
        if site not in names:
            raise PatientError(f"effect site {site!r}: there are {', '.join(names)}")
        return names.index(site)

    def amount_mg(self) -> float:
        """The drug that is in the body now; the effect sites hold none."""
        body = self.compartments
        held = self._c1 * body.v1_l + self._c2 * body.v2_l + self._c3 * body.v3_l
        return held / _NG_ML_PER_MG_L

    def bolus(self, dose_mg: float) -> None:
        """``dose_mg`` is in the central compartment at once.  Raises `PatientError`."""
        if not 0.0 <= dose_mg < math.inf:
            raise PatientError(f"dose {dose_mg!r} mg: not a finite amount of at least 0 mg")
        self._c1 += dose_mg * _NG_ML_PER_MG_L / self.compartments.v1_l

    def advance(self, dt_s: float, dose_mg: float = 0.0) -> None:
        """``dt_s`` seconds pass while ``dose_mg`` flows in evenly.

        Exact for any ``dt_s``.  Raises `PatientError`, with nothing changed, for a step or a dose
        that is negative or not finite.
        """
        step = self._steps.get(dt_s)
        if step is None:
            if dt_s == 0.0:
                self.bolus(dose_mg)
                return
            step = self._new_step(dt_s)
        if not 0.0 <= dose_mg < math.inf:
            raise PatientError(f"dose {dose_mg!r} mg: not a finite amount of at least 0 mg")
        (a11, a12, a13, b1), (a21, a22, a23, b2), (a31, a32, a33, b3), sites = step
        c1, c2, c3 = self._c1, self._c2, self._c3
        self._c1 = a11 * c1 + a12 * c2 + a13 * c3 + b1 * dose_mg
        self._c2 = a21 * c1 + a22 * c2 + a23 * c3 + b2 * dose_mg
        self._c3 = a31 * c1 + a32 * c2 + a33 * c3 + b3 * dose_mg
        self._effects = [
            e1 * c1 + e2 * c2 + e3 * c3 + own * effect + b * dose_mg
            for (e1, e2, e3, own, b), effect in zip(sites, self._effects, strict=True)
        ]

    def _new_step(self, dt_s: float) -> Step:
        if not _STEP_S_MIN <= dt_s < math.inf:
            raise PatientError(f"step {dt_s!r} s: not 0 and not a finite time of at least 1 ns")
        if len(self._steps) >= _KEPT_STEPS:
            self._steps.clear()
        self._steps[dt_s] = step = exact_step(self.compartments, dt_s)
        return step


def exact_step(compartments: Compartments, dt_s: float) -> Step:
    """The solution over ``dt_s`` seconds, for states in ng/mL and a dose in mg spread over the step."""
    a, b = compartments.system()
    dt_min = dt_s / _S_PER_MIN
    augmented = [[x * dt_min for x in (*row, entry)] for row, entry in zip(a, b, strict=True)]
    augmented.append([0.0] * (len(a) + 1))
    solved = matrix_exponential(augmented)
    # The augmented column was integrated for 1 mg/min; the step is given the whole dose instead.
    per_mg = _NG_ML_PER_MG_L / dt_min
    rows = [(row[0], row[1], row[2], row[-1] * per_mg) for row in solved[:3]]
    sites = tuple(
        (row[0], row[1], row[2], row[index], row[-1] * per_mg)
        for index, row in enumerate(solved[3:-1], start=3)
    )
    return rows[0], rows[1], rows[2], sites


def matrix_exponential(matrix: Matrix) -> Matrix:
    """``e ** matrix`` of a small square matrix: Taylor series of a scaled-down copy, squared back up.

    Scaled to a norm of at most one half, the series is summed until a term no longer changes it.
    Squaring costs about one bit per doubling, far inside the 1e-9 asked of it.
    """
    norm = max(sum(map(abs, row)) for row in matrix)
    squarings = max(0, math.frexp(norm)[1] + 1)
    scale = 0.5**squarings
    scaled = [[x * scale for x in row] for row in matrix]
    size = len(matrix)
    total = [[float(i == j) for j in range(size)] for i in range(size)]
    term = total
    for order in range(1, 25):
        term = [[x / order for x in row] for row in _product(term, scaled)]
        total = [
            [x + y for x, y in zip(row, more, strict=True)]
            for row, more in zip(total, term, strict=True)
        ]
        if max(max(map(abs, row)) for row in term) < 1e-18:
            break
    for _ in range(squarings):
        total = _product(total, total)
    return total


def _product(left: Matrix, right: Matrix) -> Matrix:
    columns = list(zip(*right, strict=True))
    return [
        [sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in left
    ]
