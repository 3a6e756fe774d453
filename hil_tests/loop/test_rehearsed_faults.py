"""Visits in virtual time that a fault script breaks: what happens, what the log says, how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.cli.fault_stage import possible_in
from controller.cli.main import main
from controller.cli.options import existing_plan, make_operator
from controller.cli.rehearsal import Rehearsed, Stage
from controller.log_format import Record, verify
from sim.devices.kinds import device_kind
from sim.faults.script import parse_script
from sim.virtual_loop import run_virtual

PLAN = existing_plan("ketamine-first-visit")
DAY_S = 12 * 3600.0
POSSIBLE = possible_in(device_kind("new-era"))


def fault(kind: str, trigger: str, *more: str) -> str:
    return "\n".join(("[[fault]]", f'kind = "{kind}"', trigger, *more, "", ""))


def rehearse(script: str, *, seed: int = 11, operator: str = "dissociation") -> Rehearsed:
    return staged(script, seed=seed, operator=operator)[0]


def staged(
    script: str, *, seed: int = 11, operator: str = "dissociation"
) -> tuple[Rehearsed, Stage]:
    entries = parse_script(script, "script.toml", POSSIBLE)
    stage = Stage(PLAN, seed, make_operator(operator), faults=entries)
    rehearsed, _ = run_virtual(stage.run, seed=seed, budget_s=DAY_S)
    assert verify(stage.storage.contents()).ok
    assert rehearsed.violations == ()
    return rehearsed, stage


def of_kind(stage: Stage, kind: str) -> list[Record]:
    return [record for record in stage.events() if record["kind"] == kind]


def path(stage: Stage) -> str:
    return " ".join(str(record["to"]) for record in of_kind(stage, "state"))


def states_at(stage: Stage, mono_ms: object) -> str:
    """The state at that moment."""
    return [str(r["to"]) for r in of_kind(stage, "state") if int(r["mono"]) <= int(str(mono_ms))][
        -1
    ]


def test_an_occlusion_while_infusing_holds_the_visit_with_its_alarm() -> None:
    rehearsed, stage = staged(fault("downstream_occlusion", 'in = "infusing"', "after_s = 60.0"))
    begun, *_ = of_kind(stage, "fault")
    assert (begun["fault"], begun["active"]) == ("downstream_occlusion", True)
    assert states_at(stage, begun["mono"]) == "infusing"
    assert "infusing holding" in path(stage)
    assert rehearsed.report.outcome.value in {"completed", "aborted", "rescued"}
    assert rehearsed.faults == {"downstream_occlusion": 1}


def test_an_occlusion_that_ends_is_in_the_log_with_its_end() -> None:
    _, stage = staged(fault("downstream_occlusion", 'in = "infusing"', "for_s = 30.0"))
    assert [record["active"] for record in of_kind(stage, "fault")] == [True, False]
    first, last = of_kind(stage, "fault")
    assert int(last["mono"]) - int(first["mono"]) == 30_000


@pytest.mark.parametrize("nth", [3, 40])
def test_the_reply_to_any_command_may_be_lost_and_the_visit_is_what_it_would_have_been(
    nth: int,
) -> None:
    rehearsed, stage = staged(fault("frame_drop", f"nth_command = {nth}"))
    assert rehearsed.faults == {"frame_drop": 1}
    assert rehearsed.report.outcome.value == "completed"
    assert rehearsed.report.delivered_mg == pytest.approx(35.0, abs=0.02)
    assert len(of_kind(stage, "fault")) == 1


def test_a_line_that_stalls_while_infusing_holds_the_visit_and_gives_no_more_than_was_allowed() -> (
    None
):
    rehearsed, stage = staged(fault("stall", 'in = "infusing"', "after_s = 600.0", "for_s = 20.0"))
    assert "infusing holding" in path(stage)
    assert rehearsed.report.delivered_mg < 35.0


def test_a_cable_that_is_pulled_and_put_back_holds_the_visit() -> None:
    _, stage = staged(
        fault("hang_up", 'in = "infusing"', "after_s = 600.0", "reopen_after_s = 3.0")
    )
    assert "infusing holding" in path(stage)


def test_a_lead_that_comes_off_while_infusing_holds_the_visit_and_is_told() -> None:
    rehearsed, stage = staged(
        fault("lead_off", 'in = "infusing"', "after_s = 300.0", "for_s = 600.0")
    )
    assert "infusing holding" in path(stage)
    assert rehearsed.report.alarms


def test_a_fault_may_wait_for_a_volume_or_for_a_signal_of_the_monitor() -> None:
    _, stage = staged(
        fault("mute", "after_ml = 2.0", "for_s = 20.0")
        + fault("probe_off", 'when = { signal = "hr_bpm", above = 20.0 }', "for_s = 1.0")
    )
    probe, *_ = (r for r in of_kind(stage, "fault") if r["fault"] == "probe_off")
    assert int(probe["mono"]) < 5_000
    mute, *_ = (r for r in of_kind(stage, "fault") if r["fault"] == "mute")
    assert states_at(stage, mute["mono"]) == "infusing"


def test_a_fault_of_chance_comes_from_its_own_stream() -> None:
    script = fault("reply_delay", "probability = 0.01", "delay_ms = 50", "for_commands = 1")
    (rehearsed, stage), (again, _), (_, other) = (
        staged(script),
        staged(script),
        staged(script, seed=12),
    )
    assert rehearsed.digest == again.digest
    assert of_kind(stage, "fault") != of_kind(other, "fault")


def test_one_seed_and_one_script_give_one_digest() -> None:
    script = fault("bit_flip", 'in = "infusing"', "probability = 0.001", "for_s = 60.0")
    digest = rehearse(script).digest
    assert rehearse(script).digest == digest
    assert rehearse("").digest != digest


def test_hands_at_the_keys_are_in_the_log_also_where_the_pump_does_not_take_them() -> None:
    rehearsed, stage = staged(fault("keypad_stop", "at_s = 0.0"))
    [record] = of_kind(stage, "fault")
    assert (record["active"], rehearsed.faults) == (False, {})
    assert "does not take the key now" in str(record["not_done"])


def test_a_fault_whose_moment_never_comes_is_told_of() -> None:
    rehearsed, _ = staged(fault("mute", 'in = "titrating"'))
    assert "fault 1 (mute) never began: its moment did not come" in rehearsed.report.warnings


def test_the_script_in_the_docs_is_one_that_can_be_played() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
    script = page.split("```toml\n")[1].split("```")[0]
    assert rehearse(script).faults == {"downstream_occlusion": 1, "frame_drop": 1}


# --- the command --------------------------------------------------------------------------------------


def run(tmp_path: Path, script: str, *more: str) -> int:
    file = tmp_path / "faults.toml"
    file.write_text(script, encoding="utf-8")
    words = [
        "rehearse",
        "ketamine-first-visit",
        "--operator",
        "dissociation",
        "--faults",
        str(file),
    ]
    return main([*words, *more])


def test_the_command_counts_what_it_broke(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, fault("frame_drop", "nth_command = 40"), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["faults_injected"] == {"frame_drop": 1}
    assert told["violations"] == []


@pytest.mark.parametrize(
    ("script", "names"),
    [
        (fault("disk_full", "at_s = 1.0"), "no engine of this version does it"),
        (fault("screen_touched", "at_s = 1.0"), "harvard can"),
        (fault("mute", 'in = "dancing"'), "dancing"),
        (fault("mute", "at_s = -1.0"), "at_s = -1.0 must be in 0..1e+07"),
        (fault("no_such", "at_s = 1.0"), "no_such"),
        ("[[fault", "not a TOML file"),
    ],
)
def test_a_script_that_cannot_be_played_is_refused_in_one_line_and_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], script: str, names: str
) -> None:
    assert run(tmp_path, script, "--log-dir", str(tmp_path / "logs")) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert names in told.err
    assert told.err.count("\n") == 1
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("name", ["random", "no/such/file.toml"])
def test_what_is_no_script_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "ketamine-first-visit", "--faults", name]) == 2
    assert name in capsys.readouterr().err
