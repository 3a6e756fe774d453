"""Starts the world process and reads the one line that says where its pump is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from dataclasses import dataclass

from controller.cli.outcome import Unreachable
from controller.plan import Plan
from firmware_bridge.clock import speed_of
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.fd import FdTransport
from sim.world_process import WorldSpec

READY_S = 20.0
"""Wall seconds a new process may take to say that it is ready, on a busy machine."""
END_S = 5.0


@dataclass(slots=True)
class WorldChild:
    """A running world: its vitals, and the port of its pump (None without one)."""

    vitals: Transport
    port: str | None
    _process: asyncio.subprocess.Process

    async def end(self) -> None:
        """The world has ended when this returns; its pump is gone with it.  Idempotent."""
        self.vitals.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(END_S * speed_of(loop)):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


async def start_world(
    plan: Plan, *, seed: int, speed: float, with_pump: bool, dialect: str
) -> WorldChild:
    """A world for this plan's subject and syringe, and a pump of this dialect if it has one.

    Raises `Unreachable` when it does not come up.
    """
    loop = asyncio.get_running_loop()
    mine, its = socket.socketpair()
    spec = WorldSpec(
        fd=its.fileno(),
        speed=speed,
        seed=seed,
        drug=plan.drug,
        concentration_ug_ml=plan.concentration.ug_ml,
        weight_kg=plan.subject.weight_kg,
        age_years=plan.subject.age_years,
        height_cm=plan.subject.height_cm,
        with_pump=with_pump,
        diameter_um=plan.syringe.diameter_um,
        size_nl=plan.syringe.size.nl,
        loaded_nl=plan.syringe.loaded.nl,
        dialect=dialect,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sim.world_process",
        spec.as_argument(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=(its.fileno(),),
        start_new_session=True,  # Ctrl-C reaches the controller only
    )
    its.close()
    try:
        async with asyncio.timeout(READY_S * speed_of(loop)):
            line = await process.stdout.readline() if process.stdout else b""
        port = json.loads(line)["port"]
    except (TimeoutError, ValueError, KeyError) as error:
        mine.close()
        raise Unreachable("the simulated world did not start") from error
    vitals = FdTransport(mine.detach(), "vitals", loop)
    return WorldChild(vitals, port, process)
