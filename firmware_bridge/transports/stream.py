"""TCP ports of pump servers and terminal servers: ``socket://host:port``."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

from firmware_bridge.errors import ConfigurationError, LinkError
from firmware_bridge.transports.fd import FdTransport


def host_and_port(url: str) -> tuple[str, int]:
    """The address in ``socket://host:port`` or ``rfc2217://host:port``.  Raises `ConfigurationError`."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"{url}: {error}") from error
    if not host or not port:
        raise ConfigurationError(f"{url}: expected {parts.scheme}://HOST:PORT")
    return host, port


async def open_stream(url: str, loop: asyncio.AbstractEventLoop) -> FdTransport:
    """Connect.  Raises `ConfigurationError`, `LinkError` (refused, unknown host, unreachable).

    Cancelling is safe: a connection that was not handed over is closed.
    """
    host, port = host_and_port(url)
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LinkError(url, f"absent: unknown host {host}: {error.strerror}") from error
    cause: OSError | None = None
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(0)
            await loop.sock_connect(connection, address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            cause = cause or error
        except BaseException:
            connection.close()
            raise
        else:
            return FdTransport(connection.fileno(), url, loop, release=connection.close)
    refused = isinstance(cause, ConnectionRefusedError)
    what = "refused: nothing listens there" if refused else f"absent: {cause}"
    raise LinkError(url, what) from cause
