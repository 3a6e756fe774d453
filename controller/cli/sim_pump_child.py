"""Starts ``infusor sim pump`` as a process of its own, for a pump URL ``sim:DIALECT`` without a world."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass

from controller.cli.outcome import Unreachable

READY_S = 20.0
"""Seconds a new process may take to say that it is ready, on a busy machine."""
END_S = 5.0


@dataclass(slots=True)
class SimPumpChild:
    """A running simulated pump, and the port it serves."""

    port: str
    _process: asyncio.subprocess.Process

    async def end(self) -> None:
        """The pump is gone when this returns."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def start_sim_pump(dialect: str) -> SimPumpChild:
    """A pump that answers on a pseudo-terminal.  Raises `Unreachable` when it does not come up."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "controller", "sim", "pump", "--dialect", dialect),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches the controller only
    )
    try:
        async with asyncio.timeout(READY_S):
            line = await process.stdout.readline() if process.stdout else b""
        return SimPumpChild(json.loads(line)["port"], process)
    except (TimeoutError, ValueError, KeyError) as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise Unreachable("the simulated pump did not start") from error
