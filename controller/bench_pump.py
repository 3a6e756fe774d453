"""One pump driven by hand over one bridge: ask, deliver to a target, stop.  No procedure, no drug.

Answerable for keeping the lease while something is delivered, and for letting it go when nobody
supervises any more: the task that awaits a delivery is the one that renews.  The gate is armed with
exactly what was asked for.  Not answerable for starting the bridge, nor for what a person sees.

For bench and simulation only: never a pump connected to a person.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from controller.bridge_link import BridgeLink
from firmware_bridge.dialect import Syringe
from firmware_bridge.errors import BridgeError, ConfigurationError, LinkError
from firmware_bridge.messages import (
    AlarmAck,
    Arm,
    Bolus,
    Code,
    Configure,
    Disarm,
    Ending,
    HelloAck,
    PumpAlarm,
    PumpState,
    Result,
    Run,
    Snapshot,
    SnapshotRequest,
    Stop,
)
from firmware_bridge.protocols.pumplink_host import (
    Heard,
    HostSession,
    LinkQuiet,
    ProtocolMismatch,
    Silence,
)
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume
from firmware_bridge.transports.base import Transport

LEASE = Duration.from_s(3)
"""WD-1: the usual lease, renewed every second; longer where the pump's own dead-man is."""

RENEW_S = 1.0
ASK_AGAIN_S = 0.1
ORDER_S = 30.0
"""How long an order may take; programming a pump over a slow line takes a few seconds."""

MOTOR_MARGIN = Duration.from_s(10)
"""Added to one per cent: a pump's own rounding of the rate, and its answers, may lengthen a delivery."""

_MOTOR_MARGIN_PARTS = 100
_NO_DRUG = Concentration(
    1
)  # nothing is computed from it; ARM has to name one, and this is the least
_STANDING = (PumpState.STOPPED, PumpState.COMPLETED, PumpState.PAUSED, PumpState.ALARM)
_T = TypeVar("_T")


class EmergencyStopped(Exception):
    """Somebody stopped everything; whether the pump stands is another question."""


class OrderRefused(Exception):
    """Nothing was started; ``beyond`` is true where the values were at fault, and not the moment."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.reason or result.code.name.lower())
        self.beyond = result.code in {Code.BAD_ARGUMENT, Code.OVER_LIMIT, Code.UNSUPPORTED}


class OrderUncertain(Exception):
    """What became of an order is not known; the pump is being stopped."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked for, in one syringe."""

    rate: Rate
    volume: Volume
    syringe: Syringe
    as_bolus: bool = False


class BenchPump:
    """One link to one bridge.  Not for several tasks at once; `emergency_stop` is for anybody."""

    def __init__(self, transport: Transport, session: HostSession) -> None:
        self.identity: HelloAck
        """Who answered; set by `greet`."""
        self.snapshot: Snapshot | None = None
        """The last account the pump gave of itself."""
        self.accepted: Result | None = None
        """What the pump took of the last order, once it has."""
        self._lease = LEASE
        self._loop = asyncio.get_running_loop()
        self._ids = count(1)
        self._hello: asyncio.Future[HelloAck] = self._loop.create_future()
        self._results: dict[int, asyncio.Future[Result]] = {}
        self._snapshots: list[asyncio.Future[Snapshot]] = []
        self._failure: Exception | None = None
        self._link = BridgeLink(transport, session, self._heard, self._lost)

    def close(self) -> None:
        """Let go: the bridge stops the pump, puts back what it changed, and leaves.  Idempotent."""
        with contextlib.suppress(
            LinkError
        ):  # what was delivered has been told: it may be forgotten
            self._link.command(Disarm(next(self._ids)))
        self._link.close()

    # --- asking -------------------------------------------------------------------------------------

    async def greet(self) -> HelloAck:
        """Who is there.  Raises `BridgeError`."""
        self.identity = await self._wait(self._hello)
        self._lease = max(LEASE, self.identity.lease_min)
        return self.identity

    async def look(self) -> Snapshot:
        """How the pump stands now.  Raises `BridgeError`, `EmergencyStopped`."""
        self._link.ask(SnapshotRequest())
        return await self._next_snapshot()

    # --- delivering -----------------------------------------------------------------------------------

    async def deliver(self, order: Order, told: Callable[[Snapshot], None]) -> Snapshot:
        """The pump stands again: at its target, or stopped before it by somebody or something.

        ``told`` sees every account on the way.  Raises `OrderRefused` when nothing was started,
        `OrderUncertain`, `BridgeError` when the bridge is gone, `EmergencyStopped`.  If cancelled, the
        lease ends, and the delivery with it; `close` stops it at once.
        """
        await self.order(Configure(next(self._ids), order.syringe.diameter_um, order.syringe.size))
        await self.order(
            Arm(
                next(self._ids),
                rate_max=order.rate,
                volume_per_command_max=order.volume,
                volume_total_max=order.volume,
                time_max=motor_time(order),
                concentration=_NO_DRUG,
            )
        )
        kind = Bolus if order.as_bolus else Run
        self.accepted = await self.order(
            kind(next(self._ids), order.rate, order.volume, self._lease)
        )
        return await self._until_it_stands(told)

    async def _until_it_stands(self, told: Callable[[Snapshot], None]) -> Snapshot:
        """Renew once a second; every renewal is answered with what the pump says."""
        due = self._loop.time() + RENEW_S
        while True:
            await asyncio.sleep(due - self._loop.time())
            due = max(due + RENEW_S, self._loop.time())
            self._check()
            self._link.renew(self._lease)
            snapshot = await self._next_snapshot()
            told(snapshot)
            if PumpAlarm.LINK_LOST in snapshot.alarms:
                raise LinkError(
                    "pump", "it does not answer any more; the bridge goes on stopping it"
                )
            if snapshot.state in _STANDING:
                return snapshot

    async def order(self, message: Configure | Arm | Run | Bolus | Stop) -> Result:
        """The order is done.  Raises as `deliver` does."""
        answer: asyncio.Future[Result] = self._loop.create_future()
        self._results[message.command_id] = answer
        self._check()
        self._link.command(message)
        result = await self._wait(answer)
        if result.ending is Ending.REFUSED:
            raise OrderRefused(result)
        if result.ending is not Ending.DONE:
            raise OrderUncertain(result.reason or "no answer")
        return result

    # --- stopping -------------------------------------------------------------------------------------

    async def stop(self) -> Snapshot:
        """The pump has shown that it stands still.  Raises as `deliver` does."""
        await self.order(Stop(next(self._ids)))
        return await self.look()

    def emergency_stop(self) -> None:
        """Write the emergency stop; from any thread or signal handler, never raises.

        Whoever waits here gets `EmergencyStopped`.
        """
        self._link.estop_now()
        self._loop.call_soon_threadsafe(self._stopped)

    async def stands_within(self, seconds: float) -> bool:
        """After an emergency stop: whether the pump has shown, within so long, that it stands still."""
        try:
            async with asyncio.timeout(seconds):
                while not self._shows_stop():
                    seen = await self._snapshot_come()
                    if PumpAlarm.STOP_UNCONFIRMED in seen.alarms and seen.state in _STANDING:
                        # A late confirmation leaves that alarm latched; only its cause keeps it up now.
                        await asyncio.sleep(ASK_AGAIN_S)
                        self._link.ask(AlarmAck(PumpAlarm.STOP_UNCONFIRMED))
        except (TimeoutError, BridgeError):
            return self._shows_stop()
        return True

    def _stopped(self) -> None:
        if not isinstance(self._failure, EmergencyStopped):
            self._link.estop_until_standing()
            self._fail(EmergencyStopped())

    def _shows_stop(self) -> bool:
        seen = self.snapshot
        return (
            seen is not None
            and PumpAlarm.ESTOP_LATCHED in seen.alarms
            and not seen.alarms & (PumpAlarm.STOP_UNCONFIRMED | PumpAlarm.LINK_LOST)
            and seen.state in _STANDING
        )

    # --- what the bridge says -------------------------------------------------------------------------

    def _heard(self, heard: Heard) -> None:
        match heard:
            case HelloAck():
                _settle(self._hello, heard)
            case Snapshot():
                self.snapshot = heard
                waiting, self._snapshots = self._snapshots, []
                for future in waiting:
                    _settle(future, heard)
            case Result() if heard.ending not in {Ending.ACCEPTED, Ending.IN_PROGRESS}:
                self._ended(heard)
            case Silence(command_id, _):
                nothing = Rate(0), Volume(0), "no answer"
                self._ended(Result(command_id, Ending.UNCERTAIN, Code.NOT_CONFIRMED, *nothing))
            case LinkQuiet() if not isinstance(self._failure, EmergencyStopped):
                self._fail(LinkError("bridge", "it does not answer"))
            case ProtocolMismatch():
                self._fail(ConfigurationError("the bridge speaks another protocol page"))
            case _:
                pass  # events repeat what snapshots say; counters and clocks are for others

    def _ended(self, result: Result) -> None:
        future = self._results.pop(result.command_id, None)
        if future is not None:
            _settle(future, result)

    def _lost(self, cause: Exception | None) -> None:
        self._fail(LinkError("bridge", f"it is gone{f': {cause}' if cause else ''}"))

    def _fail(self, error: Exception) -> None:
        """From now on every question fails with this."""
        self._failure = error
        _give_up(self._hello, error)
        for answer in self._results.values():
            _give_up(answer, error)
        for come in self._snapshots:
            _give_up(come, error)
        self._results.clear()
        self._snapshots.clear()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    # --- waiting ----------------------------------------------------------------------------------------

    async def _next_snapshot(self) -> Snapshot:
        self._check()
        return await self._snapshot_come()

    async def _snapshot_come(self) -> Snapshot:
        future: asyncio.Future[Snapshot] = self._loop.create_future()
        self._snapshots.append(future)
        return await self._wait(future)

    async def _wait(self, future: asyncio.Future[_T]) -> _T:
        try:
            async with asyncio.timeout(ORDER_S):
                return await future
        except TimeoutError as error:
            raise LinkError("bridge", f"no answer within {ORDER_S:g} s") from error


def motor_time(order: Order) -> Duration:
    """How long the motor may turn for this order; the gate stops it then, whatever the pump counts."""
    needed = order.rate.time_for(order.volume)
    return Duration(needed.ms + needed.ms // _MOTOR_MARGIN_PARTS) + MOTOR_MARGIN


def _give_up(future: asyncio.Future[_T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # seen: it need not be awaited by anybody


def _settle(future: asyncio.Future[_T], value: _T) -> None:
    if not future.done():
        future.set_result(value)
