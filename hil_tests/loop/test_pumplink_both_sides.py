"""The pumplink/1 host against the independent simulated microcontroller pump, through `open_pump`'s driver.

The two sides share no protocol code; what they agree on here, they each read from PROTOCOL.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from firmware_bridge.conversation import PushedAside
from firmware_bridge.dialect import Syringe
from firmware_bridge.errors import (
    BeyondPump,
    Disconnected,
    NoAnswer,
    PumpInAlarm,
    PumpRefused,
)
from firmware_bridge.link import PumpLink
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.protocols.pumplink_dialect import Pumplink
from firmware_bridge.pump import Pump, open_pump, pump_on
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.memory import Cable, MemoryTransport, pair
from hil_tests.loop.bad_cables import CABLES, bad
from sim.devices.kinds import PumpOptions
from sim.devices.pumplink_kind import KIND
from sim.serve import Served, serve_memory, serve_pty
from sim.virtual_loop import run_virtual

BD_60 = Syringe(26_590, Volume.from_ml(60))
LEASE = Duration.from_s(3)
BAUD = 115_200
QUIRKS = [f"{name}={value}" for name, values in KIND.quirks.items() for value in values]
NL_S = 60_000_000 / 3_600
"""What 60 mL/h are in a second."""


class Bench:
    """A simulated pump with a cable, and the host's end of it."""

    def __init__(self, *quirks: str, cable: Callable[[], Cable | None] = lambda: None) -> None:
        self.loop = asyncio.get_running_loop()
        self.device = KIND.make(PumpOptions(model=KIND.models[0], quirks=quirks))
        self.sent: list[tuple[float, bytes]] = []
        self.near: MemoryTransport
        self.near, far = pair(
            self.loop, a_name="bench", cable_ab=cable(), cable_ba=cable(), tap=self._tapped
        )
        self.served: Served = serve_memory(self.device, far, self.loop)

    def _tapped(self, end: str, data: bytes) -> None:
        if end == "bench":
            self.sent.append((self.loop.time(), data))

    @asynccontextmanager
    async def pump(self) -> AsyncIterator[Pump]:
        async with pump_on(self.near, Pumplink(port="bench")) as pump:
            yield pump

    async def met(self) -> tuple[PumpLink, Pumplink]:
        """It is connected and knows its syringe."""
        dialect = Pumplink(port="bench")
        link = PumpLink(self.near, dialect, self.loop)
        await link.do(dialect.connect())
        await link.do(dialect.configure(BD_60))
        return link, dialect

    async def started(self, ml: int = 2) -> tuple[PumpLink, Pumplink]:
        """A delivery at 60 mL/h has begun, without anybody who renews it."""
        link, dialect = await self.met()
        await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml(ml), LEASE))
        return link, dialect

    def delivered_nl(self) -> int:
        return self.served.truth().plunger_nl


def virtual(main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await main()

    run_virtual(run, seed=3, budget_s=100_000.0)


@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_delivery_from_opening_to_leaving_whatever_the_quirk(quirk: str) -> None:
    async def main() -> None:
        bench = Bench(quirk)
        async with bench.pump() as pump:
            assert pump.identity.serial_number
            everything = Capability((1 << 13) - 1) & ~Capability.CLINICAL
            assert pump.capabilities == everything
            await pump.configure(BD_60)
            bolus = await pump.bolus(Volume.from_ml(1), Rate.from_ml_h(600))
            assert bolus.ended is PumpState.COMPLETED
            assert bolus.delivered == Volume.from_ml(1)
            rest = await pump.infuse(Rate.from_ml_h("133.339"), Volume.from_ml("3.3"))
            assert rest.programmed.rate == Rate.from_ml_h("133.339")
            assert rest.ended is PumpState.COMPLETED
        assert bench.delivered_nl() == 4_300_000
        assert not any("could not" in line for line in pump.restored), pump.restored

    virtual(main)


def test_a_coarse_pump_takes_less_and_says_so() -> None:
    async def main() -> None:
        bench = Bench("volume_step_nl=100000")
        async with bench.pump() as pump:
            assert (await pump.configure(BD_60)).volume_step == Volume(100_000)
            done = await pump.infuse(Rate.from_ml_h(600), Volume.from_ml("1.99"))
            assert done.programmed.volume == Volume.from_ml("1.9")
        assert bench.delivered_nl() == 1_900_000

    virtual(main)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", CABLES[1:])
def test_a_delivery_over_a_bad_cable_delivers_what_was_asked_and_never_more(
    name: str, seed: int
) -> None:
    async def main() -> None:
        chance = bad(name, baud=BAUD)
        for _ in range(seed % 2):
            chance()
        bench = Bench(cable=chance)
        asked = Volume.from_ml(1)
        async with bench.pump() as pump:
            await pump.configure(BD_60)
            done = await pump.infuse(Rate.from_ml_h(60), asked)
            assert done.ended is PumpState.COMPLETED
        assert bench.delivered_nl() == asked.nl

    virtual(main)


@pytest.mark.parametrize("name", CABLES)
def test_a_stop_pushes_into_a_delivery_over_any_cable(name: str) -> None:
    async def main() -> None:
        bench = Bench(cable=bad(name, baud=BAUD))
        async with bench.pump() as pump:
            await pump.configure(BD_60)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(30.5)
            assert (await pump.snapshot()).state is PumpState.RUNNING
            begun, at = bench.loop.time(), bench.delivered_nl()
            assert (await pump.stop()).state is PumpState.STOPPED
            assert bench.loop.time() - begun < (0.5 if name == "clean" else 4.0)
            with contextlib.suppress(PushedAside):  # a question was under way on a slow line
                assert (await infusing).ended is PumpState.STOPPED
            before = bench.delivered_nl()
            assert before - at <= (1 if name == "clean" else 2 * NL_S)
            await asyncio.sleep(60.0)
            assert bench.delivered_nl() == before

    virtual(main)


def test_the_pump_stops_by_itself_when_nobody_renews() -> None:
    async def main() -> None:
        bench = Bench()
        link, dialect = await bench.started()
        await asyncio.sleep(2.0)
        assert (await link.do(dialect.read())).state is PumpState.RUNNING
        await asyncio.sleep(60.0)
        assert bench.delivered_nl() <= 5.01 * NL_S
        assert dialect.alarms_heard() == PumpAlarm.LEASE_EXPIRED
        reading = await link.do(dialect.read())
        assert (reading.state, reading.alarms) == (PumpState.ALARM, PumpAlarm.LEASE_EXPIRED)
        assert (await link.do(dialect.read())).state is PumpState.STOPPED
        link.close()

    virtual(main)


def test_nothing_goes_to_a_delivering_pump_but_the_answer_to_a_lease() -> None:
    async def main() -> None:
        bench = Bench()
        link, dialect = await bench.started()
        for _ in range(5):
            await asyncio.sleep(1.0)
            bench.sent.clear()
            await link.do(dialect.read())
            (only,) = bench.sent
            assert only[1][2] == 0x18
        bench.sent.clear()
        await asyncio.sleep(10.0)
        assert bench.sent == []
        link.close()

    virtual(main)


def test_a_lease_that_had_to_be_said_again_does_not_last_longer() -> None:
    async def main() -> None:
        line = Cable(stream=random.Random(0))
        bench = Bench(cable=lambda: line)
        link, dialect = await bench.started()
        await asyncio.sleep(1.0)
        line.loss = 1.0
        reading = asyncio.ensure_future(link.do(dialect.read()))
        await asyncio.sleep(0.25)
        line.loss = 0.0
        assert (await reading).state is PumpState.RUNNING
        await asyncio.sleep(10.0)
        assert bench.delivered_nl() <= 4.02 * NL_S
        link.close()

    virtual(main)


def test_the_dead_man_is_proved_without_a_step_and_by_a_clock_that_runs() -> None:
    async def main() -> None:
        bench = Bench()
        link, dialect = await bench.met()
        seen = await link.do(dialect.prove_dead_man(LEASE))
        assert "lease expired after 3 s of silence" in seen
        assert bench.served.truth().steps == 0
        await link.do(dialect.relax())
        assert (await link.do(dialect.read())).state is PumpState.STOPPED
        await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml(1), LEASE))
        await link.stop()
        bench.served.inject("clock_drift", drift_ppm=-200_000.0)
        with pytest.raises(PumpRefused, match="clock is slow"):
            await link.do(dialect.prove_dead_man(LEASE))
        link.close()

    virtual(main)


def test_a_pause_and_the_rest_of_the_target() -> None:
    async def main() -> None:
        bench = Bench()
        link, dialect = await bench.started()
        await asyncio.sleep(2.0)
        assert (await link.do(dialect.pause())).state is PumpState.PAUSED
        await asyncio.sleep(60.0)
        assert (await link.do(dialect.read())).alarms == PumpAlarm.NONE
        assert (await link.do(dialect.resume(LEASE))).state is PumpState.RUNNING
        assert await link.do(dialect.set_rate(Rate.from_ml_h(600))) == Rate.from_ml_h(600)
        for _ in range(30):
            await asyncio.sleep(1.0)
            reading = await link.do(dialect.read())
            if reading.state is not PumpState.RUNNING:
                break
        assert (reading.state, reading.alarms) == (PumpState.COMPLETED, PumpAlarm.NONE)
        assert bench.delivered_nl() == 2_000_000
        link.close()

    virtual(main)


@pytest.mark.parametrize(
    ("kind", "alarm"),
    [
        ("downstream_occlusion", "OCCLUSION"),
        ("air_bubble", "AIR"),
        ("door_open", "DOOR_OPEN"),
        ("clamp_shut", "CLAMP_SHUT"),
        ("motor_stall", "STALL"),
        ("lost_steps", "LOST_STEPS"),
        ("battery_depleted", "BATTERY_DEPLETED"),
        ("spurious_inoperable", "INTERNAL_FAULT"),
        ("empty", "EMPTY"),
    ],
)
def test_what_its_sensors_feel_is_an_alarm_by_name(kind: str, alarm: str) -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_60)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(600), Volume.from_ml(20)))
            await asyncio.sleep(2.0)
            bench.served.inject(kind)
            with pytest.raises(PumpInAlarm, match=alarm):
                await infusing
            before = bench.delivered_nl()
            await asyncio.sleep(30.0)
            assert bench.delivered_nl() == before

    virtual(main)


def test_a_pump_on_its_battery_delivers_once_that_was_seen() -> None:
    async def main() -> None:
        bench = Bench()
        bench.served.inject("mains_loss")
        link, dialect = await bench.met()
        assert (await link.do(dialect.read())).alarms == PumpAlarm.MAINS_LOST
        assert (await link.do(dialect.read())).alarms == PumpAlarm.NONE
        await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml(1), LEASE))
        assert (await link.do(dialect.read())).state is PumpState.RUNNING
        link.close()

    virtual(main)


def test_the_pumps_own_emergency_stop_is_told_and_not_undone() -> None:
    async def main() -> None:
        bench = Bench()
        link, dialect = await bench.started()
        bench.device.feed(bytes.fromhex("0003017f0101010523520f4c00"), bench.loop.time())
        reading = await link.stop()
        assert reading.alarms == PumpAlarm.INTERNAL_FAULT
        assert "ESTOP_LATCHED" in reading.words
        with pytest.raises(PumpRefused, match="latch"):
            await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml(1), LEASE))
        link.close()

    virtual(main)


def test_what_the_pump_cannot_do_is_refused_by_name_and_starts_nothing() -> None:
    async def main() -> None:
        bench = Bench()
        link, dialect = await bench.met()
        with pytest.raises(BeyondPump, match="60000000"):
            await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml(61), LEASE))
        with pytest.raises(PumpRefused, match="lease"):
            await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml(1), Duration(100)))
        assert bench.served.truth().steps == 0
        link.close()

    virtual(main)


def test_a_power_cut_in_mid_delivery_ends_it_and_is_told_as_a_reset() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_60)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(20.5)
            bench.served.power_cycle()
            before = bench.delivered_nl()
            with pytest.raises((PumpInAlarm, NoAnswer)):
                await infusing
            reading = await pump.stop()
            assert bench.delivered_nl() == before
            assert reading.state is PumpState.STOPPED
            await pump.configure(BD_60)
            done = await pump.infuse(Rate.from_ml_h(60), Volume.from_ml(1))
            assert done.ended is PumpState.COMPLETED

    virtual(main)


def test_a_reset_at_rest_is_noticed_by_the_boot_id() -> None:
    async def main() -> None:
        bench = Bench("power_on=clean")
        link, dialect = await bench.met()
        bench.served.power_cycle()
        with pytest.raises(NoAnswer):
            await link.do(dialect.read())
        assert PumpAlarm.RESET in (await link.stop()).alarms
        with pytest.raises(PumpRefused, match="no syringe"):
            await link.do(dialect.start(Rate.from_ml_h(60), Volume.from_ml(1), LEASE))
        link.close()

    virtual(main)


def test_a_start_whose_answer_is_lost_is_said_again_and_doses_once() -> None:
    async def main() -> None:
        bench = Bench()
        link, dialect = await bench.met()
        bench.served.inject("frame_drop", direction="from_pump", for_commands=3)
        await link.do(dialect.start(Rate.from_ml_h(600), Volume.from_ml("0.1"), LEASE))
        await asyncio.sleep(5.0)
        assert bench.delivered_nl() == 100_000
        link.close()

    virtual(main)


def test_a_pump_that_does_not_stop_is_never_called_stopped() -> None:
    async def main() -> None:
        bench = Bench()
        link, _ = await bench.started(ml=50)
        bench.served.inject("stop_ignored")
        with pytest.raises(NoAnswer, match="RUNNING"):
            await link.stop()
        link.close()

    virtual(main)


def test_an_unplugged_port_in_mid_delivery_is_disconnected() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.pump() as pump:
            await pump.configure(BD_60)
            infusing = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(5.5)
            bench.near.cut()
            with pytest.raises(Disconnected):
                await infusing

    virtual(main)


def test_a_pump_that_falls_silent_is_given_up_and_has_stopped_by_its_lease() -> None:
    async def main() -> None:
        cable = Cable(stream=random.Random(0))
        bench = Bench(cable=lambda: cable)
        async with bench.pump() as pump:
            await pump.configure(BD_60)
            task = asyncio.ensure_future(pump.infuse(Rate.from_ml_h(60), Volume.from_ml(2)))
            await asyncio.sleep(5.5)
            cable.loss = 1.0
            with pytest.raises(NoAnswer):
                await task
        assert bench.delivered_nl() <= (5.5 + 3 + 0.1) * NL_S

    virtual(main)


def test_a_second_host_takes_the_pump_over_and_the_first_ones_delivery_is_stopped() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.started()
        await asyncio.sleep(1.0)
        device, loop = bench.device, bench.loop
        near, far = pair(loop, a_name="another")
        bench.served.close()
        served = serve_memory(device, far, loop)
        dialect = Pumplink(port="another")
        link = PumpLink(near, dialect, loop)
        await link.do(dialect.connect())
        assert served.truth().plunger_nl <= 1.1 * NL_S
        link.close()

    virtual(main)


@pytest.mark.real
async def test_a_pump_is_driven_over_a_real_pseudo_terminal() -> None:
    loop = asyncio.get_running_loop()
    served = serve_pty(KIND.make(PumpOptions(model=KIND.models[0])), loop)
    try:
        async with open_pump(f"pumplink:{served.port}") as pump:
            await pump.configure(BD_60)
            done = await pump.bolus(Volume.from_ml("0.05"), Rate.from_ml_h(600))
            assert done.ended is PumpState.COMPLETED
            assert done.delivered == Volume.from_ml("0.05")
    finally:
        served.close()
