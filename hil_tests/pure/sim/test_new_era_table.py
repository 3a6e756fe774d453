"""The whole command table of New Era pumps, against frames that were written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hil_tests.pure.sim.new_era_host import Host
from sim.devices.new_era import NewEraPump
from sim.devices.new_era_commands import MNEMONICS
from sim.devices.new_era_models import MODELS

VECTORS = Path(__file__).parents[2] / "vectors" / "new_era_device.txt"
ALARMS, ERRORS = "RSTEO", ("?", "?NA", "?OOR", "?COM", "?IGN")


def raw(text: str) -> bytes:
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def lines() -> Iterator[tuple[str, str, list[bytes]]]:
    """Model, what the host does, and the frames that follow."""
    model = ""
    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            model = line[2:]
        elif line and not line.startswith("#"):
            host, *frames = (part.strip() for part in line.split(" | "))
            yield model, host, [raw(frame) for frame in frames if frame != "nothing"]


@pytest.mark.parametrize("model", MODELS)
def test_every_exchange_of_the_table_comes_out_byte_for_byte(model: str) -> None:
    host = Host(NewEraPump(model=model))
    said = 0
    for of, does, frames in lines():
        if of != model:
            continue
        said += 1
        if does.startswith("wait "):
            assert host.wait(float(does[5:])) == frames, does
        else:
            assert host.send(raw(does)) == frames, does
    assert said > 1


def test_the_table_has_every_command_and_status_and_what_it_leaves_out_is_tested_elsewhere() -> (
    None
):
    asked = b" ".join(raw(does) for _, does, _ in lines() if not does.startswith("wait")).upper()
    assert all(name.encode() in asked for name in MNEMONICS)
    answers = b" ".join(frame for *_, frames in lines() for frame in frames)
    assert {letter for letter in "IWSPTUX" if f"00{letter}".encode() in answers} == set("IWSPTUX")
    assert {a for a in ALARMS if f"A?{a}".encode() in answers} == set("RTEO")  # S needs a fault
    assert [e for e in ERRORS if f"S{e}".encode() in answers] == ["?", "?NA", "?OOR", "?COM"]


def test_a_stall_and_a_change_at_the_border_of_two_phases_complete_the_alarms_and_errors() -> None:
    host = Host(NewEraPump())
    host.send(b"\r")
    host.tell("RAT60MH", "VOL1", "PHN2", "FUNRAT", "RAT60MH", "RUN")
    host.wait(60.0)
    assert host.ask("RAT70") == "00I?IGN"
    host.pump.inject("motor_stall", host.now)
    host.wait(10.0)
    assert host.ask("") == "00A?S"
