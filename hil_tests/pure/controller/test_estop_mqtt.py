"""A stop for everybody who is online at a broker: whom it is sent to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from controller.cli.estop_mqtt import ONLINE, _stop_all, _Stops
from controller.mqtt_client import Connection
from controller.telemetry import PREFIX, Message


class Broker:
    """Says who is online, and keeps what is sent."""

    def __init__(self, *devices: str) -> None:
        self._devices = devices
        self.sent: list[str] = []

    async def subscribe(self, topic: str) -> None:
        """Everything comes anyway."""

    async def inbound(self) -> AsyncIterator[Message]:
        for device in self._devices:
            yield Message(f"{PREFIX}/{device}/availability", ONLINE, 1, retain=True)

    async def send(self, message: Message) -> None:
        self.sent.append(message.topic)


async def test_only_what_has_the_name_of_a_device_is_told_to_stop() -> None:
    broker = Broker("bench-1", "\x1b[2J", "Bench 2", "a" * 33, "", "bench-1", "bench-3")
    stops = _Stops(asyncio.get_running_loop())
    await _stop_all(cast("Connection", broker), stops)
    assert broker.sent == [f"{PREFIX}/{name}/cmd/estop" for name in ("bench-1", "bench-3")]
    assert set(stops.confirmed_ms) == {"bench-1", "bench-3"}
