"""The scenes: what is broken when, which alarms must come of it, and which way the visit must take.

Together they take every way between two states and reach every condition of the first set of alarms.
"""

from __future__ import annotations

from controller.procedure.table import State
from hil_tests.visit_stage import (
    ANXIOUS,
    CHRONIC,
    END,
    GIVEN,
    KETAMINE,
    NOTHING,
    PERI,
    RECOVER,
    RESUME,
    USEFUL,
    Disk,
    Scene,
    acknowledged,
    as_it_is,
    breaks,
    bridge_gone,
    disk_full,
    little_slack,
    loaded,
    mended,
    says,
    shows,
    silent,
)


def _vital(key: str, value: float | None, alarm_id: str) -> Scene:
    return Scene(
        f"{key} = {value}",
        KETAMINE,
        USEFUL + END,
        ((State.INFUSING, 60.0, shows(**{key: value})),),
        (alarm_id,),
    )


def _breath(key: str, value: float) -> Scene:
    return Scene(
        f"{key} = {value:g} after midazolam",
        KETAMINE,
        ANXIOUS + GIVEN,
        ((State.RESCUE, 60.0, shows(**{key: value})), (State.RECOVERING, 300.0, as_it_is)),
        (f"ventilation_{key}",),
    )


SCENES = (
    Scene(
        "occlusion, mended and resumed",
        KETAMINE,
        USEFUL + RESUME,
        (
            (State.INFUSING, 300.0, breaks("downstream_occlusion")),
            (State.HOLDING, 60.0, mended),
            (State.HOLDING, 90.0, acknowledged),
        ),
        ("pump_occlusion",),
        path="observing infusing holding infusing recovering discharged",
    ),
    Scene(
        "cable out",
        KETAMINE,
        USEFUL + RECOVER,
        ((State.INFUSING, 300.0, lambda stage: stage.unplug()),),
        ("link_lost", "pump_link_lost"),
        path="infusing holding recovering",
    ),
    Scene(
        "bridge killed while observing",
        KETAMINE,
        USEFUL + END,
        ((State.OBSERVING, 60.0, bridge_gone),),
        ("link_lost",),
        path="observing holding aborted",
    ),
    Scene(
        "just enough in the syringe",
        KETAMINE,
        USEFUL,
        (),
        ("near_empty", "empty"),
        loaded(3.5),
    ),
    Scene("pump runs dry", KETAMINE, USEFUL + END, ((State.INFUSING, 300.0, breaks("empty")),)),
    _vital("spo2_pct", 89.0, "vitals_spo2_pct"),
    _vital("spo2_pct", 93.0, "vitals_spo2_pct_warn"),
    _vital("hr_bpm", 160.0, "vitals_hr_bpm"),
    _vital("rr_bpm", 8.0, "vitals_rr_bpm"),
    _vital("nibp_sys_mmhg", 185.0, "vitals_nibp_sys_mmhg"),
    _vital("nibp_dia_mmhg", 115.0, "vitals_nibp_dia_mmhg"),
    _vital("hr_bpm", None, "vitals_hr_bpm"),
    _breath("spo2_pct", 93.0),
    _breath("rr_bpm", 26.0),
    _breath("etco2_mmhg", 55.0),
    Scene(
        "no more vitals",
        KETAMINE,
        USEFUL + END,
        ((State.INFUSING, 60.0, silent),),
        ("vitals_stale",),
    ),
    Scene(
        "a slow pump meets the time ceiling",
        KETAMINE,
        USEFUL,
        (),
        ("time_ceiling",),
        little_slack,
        slow_pump=True,
        path="preparing self_test baseline test_bolus observing infusing recovering",
    ),
    Scene(
        "the controller died before any drug",
        KETAMINE,
        says("holding", 60, action="resume") + USEFUL + says("infusing", 60, action="abort"),
        (),
        ("interrupted",),
        crashes_in=State.BASELINE,
        path="preparing holding self_test baseline",
    ),
    Scene(
        "disk full",
        KETAMINE,
        USEFUL + END,
        ((State.INFUSING, 60.0, disk_full),),
        ("log_not_writable",),
        storage=Disk,
    ),
    Scene("nobody says how the patient responds", KETAMINE, "", (), ("unanswered",)),
    Scene(
        "nobody records the rescue",
        KETAMINE,
        ANXIOUS + says("rescue", 1_500, action="given", midazolam_mg=1.0),
        (),
        ("rescue_unanswered",),
    ),
    Scene(
        "a sign that passes",
        CHRONIC,
        says("infusing", 900, signs="tinnitus") + says("holding", 450, action="resume"),
        (),
        ("toxicity_sign",),
    ),
    Scene(
        "toxicity",
        CHRONIC,
        says("infusing", 1_200, signs="twitching")
        + says("rescue", 60, action="given", lipid_ml=100.0),
        (),
        ("toxicity_sign",),
        path="baseline infusing rescue recovering discharged",
    ),
    Scene(
        "toxicity in the load",
        PERI,
        says("loading", 200, action="toxicity"),
        path="baseline loading rescue",
    ),
    Scene(
        "toxicity while held",
        PERI,
        says("loading", 100, action="hold") + says("holding", 60, action="toxicity"),
        path="loading holding rescue",
    ),
    Scene(
        "toxicity in recovery",
        CHRONIC,
        says("recovering", 600, signs="seizure"),
        path="infusing recovering rescue recovering",
    ),
    Scene(
        "not fit for discharge, handed over",
        KETAMINE,
        USEFUL + says("recovering", 15_000, action="abort"),
        ((State.RECOVERING, 600.0, shows(hr_bpm=160.0)),),
        ("recovery_too_long", "vitals_hr_bpm"),
        path="recovering aborted",
    ),
    Scene(
        "load held, infusion given",
        PERI,
        says("loading", 100, action="hold") + says("holding", 120, action="resume"),
        path="loading holding infusing recovering",
    ),
    Scene("load and infusion", PERI, "", path="baseline loading infusing recovering"),
    Scene(
        "emergency stop",
        KETAMINE,
        USEFUL + says("infusing", 300, action="estop"),
        (),
        ("emergency_stop",),
        path="infusing emergency_stopped",
    ),
    Scene(
        "a pump that ignores the stop",
        KETAMINE,
        USEFUL + says("infusing", 300, action="hold"),
        ((State.INFUSING, 200.0, breaks("stop_ignored")),),
        ("stop_unconfirmed", "fault"),
        path="holding fault",
    ),
    Scene(
        "given up in the infusion",
        KETAMINE,
        USEFUL + says("infusing", 300, action="abort"),
        path="infusing aborted",
    ),
    Scene(
        "the limit of test doses used up",
        KETAMINE,
        NOTHING * 2 + says("observing", response="nothing", dose_mg=5.0),
        path="observing titrating observing titrating observing recovering",
    ),
    Scene(
        "anxious during the test bolus",
        KETAMINE,
        says("test_bolus", 20, action="anxiety"),
        path="test_bolus rescue recovering",
    ),
    Scene(
        "anxious during a further dose",
        KETAMINE,
        NOTHING + says("titrating", 20, action="anxiety"),
        path="titrating rescue",
    ),
    Scene(
        "anxious during the infusion",
        KETAMINE,
        USEFUL + says("infusing", 300, action="anxiety"),
        path="infusing rescue",
    ),
    Scene(
        "held in the test bolus",
        KETAMINE,
        says("test_bolus", 20, action="hold") + RECOVER,
        path="test_bolus holding recovering",
    ),
    Scene(
        "held in a further dose, anxious",
        KETAMINE,
        NOTHING + says("titrating", 20, action="hold") + says("holding", 60, action="anxiety"),
        path="titrating holding rescue",
    ),
    Scene(
        "held while observing, resumed",
        KETAMINE,
        says("observing", 60, action="hold") + RESUME + ANXIOUS,
        path="observing holding observing rescue",
    ),
)
"""In the order of the first set of alarms, then of the branches."""
