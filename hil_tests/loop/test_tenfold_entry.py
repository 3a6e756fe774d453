"""A dose of lidocaine entered tenfold: refused with the limits in force; what it would do, with them off.

With limits on, a file is refused before anything begins and an entry at the bedside is not taken
(`test_procedure_lidocaine`, `test_prompt_visit`).  Here whole visits are rehearsed both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from controller.plan import Plan
from controller.procedure.events import VitalsArrived
from controller.procedure.table import State
from controller.runner import Observer, Runner
from firmware_bridge.messages import PumpState
from firmware_bridge.quantities import Concentration, Mass, Volume
from hil_tests.visit_stage import CHRONIC, PERI, Scene, play, says
from sim.effects import effects

STAGES = [stage.name for stage in effects().toxicity.stages]
STRONG = Concentration.from_mg_ml(100)
"""The strongest that the gate passes, so that ten times the dose is in the syringe at all."""
ABORT = says("holding", 60, action="abort")


def tenfold(plan: Plan) -> Plan:
    """30 mg/kg where 3 were meant, or a load of 15 where 1.5 were; the limits are as they are."""
    limits = replace(plan.limits, concentrations=(STRONG,))
    changed = replace(plan, concentration=STRONG, limits=limits)
    if plan.load is None:
        rule = replace(plan.infusion, ug_kg=10 * plan.infusion.ug_kg)
        return replace(changed, infusion=rule)
    return replace(changed, load=replace(plan.load, dose=Mass(10 * plan.load.dose.ug)))


def without_limits(plan: Plan) -> Plan:
    """The same with every limit of dose and rate a hundred times as high; never for anything but this."""
    old = plan.limits
    far = Mass(100 * old.visit_hard.ug)
    limits = replace(
        old,
        concentrations=(STRONG,),
        rate_soft_ug_kg_h=100 * old.rate_soft_ug_kg_h,
        rate_hard_ug_kg_h=100 * old.rate_hard_ug_kg_h,
        rate_hard=None,
        infusion_soft_ug_kg=100 * old.infusion_soft_ug_kg,
        infusion_hard_ug_kg=100 * old.infusion_hard_ug_kg,
        infusion_hard=far,
        hour_hard_ug_kg=100 * old.hour_hard_ug_kg,
        hour_hard=far,
        visit_hard_ug_kg=100 * old.visit_hard_ug_kg,
        visit_hard=far,
        load_hard_ug_kg=100 * old.load_hard_ug_kg,
    )
    return replace(tenfold(plan), limits=limits)


class Bedside(Observer):
    """Sees what the patient shows, and whether the pump runs, at every sample of the monitor."""

    def __init__(self) -> None:
        self.first_seen: dict[str, bool] = {}
        """Each stage, in the order in which it came, and whether the pump had been stopped by then."""

    def vitals_seen(self, runner: Runner, vitals: VitalsArrived, raw: Mapping[str, object]) -> None:
        del raw
        stage = str(vitals.signs.get("toxicity", ""))
        snapshot = runner.hand.snapshot
        stopped = snapshot is not None and snapshot.state is not PumpState.RUNNING
        if stage:
            self.first_seen.setdefault(stage, stopped)


@pytest.mark.parametrize(
    ("procedure", "reason"),
    [
        (CHRONIC, "infusion dose 30 mg/kg is above 5 mg/kg"),
        (PERI, "loading dose 15 mg/kg is above 1.5 mg/kg"),
    ],
)
def test_with_the_limits_in_force_a_tenfold_dose_is_refused_by_name_and_never_flows(
    procedure: str, reason: str
) -> None:
    rehearsed, stage = play(Scene("tenfold", procedure, ABORT, change=tenfold))
    said = [str(r.get("why", r.get("reason", ""))) for r in stage.events()]
    assert any(reason in why for why in said)
    ordered = [r for r in stage.events() if r["kind"] == "dose" and r["what"] == "ordered"]
    assert all(float(str(r["dose_mg"])) <= 350 for r in ordered)
    assert rehearsed.report.delivered_mg <= 350


def test_with_the_limits_off_the_gate_still_refuses_more_than_a_syringe_holds() -> None:
    def weak(plan: Plan) -> Plan:
        changed = without_limits(plan)
        concentrations = replace(changed.limits, concentrations=plan.limits.concentrations)
        syringe = replace(plan.syringe, loaded=Volume.from_ml(110))
        return replace(
            changed, limits=concentrations, concentration=plan.concentration, syringe=syringe
        )

    rehearsed, stage = play(Scene("tenfold", CHRONIC, ABORT, change=weak))
    [alarm] = [r for r in stage.events() if r["kind"] == "alarm" and r["phase"] == "start"]
    assert "volume per command: 105 mL is above the cap of 60 mL" in str(alarm["text"])
    assert rehearsed.report.delivered_mg == 0


@pytest.mark.parametrize(
    ("stopped_after_s", "worst"), [(150, "slurred_speech"), (250, "twitching"), (300, "seizure")]
)
def test_with_the_limits_off_symptoms_come_in_order_and_rise_on_after_the_pump_was_stopped(
    stopped_after_s: float, worst: str
) -> None:
    bedside = Bedside()
    script = says("loading", stopped_after_s, action="hold")
    script += says("holding", 1_200, action="recover")
    scene = Scene("tenfold, no limits", PERI, script, change=without_limits)
    _, stage = play(scene, observers=(bedside,))
    seen = list(bedside.first_seen)
    assert seen == STAGES[: len(seen)]
    assert seen[-1] == worst
    assert bedside.first_seen[worst], "the worst came while the pump still ran"
    assert State.HOLDING.value in [r["to"] for r in stage.events() if r["kind"] == "state"]
