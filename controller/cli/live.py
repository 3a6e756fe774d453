"""One visit in real or scaled time: world, bridge, broker and screen around the same controller.

Opened from the outside in (world, log, broker, bridge) and closed from the pump outwards; whatever could
not be opened ends the command with one line before any byte went to a pump.
"""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from controller.announcer import Announcer
from controller.cli.live_parts import (
    Clock,
    LiveSpec,
    LogListeners,
    bounds_at,
    interrupted_notice,
    opened_log,
    pace_at,
    publisher_for,
    timing_at,
)
from controller.cli.outcome import Unreachable, Usage
from controller.cli.prompt import PromptOperator
from controller.cli.screen import Screen
from controller.cli.world_child import WorldChild, start_world
from controller.conduct import Conductor, Parts, Report
from controller.event_log import EventLog
from controller.procedure import events as told
from controller.procedure.visit import Recovered
from controller.publisher import ODD_STOP, BrokerUnreachable, Publisher
from controller.runner import Runner
from controller.samples import Samples
from controller.stop_answers import StopAnswers
from controller.telemetry import Telemetry
from controller.tell_world import TellWorld
from controller.vitals_feed import Replay
from controller.vitals_link import VitalsLink
from firmware_bridge.clock import fresh_u16, wall_ms
from firmware_bridge.dialects import parse_pump_url
from firmware_bridge.errors import BridgeError, ConfigurationError
from firmware_bridge.latch import FileLatch
from firmware_bridge.protocols.pumplink_host import HostSession
from firmware_bridge.runtime import latch_path
from firmware_bridge.spawn import BridgeProcess, spawn_bridge
from firmware_bridge.transports.base import Transport

DRAW_S = 0.25
"""Wall seconds between two pictures of the live view."""
BROKER_S = 10.0
ODD_MAX = 16
"""Odd things kept for the log while there is none."""
LEAVE_S = 70.0
"""Wall seconds for which a bridge is waited for after the visit: it tries for 60 to stop its pump."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a live visit left behind."""

    report: Report
    log: Path


class LiveVisit:
    """Everything around the controller while one visit runs."""

    def __init__(self, spec: LiveSpec) -> None:
        self._spec = spec
        self._loop = asyncio.get_running_loop()
        self._clock = Clock(self._loop)
        self._stack = AsyncExitStack()
        self._bridge: BridgeProcess | None = None
        self._interrupted_visit = False
        self._first_words: tuple[str, ...] = ()
        self._world: WorldChild | None = None
        self._runner: Runner | None = None
        self._interrupts = 0
        self._odd_early: deque[str] = deque(maxlen=ODD_MAX)
        self._latch = FileLatch(latch_path(spec.device))
        self._listeners = LogListeners(failed=self._log_failed)
        prompt = spec.operator if isinstance(spec.operator, PromptOperator) else None
        self._screen = Screen(device=spec.device, procedure=spec.plan.name, prompt=prompt)

    async def run(self) -> Ended:
        """The visit, from the world to the sealed log.  Raises `CommandProblem` before it has begun."""
        async with self._stack:
            port = await self._open_world()
            log, path, recovered = opened_log(self._spec, self._clock, self._listeners)
            self._interrupted_visit = recovered is not None
            if self._spec.declared:
                log.append(
                    "declared", {"connected_to": "nobody", "by": self._spec.declared}, sync=True
                )
            if recovered is not None:
                self._first_words = (interrupted_notice(path, recovered),)
            try:
                report = await self._visit(port, log, recovered)
            finally:
                if self._runner is None:  # nothing has begun, so nothing is left behind
                    log.close()
                    if recovered is None:
                        path.unlink(missing_ok=True)
        return Ended(report, path)

    async def _visit(self, port: str, log: EventLog, recovered: Recovered | None) -> Report:
        spec = self._spec
        telemetry = Telemetry(
            device=spec.device, boot=log.boot, session=log.session, simulated=True
        )
        stops = StopAnswers(telemetry, self._loop, self._clock.stamp)
        publisher = await self._open_publisher(telemetry, log, stops)
        announcer = Announcer(
            telemetry,
            publisher,
            self._clock.stamp,
            procedure=spec.plan.name,
            drug=spec.plan.drug,
            pump=spec.pump,
            version=version("infusor"),
        )
        conductor = Conductor(
            Parts(
                plan=spec.plan,
                log=log,
                open_bridge=lambda: self._open_bridge(port),
                new_session=lambda: HostSession(fresh_u16() or 1, timing=timing_at(spec.speed)),
                operator=spec.operator,
                latch=self._latch,
                pace=pace_at(spec.speed),
                bounds=bounds_at(spec.speed, spec.plan, typed=spec.typed),
                wall_ms=lambda: wall_ms(self._loop),
                durable=True,
                announcer=announcer,
                observers=(Samples(), self._screen, stops),
                recovered=recovered,
                declared="the simulator" if spec.simulated_pump else spec.declared,
            )
        )
        report = await self._conduct(conductor, stops)
        await publisher.close()
        return report

    # --- opening --------------------------------------------------------------------------------------

    async def _open_world(self) -> str:
        """Start what is simulated; returns the pump URL with a port in it."""
        spec = self._spec
        dialect = parse_pump_url(spec.pump).dialect
        if spec.simulated_pump or spec.replay is None:
            self._world = await start_world(
                spec.plan,
                seed=spec.seed,
                speed=spec.speed,
                with_pump=spec.simulated_pump,
                dialect=dialect,
            )
            self._stack.push_async_callback(self._world.end)
        if not spec.simulated_pump:
            return spec.pump
        if self._world is None or self._world.port is None:
            raise Unreachable("the simulated pump has no port")
        return f"{dialect}:{self._world.port}"

    async def _open_publisher(
        self, telemetry: Telemetry, log: EventLog, stops: StopAnswers
    ) -> Publisher:
        publisher = publisher_for(self._spec, telemetry, log, stops.heard, self._odd)
        stops.answer_through(publisher)
        publisher.follow(log)
        try:
            await publisher.start(BROKER_S)
        except BrokerUnreachable as error:
            raise Unreachable(str(error)) from error
        self._stack.push_async_callback(publisher.close)
        self._listeners.advanced = publisher.log_advanced
        return publisher

    async def _open_bridge(self, url: str) -> Transport:
        """A bridge that has met its pump; a former one of this visit is dead by now."""
        former = self._bridge
        crashed = self._interrupted_visit if former is None else await former.wait() != 0
        transport, self._bridge = await spawn_bridge(
            url,
            self._spec.device,
            speed=self._spec.speed,
            disown=crashed,
            on_log=self._bridge_said,
        )
        return transport

    # --- the visit ------------------------------------------------------------------------------------

    async def _conduct(self, conductor: Conductor, stops: StopAnswers) -> Report:
        try:
            runner = await conductor.start()
        except ConfigurationError as error:
            raise Usage(str(error)) from error
        except BridgeError as error:
            raise Unreachable(str(error)) from error
        self._runner = runner
        while self._odd_early:
            self._note_odd(self._odd_early.popleft())
        stops.attach(runner)
        self._open_vitals(runner)
        self._screen.open()
        for line in (*self._spec.warnings, *self._first_words):
            self._screen.say(line, "yellow")
        self._stack.callback(self._screen.close)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            former = signal.signal(number, self._interrupted)
            self._stack.callback(signal.signal, number, former)
        self._spec.attach(self._loop, self._screen, runner, self._stack)
        self._draw(runner)
        report = await conductor.finish()
        await self._bridge_left()
        return report

    def _open_vitals(self, runner: Runner) -> None:
        if self._spec.replay is not None:
            feed = Replay(self._spec.replay, runner, self._loop)
            self._stack.callback(feed.close)
            if self._world is not None:  # its patient lives on, and nobody looks
                unseen = VitalsLink(self._world.vitals, lambda _sample: None, lambda: None)
                self._stack.callback(unseen.close)
        elif self._world is not None:
            link = VitalsLink(
                self._world.vitals, runner.vitals_arrived, lambda: runner.post(told.VitalsLost())
            )
            runner.observers.append(TellWorld(link, reports=not self._spec.simulated_pump))
            self._stack.callback(link.close)

    def _draw(self, runner: Runner) -> None:
        if not runner.finished.done():
            self._screen.draw(runner)
            self._loop.call_later(DRAW_S * self._spec.speed, self._draw, runner)

    async def _bridge_left(self) -> None:
        """The pump is restored when this returns, or the bridge has had its time."""
        if self._bridge is None:
            return
        try:
            async with asyncio.timeout(LEAVE_S * self._spec.speed):
                await self._bridge.wait()
        except TimeoutError:
            self._screen.say("the bridge is still trying to stop the pump, and goes on by itself")

    # --- from outside ---------------------------------------------------------------------------------

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C: stop at once, from the signal handler itself; a second one leaves."""
        self._interrupts += 1
        if self._runner is None or self._interrupts > 1:
            raise KeyboardInterrupt
        self._runner.stop_from_anywhere(signal.Signals(number).name)

    def _bridge_said(self, line: str) -> None:
        """A line of the bridge's log: shown, and kept where the session still has a log."""
        self._screen.say(line, "dim")
        if self._runner is not None and not self._runner.finished.done():
            self._runner.record("bridge_log", {"line": line})

    def _odd(self, what: str) -> None:
        """Something that a person should know; from the publisher's thread."""
        self._loop.call_soon_threadsafe(self._note_odd, what)

    def _note_odd(self, what: str) -> None:
        if self._runner is None:
            self._odd_early.append(what)  # as a retained stop is, which comes with the connection
        elif what.startswith(ODD_STOP):
            self._runner.note_odd(what)
        elif not self._runner.finished.done():
            self._runner.record("odd", {"what": what})

    def _log_failed(self, error: OSError) -> None:
        if self._runner is not None:
            self._runner.post(told.LogFailed(str(error)))
