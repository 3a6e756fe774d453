"""Starting a bridge process and holding the other end of its pipe: the controller's side.

The two are joined by an inherited socket pair, so that the end of either is seen by the other at once.
The child has a process group of its own: Ctrl-C reaches the controller only, and the controller decides.
POSIX only.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from firmware_bridge.clock import speed_of
from firmware_bridge.errors import BridgeError, ConfigurationError, LinkError
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.fd import FdTransport

READY_WITHIN_S = 30.0
"""Wall time: an interpreter's start, 5 s for a former bridge to leave, 5 s to open, and the pump."""


@dataclass(frozen=True, slots=True)
class Left:
    """How a bridge left: its exit code (see `process`) and what it put back in the pump."""

    code: int
    restored: tuple[str, ...]


class BridgeProcess:
    """A running bridge process.  Closing the transport beside it is how it is asked to leave."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Its exit code: 0 done, 1 pump not confirmed stopped or not restored, 2 usage, 3 port."""
        return await self._process.wait()

    async def left(self) -> Left:
        """It has left; what it says at the end is read, whatever else it said."""
        said = await self._process.stdout.read() if self._process.stdout else b""
        code = await self._process.wait()
        try:
            return Left(code, tuple(json.loads(said.splitlines()[-1])["restored"]))
        except (IndexError, ValueError, KeyError):
            return Left(code, ())

    def kill(self) -> None:
        """End it without a word, as a crash would; the pump's own dead-man remains."""
        self._process.kill()


async def spawn_bridge(
    url: str,
    device: str,
    *,
    speed: float = 1.0,
    state_dir: Path | None = None,
    disown: bool = False,
    verbose: bool = True,
) -> tuple[Transport, BridgeProcess]:
    """A bridge that has met its pump, and the transport to it.

    ``disown``: what it finds changed in the pump is not put back, see `HostDialect.disown`.  Unless
    ``verbose``, what it logs is thrown away.

    Raises `ConfigurationError` (what was asked for cannot be) and `LinkError` (port or pump cannot be
    reached).  If cancelled, the bridge is let go of and leaves by itself.
    """
    loop = asyncio.get_running_loop()
    mine, its = socket.socketpair()
    arguments = ["--fd", str(its.fileno()), "--pump", url, "--device", device]
    arguments += ["--speed", repr(speed)]
    if state_dir is not None:
        arguments += ["--state-dir", str(state_dir)]
    if disown:
        arguments.append("--disown")
    try:
        with its:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "firmware_bridge",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=None if verbose else asyncio.subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                process_group=0,
            )
        transport = FdTransport(mine.detach(), f"bridge of {device}", loop)
    except BaseException:
        mine.close()
        raise
    try:
        await _ready(process, url, READY_WITHIN_S * speed_of(loop))
    except BaseException:
        transport.close()
        raise
    return transport, BridgeProcess(process)


async def _ready(process: asyncio.subprocess.Process, url: str, within_s: float) -> None:
    """The bridge has said that it is ready.  Raises what it says is wrong."""
    if process.stdout is None:
        raise LinkError(url, "the bridge process has no output")
    try:
        async with asyncio.timeout(within_s):
            line = await process.stdout.readline()
    except TimeoutError as error:
        raise LinkError(url, "the bridge process does not get ready") from error
    try:
        news = json.loads(line)
    except ValueError:
        code = await process.wait()
        raise LinkError(url, f"the bridge process ended with code {code}") from None
    if not news["ready"]:
        await process.wait()
        raise _as_error(news, url)


def _as_error(news: dict[str, str], url: str) -> BridgeError:
    """The child's error again, under the same kind."""
    if news["error"] == "configuration":
        return ConfigurationError(news["what"])
    return LinkError(news["port"] or url, news["what"])
