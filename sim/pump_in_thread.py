"""Simulated pumps for blocking software in the same process: a loop in a thread, and plain calls into it.

Answerable for the thread and for handing every call over to it.  Not answerable for what a pump does.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

from firmware_bridge.errors import BridgeError
from sim.faults.parameters import FaultValue
from sim.mechanics import Truth
from sim.pump_bench import Bench, pump_spec
from sim.recording import Piece
from sim.serve import Served

CALL_S_MAX = 60.0
"""A call that takes longer has met a hanging pump [design]."""

T = TypeVar("T")


class PumpSim:
    """One running simulated pump.  May be called from any thread but that of the pump's own loop."""

    def __init__(self, served: Served, loop: asyncio.AbstractEventLoop) -> None:
        self._served = served
        self._loop = loop
        self._do(served.record)

    @property
    def port(self) -> str:
        """What a driver opens, by pyserial's ``serial_for_url`` at the latest; stays when replugged."""
        return self._served.port

    @property
    def transcript(self) -> list[Piece]:
        """Every piece of bytes since the pump was there: ``t_s``, ``to`` ("pump" or "host"), ``data``."""
        return self._do(lambda: list(self._served.recorded().pieces))

    def inject(self, kind: str, **params: FaultValue) -> None:
        """The fault is there (``infusor sim faults`` lists them).  Raises `ValueError` for none."""
        self._do(lambda: self._served.inject(kind, **params))

    def clear(self, kind: str | None = None) -> None:
        """The fault, or every one, is gone.  Raises `ValueError` for a kind that is none."""
        self._do(lambda: self._served.clear(kind))

    def truth(self) -> Truth:
        """What the plunger really did until now, whatever the pump says."""
        return self._do(self._served.truth)

    def unplug(self) -> None:
        """The driver finds its port gone; the pump goes on with what it was doing."""
        self.inject("disconnect")

    def replug(self) -> None:
        """The port is there again under its name."""
        self.clear("disconnect")

    def power_cycle(self) -> None:
        """Mains off and on again; the cable stays where it is."""
        self._do(self._served.power_cycle)

    def advance(self, seconds: float) -> None:
        """So many seconds of the pump pass at once.  Raises `ValueError` outside 0 to a day."""
        self._do(lambda: self._served.step(seconds))

    def _do(self, action: Callable[[], T]) -> T:
        return done_in(self._loop, action)


class PumpSims:
    """Makes pumps, and ends all of them on leaving."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="infusor-")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pump_sim", daemon=True)
        self._thread.start()
        self._benches: list[Bench] = []
        return self

    def __exit__(self, *_: object) -> None:
        for bench in self._benches:
            with contextlib.suppress(BridgeError):
                done_in(self._loop, bench.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    def __call__(
        self,
        *,
        dialect: str,
        model: str | None = None,
        address: int = 0,
        syringe: str | None = None,
        loaded_ml: float | None = None,
        quirks: Mapping[str, str] | None = None,
        seed: int = 0,
        faults: str | os.PathLike[str] | None = None,
        port: str = "pty",
        held: bool = False,
    ) -> PumpSim:
        """A running pump.  Raises `ValueError` for an option that it cannot have.

        ``port``: "pty", "tcp" or "rfc2217", on this machine's loopback.  ``faults``: the path of a fault
        script.  ``held``: its time moves only by `PumpSim.advance`, and it answers all the same; otherwise
        its time is the wall's, and `PumpSim.advance` adds to it.
        """
        places = {
            "pty": f"pty:{self._folder.name}/pump-{len(self._benches) + 1}",
            "tcp": "tcp:127.0.0.1:0",
            "rfc2217": "rfc2217:127.0.0.1:0",
        }
        if port not in places:
            raise ValueError(f"port {port!r}: it is one of {', '.join(places)}")
        try:
            spec = pump_spec(
                dialect=dialect,
                model=model,
                address=address,
                syringe=syringe,
                loaded_ml=loaded_ml,
                quirks=[f"{name}={value}" for name, value in (quirks or {}).items()],
                ports=[places[port]],
                seed=seed,
                faults=None if faults is None else Path(faults),
            )
            bench = done_in(self._loop, lambda: Bench([spec], self._loop))
        except BridgeError as error:
            raise ValueError(str(error)) from error
        self._benches.append(bench)
        (served,) = bench.pumps.values()
        if held:
            done_in(self._loop, served.hold)
        return PumpSim(served, self._loop)


def done_in(loop: asyncio.AbstractEventLoop, action: Callable[[], T]) -> T:
    """What the action returns or raises, done in the loop's thread."""
    done: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            done.set_result(action())
        except Exception as error:  # noqa: BLE001  # it is raised where it was asked for
            done.set_exception(error)

    loop.call_soon_threadsafe(run)
    return done.result(CALL_S_MAX)
