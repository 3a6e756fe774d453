"""The Alaris host against the independent simulated pump, through `open_pump`'s driver.

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
from firmware_bridge.errors import Disconnected, NoAnswer, PumpInAlarm, PumpRefused
from firmware_bridge.link import PumpLink
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.protocols.alaris import Alaris
from firmware_bridge.pump import Pump, open_pump, pump_on
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.memory import Cable, MemoryTransport, pair
from hil_tests.loop.bad_cables import BAD_CABLES, bad
from sim.devices.alaris_kind import KIND
from sim.devices.kinds import PumpOptions
from sim.serve import Served, serve_memory, serve_pty
from sim.virtual_loop import run_virtual

BD_50 = Syringe(26_700, Volume.from_ml(50))
STROKE_NL = 1_000
"""One digit of the pump's counter, which is more than a microstep."""

LEASE = Duration.from_s(10)
BAUD = 38_400

SLOWEST = "reply_delay_ms=4000"
QUIRKS = [f"{name}={value}" for name, values in KIND.quirks.items() for value in values]


class Bench:
    """A simulated pump with a cable, and the host's end of it."""

    def __init__(self, *quirks: str, cable: Callable[[], Cable | None] = lambda: None) -> None:
        self.loop = asyncio.get_running_loop()
        self.device = KIND.make(PumpOptions(model=KIND.models[0], quirks=quirks))
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
        async with pump_on(self.near, Alaris(port="bench")) as pump:
            yield pump

    async def started(self, lease: Duration = LEASE) -> tuple[PumpLink, Alaris]:
        """A delivery of 2 mL at 60 mL/h has begun, without anybody who renews it."""
        dialect = Alaris(port="bench", lease=lease)
        link = PumpLink(self.near, dialect, self.loop)
        await link.do(dialect.connect())
        await link.do(dialect.configure(BD_50))
        await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml(2), lease))
        return link, dialect

    def delivered_nl(self) -> int:
        return self.served.truth().plunger_nl


def virtual(main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await main()

    run_virtual(run, seed=3, budget_s=100_000.0)


@pytest.mark.parametrize("quirk", [quirk for quirk in QUIRKS if quirk != SLOWEST])
def test_a_delivery_from_opening_to_leaving_whatever_the_quirk(quirk: str) -> None:
    async def main() -> None:
        bench = Bench(quirk)
        async with bench.pump() as pump:
            assert pump.identity.serial_number
            assert Capability.DEAD_MAN in pump.capabilities
            limits = await pump.configure(BD_50)
            assert limits.lease_min == LEASE
            bolus = await pump.bolus(Volume.from_ml(1), Rate.from_ml_h(600))
            assert bolus.ended is PumpState.COMPLETED
            assert bolus.delivered.nl == pytest.approx(1_000_000, abs=STROKE_NL)
            rest = await pump.infuse(Rate.from_ml_h("133.339"), Volume.from_ml("3.3339"))
            assert rest.programmed.rate == Rate.from_ml_h("133.33")
            assert rest.programmed.volume == Volume.from_ml("3.333")
            assert rest.ended is PumpState.COMPLETED
        assert 4_331_000 <= bench.delivered_nl() <= 4_333_000
        assert not any("could not" in line for line in pump.restored), pump.restored

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


def test_a_pump_as_slow_as_it_may_be_is_driven_where_its_lease_outlasts_its_answers() -> None:
    async def main() -> None:
        bench = Bench(SLOWEST, "lease_ms=600000")
        link, dialect = await bench.started(Duration.from_s(60))
        for _ in range(20):
            await asyncio.sleep(1.0)
            reading = await link.do(dialect.read())
            if reading.state is not PumpState.RUNNING:
                break
        assert (reading.state, reading.infused) == (PumpState.COMPLETED, Volume.from_ml(2))
        assert bench.delivered_nl() == 2_000_000
        link.close()

    virtual(main)


def test_a_pump_slower_than_its_lease_is_not_started() -> None:
    async def main() -> None:
        bench = Bench(SLOWEST)
        with pytest.raises((NoAnswer, PumpRefused)):
            await bench.started()
        assert bench.served.truth().steps == 0

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


def test_the_pump_stops_by_itself_when_nobody_renews() -> None:
    async def main() -> None:
        bench = Bench()
        link, dialect = await bench.started()
        await asyncio.sleep(60.0)
        assert bench.delivered_nl() <= 10 * 60_000_000 // 3_600 + STROKE_NL
        before = bench.delivered_nl()
        await link.do(dialect.read())
        await asyncio.sleep(10.0)
        assert (await link.stop()).state is PumpState.STOPPED
        assert bench.delivered_nl() == before
        link.close()

    virtual(main)


def test_only_a_reading_renews_the_pumps_lease() -> None:
    async def main() -> None:
        bench = Bench()
        link, dialect = await bench.started()
        for _ in range(40):
            await asyncio.sleep(1.0)
            reading = await link.do(dialect.read())
            assert reading.state is PumpState.RUNNING
        for _ in range(40):
            await asyncio.sleep(1.0)
            await link.do(dialect._look())
        assert bench.delivered_nl() <= 55 * 60_000_000 / 3_600
        link.close()

    virtual(main)


def test_the_dead_man_is_proved_without_a_step() -> None:
    async def main() -> None:
        bench = Bench()
        dialect = Alaris(port="bench")
        link = PumpLink(bench.near, dialect, bench.loop)
        await link.do(dialect.connect())
        await link.do(dialect.configure(BD_50))
        seen = await link.do(dialect.prove_dead_man(LEASE))
        assert "after 10 s of silence, start refused" in seen
        assert bench.served.truth().steps == 0
        await link.do(dialect.relax())
        assert (await link.do(dialect.read())).state in (PumpState.STOPPED, PumpState.ALARM)
        await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml(1), LEASE))
        await link.stop()
        link.close()

    virtual(main)


def test_a_pump_with_a_longer_lease_than_it_is_taken_to_have_fails_the_proof() -> None:
    async def main() -> None:
        bench = Bench("lease_ms=600000")
        dialect = Alaris(port="bench")
        link = PumpLink(bench.near, dialect, bench.loop)
        await link.do(dialect.connect())
        await link.do(dialect.configure(BD_50))
        with pytest.raises(PumpRefused, match="self-test"):
            await link.do(dialect.prove_dead_man(LEASE))
        assert bench.delivered_nl() <= STROKE_NL
        link.close()

    virtual(main)


def test_a_pause_and_the_rest_of_the_target() -> None:
    async def main() -> None:
        bench = Bench()
        link, dialect = await bench.started()
        await asyncio.sleep(9.0)
        assert (await link.do(dialect.pause())).state is PumpState.PAUSED
        assert (await link.do(dialect.resume(LEASE))).state is PumpState.RUNNING
        assert await link.do(dialect.set_rate(Rate.from_ml_h(600))) == Rate.from_ml_h(600)
        for _ in range(30):
            await asyncio.sleep(1.0)
            reading = await link.do(dialect.read())
            if reading.state is not PumpState.RUNNING:
                break
        assert (reading.state, reading.alarms) == (PumpState.COMPLETED, PumpAlarm.NONE)
        assert 1_997_000 <= bench.delivered_nl() <= 2_000_000
        link.close()

    virtual(main)


def test_an_occlusion_is_an_alarm_by_name() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_50)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(600), Volume.from_ml(5)))
            await asyncio.sleep(2.0)
            bench.served.inject("downstream_occlusion")
            with pytest.raises(PumpInAlarm, match="OCCLUSION AL_OCCLU"):
                await infusing

    virtual(main)


def test_a_power_cut_in_mid_delivery_ends_it() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_50)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(20.5)
            bench.served.power_cycle()
            before = bench.delivered_nl()
            try:
                ended = (await infusing).ended
                assert ended is PumpState.STOPPED
            except PumpInAlarm:
                pass
            assert bench.delivered_nl() == before

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


def test_a_pump_that_falls_silent_is_given_up_in_the_end() -> None:
    async def main() -> None:
        cable = Cable(stream=random.Random(0))
        bench = Bench(cable=lambda: cable)
        async with bench.pump() as pump:
            await pump.configure(BD_50)
            task = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(5.5)
            cable.loss = 1.0
            with pytest.raises(NoAnswer):
                await task
        assert bench.delivered_nl() <= (5.5 + 10 + 1) * 60_000_000 / 3_600

    virtual(main)


@pytest.mark.real
async def test_a_pump_is_driven_over_a_real_pseudo_terminal() -> None:
    loop = asyncio.get_running_loop()
    served = serve_pty(KIND.make(PumpOptions(model=KIND.models[0])), loop)
    try:
        async with open_pump(f"alaris:{served.port}", declared_not_connected="the bench") as pump:
            await pump.configure(BD_50)
            done = await pump.bolus(Volume.from_ml("0.05"), Rate.from_ml_h(600))
            assert done.ended is PumpState.COMPLETED
    finally:
        served.close()
