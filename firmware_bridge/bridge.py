"""The bridge: a controller on one side, a pump on the other, and between them what each message means.

Upstream it speaks `pumplink/1`; downstream a `keeper.PumpKeeper` owns the port.  It opens with STOP and
read, passes on what the gate permits, and stops the pump when the lease ends, when the controller's end
of the pipe closes, when anybody presses stop, and when nobody knows any more what the pump does.  While
the pump delivers, only a LEASE, an order or a STOP sends anything to it, so that every renewal of the
pump's own dead-man is a renewal by the controller.

The same object serves in a process of its own (`process`) and in virtual time.

For bench and simulation only: never a pump connected to a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import get_args

from firmware_bridge.caps import Caps
from firmware_bridge.dialect import FixedDeadMan, HostDialect
from firmware_bridge.gate import STANDING_STILL, Closed
from firmware_bridge.keeper import PumpKeeper
from firmware_bridge.latch import Latch
from firmware_bridge.messages import (
    AlarmAck,
    Code,
    Command,
    Disarm,
    Ending,
    Estop,
    Hello,
    Lease,
    PumpAlarm,
    Reset,
    SnapshotRequest,
    Stop,
)
from firmware_bridge.orders import Order
from firmware_bridge.pump_port import OpenPort
from firmware_bridge.quantities import Duration
from firmware_bridge.transports.base import Transport
from firmware_bridge.upstream import Upstream, acknowledgement

_ORDERS = get_args(Order)


class Bridge:
    """Serves one controller and one pump until the controller's end closes.

    ``open_port`` is called again after a loss, ``make_dialect`` once.  ``latch`` outlives the object.
    """

    def __init__(
        self,
        upstream: Transport,
        open_port: OpenPort,
        make_dialect: Callable[[], HostDialect],
        *,
        device: str,
        loop: asyncio.AbstractEventLoop,
        caps: Caps,
        latch: Latch,
        boot_id: int,
        log: Callable[[str], None],
    ) -> None:
        self.device = device
        self._loop = loop
        self._caps = caps
        self._latch = latch
        self._boot_id = boot_id
        self._log = log
        self._dialect = make_dialect()
        dialect = self._dialect
        self._fixed_dead_man = (
            dialect.dead_man if isinstance(dialect, FixedDeadMan) else Duration(0)
        )
        self._upstream = Upstream(upstream, loop, self._heard, self.end)
        self._keeper = PumpKeeper(
            open_port,
            self._dialect,
            self._upstream,
            loop=loop,
            caps=caps,
            latch=latch,
            log=log,
            met=self._introduce,
        )

    # --- what a process or a simulation calls ----------------------------------------------------

    async def run(self, ready: Callable[[], None] = lambda: None) -> bool:
        """Serve until the controller is gone; true if the pump then stood still, as it was found.

        ``ready`` is called when the controller is let in.  Raises `BridgeError` when the port cannot be
        opened or nobody answers at the start.  However it ends, a STOP has been written.  If
        cancelled, nobody sees that one confirmed; the pump's dead-man and target remain.
        """
        try:
            await self._keeper.begin()
            self._upstream.start()
            ready()
            return await self._keeper.serve()
        finally:
            self._keeper.close()
            self._upstream.close()

    def stop_now(self, why: str) -> None:
        """Emergency stop: latched, and STOP written, before this returns.  Never raises."""
        self._keeper.stop_now(why)

    def end(self) -> None:
        """Stop, restore, leave: as if the controller had gone.  Idempotent."""
        self._keeper.end()

    def disown(self) -> None:
        """What was found in the pump is an earlier session's doing and is not to be kept."""
        self._dialect.disown()

    @property
    def restored(self) -> tuple[str, ...]:
        """After `run`: what was put back in the pump, and what could not be."""
        return self._keeper.restored

    def fault(self, what: str) -> None:
        """This process did not work as it should: stop, with an alarm, until armed again."""
        self._keeper.halt(what, Closed.FAULT, PumpAlarm.INTERNAL_FAULT)
        self._upstream.flush()

    def write_stop_frame(self) -> None:
        """One STOP on the wire and nothing else; from a signal handler or another thread.

        Raises `errors.Disconnected` when the port is gone.
        """
        self._keeper.write_stop_frame()

    async def at_rest(self, within_s: float) -> bool:
        """Whether the pump has confirmed, within so many loop seconds, that it stands still."""
        return await self._keeper.at_rest(within_s)

    # --- what the controller says ----------------------------------------------------------------

    def _heard(self, command: Command) -> None:
        keeper = self._keeper
        match command:
            case Estop():
                keeper.stop_now("by the controller")
                keeper.reporter.owe_snapshot_at_rest()
            case Stop():
                keeper.stop(command.command_id, "by the controller")
            case Disarm():
                self._disarm(command)
            case Lease():
                renewed = keeper.renew(command.lease)
                keeper.want_snapshot(read=renewed or not keeper.supervision.delivering)
            case SnapshotRequest():
                keeper.want_snapshot(read=not keeper.supervision.delivering)
            case AlarmAck():
                self._acknowledge(command.alarms)
            case Reset():
                self._reset(command)
            case Hello():
                self._greeted()
            case _ if isinstance(command, _ORDERS):
                keeper.take(command)

    def _greeted(self) -> None:
        """A new link is a new controller: nothing that was armed before is its doing."""
        self._keeper.supervision.gate.close(Closed.DISARMED)
        if self._keeper.is_busy:
            self._keeper.halt("a new controller has come")

    def _disarm(self, command: Disarm) -> None:
        self._keeper.supervision.gate.close(Closed.DISARMED)
        if self._keeper.is_busy:
            self._keeper.stop(command.command_id, "disarmed")
        else:
            self._keeper.count_is_settled = True
            self._upstream.result(command.command_id, Ending.DONE, Code.OK)

    def _acknowledge(self, alarms: PumpAlarm) -> None:
        self._keeper.reporter.acknowledged(alarms)
        self._keeper.want_snapshot(read=False)

    def _reset(self, command: Reset) -> None:
        """Unlatch; nothing starts, and the gate stays closed until somebody arms it."""
        code, reason = self._try_reset(command.boot_id)
        ending = Ending.DONE if code is Code.OK else Ending.REFUSED
        self._upstream.result(command.command_id, ending, code, reason=reason)

    def _try_reset(self, boot_id: int) -> tuple[Code, str]:
        state = self._keeper.supervision.state
        if boot_id != self._boot_id:
            return Code.BAD_ARGUMENT, f"boot id {boot_id} is not {self._boot_id}, this bridge's"
        if self._keeper.stopping or state not in STANDING_STILL:
            return Code.WRONG_STATE, f"the pump is {state.name}, or not confirmed stopped"
        error = self._latch.clear()
        if error is not None:
            return Code.NOT_CONFIRMED, error
        self._keeper.reporter.unlatched()
        self._log("stop latch reset")
        return Code.OK, ""

    def _introduce(self) -> None:
        """HELLO is answered with what is known of the pump now."""
        self._upstream.introduce(
            acknowledgement(
                boot_id=self._boot_id,
                identity=self._keeper.port.identity,
                capabilities=self._dialect.capabilities,
                caps=self._caps,
                limits=self._keeper.orders.limits,
                dead_man=self._fixed_dead_man,
            )
        )
