"""One exchange with the pump as a controller has it: LEASE down, DIS to the pump, SNAPSHOT up.

Real bridge process, simulated pump in a process of its own on a pseudo-terminal, delivering.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter

from controller.bridge_link import BridgeLink
from firmware_bridge.messages import Arm, Configure, Ending, Result, Run, Snapshot
from firmware_bridge.protocols.new_era_frames import safe_frame
from firmware_bridge.protocols.pumplink_endpoint import Numbered
from firmware_bridge.protocols.pumplink_host import Heard, HostSession
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume
from firmware_bridge.spawn import BridgeProcess, spawn_bridge
from firmware_bridge.transports.base import Transport
from hil_tests.bench.children import PEERS, Client, child, sim_pump
from hil_tests.bench.tables import Row, Table
from hil_tests.bench.timing import Effort, Figures, closed_loop, latencies, taking_turns

PATIENCE_S = 20.0
LEASE = Duration(3_000)
RATE, VOLUME = Rate.from_ml_h(10), Volume.from_ml(5)
START: tuple[Numbered, ...] = (
    Configure(1, 26_700, Volume.from_ml(50)),
    Arm(2, RATE, VOLUME, VOLUME, Duration.from_s(3_600), Concentration.from_mg_ml(1)),
    Run(3, RATE, VOLUME, LEASE),
)


def exchange(effort: Effort) -> Table:
    """The exchange beside a bare echo on a pseudo-terminal."""
    with asyncio.Runner() as runner, ExitStack() as stack:
        pump = stack.enter_context(sim_pump())
        echo = stack.enter_context(Client(stack.enter_context(child(PEERS, "echo"))))
        state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        controller = runner.run(_connected(pump, state))
        packet, count = safe_frame("DIS"), effort.count(500)
        found = taking_turns(
            effort.rounds(15),
            {
                "ours": lambda: runner.run(controller.exchanges(count)),
                "floor": lambda: closed_loop(lambda: echo.exchange(packet, len(packet)), count),
            },
        )
        runner.run(controller.leave())
    ours, floor = found["ours"], found["floor"]
    return Table(
        "exchange",
        "a controller's exchange with a delivering pump, through bridge process and pseudo-terminal",
        "a DIS packet echoed by another process on a pseudo-terminal (os.read, os.write)",
        tuple(
            Row.of(f"LEASE to SNAPSHOT, {name}", ours[key], floor[key], "us")
            for name, key in (("p50", "p50_us"), ("p99", "p99_us"))
        ),
        (
            "four hops between three processes, against two between two",
            f"{median(ours['per_s']):,.0f} exchanges/s one after the other; a visit makes one a second",
        ),
    )


async def _connected(port: str, state: Path) -> _Controller:
    transport, process = await spawn_bridge(f"new-era:{port}", "bench-exchange", state_dir=state)
    controller = _Controller(transport, process)
    await controller.start()
    return controller


class _Controller:
    """The smallest controller: greets, starts a delivery, and then renews its lease again and again."""

    def __init__(self, transport: Transport, process: BridgeProcess) -> None:
        self._process = process
        self._session = HostSession(0x0101)
        self._awaited: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        self._link = BridgeLink(transport, self._session, self._heard, lambda _cause: None)

    def _heard(self, heard: Heard) -> None:
        if isinstance(heard, Result) and heard.ending is Ending.IN_PROGRESS:
            return
        if not self._awaited.done():
            self._awaited.set_result(heard)

    async def _next(self) -> Heard:
        self._awaited = asyncio.get_running_loop().create_future()
        return await self._awaited

    async def start(self) -> None:
        """A delivery is under way.  Raises `TimeoutError` and `RuntimeError` when it is not."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._session.is_open:
                await self._next()
            for command in START:
                self._link.command(command)
                heard = await self._next()
                while not isinstance(heard, Result):
                    heard = await self._next()
                if heard.ending is not Ending.DONE:
                    raise RuntimeError(f"{command}: {heard}")

    async def exchanges(self, count: int) -> Figures:
        """``count`` renewals, each answered by a snapshot."""
        lasted: list[float] = []
        began = before = perf_counter()
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(count):
                self._link.renew(LEASE)
                while not isinstance(await self._next(), Snapshot):
                    pass
                now = perf_counter()
                lasted.append(now - before)
                before = now
        return latencies(lasted, before - began)

    async def leave(self) -> None:
        """The bridge has stopped and restored the pump, and is gone."""
        self._link.close()
        await self._process.wait()
