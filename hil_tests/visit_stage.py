"""Scenes of a visit for tests and for the table of what was reached: one procedure, one trouble, one seed.

A scene is a whole rehearsal (controller, bridge, gate, wire, pump, patient) in which something is broken
at a moment: a sensor, a cable, the disk, the syringe, or the people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from controller.cli.clinicians import Script
from controller.cli.options import existing_plan
from controller.cli.rehearsal import Rehearsed, Stage
from controller.log_format import decode_line, longest_valid_prefix
from controller.log_storage import MemoryStorage
from controller.operators import parse_script
from controller.plan import Plan
from controller.previous import with_previous
from controller.procedure.table import TABLE, State
from controller.replay import replay
from controller.runner import Observer, Runner
from firmware_bridge.quantities import Duration, Volume
from sim.devices.base import Reply
from sim.devices.new_era import NewEraPump
from sim.mechanics import Mount
from sim.virtual_loop import run_virtual

BUDGET_S = 12 * 3600.0
KETAMINE, FOLLOW_UP = "ketamine-first-visit", "ketamine-follow-up"
CHRONIC, PERI = "lidocaine-chronic-pain", "lidocaine-peri-operative"
PROCEDURES = (KETAMINE, FOLLOW_UP, CHRONIC, PERI)

Deed = Callable[[Stage], None]


class Disk(MemoryStorage):
    """A disk that can be full."""

    full = False

    def write(self, data: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(data)


class SlowPump(NewEraPump):
    """A pump whose crystal is 3 % slow: it counts rightly, and takes longer."""

    SPEED = 0.97

    def advance(self, now: float) -> list[Reply]:
        return super().advance(now * self.SPEED)

    def next_event(self, now: float) -> float | None:
        due = super().next_event(now * self.SPEED)
        return None if due is None else due / self.SPEED


class At(Observer):
    """Does a deed once, so many seconds after a state was entered for the first time."""

    def __init__(self, state: State, after_s: float, deed: Deed) -> None:
        self._state, self._after_s, self._deed = state, after_s, deed
        self._stage: Stage | None = None
        self._done = False

    def on_stage(self, stage: Stage) -> None:
        """The stage it happens on."""
        self._stage = stage

    def state_changed(self, runner: Runner, previous: State) -> None:
        stage = self._stage
        if runner.state is self._state and not self._done and stage is not None:
            self._done = True
            runner.loop.call_later(self._after_s, self._deed, stage)


@dataclass(frozen=True)
class Scene:
    """``script`` is an operator script as text; ``expects`` are alarms that must have been raised.

    ``path``: states that must follow each other.  ``crashes_in``: the controller died on entering this state, and this is the visit that found its log.
    """

    name: str
    procedure: str
    script: str
    deeds: tuple[tuple[State, float, Deed], ...] = ()
    expects: tuple[str, ...] = ()
    change: Callable[[Plan], Plan] = lambda plan: plan
    storage: Callable[[], MemoryStorage] = MemoryStorage
    path: str = ""
    slow_pump: bool = False
    crashes_in: State | None = None
    seed: int = 7


def play(
    scene: Scene,
    *,
    observers: tuple[Observer, ...] = (),
    on_stage: Callable[[Stage], None] = lambda _stage: None,
) -> tuple[Rehearsed, Stage]:
    """The scene from beginning to end, and its stage; ``on_stage`` sees it before it begins."""
    plan = scene.change(plan_of(scene.procedure))
    storage, recovered = scene.storage(), None
    if scene.crashes_in is not None:
        before, _ = play(replace(scene, crashes_in=None, script=USEFUL))[1], None
        kept = _until(before.storage.contents(), scene.crashes_in)
        storage = MemoryStorage(kept)
        recovered = replay(longest_valid_prefix(kept).records).recovered
    ats = tuple(At(*deed) for deed in scene.deeds)
    script = parse_script(scene.script.encode(), scene.name)
    mount = Mount(plan.syringe.diameter_um, plan.syringe.size.nl, plan.syringe.loaded.nl)
    stage = Stage(
        plan,
        scene.seed,
        lambda _draw: Script(script),
        storage=storage,
        recovered=recovered,
        pump=SlowPump(mount=mount) if scene.slow_pump else None,
        observers=(*ats, *observers),
    )
    for at in ats:
        at.on_stage(stage)
    on_stage(stage)
    rehearsed, _ = run_virtual(stage.run, seed=scene.seed, budget_s=BUDGET_S)
    return rehearsed, stage


@cache
def plan_of(procedure: str) -> Plan:
    """The shipped plan; a follow-up with what a first visit, with dissociation after 10 mg, proposes."""
    plan = existing_plan(procedure)
    if procedure != FOLLOW_UP:
        return plan
    _, earlier = play(Scene("an earlier visit", KETAMINE, USEFUL))
    return with_previous(plan, "an earlier visit", earlier.events())


def _until(log: bytes, state: State) -> bytes:
    """The log as far as the record that this state was entered."""
    kept = b""
    for line in log.splitlines(keepends=True):
        kept += line
        record = decode_line(line.rstrip())
        if record["kind"] == "state" and record["to"] == state.value:
            break
    return kept


# --- what may happen ------------------------------------------------------------------------------


def shows(**values: float | None) -> Deed:
    """From now on the monitor shows these values; None: none at all."""

    def deed(stage: Stage) -> None:
        def disturb(line: Mapping[str, object]) -> Mapping[str, object]:
            changed = {**line, **values}
            return {key: value for key, value in changed.items() if value is not None}

        stage.disturb = disturb

    return deed


def as_it_is(stage: Stage) -> None:
    """The monitor shows what is there again."""
    stage.disturb = lambda line: line


def breaks(kind: str) -> Deed:
    """The pump has this fault."""
    return lambda stage: stage.served.inject(kind)


def mended(stage: Stage) -> None:
    """The pump has no fault any more."""
    stage.served.clear()


def acknowledged(stage: Stage) -> None:
    """Somebody says that the alarms were seen."""
    if stage.runner is not None:
        stage.runner.acknowledge("nurse")


def disk_full(stage: Stage) -> None:
    if isinstance(stage.storage, Disk):
        stage.storage.full = True


def silent(stage: Stage) -> None:
    """No more samples come, and the connection stays."""
    if stage.world is not None:
        stage.world.stop()


def bridge_gone(stage: Stage) -> None:
    """The bridge is killed; another takes its place."""
    stage.bridges[-1].cancel()


def loaded(ml: float) -> Callable[[Plan], Plan]:
    """A syringe with no more in it than this."""
    return lambda plan: replace(plan, syringe=replace(plan.syringe, loaded=Volume.from_ml(ml)))


def little_slack(plan: Plan) -> Plan:
    """The motor may be on for 2 % longer than planned, and no more."""
    rule = plan.infusion
    ceiling = Duration(rule.duration.ms * 102 // 100)
    return replace(plan, infusion=replace(rule, ceiling=ceiling))


# --- scripts --------------------------------------------------------------------------------------


def says(state: str, after_s: float = 600, **words: str | float) -> str:
    """One answer of a script."""
    lines = [f'{key} = "{v}"' if isinstance(v, str) else f"{key} = {v}" for key, v in words.items()]
    return "\n".join(["[[answer]]", f'in = "{state}"', f"after_s = {after_s:g}", *lines, "", ""])


USEFUL = says("observing", response="dissociation")
ANXIOUS = says("observing", 300, response="anxiety")
END = says("holding", 60, action="abort")
RESUME = says("holding", 120, action="resume")
RECOVER = says("holding", 60, action="recover")
NOTHING = says("observing", response="nothing", dose_mg=5.0)
GIVEN = says("rescue", 30, action="given", midazolam_mg=2.0)


# --- what was reached -----------------------------------------------------------------------------


@dataclass
class Reached:
    """States, ways between them and alarms, each with where it was seen first."""

    states: dict[str, str] = field(default_factory=dict)
    ways: dict[tuple[str, str], str] = field(default_factory=dict)
    alarms: dict[str, str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    runs: int = 0

    def add(self, where: str, rehearsed: Rehearsed, stage: Stage) -> None:
        """What one run has seen."""
        self.runs += 1
        for record in stage.events():
            if record["kind"] == "state":
                before, to = str(record["from"]), str(record["to"])
                self.states.setdefault(to, where)
                if before:
                    self.ways.setdefault((before, to), where)
        for alarm_id in rehearsed.report.alarms:  # a log that cannot be written does not say so
            self.alarms.setdefault(alarm_id, where)
        self.violations += [f"{where}: {v}" for v in rehearsed.violations]

    def join(self, other: Reached) -> None:
        """What another run has seen; what was seen here stays as it is."""
        self.runs += other.runs
        for key, where in other.states.items():
            self.states.setdefault(key, where)
        for way, where in other.ways.items():
            self.ways.setdefault(way, where)
        for alarm_id, where in other.alarms.items():
            self.alarms.setdefault(alarm_id, where)
        self.violations += other.violations

    def table(self, alarm_ids: tuple[str, ...]) -> str:
        """Lines of text: every state, way and alarm, and where it was reached first."""
        rows = [f"{self.runs} visits, violations: {len(self.violations)}", "", "state"]
        rows += [f"  {s.value:<24}{self.states.get(s.value, '-')}" for s in State]
        rows.append("way")
        for before, to in WAYS:
            rows.append(f"  {before + ' -> ' + to:<40}{self.ways.get((before, to), '-')}")
        rows.append("alarm")
        rows += [f"  {alarm_id:<28}{self.alarms.get(alarm_id, '-')}" for alarm_id in alarm_ids]
        return "\n".join(rows)


FROM_EVERYWHERE = frozenset({State.ABORTED, State.EMERGENCY_STOPPED, State.FAULT})
WAYS = tuple(
    dict.fromkeys(
        (source.value, target.value)
        for (source, _), target in TABLE.items()
        if target not in FROM_EVERYWHERE
    )
)
"""Every way between two states that is not open to all."""
