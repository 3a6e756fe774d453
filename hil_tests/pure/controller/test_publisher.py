"""The publisher seam, and the bus that stands in for a broker in virtual time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller import publisher
from controller.event_log import EventLog, Header
from controller.log_format import Stamp
from controller.log_storage import MemoryStorage
from controller.publisher import EventCursor, MemoryBus, NullPublisher, Publisher
from controller.telemetry import Message, Telemetry

TELEMETRY = Telemetry(device="bench-1", boot="a" * 12, session="S-0001", simulated=True)
STOP = "infusion/v1/bench-1/cmd/estop"
SESSION = Message("infusion/v1/bench-1/session", b'{"state":"infusing"}', 1, True)
PUMP = Message("infusion/v1/bench-1/pump", b'{"rate_ml_h":26.7}', 0, False)


class Bench:
    """A bus, a log it follows, and a dashboard that listens."""

    def __init__(self) -> None:
        self.stops: list[bytes] = []
        self.odd: list[str] = []
        self.seen: list[Message] = []
        self.bus = MemoryBus(TELEMETRY, on_estop=self.stops.append, on_odd=self.odd.append)
        self.log = EventLog.create(
            MemoryStorage(),
            Header("0", "bench-1", "x", "", simulated=True, extra={}),
            session="S-0001",
            boot="a" * 12,
            stamp=lambda: Stamp(1, 2),
            on_failure=lambda _: None,
            on_written=self.bus.log_advanced,
        )
        self.bus.follow(self.log)

    def note(self, count: int = 1) -> None:
        for _ in range(count):
            self.log.append("note", {}, sync=False)

    def events(self) -> list[tuple[int, int]]:
        views: list[dict[str, Any]] = [
            json.loads(message.payload) for message in self.seen if message.topic.endswith("event")
        ]
        return [(view["seq"], view["hist"]) for view in views]


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    await made.bus.start(1.0)
    made.bus.subscribe(made.seen.append)
    return made


async def test_a_late_subscriber_sees_retained_states_and_no_old_sample() -> None:
    bench = Bench()
    await bench.bus.start(1.0)
    bench.bus.publish(SESSION)
    bench.bus.publish(PUMP)
    bench.note()
    bench.bus.subscribe(bench.seen.append)
    assert [message.topic.split("/")[-1] for message in bench.seen] == ["availability", "session"]
    bench.note()
    assert bench.events() == [(2, 0)]
    assert bench.bus.counts[PUMP.topic] == 1


async def test_an_empty_retained_payload_takes_the_topic_away(bench: Bench) -> None:
    alarm = Message("infusion/v1/bench-1/alarm/x", b"{}", 1, True)
    bench.bus.publish(alarm)
    assert alarm.topic in bench.bus.retained
    bench.bus.publish(alarm._replace(payload=b""))
    assert alarm.topic not in bench.bus.retained
    bench.bus.cut()
    bench.seen.clear()
    bench.bus.mend()
    assert alarm.topic not in {message.topic for message in bench.seen}


async def test_after_a_dead_broker_states_come_again_and_no_event_is_missing(bench: Bench) -> None:
    bench.note(2)
    bench.bus.cut()
    assert bench.bus.retained[TELEMETRY.availability_topic].payload == b"offline"
    bench.bus.publish(PUMP)
    bench.bus.publish(SESSION._replace(payload=b'{"state":"recovering"}'))
    bench.note(250)
    assert (bench.bus.dropped, bench.bus.connected) == (1, False)
    bench.bus.mend()
    bench.note()
    events = bench.events()
    assert [seq for seq, _ in events] == list(range(1, 254))
    assert [hist for _, hist in events] == [0] * 2 + [1] * 250 + [0]
    assert bench.bus.retained[SESSION.topic].payload == b'{"state":"recovering"}'
    assert bench.bus.retained[TELEMETRY.availability_topic].payload == b"online"


async def test_too_long_without_a_broker_leaves_a_gap_that_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "BACKFILL_MAX", 10)
    bench.bus.cut()
    bench.note(30)
    bench.seen.clear()
    bench.bus.mend()
    views = [json.loads(message.payload) for message in bench.seen if "event" in message.topic]
    assert (views[0]["kind"], views[0]["from_seq"], views[0]["to_seq"]) == ("gap", 1, 20)
    assert [view["seq"] for view in views[1:]] == list(range(21, 31))


async def test_every_live_stop_is_obeyed_whatever_is_in_it(bench: Bench) -> None:
    for payload in (b"", b'{"id":"1"}', b'{"id":"1"}', b"\xff" * 10_000):
        bench.bus.inject(STOP, payload)
    assert len(bench.stops) == 4
    assert bench.odd == []


async def test_a_retained_stop_is_ignored_aloud_and_other_topics_mean_nothing(bench: Bench) -> None:
    bench.bus.inject(STOP, b"", retained=True)
    bench.bus.inject("infusion/v1/bench-1/cmd/rate", b'{"rate_ml_h":900}')
    bench.bus.inject("infusion/v1/bench-2/cmd/estop", b"")
    assert bench.stops == []
    assert len(bench.odd) == 1
    assert bench.odd[0].startswith("remote stop: a retained one was ignored")


async def test_a_stop_that_fails_does_not_silence_the_next(bench: Bench) -> None:
    def broken(_: bytes) -> None:
        raise RuntimeError("no pump")

    bench.bus._on_estop = broken
    bench.bus.inject(STOP, b"")
    assert "no pump" in bench.odd[0]


async def test_nothing_reaches_a_dead_bus(bench: Bench) -> None:
    bench.bus.cut()
    bench.bus.cut()
    bench.bus.inject(STOP, b"")
    assert bench.stops == []
    bench.bus.mend()
    bench.bus.inject(STOP, b"")
    assert bench.stops == [b""]


async def test_closing_says_offline_once(bench: Bench) -> None:
    await bench.bus.close()
    await bench.bus.close()
    assert [m.payload for m in bench.seen if "availability" in m.topic] == [b"online", b"offline"]


async def test_a_subscriber_that_logs_what_it_sees_gets_every_event_once(bench: Bench) -> None:
    def curious(message: Message) -> None:
        if message.topic.endswith("event") and bench.log.last_seq < 5:
            bench.note()

    bench.bus.subscribe(curious)
    bench.note()
    assert sorted(seq for seq, _ in bench.events()) == [1, 2, 3, 4, 5]


async def test_a_bus_without_a_log_works_too() -> None:
    bus = MemoryBus(TELEMETRY, on_estop=lambda _: None)
    bus.subscribe(lambda _: None)
    await bus.start(1.0)
    bus.log_advanced()
    bus.publish(SESSION)
    assert bus.retained[SESSION.topic] == SESSION


async def test_off_takes_everything_and_sends_nothing(bench: Bench) -> None:
    off: Publisher = NullPublisher()
    off.follow(bench.log)
    await off.start(1.0)
    off.publish(PUMP)
    off.log_advanced()
    await off.close()
    assert (off.connected, off.dropped) == (False, 0)


def test_a_cursor_that_has_missed_nothing_names_no_gap() -> None:
    cursor = EventCursor(Bench().log, TELEMETRY)
    assert cursor.connected() == []
    assert [seq for seq, _ in cursor.next()] == [0]
