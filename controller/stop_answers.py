"""Stops that come over MQTT: obeyed on the publisher's thread at once, answered once the pump has shown it.

Every stop with an id is answered on ``cmd/estop/result/<id>``: that STOP was sent, and when the pump
itself confirmed.  Repeats are harmless, and answered again.  One that comes before there is a visit to
stop is kept, and stops the visit as it begins.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from controller.log_format import Stamp
from controller.publisher import ODD_STOP, Publisher
from controller.runner import Observer, Runner
from controller.telemetry import Telemetry, read_estop
from controller.telemetry_views import EstopOutcome
from firmware_bridge.clock import wall_ms
from firmware_bridge.messages import Snapshot

WAITING_MAX = 64
"""Stops without an answer that are remembered; whoever sends more has been stopped all the same."""

BY = "mqtt"


class StopAnswers(Observer):
    """Give `heard` to the publisher, and the object itself to the runner as an observer."""

    def __init__(
        self,
        telemetry: Telemetry,
        loop: asyncio.AbstractEventLoop,
        stamp: Callable[[], Stamp],
    ) -> None:
        self._telemetry = telemetry
        self._loop = loop
        self._stamp = stamp
        self._publisher: Publisher | None = None
        self._runner: Runner | None = None
        self._early: deque[tuple[bytes, int]] = deque(maxlen=WAITING_MAX)
        self._waiting: dict[str, EstopOutcome] = {}

    def answer_through(self, publisher: Publisher) -> None:
        """Answers go out this way from now on."""
        self._publisher = publisher

    def attach(self, runner: Runner) -> None:
        """There is a visit: stop it if anybody has asked for that already."""
        self._runner = runner
        while self._early:
            self._stopped(*self._early.popleft())

    def heard(self, payload: bytes) -> None:
        """A live message on the stop topic, on the publisher's thread: any body stops."""
        asked_ms = wall_ms(self._loop)
        runner = self._runner
        if runner is not None:
            runner.stop_from_anywhere(BY)
        self._loop.call_soon_threadsafe(self._stopped, payload, asked_ms)

    def pump_seen(self, runner: Runner, snapshot: Snapshot) -> None:
        """The pump's own account is what confirms."""
        if runner.hand.stop_confirmed_s is None:
            return
        confirmed_ms = wall_ms(self._loop)
        for outcome in self._waiting.values():
            self._answer(runner, replace(outcome, confirmed_ts_ms=confirmed_ms))
        self._waiting.clear()

    def _stopped(self, payload: bytes, asked_ms: int) -> None:
        """The books, on the loop's own thread."""
        runner = self._runner
        if runner is None:
            self._early.append((payload, asked_ms))
            return
        if not runner.stopped:
            runner.stop_now(BY)
        request = read_estop(payload)
        if request.odd:
            runner.note_odd(f"{ODD_STOP}: {request.odd}")
        if not request.id or len(self._waiting) >= WAITING_MAX:
            return
        outcome = EstopOutcome(request.id, asked_ms, wall_ms(self._loop), None, "")
        self._waiting[request.id] = outcome
        self._answer(runner, outcome)
        if runner.hand.snapshot is not None:
            self.pump_seen(runner, runner.hand.snapshot)

    def _answer(self, runner: Runner, outcome: EstopOutcome) -> None:
        if self._publisher is not None:
            told = replace(outcome, state=runner.state.value)
            self._publisher.publish(
                self._telemetry.estop_result(self._stamp(), runner.log.last_seq, told)
            )
