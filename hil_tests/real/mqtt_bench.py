"""Brokers, a dashboard and a controller's telemetry, for the tests of MQTT over real sockets.

The dashboard is a second client of its own.  ``PATH`` decides whether mosquitto is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from controller.broker import EmbeddedBroker
from controller.event_log import EventLog, Header
from controller.log_format import Stamp
from controller.log_storage import MemoryStorage
from controller.mqtt import MqttPublisher
from controller.mqtt_url import Broker, Embedded
from controller.telemetry import Message, Telemetry

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

    def __init__(self, folder: Path, *, anonymous: bool = True, acl: str = "") -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {str(anonymous).lower()}"]
        if acl:
            (folder / "acl").write_text(acl)
            (folder / "acl").chmod(0o644)
            lines += [f"acl_file {folder / 'acl'}", "user root"]
        self._config.write_text("\n".join(lines) + "\n")
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
