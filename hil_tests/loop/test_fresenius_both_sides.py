"""The Fresenius host against the independent simulated base, through `open_pump`'s driver.

The two sides share no protocol code; what they agree on here, they each read from the description of the
protocol.  Of the device's side nothing but its `KIND` is known here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from firmware_bridge.dialect import Syringe
from firmware_bridge.errors import (
    Disconnected,
    NoAnswer,
    ProtocolError,
    PumpInAlarm,
)
from firmware_bridge.link import PumpLink
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.protocols.fresenius import Fresenius
from firmware_bridge.protocols.fresenius_replies import SetArgument
from firmware_bridge.pump import Pump, open_pump, pump_on
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.memory import Cable, MemoryTransport, pair
from hil_tests.loop.bad_cables import BAD_CABLES, bad
from sim.devices.fresenius_kind import KIND
from sim.devices.kinds import PumpOptions
from sim.serve import Served, serve_memory, serve_pty
from sim.virtual_loop import run_virtual

BD_50 = Syringe(26_700, Volume.from_ml(50))
DIGIT_NL = 1_000
LEASE = Duration.from_s(3)
BAUD = 19_200

QUIRKS = [f"{name}={value}" for name, values in KIND.quirks.items() for value in values]
NO_START = "rate_launches=no"
"""A pump that takes a rate and does not run; there is no other command that could start it."""


class Bench:
    """A simulated base with a cable, and the host's end of it."""

    def __init__(
        self,
        *quirks: str,
        address: int = 1,
        cable: Callable[[], Cable | None] = lambda: None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.device = KIND.make(PumpOptions(model=KIND.models[0], address=address, quirks=quirks))
        decimal = "set_argument=decimal" in quirks
        self.host = Fresenius(
            port="bench",
            address=address,
            set_argument=SetArgument.DECIMAL if decimal else SetArgument.HEX,
        )
        self.sent: list[bytes] = []
        self.near: MemoryTransport
        self.near, far = pair(
            self.loop, a_name="bench", cable_ab=cable(), cable_ba=cable(), tap=self._tapped
        )
        self.served: Served = serve_memory(self.device, far, self.loop)

    def _tapped(self, end: str, data: bytes) -> None:
        if end == "bench":
            self.sent.append(data)

    @asynccontextmanager
    async def pump(self) -> AsyncIterator[Pump]:
        async with pump_on(self.near, self.host) as pump:
            yield pump

    async def started(self) -> PumpLink:
        """A delivery of 2 mL at 60 mL/h has begun."""
        link = PumpLink(self.near, self.host, self.loop)
        await link.do(self.host.connect())
        await link.do(self.host.configure(BD_50))
        await link.do(self.host.start(Rate.from_ml_h(60), Volume.from_ml(2), LEASE))
        return link

    def delivered_nl(self) -> int:
        return self.served.truth().plunger_nl


def virtual(main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await main()

    run_virtual(run, seed=3, budget_s=100_000.0)


@pytest.mark.parametrize("quirk", [quirk for quirk in QUIRKS if quirk != NO_START])
def test_a_delivery_from_opening_to_leaving_whatever_the_quirk(quirk: str) -> None:
    async def main() -> None:
        bench = Bench(quirk)
        async with bench.pump() as pump:
            assert pump.identity.model
            assert Capability.DEAD_MAN not in pump.capabilities
            await pump.configure(BD_50)
            bolus = await pump.bolus(Volume.from_ml(1), Rate.from_ml_h(600))
            assert bolus.ended is PumpState.COMPLETED
            assert bolus.delivered.nl == pytest.approx(1_000_000, abs=DIGIT_NL)
            rest = await pump.infuse(Rate.from_ml_h("133.39"), Volume.from_ml("3.3339"))
            assert rest.programmed.rate == Rate.from_ml_h("133.3")
            assert rest.programmed.volume == Volume.from_ml("3.333")
            assert rest.ended is PumpState.COMPLETED
        assert 4_331_000 <= bench.delivered_nl() <= 4_333_000

    virtual(main)


@pytest.mark.parametrize("address", [1, 3, 5])
def test_a_module_is_driven_at_its_address(address: int) -> None:
    async def main() -> None:
        bench = Bench(address=address)
        async with bench.pump() as pump:
            await pump.configure(BD_50)
            done = await pump.infuse(Rate.from_ml_h(60), Volume.from_ml("0.5"))
            assert done.ended is PumpState.COMPLETED

    virtual(main)


@pytest.mark.parametrize("name", BAD_CABLES)
def test_a_delivery_over_a_bad_cable_never_delivers_more_than_asked(name: str) -> None:
    async def main() -> None:
        bench = Bench(cable=bad(name, baud=BAUD))
        asked = Volume.from_ml(1)
        async with bench.pump() as pump:
            await pump.configure(BD_50)
            done = await pump.infuse(Rate.from_ml_h(60), asked)
            assert done.ended is PumpState.COMPLETED
        assert bench.delivered_nl() <= asked.nl

    virtual(main)


def test_every_enq_is_answered_while_the_pump_delivers_and_at_rest() -> None:
    async def main() -> None:
        bench = Bench("enq_period_ms=1000")
        async with bench.pump() as pump:
            await pump.configure(BD_50)
            await pump.infuse(Rate.from_ml_h(60), Volume.from_ml("0.5"))
            before = sum(data.count(b"\x14") for data in bench.sent)
            assert 28 <= before <= 34
            await asyncio.sleep(10.0)
            assert sum(data.count(b"\x14") for data in bench.sent) - before in (9, 10, 11)

    virtual(main)


def test_a_stop_pushes_into_a_delivery() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_50)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(30.5)
            assert (await pump.snapshot()).state is PumpState.RUNNING
            begun = bench.loop.time()
            assert (await pump.stop()).state is PumpState.STOPPED
            assert bench.loop.time() - begun < 0.5
            assert (await infusing).ended is PumpState.STOPPED
            before = bench.delivered_nl()
            await asyncio.sleep(60.0)
            assert bench.delivered_nl() == before
            assert before == pytest.approx(505_000, abs=10_000)

    virtual(main)


def test_nobody_asking_the_pump_ends_at_its_limit() -> None:
    async def main() -> None:
        bench = Bench()
        link = await bench.started()
        await asyncio.sleep(600.0)
        assert bench.delivered_nl() == pytest.approx(2_000_000, abs=DIGIT_NL)
        reading = await link.do(bench.host.read())
        assert (reading.state, reading.alarms) == (PumpState.COMPLETED, PumpAlarm.NONE)
        link.close()

    virtual(main)


def test_a_pause_and_the_rest_of_the_target() -> None:
    async def main() -> None:
        bench = Bench()
        link = await bench.started()
        await asyncio.sleep(9.0)
        assert (await link.do(bench.host.pause())).state is PumpState.PAUSED
        assert (await link.do(bench.host.resume(LEASE))).state is PumpState.RUNNING
        await asyncio.sleep(600.0)
        reading = await link.do(bench.host.read())
        assert (reading.state, reading.alarms) == (PumpState.COMPLETED, PumpAlarm.NONE)
        assert 1_997_000 <= bench.delivered_nl() <= 2_000_000
        link.close()

    virtual(main)


def test_an_occlusion_is_told_by_the_pump_itself_with_its_raw_words() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_50)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(600), Volume.from_ml(5)))
            await asyncio.sleep(2.0)
            bench.served.inject("downstream_occlusion")
            with pytest.raises(PumpInAlarm, match=r"INTERNAL_FAULT .*a[0-9A-F]+"):
                await infusing

    virtual(main)


def test_a_power_cut_in_mid_delivery_ends_it_and_is_latched() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_50)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(20.5)
            bench.served.power_cycle()
            before = bench.delivered_nl()
            with pytest.raises(PumpInAlarm, match="RESET"):
                await infusing
            assert bench.delivered_nl() == before
            assert PumpAlarm.RESET in pump.acknowledge()
            done = await pump.infuse(Rate.from_ml_h(60), Volume.from_ml("0.1"))
            assert done.ended is PumpState.COMPLETED

    virtual(main)


def test_an_unplugged_port_in_mid_delivery_is_disconnected() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_50)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(5.5)
            bench.near.cut()
            with pytest.raises(Disconnected):
                await infusing
        assert "could not be put back" in pump.restored[0]

    virtual(main)


def test_a_pump_that_falls_silent_is_given_up_in_the_end_and_ends_at_its_limit() -> None:
    async def main() -> None:
        cable = Cable(stream=random.Random(0))
        bench = Bench(cable=lambda: cable)
        async with bench.pump() as pump:
            await pump.configure(BD_50)
            task = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(1)))
            await asyncio.sleep(5.5)
            cable.loss = 1.0
            with pytest.raises(NoAnswer):
                await task
        await asyncio.sleep(600.0)
        assert bench.delivered_nl() <= 1_000_000

    virtual(main)


def test_a_pump_that_takes_its_numbers_the_other_way_is_noticed_by_its_rate() -> None:
    async def main() -> None:
        bench = Bench("set_argument=decimal")
        wrong = Fresenius(port="bench")
        link = PumpLink(bench.near, wrong, bench.loop)
        await link.do(wrong.connect())
        await link.do(wrong.configure(BD_50))
        with pytest.raises(ProtocolError, match=r"the pump shows 6\.4 mL/h"):
            await link.do(wrong.start(Rate.from_ml_h(10), Volume.from_ml("4.096"), LEASE))
        assert (await link.stop()).state is PumpState.STOPPED
        assert bench.delivered_nl() <= 2 * DIGIT_NL
        link.close()

    virtual(main)


def test_a_pump_that_takes_a_rate_and_does_not_run_is_not_called_running() -> None:
    async def main() -> None:
        bench = Bench(NO_START)
        with pytest.raises(ProtocolError, match="the pump shows 0 mL/h"):
            await bench.started()
        assert bench.delivered_nl() == 0

    virtual(main)


@pytest.mark.real
async def test_a_pump_is_driven_over_a_real_pseudo_terminal() -> None:
    loop = asyncio.get_running_loop()
    served = serve_pty(KIND.make(PumpOptions(model=KIND.models[0], address=1)), loop)
    try:
        async with open_pump(
            f"fresenius:{served.port}", declared_not_connected="the bench"
        ) as pump:
            await pump.configure(BD_50)
            done = await pump.bolus(Volume.from_ml("0.05"), Rate.from_ml_h(600))
            assert done.ended is PumpState.COMPLETED
    finally:
        served.close()
