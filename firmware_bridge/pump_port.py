"""The port of one pump: opened, lost, opened again, and who answers on it.

Answerable for having at most one open link, for waiting politely between attempts, and for noticing that
another pump answers than before.  What must be stopped because of it is the bridge's affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from firmware_bridge.dialect import Frame, HostDialect, Identity, Program, Reading, T
from firmware_bridge.errors import BridgeError, Disconnected, PortGone
from firmware_bridge.link import PumpLink
from firmware_bridge.transports.base import Transport

OpenPort = Callable[[], Awaitable[Transport]]
"""Opens the port by its stable path.  Raises `BridgeError`."""

REOPEN_FIRST_S, REOPEN_MOST_S = 0.25, 2.0
"""Waits between two attempts to open a lost port, doubled from the first to the longest."""

_NOBODY = Identity("", "", "", "")


class PumpPort:
    """Closed at first.  While closed, everything sent raises `Disconnected`."""

    def __init__(
        self,
        open_port: OpenPort,
        dialect: HostDialect,
        loop: asyncio.AbstractEventLoop,
        on_unsolicited: Callable[[Frame], None],
        on_lost: Callable[[Disconnected], None],
    ) -> None:
        self.identity = _NOBODY
        self.is_met = False
        self._open_port = open_port
        self._dialect = dialect
        self._loop = loop
        self._on_unsolicited = on_unsolicited
        self._on_lost = on_lost
        self._transport: Transport | None = None
        self._link: PumpLink | None = None
        self._wait_s = REOPEN_FIRST_S
        self._complaint = ""

    @property
    def name(self) -> str:
        """The port, for errors."""
        return "pump" if self._transport is None else self._transport.name

    @property
    def is_open(self) -> bool:
        return self._link is not None

    async def open(self) -> None:
        """The port is open and nobody on it has been met.  Raises `BridgeError`."""
        self._transport = await self._open_port()
        self._dialect.discard(self._loop.time())  # half a frame from before the loss
        self._link = PumpLink(
            self._transport,
            self._dialect,
            self._loop,
            on_unsolicited=self._on_unsolicited,
            on_lost=self._on_lost,
        )

    async def reopen(self, log: Callable[[str], None]) -> None:
        """One attempt; if it fails, the wait before the next.  Each complaint is logged once.

        Raises `PortGone`, after the wait, when no further attempt will ever succeed.
        """
        try:
            await self.open()
        except BridgeError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log(self._complaint)
            if isinstance(error, PortGone):
                await asyncio.sleep(REOPEN_MOST_S)
                raise
            await asyncio.sleep(self._wait_s)
            self._wait_s = min(2 * self._wait_s, REOPEN_MOST_S)
        else:
            self._complaint = ""
            self._wait_s = REOPEN_FIRST_S

    async def meet(self) -> bool:
        """The pump has been told to stop and has said who it is; true if it is not who it was.

        Raises `BridgeError`.
        """
        before = self.identity
        self.identity = await self._open_link().do(self._dialect.connect())
        self.is_met = True
        return before not in (_NOBODY, self.identity)

    async def do(self, program: Program[T]) -> T:
        """Run one program.  Raises `BridgeError`."""
        return await self._open_link().do(program)

    async def stop(self) -> Reading:
        """Stop until the counters stand still.  Raises `BridgeError`."""
        return await self._open_link().stop()

    def stop_now(self) -> None:
        """Write a STOP ahead of everything; nothing happens while closed.  Raises `Disconnected`."""
        if self._link is not None:
            self._link.stop_now()

    def write_now(self, frame: bytes) -> None:
        """As `Transport.write_now`, from any thread; nothing happens while closed."""
        transport = self._transport
        if transport is not None:
            transport.write_now(frame)

    def drop(self) -> None:
        """The port is given up; whoever waits on it gets `Disconnected`.  Idempotent."""
        link, self._link, self._transport = self._link, None, None
        self.is_met = False
        if link is not None:
            link.close()

    def _open_link(self) -> PumpLink:
        if self._link is None:
            raise Disconnected("pump", "the port is lost and not open again yet")
        return self._link
