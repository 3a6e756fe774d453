"""Serial ports on POSIX: pyserial opens, locks and configures; the descriptor does the rest.

This is the one place that knows how pyserial wants to be asked, and what its exceptions mean.
The lock is advisory: it keeps out a second infusor and every program that asks for it, no others.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass

import serial

from firmware_bridge.errors import BridgeError, ConfigurationError, LinkError
from firmware_bridge.transports.fd import FdTransport
from firmware_bridge.transports.threaded import BlockingPort

try:
    import termios
except ImportError:  # pragma: no cover - Windows has no termios; `threaded` serves its ports
    termios = None  # type: ignore[assignment]  # read as "not here" below

_BUSY = (errno.EAGAIN, errno.EACCES, errno.EBUSY)
_ABSENT = (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """What both ends of a serial line must agree on."""

    baud: int
    bytesize: int = 8
    parity: str = "N"
    stopbits: float = 1


def unopened(port: str, settings: LineSettings) -> BlockingPort:
    """A port as pyserial sees it, set up and not yet open.  Raises `ConfigurationError`."""
    try:
        device = serial.serial_for_url(port, do_not_open=True)
        device.baudrate = settings.baud
        device.bytesize = settings.bytesize
        device.parity = settings.parity
        device.stopbits = settings.stopbits
    except (ValueError, serial.SerialException) as error:
        raise ConfigurationError(f"{port}: {error}") from error
    return device


def explained(port: str, error: Exception) -> BridgeError:
    """What an exception out of opening a port means for whoever asked for it."""
    if isinstance(error, ValueError):
        return ConfigurationError(f"{port}: {error}")
    number = getattr(error, "errno", None)
    if number == errno.EACCES and "lock" not in str(error):
        return LinkError(port, "permission denied: this user may not open it")
    if number in _BUSY:
        return LinkError(port, "busy: another program has it open")
    if number in _ABSENT:
        return LinkError(port, "absent: there is no such port")
    if "refused" in str(error):
        return LinkError(port, "refused: nothing listens there")
    return LinkError(port, f"cannot be opened: {error}")


def open_serial(device: serial.Serial, port: str, loop: asyncio.AbstractEventLoop) -> FdTransport:
    """Open it for this process alone.  Raises `LinkError` (absent, busy, denied, not a serial port)."""
    device.exclusive = True
    device.timeout = 0
    try:
        device.open()
        fd = device.fileno()
        _tell_nothing_from_the_end(fd)
    except (OSError, termios.error) as error:
        device.close()
        raise explained(port, error) from error
    return FdTransport(fd, port, loop, release=device.close, flush=_flusher(fd))


def _tell_nothing_from_the_end(fd: int) -> None:
    """Make an idle line and one that was hung up read differently.

    pyserial asks for reads that may return nothing (VMIN = 0), which is what a hung-up line returns
    too.  With VMIN = 1 an idle line says "would block" and only the end reads as nothing.
    """
    attributes = termios.tcgetattr(fd)
    attributes[6][termios.VMIN] = 1
    attributes[6][termios.VTIME] = 0
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


def _flusher(fd: int) -> Callable[[], None]:
    def flush() -> None:
        try:
            termios.tcflush(fd, termios.TCOFLUSH)
        except termios.error as error:  # not an OSError, for reasons lost in time
            raise OSError(*error.args) from error

    return flush
