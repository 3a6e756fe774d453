"""A fault script played on a whole visit in virtual time: pump, line and monitor break when it says so.

Answerable for telling the director what happens (time, states, true volume, signals, commands), for
carrying out its cues, and for a record of kind ``fault`` in the session log at each begin and end.  Not
answerable for when a fault is due (`sim.faults.director`) nor for what it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from controller.flat_json import Scalar
from controller.procedure import events as told
from controller.procedure.table import State
from controller.runner import Observer, Runner
from sim.artefacts import Artefacts
from sim.devices.kinds import DeviceKind
from sim.faults.director import Cue, Director
from sim.faults.line_kinds import LINE_KINDS
from sim.faults.monitor_kinds import ARTEFACTS
from sim.faults.parameters import FaultError
from sim.faults.script import Entry, Possible, read_script
from sim.monitor import SIGNALS
from sim.serve import Served

LOOK_S = 0.1
"""How often the true volume is looked at, while a fault waits for one."""

PULLED = ("disconnect", "hang_up")


def possible_in(pump: DeviceKind) -> Possible:
    """What can break in a rehearsal with such a pump."""
    lines = tuple(line.kind for line in LINE_KINDS)
    return Possible(
        f"a rehearsal with a {pump.name} pump",
        (*pump.faults, *lines, *ARTEFACTS),
        tuple(state.value for state in State),
        SIGNALS,
    )


def read_faults(path: Path, pump: DeviceKind) -> list[Entry]:
    """The entries of a script, all of them possible.  Raises `sim.faults.script.ScriptError`."""
    return read_script(path, possible_in(pump))


@dataclass(frozen=True, slots=True)
class Cable:
    """How the stage pulls its port out and puts it in."""

    unplug: Callable[[], None]
    replug: Callable[[], None]
    later: Callable[[float, Callable[[], None]], object]


class VisitFaults(Observer):
    """Plays the entries from `watch` on.  ``begun``: how often each kind has begun."""

    def __init__(self, entries: Sequence[Entry], chance: Random, cable: Cable) -> None:
        self._entries = entries
        self._chance = chance
        self._cable = cable
        self._director = Director(entries, chance)
        self._served: Served | None = None
        self._runner: Runner | None = None
        self._artefacts: Artefacts | None = None
        self._early: list[Cue] = []
        """What the monitor is still to hear of."""
        self._unwritten: list[Mapping[str, Scalar]] = []
        self._looked = 0.0
        self.begun: dict[str, int] = {}

    def watch(self, served: Served) -> None:
        """The pump is there; the script begins."""
        self._served = served
        self._director = Director(self._entries, self._chance, started_s=served.started_s)
        self._looked = served.now()
        served.device.on_command = self._commanded
        served.watch(self)

    def begin(self, runner: Runner, artefacts: Artefacts) -> None:
        """The visit and its monitor are there."""
        self._runner, self._artefacts = runner, artefacts
        for data in self._unwritten:
            runner.record("fault", data)
        self._unwritten.clear()
        early, self._early = self._early, []
        for cue in early:
            self._on_monitor(cue)

    def never_begun(self) -> list[str]:
        """What a person should know about entries whose moment never came."""
        return [
            f"fault {entry.number} ({entry.kind}) never began: its moment did not come"
            for entry in self._director.waiting()
        ]

    # --- what is told to the director ---------------------------------------------------------------

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
        if self._served is not None and self._director.watches_volume:
            delivered_nl = self._served.device.truth().delivered_nl
            self._play(self._director.delivered(delivered_nl, now))

    def snapshot(self) -> object:
        """A visit is never put back."""
        return None

    def restore(self, state: Any) -> None:  # noqa: ANN401  # as `sim.serve.Watcher` has it
        del state

    def state_changed(self, runner: Runner, previous: State) -> None:
        del previous
        self._play(self._director.entered(runner.state.value, self._now()))
        self._wake()

    def vitals_seen(
        self, runner: Runner, vitals: told.VitalsArrived, raw: Mapping[str, object]
    ) -> None:
        del runner, vitals
        shown = {
            name: float(value)
            for name in SIGNALS
            if isinstance(value := raw.get(name), int | float)
        }
        self._play(self._director.signals(shown, self._now()))
        self._wake()

    def _commanded(self, name: str) -> None:
        self._play(self._director.commanded(name, self._now()))

    def _now(self) -> float:
        return 0.0 if self._served is None else self._served.now()

    def _wake(self) -> None:
        """The pump is to be looked at when what has just been planned is due."""
        if self._served is not None:
            self._served.watch(self)

    # --- what the director wants done ---------------------------------------------------------------

    def _play(self, cues: Sequence[Cue]) -> None:
        for cue in cues:
            data: dict[str, Scalar] = {"fault": cue.entry.kind, "active": cue.begins}
            try:
                self._carry_out(cue)
            except FaultError as problem:  # a key that is not taken now, for one
                data |= {"active": False, "not_done": str(problem)}
            else:
                if cue.begins:
                    self.begun[cue.entry.kind] = self.begun.get(cue.entry.kind, 0) + 1
                    data |= cue.entry.parameters
            self._write(data)

    def _carry_out(self, cue: Cue) -> None:
        kind = cue.entry.kind
        if kind in ARTEFACTS:
            self._on_monitor(cue)
        elif kind in PULLED:
            self._on_cable(cue)
        elif self._served is not None and cue.begins:
            self._served.inject(kind, **cue.entry.parameters)
        elif self._served is not None:
            self._served.clear(kind)

    def _on_monitor(self, cue: Cue) -> None:
        if self._artefacts is None:
            self._early.append(cue)
        elif cue.begins:
            self._artefacts.switch_on(cue.entry.kind)
        else:
            self._artefacts.switch_off(cue.entry.kind)

    def _on_cable(self, cue: Cue) -> None:
        if not cue.begins:
            self._cable.replug()
            return
        self._cable.unplug()
        if cue.entry.kind == "hang_up":
            self._cable.later(float(cue.entry.parameters["reopen_after_s"]), self._cable.replug)

    def _write(self, data: Mapping[str, Scalar]) -> None:
        if self._runner is None:
            self._unwritten.append(data)
        else:
            self._runner.record("fault", data)
