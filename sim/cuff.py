"""The pressure cuff: a reading now and then, stale between, with its own errors and failures.

A reading is ready when the cuff has been let down, so the cuff inflates before each due moment.  An
attempt that fails is made once more; if that fails too there is no valid pressure until a later cycle
succeeds.  Until then the last reading stands, with its age.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.chance import Normals
from sim.monitor_figures import Cuff as Figures


@dataclass(frozen=True, slots=True)
class Reading:
    """Pressures as read at ``at_s``, in mmHg."""

    at_s: float
    sys_mmhg: float
    dia_mmhg: float


class Cuff:
    """One cuff on one arm.  ``normals`` gives its bias, then two errors for each cycle."""

    def __init__(self, figures: Figures, normals: Normals, interval_s: float) -> None:
        if not interval_s > 0:
            raise ValueError(f"nibp_interval_s {interval_s!r}: must be above 0")
        self._figures = figures
        self._normals = normals
        self._interval_s = interval_s
        self._bias_mmhg = figures.bias_sd_mmhg * normals()
        self._errors = (0.0, 0.0)
        self._due_s: float | None = None
        self._retry_s: float | None = None
        self.reading: Reading | None = None
        """The last one; None before the first and after a cycle that failed twice."""

    def off(self) -> None:
        """The cuff is taken off; what it read is gone, and it reads at once when it is on again."""
        self.reading = self._due_s = self._retry_s = None

    def inflating(self, now: float) -> bool:
        """Whether the cuff presses the arm now."""
        ready = self._due_s if self._retry_s is None else self._retry_s
        return ready is not None and ready - self._figures.inflation_s <= now < ready

    def measure(self, now: float, sys_mmhg: float, dia_mmhg: float, *, failing: bool) -> None:
        """``now`` has come; if a reading is due it is taken, or fails where it must."""
        if self._retry_s is not None and now >= self._retry_s:
            self._retry_s = None
            self._attempt(now, sys_mmhg, dia_mmhg, failing=failing, again=False)
        if self._due_s is None or now >= self._due_s:
            due = now if self._due_s is None else self._due_s
            missed = (now - due) // self._interval_s
            self._due_s = due + (missed + 1) * self._interval_s
            sd = self._figures.reading_sd_mmhg
            # Drawn whether the attempt succeeds or not, so that a failure shifts no later reading.
            self._errors = (sd * self._normals(), sd * self._normals())
            self._attempt(now, sys_mmhg, dia_mmhg, failing=failing, again=True)

    def _attempt(
        self, now: float, sys_mmhg: float, dia_mmhg: float, *, failing: bool, again: bool
    ) -> None:
        if failing or sys_mmhg < self._figures.readable_mmhg:
            if again:
                self._retry_s = now + self._figures.inflation_s
            else:
                self.reading = None
            return
        self._retry_s = None
        read_sys = float(round(sys_mmhg + self._bias_mmhg + self._errors[0]))
        read_dia = float(round(dia_mmhg + self._bias_mmhg + self._errors[1]))
        self.reading = Reading(now, read_sys, min(read_dia, read_sys))
