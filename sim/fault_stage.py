"""A fault script played on one served pump: cues of the director, carried out when they are due.

Times are the pump's own, so that a pump that runs faster, or is held, meets its faults where it should.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from sim.devices.kinds import DeviceKind
from sim.faults.director import Cue, Director
from sim.faults.line_kinds import LINE_KINDS
from sim.faults.script import Entry, Possible
from sim.serve import Served

LOOK_S = 0.1
"""How often the true volume is looked at, while a fault waits for one."""


def possible_for(kind: DeviceKind) -> Possible:
    """What can be done to a simulated pump that no visit drives."""
    lines = tuple(line.kind for line in LINE_KINDS)
    return Possible(f"a simulated {kind.name} pump by itself", (*kind.faults, *lines))


class FaultStage:
    """Plays the entries from now on, until closed."""

    def __init__(
        self, served: Served, entries: Sequence[Entry], loop: asyncio.AbstractEventLoop, seed: int
    ) -> None:
        self._served = served
        self._loop = loop
        chance = Random(f"{seed}:faults")  # noqa: S311 - a simulation, not a secret
        self._director = Director(entries, chance, started_s=served.now())
        self._timer: asyncio.TimerHandle | None = None
        served.device.on_command = self._commanded
        self._look()

    def close(self) -> None:
        """No fault begins or ends any more.  Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _commanded(self, name: str) -> None:
        """The pump is about to obey; what is broken now meets this very command."""
        self._play(self._director.commanded(name, self._served.now()))

    def _look(self) -> None:
        """What is due is done, and the next look is arranged."""
        now = self._served.now()
        self._play(self._director.time(now))
        if self._director.watches_volume:
            self._play(self._director.delivered(self._served.truth().delivered_nl, now))
        due = self._director.next_due()
        wait = LOOK_S if self._director.watches_volume else None
        if due is not None:
            left = max(0.0, due - now)
            wait = left if wait is None else min(wait, left)
        self._timer = None if wait is None else self._loop.call_later(wait, self._look)

    def _play(self, cues: Sequence[Cue]) -> None:
        for cue in cues:
            if cue.begins:
                self._served.inject(cue.entry.kind, **cue.entry.parameters)
            else:
                self._served.clear(cue.entry.kind)
