"""The table of syringes: names however spelt, complete rows, refusals; a calibration goes before it."""

from __future__ import annotations

import tomllib
from math import pi

import pytest

from sim.devices.syringes import TABLE, Calibration, SyringeError, mount, syringe, syringes
from sim.mechanics import Mount


@pytest.mark.parametrize("name", ["bd-10", "BD 10", "BD 10 mL", " bd  10ml "])
def test_a_syringe_is_found_however_it_is_spelt(name: str) -> None:
    assert mount(name) == Mount(14_430, 10_000_000, 10_000_000)


def test_a_syringe_can_be_partly_loaded() -> None:
    assert mount("bd-20", loaded_ml=7.5) == Mount(19_050, 20_000_000, 7_500_000)
    assert mount("bd-20", loaded_ml=0).loaded_nl == 0


@pytest.mark.parametrize("loaded_ml", [-1, 20.1, float("nan")])
def test_a_load_that_does_not_fit_is_refused(loaded_ml: float) -> None:
    with pytest.raises(SyringeError, match=r"0\.\.20"):
        mount("bd-20", loaded_ml=loaded_ml)


def test_an_unknown_syringe_is_refused_with_those_there_are() -> None:
    with pytest.raises(SyringeError, match=r"acme-7.*bd-1, bd-3"):
        mount("acme-7")


def test_every_row_says_where_it_comes_from() -> None:
    for name, row in tomllib.loads(TABLE.read_text()).items():
        assert row.keys() == {"diameter_mm", "capacity_ml", "source", "sure"}
        assert row["source"]
        assert mount(name).diameter_um == pytest.approx(row["diameter_mm"] * 1_000)
        assert syringe(name).source == row["source"]
    assert {row.name for row in syringes() if not row.sure} >= {"terumo-10", "monoject-12"}


@pytest.mark.parametrize("text", ["19.12 mm", "19.12mm", " 19.12 MM "])
def test_a_measured_diameter_goes_before_the_table(text: str) -> None:
    assert mount("bd-20", calibration=Calibration.parse(text)).diameter_um == 19_120


def test_a_weighed_volume_per_travel_goes_before_the_table() -> None:
    area = pi / 4 * 19.12**2
    assert mount("bd-20", calibration=Calibration.parse(f"{area:.6f} uL/mm")) == Mount(
        19_120, 20_000_000, 20_000_000
    )
    assert Calibration.from_travel(10 * area, 10).diameter_mm == pytest.approx(19.12)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("19.12", "19.12"),
        ("19,12 mm", "19,12 mm"),
        ("0 mm", "diameter 0 mm"),
        ("1e9 mm", "1e9 mm"),
        ("200 mm", r"0\.1\.\.100 mm"),
        ("0 uL/mm", "no calibration"),
        ("9" * 100 + " mm", "99999"),
    ],
)
def test_what_is_no_calibration_is_refused(text: str, named: str) -> None:
    with pytest.raises(SyringeError, match=named):
        Calibration.parse(text)
