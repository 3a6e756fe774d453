"""The patient monitor: turns what is true of the patient into the samples that a controller gets.

One sample a second, a flat JSON object with the keys below.  A value that is not there is absent; one
that cannot be valid (a sensor has come off) is absent and named in ``invalid``, never 0 and never the
last good one.

===================================  ==========================================================
``t_s``, ``seq``                     source time; number of the sample, from 1
``hr_bpm rr_bpm etco2_mmhg``         as they are
``spo2_pct``                         mean of the last 12 s, as oximeters average
``nibp_sys_mmhg nibp_dia_mmhg``      the last cuff reading, with ``nibp_age_s``; one every 5 min
``signs``                            what is seen at the bedside (`sim.patient.Signs`)
``model``                            concentrations in ng/mL, for display beside the question
``invalid``                          names of the values whose sensor is off
===================================  ==========================================================

Pure: the moment is an argument.  The patient is advanced by its owner first, the monitor only looks.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from sim.chance import Draw, Normals
from sim.patient import Patient

NIBP_INTERVAL_S = 300.0
"""Monitoring during such infusions: a reading every 5 min."""
SPO2_AVERAGING_S = 12.0
"""Averaging time stated by the manual of an oximeter (Weinmann)."""
NIBP_BIAS_SD_MMHG = 3.0
NIBP_READING_SD_MMHG = 4.0
"""Our choice, inside the accuracy standard for cuffs (AAMI: mean error at most 5, SD at most 8 mmHg)."""

_CUFF = frozenset({"nibp_sys_mmhg", "nibp_dia_mmhg"})
SIGNALS = ("hr_bpm", "spo2_pct", "nibp_sys_mmhg", "nibp_dia_mmhg", "rr_bpm", "etco2_mmhg")


class Monitor:
    """Watches one patient.  ``draw`` is the monitor's own stream, so that it shifts nothing of the patient's."""

    def __init__(
        self, patient: Patient, draw: Draw, *, nibp_interval_s: float = NIBP_INTERVAL_S
    ) -> None:
        if not nibp_interval_s > 0:
            raise ValueError(f"nibp_interval_s {nibp_interval_s!r}: must be above 0")
        self._patient = patient
        self._normals = Normals(draw)
        self._cuff_bias_mmhg = NIBP_BIAS_SD_MMHG * self._normals()
        self._nibp_interval_s = nibp_interval_s
        self._nibp: tuple[float, float, float] | None = None
        self._nibp_due_s: float | None = None
        self._spo2: deque[tuple[float, float]] = deque()
        self._detached: set[str] = set()
        self._seq = 0

    def detach(self, signal: str) -> None:
        """The sensor of ``signal`` comes off; the cuff takes both pressures with it.

        Raises `ValueError` for a signal this monitor does not have.
        """
        self._detached |= self._of_one_sensor(signal)
        if signal in _CUFF:
            self._nibp = self._nibp_due_s = None
        if signal == "spo2_pct":
            self._spo2.clear()

    def attach(self, signal: str) -> None:
        """The sensor is on again; the cuff reads at the next sample.  Raises `ValueError`."""
        self._detached -= self._of_one_sensor(signal)

    def sample(self, now: float) -> dict[str, Any]:
        """What the monitor sends at ``now`` (s); the patient must have been advanced to it."""
        vitals = self._patient.vitals()
        self._seq += 1
        sent: dict[str, Any] = {
            "t_s": now,
            "seq": self._seq,
            "hr_bpm": round(vitals.hr_bpm, 1),
            **self._oximeter(now, vitals.spo2_pct),
            **self._cuff(now, vitals.sbp_mmhg, vitals.dbp_mmhg),
            "rr_bpm": round(vitals.rr_bpm, 1),
            "etco2_mmhg": round(vitals.etco2_mmhg, 1),
            "signs": self._signs(),
            "model": {key: round(x, 2) for key, x in self._patient.concentrations().items()},
            "invalid": sorted(self._detached),
        }
        for signal in self._detached:
            sent.pop(signal, None)
        return sent

    def _signs(self) -> dict[str, float | bool]:
        signs = self._patient.signs
        return {
            "dissociation_pct": round(signs.dissociation_pct, 2),
            "pain_fall_cm": round(signs.pain_fall_cm, 2),
            "anxious": signs.anxious,
            "sedated": signs.sedated,
            "rousable": signs.rousable,
        }

    def _oximeter(self, now: float, true_pct: float) -> dict[str, float]:
        if "spo2_pct" in self._detached:
            return {}
        window = self._spo2
        window.append((now, true_pct))
        while window[0][0] <= now - SPO2_AVERAGING_S:
            window.popleft()
        return {"spo2_pct": round(sum(value for _, value in window) / len(window), 1)}

    def _cuff(self, now: float, sys_mmhg: float, dia_mmhg: float) -> dict[str, float]:
        if "nibp_sys_mmhg" in self._detached:
            return {}
        due = self._nibp_due_s
        if self._nibp is None or due is None or now >= due:
            normals, bias = self._normals, self._cuff_bias_mmhg
            read_sys = sys_mmhg + bias + NIBP_READING_SD_MMHG * normals()
            read_dia = dia_mmhg + bias + NIBP_READING_SD_MMHG * normals()
            self._nibp = (now, float(round(read_sys)), float(round(min(read_dia, read_sys))))
            self._nibp_due_s = self._next_due(now, now if due is None else due)
        read_at, sys_read, dia_read = self._nibp
        return {
            "nibp_sys_mmhg": sys_read,
            "nibp_dia_mmhg": dia_read,
            "nibp_age_s": round(now - read_at, 3),
        }

    def _next_due(self, now: float, due: float) -> float:
        """The next moment of the cycle after ``now``, however many readings were missed."""
        missed = (now - due) // self._nibp_interval_s
        return due + (missed + 1) * self._nibp_interval_s

    def _of_one_sensor(self, signal: str) -> frozenset[str]:
        if signal not in SIGNALS:
            raise ValueError(f"signal {signal!r}: there are {', '.join(SIGNALS)}")
        return _CUFF if signal in _CUFF else frozenset({signal})
