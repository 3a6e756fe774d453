"""The same scenarios on the simulated pump and, with ``--pump URL``, on a real one that is connected to nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from firmware_bridge import open_pump
from firmware_bridge.dialect import Syringe
from firmware_bridge.errors import PumpRefused
from firmware_bridge.messages import PumpState
from firmware_bridge.pump import Pump
from firmware_bridge.quantities import Rate, Volume
from sim.devices.new_era import NewEraPump
from sim.serve import serve_pty

pytestmark = pytest.mark.real

SMALL = Volume.from_ml("0.05")
QUICK = Rate.from_ml_h("360")  # 0.5 s for the small volume


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.hardware)])
async def pump(request: pytest.FixtureRequest) -> AsyncIterator[Pump]:
    """A pump that stands, its syringe configured; afterwards it is put back as it was found."""
    diameter_um = round(float(request.config.getoption("--diameter-mm")) * 1_000)
    syringe = Syringe(diameter_um, Volume.from_ml(20))
    if request.param == "real":
        url = request.config.getoption("--pump")
        if url is None:
            pytest.skip("no real pump was given with --pump URL")
        served = None
    else:
        served = serve_pty(NewEraPump(), asyncio.get_running_loop())
        url = f"new-era:{served.port}"
    try:
        async with open_pump(url) as opened:
            await opened.configure(syringe)
            yield opened
            assert (await opened.snapshot()).state is not PumpState.RUNNING
    finally:
        if served is not None:
            served.close()


async def test_the_pump_says_who_it_is(pump: Pump) -> None:
    identity = await pump.identify()
    assert identity.model
    assert identity.firmware


async def test_a_small_volume_is_delivered_and_counted(pump: Pump) -> None:
    delivery = await pump.bolus(SMALL, QUICK)
    assert delivery.programmed.volume <= SMALL
    assert delivery.ended is PumpState.COMPLETED
    assert abs(delivery.delivered.nl - SMALL.nl) <= 1_000


async def test_a_stop_in_mid_delivery_leaves_the_pump_standing_short_of_its_target(
    pump: Pump,
) -> None:
    running = asyncio.create_task(pump.infuse(QUICK, Volume.from_ml("0.5")))
    await asyncio.sleep(1.0)
    reading = await pump.stop()
    assert reading.state is PumpState.STOPPED
    assert reading.infused < Volume.from_ml("0.5")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_the_syringe_cannot_do_is_refused_and_nothing_moves(pump: Pump) -> None:
    before = (await pump.snapshot()).infused
    with pytest.raises(PumpRefused):
        await pump.infuse(Rate.from_ml_h(9_999), SMALL)
    assert (await pump.snapshot()).infused == before
