"""The Harvard host against the independent simulated pump, through `open_pump`'s driver and the bridge.

The two sides share no protocol code; what they agree on here, they each read from the manual.  Of the
device's side nothing but its `KIND` is known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from firmware_bridge.dialect import Syringe
from firmware_bridge.errors import NoAnswer, PumpInAlarm, PumpRefused, UncertainDelivery
from firmware_bridge.link import PumpLink
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.protocols.harvard import Harvard
from firmware_bridge.pump import Pump, open_pump, pump_on
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.memory import Cable, MemoryTransport, pair
from hil_tests.loop.bad_cables import BAD_CABLES, bad
from sim.devices.harvard_kind import KIND
from sim.devices.kinds import PumpOptions
from sim.serve import Served, serve_memory, serve_pty
from sim.virtual_loop import run_virtual

BD_20 = Syringe(19_050, Volume.from_ml(20))
STROKE_NL = 200
"""One microstep of a 20 mL syringe on the simulated drive is about 180 nL."""

QUIRKS = [f"{name}={value}" for name, values in KIND.quirks.items() for value in values]
LEASE = Duration.from_s(3)


class Bench:
    """A simulated pump with a cable, and the host's end of it."""

    def __init__(
        self,
        *quirks: str,
        model: str = KIND.models[0],
        address: int = 0,
        cable: Callable[[], Cable | None] = lambda: None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.device = KIND.make(PumpOptions(model=model, address=address, quirks=quirks))
        self.near: MemoryTransport
        self.near, far = pair(self.loop, a_name="bench", cable_ab=cable(), cable_ba=cable())
        self.served: Served = serve_memory(self.device, far, self.loop)
        self.address = address

    @asynccontextmanager
    async def pump(self) -> AsyncIterator[Pump]:
        async with pump_on(self.near, Harvard(port="bench", address=self.address)) as pump:
            yield pump

    def link(self) -> tuple[PumpLink, Harvard]:
        dialect = Harvard(port="bench", address=self.address)
        return PumpLink(self.near, dialect, self.loop), dialect

    def delivered_nl(self) -> int:
        return self.served.truth().plunger_nl


def virtual(main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await main()

    run_virtual(run, seed=3, budget_s=100_000.0)


@pytest.mark.parametrize("model", KIND.models)
@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_delivery_from_opening_to_leaving_whatever_the_quirk(quirk: str, model: str) -> None:
    async def main() -> None:
        bench = Bench(quirk, model=model)
        async with bench.pump() as pump:
            assert pump.identity.firmware
            assert Capability.DEAD_MAN not in pump.capabilities
            limits = await pump.configure(BD_20)
            assert limits.rate_max.ml_h == pytest.approx(45.32 * 60, rel=0.01)
            bolus = await pump.bolus(Volume.from_ml(1), Rate.from_ml_h(60))
            assert (bolus.ended, bolus.programmed.volume) == (
                PumpState.COMPLETED,
                Volume.from_ml(1),
            )
            assert bolus.delivered.nl == pytest.approx(1_000_000, abs=STROKE_NL)
            rest = await pump.infuse(Rate.from_ml_h("133.333"), Volume.from_ml("3.3333333"))
            assert rest.programmed.rate <= Rate.from_ml_h("133.333")
            assert rest.programmed.volume == Volume.from_ml("3.33333")
            assert rest.ended is PumpState.COMPLETED
        assert bench.delivered_nl() == pytest.approx(4_333_330, abs=3 * STROKE_NL)
        assert not any("could not" in line for line in pump.restored), pump.restored

    virtual(main)


@pytest.mark.parametrize("address", [0, 7, 42])
def test_a_pump_at_an_address_is_driven_at_that_address(address: int) -> None:
    async def main() -> None:
        bench = Bench(address=address)
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            done = await pump.infuse(Rate.from_ml_h(60), Volume.from_ml("0.5"))
            assert done.ended is PumpState.COMPLETED

    virtual(main)


def test_a_pump_at_another_address_is_named() -> None:
    async def main() -> None:
        bench = Bench(address=7)
        bench.address = 3
        with pytest.raises(NoAnswer, match="at address 3"):
            async with bench.pump():
                pytest.fail("met")

    virtual(main)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", BAD_CABLES)
def test_a_delivery_over_a_bad_cable_never_delivers_more_than_asked(name: str, seed: int) -> None:
    async def main() -> None:
        bench = Bench(
            cable=bad(name, baud=19_200, seeds=(seed * 10, seed * 10 + 1), duplicate=0.02)
        )
        asked = Volume.from_ml(1)
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            try:
                done = await pump.infuse(Rate.from_ml_h(60), asked)
            except UncertainDelivery:  # the one frame that is never repeated was hit: it is stopped
                assert name == "lossy"
            else:
                assert done.ended is PumpState.COMPLETED
        assert bench.delivered_nl() <= asked.nl + STROKE_NL
        before = bench.delivered_nl()
        await asyncio.sleep(60.0)
        assert bench.delivered_nl() == before

    virtual(main)


def test_a_stop_pushes_into_a_delivery() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(30.25)
            assert (await pump.snapshot()).state is PumpState.RUNNING
            stopped = await pump.stop()
            assert stopped.state is PumpState.STOPPED
            assert (await infusing).ended is PumpState.STOPPED
            before = bench.delivered_nl()
            await asyncio.sleep(60.0)
            assert bench.delivered_nl() == before
            assert before == pytest.approx(505_000, abs=5_000)

    virtual(main)


def test_a_cancelled_delivery_stops_the_pump() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(10.5)
            infusing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await infusing
            before = bench.delivered_nl()
            await asyncio.sleep(60.0)
            assert bench.delivered_nl() == before

    virtual(main)


def test_a_pump_that_everybody_left_ends_at_its_target() -> None:
    async def main() -> None:
        bench = Bench()
        link, dialect = bench.link()
        await link.do(dialect.connect())
        await link.do(dialect.configure(BD_20))
        await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml(2), LEASE))
        await asyncio.sleep(1_000.0)
        assert bench.delivered_nl() == pytest.approx(2_000_000, abs=STROKE_NL)
        reading = await link.do(dialect.read())
        assert (reading.state, reading.alarms) == (PumpState.COMPLETED, PumpAlarm.NONE)
        link.close()

    virtual(main)


@pytest.mark.parametrize("counts", ["since_clear", "since_run"])
def test_a_pause_and_the_rest_of_the_target(counts: str) -> None:
    async def main() -> None:
        bench = Bench(f"target_counts={counts}")
        link, dialect = bench.link()
        await link.do(dialect.connect())
        await link.do(dialect.configure(BD_20))
        await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml("0.5"), LEASE))
        await asyncio.sleep(10.0)
        assert (await link.do(dialect.pause())).state is PumpState.PAUSED
        assert (await link.do(dialect.read())).state is PumpState.PAUSED
        assert (await link.do(dialect.resume(LEASE))).state is PumpState.RUNNING
        assert await link.do(dialect.set_rate(Rate.from_ml_h(120))) == Rate.from_ml_h(120)
        await asyncio.sleep(25.0)
        reading = await link.do(dialect.read())
        assert reading.state is PumpState.COMPLETED
        assert reading.infused.nl == pytest.approx(500_000, abs=STROKE_NL)
        assert bench.delivered_nl() == pytest.approx(500_000, abs=2 * STROKE_NL)
        link.close()

    virtual(main)


@pytest.mark.parametrize("default", ["off", "on"])
def test_a_power_cut_in_mid_delivery_ends_it_and_is_latched(default: str) -> None:
    async def main() -> None:
        bench = Bench(f"poll_default={default}")
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(20.5)
            bench.served.power_cycle()
            with pytest.raises(PumpInAlarm, match="RESET"):
                await infusing
            with pytest.raises(PumpInAlarm, match="not acknowledged: RESET"):
                await pump.infuse(Rate.from_ml_h(60), Volume.from_ml(1))
            assert pump.acknowledge() == PumpAlarm.RESET
            await pump.configure(BD_20)
            done = await pump.infuse(Rate.from_ml_h(60), Volume.from_ml("0.1"))
            assert done.ended is PumpState.COMPLETED

    virtual(main)


def test_a_stalled_pump_is_an_occlusion() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(600), Volume.from_ml(10)))
            await asyncio.sleep(5.5)
            bench.served.inject("motor_stall")
            with pytest.raises(PumpInAlarm, match="OCCLUSION"):
                await infusing

    virtual(main)


def test_what_cannot_be_is_refused_by_name() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            with pytest.raises(PumpRefused, match="above the syringe's 20 mL"):
                await pump.infuse(Rate.from_ml_h(60), Volume.from_ml(21))
            with pytest.raises(PumpRefused, match="outside"):
                await pump.infuse(Rate.from_ml_h(3_000), Volume.from_ml(1))

    virtual(main)


@pytest.mark.real
async def test_a_harvard_pump_is_driven_over_a_real_pseudo_terminal() -> None:
    loop = asyncio.get_running_loop()
    served = serve_pty(KIND.make(PumpOptions(model=KIND.models[0])), loop)
    try:
        async with open_pump(f"harvard:{served.port}") as pump:
            await pump.configure(BD_20)
            done = await pump.bolus(Volume.from_ml("0.02"), Rate.from_ml_h(360))
            assert done.ended is PumpState.COMPLETED
        assert "poll off" in pump.restored
    finally:
        served.close()
