"""Telemetry and the remote stop over real brokers: the embedded one always, mosquitto where it is."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from controller.log_format import Stamp
from controller.mqtt_url import Embedded
from controller.telemetry import Message
from controller.telemetry_views import EstopOutcome
from hil_tests.real.mqtt_bench import (
    PUMP,
    ROOT,
    SESSION,
    STOP,
    V5,
    Amqtt,
    Mosquitto,
    at,
    needs_mosquitto,
    port_of,
    running,
    set_within,
    watching,
)

pytestmark = pytest.mark.real


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
            await dashboard.until(
                lambda: dashboard.last(PUMP.topic) is not None and (1, 0) in dashboard.events()
            )
            sample = dashboard.last(PUMP.topic)
            assert sample is not None
            assert not sample.retain
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


async def test_an_alarm_is_shown_even_where_it_is_taken_away_at_once(
    broker: Amqtt | Mosquitto,
) -> None:
    alarm = Message(f"{ROOT}/alarm/link_lost", b'{"state":"active"}', 1, True)
    async with running(at(broker)) as bench, watching(broker.port) as dashboard:
        for message in (alarm._replace(payload=b"early"), alarm, alarm._replace(payload=b"")):
            bench.publisher.publish(message)
        await dashboard.until(lambda: b"" in dashboard.payloads(alarm.topic))
        assert dashboard.payloads(alarm.topic) == [alarm.payload, b""]


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
            assert bench.odd[0].startswith("remote stop: a retained one was ignored")
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


async def test_a_stranger_who_speaks_no_mqtt_is_shown_out_and_leaves_nothing_behind() -> None:
    async with running(Embedded(0)) as bench:
        for greeting in (b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(bench))
            writer.write(greeting)
            writer.write_eof()
            async with asyncio.timeout(5):
                await reader.read()
            writer.close()
            await writer.wait_closed()
        bench.publisher.publish(SESSION)
        async with watching(port_of(bench)) as dashboard:
            await dashboard.until(lambda: dashboard.last(SESSION.topic) is not None)
