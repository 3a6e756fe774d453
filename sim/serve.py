"""Gives a simulated pump the time and a port: the thin shell between a pure device and the world.

Answerable for handing bytes and the loop's time to the device, for sending each answer when it is due to
the port that asked, and for one timer, set to the device's next event.  Works the same in real, scaled
and virtual time.  Not answerable for what a device does, for what is wrong with a line (`sim.wire`), nor
for sockets and terminals (`sim.ports`).

For bench and simulation only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from firmware_bridge.transports.base import Transport
from sim.device_clock import DeviceClock
from sim.devices.base import Device, Reply
from sim.faults.kinds import accept, find
from sim.faults.line_kinds import ROOM as LINE
from sim.faults.parameters import FaultValue
from sim.mechanics import Truth
from sim.ports import MemoryPort, Port, PtyPort, TcpPort
from sim.recording import TO_HOST, TO_PUMP, Piece, Recorder
from sim.wire import Wire

LOOPBACK = "127.0.0.1"


class Snapshot(NamedTuple):
    """A device as it was at one moment of its own time."""

    now_s: float
    state: Any


class _Plug:
    """One port of a pump, and the line to it."""

    def __init__(
        self, port: Port, loop: asyncio.AbstractEventLoop, received: _Received, seed: int
    ) -> None:
        self.port = port
        self.wire = Wire(loop, to_pump=partial(received, self), to_host=self._to_host, seed=seed)

    def _to_host(self, data: bytes) -> None:
        self.port.write(data)


_Received = Callable[[_Plug, bytes], None]


class Served:
    """A device at one port or several.  To be used from the loop's thread only.

    An answer goes to the port that asked; what the pump says by itself, to all of them.
    """

    def __init__(
        self, device: Device, loop: asyncio.AbstractEventLoop, *ports: Port, seed: int = 0
    ) -> None:
        """Plugs it in; raises what a port raises, and leaves nothing behind then.

        ``seed``: of the chances of its lines.
        """
        self.device = device
        self._loop = loop
        self.clock = DeviceClock(loop.time())
        self._plugs = [_Plug(port, loop, self._received, seed) for port in ports]
        self._recorder: Recorder | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._late: set[asyncio.TimerHandle] = set()
        self._plugged = False
        self.replug()
        self._catch_up()

    @property
    def port(self) -> str:
        """What a host opens."""
        return self._plugs[0].port.name

    @property
    def ports(self) -> tuple[str, ...]:
        """All there is to open."""
        return tuple(plug.port.name for plug in self._plugs)

    # -- what the simulation asks and does ----------------------------------------------------------

    def truth(self) -> Truth:
        """What the plunger really did until now."""
        self._catch_up()
        return self.device.truth()

    def delivered_nl(self, now: float) -> int:
        """The volume that reached the patient by ``now`` (s, loop time)."""
        now = self.clock.now(now)
        self._answer(self.device.advance(now), now)
        return self.device.truth().delivered_nl

    def inject(self, kind: str, **parameters: FaultValue) -> None:
        """The fault is there from now on; raises `sim.faults.parameters.FaultError`.

        A fault of the line is one of the lines to all ports.
        """
        if find(kind).room != LINE:
            now = self.now()
            self._answer(self.device.inject(kind, now, **parameters), now)
        elif kind == "disconnect":
            accept(kind, parameters)
            self.unplug()
        elif kind == "hang_up":
            away_s = float(accept(kind, parameters)["reopen_after_s"])
            self.unplug()
            self._later(away_s, self.replug)
        else:
            for plug in self._plugs:
                plug.wire.inject(kind, parameters)

    def clear(self, kind: str | None = None) -> None:
        """The fault, or every one, is gone; raises `sim.faults.parameters.FaultError`."""
        line = kind is None or find(kind).room == LINE
        if line:
            for plug in self._plugs:
                plug.wire.clear(kind)
        if kind in (None, "disconnect", "hang_up"):
            self.replug()
        if kind is None or not line:
            now = self.now()
            self._answer(self.device.clear(kind, now), now)

    def power_cycle(self) -> None:
        """Mains off and on again; the cable stays where it is."""
        now = self.now()
        self._answer(self.device.power_cycle(now), now)

    # -- the cable ----------------------------------------------------------------------------------

    def unplug(self) -> None:
        """The host finds its port gone; the pump goes on with what it was doing.  Idempotent."""
        self._plugged = False
        for plug in self._plugs:
            plug.port.close()
            plug.wire.cut()
        for handle in self._late:
            handle.cancel()
        self._late.clear()

    def replug(self) -> None:
        """The ports are there again under the same names.  Idempotent; raises what a port raises."""
        if self._plugged:
            return
        try:
            for plug in self._plugs:
                plug.port.open(plug.wire.from_host)
        except Exception:
            for plug in self._plugs:
                plug.port.close()
            raise
        self._plugged = True

    def connect(self, transport: Transport) -> None:
        """Plugged into this transport from now on, and out of whatever it was plugged into."""
        self.unplug()
        [*_, plug] = self._plugs
        plug.port = MemoryPort(transport)
        self._plugs = [plug]
        self.replug()

    def close(self) -> None:
        """Nothing is left on the loop, no port and no link.  Idempotent."""
        self.unplug()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def snapshot(self) -> Snapshot:
        """The whole state of the device.  Raises `ValueError` for one that cannot tell it."""
        self._catch_up()
        return Snapshot(self.now(), _whole(self.device).snapshot())

    def restore(self, snapshot: Snapshot) -> None:
        """The device and its clock are as they were then.  Raises `ValueError`."""
        _whole(self.device).restore(snapshot.state)
        self.clock.set(snapshot.now_s, self._loop.time())
        self._wake_anew()

    # -- the clock ----------------------------------------------------------------------------------

    def now(self) -> float:
        """The pump's time in seconds."""
        return self.clock.now(self._loop.time())

    def hold(self) -> None:
        """The physics stand still, and the pump goes on answering.  Idempotent."""
        self._catch_up()
        self.clock.hold(self._loop.time())
        self._wake_anew()

    def go_on(self) -> None:
        """The physics move again.  Idempotent."""
        self.clock.go_on(self._loop.time())
        self._wake_anew()

    def step(self, seconds: float) -> None:
        """So many seconds of the pump pass at once.  Raises `ValueError` for less than none."""
        self._catch_up()
        self.clock.step(seconds, self._loop.time())
        self._wake_anew()

    def run_at(self, rate: float) -> None:
        """So many of the pump's seconds in one of the loop's.  Raises `ValueError`."""
        self._catch_up()
        self.clock.run_at(rate, self._loop.time())
        self._wake_anew()

    def _wake_anew(self) -> None:
        """The clock was touched: what is due is due at another moment of the loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._catch_up()

    def _catch_up(self) -> None:
        now = self.now()
        self._answer(self.device.advance(now), now)

    # -- what goes over the lines -------------------------------------------------------------------

    def record(self) -> None:
        """Keep what the pump hears and says from now on; an earlier recording is forgotten."""
        self._recorder = Recorder(self._loop.time())

    def recorded(self) -> list[Piece]:
        """What was heard and said since `record`; the recording is over."""
        recorder, self._recorder = self._recorder, None
        return [] if recorder is None else recorder.pieces

    # -- bytes and time -----------------------------------------------------------------------------

    def _received(self, plug: _Plug, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.note(TO_PUMP, data, self._loop.time())
        now = self.now()
        self._answer(self.device.feed(data, now), now, (plug,))

    def _answer(
        self, replies: Sequence[Reply], now: float, to: Sequence[_Plug] | None = None
    ) -> None:
        """Send what is due, set timers for what is not, and one for the device's next event."""
        for delay_s, frame in replies:
            plugs = self._plugs if to is None else to
            if delay_s > 0.0:
                self._later(delay_s, partial(self._send, frame, plugs))
            else:
                self._send(frame, plugs)
        event = self.device.next_event(now)
        if event is not None:
            self._wake_for(event)

    def _wake_for(self, event: float) -> None:
        """A timer for the device's next event, unless an earlier one is set."""
        due = self.clock.loop_time(event)
        # A timer that comes too early costs one wake-up; moving it at every poll would cost more.
        if due is not None and (self._timer is None or due < self._timer.when()):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._due, event)

    def _later(self, delay_s: float, action: Callable[[], object]) -> None:
        """Unless the cable is out by then."""

        def run() -> None:
            self._late.discard(handle)
            action()

        handle = self._loop.call_later(delay_s, run)
        self._late.add(handle)

    def _send(self, frame: bytes, plugs: Sequence[_Plug]) -> None:
        if self._recorder is not None:
            self._recorder.note(TO_HOST, frame, self._loop.time())
        for plug in plugs:
            plug.wire.from_pump(frame)

    def _due(self, event: float) -> None:
        """The event is there, even if the loop rounds its clock down."""
        self._timer = None
        now = max(event, self.now())
        self._answer(self.device.advance(now), now)


class _Whole(Protocol):
    def snapshot(self) -> Any: ...  # noqa: ANN401  # each device has a state of its own

    def restore(self, state: Any) -> None: ...  # noqa: ANN401


def _whole(device: Device) -> _Whole:
    if not hasattr(device, "snapshot") or not hasattr(device, "restore"):
        raise ValueError("this pump cannot tell its whole state")
    return cast("_Whole", device)


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
