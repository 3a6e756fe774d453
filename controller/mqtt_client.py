"""One connection to a broker: the only place that knows aiomqtt and paho.

What they raise becomes `ConnectionLost`; what they log and leave behind is quiet here, because it is
handled.  A publish that the broker refuses is reported, which aiomqtt 2.5.1 takes for done.  Not
answerable for when to connect or what to say (`controller.mqtt`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from controller.mqtt_url import Broker
from controller.telemetry import Message

KEEP_ALIVE_S = 15

ANSWER_S = 5.0
"""Wall seconds a broker has for one acknowledgement; after that the connection counts as lost."""

SAMPLE_EXPIRY_S = 10
INBOUND_MAX = 1000

_REFUSED_LOGIN = frozenset((4, 5, 134, 135))  # user, password, authorisation: MQTT 3.1.1 and 5
_QUIET = logging.getLogger("infusor.mqtt")
_QUIET.setLevel(logging.CRITICAL)


class ConnectionLost(Exception):
    """The broker did not answer, refused, or went away.

    ``turned_away``: it knows us and will not have us, so asking in another version would not help.
    """

    def __init__(self, reason: str, *, turned_away: bool = False) -> None:
        super().__init__(reason)
        self.turned_away = turned_away


class Version(Enum):
    """Which MQTT is spoken.  3.1.1 carries everything that has a meaning."""

    V5 = aiomqtt.ProtocolVersion.V5
    V311 = aiomqtt.ProtocolVersion.V311


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where the sender of a message with MQTT 5 wants its answer, in its own words."""

    topic: str
    correlation: bytes | None


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message that came in."""

    topic: str
    payload: bytes
    retained: bool
    reply_to: ReplyTo | None


class Connection:
    """An open connection; made by `connect`.  Every method raises `ConnectionLost`."""

    def __init__(self, client: aiomqtt.Client, version: Version) -> None:
        self._client = client
        self.version = version

    async def subscribe(self, topic: str) -> None:
        """Messages on ``topic`` come in from now on."""
        with _as_lost():
            await self._client.subscribe(topic, qos=1, timeout=ANSWER_S)

    async def send(self, message: Message, *, reply_to: ReplyTo | None = None) -> None:
        """The message is with the broker: acknowledged, for QoS 1; also where its asker wants it."""
        topic, payload, qos, retain = message
        properties = self._properties(message)
        with _as_lost():
            await self._client.publish(topic, payload, qos, retain, properties, timeout=ANSWER_S)
            if reply_to is None or properties is None:
                return
            if reply_to.correlation is not None:
                properties.CorrelationData = reply_to.correlation
            await self._client.publish(
                reply_to.topic, payload, qos, retain, properties, timeout=ANSWER_S
            )

    async def inbound(self) -> AsyncIterator[Inbound]:
        """Messages as they come, for ever."""
        with _as_lost():
            async for message in self._client.messages:
                topic = getattr(message.properties, "ResponseTopic", None)
                correlation = getattr(message.properties, "CorrelationData", None)
                reply_to = ReplyTo(topic, correlation) if isinstance(topic, str) else None
                yield Inbound(str(message.topic), message.payload, message.retain, reply_to)

    def _properties(self, message: Message) -> Properties | None:
        """What MQTT 5 can say beside a message; nothing that a reader would need."""
        if self.version is not Version.V5:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own
        if message.payload.startswith(b"{"):
            properties.ContentType = "application/json"
            properties.UserProperty = ("schema", "infusion/v1")
        if not message.qos:
            properties.MessageExpiryInterval = SAMPLE_EXPIRY_S
        return properties


@contextlib.asynccontextmanager
async def connect(
    address: Broker,
    *,
    identifier: str,
    will: Message | None,
    version: Version,
    timeout_s: float,
    on_refused: Callable[[str], None],
) -> AsyncIterator[Connection]:
    """An open connection, closed gracefully at the end.  Raises `ConnectionLost`.

    ``timeout_s`` of wall time is what the broker has to accept it.  ``on_refused`` is told when the
    broker acknowledges a message and throws it away.
    """
    client = _Client(
        address.host,
        address.port,
        username=address.user,
        password=address.password,
        identifier=identifier,
        protocol=version.value,
        will=None
        if will is None
        else aiomqtt.Will(will.topic, will.payload, will.qos, will.retain),
        keepalive=KEEP_ALIVE_S,
        timeout=timeout_s,
        max_queued_incoming_messages=INBOUND_MAX,
        tls_context=ssl.create_default_context() if address.tls else None,
        logger=_QUIET,
    )
    client.on_refused = on_refused
    with _as_lost():
        await client.open(timeout_s)
    try:
        yield Connection(client, version)
    finally:
        with contextlib.suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)


def all_but_bad_descriptor(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A loop's exception handler that drops the one report aiomqtt leaves behind at a disconnect.

    paho closes its socket before asyncio has carried out the ``add_writer`` that aiomqtt asked for.
    """
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno == errno.EBADF and "handle" in context:
        return
    loop.default_exception_handler(context)


class _Client(aiomqtt.Client):
    """`aiomqtt.Client` that does not hide a refused publish, and can give up a greeting."""

    on_refused: Callable[[str], None] | None = None

    async def open(self, timeout_s: float) -> None:
        """Accepted by the broker within ``timeout_s``, name and route included, or nothing is left.

        aiomqtt bounds only the last step, and leaves its socket open when that fails.
        """
        self._client.connect_timeout = timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self.__aenter__()
        except aiomqtt.MqttError:
            self._client.disconnect()
            raise
        except TimeoutError:
            self._connected = asyncio.Future()  # the old one was cancelled, which it cannot take
            self._client.disconnect()
            raise aiomqtt.MqttError(f"no answer within {timeout_s:g} s") from None

    def _on_publish(
        self,
        client: paho.Client,
        userdata: object,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        if reason_code.is_failure and self.on_refused is not None:
            self.on_refused(str(reason_code))
        super()._on_publish(client, userdata, mid, reason_code, properties)


@contextlib.contextmanager
def _as_lost() -> Iterator[None]:
    """Turns what the libraries raise on account of the world into `ConnectionLost`."""
    try:
        yield
    except aiomqtt.MqttError as error:
        code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
        number = code.value if isinstance(code, ReasonCode) else code
        raise ConnectionLost(str(error), turned_away=number in _REFUSED_LOGIN) from error
    except UnicodeError as error:  # a host name that no name server could be asked for
        raise ConnectionLost(str(error)) from error
