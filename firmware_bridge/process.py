"""The bridge as a process of its own: signals, lock, stop socket, watchdog, and one line when ready.

``python -m firmware_bridge --fd N --pump URL --device ID --speed K [--disown] [--state-dir DIR]``,
started by `spawn`.  The first line on stdout says ``{"ready": true}``, or what went wrong; the last one
``{"restored": [...]}``, what was put back in the pump.  People's text goes to stderr.  Exit codes: 0 done, 1 the pump was not confirmed stopped or not restored, 2 bad usage, 3 a port
could not be reached.

For bench and simulation only: never a pump connected to a person.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from firmware_bridge.bridge import Bridge
from firmware_bridge.caps import Caps, load_caps
from firmware_bridge.clock import WALL_FLOOR_S, at_least_wall, fresh_boot_id, new_loop, speed_of
from firmware_bridge.dialect import HostDialect
from firmware_bridge.dialects import REPLY_WITHIN, PumpUrl, make_dialect, parse_pump_url
from firmware_bridge.errors import BridgeError, ConfigurationError, LinkError, PortGone
from firmware_bridge.latch import FileLatch
from firmware_bridge.locks import FileLock
from firmware_bridge.quantities import Duration
from firmware_bridge.runtime import (
    checked_device,
    device_lock_path,
    latch_path,
    stop_socket_path,
)
from firmware_bridge.stop_socket import StopSocket
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.fd import FdTransport
from firmware_bridge.transports.opening import is_hardware, is_numbered_terminal, open_transport
from firmware_bridge.watchdog import Watchdog

FORMER_BRIDGE_S = 5.0
"""Wall time that a former bridge of this device or port is given to stop its pump and leave."""

_RETRY_S = 0.05
_LOG_LINES_MAX = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line said, checked."""

    fd: int
    pump: PumpUrl
    device: str
    speed: float
    state_dir: Path | None
    disown: bool


def settings_from(arguments: Sequence[str] | None) -> Settings:
    """The checked command line.  Raises `ConfigurationError`."""
    parser = argparse.ArgumentParser(prog="firmware_bridge", exit_on_error=False)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--pump", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--disown", action="store_true")
    given = parser.parse_args(arguments)
    pump = parse_pump_url(given.pump)
    if pump.simulated:
        raise ConfigurationError(f"pump {given.pump}: names no port; start the simulator first")
    if given.speed != 1 and is_hardware(pump.port):
        raise ConfigurationError(f"speed {given.speed:g}: {pump.port} is hardware, which runs at 1")
    return Settings(
        fd=given.fd,
        pump=pump,
        device=checked_device(given.device),
        speed=given.speed,
        state_dir=given.state_dir,
        disown=given.disown,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one controller and leave; returns the exit code."""
    log = LogThread(sys.stderr.fileno())
    try:
        settings = settings_from(arguments)
        with asyncio.Runner(loop_factory=lambda: new_loop(settings.speed)) as runner:
            return 0 if runner.run(_serve(settings, log)) else 1
    except ConfigurationError as error:
        return _failed("configuration", error, 2)
    except BridgeError as error:
        return _failed("link", error, 3)
    finally:
        log.close()


def _failed(kind: str, error: BridgeError, code: int) -> int:
    """What went wrong is for whoever started this process to say: one line, not two."""
    port = error.port if isinstance(error, LinkError) else ""
    what = error.what if isinstance(error, LinkError) else str(error)
    _announce({"ready": False, "error": kind, "port": port, "what": what})
    return code


def _announce(news: dict[str, object]) -> None:
    """Say it unbuffered: what stayed in a buffer for a dead reader would be an error again at exit."""
    with contextlib.suppress(OSError):  # nobody may be listening any more
        os.write(sys.stdout.fileno(), f"{json.dumps(news)}\n".encode())


async def _serve(settings: Settings, log: LogThread) -> bool:
    """Own the device, then the port, until the controller is gone.  Raises `BridgeError`."""
    loop = asyncio.get_running_loop()
    lock = FileLock(device_lock_path(settings.device))
    await _hold(lock, settings.device, loop)
    try:
        return await _serve_alone(settings, loop, log)
    finally:
        lock.release()


async def _serve_alone(settings: Settings, loop: asyncio.AbstractEventLoop, log: LogThread) -> bool:
    port = _Port(settings, loop)
    bridge = Bridge(
        FdTransport(settings.fd, "controller", loop),
        port.open,
        port.dialect,
        device=settings.device,
        loop=loop,
        caps=_caps_at(settings.speed),
        latch=FileLatch(latch_path(settings.device, settings.state_dir)),
        boot_id=fresh_boot_id(),
        log=log.line,
    )
    stop_socket = StopSocket(
        stop_socket_path(settings.device),
        loop=loop,
        stop_now=bridge.stop_now,
        at_rest=bridge.at_rest,
    )
    watchdog = Watchdog(loop, write_stop=bridge.write_stop_frame, tripped=bridge.fault)
    _obey_signals(bridge, loop)
    await stop_socket.open()
    watchdog.start()

    def ready() -> None:
        if settings.disown:
            bridge.disown()
        _announce({"ready": True})

    try:
        stood_still = await bridge.run(ready)
        _announce({"restored": bridge.restored})
        return stood_still
    finally:
        watchdog.stop()
        stop_socket.close()


def _caps_at(speed: float) -> Caps:
    caps = load_caps()
    return caps if speed == 1 else caps.stretched(Duration.from_s(WALL_FLOOR_S * speed))


class _Port:
    """Opens the port of one pump, and is patient the first time."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self._pump = settings.pump
        self._loop = loop
        self._until = loop.time() + FORMER_BRIDGE_S * speed_of(loop)
        self._opened = False

    def dialect(self) -> HostDialect:
        """A dialect that waits for answers as long as this speed needs."""
        stretched = at_least_wall(REPLY_WITHIN.s, speed_of(self._loop))
        return make_dialect(self._pump, reply_within=Duration.from_s(stretched))

    async def open(self) -> Transport:
        """The open port.  Raises `LinkError`; at first only after a former holder had time to leave."""
        if self._opened and is_numbered_terminal(self._pump.port):
            what = "gone, and its number may be another terminal's by now; give the pump a link"
            raise PortGone(self._pump.port, what)
        while True:
            try:
                return await self._open_once()
            except LinkError as error:
                if "busy" not in error.what or self._loop.time() > self._until:
                    raise
            await asyncio.sleep(_RETRY_S * speed_of(self._loop))

    async def _open_once(self) -> Transport:
        transport = await open_transport(
            self._pump.port,
            baud=self._pump.baud,
            bytesize=self._pump.bytesize,
            parity=self._pump.parity,
            stopbits=self._pump.stopbits,
            loop=self._loop,
        )
        self._opened = True
        return transport


async def _hold(lock: FileLock, device: str, loop: asyncio.AbstractEventLoop) -> None:
    """This is the one bridge of ``device``.  Raises `LinkError` while another one stays."""
    speed = speed_of(loop)
    until = loop.time() + FORMER_BRIDGE_S * speed
    try:
        while not lock.try_hold():
            if loop.time() > until:
                raise LinkError(device, "busy: another bridge of this device runs")
            await asyncio.sleep(_RETRY_S * speed)
    except OSError as error:
        raise ConfigurationError(f"device {device}: its lock cannot be held: {error}") from error


def _obey_signals(bridge: Bridge, loop: asyncio.AbstractEventLoop) -> None:
    """SIGINT, SIGTERM and SIGHUP stop the pump even where the loop is stuck, and then end the bridge.

    By ``signal.signal`` and not by the loop, whose handlers wait for it to turn.
    """

    def obey(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BridgeError):
            bridge.write_stop_frame()
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(bridge.end)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, obey)


class LogThread:
    """Writes lines to a descriptor from a thread, so that a reader who stopped reading blocks nobody.

    Lines beyond the bound are dropped.
    """

    def __init__(self, descriptor: int) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(_LOG_LINES_MAX)
        self._descriptor = descriptor
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """Queue one line; never waits, never raises."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(text)

    def close(self) -> None:
        """Write what is queued, for at most half a second."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(0.5)

    def _write(self) -> None:
        while (text := self._lines.get()) is not None:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, f"bridge: {text}\n".encode("utf-8", "replace"))
