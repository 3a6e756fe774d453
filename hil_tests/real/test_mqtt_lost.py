"""What becomes of telemetry when a broker, the path to it, or the controller itself goes away."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from pathlib import Path

import pytest

from controller.event_log import EventLog
from controller.log_format import Stamp
from controller.log_storage import MemoryStorage
from controller.mqtt_url import Broker, Embedded
from controller.publisher import BrokerUnreachable
from hil_tests.real.mqtt_bench import (
    PUMP,
    ROOT,
    SESSION,
    Amqtt,
    Bench,
    Mosquitto,
    at,
    free_port,
    needs_mosquitto,
    port_of,
    running,
    set_within,
    watching,
)

pytestmark = pytest.mark.real


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


@needs_mosquitto
async def test_a_broker_that_wants_a_password_turns_us_away_with_its_reason(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, anonymous=False)
    await broker.start()
    with pytest.raises(BrokerUnreachable, match="Not authorized"):
        await Bench(at(broker)).publisher.start(5.0)
    await broker.stop()


@needs_mosquitto
async def test_a_broker_that_throws_our_messages_away_is_reported(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, acl="topic read infusion/#\n")
    await broker.start()
    async with running(at(broker)) as bench:
        assert await set_within(bench.told)
        assert "throws away what is published: Not authorized" in bench.odd[0]
    await broker.stop()


async def test_a_log_that_cannot_be_read_costs_its_events_and_nothing_else() -> None:
    class Unreadable(MemoryStorage):
        def read(self, start: int, end: int) -> bytes:
            raise OSError("Input/output error")

    async with running(Embedded(0)) as bench:
        bench.log(Unreadable())
        bench.publisher.publish(SESSION)
        assert await set_within(bench.told)
        assert "Input/output error" in bench.odd[0]
        async with watching(port_of(bench)) as dashboard:
            await dashboard.until(lambda: dashboard.last(SESSION.topic) is not None)
            assert dashboard.events() == []
