"""The table of syringes: names however spelt, complete rows, refusals."""

from __future__ import annotations

import tomllib

import pytest

from sim.devices.syringes import TABLE, SyringeError, mount
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
