"""Telemetry and the remote stop over real brokers: the embedded one always, mosquitto where it is.

The dashboard here is a second client of its own.  ``PATH`` decides whether mosquitto is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from controller import mqtt
from controller.broker import EmbeddedBroker
from controller.event_log import EventLog, Header
from controller.log_format import Stamp
from controller.log_storage import MemoryStorage
from controller.mqtt import MqttPublisher
from controller.mqtt_url import Broker, Embedded
from controller.publisher import BrokerUnreachable
from controller.telemetry import Message, Telemetry
from controller.telemetry_views import EstopOutcome

pytestmark = pytest.mark.real

ROOT = "infusion/v1/bench-1"
STOP = f"{ROOT}/cmd/estop"
SESSION = Message(f"{ROOT}/session", b'{"state":"infusing"}', 1, True)
PUMP = Message(f"{ROOT}/pump", b'{"rate_ml_h":26.7}', 0, False)
V5 = aiomqtt.ProtocolVersion.V5


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Amqtt:
    """The embedded broker as if it were somebody's: to be stopped and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self._broker: EmbeddedBroker | None = None

    async def start(self) -> None:
        self._broker = await EmbeddedBroker.start(self.port)

    async def stop(self) -> None:
        if self._broker is not None:
            await self._broker.close()
            self._broker = None


class Mosquitto:
    """mosquitto as a process, without persistence."""

    def __init__(self, folder: Path, *, anonymous: bool = True) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous {str(anonymous).lower()}\n"
        )
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            "mosquitto", "-c", str(self._config), stderr=asyncio.subprocess.PIPE
        )
        assert self._process.stderr is not None
        async with asyncio.timeout(10):
            async for line in self._process.stderr:
                if b"running" in line:
                    return
        raise AssertionError("mosquitto did not start")

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.communicate()
            self._process = None


needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto") is None, reason="no mosquitto on PATH: tested on the embedded broker"
)


@pytest.fixture
async def amqtt(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Amqtt]:
    monkeypatch.setattr(
        mqtt, "TRY_S", 0.3
    )  # it falls silent at MQTT 5; no need to wait long for it
    made = Amqtt()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    made = Mosquitto(tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(params=["amqtt", pytest.param("mosquitto", marks=needs_mosquitto)])
def broker(request: pytest.FixtureRequest) -> Amqtt | Mosquitto:
    made: Amqtt | Mosquitto = request.getfixturevalue(request.param)
    return made


class Dashboard:
    """Somebody who watches: everything that came, and a way to wait for what should come."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.seen: list[aiomqtt.Message] = []
        self._changed = asyncio.Condition()

    async def listen(self) -> None:
        async for message in self.client.messages:
            self.seen.append(message)
            async with self._changed:
                self._changed.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(15), self._changed:
            await self._changed.wait_for(holds)

    def last(self, topic: str) -> aiomqtt.Message | None:
        found = [message for message in self.seen if str(message.topic) == topic]
        return found[-1] if found else None

    def payloads(self, topic: str) -> list[Any]:
        return [message.payload for message in self.seen if str(message.topic) == topic]

    def events(self) -> list[tuple[int, int]]:
        views = [json.loads(payload) for payload in self.payloads(f"{ROOT}/event")]
        return [(view["seq"], view["hist"]) for view in views]


@contextlib.asynccontextmanager
async def watching(
    port: int, protocol: aiomqtt.ProtocolVersion | None = None
) -> AsyncIterator[Dashboard]:
    async with aiomqtt.Client("127.0.0.1", port, protocol=protocol) as client:
        dashboard = Dashboard(client)
        listening = asyncio.create_task(dashboard.listen())
        await client.subscribe(f"{ROOT}/#", qos=1)
        try:
            yield dashboard
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await listening


class Bench:
    """A controller's telemetry: publisher, log, and what came in."""

    def __init__(self, address: Broker | Embedded, cursor: Path | None = None) -> None:
        self.stops: list[tuple[bytes, str]] = []
        self.odd: list[str] = []
        self.stopped = threading.Event()
        self.told = threading.Event()
        self.telemetry = Telemetry(
            device="bench-1", boot="a9cfd8f3dc6f", session="S-0001", simulated=True
        )
        self.publisher = MqttPublisher(
            address,
            self.telemetry,
            on_estop=self._on_estop,
            on_odd=self._on_odd,
            cursor_path=cursor,
        )

    def _on_estop(self, payload: bytes) -> None:
        self.stops.append((payload, threading.current_thread().name))
        self.stopped.set()

    def _on_odd(self, what: str) -> None:
        self.odd.append(what)
        self.told.set()

    def log(self, storage: MemoryStorage | None = None) -> EventLog:
        log = EventLog.create(
            storage or MemoryStorage(),
            Header("0", "bench-1", "x", "", simulated=True, extra={}),
            session="S-0001",
            boot="a9cfd8f3dc6f",
            stamp=lambda: Stamp(1, 2),
            on_failure=lambda _: None,
            on_written=self.publisher.log_advanced,
        )
        self.publisher.follow(log)
        return log


@contextlib.asynccontextmanager
async def running(address: Broker | Embedded, cursor: Path | None = None) -> AsyncIterator[Bench]:
    bench = Bench(address, cursor)
    await bench.publisher.start(10.0)
    try:
        yield bench
    finally:
        async with asyncio.timeout(10):
            await bench.publisher.close()


def at(broker: Amqtt | Mosquitto) -> Broker:
    return Broker("127.0.0.1", broker.port, tls=False)


def port_of(bench: Bench) -> int:
    return int(bench.publisher.url.rpartition(":")[2])


async def set_within(event: threading.Event, seconds: float = 10.0) -> bool:
    return await asyncio.to_thread(event.wait, seconds)


async def test_the_embedded_broker_carries_states_samples_and_events() -> None:
    async with running(Embedded(0)) as bench:
        log = bench.log()
        bench.publisher.publish(SESSION)
        bench.publisher.publish(PUMP)
        async with watching(port_of(bench)) as dashboard:
            await dashboard.until(lambda: dashboard.last(SESSION.topic) is not None)
            assert dashboard.payloads(f"{ROOT}/availability") == [b"online"]
            kept = dashboard.last(SESSION.topic)
            assert kept is not None
            assert kept.payload == SESSION.payload
            log.append("note", {"text": "one"}, sync=False)
            bench.publisher.publish(PUMP)
            await dashboard.until(lambda: dashboard.last(PUMP.topic) is not None)
            sample = dashboard.last(PUMP.topic)
            assert sample is not None
            assert not sample.retain
            assert (1, 0) in dashboard.events()
        assert bench.publisher.connected


async def test_a_state_is_there_for_whoever_comes_late_and_gone_when_taken_away(
    broker: Amqtt | Mosquitto,
) -> None:
    alarm = Message(f"{ROOT}/alarm/link_lost", b'{"state":"active"}', 1, True)
    async with running(at(broker)) as bench:
        bench.publisher.publish(alarm)
        async with watching(broker.port) as dashboard:
            await dashboard.until(lambda: dashboard.last(alarm.topic) is not None)
            bench.publisher.publish(alarm._replace(payload=b""))
            await dashboard.until(lambda: dashboard.payloads(alarm.topic)[-1] == b"")
        bench.publisher.publish(SESSION)
        async with watching(broker.port) as late:
            await late.until(lambda: late.last(SESSION.topic) is not None)
            assert late.last(alarm.topic) is None


async def test_leaving_says_offline(broker: Amqtt | Mosquitto) -> None:
    async with watching(broker.port) as dashboard:
        async with running(at(broker)) as bench:
            bench.log().seal({})
        await dashboard.until(
            lambda: dashboard.payloads(f"{ROOT}/availability") == [b"online", b"offline"]
        )
        assert dashboard.events() == [(0, 0), (1, 0)]
        assert not bench.publisher.connected
        await bench.publisher.close()


KILLED = """
import asyncio, sys
from controller.mqtt import MqttPublisher
from controller.mqtt_url import Broker
from controller.telemetry import Telemetry

async def main() -> None:
    telemetry = Telemetry(device="bench-1", boot="a" * 12, session="S-1", simulated=True)
    address = Broker("127.0.0.1", int(sys.argv[1]), tls=False)
    nothing = lambda _: None
    await MqttPublisher(address, telemetry, on_estop=nothing, on_odd=nothing).start(10)
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_broker_says_offline_for_a_controller_that_was_killed(
    broker: Amqtt | Mosquitto,
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(broker.port), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    async with watching(broker.port) as dashboard:
        await dashboard.until(lambda: dashboard.payloads(f"{ROOT}/availability") == [b"online"])
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        await dashboard.until(lambda: dashboard.payloads(f"{ROOT}/availability")[-1] == b"offline")
    async with watching(broker.port) as late:
        await late.until(lambda: late.payloads(f"{ROOT}/availability") == [b"offline"])


@pytest.mark.parametrize("payload", [b"", b'{"id":"req-1"}', b"\xffSTOP" * 2000])
async def test_a_live_stop_is_obeyed_whatever_is_in_it(
    broker: Amqtt | Mosquitto, payload: bytes
) -> None:
    async with running(at(broker)) as bench, aiomqtt.Client("127.0.0.1", broker.port) as ward:
        await ward.publish(STOP, payload, qos=1)
        assert await set_within(bench.stopped)
        assert bench.stops == [(payload, "mqtt bench-1")]


async def test_every_stop_of_a_flood_is_heard(broker: Amqtt | Mosquitto) -> None:
    async with running(at(broker)) as bench, aiomqtt.Client("127.0.0.1", broker.port) as ward:
        for number in range(50):
            await ward.publish(STOP, b"%d" % number, qos=1)
        await ward.publish(STOP, b"last", qos=1)
        async with asyncio.timeout(10):
            while not bench.stops or bench.stops[-1][0] != b"last":
                bench.stopped.clear()
                await set_within(bench.stopped, 0.5)
        assert len(bench.stops) == 51


async def test_a_retained_stop_is_ignored_aloud(broker: Amqtt | Mosquitto) -> None:
    async with aiomqtt.Client("127.0.0.1", broker.port) as ward:
        await ward.publish(STOP, b"left behind", qos=1, retain=True)
        async with running(at(broker)) as bench:
            assert await set_within(bench.told)
            assert bench.stops == []
            assert "retained stop was ignored" in bench.odd[0]
            await ward.publish(STOP, b"now", qos=1)
            assert await set_within(bench.stopped)
            assert [payload for payload, _ in bench.stops] == [b"now"]


async def test_a_blocked_controller_still_hears_a_stop() -> None:
    async with running(Embedded(0)) as bench:
        port = port_of(bench)

        async def press() -> None:
            async with aiomqtt.Client("127.0.0.1", port) as ward:
                await ward.publish(STOP, b"", qos=1)

        pressing = threading.Thread(target=asyncio.run, args=(press(),))
        pressing.start()
        assert bench.stopped.wait(10)  # blocks this loop, the controller's, on purpose
        pressing.join()


async def test_after_a_restart_of_the_broker_states_come_again_and_no_event_is_missing(
    broker: Amqtt | Mosquitto,
) -> None:
    async with running(at(broker)) as bench:
        log = bench.log()
        bench.publisher.publish(SESSION)
        for _ in range(20):
            log.append("note", {}, sync=False)
        async with watching(broker.port) as dashboard:
            await dashboard.until(lambda: dashboard.last(SESSION.topic) is not None)
            log.append("note", {}, sync=False)
            await dashboard.until(lambda: any(seq == 21 for seq, _ in dashboard.events()))
            before = dashboard.events()
            await broker.stop()
        assert await set_within(bench.told)
        assert "was lost" in bench.odd[0]
        for _ in range(250):
            log.append("note", {}, sync=False)
        bench.publisher.publish(SESSION._replace(payload=b'{"state":"recovering"}'))
        for number in range(5):
            bench.publisher.publish(PUMP._replace(payload=b'{"n":%d}' % number))
        await broker.start()
        async with watching(broker.port) as dashboard:
            await dashboard.until(lambda: any(seq == 271 for seq, _ in dashboard.events()))
            log.append("note", {}, sync=False)
            await dashboard.until(lambda: any(seq == 272 for seq, _ in dashboard.events()))
            after = dashboard.events()
            assert dashboard.payloads(SESSION.topic)[-1] == b'{"state":"recovering"}'
            assert dashboard.payloads(f"{ROOT}/availability")[-1] == b"online"
    # A dashboard that has not subscribed again yet misses what goes out meanwhile; the order and the
    # marks of what it gets are what this end answers for.
    numbers = [seq for seq, _ in after]
    assert numbers == list(range(numbers[0], 273))
    assert all(hist == (seq < 272) for seq, hist in after)
    assert [seq for seq, _ in before] == list(range(before[0][0], 22))
    assert bench.publisher.dropped >= 4


async def test_a_reader_with_a_lasting_session_gets_every_event_over_a_dead_network(
    amqtt: Amqtt,
) -> None:
    """The path between us and the broker breaks; the reader stays connected and sees no gap."""
    cables: list[asyncio.StreamWriter] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", amqtt.port)
        cables.extend((writer, far_writer))
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                writer.write(data)
        writer.close()

    path = await asyncio.start_server(carry, "127.0.0.1", 0)
    address = Broker("127.0.0.1", path.sockets[0].getsockname()[1], tls=False)
    async with watching(amqtt.port) as dashboard, running(address) as bench:
        log = bench.log()
        for cut in range(3):
            for _ in range(40):
                log.append("note", {}, sync=False)
            await dashboard.until(lambda: len(dashboard.events()) > 5)
            while cables:
                cables.pop().transport.abort()
            bench.told.clear()
            assert await set_within(bench.told), f"cut {cut}"
        log.append("note", {}, sync=False)
        await dashboard.until(lambda: any(seq == 121 for seq, _ in dashboard.events()))
    seen: dict[int, None] = dict.fromkeys(seq for seq, _ in dashboard.events())
    assert list(seen) == list(range(122))
    path.close()


async def test_another_process_goes_on_with_the_events_where_the_last_one_stopped(
    amqtt: Amqtt, tmp_path: Path
) -> None:
    cursor, storage = tmp_path / "bench-1.cursor", MemoryStorage()
    async with watching(amqtt.port) as dashboard:
        async with running(at(amqtt), cursor) as bench:
            bench.log(storage).append("note", {}, sync=False)
        await dashboard.until(lambda: dashboard.events() == [(0, 0), (1, 0)])
        again = Bench(at(amqtt), cursor)
        log, _ = EventLog.recover(
            MemoryStorage(storage.contents()),
            boot="b" * 12,
            stamp=lambda: Stamp(3, 4),
            on_failure=lambda _: None,
            on_written=again.publisher.log_advanced,
        )
        again.publisher.follow(log)
        await again.publisher.start(10.0)
        await dashboard.until(lambda: any(seq == 2 for seq, _ in dashboard.events()))
        await again.publisher.close()
        assert [seq for seq, _ in dashboard.events()] == [0, 1, 2]


async def test_a_broker_that_is_not_there_is_reported_at_once() -> None:
    port = free_port()
    bench = Bench(Broker("127.0.0.1", port, tls=False))
    async with asyncio.timeout(10):
        with pytest.raises(
            BrokerUnreachable, match=rf"^mqtt://127.0.0.1:{port} could not be reached"
        ):
            await bench.publisher.start(5.0)
        await bench.publisher.close()


async def test_a_broker_that_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bench = Bench(Broker("127.0.0.1", silent.getsockname()[1], tls=False))
        async with asyncio.timeout(10):
            with pytest.raises(BrokerUnreachable, match="could not be reached"):
                await bench.publisher.start(0.5)
            await bench.publisher.close()


async def test_a_name_that_nobody_can_look_up_is_one_clear_error() -> None:
    bench = Bench(Broker("x" * 80 + ".invalid", 1883, tls=False))
    with pytest.raises(BrokerUnreachable, match="could not be reached"):
        await bench.publisher.start(5.0)


async def test_an_embedded_broker_on_a_busy_port_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(BrokerUnreachable, match=f"embedded broker on 127.0.0.1:{port}"):
            await Bench(Embedded(port)).publisher.start(5.0)


async def test_two_embedded_brokers_run_side_by_side_and_leave_their_ports() -> None:
    port = free_port()
    async with running(Embedded(port)) as one, running(Embedded(0)) as other:
        assert (port_of(one), port_of(other)) == (port, port_of(other))
        assert port_of(other) != port
    async with running(Embedded(port)):
        pass


async def test_what_waits_before_the_connection_is_bounded_by_the_latest_of_each_topic() -> None:
    bench = Bench(Embedded(0))
    for number in range(10_000):
        bench.publisher.publish(PUMP._replace(payload=b"%d" % number))
        bench.publisher.publish(SESSION._replace(payload=b"%d" % number))
    assert bench.publisher.dropped == 9_999
    await bench.publisher.start(10.0)
    async with watching(port_of(bench)) as dashboard:
        await dashboard.until(lambda: dashboard.payloads(SESSION.topic) == [b"9999"])
    await bench.publisher.close()
    await bench.publisher.close()


async def test_closing_without_ever_having_started_is_no_matter() -> None:
    bench = Bench(Embedded(0))
    await bench.publisher.close()
    bench.publisher.log_advanced()


async def test_an_answer_to_a_stop_goes_out(broker: Amqtt | Mosquitto) -> None:
    outcome = EstopOutcome("req-1", 10, 12, 40, "emergency_stopped")
    async with running(at(broker)) as bench, watching(broker.port) as dashboard:
        answer = bench.telemetry.estop_result(Stamp(1, 2), 0, outcome)
        bench.publisher.publish(answer)
        await dashboard.until(lambda: dashboard.last(f"{STOP}/result/req-1") is not None)
        assert bench.stops == []


@needs_mosquitto
async def test_mqtt_5_adds_what_nobody_needs(mosquitto: Mosquitto) -> None:
    async with running(at(mosquitto)) as bench, watching(mosquitto.port, V5) as dashboard:
        bench.publisher.publish(PUMP)
        await dashboard.until(lambda: dashboard.last(PUMP.topic) is not None)
        sample = dashboard.last(PUMP.topic)
        assert sample is not None
        assert sample.properties is not None
        told: dict[str, Any] = sample.properties.json()  # type: ignore[no-untyped-call]
        assert told["ContentType"] == "application/json"
        assert told["UserProperty"] == [("schema", "infusion/v1")]
        assert told["MessageExpiryInterval"] <= 10

        asked = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        asked.ResponseTopic, asked.CorrelationData = f"{STOP}/result/ward-7", b"c7"
        await dashboard.client.publish(STOP, b'{"id":"req-1"}', qos=1, properties=asked)
        assert await set_within(bench.stopped)
        outcome = EstopOutcome("req-1", 10, 12, 40, "emergency_stopped")
        bench.publisher.publish(bench.telemetry.estop_result(Stamp(1, 2), 0, outcome))
        await dashboard.until(lambda: dashboard.last(f"{STOP}/result/ward-7") is not None)
        reply = dashboard.last(f"{STOP}/result/ward-7")
        assert reply is not None
        assert reply.properties is not None
        assert getattr(reply.properties, "CorrelationData", None) == b"c7"
        assert dashboard.last(f"{STOP}/result/req-1") is not None

        asked.ResponseTopic = STOP  # an answer there would be the next stop
        await dashboard.client.publish(STOP, b'{"id":"req-2"}', qos=1, properties=asked)
        other = EstopOutcome("req-2", 10, 12, 40, "emergency_stopped")
        bench.publisher.publish(bench.telemetry.estop_result(Stamp(1, 2), 0, other))
        await dashboard.until(lambda: dashboard.last(f"{STOP}/result/req-2") is not None)
        assert len(bench.stops) == 2


@needs_mosquitto
async def test_a_broker_that_wants_a_password_turns_us_away_with_its_reason(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, anonymous=False)
    await broker.start()
    with pytest.raises(BrokerUnreachable, match="Not authorized"):
        await Bench(at(broker)).publisher.start(5.0)
    await broker.stop()
