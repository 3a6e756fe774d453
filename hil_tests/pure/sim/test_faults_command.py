"""`infusor sim faults`: the registry as it is, in words and in JSON, and nothing that is not in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.cli.main import main
from sim.devices.kinds import BUILT_IN, device_kind
from sim.faults.kinds import KINDS, accept
from sim.faults.parameters import Amount, Choice, FaultError
from sim.faults_command import UNITLESS, unit


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["sim", "faults", *words]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def objects(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    (line,) = said(capsys, *words, "--json").splitlines()
    return json.loads(line)


def test_every_kind_is_there_once_in_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    told = objects(capsys)
    assert [fault["kind"] for fault in told["faults"]] == list(KINDS)
    assert set(BUILT_IN) <= set(told["dialects"])
    text = said(capsys)
    assert "Never a pump connected to a person" in text
    for kind in KINDS.values():
        assert kind.text in text


def test_a_pump_is_named_for_exactly_the_kinds_it_can_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = objects(capsys)
    for name in BUILT_IN:
        named = {fault["kind"] for fault in told["faults"] if name in fault["supported_by"]}
        assert named == set(device_kind(name).faults)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_of_one_dialect_only_what_it_or_its_line_can_do(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    told = objects(capsys, "--dialect", name)
    lines = {kind.kind for kind in KINDS.values() if kind.room == "line"}
    assert {fault["kind"] for fault in told["faults"]} == lines | set(device_kind(name).faults)
    assert told["dialects"] == [name]
    assert "which pump" not in said(capsys, "--dialect", name)


def test_lines_can_be_hurt_on_every_kind_of_port(capsys: pytest.CaptureFixture[str]) -> None:
    for fault in objects(capsys)["faults"]:
        expected = ["pty", "tcp", "rfc2217"] if fault["room"] == "line" else []
        assert fault["transports"] == expected


def test_defaults_and_limits_are_those_that_a_request_meets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for fault in objects(capsys)["faults"]:
        kind, parameters = fault["kind"], fault["parameters"]
        assert accept(kind, {}) == {name: one["default"] for name, one in parameters.items()}
        for name, one in parameters.items():
            for value in (one["min"], one["max"]) if "min" in one else one["choices"]:
                accept(kind, {name: value})
            for value in (one["min"] - 1, one["max"] + 1) if "min" in one else ("no such",):
                with pytest.raises(FaultError):
                    accept(kind, {name: value})


def test_every_number_has_a_unit_or_is_known_to_have_none() -> None:
    for kind in KINDS.values():
        for name, spec in kind.parameters.items():
            if isinstance(spec, Amount):
                assert bool(unit(name)) is (name not in UNITLESS), f"{kind.kind}: {name}"
            else:
                assert isinstance(spec, Choice)
    assert (unit("delay_ms"), unit("rate_ml_h"), unit("mmhg_per_min")) == ("ms", "mL/h", "mmHg/min")
    assert (unit("baud"), unit("spo2_pct"), unit("nibp_sys_mmhg")) == ("Bd", "%", "mmHg")


def test_people_read_a_list_and_a_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys).splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("  reply_delay "))
    assert lines[at].split(maxsplit=1)[1] == KINDS["reply_delay"].text
    assert lines[at + 1].strip() == "delay_ms = 100, in 0..60000 ms"
    matrix = lines[lines.index("which pump can do which kind") + 1 :]
    columns = matrix[0].split()
    assert set(BUILT_IN) <= set(columns)
    row = next(line.split() for line in matrix if line.startswith("  door_open "))
    cells = dict(zip(columns, row[1:], strict=True))
    assert cells["pumplink"] == "x"
    assert cells["new-era"] == "-"
    assert all(line == line.rstrip() for line in lines)


def test_a_dialect_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "faults", "--dialect", "acme"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("infusor sim faults: --dialect acme: it does not exist; there are")
    assert told.err.count("\n") == 1
