"""A broker of our own, inside the process: amqtt on the loopback interface, MQTT 3.1.1.

For a bench without a broker.  It listens on 127.0.0.1 only, asks nobody for a password and keeps
nothing over a restart.  Belongs to the loop it was started on; not answerable for what is published.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

from controller.publisher import BrokerUnreachable

HOST = "127.0.0.1"


class EmbeddedBroker:
    """A running broker at ``mqtt://127.0.0.1:<port>``; made by `start`."""

    def __init__(self, broker: Any, server: asyncio.Server) -> None:  # noqa: ANN401  # untyped library
        self._broker = broker
        self._server = server
        self.port: int = server.sockets[0].getsockname()[1]

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
        # The socket is ours ("external"), so that a free port can be asked for and known.
        accept = functools.partial(broker.stream_connected, listener_name="default")
        try:
            server = await asyncio.start_server(accept, HOST, port)
        except OSError as error:
            await broker.shutdown()
            raise BrokerUnreachable(
                f"embedded broker on {HOST}:{port}: {error.strerror}"
            ) from error
        return cls(broker, server)

    async def close(self) -> None:
        """Everybody is disconnected and the port is free."""
        self._server.close()
        await self._broker.shutdown()
