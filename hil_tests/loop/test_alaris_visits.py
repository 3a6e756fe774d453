"""Whole visits on a simulated Alaris, whose dead-man is its remote control and lasts longer than ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cli.fault_stage import read_faults
from controller.cli.options import make_operator
from controller.cli.rehearsal import Rehearsed, Stage
from controller.plan import load_plan
from sim.devices.kinds import device_kind
from sim.virtual_loop import run_virtual

CRITICAL = """
[[fault]]
in = "infusing"
after_s = 600
kind = "{kind}"
for_s = 60.0
"""


def rehearse(seed: int, faults: Path | None = None) -> tuple[Rehearsed, Stage]:
    entries = () if faults is None else tuple(read_faults(faults, device_kind("alaris")))
    stage = Stage(
        load_plan("ketamine-first-visit"),
        seed,
        make_operator("auto"),
        dialect="alaris",
        faults=entries,
    )
    rehearsed, _ = run_virtual(stage.run, seed=seed, budget_s=12 * 3_600.0)
    return rehearsed, stage


@pytest.mark.parametrize(("seed", "outcome"), [(6, "rescued"), (8, "completed")])
def test_a_visit_ends_well_and_the_plunger_did_what_the_report_says(
    seed: int, outcome: str
) -> None:
    rehearsed, stage = rehearse(seed)
    assert rehearsed.report.outcome.value == outcome
    assert rehearsed.violations == ()
    assert stage.pump is not None
    delivered_ml = rehearsed.report.delivered_mg / 10
    assert stage.pump.truth().plunger_nl == pytest.approx(delivered_ml * 1e6, abs=1_000)


@pytest.mark.parametrize("kind", ["downstream_occlusion", "mute", "stall"])
def test_a_pump_that_fails_in_mid_infusion_breaks_no_invariant(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "faults.toml"
    script.write_text(CRITICAL.format(kind=kind))
    rehearsed, _ = rehearse(8, script)
    assert rehearsed.violations == ()
    assert rehearsed.faults == {kind: 1}
    assert rehearsed.report.final_state in {"discharged", "aborted", "fault"}
