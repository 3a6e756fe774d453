"""Hosts that keep a simulated pump pumping for a day, one for each dialect, made of frames and patience.

Each sends the whole program again and again and asks how it goes; what comes back is acknowledged where
the dialect wants that, and believed nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from hil_tests.pure.sim.alaris_host import framed as alaris
from hil_tests.pure.sim.alaris_host import golden as alaris_golden
from hil_tests.pure.sim.fresenius_host import ACK, DC4, ENQ
from hil_tests.pure.sim.fresenius_host import framed as fresenius
from hil_tests.pure.sim.pumplink_host import LAYOUT, SCHEMA_HASH, packed
from hil_tests.pure.sim.pumplink_host import framed as pumplink

Write = Callable[[bytes], None]


class SoakHost(Protocol):
    """``every_s``: how often it wants its turn."""

    every_s: float

    def heard(self, data: bytes) -> None:
        """Bytes from the pump."""

    async def turn(self) -> None:
        """See to it that the pump runs."""


class Lines:
    """A dialect of lines: the whole program, a poll, nothing else."""

    every_s = 20.0

    def __init__(self, write: Write, *frames: bytes) -> None:
        self._write, self._frames = write, frames
        self.bytes_heard = 0

    def heard(self, data: bytes) -> None:
        self.bytes_heard += len(data)

    async def turn(self) -> None:
        for frame in self._frames:
            self._write(frame)
            await asyncio.sleep(0.05)


def _new_era(write: Write) -> SoakHost:
    """A poll first, which takes a pending alarm."""
    return Lines(write, b"\r", b"VOL0\r", b"RAT26.7MH\r", b"RUN\r", b"DIS\r")


def _harvard(write: Write) -> SoakHost:
    """The end of a line first, in case somebody touched the screen."""
    program = (b"\r", b"load qs i\r", b"irate 26.7 m/h\r", b"irun\r", b"status\r")
    return Lines(write, *program)


def _legacy(write: Write) -> SoakHost:
    return Lines(write, b"00MLH26.7\r", b"00RUN\r", b"00VOL\r")


class _Alaris(Lines):
    """Asks for remote control every few seconds, and acknowledges alarms by a stop."""

    every_s = 4.0

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self._turns = 0

    async def turn(self) -> None:
        self._write(alaris_golden()["REMOTE_CTRL^ENABLED^3CC1"])
        self._turns += 1
        if self._turns % 5:
            return
        for message in ("INF_RATE^26.70^ml/h", "INF_START", "INF"):
            await asyncio.sleep(0.05)
            self._write(alaris(message))
        if self._turns % 25 == 0:
            for message in ("INF_STOP", "INF_START"):
                await asyncio.sleep(0.05)
                self._write(alaris(message))


class _Fresenius(Lines):
    """Acknowledges every frame and answers ENQ."""

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self._stand = ("0DC", "1DC", "1MO;2", "1SI", "1PV;000000", "1PR;010B", "1LE;dar")

    def heard(self, data: bytes) -> None:
        super().heard(data)
        if ENQ in data:
            self._write(DC4)
        for _ in range(data.count(b"\x03")):
            self._write(ACK)

    async def turn(self) -> None:
        for command in self._stand:
            self._write(fresenius(command))
            await asyncio.sleep(0.05)


class _Pumplink(Lines):
    """A lease every 2.5 s; every 20 s a fresh link, every alarm acknowledged, armed and run anew."""

    every_s = 2.5

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self._turns = self._seq = self._command = 0

    def _send(self, name: str, **values: int) -> None:
        self._seq = (self._seq + 1) % 256
        self._write(pumplink(LAYOUT[name][0], packed(name, **values), self._seq))

    def _order(self, name: str, **values: int) -> None:
        self._command += 1
        self._send(name, command_id=self._command, **values)

    async def turn(self) -> None:
        self._turns += 1
        if self._turns % 8 != 1:
            self._send("LEASE", lease_ms=5_000)
            return
        self._seq = 0
        hello = packed("HELLO", version_min=1, version_max=1, schema_hash=SCHEMA_HASH)
        self._write(pumplink(LAYOUT["HELLO"][0], hello))
        await asyncio.sleep(0.05)
        self._send("ALARM_ACK", alarms=0xFFFFFFFF)
        await asyncio.sleep(0.05)
        if self._turns % 240 == 1:
            self._order("STOP")
            await asyncio.sleep(0.05)
            self._order("CONFIGURE", diameter_um=26_590, syringe_size_nl=60_000_000)
            await asyncio.sleep(0.05)
        self._order(
            "ARM",
            rate_nl_h_max=1_200_000_000,
            volume_per_command_nl_max=50_000_000,
            volume_total_nl_max=50_000_000,
            time_ms_max=4 * 3_600_000,
            concentration_ug_ml=10_000,
        )
        await asyncio.sleep(0.05)
        self._order("RUN", rate_nl_h=26_700_000, target_nl=20_000_000, lease_ms=5_000, direction=0)


HOSTS: Mapping[str, Callable[[Write], SoakHost]] = {
    "alaris": _Alaris,
    "fresenius": _Fresenius,
    "harvard": _harvard,
    "harvard-legacy": _legacy,
    "new-era": _new_era,
    "pumplink": _Pumplink,
}
"""Dialect -> a host for it."""

QUIRKS: Mapping[str, tuple[str, ...]] = {"fresenius": ("enq_period_ms=20000",)}
"""Of a pump that would otherwise spend its day with keep-alives."""
