"""The patient monitor: turns what is true of the patient into the samples that a controller gets.

One sample a second, a flat JSON object with the keys below.  A value that is not there is absent; one
that cannot be valid (a sensor has come off, there is no pulse, a cuff failed twice) is absent and named
in ``invalid``, never 0 and never the last good one.

===================================  ==========================================================
``t_s``, ``seq``                     source time; number of the sample, from 1
``hr_bpm rr_bpm etco2_mmhg``         as they are
``spo2_pct``                         mean of the last 12 s, as oximeters average
``nibp_sys_mmhg nibp_dia_mmhg``      the last cuff reading, with ``nibp_age_s``; one every 5 min
``signs``                            what is seen at the bedside (`sim.patient.Signs`); the two of
                                     toxicity for lidocaine only
``model``                            concentrations in ng/mL, for display beside the question
``invalid``                          names of the values whose sensor says nothing
===================================  ==========================================================

Pure: the moment is an argument.  The patient is advanced by its owner first, the monitor only looks.
"""

from __future__ import annotations

from collections import deque

from sim.artefacts import OFF, Artefacts, Delivery, Sample
from sim.chance import Draw, Normals, key_of
from sim.cuff import Cuff
from sim.monitor_figures import monitor_figures
from sim.patient import Patient
from sim.vital_signs import Vitals

NIBP_INTERVAL_S = monitor_figures().cuff.interval_s

_CUFF = frozenset({"nibp_sys_mmhg", "nibp_dia_mmhg"})
SIGNALS = ("hr_bpm", "spo2_pct", "nibp_sys_mmhg", "nibp_dia_mmhg", "rr_bpm", "etco2_mmhg")


class Monitor:
    """Watches one patient.  ``draw`` is the monitor's own stream, so that it shifts nothing of the patient's.

    ``artefacts`` can be switched on by name; none is on at first.
    """

    def __init__(
        self, patient: Patient, draw: Draw, *, nibp_interval_s: float = NIBP_INTERVAL_S
    ) -> None:
        self._figures = monitor_figures()
        self._patient = patient
        self._cuff = Cuff(self._figures.cuff, Normals(draw), nibp_interval_s)
        self.artefacts = Artefacts(self._figures, key_of(draw))
        self._delivery = Delivery(self.artefacts, self._figures.late_s)
        self._spo2: deque[tuple[float, float]] = deque()
        self._detached: set[str] = set()
        self._values: Sample | None = None
        self._seq = 0

    def detach(self, signal: str) -> None:
        """The sensor of ``signal`` comes off; the cuff takes both pressures with it.

        Raises `ValueError` for a signal this monitor does not have.
        """
        self._detached |= _of_one_sensor(signal)
        if signal in _CUFF:
            self._cuff.off()
        if signal == "spo2_pct":
            self._spo2.clear()

    def attach(self, signal: str) -> None:
        """The sensor is on again; the cuff reads at the next sample.  Raises `ValueError`."""
        self._detached -= _of_one_sensor(signal)

    def samples(self, now: float) -> list[Sample]:
        """What reaches the controller at ``now`` (s): one sample, unless its way there is disturbed."""
        return self._delivery.of(now, self.sample(now))

    def sample(self, now: float) -> Sample:
        """What the monitor sends at ``now`` (s); the patient must have been advanced to it."""
        self._seq += 1
        values = self._measured(now)
        if "flat_lined" not in self.artefacts.on or self._values is None:
            self._values = values
        return {"t_s": now, "seq": self._seq, **self._values}

    def _measured(self, now: float) -> Sample:
        off = set(self._detached)
        for kind in self.artefacts.on & OFF.keys():
            off |= _of_one_sensor(OFF[kind])
        vitals = self._patient.vitals()
        shown: dict[str, float] = {}
        if "hr_bpm" not in off:
            shown["hr_bpm"] = round(self.artefacts.pulse(now, vitals.hr_bpm), 1)
        self._read_pressure(now, vitals, shown, off=not _CUFF.isdisjoint(off))
        self._read_saturation(now, vitals, shown, off="spo2_pct" in off)
        if "rr_bpm" not in off:
            shown["rr_bpm"] = round(vitals.rr_bpm, 1)
        if "etco2_mmhg" not in off and vitals.rr_bpm >= self._figures.breaths_min_bpm:
            shown["etco2_mmhg"] = round(self.artefacts.end_tidal(vitals.etco2_mmhg), 1)
        return {
            **shown,
            "signs": self._signs(),
            "model": {key: round(x, 2) for key, x in self._patient.concentrations().items()},
            "invalid": sorted(signal for signal in SIGNALS if signal not in shown),
        }

    def _signs(self) -> dict[str, float | bool | str]:
        signs = self._patient.signs
        seen: dict[str, float | bool | str] = {
            "dissociation_pct": round(signs.dissociation_pct, 2),
            "pain_fall_cm": round(signs.pain_fall_cm, 2),
            "anxious": signs.anxious,
            "sedated": signs.sedated,
            "rousable": signs.rousable,
        }
        if self._patient.poisonable:
            seen["toxicity"], seen["toxicity_stage"] = signs.toxicity, signs.toxicity_stage
        return seen

    def _read_saturation(
        self, now: float, vitals: Vitals, shown: dict[str, float], *, off: bool
    ) -> None:
        pressed = "cuff_on_spo2_arm" in self.artefacts.on and self._cuff.inflating(now)
        # Without a pulse at the finger an oximeter has nothing to measure.
        pulseless = self.artefacts.pulseless(now) or (
            vitals.sbp_mmhg < self._figures.cuff.readable_mmhg
        )
        if off or pressed or pulseless:
            self._spo2.clear()
            return
        window = self._spo2
        window.append((now, self.artefacts.saturation(now, vitals.spo2_pct)))
        while window[0][0] <= now - self._figures.averaging_s:
            window.popleft()
        shown["spo2_pct"] = round(sum(value for _, value in window) / len(window), 1)

    def _read_pressure(
        self, now: float, vitals: Vitals, shown: dict[str, float], *, off: bool
    ) -> None:
        if off:
            self._cuff.off()
            return
        failing = "cuff_failure" in self.artefacts.on
        self._cuff.measure(now, vitals.sbp_mmhg, vitals.dbp_mmhg, failing=failing)
        reading = self._cuff.reading
        if reading is not None:
            shown["nibp_sys_mmhg"] = reading.sys_mmhg
            shown["nibp_dia_mmhg"] = reading.dia_mmhg
            shown["nibp_age_s"] = round(now - reading.at_s, 3)


def _of_one_sensor(signal: str) -> frozenset[str]:
    if signal not in SIGNALS:
        raise ValueError(f"signal {signal!r}: there are {', '.join(SIGNALS)}")
    return _CUFF if signal in _CUFF else frozenset({signal})
