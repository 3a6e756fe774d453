"""A pump driven by hand through the real bridge and gate, in virtual time, when things go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from controller.bench_pump import (
    BenchPump,
    EmergencyStopped,
    Order,
    OrderRefused,
    OrderUncertain,
    motor_time,
)
from firmware_bridge.bridge import Bridge
from firmware_bridge.caps import load_caps
from firmware_bridge.dialect import Syringe
from firmware_bridge.errors import LinkError
from firmware_bridge.messages import PumpAlarm, PumpState, Snapshot
from firmware_bridge.protocols.pumplink_host import HostSession
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.memory import MemoryTransport, pair
from hil_tests.loop.bridge_rig import Rig
from sim.virtual_loop import run_virtual

SYRINGE = Syringe(19_050, Volume.from_ml(20))


class BenchRig(Rig):
    """As the rig of the bridge's own tests, with a hand at the other end."""

    hand: BenchPump
    mine: MemoryTransport

    def begin(self) -> None:
        self.mine, its = pair(self.loop, a_name="hand", b_name="upstream")
        self.bridge = Bridge(
            its,
            self._open_port,
            self.make_dialect,
            device="bench-1",
            loop=self.loop,
            caps=load_caps(),
            latch=self.latch,
            boot_id=1,
            log=self.logged.append,
        )
        self.task = self.loop.create_task(self.bridge.run())
        self.hand = BenchPump(self.mine, HostSession(0x0101))
        self.told: list[Snapshot] = []

    async def end(self) -> bool:
        self.hand.close()
        return await self.task

    async def deliver(self, ml: str = "0.1", ml_h: str = "60") -> Snapshot:
        order = Order(Rate.from_ml_h(ml_h), Volume.from_ml(ml), SYRINGE)
        return await self.hand.deliver(order, self.told.append)

    def under_way(self, ml: str = "1") -> asyncio.Task[Snapshot]:
        return self.loop.create_task(self.deliver(ml))

    @property
    def starts(self) -> list[str]:
        return [line for line in self.pump.lines if line.startswith("RUN")]


Scenario = Callable[[BenchRig], Coroutine[Any, Any, None]]


def by_hand(scenario: Scenario) -> Callable[[], None]:
    """Run the scenario in virtual time; however it went, the pump has stopped at its end."""

    async def whole() -> None:
        rig = BenchRig()
        rig.begin()
        await rig.hand.greet()
        await scenario(rig)
        await rig.end()
        assert rig.pump.state is not PumpState.RUNNING

    def test() -> None:
        run_virtual(whole, seed=1, budget_s=2000)

    return test


@by_hand
async def test_a_delivery_ends_at_its_target_and_is_told_of_every_second(rig: BenchRig) -> None:
    end = await rig.deliver()
    assert end.state is PumpState.COMPLETED
    assert end.infused == Volume.from_ml("0.1")
    assert rig.hand.accepted is not None
    assert rig.hand.accepted.rate == Rate.from_ml_h(60)
    assert len(rig.told) == 6  # six seconds of delivery
    assert [s.infused for s in rig.told] == sorted(s.infused for s in rig.told)


@by_hand
async def test_the_gate_was_armed_with_exactly_what_was_asked_for(rig: BenchRig) -> None:
    await rig.deliver()
    more = Order(Rate.from_ml_h(61), Volume.from_ml("0.1"), SYRINGE)
    gate = rig.bridge._keeper.supervision.gate
    limits = gate._limits
    assert limits is not None
    assert (limits.rate_max, limits.volume_total_max) == (Rate.from_ml_h(60), Volume.from_ml("0.1"))
    assert (await rig.hand.deliver(more, rig.told.append)).state is PumpState.COMPLETED


def test_the_motor_may_turn_a_little_longer_than_the_arithmetic_says() -> None:
    order = Order(Rate.from_ml_h(60), Volume.from_ml(1), SYRINGE)
    assert motor_time(order) == Duration.from_s("70.6")


@by_hand
async def test_what_is_beyond_the_caps_starts_nothing(rig: BenchRig) -> None:
    with pytest.raises(OrderRefused, match="rate: 1201 mL/h is above the cap of 1200 mL/h") as no:
        await rig.deliver(ml_h="1201")
    assert no.value.beyond
    assert rig.starts == []


@by_hand
async def test_a_pump_that_says_no_started_nothing(rig: BenchRig) -> None:
    rig.pump.refuses = ("LEASE",)
    with pytest.raises(OrderRefused) as no:
        await rig.deliver()
    assert not no.value.beyond
    assert rig.starts == []


@by_hand
async def test_a_start_without_an_answer_is_uncertain_and_not_repeated(rig: BenchRig) -> None:
    rig.pump.mute_to = ("RUN",)
    with pytest.raises(OrderUncertain):
        await rig.deliver()
    end = await rig.hand.stop()
    assert end.state is PumpState.STOPPED
    assert end.infused == rig.pump.infused
    assert len(rig.starts) == 1


@by_hand
async def test_an_alarm_of_the_pump_ends_the_delivery(rig: BenchRig) -> None:
    delivery = rig.under_way()
    await asyncio.sleep(3)
    rig.pump.say(PumpAlarm.OCCLUSION)
    end = await delivery
    assert PumpAlarm.OCCLUSION in end.alarms
    assert end.infused < Volume.from_ml(1)


@by_hand
async def test_a_pump_that_is_unplugged_ends_the_delivery_as_lost(rig: BenchRig) -> None:
    delivery = rig.under_way()
    await asyncio.sleep(3)
    rig.unplug()
    with pytest.raises(LinkError, match="does not answer any more"):
        await delivery
    rig.replug()


@by_hand
async def test_an_emergency_stop_is_confirmed_by_the_pump_and_latches(rig: BenchRig) -> None:
    delivery = rig.under_way()
    await asyncio.sleep(3)
    rig.hand.emergency_stop()
    with pytest.raises(EmergencyStopped):
        await delivery
    assert await rig.hand.stands_within(5)
    assert rig.latch.is_set
    assert rig.pump.infused < Volume.from_ml("0.1")
    with pytest.raises(EmergencyStopped):
        await rig.deliver()


@by_hand
async def test_a_stop_that_the_pump_does_not_obey_is_not_confirmed(rig: BenchRig) -> None:
    delivery = rig.under_way()
    await asyncio.sleep(3)
    rig.pump.deaf_to = ("STOP",)
    rig.hand.emergency_stop()
    with pytest.raises(EmergencyStopped):
        await delivery
    assert not await rig.hand.stands_within(5)
    rig.pump.deaf_to = ()
    assert await rig.hand.stands_within(5)


@by_hand
async def test_without_anybody_who_awaits_it_a_delivery_ends_with_its_lease(rig: BenchRig) -> None:
    delivery = rig.under_way()
    await asyncio.sleep(3)
    delivery.cancel()
    await asyncio.sleep(4)
    assert rig.pump.state is PumpState.STOPPED
    assert PumpAlarm.LEASE_EXPIRED in (await rig.hand.look()).alarms


@by_hand
async def test_a_bridge_that_is_gone_is_said_to_be_gone(rig: BenchRig) -> None:
    delivery = rig.under_way()
    await asyncio.sleep(3)
    rig.mine.cut()
    with pytest.raises(LinkError, match="bridge: it is gone"):
        await delivery
    with pytest.raises(LinkError, match="bridge: it is gone"):
        await rig.hand.look()
    assert not await rig.hand.stands_within(1)


@by_hand
async def test_a_bridge_that_falls_silent_is_not_waited_for(rig: BenchRig) -> None:
    delivery = rig.under_way()
    await asyncio.sleep(3)
    rig.bridge._upstream.flush = lambda: None  # type: ignore[method-assign]  # it says no more
    with pytest.raises(LinkError, match="bridge: it does not answer"):
        await delivery
