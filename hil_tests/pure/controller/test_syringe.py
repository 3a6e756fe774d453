"""Slips in the numbers of a syringe are refused; syringes there are, are not."""

from __future__ import annotations

import pytest

from controller.syringe import barrel_mm, misnamed, unlikely
from firmware_bridge.quantities import Volume

TWENTY = Volume.from_ml(20)


@pytest.mark.parametrize(
    ("diameter_um", "size_ml"), [(4_699, 1), (8_585, 3), (19_050, 20), (26_590, 60), (38_400, 140)]
)
def test_every_syringe_of_the_trade_is_likely(diameter_um: int, size_ml: int) -> None:
    assert unlikely(diameter_um, Volume.from_ml(size_ml)) == ""


def test_a_slip_of_the_decimal_point_makes_an_impossible_barrel() -> None:
    assert barrel_mm(19_050, TWENTY) == pytest.approx(70.17, abs=0.01)
    assert unlikely(1_905, TWENTY) == "such a syringe would be 7017 mm long; must be 15 to 250"
    assert "16 mm long" not in unlikely(40_000, TWENTY)
    assert "4 mm long" in unlikely(49_000, Volume.from_ml(7))


def test_a_known_name_stands_for_its_numbers() -> None:
    assert misnamed("BD 20 mL", 19_050, TWENTY) == ""
    assert misnamed("bd  20 ML", 19_130, TWENTY) == ""
    assert misnamed("BD 20 mL", 40_000, TWENTY) == "a BD 20 mL has 19.05 mm"
    assert misnamed("BD 20 mL", 19_050, Volume.from_ml(30)) == "a BD 20 mL holds 20 mL"


def test_an_unknown_name_stands_for_nothing() -> None:
    assert misnamed("measured on the bench", 40_000, TWENTY) == ""
