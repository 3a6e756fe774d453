"""The thin shell around a `pumplink/1` host session: a transport below, one timer beside it.

Not answerable for what is said (`pump_hand`) nor for how it is framed (`protocols.pumplink_host`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from firmware_bridge.errors import Disconnected
from firmware_bridge.messages import AlarmAck, SnapshotRequest
from firmware_bridge.protocols.pumplink import ESTOP_FRAME
from firmware_bridge.protocols.pumplink_endpoint import Numbered
from firmware_bridge.protocols.pumplink_host import Heard, HostSession
from firmware_bridge.quantities import Duration
from firmware_bridge.transports.base import Transport


class BridgeLink:
    """One connection to one bridge.  ``heard`` gets every answer, ``lost`` the end, once."""

    def __init__(
        self,
        transport: Transport,
        session: HostSession,
        heard: Callable[[Heard], None],
        lost: Callable[[Exception | None], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._session = session
        self._heard = heard
        self._lost = lost
        self._alarm: asyncio.TimerHandle | None = None
        self._gone = False
        transport.start(self._received, self._transport_lost)
        session.hello(self._loop.time())
        self._flush()

    def command(self, message: Numbered) -> None:
        """Give a command; its ending is heard."""
        self._session.command(message, self._loop.time())
        self._flush()

    def ask(self, message: SnapshotRequest | AlarmAck) -> None:
        """Ask; the answer, or silence, is heard."""
        self._session.ask(message, self._loop.time())
        self._flush()

    def renew(self, lease: Duration) -> None:
        """Renew the permission to deliver."""
        self._session.lease(lease, self._loop.time())
        self._flush()

    def estop_now(self) -> None:
        """Write the pre-built emergency stop, from any thread or signal handler.  Never raises."""
        with contextlib.suppress(Disconnected):
            self._transport.write_now(ESTOP_FRAME)

    def estop_until_standing(self) -> None:
        """Go on writing the emergency stop until a snapshot shows that the pump stands."""
        self._session.estop(self._loop.time())
        self._flush()

    def close(self) -> None:
        """Let go: the bridge sees the end of the stream and stops the pump.  Idempotent."""
        self._gone = True
        if self._alarm is not None:
            self._alarm.cancel()
        self._transport.close()

    def _received(self, data: bytes) -> None:
        for heard in self._session.receive(data, self._loop.time()):
            self._heard(heard)
        self._flush()

    def _transport_lost(self, cause: Exception | None) -> None:
        if not self._gone:
            self.close()
            self._lost(cause)

    def _flush(self) -> None:
        if self._gone:
            return
        data = self._session.outgoing()
        if data:
            try:
                self._transport.write(data)
            except Disconnected as error:
                self._transport_lost(error)
                return
        self._set_alarm()

    def _set_alarm(self) -> None:
        wake_at = self._session.wake_at()
        if wake_at is None:
            return
        if self._alarm is not None:
            # An earlier alarm is left to ring for nothing: cheaper than moving it at every answer.
            if not self._alarm.cancelled() and self._alarm.when() <= wake_at:
                return
            self._alarm.cancel()
        self._alarm = self._loop.call_at(wake_at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        wake_at = self._session.wake_at()
        if wake_at is not None and wake_at <= self._loop.time():
            for heard in self._session.on_timer(self._loop.time()):
                self._heard(heard)
        self._flush()
