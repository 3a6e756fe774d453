"""The stop-only socket: any byte from any process of this user stops the pump, whatever the byte.

It serves nothing else and needs nothing else: no link, no controller, no protocol.  Each connection that
has sent something is answered with one JSON line, once the pump has confirmed or the time is over::

    {"confirmed": true, "latency_ms": 104}

``confirmed`` is true only on the pump's own feedback; ``latency_ms`` is wall time from the byte on.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from firmware_bridge.clock import speed_of
from firmware_bridge.errors import ConfigurationError

CONFIRM_WITHIN_S = 3.0
"""Wall time that somebody who pressed stop is kept waiting for the pump's confirmation."""

_BACKLOG = 16


class StopSocket:
    """Listens at ``path``, mode 0600.  The caller holds the lock of the device, so ``path`` is its own."""

    def __init__(
        self,
        path: Path,
        *,
        loop: asyncio.AbstractEventLoop,
        stop_now: Callable[[str], None],
        at_rest: Callable[[float], Awaitable[bool]],
    ) -> None:
        self._path = path
        self._loop = loop
        self._stop_now = stop_now
        self._at_rest = at_rest
        self._server: asyncio.Server | None = None
        self._answers: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen, in place of whatever a dead bridge left there.  Raises `ConfigurationError`."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._path.unlink(missing_ok=True)
            listener.bind(str(self._path))  # inside a folder of mode 0700
            self._path.chmod(0o600)
            self._server = await self._loop.create_unix_server(
                lambda: _Caller(self._called), sock=listener, backlog=_BACKLOG
            )
        except OSError as error:
            listener.close()
            raise ConfigurationError(f"stop socket {self._path}: {error}") from error

    def close(self) -> None:
        """Listen no more; whoever waits for an answer gets none.  Idempotent."""
        for answer in list(self._answers):
            answer.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

    def _called(self, caller: asyncio.Transport) -> None:
        """Stop first; the answer is a matter of its own."""
        asked_at = self._loop.time()
        self._stop_now("by the stop socket")
        answer = self._loop.create_task(self._answer(caller, asked_at), name="stop socket answer")
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)

    async def _answer(self, caller: asyncio.Transport, asked_at: float) -> None:
        speed = speed_of(self._loop)
        try:
            confirmed = await self._at_rest(CONFIRM_WITHIN_S * speed)
            latency_ms = round((self._loop.time() - asked_at) * 1000 / speed)
            line = json.dumps({"confirmed": confirmed, "latency_ms": latency_ms})
            caller.write(f"{line}\n".encode())
        finally:
            caller.close()


class _Caller(asyncio.Protocol):
    """One connection: its first byte counts, the rest changes nothing."""

    def __init__(self, called: Callable[[asyncio.Transport], None]) -> None:
        self._called = called
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        del data
        transport, self._transport = self._transport, None
        if transport is not None:
            self._called(transport)

    def eof_received(self) -> bool:
        """Keep the other half open for the answer, if there will be one."""
        return self._transport is None
