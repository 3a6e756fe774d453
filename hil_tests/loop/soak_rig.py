"""A day of a simulated pump: a host that keeps it pumping, a random fault script, and an account of its own.

The account sums up the plunger's speed, looked at whenever it may change, and knows nothing of how the
mechanics count.  Everything runs in virtual time over a pair in memory.
"""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from firmware_bridge.transports import memory
from hil_tests.loop.soak_hosts import HOSTS, QUIRKS, SoakHost
from sim.devices.base import Device, Reply, to_ns, to_s_up
from sim.devices.kinds import DeviceKind, PumpOptions
from sim.faults.director import Director
from sim.faults.kinds import find
from sim.faults.line_kinds import LINE_KINDS
from sim.faults.parameters import FaultError, FaultValue
from sim.faults.script import AtTime, Entry
from sim.mechanics import Drive, Line, Mechanics, Mount, Truth
from sim.ports import MemoryPort
from sim.serve import Served

DAY_S = 86_400.0
FAULTS_A_DAY = 150
AGAIN_S = 700.0
"""Within this every host has said all it has to say."""
PARTS_PER_NL = 3_600 * 10**9
CONTENT_NL = 10**10
"""Ten litres: nothing but a fault empties it within a day."""
REFILLING = frozenset({"empty", "near_end"})
_NO_CABLE = frozenset({"disconnect", "hang_up"})  # another end would be needed; visits show these


class Accountant:
    """A device that is looked at whenever its plunger may change its speed; see `sim.devices.base.Device`.

    ``sum_parts``: the speed, integrated.  ``worst_nl``: the largest difference ever seen from the truth.
    """

    def __init__(self, device: Any) -> None:  # any dialect's pump, mechanics included
        self.device = device
        self.mechanics: Mechanics = device.mechanics
        self.now_ns = 0
        self.rate = 0
        self.sum_parts = 0
        self.rounding_parts = 0
        self.turned_parts = 0
        self.worst_nl = 0.0
        self.looks = 0
        self.content_nl: int | None = None
        self.plunger_nl = 0
        self.problems: list[str] = []

    @property
    def on_command(self) -> Callable[[str], None]:
        command: Callable[[str], None] = self.device.on_command
        return command

    @on_command.setter
    def on_command(self, listener: Callable[[str], None]) -> None:
        self.device.on_command = listener

    def feed(self, data: bytes, now: float) -> list[Reply]:
        said = self._until(now)
        said += self.device.feed(data, now)
        self._look()
        return said

    def next_event(self, now: float) -> float | None:
        due: float | None = self.device.next_event(now)
        return due

    def advance(self, now: float) -> list[Reply]:
        return self._until(now)

    def truth(self) -> Truth:
        truth: Truth = self.device.truth()
        return truth

    def power_cycle(self, now: float) -> list[Reply]:
        return self.inject("reboot", now)

    def inject(self, kind: str, now: float, **parameters: FaultValue) -> list[Reply]:
        said = self._until(now)
        said += self.device.inject(kind, now, **parameters)
        self._look(refilled=kind in REFILLING)
        return said

    def clear(self, kind: str | None, now: float) -> list[Reply]:
        said = self._until(now)
        said += self.device.clear(kind, now)
        self._look(refilled=True)
        return said

    # -- the account ------------------------------------------------------------------------------

    def _until(self, now: float) -> list[Reply]:
        """From one moment at which the speed may change to the next, as far as ``now``."""
        said: list[Reply] = []
        while (due := self._due()) is not None and due < now:
            said += self.device.advance(due)
            self._look()
        said += self.device.advance(now)
        self._look()
        return said

    def _due(self) -> float | None:
        after = self.now_ns / 1e9
        due = [self.device.next_event(after)]
        real = self.mechanics.state.real
        if real is not None and real.inner_ns is not None:
            due.append(to_s_up(real.inner_ns))
        later = [at for at in due if at is not None and to_ns(at) > self.now_ns]
        return min(later, default=None)

    def _look(self, *, refilled: bool = False) -> None:
        """It has moved at the old speed until now, and goes on at this one."""
        truth, now_ns = self.device.truth(), self.mechanics.state.now_ns
        self.looks += 1
        passed = now_ns - self.now_ns
        self.sum_parts += self.rate * passed
        if self.rate:
            self.rounding_parts += (
                passed  # a whole speed is off by half a nL/h at most, and so is its end
            )
        self.now_ns, self.rate = now_ns, truth.rate_nl_h
        self._compare(truth, refilled=refilled)

    def _compare(self, truth: Truth, *, refilled: bool) -> None:
        off_nl = abs(truth.plunger_nl - self.sum_parts / PARTS_PER_NL)
        self.worst_nl = max(self.worst_nl, off_nl)
        self._hold(
            abs(truth.plunger_nl - truth.delivered_nl - truth.stored_nl) <= 1, "a volume is lost"
        )
        if self.content_nl is not None and truth.content_nl is not None and not refilled:
            gone = self.content_nl - truth.content_nl
            moved = truth.plunger_nl - self.plunger_nl
            self._hold(
                abs(gone - moved) <= 1, f"{gone} nL left the syringe, the plunger made {moved}"
            )
        self.content_nl, self.plunger_nl = truth.content_nl, truth.plunger_nl

    def _hold(self, fine: bool, what: str) -> None:
        if not fine and len(self.problems) < 10:
            self.problems.append(f"at {self.now_ns / 1e9:.3f} s: {what}")

    @property
    def allowed_nl(self) -> float:
        """What the whole speeds that it was told may make of difference, and one nanolitre."""
        return self.rounding_parts / PARTS_PER_NL + self.looks / 1e5 + 1.0


def random_script(kind: DeviceKind, chance: Random) -> list[Entry]:
    """What breaks within a day, and for how long; a pure function of the stream."""
    kinds = [*kind.faults, *(line.kind for line in LINE_KINDS if line.kind not in _NO_CABLE)]
    entries = []
    for number in range(FAULTS_A_DAY):
        name = kinds[int(chance.random() * len(kinds))]
        known = find(name)
        parameters = {key: spec.default for key, spec in known.parameters.items()}
        lasting_s = 0.1 * math.exp(chance.random() * math.log(6_000))
        entries.append(
            Entry(
                number,
                name,
                parameters,
                AtTime(chance.random() * DAY_S),
                for_s=lasting_s if known.lasting else None,
            )
        )
    return entries


class Mischief:
    """Plays a script on a served pump; a key that is not taken is no trouble.  See `sim.serve.Watcher`."""

    def __init__(self, served: Served, entries: Sequence[Entry]) -> None:
        self._served = served
        self._director = Director(entries, Random(0), started_s=served.started_s)
        self.done: dict[str, int] = {}
        served.watch(self)

    def next_look(self) -> float | None:
        return self._director.next_due()

    def look(self, now: float) -> None:
        for cue in self._director.time(now):
            try:
                if cue.begins:
                    self._served.inject(cue.entry.kind, **cue.entry.parameters)
                    self.done[cue.entry.kind] = self.done.get(cue.entry.kind, 0) + 1
                else:
                    self._served.clear(cue.entry.kind)
            except FaultError:
                continue

    def snapshot(self) -> object:
        return None

    def restore(self, state: Any) -> None:
        del state


@dataclass
class Day:
    """What came of it."""

    account: Accountant
    done: dict[str, int] = field(default_factory=dict)
    objects: list[int] = field(default_factory=list)
    """How many the collector knew of, hour by hour."""
    still_pumps: bool = False


def a_day_of(
    kind: DeviceKind, seed: int, *, line: Line = Line(), drive: Drive = Drive()
) -> Callable[[], Any]:
    """The coroutine function of one day."""

    async def run() -> Day:
        loop = asyncio.get_running_loop()
        mount = Mount(capacity_nl=CONTENT_NL, loaded_nl=CONTENT_NL)
        options = PumpOptions(
            model=kind.models[0],
            quirks=QUIRKS.get(kind.name, ()),
            mount=mount,
            line=line,
            drive=drive,
        )
        account = Accountant(kind.make(options))
        near, far = memory.pair(loop)
        served = Served(_device(account), loop, MemoryPort(far), seed=seed)
        host: SoakHost = HOSTS[kind.name](near.write)
        near.start(host.heard, lambda _cause: None)
        chance = Random(f"{seed}:{kind.name}:faults")
        mischief = Mischief(served, random_script(kind, chance))
        day = Day(account, mischief.done)
        started = loop.time()
        hour = 1
        while loop.time() - started < DAY_S:
            await host.turn()
            await asyncio.sleep(host.every_s)
            if loop.time() - started >= hour * 3_600.0:
                hour += 1
                gc.collect()
                day.objects.append(len(gc.get_objects()))
        served.watch(None)
        served.clear()
        await _turns(host, AGAIN_S)
        before = served.truth().plunger_nl
        await _turns(host, 60.0)
        day.still_pumps = served.truth().plunger_nl > before
        served.close()
        return day

    return run


async def _turns(host: SoakHost, seconds: float) -> None:
    for _ in range(int(seconds / host.every_s) + 1):
        await host.turn()
        await asyncio.sleep(host.every_s)


def _device(account: Accountant) -> Device:
    return account
