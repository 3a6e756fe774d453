"""Visits that are run up to a drawn instant and stopped there, with everything seen that the pump was told.

A visit of its own for each instant, on a short procedure and a script that leads straight into the state.
The press comes either at a uniformly drawn moment of the state, or right behind one of the first frames
that the bridge sends in it, where orders are exchanged.  Half of the cables are quick, half are as
slow as the pump's own line (19,200 baud), so that a frame can really be in transmission.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import count

from controller.cli.clinicians import Script
from controller.cli.rehearsal import Rehearsed, Stage
from controller.library import load_library
from controller.operators import parse_script
from controller.plan import Plan, parse_plan
from controller.procedure.table import State
from controller.runner import Observer, Runner
from firmware_bridge.latch import Latch, MemoryLatch
from firmware_bridge.transports import memory
from sim.devices.base import Reply
from sim.devices.new_era import NewEraPump
from sim.mechanics import Mount, Truth
from sim.virtual_loop import run_virtual

BYTE_S = 10 / 19_200
"""A byte on the line of a New Era pump as it leaves the factory: 19,200 baud, ten bits."""

QUICK_S = 0.0005
"""A cable that takes hardly any time, but some: no exchange begins and ends in the instant of a press."""

STANDS_WITHIN_S = 0.3
"""ES-1: simulated motion is zero 300 ms after an emergency stop."""

AFTERWARDS_S = 30.0
"""How long the plunger is watched after the visit: ten leases."""

VISIT_S = 3600.0

_TIMES = {"baseline_vitals_s": 10, "observing_s_min": 60, "observing_answer_s": 90}


def _short_plan() -> Plan:
    """The shipped first visit with the shortest times that the procedure allows."""
    folder = files("controller") / "data" / "procedures"
    text = (folder / "ketamine-first-visit.toml").read_text()
    for key, value in _TIMES.items():
        text, found = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert found == 1, key
    return parse_plan(text.encode(), "short visit", load_library())


PLAN = _short_plan()


def _answer(state: str, after_s: float, said: str) -> str:
    return f'[[answer]]\nin = "{state}"\nafter_s = {after_s}\n{said}\n'


_HOLD = _answer("test_bolus", 10, 'action = "hold"')
_NOTHING = (
    _answer("observing", 60, 'response = "nothing"\ndose_mg = 7.5')
    + '[[answer]]\nin = "titrating"\naccept_soft = true\n'
)

WAYS: dict[State, str] = {
    State.PREPARING: "",
    State.SELF_TEST: "",
    State.BASELINE: "",
    State.TEST_BOLUS: "",
    State.OBSERVING: "",
    State.TITRATING: _NOTHING,
    State.INFUSING: _answer("observing", 60, 'response = "dissociation"'),
    State.HOLDING: _HOLD,
    State.RESCUE: _answer("test_bolus", 10, 'action = "anxiety"')
    + _answer("rescue", 60, 'action = "given"\nmidazolam_mg = 2.0'),
    State.RECOVERING: _HOLD + _answer("holding", 1, 'action = "recover"'),
}
"""For each state that a visit can be in: the operator script that leads there soonest."""

LONGEST_S = {State.INFUSING: 300.0}
"""How much of a long state instants are drawn from; 60 s elsewhere, all of it where it is shorter."""

FRAMES = 16
"""Behind which of the first frames of a state a press may come: a start takes about ten."""


class HeardPump(NewEraPump):
    """The simulated pump, which also remembers what reached it, and when."""

    def __init__(self) -> None:
        syringe = PLAN.syringe
        super().__init__(mount=Mount(syringe.diameter_um, syringe.size.nl, syringe.loaded.nl))
        self.heard: list[tuple[float, bytes]] = []

    def feed(self, data: bytes, now: float) -> list[Reply]:
        self.heard.append((now, data))
        return super().feed(data, now)


def command(frame: bytes) -> str:
    """The text of one frame from the host, in either framing, without the pump's address."""
    text = frame[2:-3] if frame.startswith(b"\x02") else frame.rstrip(b"\r")
    return text.decode("ascii").lstrip("0123456789")


STOP = "STP"


def is_stop_or_query(frame: bytes) -> bool:
    """A bare word other than the starts and resets asks and changes nothing."""
    text = command(frame)
    return (
        text == STOP or (text.isalpha() and text not in {"RUN", "PUR", "BUZ", "RESET"}) or not text
    )


class Bench(Stage):
    """A rehearsal whose wires are watched; ``slow`` gives the pump's line its own speed."""

    def __init__(self, way: str, seed: int, *, slow: bool, latch: Latch | None = None) -> None:
        super().__init__(
            PLAN,
            seed,
            lambda _draw: Script(parse_script(way.encode(), "script")),
            latch=latch or MemoryLatch(),
        )
        self.slow = slow
        self.pump = self.heard = HeardPump()
        self.told: list[tuple[float, bytes]] = []
        self.upstream: list[tuple[float, bytes]] = []
        self.on_frame: Callable[[bytes], None] = lambda _frame: None

    def _plug(self, loop: asyncio.AbstractEventLoop) -> memory.MemoryTransport:
        def cable(name: str) -> memory.Cable:
            if self.slow:
                return memory.Cable(stream=self.stream(name), byte_s=BYTE_S)
            return memory.Cable(stream=self.stream(name), delay_s=QUICK_S)

        def tap(name: str, data: bytes) -> None:
            self._tap(name, data)
            if name == "bridge":
                self.told.append((loop.time(), data))
                self.on_frame(data)

        self.host_end, pump_end = memory.pair(
            loop,
            a_name="bridge",
            b_name="pump",
            cable_ab=cable("to pump"),
            cable_ba=cable("from pump"),
            tap=tap,
        )
        return pump_end

    def _tap(self, name: str, data: bytes) -> None:
        super()._tap(name, data)
        if name == "controller":
            self.upstream.append((asyncio.get_running_loop().time(), data))


@dataclass(frozen=True, slots=True)
class Instant:
    """Where a press comes: so long after entering the state, or behind its nth frame to the pump."""

    state: State
    seed: int
    slow: bool
    after_s: float
    nth_frame: int | None = None

    def __str__(self) -> str:
        where = f"{self.after_s:.6f} s"
        if self.nth_frame is not None:
            where += f" behind frame {self.nth_frame}"
        return f"{self.state.value}: {where} (seed {self.seed}, {'slow' if self.slow else 'quick'})"


def drawn(seed: int) -> Instant:
    """One instant: the state uniformly, then the moment in it."""
    draw = random.Random(f"instant {seed}")
    state = draw.choice(list(WAYS))
    slow = draw.random() < 0.5
    lasts_s, frames = span(state)
    if draw.random() < 0.5:
        return Instant(state, seed, slow, draw.random() * lasts_s)
    behind_s = draw.choice((0.0, draw.random() * 0.02))
    return Instant(state, seed, slow, behind_s, draw.randrange(min(frames, FRAMES)))


def moment(state: State) -> Instant:
    """The middle of this state."""
    return Instant(state, 0, slow=False, after_s=span(state)[0] / 2)


@cache
def span(state: State) -> tuple[float, int]:
    """How long this state lasts, within `LONGEST_S`, and how many frames the pump is sent in it."""
    watch = _Span(state, LONGEST_S.get(state, 60.0))
    bench = Bench(WAYS[state], 0, slow=False)
    bench.observers = (watch,)
    bench.on_runner = watch.begun
    run_virtual(bench.run, seed=0, budget_s=VISIT_S)
    first, last = watch.entered_at, watch.entered_at + watch.lasted_s
    return watch.lasted_s, sum(first <= at < last for at, _ in bench.told)


class _Span(Observer):
    """Ends a visit when a state has been left, or has lasted so long."""

    def __init__(self, state: State, longest_s: float) -> None:
        self.lasted_s = longest_s
        self._state = state
        self.entered_at = -1.0

    def begun(self, runner: Runner) -> None:
        if runner.state is self._state:
            self._entered(runner)

    def state_changed(self, runner: Runner, previous: State) -> None:
        if self.entered_at < 0:
            self.begun(runner)
        elif previous is self._state:
            self.lasted_s = min(self.lasted_s, runner.loop.time() - self.entered_at)
            runner.loop.call_soon(runner.stop_now, "the test")

    def _entered(self, runner: Runner) -> None:
        self.entered_at = runner.loop.time()
        runner.loop.call_later(self.lasted_s, runner.stop_now, "the test")


@dataclass(slots=True)
class Pressed(Observer):
    """One visit that was stopped at one instant, and everything there is to know about it.

    ``arrange`` is called when the state is entered, ``disturb`` in the instant of the press: behind it,
    or before it with up to ``turns`` turns of the loop in between, as the seed says.
    """

    instant: Instant
    press: Callable[[Pressed], None]
    arrange: Callable[[Pressed], None] = lambda _pressed: None
    disturb: Callable[[Pressed], None] = lambda _pressed: None
    turns: int = 6
    bench: Bench = field(init=False)
    runner: Runner = field(init=False)
    rehearsed: Rehearsed = field(init=False)
    draw: random.Random = field(init=False)
    found: State | None = None
    at_s: float = -1.0
    told_before: int = -1
    heard_before: int = -1
    upstream_before: int = -1
    in_time: Truth | None = None
    confirmed: Truth | None = None
    afterwards: Truth = field(init=False)
    was_over: bool = False
    at_once: State | None = None
    said_first: bytes = b""
    raises: asyncio.Event | None = None
    past_the_hand: bool = False
    ids: count[int] = field(default_factory=lambda: count(10_000))

    def run(self) -> Pressed:
        """The visit to its end, and half a minute of watching the plunger."""
        instant = self.instant
        self.draw = random.Random(f"press {instant.seed}")
        self.bench = Bench(WAYS[instant.state], instant.seed, slow=instant.slow)
        self.bench.observers = (self,)
        self.bench.on_runner = self._begun
        self.rehearsed, _ = run_virtual(self._watched, seed=instant.seed, budget_s=VISIT_S)
        return self

    async def _watched(self) -> Rehearsed:
        rehearsed = await self.bench.run()
        await asyncio.sleep(AFTERWARDS_S)
        self.afterwards = self.bench.served.truth()
        return rehearsed

    def _begun(self, runner: Runner) -> None:
        self.runner = runner
        if self.instant.state is runner.state:
            self._entered()

    def state_changed(self, runner: Runner, previous: State) -> None:
        if runner.state is self.instant.state and self.found is None:
            self._entered()

    def pump_seen(self, runner: Runner, snapshot: object) -> None:
        if self.confirmed is None and runner.hand.stop_confirmed_s is not None:
            self.confirmed = self.bench.served.truth()

    def _entered(self) -> None:
        self.found = self.instant.state
        self.arrange(self)
        loop, instant = self.runner.loop, self.instant
        if instant.nth_frame is None:
            loop.call_later(instant.after_s, self._come)
            return
        frames = count()

        def seen(_frame: bytes) -> None:
            if next(frames) == instant.nth_frame:
                loop.call_later(instant.after_s, self._come)

        self.bench.on_frame = seen

    def _come(self) -> None:
        """The instant has come."""
        self.found = self.runner.state
        bench = self.bench
        self.at_s = self.runner.loop.time()
        self.told_before, self.upstream_before = len(bench.told), len(bench.upstream)
        self.heard_before = len(bench.heard.heard)
        self.runner.loop.call_later(STANDS_WITHIN_S, self._look_in_time)
        if self.draw.random() < 0.5:
            self.disturb(self)
            self._after_turns(self.draw.randrange(self.turns + 1))
        else:
            self._press()
            self.disturb(self)

    def _after_turns(self, turns: int) -> None:
        if turns:
            self.runner.loop.call_soon(self._after_turns, turns - 1)
        else:
            self._press()

    def _press(self) -> None:
        self.was_over = self.runner.finished.done()
        said = len(self.bench.upstream)
        self.press(self)
        self.at_once = self.runner.state
        self.said_first = self.bench.upstream[said][1] if len(self.bench.upstream) > said else b""

    def _look_in_time(self) -> None:
        self.in_time = self.bench.served.truth()
