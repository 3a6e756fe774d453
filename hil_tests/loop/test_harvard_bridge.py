"""A pump without a dead-man behind the real bridge: what it lacks, the bridge supplies or refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from firmware_bridge.errors import LinkError
from firmware_bridge.messages import Capability, Code, Ending, PumpAlarm, PumpState, SelfTest
from firmware_bridge.protocols.harvard import Harvard
from firmware_bridge.quantities import Duration, Volume
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.memory import MemoryTransport, pair
from hil_tests.loop.bridge_rig import LEASE, ML, Rig
from sim.devices.harvard_kind import KIND
from sim.devices.kinds import PumpOptions
from sim.serve import Served, serve_memory
from sim.virtual_loop import run_virtual

STROKE_NL = 200


class HarvardRig(Rig):
    """The rig of the bridge's own tests with a simulated Harvard pump on the port."""

    served: Served | None = None
    near: MemoryTransport

    def __init__(self) -> None:
        super().__init__()
        self.make_dialect = Harvard
        self.device = KIND.make(PumpOptions(model=KIND.models[0]))
        self.absent = False

    async def _open_port(self) -> Transport:
        if self.absent:
            raise LinkError("pump", "absent: there is no such port")
        self.near, far = pair(self.loop, a_name="bridge", b_name="pump", tap=self._tapped)
        if self.served is None:
            self.served = serve_memory(self.device, far, self.loop)
        else:
            self.served.connect(far)
        return self.near

    def _tapped(self, end: str, data: bytes) -> None:
        if end == "bridge":
            self.sent_to_pump.append(data)

    def moved(self) -> Volume:
        assert self.served is not None
        return Volume(self.served.truth().plunger_nl)


def at_the_bridge(
    scenario: Callable[[HarvardRig], Coroutine[Any, Any, None]],
) -> Callable[[], None]:
    """Run the scenario in virtual time; however it went, the pump has stopped at its end."""

    async def whole() -> None:
        rig = HarvardRig()
        await scenario(rig)
        await rig.end()
        before = rig.moved()
        await asyncio.sleep(60.0)
        assert rig.moved() == before

    def test() -> None:
        run_virtual(whole, seed=1, budget_s=5_000)

    return test


@at_the_bridge
async def test_the_greeting_says_what_the_pump_cannot_do(rig: HarvardRig) -> None:
    await rig.met()
    assert Capability.DEAD_MAN not in rig.controller.acknowledgement.capabilities
    assert Capability.VOLUME_TARGET in rig.controller.acknowledgement.capabilities


@at_the_bridge
async def test_the_proof_of_a_dead_man_is_refused_by_name_and_moves_nothing(
    rig: HarvardRig,
) -> None:
    await rig.armed()
    sent = len(rig.sent_to_pump)
    result = await rig.controller.ends(SelfTest(rig.next_id(), LEASE))
    assert (result.ending, result.code) == (Ending.REFUSED, Code.UNSUPPORTED)
    assert result.reason == "harvard: no dead man"
    assert len(rig.sent_to_pump) == sent
    assert rig.moved() == Volume(0)


@at_the_bridge
async def test_a_delivery_goes_to_its_target_while_the_lease_is_renewed(rig: HarvardRig) -> None:
    await rig.running(ML("0.1"))
    await rig.lease_for(8)
    assert rig.controller.snapshots[-1].state is PumpState.COMPLETED
    assert abs(rig.moved().nl - 100_000) <= STROKE_NL
    assert rig.controller.alarms() == []


@at_the_bridge
async def test_the_bridge_is_the_dead_man(rig: HarvardRig) -> None:
    await rig.running(ML(2))
    await rig.lease_for(2)
    await asyncio.sleep(30.0)  # nobody renews
    assert PumpAlarm.LEASE_EXPIRED in [alarm for _, alarm in rig.controller.alarms()]
    # From the last renewal on: lease and a stop of 0.3 s at 60 mL/h.
    assert rig.moved().nl <= (2 + 3 + 0.3 + 0.2) * 60_000_000 / 3_600


@at_the_bridge
async def test_without_the_bridge_the_target_ends_it(rig: HarvardRig) -> None:
    await rig.running(ML(1))
    rig.absent = True
    rig.near.cut()
    await asyncio.sleep(600.0)
    assert abs(rig.moved().nl - 1_000_000) <= STROKE_NL
    rig.absent = False
    await asyncio.sleep(30.0)


@at_the_bridge
async def test_a_pump_found_again_has_its_delivery_in_the_account(rig: HarvardRig) -> None:
    await rig.running(ML(1))
    await rig.lease_for(5)
    rig.near.cut()
    await asyncio.sleep(10.0)
    snapshot = await rig.controller.snapshot()
    assert snapshot.state is PumpState.STOPPED
    assert abs(snapshot.infused.nl - rig.moved().nl) <= STROKE_NL
    assert PumpAlarm.LINK_LOST in snapshot.alarms


@at_the_bridge
async def test_an_emergency_stop_is_confirmed_by_the_standing_counter(rig: HarvardRig) -> None:
    await rig.running(ML(2))
    await rig.lease_for(3)
    rig.controller.estop()
    await asyncio.sleep(0.5)
    moved = rig.moved()
    await asyncio.sleep(30.0)
    assert rig.moved() == moved
    assert rig.controller.snapshots[-1].state is PumpState.STOPPED


@at_the_bridge
async def test_a_power_cut_closes_the_gate(rig: HarvardRig) -> None:
    await rig.running(ML(2))
    await rig.lease_for(3)
    assert rig.served is not None
    rig.served.power_cycle()
    await rig.lease_for(3)
    assert PumpAlarm.RESET in [alarm for _, alarm in rig.controller.alarms()]
    again = await rig.controller.ends(rig.run())
    assert again.ending is Ending.REFUSED


@at_the_bridge
async def test_while_it_delivers_it_is_asked_only_when_the_lease_is_renewed(
    rig: HarvardRig,
) -> None:
    await rig.running(ML(2))
    await asyncio.sleep(0.5)
    rig.sent_to_pump.clear()
    await rig.lease_for(2)
    await asyncio.sleep(0.9)
    assert rig.sent_to_pump == [b"@status\r"] * 2
    assert Duration.from_s(3) == LEASE
