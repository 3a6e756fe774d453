"""What the commands refuse before anything is started: a pump without a dead-man, an undeclared one."""

from __future__ import annotations

import argparse

import pytest

from controller.cli import pump, pump_spec, run
from controller.cli.live_parts import LiveSpec
from controller.cli.outcome import Usage
from controller.cli.pump_spec import PumpSpec


def visit(*words: str) -> LiveSpec:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return run.checked(parser.parse_args(["ketamine-first-visit", "--mqtt", "off", *words]))


def by_hand(*words: str) -> PumpSpec:
    parser = argparse.ArgumentParser()
    pump.add_arguments(parser)
    return pump_spec.checked(parser.parse_args(words))


@pytest.mark.parametrize("url", ["harvard:/dev/ttyUSB0", "sim:harvard"])
def test_a_procedure_refuses_a_pump_without_a_dead_man_before_it_begins(url: str) -> None:
    with pytest.raises(Usage, match="this pump has no dead man; infusor pump drives it by hand"):
        visit("--pump", url)


def test_by_hand_such_a_pump_is_driven() -> None:
    assert by_hand("harvard:/dev/ttyUSB0", "identify").pump.dialect == "harvard"


def test_a_clinical_pump_needs_somebodys_word() -> None:
    for words in (("identify",), ("status",), ("watch",), ("restore",)):
        with pytest.raises(Usage, match="connected to nobody"):
            by_hand("alaris:/dev/ttyUSB0", *words)
    with pytest.raises(Usage, match="connected to nobody"):
        visit("--pump", "alaris:/dev/ttyUSB0")
    spoken = ("--declare-not-connected", "A. Ward")
    assert by_hand("alaris:/dev/ttyUSB0", "status", *spoken).declared == "A. Ward"
    assert visit("--pump", "alaris:/dev/ttyUSB0", *spoken).declared == "A. Ward"


def test_a_stop_needs_nobodys_word() -> None:
    assert by_hand("alaris:/dev/ttyUSB0", "stop").action == "stop"


def test_a_simulated_one_is_connected_to_nobody_as_it_is() -> None:
    assert by_hand("sim:alaris", "status").declared == ""
    assert visit("--pump", "sim:alaris").declared == ""


def test_an_empty_name_is_no_word() -> None:
    with pytest.raises(Usage, match="must be a name"):
        by_hand("alaris:/dev/ttyUSB0", "status", "--declare-not-connected", " ")
