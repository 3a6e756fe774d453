"""What `infusor doctor` tries on a broker: what must work, and above all what must be refused.

An access list that is silently ineffective looks like one that works, so nothing is believed that was
not tried: a message must come back, a command that was left on the broker must be ignored, a live stop
must be heard, and a stranger must not get through.  Only topics of the device ``doctor`` are used, which
no pump has, and what was left there is taken away again.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count

from controller.broker import HOST, EmbeddedBroker
from controller.doctor_checks import Check, Level
from controller.mqtt import MqttPublisher
from controller.mqtt_client import (
    Connection,
    ConnectionLost,
    Version,
    all_but_bad_descriptor,
    connect,
)
from controller.mqtt_url import Broker, Embedded
from controller.publisher import ODD_STOP, BrokerUnreachable
from controller.telemetry import Message, Telemetry
from firmware_bridge.clock import fresh_boot_id

DEVICE = "doctor"
CONNECT_S = 5.0
HEARD_S = 2.0
"""Wall seconds a message has to come back: a thousand times what a broker on the same net takes."""


_HEARD_MAX = 100
_RETAINED = f"{ODD_STOP}: a retained one"  # how `publisher.obey` says so


async def broker_checks(address: Broker | Embedded, *, connect_s: float = CONNECT_S) -> list[Check]:
    """The self-test against one broker; an `Embedded` one is started for it, on loopback.

    ``connect_s`` is what the broker has to let us in, for each of two versions of MQTT.
    """
    asyncio.get_running_loop().set_exception_handler(all_but_bad_descriptor)
    if isinstance(address, Broker):
        return await _tested(address, (Version.V5, Version.V311), connect_s, ours=False)
    try:
        broker = await EmbeddedBroker.start(address.port)
    except BrokerUnreachable as error:
        return [Check("broker", Level.FAIL, str(error), unreachable=True)]
    try:
        there = Broker(HOST, broker.port, tls=False)
        return await _tested(there, (Version.V311,), connect_s, ours=True)
    finally:
        await broker.close()


async def _tested(
    address: Broker, versions: tuple[Version, ...], connect_s: float, *, ours: bool
) -> list[Check]:
    test = _SelfTest(address, versions, connect_s, ours=ours)
    checks: list[Check] = []
    try:
        checks.append(await test.read_back())
        checks += await test.commands()
        if not ours:
            checks.append(await test.stranger())
    except (ConnectionLost, BrokerUnreachable) as error:
        text = str(error) if isinstance(error, BrokerUnreachable) else f"{address}: {error}"
        checks.append(Check("broker", Level.FAIL, text, unreachable=True))
    return checks


class _SelfTest:
    """The parts of the test, each on connections of its own.

    ``ours``: the broker is the embedded one, which refuses nobody and has no access list.
    """

    def __init__(
        self, address: Broker, versions: tuple[Version, ...], connect_s: float, *, ours: bool
    ) -> None:
        boot = f"{fresh_boot_id():012x}"
        self._address = address
        self._versions = versions
        self._connect_s = connect_s
        self._ours = ours
        self._telemetry = Telemetry(device=DEVICE, boot=boot, session="S-0000", simulated=True)
        self._estop = self._telemetry.estop_topic
        self._reading = f"{self._telemetry.root}/pump"
        self._name = f"infusor-{DEVICE}-{boot}"
        self._logins = count(1)

    async def read_back(self) -> Check:
        """Whether what is published arrives."""
        refusals: list[str] = []
        body = self._body("read back")
        async with self._ear(self._reading) as ear, self._login(refusals) as hand:
            self._versions = (hand.version,)
            await hand.send(Message(self._reading, body, 1, retain=False))
            arrived = await ear.hears(body)
        version = "5" if self._versions == (Version.V5,) else "3.1.1"
        kind = "embedded broker" if self._ours else str(self._address)
        if arrived:
            return Check("broker", Level.OK, f"{kind} (MQTT {version}): a message came back")
        why = f"refused ({refusals[0]})" if refusals else "acknowledged, and thrown away or kept"
        return Check(
            "broker", Level.FAIL, f"{kind}: what was published to {self._reading} was {why}"
        )

    async def commands(self) -> list[Check]:
        """Whether the product ignores a stop that was left on the broker, and hears a live one."""
        refusals: list[str] = []
        left, live = self._body("left behind"), self._body("live")
        async with self._login(refusals) as hand:
            await hand.send(Message(self._estop, left, 1, retain=True))
            if refusals:
                return self._no_stop_for_us(refusals[0])
            try:
                async with self._product() as told:
                    retained = self._retained(await told.first(left))
                    await hand.send(Message(self._estop, live, 1, retain=False))
                    return [retained, self._live(await told.first(live))]
            finally:
                with suppress(ConnectionLost):
                    for topic in (self._estop, self._telemetry.availability_topic):
                        await hand.send(Message(topic, b"", 1, retain=True))

    async def stranger(self) -> Check:
        """Whether somebody without a name gets through to the stop, or to the readings."""
        nobody = replace(self._address, user=None, password=None)
        body = self._body("stranger")
        name, topics = "anonymous", (self._estop, self._reading)
        async with self._ear(topics[0]) as stop_ear, self._ear(topics[1]) as reading_ear:
            try:
                async with self._login([], nobody) as stranger:
                    for topic in topics:
                        await stranger.send(Message(topic, body, 1, retain=False))
            except ConnectionLost as error:
                return Check(name, Level.OK, f"a stranger is turned away ({error})")
            heard = await asyncio.gather(stop_ear.hears(body), reading_ear.hears(body))
        written = [topic for topic, arrived in zip(topics, heard, strict=True) if arrived]
        if not written:
            return Check(name, Level.OK, "a stranger may log in, but nothing they wrote arrived")
        level = Level.WARN if _is_loopback(self._address.host) else Level.FAIL
        text = f"anybody who reaches {self._address} can write {' and '.join(written)}"
        return Check(name, level, f"{text}: turn anonymous access off, or set an access list")

    # --- what was found -------------------------------------------------------------------------------

    def _retained(self, told: Told | None) -> Check:
        name = "retained command"
        if told is None:
            return Check(name, Level.OK, "the broker does not hand it out")
        if told.obeyed:
            return Check(name, Level.FAIL, "a stop that was left on the broker was obeyed")
        return Check(name, Level.OK, "a stop that was left on the broker is ignored")

    def _live(self, told: Told | None) -> Check:
        name = "remote stop"
        if told is not None and told.obeyed:
            return Check(name, Level.OK, "a live stop is heard")
        text = f"a stop published to {self._estop} was not heard"
        if self._ours:
            return Check(name, Level.FAIL, text)
        return Check(name, Level.WARN, f"{text}; does the access list give this login that topic?")

    def _no_stop_for_us(self, refusal: str) -> list[Check]:
        text = f"this login may not write {self._estop} ({refusal}), as a controller should not"
        return [
            Check("retained command", Level.OK, text),
            Check("remote stop", Level.WARN, "not tried: it takes a login that may stop"),
        ]

    # --- tools ------------------------------------------------------------------------------------------

    def _body(self, what: str) -> bytes:
        """A body that nobody else publishes."""
        return f"{what}, {self._name}".encode()

    @asynccontextmanager
    async def _login(
        self, refusals: list[str], address: Broker | None = None
    ) -> AsyncIterator[Connection]:
        """A connection in the first version that is taken; refused publishes go to ``refusals``."""
        name = f"{self._name}-{next(self._logins)}"
        async with AsyncExitStack() as stack:
            for version in self._versions:
                opening = connect(
                    address or self._address,
                    identifier=name,
                    will=Message(f"{self._telemetry.root}/gone", b"", 0, retain=False),
                    version=version,
                    timeout_s=self._connect_s,
                    on_refused=refusals.append,
                )
                try:
                    connection = await stack.enter_async_context(opening)
                except ConnectionLost as error:
                    if error.turned_away or version is self._versions[-1]:
                        raise
                else:
                    break
            yield connection

    @asynccontextmanager
    async def _ear(self, topic: str) -> AsyncIterator[_Ear]:
        """Hears ``topic`` until it is left."""
        async with self._login([]) as connection:
            await connection.subscribe(topic)
            ear = _Ear()
            listening = asyncio.create_task(ear.listen(connection))
            try:
                yield ear
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    @asynccontextmanager
    async def _product(self) -> AsyncIterator[_Mailbox]:
        """The very publisher that a visit uses, and what it says.  Raises `BrokerUnreachable`."""
        told = _Mailbox()
        publisher = MqttPublisher(
            self._address, self._telemetry, on_estop=told.stop, on_odd=told.odd
        )
        await publisher.start(2 * self._connect_s)
        try:
            yield told
        finally:
            await publisher.close()


class _Ear:
    """Remembers what arrived on one topic."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[bytes] = asyncio.Queue(_HEARD_MAX)

    async def listen(self, connection: Connection) -> None:
        with suppress(ConnectionLost):  # then nothing more is heard, and that is the finding
            async for message in connection.inbound():
                await self._heard.put(message.payload)

    async def hears(self, body: bytes) -> bool:
        """Whether ``body`` arrives in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARD_S):
                while await self._heard.get() != body:
                    pass
                return True
        return False


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a command: obeyed with this body, or ignored with these words."""

    obeyed: bool
    body: bytes


class _Mailbox:
    """Brings what the publisher says on its thread to this loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[Told] = asyncio.Queue()

    def stop(self, body: bytes) -> None:
        self._loop.call_soon_threadsafe(self._told.put_nowait, Told(obeyed=True, body=body))

    def odd(self, text: str) -> None:
        if text.startswith(_RETAINED):
            self._loop.call_soon_threadsafe(self._told.put_nowait, Told(obeyed=False, body=b""))

    async def first(self, body: bytes) -> Told | None:
        """What became of ``body``, or that something retained was ignored; None when nothing came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARD_S):
                while True:
                    told = await self._told.get()
                    if not told.obeyed or told.body == body:
                        return told
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
