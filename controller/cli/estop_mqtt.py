"""``infusor estop --mqtt URL``: stop by way of a broker, and believe only what the pump confirmed.

A stop goes to the controller of each device that is online at the broker, or of the one that was named;
each answers on a topic of its own.  MQTT 3.1.1 is tried first: it says all that is needed, and some
brokers fall silent at anything newer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controller.cli.outcome import DONE, ENDED_BADLY, Unreachable, Usage
from controller.flat_json import FlatJsonError, FlatObject, parse_flat
from controller.mqtt_client import (
    Connection,
    ConnectionLost,
    Version,
    all_but_bad_descriptor,
    connect,
)
from controller.mqtt_url import Broker, MqttUrlError, parse_mqtt_url
from controller.plain_text import spelt_out
from controller.telemetry import PREFIX, Message
from firmware_bridge.clock import fresh_boot_id, wall_ms
from firmware_bridge.runtime import DEVICE_ID, checked_device

CONNECT_S = 5.0
WHO_S = 1.0
"""How long retained words of who is online are waited for; a broker sends them at once."""
CONFIRM_S = 10.0
"""How long the pump's confirmation is waited for; the controller itself alarms after 1 s."""
ONLINE = b"online"


def stop_over_mqtt(arguments: argparse.Namespace) -> int:
    """Exit code 0 only if every pump confirmed.  Raises `Usage`, `Unreachable`, `ConfigurationError`."""
    try:
        address = parse_mqtt_url(arguments.mqtt, os.environ)
    except MqttUrlError as error:
        raise Usage(str(error)) from error
    if not isinstance(address, Broker):
        raise Usage(f"--mqtt {arguments.mqtt}: must name a broker, mqtt://[user@]host[:port]")
    device = None if arguments.device is None else checked_device(arguments.device)
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return _tell(runner.run(_stop(address, device)), as_json=arguments.json)


class _Stops:
    """Which devices were told to stop, and after how many milliseconds each was confirmed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._nonce = f"{fresh_boot_id():x}"
        self._told: dict[str, float] = {}
        self.confirmed_ms: dict[str, int | None] = {}

    @property
    def results(self) -> str:
        """Where the answers for every device come, as a subscription."""
        return f"{PREFIX}/+/cmd/estop/result/{self._nonce}"

    def settled(self) -> bool:
        """Whether every device that was told has confirmed."""
        return None not in self.confirmed_ms.values()

    def request(self, device: str) -> Message:
        """The message that stops ``device``."""
        self._told[device] = self._loop.time()
        self.confirmed_ms[device] = None
        body = {"v": 1, "id": self._nonce, "ts": wall_ms(self._loop), "source": "infusor estop"}
        topic = f"{PREFIX}/{device}/cmd/estop"
        return Message(topic, json.dumps(body).encode(), 1, retain=False)

    def heard(self, topic: str, payload: bytes) -> None:
        """An answer; only one that the pump stands behind changes anything."""
        device = _device(topic)
        if self.confirmed_ms.get(device, 0) is None and _flat(payload).get("confirmed") == 1:
            self.confirmed_ms[device] = round((self._loop.time() - self._told[device]) * 1_000)


async def _stop(address: Broker, device: str | None) -> dict[str, int | None]:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(all_but_bad_descriptor)
    stops = _Stops(loop)
    try:
        async with _connected(address) as connection:
            await connection.subscribe(stops.results)
            if device is None:
                await _stop_all(connection, stops)
            else:
                await connection.send(stops.request(device))
            await _await_confirmations(connection, stops)
    except ConnectionLost as error:
        if not stops.confirmed_ms:
            raise Unreachable(f"{address} could not be reached: {error}") from error
        if not stops.settled():  # a broker inside the stopped controller leaves with it
            sys.stderr.write(f"{address} was lost: {spelt_out(str(error))}\n")
    if not stops.confirmed_ms:
        raise Unreachable(f"no device is online at {address}")
    return stops.confirmed_ms


@asynccontextmanager
async def _connected(address: Broker) -> AsyncIterator[Connection]:
    """A connection in whichever version the broker answers.  Raises `ConnectionLost`."""
    for version in (Version.V311, Version.V5):
        opening = connect(
            address,
            identifier=f"infusor-estop-{fresh_boot_id():x}",
            will=None,
            version=version,
            timeout_s=CONNECT_S,
            on_refused=_refused,
        )
        try:
            connection = await opening.__aenter__()
        except ConnectionLost:
            if version is Version.V5:
                raise
            continue
        try:
            yield connection
        finally:
            await opening.__aexit__(None, None, None)
        return


async def _stop_all(connection: Connection, stops: _Stops) -> None:
    """Every device that is online has been told."""
    await connection.subscribe(f"{PREFIX}/+/availability")
    with contextlib.suppress(TimeoutError):  # whoever was online has said so by then
        async with asyncio.timeout(WHO_S):
            async for message in connection.inbound():
                stops.heard(message.topic, message.payload)
                device = _device(message.topic)
                if not DEVICE_ID.fullmatch(device):
                    continue  # anybody may publish; what has no name of ours is no controller of ours
                if message.payload == ONLINE and device not in stops.confirmed_ms:
                    await connection.send(stops.request(device))


def _refused(why: str) -> None:
    sys.stderr.write(f"the broker refuses the stop: {spelt_out(why)}\n")


async def _await_confirmations(connection: Connection, stops: _Stops) -> None:
    """All have confirmed, or have had their time: what has not is reported as not confirmed."""
    if stops.settled():
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CONFIRM_S):
            async for message in connection.inbound():
                stops.heard(message.topic, message.payload)
                if stops.settled():
                    break


def _device(topic: str) -> str:
    """``infusion/v1/<device>/...``, as both subscriptions demand."""
    return topic.split("/")[2]


def _flat(payload: bytes) -> FlatObject:
    try:
        return parse_flat(payload)
    except FlatJsonError:
        return {}


def _tell(confirmed_ms: dict[str, int | None], *, as_json: bool) -> int:
    known = [latency for latency in confirmed_ms.values() if latency is not None]
    confirmed = len(known) == len(confirmed_ms)
    if as_json:
        result = {
            "confirmed": confirmed,
            "latency_ms": max(known, default=None),
            "devices": len(confirmed_ms),
        }
        sys.stdout.write(json.dumps(result) + "\n")
    for device, latency in confirmed_ms.items():
        state = "STOP NOT CONFIRMED" if latency is None else "stopped, confirmed by the pump"
        sys.stderr.write(f"{device}: {state}\n")
    return DONE if confirmed else ENDED_BADLY
