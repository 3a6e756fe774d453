"""A dialect of somebody else's from the command line: every command in a process of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hil_tests.other_distribution import install
from hil_tests.real.command_line import SYRINGE, CommandLine

pytestmark = pytest.mark.real

AMOUNTS = ("--rate-ml-h", "720", "--volume-ml", "0.1", *SYRINGE)


@pytest.fixture
def user(tmp_path: Path) -> CommandLine:
    """Somebody who has installed the distribution beside infusor."""
    made = CommandLine(tmp_path)
    paths = (made.environment["PYTHONPATH"], *install(tmp_path / "site"))
    made.environment["PYTHONPATH"] = os.pathsep.join(paths)
    return made


def test_a_simulated_pump_of_it_is_driven_through_bridge_and_gate(user: CommandLine) -> None:
    with user.running("sim", "pump", "--dialect", "drip", "--pty", "drip") as simulated:
        assert simulated.stdout is not None
        port = json.loads(simulated.stdout.readline())["port"]
        end = user.run("pump", f"drip:{port}", "infuse", *AMOUNTS, "--json")
        simulated.terminate()
        assert simulated.wait(10) == 0
    assert (end.code, end.err) == (0, "")
    assert end.json["identity"]["firmware"] == "DRIP-1 1.0"
    assert end.json["identity"]["bounded_by"] == "dead-man and target"
    assert end.json["delivered_ml"] == end.json["volume_ml"] == 0.1
    assert end.json["status"]["state"] == "completed"
    assert end.json["restored"] == ["RATE 0.000", "VOL 0.000"]


def test_the_simulated_pump_can_live_as_long_as_the_command(user: CommandLine) -> None:
    end = user.run("pump", "sim:drip", "infuse", *AMOUNTS, "--json")
    assert (end.code, end.err, end.json["delivered_ml"]) == (0, "", 0.1)


def test_what_it_does_not_have_is_said_by_name(user: CommandLine) -> None:
    quirk = user.run("sim", "pump", "--dialect", "drip", "--quirk", "count_after_power=doubled")
    assert quirk.code == 2
    assert "count_after_power cannot be 'doubled'; it is one of lost, kept" in quirk.complaint
    address = user.run("pump", "drip:/dev/ttyUSB0?address=1", "status")
    assert (address.code, "address 1 is above 0" in address.complaint) == (2, True)


def test_without_the_distribution_there_is_no_such_dialect(tmp_path: Path) -> None:
    end = CommandLine(tmp_path).run("sim", "pump", "--dialect", "drip")
    assert end.code == 2
    assert "--dialect drip: it does not exist; there are alaris" in end.complaint


def test_a_whole_visit_can_be_rehearsed_on_it(user: CommandLine) -> None:
    end = user.run(
        "rehearse", "ketamine-first-visit", "--pump", "sim:drip", "--seed", "1", "--json"
    )
    assert (end.code, end.json["outcome"], end.json["violations"]) == (0, "completed", [])
    assert end.json["delivered_mg"] == 35.0
