"""What can go wrong between a patient and what is seen of him: kinds of the monitor.

`ARTEFACTS` are those of `sim.artefacts`, which also says what each of them does.
"""

from __future__ import annotations

from sim.faults.fault_kind import FaultKind
from sim.faults.parameters import Amount, Choice

ROOM = "monitor"

_ARTEFACTS: dict[str, tuple[str, str]] = {
    "lead_off": ("no ECG: the pulse is invalid", ""),
    "probe_off": ("no pulse at the finger: saturation is invalid", ""),
    "cuff_off": ("no pressures at all", ""),
    "line_off": ("the sampling line is off or blocked: EtCO2 is invalid", ""),
    "electrosurgery": ("bursts in which the pulse is nonsense", ""),
    "double_counting": ("T waves are counted: twice the pulse", ""),
    "motion": ("bouts in which saturation is noisy and low", ""),
    "low_perfusion": ("bouts in which saturation is invalid: too little blood", ""),
    "cuff_failure": ("every attempt of the cuff fails", ""),
    "cuff_on_spo2_arm": ("saturation is invalid while the cuff presses", ""),
    "mouth_breathing": ("EtCO2 is diluted", ""),
    "flat_lined": ("all values stay as they are while time goes on", "F20"),
    "frozen": ("the last message comes again and again", "F20"),
    "late": ("messages come late, with the time they were made at", ""),
    "duplicated": ("every message comes twice", ""),
    "out_of_order": ("messages change places in pairs", ""),
}
ARTEFACTS = tuple(_ARTEFACTS)
"""What a rehearsal does."""

_SIGNAL = Choice(("spo2_pct", "hr_bpm", "nibp_sys_mmhg", "nibp_dia_mmhg", "rr_bpm", "etco2_mmhg"))

MONITOR_KINDS = (
    *(
        FaultKind(kind, ROOM, text, known=tuple(known.split()))
        for kind, (text, known) in _ARTEFACTS.items()
    ),
    FaultKind("vital_missing", ROOM, "one signal is not told", {"signal": _SIGNAL}),
    FaultKind("vital_nan", ROOM, "one signal is no number", {"signal": _SIGNAL}, known=("F20",)),
    FaultKind(
        "vital_spike",
        ROOM,
        "one signal has this value",
        {"signal": _SIGNAL, "value": Amount(0, -1e6, 1e6)},
    ),
    FaultKind(
        "vital_future",
        ROOM,
        "values carry a time that is still to come",
        {"ahead_s": Amount(60, 0, 1e6)},
        known=("F16",),
    ),
)
"""Every kind of this room."""
