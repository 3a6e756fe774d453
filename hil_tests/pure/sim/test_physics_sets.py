"""The named sets: whole, sourced, refused by name; and every published figure inside its interval."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hil_tests.bench import physics as bench
from sim import physics as sets
from sim.line import Line
from sim.mechanics import Drive, Mount
from sim.physics import PhysicsError, physics, physics_names


@pytest.mark.parametrize(
    "figure", bench.FIGURES, ids=lambda figure: f"{figure.source}: {figure.what}"
)
def test_every_published_figure_lies_inside_its_interval(figure: bench.Figure) -> None:
    assert figure.row()[0] == "yes", figure.row()


def test_a_set_that_is_wrong_is_seen_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def stiff(name: str) -> sets.Physics:
        found = physics(name)
        return replace(found, line=replace(found.line, soft_nl_mmhg=2_000))

    monkeypatch.setattr(bench, "physics", stiff)
    outside = {
        figure.what
        for figure in bench.FIGURES
        if figure.source in {"rooke-1994", "donald-2007"} and figure.row()[0] != "yes"
    }
    assert "off, lifted by 120 cm" in outside
    assert "lowered by 30 cm at 2 mL/h: no flow" in outside


def test_the_ideal_set_is_what_a_pump_is_without_one() -> None:
    assert physics_names()[0] == "ideal"
    found = physics("ideal")
    assert (found.line, found.drive, found.mount) == (Line(), Drive(), Mount())


@pytest.mark.parametrize("name", physics_names()[1:])
def test_every_set_says_where_it_and_each_of_its_values_comes_from(name: str) -> None:
    found = physics(name)
    assert found.name == name
    assert found.source
    assert found.caution
    assert found.values
    for value in found.values.values():
        assert value.source
        assert value.mark in sets.MARKS


def test_every_set_has_a_figure_in_the_table() -> None:
    shown = {figure.source for figure in bench.FIGURES}
    valves = {name for name in physics_names() if "-asv" in name}
    assert shown | valves == set(physics_names())


def test_a_set_that_is_based_on_another_takes_what_it_has_none_of() -> None:
    short, long = physics("neff-2001-short"), physics("neff-2001-long")
    assert long.line == short.line
    assert long.drive.slack_nl == 950_000
    assert physics("weiss-2000-fresenius-asv75").line.compliance_nl_mmhg == 1_860


def test_an_unknown_set_is_refused_with_those_there_are() -> None:
    with pytest.raises(PhysicsError, match=r"'perfect'.*ideal, .*rooke-1994"):
        physics("perfect")


SOUND = '{ value = 500, mark = "design", source = "ours" }'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"[a.line]\nalarm_psi = {SOUND}", "alarm_psi"),
        (f"[a.pipe]\nalarm_mmhg = {SOUND}", "pipe"),
        ("[a.line]\nalarm_mmhg = 500", "alarm_mmhg is no table"),
        ('[a.line]\nalarm_mmhg = { value = 5, mark = "guess", source = "x" }', "no mark"),
        ('[a.line]\nalarm_mmhg = { value = 0, mark = "design", source = "x" }', "alarm_mmhg 0"),
        ('[a]\nbased_on = "b"\n[b]\nsource = "x"', "no set before it"),
        ('[a]\nbased_on = "a"', "no set before it"),
    ],
)
def test_a_set_that_is_not_written_properly_is_refused_by_name(
    text: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "physics.toml"
    table.write_text(text)
    monkeypatch.setattr(sets, "TABLE", table)
    with pytest.raises(PhysicsError, match=named):
        physics("a")
