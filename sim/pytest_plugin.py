"""The pytest plugin of this distribution: simulated pumps for tests of somebody's driver.

    def test_the_driver_sees_an_occlusion(pump_sim):
        pump = pump_sim(dialect="new-era", syringe="bd-10")
        driver = MyDriver(pump.port)
        pump.inject("downstream_occlusion")
        ...

It sets up nothing globally, and importing it opens nothing.  `pytest-infusor` has the same fixture for a
test environment that must not hold infusor itself.  For bench and simulation only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sim.pump_in_thread import PumpSims


@pytest.fixture
def pump_sim() -> Iterator[PumpSims]:
    """``pump_sim(dialect=..., **options)`` is a running simulated pump; all of them end with the test."""
    from sim.pump_in_thread import PumpSims  # noqa: PLC0415  # a run that needs no pump pays nothing

    with PumpSims() as pumps:
        yield pumps
