"""Remote stops: obeyed at once, answered when they were sent and when the pump confirmed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from controller.log_format import Stamp
from controller.procedure.table import State
from controller.publisher import MemoryBus
from controller.runner import Runner
from controller.stop_answers import WAITING_MAX, StopAnswers
from controller.telemetry import Message, Telemetry
from firmware_bridge.messages import Snapshot

SEEN = cast(Snapshot, object())
STOP = b'{"id":"a-1","source":"nurse"}'


@dataclass
class VisitDouble:
    """As much of a runner as a remote stop touches."""

    stops: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    stopped: bool = False
    hand: Any = field(default_factory=lambda: SimpleNamespace(stop_confirmed_s=None, snapshot=None))
    log: Any = field(default_factory=lambda: SimpleNamespace(last_seq=7))

    @property
    def state(self) -> State:
        return State.EMERGENCY_STOPPED if self.stopped else State.INFUSING

    def stop_from_anywhere(self, by: str) -> None:
        self.stops.append(f"{by} from anywhere")
        self.stopped = True

    def stop_now(self, by: str) -> None:
        self.stops.append(by)
        self.stopped = True

    def note_odd(self, what: str) -> None:
        self.odd.append(what)

    def confirms(self, answers: StopAnswers) -> None:
        self.hand.stop_confirmed_s, self.hand.snapshot = 0.1, SEEN
        answers.pump_seen(self.as_runner, SEEN)

    @property
    def as_runner(self) -> Runner:
        return cast(Runner, self)


class Ward:
    """The answers on their way out, as a dashboard gets them."""

    def __init__(self) -> None:
        telemetry = Telemetry(device="bench-1", boot="b", session="S-0001", simulated=True)
        self.answers = StopAnswers(telemetry, asyncio.get_running_loop(), lambda: Stamp(1, 2))
        bus = MemoryBus(telemetry, on_estop=self.answers.heard)
        bus.mend()
        bus.subscribe(self._heard)
        self.answers.answer_through(bus)
        self.heard: list[tuple[str, dict[str, Any]]] = []

    def _heard(self, message: Message) -> None:
        if "/cmd/estop/result/" in message.topic:
            self.heard.append((message.topic.rpartition("/")[2], json.loads(message.payload)))

    @property
    def confirmed(self) -> list[tuple[str, int]]:
        return [(request, body["confirmed"]) for request, body in self.heard]


async def test_a_stop_is_written_on_the_spot_and_answered_twice() -> None:
    ward, visit = Ward(), VisitDouble()
    ward.answers.attach(visit.as_runner)
    ward.answers.heard(STOP)
    assert visit.stops == ["mqtt from anywhere"]  # before the loop has turned
    await asyncio.sleep(0)
    assert ward.confirmed == [("a-1", 0)]
    visit.confirms(ward.answers)
    assert ward.confirmed == [("a-1", 0), ("a-1", 1)]
    body = ward.heard[-1][1]
    assert body["state"] == "emergency_stopped"
    assert body["requested_ts"] <= body["sent_ts"] <= body["confirmed_ts"]
    visit.confirms(ward.answers)
    assert len(ward.confirmed) == 2


async def test_what_the_pump_says_before_it_stands_confirms_nothing() -> None:
    ward, visit = Ward(), VisitDouble()
    ward.answers.attach(visit.as_runner)
    ward.answers.heard(STOP)
    await asyncio.sleep(0)
    ward.answers.pump_seen(visit.as_runner, SEEN)
    assert ward.confirmed == [("a-1", 0)]


async def test_a_repeat_after_the_confirmation_is_confirmed_at_once() -> None:
    ward, visit = Ward(), VisitDouble()
    ward.answers.attach(visit.as_runner)
    ward.answers.heard(STOP)
    await asyncio.sleep(0)
    visit.confirms(ward.answers)
    ward.answers.heard(b'{"id":"a-2"}')
    await asyncio.sleep(0)
    assert ward.confirmed[2:] == [("a-2", 0), ("a-2", 1)]


async def test_a_stop_before_there_is_a_visit_stops_the_visit_as_it_begins() -> None:
    ward, visit = Ward(), VisitDouble()
    ward.answers.heard(STOP)
    await asyncio.sleep(0)
    assert visit.stops == []
    ward.answers.attach(visit.as_runner)
    assert visit.stops == ["mqtt"]
    assert ward.confirmed == [("a-1", 0)]


async def test_any_body_stops_and_an_odd_one_is_noted() -> None:
    ward, visit = Ward(), VisitDouble()
    ward.answers.attach(visit.as_runner)
    for body in (b"", b"\xff not json", b'{"id":"../x"}', b'{"dose_mg":5}'):
        ward.answers.heard(body)
    await asyncio.sleep(0)
    assert len(visit.stops) == 4
    assert ward.heard == []  # none named a place for an answer
    assert len(visit.odd) == 3
    assert all(what.startswith("remote stop: ") for what in visit.odd)


async def test_a_flood_of_stops_is_remembered_up_to_a_bound() -> None:
    ward, visit = Ward(), VisitDouble()
    for number in range(3 * WAITING_MAX):
        ward.answers.heard(f'{{"id":"a-{number}"}}'.encode())
    await asyncio.sleep(0)
    ward.answers.attach(visit.as_runner)
    for number in range(WAITING_MAX):
        ward.answers.heard(f'{{"id":"b-{number}"}}'.encode())
    await asyncio.sleep(0)
    assert len(ward.heard) == WAITING_MAX
