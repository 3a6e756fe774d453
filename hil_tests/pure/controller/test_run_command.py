"""What `infusor run` makes of its options, before anything is started."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from controller.cli import run
from controller.cli.live_parts import LiveSpec
from controller.cli.outcome import Usage
from controller.cli.prompt import PromptOperator


def checked(*words: str) -> LiveSpec:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return run.checked(parser.parse_args(["ketamine-first-visit", "--mqtt", "off", *words]))


@pytest.mark.parametrize(
    "pump", ["new-era:/dev/ttyUSB0", "new-era:COM3", "new-era:socket://192.0.2.7:4001"]
)
def test_over_a_pump_on_a_hardware_port_a_person_answers_unless_told_otherwise(pump: str) -> None:
    assert isinstance(checked("--pump", pump).operator, PromptOperator)
    assert not isinstance(checked("--pump", pump, "--operator", "auto").operator, PromptOperator)


@pytest.mark.parametrize("pump", ["sim:new-era", "new-era:socket://127.0.0.1:4001"])
def test_over_a_simulated_pump_nobody_has_to(pump: str) -> None:
    assert not isinstance(checked("--pump", pump).operator, PromptOperator)


def test_a_recording_that_cannot_be_read_is_one_clean_sentence(tmp_path: Path) -> None:
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"\xff\xfe")
    for path, why in (
        (tmp_path / "absent.csv", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (binary, "is not text in UTF-8"),
    ):
        with pytest.raises(Usage) as refused:
            checked("--vitals", f"replay:{path}")
        assert str(refused.value) == f"--vitals {path}: {why}"
