"""The two ends of a transport under test: who listens, and a pump's end of a PTY."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from collections.abc import Callable
from time import perf_counter, sleep

import pytest

from firmware_bridge.clock import speed_of
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.fd import FdTransport
from firmware_bridge.transports.opening import open_transport

STOP = b"STP\r"


class Ear:
    """Who listens at a transport."""

    def __init__(self, transport: Transport) -> None:
        self.heard = b""
        self.losses: list[Exception | None] = []
        self._news = asyncio.Event()
        transport.start(self._received, self._lost)

    def _received(self, data: bytes) -> None:
        self.heard += data
        self._news.set()

    def _lost(self, cause: Exception | None) -> None:
        self.losses.append(cause)
        self._news.set()

    async def until(self, so: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not so():
                self._news.clear()
                await self._news.wait()

    async def hears(self, data: bytes) -> None:
        await self.until(lambda: len(self.heard) >= len(data))
        assert self.heard == data

    async def is_told_of_the_loss(self) -> None:
        await self.until(lambda: bool(self.losses))
        assert len(self.losses) == 1


class Pump:
    """The far end of a PTY, held by the test."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.master)
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.port = os.ttyname(self.slave)

    def read(self) -> bytes:
        """All that has arrived, once nothing more does for 50 ms."""
        heard, quiet_since = b"", perf_counter()
        while perf_counter() - quiet_since < 0.05:
            try:
                heard += os.read(self.master, 65_536)
                quiet_since = perf_counter()
            except BlockingIOError:
                sleep(0.005)
        return heard

    def unplug(self) -> None:
        for name in ("master", "slave"):
            number: int = getattr(self, name)
            setattr(self, name, -1)
            if number >= 0:
                os.close(number)


async def opened(port: str, **options: float) -> Transport:
    return await open_transport(
        port, baud=19_200, loop=asyncio.get_running_loop(), timeout_s=options.get("timeout_s", 5)
    )


async def fill(transport: FdTransport) -> None:
    """Write frames until the port has taken nothing for 50 ms and some are waiting here."""
    for _ in range(100):
        while len(transport._frames) < 3:
            transport.write(b"x" * 99 + b"\r")
        before = transport._sent_bytes
        await asyncio.sleep(0.05 * speed_of(asyncio.get_running_loop()))
        transport._push()
        if transport._sent_bytes == before:
            return
    pytest.fail("the port took everything")
