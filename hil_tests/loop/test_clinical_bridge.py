"""The clinical dialects behind a bridge: leases, dead-men, alarms that the pump tells of by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from firmware_bridge.dialect import HostDialect
from firmware_bridge.messages import (
    Capability,
    Code,
    Configure,
    Ending,
    PumpAlarm,
    PumpState,
    Run,
    SelfTest,
)
from firmware_bridge.protocols.alaris import Alaris
from firmware_bridge.protocols.fresenius import Fresenius
from firmware_bridge.quantities import Duration
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.memory import pair
from hil_tests.loop.bridge_rig import ML, ML_H, Rig
from sim.devices.alaris_kind import KIND as ALARIS
from sim.devices.fresenius_kind import KIND as FRESENIUS
from sim.devices.kinds import DeviceKind, PumpOptions
from sim.serve import Served, serve_memory
from sim.virtual_loop import run_virtual

TEN_S = Duration.from_s(10)


class ClinicalRig(Rig):
    """A simulated clinical pump, a bridge and a controller, plugged together."""

    def __init__(self, kind: DeviceKind, make: Callable[[], HostDialect]) -> None:
        super().__init__()
        self.make_dialect = make
        self._device = kind.make(
            PumpOptions(model=kind.models[0], address=min(1, kind.address_max))
        )
        self.served: Served | None = None

    async def _open_port(self) -> Transport:
        near, far = pair(self.loop, a_name="line", b_name="pump", tap=self._tap)
        self.served = serve_memory(self._device, far, self.loop)
        return near

    async def met(self) -> None:
        """The controller has been let in; a clinical pump takes longer to meet."""
        self.begin()
        await asyncio.sleep(3.0)
        assert self.controller.session.is_open

    def configure(self) -> Configure:
        return Configure(self.next_id(), 26_700, ML(50))

    async def begins(self, lease: Duration) -> None:
        """A delivery of 1 mL at 60 mL/h is under way."""
        await self.armed()
        result = await self.controller.ends(Run(self.next_id(), ML_H(60), ML(1), lease))
        assert result.ending is Ending.DONE, result

    @property
    def delivered_nl(self) -> int:
        assert self.served is not None
        return self.served.truth().plunger_nl


def virtual(
    kind: DeviceKind, make: Callable[[], HostDialect]
) -> Callable[[Callable[[ClinicalRig], Coroutine[Any, Any, None]]], Callable[[], None]]:
    def wrap(scenario: Callable[[ClinicalRig], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        async def whole() -> None:
            rig = ClinicalRig(kind, make)
            await scenario(rig)
            if not rig.task.done():
                await rig.end()
            before = rig.delivered_nl
            await asyncio.sleep(30.0)
            assert rig.delivered_nl == before

        def test() -> None:
            run_virtual(whole, seed=5, budget_s=5_000)

        test.__name__ = scenario.__name__
        test.__doc__ = scenario.__doc__
        return test

    return wrap


alaris = virtual(ALARIS, Alaris)
fresenius = virtual(FRESENIUS, Fresenius)


@alaris
async def test_the_bridge_says_before_any_syringe_that_the_lease_must_be_as_long_as_the_pumps(
    rig: ClinicalRig,
) -> None:
    await rig.met()
    hello = rig.controller.acknowledgement
    assert hello.lease_min == hello.lease_max == TEN_S
    assert Capability.CLINICAL in hello.capabilities
    assert hello.serial_number


@alaris
async def test_a_lease_shorter_than_the_pumps_is_refused_and_nothing_moves(
    rig: ClinicalRig,
) -> None:
    await rig.armed()
    result = await rig.controller.ends(Run(rig.next_id(), ML_H(60), ML(1), Duration.from_s(3)))
    assert (result.ending, result.code) == (Ending.REFUSED, Code.OVER_LIMIT)
    assert "fixed at 10 s" in result.reason
    assert rig.delivered_nl == 0


@alaris
async def test_a_leased_delivery_reaches_its_target_without_an_alarm(rig: ClinicalRig) -> None:
    await rig.begins(TEN_S)
    for _ in range(70):
        rig.controller.lease(TEN_S)
        await asyncio.sleep(1.0)
    last = rig.controller.snapshots[-1]
    assert (last.state, last.infused) == (PumpState.COMPLETED, ML(1))
    assert rig.controller.alarms() == []


@alaris
async def test_a_closed_line_shows_as_rising_pressure(rig: ClinicalRig) -> None:
    await rig.begins(TEN_S)
    assert rig.served is not None
    rig.served.inject("downstream_occlusion")
    for _ in range(40):
        rig.controller.lease(TEN_S)
        await asyncio.sleep(1.0)
    running = [s for s in rig.controller.snapshots if s.state is PumpState.RUNNING]
    assert running[-1].pressure_pa > running[0].pressure_pa


@alaris
async def test_without_the_controller_the_bridge_stops_and_renews_nothing(rig: ClinicalRig) -> None:
    await rig.begins(TEN_S)
    await rig.lease_for(0)
    rig.sent_to_pump.clear()
    await asyncio.sleep(9.0)
    assert rig.sent_to_pump == []
    await asyncio.sleep(30.0)
    assert PumpAlarm.LEASE_EXPIRED in [alarm for _, alarm in rig.controller.alarms()]
    assert rig.delivered_nl <= 60_000_000 / 3_600 * 11


@alaris
async def test_the_self_test_passes_on_a_pump_that_keeps_its_lease(rig: ClinicalRig) -> None:
    await rig.met()
    assert (await rig.controller.ends(rig.configure())).ending is Ending.DONE
    result = await rig.controller.ends(SelfTest(rig.next_id(), TEN_S))
    assert result.ending is Ending.DONE, result
    assert "start refused" in result.reason
    assert rig.delivered_nl == 0


@fresenius
async def test_a_pump_without_a_dead_man_is_not_self_tested(rig: ClinicalRig) -> None:
    await rig.met()
    assert (await rig.controller.ends(rig.configure())).ending is Ending.DONE
    result = await rig.controller.ends(SelfTest(rig.next_id(), Duration.from_s(3)))
    assert (result.ending, result.code) == (Ending.REFUSED, Code.UNSUPPORTED)


@fresenius
async def test_an_alarm_that_the_pump_tells_of_by_itself_stops_at_once(rig: ClinicalRig) -> None:
    await rig.begins(Duration.from_s(3))
    await rig.lease_for(5)
    assert rig.served is not None
    rig.served.inject("motor_stall")
    await rig.lease_for(5)
    assert PumpAlarm.INTERNAL_FAULT in [alarm for _, alarm in rig.controller.alarms()]
    assert rig.controller.snapshots[-1].state is not PumpState.RUNNING


@fresenius
async def test_the_end_of_the_lease_stops_a_pump_that_has_no_dead_man(rig: ClinicalRig) -> None:
    await rig.begins(Duration.from_s(3))
    await asyncio.sleep(30.0)
    assert rig.delivered_nl <= 60_000_000 / 3_600 * 4
    assert PumpAlarm.LEASE_EXPIRED in [alarm for _, alarm in rig.controller.alarms()]


@fresenius
async def test_a_leased_delivery_reaches_its_limit_without_an_alarm(rig: ClinicalRig) -> None:
    await rig.begins(Duration.from_s(3))
    await rig.lease_for(65)
    last = rig.controller.snapshots[-1]
    assert (last.state, last.infused) == (PumpState.COMPLETED, ML(1))
    assert rig.controller.alarms() == []


@pytest.mark.parametrize("make", [Alaris, Fresenius])
def test_stop_frames_are_built_before_anything_is_known(make: Callable[[], HostDialect]) -> None:
    assert make().stop_frame()
