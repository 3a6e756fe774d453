"""Whole visits on a microcontroller pump that speaks pumplink/1, in virtual time and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.cli.fault_stage import read_faults
from controller.cli.options import make_operator
from controller.cli.rehearsal import Rehearsed, Stage
from controller.plan import load_plan
from hil_tests.real.command_line import CommandLine, InThisProcess, ended
from sim.devices.kinds import device_kind
from sim.devices.pumplink import PumplinkPump
from sim.virtual_loop import run_virtual

FAULTS = """
[[fault]]
at_s = {at_s}
kind = "{kind}"
for_s = 60.0
"""


def rehearse(
    procedure: str = "ketamine-first-visit", seed: int = 1, faults: Path | None = None
) -> tuple[Rehearsed, Stage]:
    entries = () if faults is None else tuple(read_faults(faults, device_kind("pumplink")))
    stage = Stage(
        load_plan(procedure), seed, make_operator("auto"), dialect="pumplink", faults=entries
    )
    rehearsed, _ = run_virtual(stage.run, seed=seed, budget_s=12 * 3_600.0)
    return rehearsed, stage


@pytest.mark.parametrize("procedure", ["ketamine-first-visit", "lidocaine-chronic-pain"])
def test_a_visit_ends_well_and_the_plunger_did_what_the_report_says(procedure: str) -> None:
    rehearsed, stage = rehearse(procedure)
    assert rehearsed.report.outcome.value == "completed"
    assert rehearsed.violations == ()
    assert rehearsed.report.as_json()["alarms"] == []
    assert isinstance(stage.pump, PumplinkPump)
    delivered_ml = rehearsed.report.as_json()["delivered_ml"]
    assert stage.pump.truth().plunger_nl == pytest.approx(float(str(delivered_ml)) * 1e6, abs=1)


def test_one_seed_gives_one_digest() -> None:
    assert rehearse(seed=4)[0].digest == rehearse(seed=4)[0].digest


@pytest.mark.parametrize("kind", ["door_open", "downstream_occlusion", "reboot", "mute"])
def test_a_pump_that_is_broken_in_mid_visit_breaks_no_invariant(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "faults.toml"
    lasting = FAULTS if kind != "reboot" else FAULTS.replace("for_s = 60.0\n", "")
    script.write_text(lasting.format(at_s=1_800.0, kind=kind))
    rehearsed, _ = rehearse(faults=script)
    assert rehearsed.violations == ()
    assert rehearsed.faults == {kind: 1}
    ended = {"fault"} if kind == "mute" else {"completed", "rescued", "aborted"}
    assert rehearsed.report.outcome.value in ended


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("sim:harvard", "no dead man"),
        ("pumplink:/dev/ttyUSB0", "virtual time needs a simulated pump"),
        ("sim:nothing", "does not exist"),
    ],
)
def test_a_rehearsal_says_which_pumps_it_cannot_have(
    url: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = InThisProcess(capsys).run("rehearse", "ketamine-first-visit", "--pump", url)
    assert said.code == 2
    assert complaint in said.complaint


def test_a_rehearsal_names_its_pump_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("rehearse", "ketamine-first-visit", "--pump", "sim:pumplink", "--seed", "1")
    said = InThisProcess(capsys).run(*words, "--log-dir", str(tmp_path), "--json")
    assert said.code == 0
    log = Path(json.loads(said.out)["log"])
    assert '"pump":"sim:pumplink"' in log.read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.real
def test_a_simulated_pump_is_identified_and_driven_from_the_command_line(tmp_path: Path) -> None:
    user = CommandLine(tmp_path)
    with user.running(
        "sim", "pump", "--dialect", "pumplink", "--pty", str(tmp_path / "pump")
    ) as pump:
        assert pump.stdout is not None
        url = f"pumplink:{json.loads(pump.stdout.readline())['port']}"
        who = ended(user.start("pump", url, "identify", "--json"))
        assert who.code == 0, who.err
        assert {"dead_man", "sensors", "air_detection"} <= set(who.json["identity"]["capabilities"])
        amounts = ("--rate-ml-h", "600", "--volume-ml", "0.2")
        syringe = ("--diameter-mm", "26.59", "--syringe-ml", "60")
        done = ended(user.start("pump", url, "infuse", *amounts, *syringe, "--json"))
        assert done.code == 0, done.err
        assert done.json["delivered_ml"] == 0.2
