"""Gives a simulated pump the time and a port: the thin shell between a pure device and the world.

Answerable for handing bytes and the loop's time to the device, for sending each answer when it is due,
and for one timer, set to the device's next event.  Works the same in real, scaled and virtual time.
Not answerable for what a device does, nor for sockets and terminals (`sim.ports`).

For bench and simulation only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from firmware_bridge.transports.base import Transport
from sim.devices.base import Device, Reply
from sim.faults.parameters import FaultValue
from sim.mechanics import Truth
from sim.ports import MemoryPort, Port, PtyPort, TcpPort

LOOPBACK = "127.0.0.1"


class Served:
    """A device at a port.  To be used from the loop's thread only."""

    def __init__(self, device: Device, loop: asyncio.AbstractEventLoop, port: Port) -> None:
        """Plugs it in; raises what the port raises, and leaves nothing behind then."""
        self.device = device
        self._loop = loop
        self._port = port
        self._timer: asyncio.TimerHandle | None = None
        self._late: set[asyncio.TimerHandle] = set()
        self._plugged = False
        self.replug()
        now = loop.time()
        self._answer(device.advance(now), now)

    @property
    def port(self) -> str:
        """What a host opens."""
        return self._port.name

    # -- what the simulation asks and does ----------------------------------------------------------

    def truth(self) -> Truth:
        """What the plunger really did until now."""
        now = self._loop.time()
        self._answer(self.device.advance(now), now)
        return self.device.truth()

    def delivered_nl(self, now: float) -> int:
        """The volume that reached the patient by ``now`` (s, loop time)."""
        self._answer(self.device.advance(now), now)
        return self.device.truth().delivered_nl

    def inject(self, kind: str, **parameters: FaultValue) -> None:
        """The fault is there from now on; raises `sim.faults.parameters.FaultError`."""
        now = self._loop.time()
        self._answer(self.device.inject(kind, now, **parameters), now)

    def clear(self, kind: str | None = None) -> None:
        """The fault, or every one, is gone; raises `sim.faults.parameters.FaultError`."""
        now = self._loop.time()
        self._answer(self.device.clear(kind, now), now)

    def power_cycle(self) -> None:
        """Mains off and on again; the cable stays where it is."""
        now = self._loop.time()
        self._answer(self.device.power_cycle(now), now)

    # -- the cable ----------------------------------------------------------------------------------

    def unplug(self) -> None:
        """The host finds its port gone; the pump goes on with what it was doing.  Idempotent."""
        self._plugged = False
        self._port.close()
        for handle in self._late:
            handle.cancel()
        self._late.clear()

    def replug(self) -> None:
        """The port is there again under the same name.  Idempotent; raises what the port raises."""
        if not self._plugged:
            self._port.open(self._received)
            self._plugged = True

    def connect(self, transport: Transport) -> None:
        """Plugged into this transport from now on, and out of whatever it was plugged into."""
        self.unplug()
        self._port = MemoryPort(transport)
        self.replug()

    def close(self) -> None:
        """Nothing is left on the loop, no port and no link.  Idempotent."""
        self.unplug()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- bytes and time -----------------------------------------------------------------------------

    def _received(self, data: bytes) -> None:
        now = self._loop.time()
        self._answer(self.device.feed(data, now), now)

    def _answer(self, replies: Sequence[Reply], now: float) -> None:
        """Send what is due, set timers for what is not, and one for the device's next event."""
        for delay_s, frame in replies:
            if delay_s > 0.0:
                self._send_later(delay_s, frame)
            else:
                self._port.write(frame)
        due = self.device.next_event(now)
        # A timer that comes too early costs one wake-up; moving it at every poll would cost more.
        if due is not None and (self._timer is None or due < self._timer.when()):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._due, due)

    def _send_later(self, delay_s: float, frame: bytes) -> None:
        def send() -> None:
            self._late.discard(handle)
            self._port.write(frame)

        handle = self._loop.call_later(delay_s, send)
        self._late.add(handle)

    def _due(self, due: float) -> None:
        """It is at least ``due``, even if the loop rounds its clock down."""
        self._timer = None
        now = max(due, self._loop.time())
        self._answer(self.device.advance(now), now)


def serve_pty(device: Device, loop: asyncio.AbstractEventLoop, link: Path | None = None) -> Served:
    """On a pseudo-terminal, under ``link`` if given.  Raises `firmware_bridge.errors.ConfigurationError`."""
    return Served(device, loop, PtyPort(loop, link))


def serve_tcp(
    device: Device, loop: asyncio.AbstractEventLoop, host: str = LOOPBACK, port: int = 0
) -> Served:
    """On a TCP port, a free one for 0.  Raises `firmware_bridge.errors.LinkError`."""
    return Served(device, loop, TcpPort(loop, host, port))


def serve_memory(device: Device, transport: Transport, loop: asyncio.AbstractEventLoop) -> Served:
    """On one end of a pair in memory, for virtual time."""
    return Served(device, loop, MemoryPort(transport))
