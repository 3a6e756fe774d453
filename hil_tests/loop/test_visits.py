"""Whole visits in virtual time: controller, bridge, gate, wire, pump and patient, all real but the ports."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from controller.cli.options import existing_plan, make_operator
from controller.cli.rehearsal import Rehearsed, Stage
from controller.log_format import verify
from sim.devices.new_era import NewEraPump
from sim.drug_models import parameter_set
from sim.patient import Patient
from sim.virtual_loop import run_virtual

PLAN = existing_plan("ketamine-first-visit")
DAY_S = 12 * 3600.0


def rehearse(seed: int, operator: str = "auto") -> tuple[Rehearsed, Stage]:
    stage = Stage(PLAN, seed, make_operator(operator))
    rehearsed, _ = run_virtual(stage.run, seed=seed, budget_s=DAY_S)
    return rehearsed, stage


def states(stage: Stage) -> list[str]:
    return [str(record["to"]) for record in stage.events() if record["kind"] == "state"]


@pytest.mark.parametrize(
    ("script", "response", "outcome", "delivered_mg", "passed_through"),
    [
        ("dissociation", "dissociation", "completed", 35.0, ["infusing", "recovering"]),
        ("analgesia", "analgesia", "completed", 35.0, ["infusing", "recovering"]),
        ("anxiety", "anxiety", "rescued", 10.0, ["rescue", "recovering"]),
        ("nothing", "dissociation", "completed", 17.5 * 3.5, ["titrating", "infusing"]),
    ],
)
def test_each_response_ends_as_the_procedure_says(
    script: str, response: str, outcome: str, delivered_mg: float, passed_through: list[str]
) -> None:
    rehearsed, stage = rehearse(11, script)
    report = rehearsed.report
    assert (report.response, report.outcome.value) == (response, outcome)
    assert report.final_state == "discharged"
    assert report.delivered_mg == pytest.approx(delivered_mg, abs=0.02)
    assert [state for state in states(stage) if state in passed_through] == passed_through
    assert rehearsed.violations == ()
    assert verify(stage.storage.contents()).ok


def first_response(seed: int) -> str:
    """What 10 mg do to the patient of this seed, found without any visit around it."""
    patient = Patient(
        parameter_set("ketamine", age_years=PLAN.subject.age_years),
        weight_kg=PLAN.subject.weight_kg,
        age_years=PLAN.subject.age_years,
        height_cm=PLAN.subject.height_cm,
        draw=random.Random(f"{seed}:patient").random,
    )
    for second in range(1, 661):
        patient.advance_to(float(second), 10_000 / 60 if second <= 60 else 0.0)
    return patient.response


@pytest.mark.parametrize("response", ["anxiety", "dissociation", "analgesia", "nothing"])
def test_the_simulated_clinician_sees_each_response_and_ends_the_visit(response: str) -> None:
    seed = next(seed for seed in range(1000) if first_response(seed) == response)
    rehearsed, stage = rehearse(seed)
    answers = [str(r["response"]) for r in stage.events() if r["kind"] == "response"]
    assert answers[0] == response, f"seed {seed}"
    assert rehearsed.report.outcome.value == ("rescued" if "anxiety" in answers else "completed")
    assert rehearsed.violations == ()


@pytest.mark.parametrize("seed", range(100, 112))
def test_visits_of_any_seed_end_well_and_break_no_invariant(seed: int) -> None:
    rehearsed, _ = rehearse(seed)
    assert rehearsed.violations == ()
    assert rehearsed.report.outcome.value in {"completed", "rescued"}


def test_the_infusion_takes_its_forty_five_minutes_and_ends_by_volume() -> None:
    _, stage = rehearse(11, "analgesia")
    at_ms = {str(r["to"]): r["mono"] for r in stage.events() if r["kind"] == "state"}
    minutes = (int(at_ms["recovering"]) - int(at_ms["infusing"])) / 60_000
    assert 45.0 <= minutes < 45.6


def test_one_seed_gives_one_digest_whatever_the_hash_seed() -> None:
    command = [sys.executable, "-m", "controller", "rehearse", "ketamine-first-visit"]
    told = set()
    for hash_seed in ("0", "1", "4711"):
        done = subprocess.run(
            [*command, "--seed", "3", "--json"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        told.add(done.stdout.split('"digest": "')[1].split('"')[0])
    assert len(told) == 1


def test_another_seed_is_another_visit() -> None:
    assert rehearse(1)[0].digest != rehearse(2)[0].digest


def test_what_a_rehearsal_does_is_on_the_dashboards_too() -> None:
    rehearsed, stage = rehearse(11, "dissociation")
    session = stage.bus.retained["infusion/v1/bench-1/session"].payload
    assert b'"state":"discharged"' in session
    assert b'"outcome":"completed"' in session
    assert stage.bus.retained["infusion/v1/bench-1/availability"].payload == b"offline"
    assert stage.bus.counts["infusion/v1/bench-1/pump"] > rehearsed.report.duration_s * 0.9
    five_s = rehearsed.report.duration_s / 5
    assert 0.7 * five_s < stage.bus.counts["infusion/v1/bench-1/diag"] <= five_s + 1


def test_the_pump_is_left_as_it_was_found() -> None:
    _, stage = rehearse(11, "dissociation")
    assert any(note.startswith("put back") for note in stage.notes)
    assert isinstance(stage.pump, NewEraPump)
    assert stage.pump.snapshot().settings.safe_s == 0


def test_midazolam_that_the_clinician_gives_reaches_the_simulated_patient() -> None:
    _, stage = rehearse(11, "anxiety")
    assert stage.world is not None
    assert stage.world.patient.concentrations()["midazolam_effect_ng_ml"] > 1.0
