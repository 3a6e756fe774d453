"""A stage on which processes die: no last word, no clean-up, and a pump that knows nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import replace
from math import ceil

from controller.cli.options import existing_plan
from controller.cli.rehearsal import Stage
from controller.log_storage import MemoryStorage
from controller.plan import Plan
from controller.procedure.questions import Question, answer_to
from controller.procedure.table import State
from controller.runner import Observer, Runner
from firmware_bridge.messages import Bolus, Lease, Message, Run
from firmware_bridge.protocols.pumplink import FrameDecoder
from firmware_bridge.quantities import Duration
from firmware_bridge.transports import memory
from firmware_bridge.transports.base import Transport
from sim.devices.base import Device
from sim.mechanics import Drive

STROKE_NL = ceil(Drive().stroke_nl(19_050))
"""One microstep of the motor in the syringe of the plan."""

LEASE_S = 3.0
STOP_S = 0.3
"""Stop time of a New Era pump on a clean line."""

BYTE_S = 10 / 19_200
ON_THE_WIRE_S = 0.1
"""Longer than a frame takes; a start younger than this may not have moved anything yet."""

PATIENCE_S = 100.0
"""How long the person waits before an answer in holding; long enough to see that nothing moves."""


def short_plan() -> Plan:
    """The first visit in a quarter of an hour, with half the test dose for an infusion."""
    plan = existing_plan("ketamine-first-visit")
    times = replace(
        plan.times, baseline_vitals_s=10.0, observing_s_min=60.0, recovering_s_min=120.0
    )
    infusion = replace(
        plan.infusion, k_milli=500, duration=Duration.from_s(600), ceiling=Duration.from_s(720)
    )
    return replace(plan, times=times, infusion=infusion)


class Person:
    """Answers what is asked, in a minute or so; in holding resumes where that is offered.

    ``responses`` are given one after another.  ``hold_after_s``: puts the infusion on hold once.
    """

    name = "person"

    def __init__(self, *responses: str, hold_after_s: float | None = None) -> None:
        self._responses = list(responses)
        self._hold_after_s = hold_after_s
        self.holding_texts: list[str] = []
        self.refusals: list[str] = []

    def ask(self, question: Question, runner: Runner) -> None:
        match question.kind:
            case "checklist":
                self._later(runner, question, 2.0, "yes")
            case "supervise":
                if question.state is State.INFUSING and self._hold_after_s is not None:
                    after_s, self._hold_after_s = self._hold_after_s, None
                    self._later(runner, question, after_s, "hold")
            case "response":
                choice = self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]
                self._later(runner, question, 65.0, choice, dose_mg=5.0)
            case "holding":
                self.holding_texts.append(question.text)
                wanted = ("resume", "recover", "abort")
                choice = next(choice for choice in wanted if choice in question.choices)
                self._later(runner, question, PATIENCE_S, choice)
            case "rescue_drug":
                choice = "enough" if "enough" in question.choices else "given"
                self._later(runner, question, 30.0, choice, midazolam_mg=1.0)
            case _:
                proposed = question.proposed
                assert proposed is not None, question
                self._later(runner, question, 2.0, proposed.choice, **proposed.values)

    def refused(self, question: Question, why: str, runner: Runner) -> None:
        self.refusals.append(why)
        runner.loop.call_later(30.0, self._again, question.id, runner)

    def closed(self, question_id: int) -> None:
        """Nothing to take back: an answer to a closed question is not given."""

    def close(self) -> tuple[str, ...]:
        return ()

    def _again(self, question_id: int, runner: Runner) -> None:
        question = runner.questions.get(question_id)
        if question is not None:
            self.ask(question, runner)

    def _later(
        self, runner: Runner, question: Question, after_s: float, choice: str, **values: float
    ) -> None:
        def say() -> None:
            if question.id in runner.questions and not runner.finished.done():
                runner.answer(question.id, answer_to(question, choice, values), self.name)

        runner.loop.call_later(after_s, say)


class CrashStage(Stage):
    """A rehearsal at the speed of a real serial line, with a hand on its processes.

    Keeps what a bound is measured from: the plunger at the last renewal that the pump could have heard
    of, and how far the last start may go.
    """

    def begin(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.cables = self.stream("cables")
        self.decoder = FrameDecoder()
        self.upstream: memory.MemoryTransport | None = None
        self.pump_writes: list[tuple[float, bytes]] = []
        self.may_reach_nl: int | None = None
        self.rate_nl_h = 0
        self.renewed_nl = 0
        self.run_at = -1.0
        self.starts = 0
        self.crashed = False
        self.stopped_by_nl: int | None = None
        self.beyond: list[str] = []
        self.on_run: Callable[[int], None] = lambda _number: None
        self.task = self.loop.create_task(self.run(), name=self.session)

    def takes_over(self, former: CrashStage) -> None:
        """The same pump, the same bounds: nothing has been authorised since ``former`` died."""
        self.may_reach_nl = former.may_reach_nl
        self.crashed, self.stopped_by_nl = True, former.stopped_by_nl
        self.beyond = former.beyond

    @property
    def plunger_nl(self) -> int:
        return true_volume(self.pump, self.loop)

    # --- what is measured -------------------------------------------------------------------------

    def _tap(self, name: str, data: bytes) -> None:
        super()._tap(name, data)
        if name == "controller":
            for _, message in self.decoder.feed(data):
                self._ordered(message)
        elif name == "port":
            self.pump_writes.append((self.loop.time(), data))
            if b"RUN" in data and not self.crashed:
                # The pump's own dead-man begins with the start that the order carried.
                self.run_at, self.renewed_nl = self.loop.time(), self.plunger_nl
                if self.starts:
                    self.on_run(self.starts)
        if name in {"port", "pump"}:
            self._look()

    def _ordered(self, message: Message) -> None:
        if isinstance(message, Run | Bolus):
            self.look_back()
            self.crashed = False
            self.starts += 1
            self.rate_nl_h = message.rate.nl_h
            target = message.target if isinstance(message, Run) else message.volume
            self.may_reach_nl = self.plunger_nl + target.nl
        if isinstance(message, Run | Bolus | Lease) and not self.crashed:
            self.renewed_nl = self.plunger_nl

    def _look(self) -> None:
        """The plunger is where a person allowed it to go."""
        reach, there = self.may_reach_nl, self.plunger_nl
        if there > (STROKE_NL if reach is None else reach + STROKE_NL):
            self.beyond.append(f"plunger at {there} nL, {reach} nL were authorised")

    # --- what can be broken -----------------------------------------------------------------------

    def crash(self) -> None:
        """From here on nothing renews; where the plunger may still come to is kept for `look_back`."""
        self.crashed = True
        moving = self.pump is not None and self.pump.truth().rate_nl_h > 0
        if moving or self.loop.time() < self.run_at + ON_THE_WIRE_S:
            further = int(self.rate_nl_h * (LEASE_S + STOP_S) / 3_600)
            self.stopped_by_nl = self.renewed_nl + further + STROKE_NL
        else:
            self.stopped_by_nl = self.plunger_nl + STROKE_NL

    def look_back(self) -> None:
        """Invariant 1: the plunger did not go further since the crash; until the next start."""
        if self.crashed and self.stopped_by_nl is not None and self.plunger_nl > self.stopped_by_nl:
            self.beyond.append(f"plunger at {self.plunger_nl} nL, bound {self.stopped_by_nl} nL")

    def kill_bridge(self) -> None:
        """SIGKILL: both its descriptors close, and not one instruction of it runs any more.

        Its task is cancelled only after that, so that whatever its clean-up writes goes nowhere.
        """
        if self.upstream is not None:
            self.upstream.close()
        self.host_end.close()
        if self.bridges:
            self.bridges[-1].cancel()

    def kill_controller(self) -> MemoryStorage:
        """SIGKILL: its end of the pipe closes; returns the log as the next controller finds it.

        Of what was not synced any part may be missing.
        """
        assert isinstance(self.storage, MemoryStorage)
        synced, data = self.storage.synced_bytes, bytes(self.storage.data)
        kept = synced + int(self.stream("torn").random() * (len(data) - synced + 1))
        runner = self.runner
        assert runner is not None
        hand = runner.hand
        hand.quiet()
        hand._closed = True
        if hand._link is not None:
            hand._link.close()
        runner.close()
        runner.finished.cancel()
        self.vitals.close()
        if self.world is not None:
            self.world.stop()
        self.task.cancel()
        return MemoryStorage(data[:kept])

    async def buried(self) -> None:
        """What was killed has gone, the bridge too; the pump stands on the bench, unplugged."""
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await asyncio.gather(*self.bridges, return_exceptions=True)
        self.served.close()

    # --- the parts that a stage is made of ---------------------------------------------------------

    def _plug(self, loop: asyncio.AbstractEventLoop) -> memory.MemoryTransport:
        """A cable of 19 200 baud, so that an instant can fall into the middle of a frame."""
        self.host_end, pump_end = memory.pair(
            loop,
            a_name="port",
            b_name="pump",
            cable_ab=memory.Cable(stream=self.cables, byte_s=BYTE_S),
            cable_ba=memory.Cable(stream=self.cables, byte_s=BYTE_S),
            tap=self._tap,
        )
        return pump_end

    async def _open_bridge(self) -> Transport:
        mine = await super()._open_bridge()
        assert isinstance(mine, memory.MemoryTransport)
        self.upstream = mine._peer
        self.decoder = FrameDecoder()
        return mine


def true_volume(pump: Device | None, loop: asyncio.AbstractEventLoop) -> int:
    """What the plunger has displaced by now, in nL, whoever is listening to the pump."""
    if pump is None:
        return 0
    pump.advance(loop.time())
    return pump.truth().plunger_nl


class At(Observer):
    """Calls once, so many seconds after the visit entered a state; or right away, for the first one."""

    def __init__(self, state: State, after_s: float, call: Callable[[], None]) -> None:
        self._state = state
        self._after_s = after_s
        self._call: Callable[[], None] | None = call

    def begin(self, runner: Runner) -> None:
        """The visit begins, in `PREPARING`."""
        if self._state is State.PREPARING:
            self._due(runner)

    def state_changed(self, runner: Runner, previous: State) -> None:
        if runner.machine.state is self._state:
            self._due(runner)

    def _due(self, runner: Runner) -> None:
        call, self._call = self._call, None
        if call is not None:
            runner.loop.call_later(self._after_s, call)


class Asked(Observer):
    """Is set when the first question has been asked."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def question_changed(self, runner: Runner) -> None:
        self.event.set()


def chance(seed: int) -> random.Random:
    """The stream from which an instant is drawn."""
    return random.Random(f"{seed}:instant")
