"""A fault script played on one served pump: cues of the director, carried out when they are due.

Times are the pump's own, so that a pump that runs faster, is stepped or is held meets its faults where it
should.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from firmware_bridge.errors import ConfigurationError, LinkError
from sim.devices.kinds import DeviceKind
from sim.faults.director import Cue, Director
from sim.faults.line_kinds import LINE_KINDS
from sim.faults.parameters import FaultError
from sim.faults.script import Entry, Possible
from sim.serve import Served

LOOK_S = 0.1
"""How often the true volume is looked at, while a fault waits for one."""


def possible_for(kind: DeviceKind) -> Possible:
    """What can be done to a simulated pump that no visit drives."""
    lines = tuple(line.kind for line in LINE_KINDS)
    return Possible(f"a simulated {kind.name} pump by itself", (*kind.faults, *lines))


class _Progress(NamedTuple):
    """Where a script is."""

    director: Director
    looked: float


class FaultStage:
    """Plays the entries from the pump's start on, until the pump is closed.  See `sim.serve.Watcher`."""

    def __init__(
        self,
        served: Served,
        entries: Sequence[Entry],
        seed: int,
        told: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        """``told``: hears of a fault that the pump does not take at its moment."""
        self._served = served
        self._told = told
        chance = Random(f"{seed}:faults")  # noqa: S311 - a simulation, not a secret
        self._director = Director(entries, chance, started_s=served.started_s)
        self._looked = served.now()
        served.device.on_command = self._commanded
        served.watch(self)

    def next_look(self) -> float | None:
        """When a fault is due, or the volume is to be looked at."""
        due = self._director.next_due()
        if not self._director.watches_volume:
            return due
        look = self._looked + LOOK_S
        return look if due is None else min(due, look)

    def look(self, now: float) -> None:
        """What is due at ``now`` is done."""
        self._looked = now
        self._play(self._director.time(now))
        if self._director.watches_volume:
            self._play(self._director.delivered(self._served.device.truth().delivered_nl, now))

    def snapshot(self) -> _Progress:
        """Where the script is, chance included."""
        return _Progress(copy.deepcopy(self._director), self._looked)

    def restore(self, state: _Progress) -> None:
        """The script is where it was then."""
        self._director, self._looked = copy.deepcopy(state.director), state.looked

    def _commanded(self, name: str) -> None:
        """The pump is about to obey; what is broken now meets this very command."""
        self._play(self._director.commanded(name, self._served.now()))

    def _play(self, cues: Sequence[Cue]) -> None:
        for cue in cues:
            if cue.begins:
                try:
                    self._served.inject(cue.entry.kind, **cue.entry.parameters)
                except FaultError as error:
                    self._told(f"fault {cue.entry.number} was not done: {error}")
                continue
            try:
                self._served.clear(cue.entry.kind)
            except (LinkError, ConfigurationError):
                self._served.cable.replug_by_itself()
