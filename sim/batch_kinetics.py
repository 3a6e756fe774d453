"""`sim.pharmacokinetics` for many bodies at once: the same exact steps, as arrays over the bodies.

No body's concentrations depend on who else is in the batch, but for the last bits: the exponential of
all is scaled to the largest of them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.pharmacokinetics import Compartments, PatientError

Array = NDArray[np.float64]

_S_PER_MIN = 60.0
_NG_ML_PER_MG_L = 1000.0
_KEPT_STEPS = 16
"""Step lengths whose matrices are kept: each takes some 400 bytes a body."""
_ORDER_MAX = 25


class BatchKinetics:
    """One drug in many bodies.  Concentrations in ng/mL, doses in mg, times in s.

    The numbers of ``compartments`` are arrays over the bodies, or one number for all of them.
    """

    def __init__(self, compartments: Compartments, count: int) -> None:
        self.sites = compartments.sites
        self._v1_l = np.broadcast_to(np.asarray(compartments.v1_l, dtype=float), (count,))
        self._system = _system(compartments, count)
        self._state: Array = np.zeros((3 + len(self.sites), count))
        self._steps: dict[float, tuple[Array, Array]] = {}

    @property
    def plasma_ng_ml(self) -> Array:
        """The concentration in each central compartment."""
        plasma: Array = self._state[0]
        return plasma

    @property
    def effects_ng_ml(self) -> Array:
        """A row for each effect site, in the order of ``sites``."""
        return self._state[3:]

    def bolus(self, dose_mg: float | Array) -> None:
        """The dose is in the central compartments at once."""
        self._state[0] += np.asarray(dose_mg) * _NG_ML_PER_MG_L / self._v1_l

    def advance(self, dt_s: float, dose_mg: float | Array = 0.0) -> None:
        """``dt_s`` seconds pass while the dose (one for all, or one each) flows in evenly.

        Raises `PatientError` for a step or a dose that is negative or not finite.
        """
        if not np.all(np.isfinite(dose_mg)) or np.any(np.asarray(dose_mg) < 0.0):
            raise PatientError(f"dose {dose_mg!r} mg: not a finite amount of at least 0 mg")
        if dt_s == 0.0:
            self.bolus(dose_mg)
            return
        if not 0.0 < dt_s < math.inf:
            raise PatientError(f"step {dt_s!r} s: not a finite time of at least 0 s")
        kept, entering = self._step(dt_s)
        self._state = np.einsum("ijn,jn->in", kept, self._state)
        self._state += entering * dose_mg

    def _step(self, dt_s: float) -> tuple[Array, Array]:
        step = self._steps.get(dt_s)
        if step is None:
            if len(self._steps) >= _KEPT_STEPS:
                self._steps.clear()
            step = self._steps[dt_s] = self._exact_step(dt_s)
        return step

    def _exact_step(self, dt_s: float) -> tuple[Array, Array]:
        """As `sim.pharmacokinetics.exact_step`, with the bodies as the last index."""
        dt_min = dt_s / _S_PER_MIN
        solved = batch_exponential(self._system * dt_min)
        kept = np.ascontiguousarray(solved[:, :-1, :-1].transpose(1, 2, 0))
        entering = np.ascontiguousarray(solved[:, :-1, -1].T) * (_NG_ML_PER_MG_L / dt_min)
        return kept, entering


def batch_exponential(matrices: Array) -> Array:
    """``e ** matrix`` of each matrix in a stack: Taylor series of a scaled-down copy, squared back up."""
    norm = float(np.abs(matrices).sum(axis=2).max())
    squarings = max(0, math.frexp(norm)[1] + 1)
    scaled = matrices * 0.5**squarings
    total = np.broadcast_to(np.eye(matrices.shape[1]), matrices.shape).copy()
    term = total.copy()
    for order in range(1, _ORDER_MAX):
        term = (term @ scaled) / order
        total += term
        if np.abs(term).max() < 1e-18:
            break
    for _ in range(squarings):
        total = total @ total
    return total


def _system(body: Compartments, count: int) -> Array:
    """The augmented matrices [[A, B], [0, 0]] (/min) of all bodies."""
    sites = len(body.sites)
    augmented = np.zeros((count, 4 + sites, 4 + sites))
    k12, k13 = body.q2_l_min / body.v1_l, body.q3_l_min / body.v1_l
    k21, k31 = body.q2_l_min / body.v2_l, body.q3_l_min / body.v3_l
    augmented[:, 0, 0] = -(body.cl_l_min / body.v1_l + k12 + k13)
    augmented[:, 0, 1], augmented[:, 0, 2] = k12, k13
    augmented[:, 1, 0], augmented[:, 1, 1] = k21, -k21
    augmented[:, 2, 0], augmented[:, 2, 2] = k31, -k31
    for row, site in enumerate(body.sites, start=3):
        augmented[:, row, 0], augmented[:, row, row] = site.ke0_min, -site.ke0_min
    augmented[:, 0, -1] = 1.0 / body.v1_l
    return augmented
