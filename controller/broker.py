"""A broker of our own, inside the process: amqtt on the loopback interface, MQTT 3.1.1.

For a bench without a broker.  It listens on 127.0.0.1 only, asks nobody for a password and keeps
nothing over a restart.  Belongs to the loop it was started on; not answerable for what is published.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from controller.publisher import BrokerUnreachable

HOST = "127.0.0.1"
CLOSE_S = 2.0
"""Wall seconds for the broker to put its house in order; a healthy one takes milliseconds."""


class EmbeddedBroker:
    """A running broker at ``mqtt://127.0.0.1:<port>``; made by `start`."""

    def __init__(self, broker: Any) -> None:  # noqa: ANN401  # untyped library
        self._broker = broker
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    @classmethod
    async def start(cls, port: int) -> EmbeddedBroker:
        """A broker that accepts connections.  Raises `BrokerUnreachable` (port in use, not installed)."""
        try:
            from amqtt.broker import Broker  # noqa: PLC0415  # a third of a second, and an extra
            from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType  # noqa: PLC0415
        except ImportError as error:
            raise BrokerUnreachable(
                "the embedded broker needs amqtt: install infusor[demo], or give --mqtt a URL or off"
            ) from error
        logging.getLogger("amqtt").setLevel(
            logging.CRITICAL
        )  # it reports every lost client as error
        config = BrokerConfig(
            listeners={"default": ListenerConfig(type=ListenerType.EXTERNAL, bind=HOST)},
            plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        )
        broker = Broker(config)
        await broker.start()
        embedded = cls(broker)
        await embedded._listen(port)
        return embedded

    async def close(self) -> None:
        """Everybody is disconnected and the port is free, within `CLOSE_S`.  Idempotent."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for writer in list(self._open):
            writer.close()
        with contextlib.suppress(TimeoutError):
            # 0.12.1 can wait for ever for a reader that ended in the same instant.
            async with asyncio.timeout(CLOSE_S):
                await self._broker.shutdown()

    async def _listen(self, port: int) -> None:
        """The socket is ours ("external"), so that a free port can be asked for and known."""
        try:
            self._server = await asyncio.start_server(self._accept, HOST, port)
        except OSError as error:
            await self._broker.shutdown()
            raise BrokerUnreachable(
                f"embedded broker on {HOST}:{port}: {error.strerror}"
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._broker.stream_connected(reader, writer, "default")
        finally:  # amqtt leaves a connection open whose greeting it could not read
            self._open.discard(writer)
            writer.close()
