"""The New Era host against the independent simulated pump, through `open_pump`'s driver.

The two sides share no protocol code; what they agree on here, they each read from the manual.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from firmware_bridge.dialect import Identity, Syringe
from firmware_bridge.errors import (
    ConfigurationError,
    Disconnected,
    LinkError,
    NoAnswer,
    PumpInAlarm,
    PumpRefused,
)
from firmware_bridge.link import PumpLink
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.protocols.new_era import NewEra
from firmware_bridge.pump import Pump, open_pump, pump_on
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.memory import Cable, MemoryTransport, pair
from hil_tests.loop.bad_cables import BAD_CABLES, bad
from sim.devices.new_era import NewEraPump
from sim.devices.new_era_quirks import Quirks
from sim.devices.quirks import parse_quirks, quirk_values
from sim.serve import Served, serve_memory, serve_pty
from sim.virtual_loop import run_virtual

BD_20 = Syringe(19_050, Volume.from_ml(20))
STROKE_NL = 200
"""One microstep of a 20 mL syringe on the simulated drive is about 180 nL."""

QUIRKS = [f"{name}={value}" for name, values in quirk_values(Quirks).items() for value in values]


class Bench:
    """A simulated pump with a cable, and the host's end of it."""

    def __init__(
        self,
        *quirks: str,
        address: int = 0,
        cable: Callable[[], Cable | None] = lambda: None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.device = NewEraPump(quirks=parse_quirks(Quirks, quirks), address=address)
        self.sent: list[bytes] = []
        self.near: MemoryTransport
        self.near, far = pair(
            self.loop, a_name="bench", cable_ab=cable(), cable_ba=cable(), tap=self._tapped
        )
        self.served: Served = serve_memory(self.device, far, self.loop)
        self.address = address

    def _tapped(self, end: str, data: bytes) -> None:
        if end == "bench":
            self.sent.append(data)

    @asynccontextmanager
    async def pump(self) -> AsyncIterator[Pump]:
        async with pump_on(self.near, NewEra(port="bench", address=self.address)) as pump:
            yield pump

    def delivered_nl(self) -> int:
        self.device.advance(self.loop.time())
        return self.device.truth().plunger_nl


def virtual(main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await main()

    run_virtual(run, seed=3, budget_s=100_000.0)


@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_delivery_from_opening_to_leaving_whatever_the_quirk(quirk: str) -> None:
    async def main() -> None:
        bench = Bench(quirk)
        for _ in range(2):  # somebody has used it before; the first command acknowledges the alarm
            bench.device.feed(b"RAT10.00MH\r", bench.loop.time())
        found = bench.device.snapshot()
        bench.served.power_cycle()
        async with bench.pump() as pump:
            assert pump.identity == Identity("NE-1000", "3.928", "", "NE1000V3.928")
            assert Capability.DEAD_MAN in pump.capabilities
            limits = await pump.configure(BD_20)
            assert limits.rate_max.ml_h == pytest.approx(872.3, rel=1e-3)
            bolus = await pump.bolus(Volume.from_ml(1), Rate.from_ml_h(60))
            assert (bolus.ended, bolus.delivered) == (PumpState.COMPLETED, Volume.from_ml(1))
            rest = await pump.infuse(Rate.from_ml_h("133.333"), Volume.from_ml("3.3333"))
            assert rest.programmed.rate <= Rate.from_ml_h("133.333")
            assert rest.delivered == rest.programmed.volume == Volume.from_ml("3.333")
        assert bench.delivered_nl() == pytest.approx(4_333_000, abs=2 * STROKE_NL)
        assert not any("could not" in line for line in pump.restored), pump.restored
        assert bench.device.status == "S"
        assert str(bench.device.snapshot().settings) == str(found.settings)

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


@pytest.mark.parametrize("name", BAD_CABLES)
def test_a_delivery_over_a_bad_cable_never_delivers_more_than_asked(name: str) -> None:
    async def main() -> None:
        bench = Bench(cable=bad(name, baud=19_200))
        asked = Volume.from_ml(1)
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            done = await pump.infuse(Rate.from_ml_h(60), asked)
            assert done.ended is PumpState.COMPLETED
        assert bench.delivered_nl() <= asked.nl + STROKE_NL

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
            assert bench.device.status == "S"

    virtual(main)


def test_the_pump_stops_by_itself_when_nobody_renews() -> None:
    async def main() -> None:
        bench = Bench()
        dialect = NewEra(port="bench")
        link = PumpLink(bench.near, dialect, bench.loop)
        await link.do(dialect.connect())
        await link.do(dialect.configure(BD_20))
        await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml(2), Duration.from_s(3)))
        await asyncio.sleep(60.0)
        assert bench.delivered_nl() <= 3 * 60_000_000 // 3_600 + STROKE_NL
        reading = await link.do(dialect.read())
        assert reading.alarms == PumpAlarm.LEASE_EXPIRED
        assert reading.infused.nl == pytest.approx(50_000, abs=2_000)
        link.close()

    virtual(main)


@pytest.mark.parametrize("lease_s", [1, 3, 10])
def test_the_dead_man_is_proved_without_a_step(lease_s: int) -> None:
    async def main() -> None:
        bench = Bench()
        dialect = NewEra(port="bench")
        link = PumpLink(bench.near, dialect, bench.loop)
        await link.do(dialect.connect())
        await link.do(dialect.configure(BD_20))
        seen = await link.do(dialect.prove_dead_man(Duration.from_s(lease_s)))
        assert seen.startswith(f"alarm after {lease_s} s of silence, start refused")
        assert bench.device.truth().steps == 0
        reading = await link.do(dialect.read())
        assert (reading.state, reading.alarms) == (PumpState.STOPPED, PumpAlarm.NONE)
        link.close()

    virtual(main)


def test_a_pause_and_the_rest_of_the_target() -> None:
    async def main() -> None:
        bench = Bench()
        dialect = NewEra(port="bench")
        link = PumpLink(bench.near, dialect, bench.loop)
        lease = Duration.from_s(30)
        await link.do(dialect.connect())
        await link.do(dialect.configure(BD_20))
        await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml("0.5"), lease))
        await asyncio.sleep(10.0)
        assert (await link.do(dialect.pause())).state is PumpState.PAUSED
        assert await link.do(dialect.resume(lease)) is not None
        assert await link.do(dialect.set_rate(Rate.from_ml_h(120))) == Rate.from_ml_h(120)
        await asyncio.sleep(25.0)
        reading = await link.do(dialect.read())
        assert (reading.state, reading.infused) == (PumpState.COMPLETED, Volume.from_ml("0.5"))
        link.close()

    virtual(main)


def test_a_power_cut_in_mid_delivery_ends_it_and_is_latched() -> None:
    async def main() -> None:
        bench = Bench()
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
            done = await pump.infuse(Rate.from_ml_h(60), Volume.from_ml("0.1"))
            assert done.ended is PumpState.COMPLETED

    virtual(main)


def test_an_unplugged_port_in_mid_delivery_is_disconnected_and_said_on_leaving() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(5.5)
            bench.near.cut()
            with pytest.raises(Disconnected):
                await infusing
        assert len(pump.restored) == 1
        assert "could not be put back" in pump.restored[0]

    virtual(main)


def test_nothing_is_sent_for_an_order_that_cannot_be() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            bench.sent.clear()
            with pytest.raises(PumpRefused, match="above the syringe's 20 mL"):
                await pump.infuse(Rate.from_ml_h(60), Volume.from_ml(21))
            with pytest.raises(PumpRefused, match="outside"):
                await pump.infuse(Rate.from_ml_h(2_000), Volume.from_ml(1))
            assert {frame.strip() for frame in bench.sent} == {b"0DIS"}

    virtual(main)


def test_identifying_again_and_a_snapshot_at_rest() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            assert (await pump.identify()).model == "NE-1000"
            snapshot = await pump.snapshot()
            assert (snapshot.state, snapshot.rate) == (PumpState.STOPPED, Rate(0))

    virtual(main)


def test_a_pump_that_runs_already_is_refused() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            task = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(5.5)
            with pytest.raises(PumpRefused, match="running already"):
                await pump.infuse(Rate.from_ml_h(60), Volume.from_ml(1))
            task.cancel()
            await asyncio.wait([task])

    virtual(main)


def test_a_pump_that_falls_silent_is_given_up_in_the_end() -> None:
    async def main() -> None:
        cable = Cable(stream=random.Random(0))
        bench = Bench(cable=lambda: cable)
        async with bench.pump() as pump:
            await pump.configure(BD_20)
            task = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(5.5)
            cable.loss = 1.0
            with pytest.raises(NoAnswer):
                await task
        assert bench.delivered_nl() <= (5.5 + 3 + 1) * 60_000_000 / 3_600

    virtual(main)


async def test_a_simulated_pump_url_names_no_port() -> None:
    with pytest.raises(ConfigurationError, match="infusor sim pump"):
        async with open_pump("sim:new-era"):
            pytest.fail("opened")


async def test_an_absent_port_is_named() -> None:
    with pytest.raises(LinkError, match="/dev/not-there"):
        async with open_pump("new-era:/dev/not-there"):
            pytest.fail("opened")


@pytest.mark.real
async def test_a_pump_is_driven_over_a_real_pseudo_terminal() -> None:
    loop = asyncio.get_running_loop()
    served = serve_pty(NewEraPump(), loop)
    try:
        async with open_pump(f"new-era:{served.port}") as pump:
            await pump.configure(BD_20)
            done = await pump.bolus(Volume.from_ml("0.02"), Rate.from_ml_h(360))
            assert done.ended is PumpState.COMPLETED
        assert "SAF 0" in pump.restored
    finally:
        served.close()
