"""Opens whatever port a pump URL names, and tells hardware from simulation.

A port is anything pyserial's ``serial_for_url`` takes.  Which transport serves it is decided here, and
nowhere else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
from contextlib import suppress

import serial

from firmware_bridge.clock import at_least_wall, speed_of
from firmware_bridge.errors import LinkError
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.serial_port import LineSettings, explained, open_serial, unopened
from firmware_bridge.transports.stream import host_and_port, open_stream
from firmware_bridge.transports.threaded import BlockingPort, ThreadedTransport

OPEN_TIMEOUT_S = 5.0
"""RFC 2217 negotiates for up to 3 s (pyserial's own limit); a dead host on a local net shows sooner."""

_PTY_NAMES = re.compile(r"/dev/(pts/\d+|ttys\d+)")  # Linux and macOS name only PTYs so


async def open_transport(
    port: str,
    *,
    baud: int,
    loop: asyncio.AbstractEventLoop,
    bytesize: int = 8,
    parity: str = "N",
    stopbits: float = 1,
    timeout_s: float = OPEN_TIMEOUT_S,
) -> Transport:
    """An open port, for this process alone; call its ``start`` next.

    Raises `ConfigurationError` for a port that cannot be meant, `LinkError` for one that is absent,
    busy, refused or silent for ``timeout_s`` (loop seconds; at least 250 ms on the wall).  Cancelling is
    safe: what opens later is closed again.
    """
    settings = LineSettings(baud=baud, bytesize=bytesize, parity=parity, stopbits=stopbits)
    limit_s = at_least_wall(timeout_s, speed_of(loop))
    try:
        async with asyncio.timeout(limit_s):
            if port.lower().startswith("socket://") and os.name == "posix":
                return await open_stream(port, loop)
            if port.lower().startswith("rfc2217://"):
                host_and_port(port)
            device = unopened(port, settings)
            if not has_line_speed(port):  # a PTY has no parity, and some kernels refuse to set it
                device = unopened(port, LineSettings(baud=baud))
            if os.name == "posix" and isinstance(device, serial.Serial):
                return open_serial(device, port, loop)
            return await _open_threaded(device, port, loop)
    except TimeoutError as error:
        raise LinkError(port, f"no answer within {limit_s:g} s") from error


async def _open_threaded(
    device: BlockingPort, port: str, loop: asyncio.AbstractEventLoop
) -> Transport:
    """Open where waiting hurts nobody."""
    opening = loop.run_in_executor(None, device.open)
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(lambda done: _close_late(done, device))
        raise
    except (OSError, ValueError) as error:
        raise explained(port, error) from error
    return ThreadedTransport(device, port, loop)


def _close_late(opening: asyncio.Future[None], device: BlockingPort) -> None:
    if not opening.cancelled() and opening.exception() is None:
        device.close()


def is_numbered_terminal(port: str) -> bool:
    """Whether ``port`` is a pseudo-terminal by its number: once closed, that number is anybody's next.

    A link to one is not: it names the device, and is pointed anew when that comes back.
    """
    return port.startswith("/dev/pts/") and not os.path.islink(port)  # noqa: PTH114 - as the rest here


def has_line_speed(port: str) -> bool:
    """Whether speed and parity reach the other end: not on a pseudo-terminal, nor over plain TCP."""
    if port.lower().startswith("socket://"):
        return False
    return _PTY_NAMES.fullmatch(os.path.realpath(port)) is None


def is_hardware(port: str) -> bool:
    """False for a pseudo-terminal and for loopback; whatever cannot be told counts as hardware."""
    if port.lower().startswith(("socket://", "rfc2217://")):
        host, _ = host_and_port(port)
        if host == "localhost":
            return False
        with suppress(ValueError):
            return not ipaddress.ip_address(host).is_loopback
        return True
    return _PTY_NAMES.fullmatch(os.path.realpath(port)) is None
