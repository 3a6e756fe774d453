"""The list of fault kinds, who can do them, and the page that is made of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.artefacts import KINDS as ARTEFACTS_OF_THE_MONITOR
from sim.devices.kinds import BUILT_IN, device_kind
from sim.faults import line_kinds, monitor_kinds, other_kinds, pump_kinds
from sim.faults.kinds import KINDS, find
from sim.faults.known import FAILURES
from sim.faults.monitor_kinds import ARTEFACTS
from sim.faults.page import main, page
from sim.faults.parameters import Amount, FaultError
from sim.faults.support import engines, support, who_can

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_in_the_docs_is_that_of_the_registry() -> None:
    assert (DOCS / "faults.md").read_text(encoding="utf-8") == page()


def test_each_of_the_failures_on_record_has_a_kind_and_each_kind_stands_for_known_ones() -> None:
    numbers = {failure.number for failure in FAILURES}
    assert numbers == {f"F{number}" for number in range(1, 25)}
    stood_for = {number for kind in KINDS.values() for number in kind.known}
    assert stood_for == numbers


def test_a_name_is_used_once() -> None:
    listed = (
        *pump_kinds.PUMP_KINDS,
        *line_kinds.LINE_KINDS,
        *monitor_kinds.MONITOR_KINDS,
        *other_kinds.OTHER_KINDS,
    )
    assert len(listed) == len(KINDS)


def test_the_artefacts_are_those_that_the_monitor_knows() -> None:
    assert ARTEFACTS == ARTEFACTS_OF_THE_MONITOR


@pytest.mark.parametrize("dialect", sorted(BUILT_IN))
def test_a_pump_names_no_kind_that_the_registry_does_not(dialect: str) -> None:
    faults = device_kind(dialect).faults
    assert len(set(faults)) == len(faults)
    for kind in faults:
        assert find(kind).room not in {"line", "host", "storage", "broker", "person", "monitor"}


def test_who_can_do_a_kind_is_said_honestly() -> None:
    able = support()
    assert able["mute"] == tuple(sorted(BUILT_IN))
    assert able["screen_touched"] == ("harvard",)
    assert able["lead_off"] == ("rehearse",)
    assert able["stall"] == ("line",)
    assert able["kill"] == able["broker_flood"] == able["vital_nan"] == ()
    assert who_can("kill") == "no engine of this version does it"
    assert who_can("stall") == "it is one of the line, of any pump that is served"
    assert "infusor rehearse does it" in who_can("lead_off")
    assert who_can("drive_disengaged") == "alaris, fresenius can"


def test_what_no_pump_does_no_pump_accepts() -> None:
    for kind in KINDS.values():
        if not engines(kind):
            pump = device_kind("new-era")
            assert kind.kind not in pump.faults


def test_every_default_is_one_that_its_parameter_accepts() -> None:
    for kind in KINDS.values():
        for name, spec in kind.parameters.items():
            spec.accept(name, spec.default)
            if isinstance(spec, Amount):
                with pytest.raises(FaultError):
                    spec.accept(name, spec.high * 2 + 1)


def test_the_page_can_be_kept_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "page.md"
    assert main(["--write", str(file)]) == main([]) == 0
    assert file.read_text(encoding="utf-8") == capsys.readouterr().out
