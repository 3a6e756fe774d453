"""Emergency stop in virtual time: at drawn instants of every state, whatever else goes wrong meanwhile.

Six conditions, 200 instants each, after the experiment in which no setting of the state machine's library
passed (`docs/decisions`): a task of the runner that hangs, one that raises, one that swallows its
cancellation and goes on commanding, an event from the background, a dead broker, 10,000 queued events.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

import pytest

from controller.procedure import effects as do
from controller.procedure import events as told
from controller.procedure.questions import Question, answer_to
from controller.procedure.table import State
from controller.runner import Runner
from firmware_bridge import messages as msg
from firmware_bridge.errors import BridgeError
from firmware_bridge.latch import Latch
from firmware_bridge.messages import Code, Ending, PumpAlarm, PumpState
from firmware_bridge.protocols.pumplink import ESTOP_FRAME, FrameDecoder
from firmware_bridge.quantities import Concentration, Duration, Mass, Rate, Volume
from firmware_bridge.transports.memory import MemoryTransport
from hil_tests.loop.bridge_rig import Controller
from hil_tests.loop.estop_rig import (
    STOP,
    VISIT_S,
    WAYS,
    Bench,
    Pressed,
    command,
    drawn,
    is_stop_or_query,
    moment,
)
from sim.serve import serve_memory
from sim.virtual_loop import run_virtual

INSTANTS = 200
"""For each condition."""

BLOCK = 50
"""Instants in one test, so that they can be spread over processes."""

COUNTED_NL = 10_000
"""The resolution of the pump's counter, once for each delivery; more must not go unaccounted for."""

RATE, VOLUME, LEASE = Rate.from_ml_h(60), Volume.from_ml(1), Duration(3_000)
ARM = do.ArmGate(9_001, RATE, VOLUME, VOLUME, Duration.from_s(60), Concentration.from_mg_ml(10))


# --- what goes wrong ------------------------------------------------------------------------------------


def a_task_hangs(pressed: Pressed) -> None:
    pressed.runner.spawn(_for_ever(), "hangs")


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def a_task_will_raise(pressed: Pressed) -> None:
    """In the instant of the press, or in answer to its cancellation."""
    pressed.raises = asyncio.Event()
    pressed.runner.spawn(_raising(pressed.raises), "raises")


async def _raising(now: asyncio.Event) -> None:
    try:
        await now.wait()
    except asyncio.CancelledError:
        raise RuntimeError("raised when it was cancelled") from None
    raise RuntimeError("raised by itself")


def it_raises(pressed: Pressed) -> None:
    if pressed.raises is not None and pressed.draw.random() < 0.7:
        pressed.raises.set()


def a_task_goes_on_commanding(pressed: Pressed) -> None:
    """By the controller's own ways, or past them, so that each of the two gates is seen alone."""
    pressed.past_the_hand = pressed.draw.random() < 0.5
    pressed.runner.spawn(_rogue(pressed), "rogue")


async def _rogue(pressed: Pressed) -> None:
    """Swallows every cancellation; from the press on it gives every command there is, over and over."""
    runner = pressed.runner
    while not runner.finished.done():
        try:
            await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            continue
        if pressed.told_before >= 0:
            command_everything(pressed)


def command_everything(pressed: Pressed) -> None:
    runner, hand = pressed.runner, pressed.runner.hand
    dose = Mass.from_mg(10)
    for effect in (
        ARM,
        do.Configure(9_002, 19_050, Volume.from_ml(20)),
        do.StartBolus(9_003, RATE, VOLUME, dose),
        do.StartInfusion(9_004, RATE, VOLUME, dose),
    ):
        hand.carry_out(effect)
    for question in list(runner.questions.values()):
        runner.answer(question.id, question.proposed or answer_to(question, "resume"), "rogue")
    if pressed.past_the_hand:
        command_past_the_hand(pressed)


def command_past_the_hand(pressed: Pressed) -> None:
    """What a controller without any check of its own would send."""
    link, ids = pressed.runner.hand._link, pressed.ids
    if link is None:
        return
    try:
        link.command(msg.Arm(next(ids), RATE, VOLUME, VOLUME, ARM.time_max, ARM.concentration))
        link.command(msg.Run(next(ids), RATE, VOLUME, LEASE))
        link.command(msg.Bolus(next(ids), RATE, VOLUME, LEASE))
        link.renew(LEASE)
    except BridgeError:
        pass  # the bridge is gone, or more commands are open than it takes


def something_happens(pressed: Pressed) -> None:
    """One event from the background, of any kind, in the instant of the press."""
    pressed.runner.post(pressed.draw.choice(background(pressed)))


def background(pressed: Pressed) -> list[told.Event]:
    """News of every kind, as it could come from a task that nobody awaits."""
    runner = pressed.runner
    boot_id = runner.hand.identity.boot_id if runner.hand.identity else 1
    account = runner.visit.account
    last = account.last.id if account.last else 1
    result = msg.Result(last, Ending.DONE, Code.OK, RATE, VOLUME, "")
    running = msg.Snapshot(
        Duration(1_000), PumpState.RUNNING, RATE, VOLUME, VOLUME, 0, PumpAlarm.NONE, Duration(0)
    )
    answers = [
        told.Answered(q.id, choice, q.proposed.values if q.proposed else {}, "nurse", q.token)
        for q in runner.questions.values()
        for choice in (q.choices or ("",))
    ]
    return [
        *answers,
        *(told.TimerFired(name) for name in runner.visit.deadlines),
        told.CommandEnded(result, "StartInfusion"),
        told.CommandEnded(result, "ArmGate"),
        told.SelfTestEnded(ok=True),
        told.PumpReported(running, boot_id),
        told.LinkRestored(boot_id + 1),
        told.LinkLost("background"),
        told.VitalsLost(),
        told.LogFailed("background"),
        told.StopConfirmed(),
        told.StopUnconfirmed("background"),
        told.Failed("background"),
    ]


def the_broker_dies(pressed: Pressed) -> None:
    pressed.bench.bus.cut()


def ten_thousand_events_wait(pressed: Pressed) -> None:
    """Of every kind that does not by itself end the visit, and no confirmation that nobody gave.

    A forged one would go into the log, and the judge of the rehearsal takes the log at its word.
    """
    runner = pressed.runner
    ending = (
        told.Failed
        | told.StopUnconfirmed
        | told.StopConfirmed
        | told.LogFailed
        | told.LinkLost
        | told.LinkRestored
    )
    kinds = [e for e in background(pressed) if not isinstance(e, ending)]
    for number in range(10_000):
        runner.post(kinds[number % len(kinds)])
    assert runner.backlog >= 10_000


# --- how stop is pressed --------------------------------------------------------------------------------


def pressed_somewhere(pressed: Pressed) -> None:
    """By the runner's own ways, over MQTT, or as the answer to whatever is asked."""
    runner, bus = pressed.runner, pressed.bench.bus
    ways: list[Callable[[], None]] = [
        lambda: runner.stop_now("the test"),
        lambda: runner.stop_from_anywhere("the test"),
    ]
    if bus.connected:
        ways.append(lambda: bus.inject(bus._telemetry.estop_topic, b"stop"))
    ways += [
        partial(runner.answer, question.id, answer_to(question, "estop"), "nurse")
        for question in runner.questions.values()
        if "estop" in question.choices
    ]
    pressed.draw.choice(ways)()


@dataclass(frozen=True, slots=True)
class Condition:
    """What is arranged when the state is entered, what happens at the press, within how many turns."""

    arrange: Callable[[Pressed], None] = lambda _pressed: None
    disturb: Callable[[Pressed], None] = lambda _pressed: None
    turns: int = 6


CONDITIONS = {
    "hanging task": Condition(arrange=a_task_hangs),
    "raising task": Condition(arrange=a_task_will_raise, disturb=it_raises),
    "task that swallows cancellation": Condition(arrange=a_task_goes_on_commanding),
    "background event": Condition(disturb=something_happens),
    "dead broker": Condition(disturb=the_broker_dies),
    "10,000 queued events": Condition(disturb=ten_thousand_events_wait, turns=160),
}


# --- what must hold -------------------------------------------------------------------------------------


def judge(pressed: Pressed) -> None:
    """Everything that must hold after any emergency stop."""
    where = str(pressed.instant)
    report, bench = pressed.rehearsed.report, pressed.bench
    assert bench.latch.is_set, where
    assert pressed.rehearsed.violations == (), where
    only_stop_and_queries(pressed, where)
    if pressed.was_over:  # what happened in that instant ended the visit first, and its end stands
        return
    assert pressed.at_once is State.EMERGENCY_STOPPED, where
    assert pressed.said_first == ESTOP_FRAME, where
    assert report.final_state == "emergency_stopped", where
    assert report.outcome is do.Outcome.EMERGENCY_STOPPED, where
    assert report.stop_confirmed, where
    if not pressed.past_the_hand:
        only_stops_upstream(pressed, where)

    assert pressed.in_time is not None, where
    assert pressed.in_time.rate_nl_h == 0, where
    assert pressed.in_time.steps == pressed.afterwards.steps, where
    assert pressed.confirmed is not None, where
    assert pressed.confirmed.steps == pressed.afterwards.steps, where
    missing_nl = pressed.afterwards.plunger_nl - round(report.delivered_ml * 1e6)
    assert missing_nl <= COUNTED_NL, f"{where}: {missing_nl} nL not accounted for"


HARMLESS = msg.Hello | msg.Estop | msg.Stop | msg.Disarm | msg.SnapshotRequest
"""All that a stopped controller has to say to its bridge: stop, keep the gate shut, how is the pump."""


def only_stops_upstream(pressed: Pressed, where: str) -> None:
    """The controller's own gate is shut too: not one command leaves for the bridge."""
    decoder = FrameDecoder()
    said = [
        message
        for _, data in pressed.bench.upstream[pressed.upstream_before :]
        for _, message in decoder.feed(data)
    ]
    first = next(n for n, message in enumerate(said) if isinstance(message, msg.Estop))
    assert all(isinstance(message, HARMLESS) for message in said[first:]), f"{where}: {said}"


def only_stop_and_queries(pressed: Pressed, where: str) -> None:
    """STOP is the next frame behind the one in transmission, in this instant; only queries follow."""
    written = pressed.bench.told[pressed.told_before :]
    words = [command(frame) for _, frame in written]
    stop = words.index(STOP)
    # The bridge, on its own end of the pipe, may be writing a frame while stop is being pressed.
    assert stop <= 1, f"{where}: {words}"
    assert written[stop][0] == pressed.at_s, f"{where}: {words}"
    assert all(is_stop_or_query(frame) for _, frame in written[stop:]), f"{where}: {words}"

    heard = [command(data) for _, data in pressed.bench.heard.heard[pressed.heard_before :]]
    assert heard.index(STOP) <= 1, f"{where}: {heard}"


@pytest.mark.parametrize("block", range(INSTANTS // BLOCK))
@pytest.mark.parametrize("name", CONDITIONS)
def test_an_emergency_stop_stops_at_any_instant_of_any_state(name: str, block: int) -> None:
    condition = CONDITIONS[name]
    found: Counter[str] = Counter()
    first = 10_000 * list(CONDITIONS).index(name) + block * 1_000
    for seed in count(first):
        pressed = Pressed(
            drawn(seed), pressed_somewhere, condition.arrange, condition.disturb, condition.turns
        ).run()
        judge(pressed)
        assert pressed.found is not None
        found[pressed.found.value] += not pressed.was_over
        if found.total() == BLOCK:
            break
    print(f"{name}: {dict(sorted(found.items()))}")


# --- afterwards -----------------------------------------------------------------------------------------


def stopped_in(state: State) -> Pressed:
    """A visit that was stopped in the middle of this state."""
    pressed = Pressed(moment(state), lambda p: p.runner.stop_now("the test")).run()
    judge(pressed)
    return pressed


def restarted(state: State, latch: Latch, on_runner: Callable[[Bench, Runner], None]) -> Bench:
    """A new controller, bridge and pump where ``latch`` was left, run to the end of the visit."""
    bench = Bench(WAYS[state], 4711, slow=False, latch=latch)
    bench.on_runner = lambda runner: on_runner(bench, runner)
    run_virtual(bench.run, seed=4711, budget_s=VISIT_S)
    return bench


def words(bench: Bench) -> list[str]:
    return [command(frame) for _, frame in bench.told]


@pytest.mark.parametrize("state", list(WAYS))
def test_a_restart_finds_the_latch_and_refuses_every_start(state: State) -> None:
    def press_on(bench: Bench, runner: Runner) -> None:
        """Somebody who wants it to go on, by the controller's ways and past them."""
        again = Pressed(pressed.instant, pressed.press)
        again.bench, again.runner, again.past_the_hand = bench, runner, True
        for after_s in (0.0, 0.05, 0.1, 0.2):
            runner.loop.call_later(after_s, command_everything, again)

    pressed = stopped_in(state)
    bench = restarted(state, pressed.bench.latch, press_on)
    assert bench.latch.is_set
    assert bench.runner is not None
    assert bench.runner.state is State.EMERGENCY_STOPPED
    assert "RUN" not in words(bench)
    assert bench.heard.truth().steps == 0


async def commanded(bench: Bench, *, reset: bool) -> list[msg.Result]:
    """What a bridge on its own answers to every start, from a controller that just asks for them."""
    loop = asyncio.get_running_loop()
    bench.served = serve_memory(bench.heard, bench._plug(loop), loop)
    pipe = await bench._open_bridge()
    assert isinstance(pipe, MemoryTransport)
    controller = Controller(loop, pipe)
    await asyncio.sleep(1.0)
    if reset:
        assert (await controller.ends(msg.Reset(1, bench.boots))).ending is Ending.DONE
        await asyncio.sleep(60.0)
    arm = msg.Arm(3, RATE, VOLUME, VOLUME, ARM.time_max, ARM.concentration)
    answers = [
        await controller.ends(order)
        for order in (
            msg.Configure(2, 19_050, Volume.from_ml(20)),
            arm,
            msg.Run(4, RATE, VOLUME, LEASE),
            msg.Bolus(5, RATE, VOLUME, LEASE),
        )
        if not (reset and order is arm)
    ]
    await asyncio.sleep(1.0)
    controller.close()
    await asyncio.gather(*bench.bridges)
    bench.served.close()
    return answers


@pytest.mark.parametrize("reset", [False, True])
def test_a_new_bridge_starts_nothing_under_the_latch_nor_when_it_has_been_reset(
    reset: bool,
) -> None:
    bench = Bench("", 1, slow=False, latch=stopped_in(State.INFUSING).bench.latch)
    answers, _ = run_virtual(lambda: commanded(bench, reset=reset), seed=1, budget_s=VISIT_S)
    starts = answers[1:]
    assert {answer.ending for answer in starts} == {Ending.REFUSED}
    assert all(("latch" in answer.reason) is not reset for answer in starts), starts
    assert bench.latch.is_set is not reset
    assert "RUN" not in words(bench)
    assert bench.heard.truth().steps == 0


def test_a_reset_starts_nothing_and_the_next_visit_begins_with_its_checks() -> None:
    seen: list[tuple[State, int]] = []

    def wait(bench: Bench, runner: Runner) -> None:
        def look() -> None:
            seen.append((runner.state, bench.served.truth().steps))
            runner.stop_now("the test")

        runner.operator = Nobody()
        runner.loop.call_later(600.0, look)

    latch = stopped_in(State.INFUSING).bench.latch
    assert latch.clear() is None
    bench = restarted(State.INFUSING, latch, wait)
    assert seen == [(State.PREPARING, 0)]
    assert "RUN" not in words(bench)


class Nobody:
    """An operator who does not answer."""

    def ask(self, question: Question, runner: Runner) -> None:
        pass

    def refused(self, question: Question, why: str, runner: Runner) -> None:
        pass

    def closed(self, question_id: int) -> None:
        pass

    def close(self) -> tuple[str, ...]:
        return ()
