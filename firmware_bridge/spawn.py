"""Starting a bridge process and holding the other end of its pipe: the controller's side.

The two are joined by an inherited socket pair, so that the end of either is seen by the other at once.
The child has a process group of its own: Ctrl-C reaches the controller only, and the controller decides.
POSIX only.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from firmware_bridge.clock import speed_of
from firmware_bridge.errors import BridgeError, ConfigurationError, LinkError
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.fd import FdTransport

READY_WITHIN_S = 30.0
"""Wall time: an interpreter's start, 5 s for a former bridge to leave, 5 s to open, and the pump."""

_LOOK_S = 0.02
"""Wall time between two looks at whether a bridge has left."""

LINES_KEPT = 8
"""What matters of a child's lines when it has left is the last one; a log may go on for days."""

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Left:
    """How a bridge left: its exit code (see `process`) and what it put back in the pump."""

    code: int
    restored: tuple[str, ...]


class BridgeProcess:
    """A running bridge process.  Closing the transport beside it is how it is asked to leave.

    It is not a child that an event loop takes down with it: a bridge whose controller has gone still
    has a pump to stop and to restore, and does both by itself.
    """

    def __init__(self, process: subprocess.Popen[bytes], said: LineReader) -> None:
        self._process = process
        self._said = said

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Its exit code: 0 done, 1 pump not confirmed stopped or not restored, 2 usage, 3 port."""
        return await _wait(self._process)

    async def left(self) -> Left:
        """It has left; what it says at the end is read, whatever else it said."""
        code = await self.wait()
        try:
            return Left(code, tuple(json.loads(self._said.rest()[-1])["restored"]))
        except (IndexError, ValueError, KeyError):
            return Left(code, ())

    def kill(self) -> None:
        """End it without a word, as a crash would; the pump's own dead-man remains."""
        self._process.kill()


class LineReader:
    """Reads the lines of a child's pipe as they come, and hands each to ``on_line``.  Owns ``fd``."""

    def __init__(self, fd: int, on_line: OnLine) -> None:
        self._fd = fd
        self._on_line = on_line
        self._part = b""
        self._loop = asyncio.get_running_loop()
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._readable)

    def rest(self) -> list[str]:
        """The last `LINES_KEPT` lines, from what is still in the pipe too; nothing is read after this."""
        while self._readable():
            pass
        self.close()
        return list(self._lines)

    def close(self) -> None:
        """Read no more.  Idempotent."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _readable(self) -> bool:
        """Take what is there; false where there is nothing now, or nothing any more."""
        if self._fd < 0:
            return False
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        *lines, self._part = (self._part + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace")
            self._lines.append(text)
            self._on_line(text)
        return True


async def spawn_bridge(
    url: str,
    device: str,
    *,
    speed: float = 1.0,
    state_dir: Path | None = None,
    disown: bool = False,
    on_log: OnLine | None = None,
) -> tuple[Transport, BridgeProcess]:
    """A bridge that has met its pump, and the transport to it.

    ``disown``: what it finds changed in the pump is not put back, see `HostDialect.disown`.  ``on_log``
    gets each line it logs; without, they are thrown away.

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
            process = _start(arguments, its.fileno(), logs=on_log is not None)
        transport = FdTransport(mine.detach(), f"bridge of {device}", loop)
    except BaseException:
        mine.close()
        raise
    first: asyncio.Future[str] = loop.create_future()

    def said(line: str) -> None:
        if not first.done():
            first.set_result(line)

    reader = LineReader(_descriptor(process.stdout), said)
    if on_log is not None:
        LineReader(_descriptor(process.stderr), on_log)
    try:
        await _ready(process, reader, first, url, READY_WITHIN_S * speed_of(loop))
    except BaseException:
        transport.close()
        reader.close()
        raise
    return transport, BridgeProcess(process, reader)


def _start(arguments: list[str], fd: int, *, logs: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter, arguments of our own making
        [sys.executable, "-m", "firmware_bridge", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if logs else subprocess.DEVNULL,
        pass_fds=[fd],
        process_group=0,
    )


def _descriptor(pipe: IO[bytes] | None) -> int:
    """A descriptor of our own for the pipe; the file object around it is closed."""
    if pipe is None:
        raise LinkError("bridge", "the bridge process has no output")
    with pipe:
        return os.dup(pipe.fileno())


async def _wait(process: subprocess.Popen[bytes]) -> int:
    loop = asyncio.get_running_loop()
    while (code := process.poll()) is None:  # noqa: ASYNC110 - a waiting thread would hold up our end
        await asyncio.sleep(_LOOK_S * speed_of(loop))
    return code


async def _ready(
    process: subprocess.Popen[bytes],
    reader: LineReader,
    first: asyncio.Future[str],
    url: str,
    within_s: float,
) -> None:
    """The bridge has said that it is ready.  Raises what it says is wrong."""
    ended = asyncio.ensure_future(_wait(process))
    try:
        async with asyncio.timeout(within_s):
            await asyncio.wait((first, ended), return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError as error:
        raise LinkError(url, "the bridge process does not get ready") from error
    finally:
        ended.cancel()
    if not first.done():
        reader.rest()  # its last words may still be in the pipe
    if not first.done():
        raise LinkError(url, f"the bridge process ended with code {process.returncode}")
    try:
        news = json.loads(first.result())
    except ValueError:
        raise LinkError(url, f"the bridge process said {first.result()!r}") from None
    if not news["ready"]:
        await _wait(process)
        raise _as_error(news, url)


def _as_error(news: dict[str, str], url: str) -> BridgeError:
    """The child's error again, under the same kind."""
    if news["error"] == "configuration":
        return ConfigurationError(news["what"])
    return LinkError(news["port"] or url, news["what"])
