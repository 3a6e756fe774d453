"""The cable of a simulated pump: its ports, the line to each, and whether it is in.

Answerable for opening and closing the ports together, for frames that leave later, and for every fault
kind of the line.  Not answerable for what is said (`sim.serve`), for what a line does to bytes
(`sim.wire`), nor for sockets and terminals (`sim.ports`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from firmware_bridge.errors import ConfigurationError, LinkError
from sim.faults.kinds import accept
from sim.faults.parameters import FaultValue
from sim.ports import Port
from sim.wire import Wire, Worn

REPLUG_AGAIN_S = 1.0
"""A cable that is to go in by itself and finds its port taken tries again after this [design]."""


class Plug:
    """One port of a pump, and the line to it."""

    def __init__(
        self, port: Port, loop: asyncio.AbstractEventLoop, received: Received, seed: int
    ) -> None:
        self.port = port
        self.wire = Wire(loop, to_pump=partial(received, self), to_host=port.write, seed=seed)

    def move_to(self, port: Port) -> None:
        """Its line is the one of before."""
        self.port = port
        self.wire.end_at(port.write)


Received = Callable[[Plug, bytes], None]


class Cable:
    """One port or several, all of them in or all of them out.  Out, until `replug`."""

    def __init__(
        self,
        ports: Sequence[Port],
        loop: asyncio.AbstractEventLoop,
        received: Received,
        *,
        seed: int,
    ) -> None:
        """``seed``: of the chances of the lines."""
        self._loop = loop
        self.plugs = [Plug(port, loop, received, seed) for port in ports]
        self._late: set[asyncio.TimerHandle] = set()
        self.plugged = False

    def unplug(self) -> None:
        """The host finds its port gone, and what was under way is lost.  Idempotent."""
        self.plugged = False
        for plug in self.plugs:
            plug.port.close()
            plug.wire.cut()
        self._forget_late()

    def replug(self) -> None:
        """The ports are there again under the same names.  Idempotent; raises what a port raises."""
        if self.plugged:
            return
        try:
            for plug in self.plugs:
                plug.port.open(plug.wire.from_host)
        except Exception:
            for plug in self.plugs:
                plug.port.close()
            raise
        self.plugged = True

    def replug_by_itself(self) -> None:
        """As `replug`, later where a port cannot be had now: for when there is nobody to be told."""
        try:
            self.replug()
        except (LinkError, ConfigurationError):
            self.later(REPLUG_AGAIN_S, self.replug_by_itself)

    def move_to(self, port: Port) -> None:
        """In this port from now on, and out of whatever it was in; its line is the last one's."""
        self.unplug()
        [*_, plug] = self.plugs
        plug.move_to(port)
        self.plugs = [plug]
        self.replug()

    # --- faults -----------------------------------------------------------------------------------

    def inject(self, kind: str, parameters: Mapping[str, FaultValue]) -> None:
        """The fault is there on the lines to all ports; raises `FaultError`."""
        if kind == "disconnect":
            accept(kind, parameters)
            self.unplug()
        elif kind == "hang_up":
            away_s = float(accept(kind, parameters)["reopen_after_s"])
            self.unplug()
            self.later(away_s, self.replug_by_itself)
        else:
            for plug in self.plugs:
                plug.wire.inject(kind, parameters)

    def clear(self, kind: str | None) -> None:
        """The lines are mended; it takes `replug` to put the cable in.  Raises `FaultError`."""
        for plug in self.plugs:
            plug.wire.clear(kind)

    def worn(self) -> tuple[Worn, ...]:
        """What is wrong with each line now."""
        return tuple(plug.wire.worn() for plug in self.plugs)

    def restore(self, lines: Sequence[Worn]) -> None:
        """Each line is as bad as it was then, and nothing is under way."""
        for plug, worn in zip(self.plugs, lines, strict=True):
            plug.wire.restore(worn)
        self._forget_late()

    # --- frames -----------------------------------------------------------------------------------

    def later(self, delay_s: float, action: Callable[[], object]) -> None:
        """Unless the cable is pulled before then."""

        def run() -> None:
            self._late.discard(handle)
            action()

        handle = self._loop.call_later(delay_s, run)
        self._late.add(handle)

    def _forget_late(self) -> None:
        for handle in self._late:
            handle.cancel()
        self._late.clear()
