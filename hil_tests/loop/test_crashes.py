"""The controller dies, the bridge dies, both die, the cable comes out: at any instant of a visit.

In virtual time, on a line of 19 200 baud.  What is asserted is what the plunger of the simulated pump
really did (invariant 1 of ARCHITECTURE.md), what the next controller says about it, and that nothing
goes on before a person says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import pytest

from controller.cli.rehearsal import Rehearsed
from controller.log_format import longest_valid_prefix, verify
from controller.log_storage import MemoryStorage
from controller.procedure.table import CLOSED, State
from controller.procedure.visit import Status
from controller.replay import replay
from hil_tests.loop.crash_stage import (
    PATIENCE_S,
    STOP_S,
    STROKE_NL,
    Asked,
    At,
    CrashStage,
    Person,
    chance,
    short_plan,
    true_volume,
)
from sim.devices.new_era import NewEraPump
from sim.virtual_loop import run_virtual

PLAN = short_plan()
SEEDS = range(32)
BUDGET_S = 4 * 3600.0
AGREE_NL = 50_000
COUNTER_NL = 10_000
"""One digit of a counter that has passed 9.999 mL; below, it is a tenth of this."""

ANSWER_S = 0.008
"""Sooner than a pump's answer to RUN can have come: nine bytes there and nine back take 9 ms."""

BEFORE_DRUG = (State.PREPARING, State.SELF_TEST, State.BASELINE)
AFTER_DRUG = (State.RESCUE, State.RECOVERING)
STATES: dict[State, tuple[float, Callable[[], Person]]] = {
    # how long the state lasts, and the person who leads there
    State.PREPARING: (18, lambda: Person("dissociation")),
    State.SELF_TEST: (4, lambda: Person("dissociation")),
    State.BASELINE: (14, lambda: Person("dissociation")),
    State.TEST_BOLUS: (61, lambda: Person("dissociation")),
    State.OBSERVING: (64, lambda: Person("dissociation")),
    State.TITRATING: (62, lambda: Person("nothing", "dissociation")),
    State.INFUSING: (600, lambda: Person("dissociation")),
    State.HOLDING: (100, lambda: Person("dissociation", hold_after_s=200)),
    State.RESCUE: (30, lambda: Person("anxiety")),
    State.RECOVERING: (120, lambda: Person("dissociation")),
}
"""Every state that a crash can interrupt; all others are ends."""

OFTEN = (*STATES, State.INFUSING, State.TEST_BOLUS, State.INFUSING, State.TITRATING)
"""Most is at stake while something is delivered."""


@dataclass(slots=True)
class Scene:
    """One visit up to the instant at which something breaks, and what is looked at afterwards."""

    seed: int
    stage: CrashStage
    broke_in: State

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self.stage.loop

    def plunger_nl(self) -> int:
        return true_volume(self.stage.pump, self.loop)


async def broken(seed: int, what: Callable[[CrashStage], None]) -> Scene:
    """The visit of this seed, at the instant of this seed, at which ``what`` has just been done."""
    draw = chance(seed)
    state = OFTEN[seed % len(OFTEN)]
    lasts_s, person = STATES[state]
    after_s = draw.uniform(0, lasts_s)
    if draw.random() < 0.4:  # the two seconds in which a person confirms and the pump is programmed
        after_s = draw.uniform(0, 3.5)
    reached = asyncio.Event()
    at = At(state, after_s, reached.set)
    stage = CrashStage(PLAN, seed, lambda _draw: person(), observers=(at,), on_runner=at.begin)
    stage.begin()
    stage.task.add_done_callback(lambda _task: reached.set())
    await reached.wait()
    assert not stage.task.done(), stage.task.result()
    assert stage.runner is not None
    scene = Scene(seed, stage, stage.runner.state)
    scene.plunger_nl()
    stage.crash()
    what(stage)
    return scene


def at_any_instant(
    scenario: Callable[[int], Coroutine[Any, Any, None]],
) -> Callable[[int], None]:
    """Run the scenario in virtual time, once for each seed."""

    def test(seed: int) -> None:
        run_virtual(lambda: scenario(seed), seed=seed, budget_s=BUDGET_S)

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    return pytest.mark.parametrize("seed", SEEDS)(test)


# --- what must hold -------------------------------------------------------------------------------


async def bounded(scene: Scene) -> None:
    """Half a minute later the plunger has not come further than the last renewal allowed."""
    await asyncio.sleep(30)
    scene.stage.look_back()
    assert scene.stage.beyond == []


def finished_well(scene: Scene, stage: CrashStage, rehearsed: Rehearsed) -> None:
    """The visit came to a good end, with no more drug than was confirmed, all of it accounted for."""
    report = rehearsed.report
    assert stage.beyond == []
    assert rehearsed.violations == ()
    aborted = report.final_state == "aborted" and scene.broke_in in BEFORE_DRUG
    assert aborted or report.outcome.value in {"completed", "rescued"}, report
    if scene.broke_in not in AFTER_DRUG and not aborted:
        ways = [(r["from"], r["to"]) for r in stage.events() if r["kind"] == "state"]
        assert told(stage) or ("infusing", "recovering") in ways, ways
    test_nl = 1_500_000 if scene.broke_in is State.TITRATING else 1_000_000
    assert scene.plunger_nl() <= test_nl * 1.5 + COUNTER_NL
    told_or_true(stage)
    assert isinstance(stage.pump, NewEraPump)
    if not aborted:  # an abort does not wait for another bridge, which alone could put this back
        assert stage.pump.snapshot().settings.safe_s == 0  # other software is answered again
    assert verify(stage.storage.contents()).ok
    assert not stage.latch.is_set


def told(stage: CrashStage) -> bool:
    """Whether the person knows that log and pump do not agree, or that nobody knows the count."""
    assert stage.runner is not None
    visit = stage.runner.visit
    uncertain = any(d.status is Status.UNCERTAIN for d in visit.account.deliveries)
    return uncertain or bool(visit.chart.disagreement)


def told_or_true(stage: CrashStage) -> None:
    """What is believed is what happened, or the person is told; and what counts is never too little."""
    assert stage.runner is not None
    visit, true_nl = stage.runner.visit, stage.plunger_nl
    believed_nl = visit.account.delivered.nl
    if not told(stage):
        assert abs(believed_nl - true_nl) <= max(AGREE_NL, true_nl // 100), (believed_nl, true_nl)
    assert visit.account.volume_counted.nl + COUNTER_NL >= true_nl


def programmed_before_a_start(writes: list[bytes]) -> None:
    """Before the first start among these everything that decides over the dose was sent again."""
    text = b"|".join(writes)
    start = text.find(b"RUN")
    for setting in (b"DIA", b"DIR", b"SAF", b"VOL", b"RAT"):
        assert start < 0 or setting in text[:start], setting


# --- the bridge dies ------------------------------------------------------------------------------


@at_any_instant
async def test_a_killed_bridge_leaves_a_bounded_delivery_and_a_visit_that_a_person_can_finish(
    seed: int,
) -> None:
    scene = await broken(seed, CrashStage.kill_bridge)
    killed_at = scene.loop.time()
    await bounded(scene)
    rehearsed = await scene.stage.task
    writes = [data for at, data in scene.stage.pump_writes if at > killed_at]
    if rehearsed.report.final_state == "discharged":  # a self-test without its bridge ends a visit
        assert len(scene.stage.bridges) == 2
        assert b"STP" in writes[0]
    programmed_before_a_start(writes)
    finished_well(scene, scene.stage, rehearsed)


# --- the cable comes out ----------------------------------------------------------------------------


@at_any_instant
async def test_replugging_recovers_without_a_restart_into_a_stopped_pump(seed: int) -> None:
    scene = await broken(seed, CrashStage.unplug)
    stage = scene.stage
    await asyncio.sleep(chance(seed + 1_000).uniform(0.05, 30))
    stage.replug()
    plugged_at = scene.loop.time()
    await bounded(scene)
    rehearsed = await stage.task
    assert len(stage.bridges) == 1
    writes = [data for at, data in stage.pump_writes if at > plugged_at]
    assert b"STP" in writes[0]
    programmed_before_a_start(writes)
    finished_well(scene, stage, rehearsed)


# --- the controller dies ----------------------------------------------------------------------------


@at_any_instant
async def test_a_restarted_controller_opens_in_holding_and_a_person_can_finish_the_visit(
    seed: int,
) -> None:
    logs: list[MemoryStorage] = []
    scene = await broken(seed, lambda stage: logs.append(stage.kill_controller()))
    before_nl, rate_nl_h = scene.plunger_nl(), scene.stage.rate_nl_h
    await asyncio.sleep(1.0)
    # The end of the pipe is a stop at once: no dead-man was needed.
    assert scene.plunger_nl() <= before_nl + rate_nl_h * STOP_S / 3_600 + STROKE_NL
    await scene.stage.buried()
    await goes_on(scene, logs[0])


@at_any_instant
async def test_after_both_have_died_the_pump_stops_by_itself_and_the_next_controller_asks(
    seed: int,
) -> None:
    logs: list[MemoryStorage] = []

    def kill_both(stage: CrashStage) -> None:
        stage.kill_bridge()
        logs.append(stage.kill_controller())

    scene = await broken(seed, kill_both)
    await scene.stage.buried()
    if seed % 3:  # the others meet a pump that may still be running
        await asyncio.sleep(chance(seed + 1_000).uniform(0, 10))
    await goes_on(scene, logs[0])


@pytest.mark.parametrize("number", [1, 2], ids=["test bolus", "infusion"])
@pytest.mark.parametrize("seed", range(8))
def test_a_start_whose_answer_nobody_wrote_down_counts_whole_and_is_not_repeated(
    seed: int, number: int
) -> None:
    async def scenario() -> None:
        stage = CrashStage(PLAN, seed, lambda _draw: Person("dissociation"))
        stage.begin()
        sent = asyncio.Event()
        stage.on_run = lambda start: sent.set() if start == number else None
        await sent.wait()
        await asyncio.sleep(chance(seed).uniform(0, ANSWER_S))
        assert stage.runner is not None
        before = stage.runner.visit.account.deliveries[number - 1]
        assert before.status is Status.STARTING
        scene = Scene(seed, stage, stage.runner.state)
        stage.crash()
        stage.kill_bridge()
        log = stage.kill_controller()
        await stage.buried()
        found = replay(longest_valid_prefix(log.contents()).records).deliveries[number - 1]
        assert found.status is Status.STARTING
        await asyncio.sleep(10)
        again = await goes_on(scene, log)
        assert again is not None
        assert again.runner is not None
        account = again.runner.visit.account
        assert account.deliveries[number - 1].counted >= before.volume
        started = [r["command"] for r in again.events() if r["kind"] == "intent"]
        assert started.count("StartBolus") == 1
        assert started.count("StartInfusion") == 1

    run_virtual(scenario, seed=seed, budget_s=BUDGET_S)


def test_another_pump_than_the_one_that_died_with_the_controller_counts_for_nothing() -> None:
    async def scenario() -> None:
        reached, asked = asyncio.Event(), Asked()
        at = At(State.INFUSING, 60, reached.set)
        stage = CrashStage(PLAN, 1, lambda _draw: Person("dissociation"), observers=(at,))
        stage.begin()
        await reached.wait()
        stage.crash()
        log = stage.kill_controller()
        await stage.buried()
        known = replay(longest_valid_prefix(log.contents()).records).recovered
        assert known.pump != ""
        again = CrashStage(
            PLAN,
            2,
            lambda _draw: Person("dissociation"),
            storage=log,
            latch=stage.latch,
            session=stage.session,
            pump=stage.pump,
            observers=(asked,),
            recovered=replace(known, pump="another kind 1.0"),
            since_nl=0,
        )
        again.begin()
        again.takes_over(stage)
        await asked.event.wait()
        assert again.runner is not None
        (question,) = again.runner.questions.values()
        assert "resume" not in question.choices
        told = [alarm.text for alarm in again.runner.alarms.active]
        assert any("another pump answers than before" in text for text in told)
        await asyncio.sleep(30)
        infusion = again.runner.visit.account.deliveries[-1]
        assert infusion.counted == infusion.volume
        await again.task

    run_virtual(scenario, seed=1, budget_s=BUDGET_S)


async def goes_on(scene: Scene, log: MemoryStorage) -> CrashStage | None:
    """A new controller on what the old one left: stopped, in holding, asking; then a person goes on."""
    found = replay(longest_valid_prefix(log.contents()).records)
    if found.state in CLOSED:
        return None
    asked = Asked()
    again = CrashStage(
        PLAN,
        scene.seed + 1_000,
        lambda _draw: Person("dissociation"),
        storage=log,
        latch=scene.stage.latch,
        session=scene.stage.session,
        pump=scene.stage.pump,
        observers=(asked,),
        recovered=found.recovered,
        since_nl=0,
    )
    again.begin()
    again.takes_over(scene.stage)
    await opens_in_holding(again, asked, scene.broke_in)
    rehearsed = await again.task
    assert b"STP" in again.pump_writes[0][1]
    programmed_before_a_start([data for _, data in again.pump_writes])
    finished_well(scene, again, rehearsed)
    return again


async def opens_in_holding(again: CrashStage, asked: Asked, broke_in: State) -> None:
    """It stops, reads, says so, asks, and waits: nothing moves until the person has answered."""
    async with asyncio.timeout(10):
        await asked.event.wait()
    runner = again.runner
    assert runner is not None
    assert runner.state is State.HOLDING
    assert runner.visit.chart.hold_reason == "interrupted"
    assert any(alarm.id == "interrupted" for alarm in runner.alarms.active)
    stands_at_nl = again.plunger_nl
    await asyncio.sleep(0.9 * PATIENCE_S)
    again.look_back()
    assert runner.state is State.HOLDING
    assert again.starts == 0
    assert again.plunger_nl == stands_at_nl
    told_or_true(again)
    last = runner.visit.account.last
    if broke_in is State.INFUSING and last is not None and last.programmed_volume is not None:
        # The pump has kept its count, so log and pump agree and the rest can be given.
        (question,) = runner.questions.values()
        assert "resume" in question.choices, question.text
