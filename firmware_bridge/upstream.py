"""The controller's end of the bridge: commands in, answers and events out, over `pumplink/1`.

Answerable for bytes, repetition and the timer that goes with it; not for what a command means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from firmware_bridge.caps import Caps
from firmware_bridge.clock import at_least_wall, speed_of
from firmware_bridge.dialect import Identity, Limits
from firmware_bridge.errors import LinkError
from firmware_bridge.messages import (
    Capability,
    Code,
    Command,
    Ending,
    EventKind,
    HelloAck,
    Result,
    Snapshot,
)
from firmware_bridge.protocols.pumplink import SCHEMA_HASH, VERSION
from firmware_bridge.protocols.pumplink_device import DeviceSession
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.base import Transport

EVENT_REPEAT_S = 1.0
"""An unacknowledged alarm is told again after so long (PROTOCOL.md)."""


class Upstream:
    """One controller on ``transport``.  ``lost`` is called when it is gone, perhaps more than once."""

    def __init__(
        self,
        transport: Transport,
        loop: asyncio.AbstractEventLoop,
        heard: Callable[[Command], None],
        lost: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._heard = heard
        self._lost = lost
        repeat_s = at_least_wall(EVENT_REPEAT_S, speed_of(loop))
        self._session = DeviceSession(event_repeat_s=repeat_s)
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to listen."""
        self._transport.start(self._received, lambda _cause: self._lost())

    def introduce(self, acknowledgement: HelloAck) -> None:
        """HELLO is answered with this from now on."""
        self._session.introduce(acknowledgement)

    def answer(self, message: Result | Snapshot) -> None:
        """Queue an answer for the next `flush`."""
        self._session.answer(message)

    def volunteer(self, snapshot: Snapshot, *, asked: bool) -> None:
        """Queue a snapshot if there is anybody to see it, or if somebody without a link asked."""
        if asked or self._session.is_open:
            self._session.answer(snapshot)

    def result(
        self,
        command_id: int,
        ending: Ending,
        code: Code,
        *,
        volume: Volume = Volume(0),
        reason: str = "",
    ) -> None:
        """Queue the ending of a command that is no order."""
        self._session.answer(Result(command_id, ending, code, Rate(0), volume, reason))

    def tell(self, kind: EventKind, number: int, uptime: Duration) -> None:
        """Queue an event."""
        self._session.event(kind, number, uptime, self._loop.time())

    def flush(self) -> None:
        """Send what is queued, and come back when something is to be said again.  Never raises."""
        data = self._session.outgoing()
        if self._closed:
            return
        if data:
            try:
                self._transport.write(data)
            except LinkError:
                self._lost()
                return
        self._set_timer(self._session.wake_at())

    def close(self) -> None:
        """Release the transport.  Idempotent."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()

    def _received(self, data: bytes) -> None:
        for command in self._session.receive(data, self._loop.time()):
            self._heard(command)
        self.flush()

    def _set_timer(self, due: float | None) -> None:
        timer = self._timer
        if due is None or (timer is not None and timer.when() <= due):
            return
        if timer is not None:
            timer.cancel()
        self._timer = self._loop.call_at(due, self._fired)

    def _fired(self) -> None:
        self._timer = None
        self._session.on_timer(self._loop.time())
        self.flush()


def acknowledgement(
    *,
    boot_id: int,
    identity: Identity,
    capabilities: Capability,
    caps: Caps,
    limits: Limits | None,
    dead_man: Duration = Duration(0),
) -> HelloAck:
    """Who the pump is, and the narrower of its own limits, once a syringe is known, and the caps.

    ``dead_man``: the pump's own time-out where nobody can set it, so that no lease may be shorter.
    """
    return HelloAck(
        version=VERSION,
        schema_hash=SCHEMA_HASH,
        boot_id=boot_id,
        firmware=f"{identity.model} {identity.firmware}".strip(),
        serial_number=identity.serial_number,
        capabilities=capabilities,
        rate_min=limits.rate_min if limits else Rate(0),
        rate_max=min(caps.rate_max, limits.rate_max) if limits else caps.rate_max,
        volume_step=limits.volume_step if limits else Volume(1),
        lease_min=max(caps.lease_min, limits.lease_min if limits else dead_man),
        lease_max=min(caps.lease_max, limits.lease_max) if limits else caps.lease_max,
    )
