"""Gives a simulated pump the time and a port: the thin shell between a pure device and the world.

Answerable for handing bytes and the pump's time to the device, for sending each answer when it is due to
the port that asked, and for one timer, set to the device's next event.  Works the same in real, scaled
and virtual time.  Not answerable for what a device does, nor for ports and lines (`sim.cable`).

For bench and simulation only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from firmware_bridge.transports.base import Transport
from sim.cable import Cable, Plug
from sim.device_clock import DeviceClock
from sim.devices.base import Device, Reply
from sim.faults.kinds import find
from sim.faults.line_kinds import ROOM as LINE
from sim.faults.parameters import FaultValue
from sim.mechanics import Truth
from sim.ports import MemoryPort, Port, PtyPort, TcpPort
from sim.wire import Worn

if TYPE_CHECKING:
    from sim.recording import Recorder

LOOPBACK = "127.0.0.1"
_PULLED = ("disconnect", "hang_up")
"""Kinds after which the cable is out."""

Standing = Mapping[str, Mapping[str, FaultValue]]
"""kind -> parameters."""
Told = Callable[[str | None, Mapping[str, FaultValue] | None], None]
"""A kind and its parameters once it is there; a kind and ``None`` once it is gone; ``None``: all are."""


class Snapshot(NamedTuple):
    """A pump and its lines as they were at one moment of the pump's own time."""

    now_s: float
    state: Any
    lines: tuple[Worn, ...]
    standing: Standing
    watcher: object


class Watcher(Protocol):
    """Who does something to a pump at moments of the pump's own time."""

    def next_look(self) -> float | None:
        """When `look` is to be called next, if nothing else happens."""

    def look(self, now: float) -> None:
        """The pump is there; `next_look` is later than ``now`` afterwards."""

    def snapshot(self) -> object:
        """All there is to know of it."""

    def restore(self, state: Any) -> None:  # noqa: ANN401  # each watcher has a state of its own
        """It is as it was then."""


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
        self.started_s = loop.time()
        self.clock = DeviceClock(self.started_s)
        self.cable = Cable(ports, loop, self._received, seed=seed)
        self.standing: dict[str, Mapping[str, FaultValue]] = {}
        """What was broken on purpose and not mended since."""
        self.on_fault: Told = _untold
        self._watcher: Watcher | None = None
        self._moment: float | None = None
        """The pump's time while it is taken through moments that the clock has passed."""
        self._recorder: Recorder | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = inf
        """The loop's time at which that timer is due."""
        self.replug()
        self._catch_up()

    @property
    def port(self) -> str:
        """What a host opens."""
        return self.cable.plugs[0].port.name

    @property
    def ports(self) -> tuple[str, ...]:
        """All there is to open."""
        return tuple(plug.port.name for plug in self.cable.plugs)

    # -- what the simulation asks and does ----------------------------------------------------------

    def truth(self) -> Truth:
        """What the plunger really did until now."""
        self._catch_up()
        return self.device.truth()

    def delivered_nl(self, now: float) -> int:
        """The volume that reached the patient by ``now`` (s, loop time)."""
        self._reach(self.clock.now(now))
        return self.device.truth().delivered_nl

    def inject(self, kind: str, **parameters: FaultValue) -> None:
        """The fault is there from now on; raises `sim.faults.parameters.FaultError`.

        A fault of the line is one of the lines to all ports.
        """
        known = find(kind)
        if known.room == LINE:
            self.cable.inject(kind, parameters)
        else:
            now = self.now()
            self._answer(self.device.inject(kind, now, **parameters), now)
        if known.lasting:
            self.standing[kind] = parameters
        self.on_fault(kind, parameters)

    def clear(self, kind: str | None = None) -> None:
        """The fault, or every one, is gone.

        Raises `sim.faults.parameters.FaultError`, and what a port raises that is plugged in by this.
        """
        line = kind is None or find(kind).room == LINE
        if line:
            self.cable.clear(kind)
        if kind is None or not line:
            now = self.now()
            self._answer(self.device.clear(kind, now), now)
        if kind is None:
            self.standing.clear()
        else:
            self.standing.pop(kind, None)
        self.on_fault(kind, None)
        if kind in (None, *_PULLED):
            self.replug()

    def power_cycle(self) -> None:
        """Mains off and on again; the cable stays where it is."""
        now = self.now()
        self._answer(self.device.power_cycle(now), now)
        self.on_fault("reboot", {})

    def watch(self, watcher: Watcher | None) -> None:
        """From now on this one looks at the pump, and nobody else; ``None``: nobody does."""
        self._watcher = watcher
        self._wake_anew()

    # -- the cable ----------------------------------------------------------------------------------

    def unplug(self) -> None:
        """The host finds its port gone; the pump goes on with what it was doing.  Idempotent."""
        self.cable.unplug()

    def replug(self) -> None:
        """The ports are there again under the same names.  Idempotent; raises what a port raises."""
        self.cable.replug()

    def connect(self, transport: Transport) -> None:
        """Plugged into this transport from now on, and out of whatever it was plugged into."""
        self.cable.move_to(MemoryPort(transport))

    def close(self) -> None:
        """Nothing is left on the loop, no port and no link.  Idempotent."""
        self._watcher = None
        self.unplug()
        self._sleep_on()

    def snapshot(self) -> Snapshot:
        """All of the pump and what is wrong with it.  Raises `ValueError` for one that cannot tell."""
        self._catch_up()
        return Snapshot(
            self.now(),
            _whole(self.device).snapshot(),
            self.cable.worn(),
            dict(self.standing),
            None if self._watcher is None else self._watcher.snapshot(),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """The pump, its clock and its lines are as they were then; what was under way is gone.

        The cable is in, unless it had been pulled by then.  Whether the clock is held, and its speed,
        stay as they are.  Raises `ValueError`, and what a port raises that is plugged in by this.
        """
        _whole(self.device).restore(snapshot.state)
        self.clock.set(snapshot.now_s, self._loop.time())
        self.standing = dict(snapshot.standing)
        self.cable.restore(snapshot.lines)
        if self._watcher is not None:
            self._watcher.restore(snapshot.watcher)
        self._wake_anew()
        if "disconnect" in snapshot.standing:
            self.unplug()
        else:
            self.replug()

    # -- the clock ----------------------------------------------------------------------------------

    def now(self) -> float:
        """The pump's time in seconds."""
        return self._moment if self._moment is not None else self.clock.now(self._loop.time())

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
        self._sleep_on()
        self._catch_up()

    def _catch_up(self) -> None:
        self._reach(self.now())

    def _reach(self, now: float) -> None:
        """It is ``now`` for the pump, and was every moment before at which somebody wanted to look."""
        watcher = self._watcher
        while watcher is not None and self._moment is None:
            look = watcher.next_look()
            if look is None or look > now:
                break
            with self._at(look):
                self._answer(self.device.advance(look), look)
                watcher.look(look)
        self._answer(self.device.advance(now), now)

    @contextlib.contextmanager
    def _at(self, moment: float) -> Iterator[None]:
        """Whatever happens here happens at this moment of the pump's time."""
        self._moment = moment
        try:
            yield
        finally:
            self._moment = None

    # -- what goes over the lines -------------------------------------------------------------------

    def record(self) -> None:
        """Keep what the pump hears and says from now on; an earlier recording is forgotten."""
        from sim.recording import Recorder  # noqa: PLC0415  # a pump is up sooner without it

        self._recorder = Recorder(self._loop.time())

    def recorded(self) -> Recorder:
        """What was heard and said since `record`, so far.  Raises `ValueError` for nothing."""
        if self._recorder is None:
            raise ValueError("nothing is being recorded")
        return self._recorder

    def stop_recording(self) -> Recorder:
        """What was heard and said since `record`, all of it.  Raises `ValueError` for nothing."""
        recorder = self.recorded()
        self._recorder = None
        return recorder

    # -- bytes and time -----------------------------------------------------------------------------

    def _received(self, plug: Plug, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.heard(data, self._loop.time())
        now = self._loop.time() if self.clock.untouched else self.now()
        if self._watcher is None:
            self._answer(self.device.feed(data, now), now, plug)
            return
        self._reach(now)
        with self._at(now):  # a command may break the pump that is about to obey it
            self._answer(self.device.feed(data, now), now, plug)

    def _answer(self, replies: Sequence[Reply], now: float, to: Plug | None = None) -> None:
        """Send what is due, set timers for what is not, and one for the device's next event."""
        for delay_s, frame in replies:
            if delay_s > 0.0:
                self.cable.later(delay_s, partial(self._send, frame, to))
            elif to is None or self._recorder is not None:
                self._send(frame, to)
            elif self.cable.plugged:
                to.wire.from_pump(frame)  # nearly always
        event = self.device.next_event(now)
        if self._watcher is not None:
            look = self._watcher.next_look()
            if look is not None and (event is None or look < event):
                event = look
        if event is None:
            return
        due = event if self.clock.untouched else self.clock.loop_time(event)
        # A timer that comes too early costs one wake-up; moving it at every poll would cost more.
        if due is not None and due < self._wakes_at:
            self._sleep_on()
            self._timer = self._loop.call_at(due, self._due, event)
            self._wakes_at = due

    def _sleep_on(self) -> None:
        """No timer is set."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._wakes_at = inf

    def _send(self, frame: bytes, to: Plug | None) -> None:
        """To the port that asked, or to all."""
        if self._recorder is not None:
            self._recorder.said(frame, self._loop.time())
        if not self.cable.plugged:
            return
        if to is not None:
            to.wire.from_pump(frame)
            return
        for plug in self.cable.plugs:
            plug.wire.from_pump(frame)

    def _due(self, event: float) -> None:
        """The event is there, even if the loop rounds its clock down."""
        self._timer, self._wakes_at = None, inf
        self._reach(max(event, self.now()))


class _Whole(Protocol):
    def snapshot(self) -> Any: ...  # noqa: ANN401  # each device has a state of its own

    def restore(self, state: Any) -> None: ...  # noqa: ANN401


def _untold(_kind: str | None, _parameters: Mapping[str, FaultValue] | None) -> None:
    """Who is told of faults when nobody is."""


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
