"""A bridge between a scripted pump and a controller, all in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from firmware_bridge.bridge import Bridge
from firmware_bridge.caps import load_caps
from firmware_bridge.dialect import HostDialect
from firmware_bridge.errors import LinkError
from firmware_bridge.latch import Latch, MemoryLatch
from firmware_bridge.messages import (
    AlarmAck,
    Arm,
    Bolus,
    Configure,
    Ending,
    Event,
    EventKind,
    HelloAck,
    PumpAlarm,
    PumpState,
    Result,
    Run,
    Snapshot,
    SnapshotRequest,
)
from firmware_bridge.protocols.pumplink import ESTOP_FRAME
from firmware_bridge.protocols.pumplink_endpoint import Numbered
from firmware_bridge.protocols.pumplink_host import Heard, HostSession
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.memory import MemoryTransport, pair
from hil_tests.loop.line_pump import LineDialect, LinePump
from sim.virtual_loop import run_virtual

LEASE = Duration(3_000)
ML_H = Rate.from_ml_h
ML = Volume.from_ml


class Controller:
    """The other end: gives commands, remembers everything it heard."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: MemoryTransport) -> None:
        self._loop = loop
        self._transport = transport
        self.session = HostSession(0x0101)
        self.heard: list[tuple[float, Heard]] = []
        self.lost = False
        transport.start(self._received, self._lost)
        self.session.hello(loop.time())
        self._flush()

    def greet_anew(self) -> None:
        """Another controller takes over the same pipe."""
        self.session = HostSession(0x0202)
        self.session.hello(self._loop.time())
        self._flush()

    def give(self, command: Numbered) -> None:
        self.session.command(command, self._loop.time())
        self._flush()

    async def ends(self, command: Numbered) -> Result:
        """Give it and wait for its ending."""
        self.give(command)
        return await self.ending(command.command_id)

    async def ending(self, command_id: int) -> Result:
        for _ in range(2000):
            for _, heard in self.heard:
                ended = isinstance(heard, Result) and heard.ending is not Ending.IN_PROGRESS
                if isinstance(heard, Result) and ended and heard.command_id == command_id:
                    return heard
            await asyncio.sleep(0.05)
        raise AssertionError(f"command {command_id} never ended")

    def lease(self, lease: Duration = LEASE) -> None:
        self.session.lease(lease, self._loop.time())
        self._flush()

    def estop(self) -> None:
        self._transport.write_now(ESTOP_FRAME)

    def acknowledge(self, alarms: PumpAlarm) -> None:
        self.session.ask(AlarmAck(alarms), self._loop.time())
        self._flush()

    async def snapshot(self) -> Snapshot:
        """Ask and wait for the answer."""
        before = len(self.snapshots)
        self.session.ask(SnapshotRequest(), self._loop.time())
        self._flush()
        for _ in range(2000):
            if len(self.snapshots) > before:
                return self.snapshots[-1]
            await asyncio.sleep(0.005)
        raise AssertionError("no snapshot came")

    def close(self) -> None:
        self._transport.close()

    @property
    def snapshots(self) -> list[Snapshot]:
        return [heard for _, heard in self.heard if isinstance(heard, Snapshot)]

    @property
    def acknowledgement(self) -> HelloAck:
        return next(heard for _, heard in self.heard if isinstance(heard, HelloAck))

    def alarms(self) -> list[tuple[float, PumpAlarm]]:
        """When each alarm was first told."""
        return [
            (when, PumpAlarm(1 << heard.id))
            for when, heard in self.heard
            if isinstance(heard, Event) and heard.kind is EventKind.ALARM_RAISED
        ]

    def _received(self, data: bytes) -> None:
        now = self._loop.time()
        self.heard += [(now, heard) for heard in self.session.receive(data, now)]
        self._flush()

    def _flush(self) -> None:
        data = self.session.outgoing()
        if data and not self.lost:
            self._transport.write(data)

    def _lost(self, _cause: Exception | None) -> None:
        self.lost = True


class Rig:
    """Pump, bridge and controller, plugged together."""

    def __init__(self, latch: Latch | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.latch = latch or MemoryLatch()
        self.pump = LinePump(self.loop)
        self.logged: list[str] = []
        self.boots = 0
        self.make_dialect: Callable[[], HostDialect] = LineDialect
        self._plugged = True
        self._host_end: MemoryTransport | None = None
        self.last_id = 0
        self.tries: list[float] = []
        self.sent_to_pump: list[bytes] = []

    def begin(self) -> None:
        """A new bridge and a new controller for it."""
        mine, its = pair(self.loop, a_name="controller", b_name="upstream")
        self.boots += 1
        self.bridge = Bridge(
            its,
            self._open_port,
            self.make_dialect,
            device="bench-1",
            loop=self.loop,
            caps=load_caps(),
            latch=self.latch,
            boot_id=self.boots,
            log=self.logged.append,
        )
        self.task = self.loop.create_task(self.bridge.run())
        self.controller = Controller(self.loop, mine)

    async def end(self) -> bool:
        """The controller goes; how the bridge left."""
        self.controller.close()
        return await self.task

    async def met(self) -> None:
        """The controller has been let in."""
        self.begin()
        await asyncio.sleep(1.0)
        assert self.controller.session.is_open

    async def armed(self, **limits: Any) -> None:
        """A syringe is known and the gate open."""
        await self.met()
        assert (await self.controller.ends(self.configure())).ending is Ending.DONE
        assert (await self.controller.ends(self.arm(**limits))).ending is Ending.DONE

    async def running(self, volume: Volume = ML(1)) -> None:
        """A delivery at 60 mL/h is under way."""
        await self.armed()
        result = await self.controller.ends(self.run(volume=volume))
        assert result.ending is Ending.DONE, result

    async def lease_for(self, seconds: int) -> None:
        """The controller renews its lease every second, as it should."""
        for _ in range(seconds):
            self.controller.lease()
            await asyncio.sleep(1.0)

    # commands with the next id

    def configure(self) -> Configure:
        return Configure(self.next_id(), 19_050, ML(20))

    def arm(self, **limits: Any) -> Arm:
        given = {
            "rate_max": ML_H(60),
            "volume_per_command_max": ML(2),
            "volume_total_max": ML(3),
            "time_max": Duration.from_s(600),
            "concentration": Concentration.from_mg_ml(10),
            **limits,
        }
        return Arm(self.next_id(), **given)

    def run(self, rate: Rate = ML_H(60), volume: Volume = ML(1), lease: Duration = LEASE) -> Run:
        return Run(self.next_id(), rate, volume, lease)

    def bolus(
        self, rate: Rate = ML_H(60), volume: Volume = ML("0.05"), lease: Duration = LEASE
    ) -> Bolus:
        return Bolus(self.next_id(), rate, volume, lease)

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id

    async def until(self, happened: Callable[[], bool], step_s: float = 0.0005) -> None:
        """Wait for something to have happened, for 30 s at most."""
        for _ in range(int(30 / step_s)):
            if happened():
                return
            await asyncio.sleep(step_s)
        raise AssertionError("it never happened")

    # the port

    def unplug(self) -> None:
        self._plugged = False
        if self._host_end is not None:
            self._host_end.cut()

    def replug(self) -> None:
        self._plugged = True

    async def _open_port(self) -> Transport:
        self.tries.append(self.loop.time())
        if not self._plugged:
            raise LinkError("line", "no such port")
        self._host_end, pump_end = pair(self.loop, a_name="line", b_name="pump", tap=self._tap)
        self.pump.plug(pump_end)
        return self._host_end

    def _tap(self, name: str, data: bytes) -> None:
        if name == "line":
            self.sent_to_pump.append(data)


Scenario = Callable[[Rig], Coroutine[Any, Any, None]]


def virtual(scenario: Scenario) -> Callable[[int], None]:
    """Run the scenario in virtual time, under three orders of callbacks; it ends with a stopped pump."""

    async def whole() -> None:
        rig = Rig()
        await scenario(rig)
        if not rig.task.done():
            await rig.end()
        assert rig.pump.state is not PumpState.RUNNING

    def test(seed: int) -> None:
        run_virtual(whole, seed=seed, budget_s=2000)

    test.__name__ = scenario.__name__
    test.__doc__ = scenario.__doc__
    return pytest.mark.parametrize("seed", range(3))(test)
