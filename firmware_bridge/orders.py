"""Carrying out one order: gate, dialect program, and one of three endings for it.

Every order ends *done*, *refused* or *uncertain*.  An uncertain one is never repeated: the pump is
stopped and asked what it delivered.  Stops and queries are no orders; they do not come this way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from firmware_bridge.dialect import HostDialect, Limits, Program, Reading, Syringe, T
from firmware_bridge.errors import (
    BeyondPump,
    BridgeError,
    NoAnswer,
    PumpInAlarm,
    PumpRefused,
)
from firmware_bridge.gate import Closed, Refusal
from firmware_bridge.lacking import missing_for
from firmware_bridge.messages import (
    Arm,
    Bolus,
    ClearCounters,
    Code,
    Configure,
    Ending,
    Pause,
    PumpAlarm,
    PumpState,
    Result,
    Resume,
    Run,
    SelfTest,
    SetRate,
)
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.supervision import Supervision

_AFTER_A_READING = (Bolus, Configure, Resume, Run, SelfTest)

Order = Arm | Bolus | ClearCounters | Configure | Pause | Resume | Run | SelfTest | SetRate


class Pump(Protocol):
    """What an order may do to the pump, and whom it tells: the bridge."""

    async def do(self, program: Program[T]) -> T:
        """Run one program.  Raises `errors.BridgeError`."""

    async def bring_to_rest(self) -> Reading:
        """Stop until the counters stand still.  Raises `errors.BridgeError`."""

    def halt(
        self, why: str, close: Closed | None = None, alarms: PumpAlarm = PumpAlarm.NONE
    ) -> None:
        """Write a STOP at once; the rest of stopping follows by itself."""

    def took(self, reading: Reading) -> None:
        """Act on what the pump said."""

    def watch(self) -> None:
        """Deadlines may have changed."""

    @property
    def introduce(self) -> Callable[[], None]:
        """Called when the pump's own limits may have changed."""

    @property
    def stopping(self) -> bool:
        """Whether a stop is due or under way."""

    def latched(self) -> bool:
        """Whether the emergency-stop latch is set."""


@dataclass(frozen=True, slots=True)
class _Accepted:
    """What a done order reports back."""

    rate: Rate = Rate(0)
    volume: Volume = Volume(0)
    reason: str = ""


class _Refused(Exception):
    """The order ends refused, and nothing was started."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Uncertain(Exception):
    """The order was sent and what became of it is not known."""


class Orders:
    """One pump's orders, one at a time.  ``limits`` are the pump's own, once a syringe is known."""

    def __init__(
        self,
        pump: Pump,
        supervision: Supervision,
        dialect: HostDialect,
        clock: Callable[[], float],
    ) -> None:
        self.limits: Limits | None = None
        self._clock = clock
        self._pump = pump
        self._supervision = supervision
        self._dialect = dialect
        self._syringe: Syringe | None = None

    def pump_forgot(self) -> None:
        """The pump was reset or replaced: everything is programmed again before the next start."""
        self.limits = None

    async def carry_out(self, order: Order, arrived: float) -> Result:
        """How ``order``, which arrived at ``arrived``, ended.  Raises nothing on account of the world."""
        missing = missing_for(type(order), self._dialect.capabilities)
        if missing:
            return _refused(order, Code.UNSUPPORTED, f"{self._dialect.name}: no {missing}")
        try:
            await self._ask_first(order)
            verdict = self._supervision.gate.check(
                order, self._clock(), self._supervision.situation(latched=self._pump.latched())
            )
            if isinstance(verdict, Refusal):
                return _refused(order, verdict.code, str(verdict))
            accepted = await self._do(order, arrived)
        except (_Refused, PumpRefused) as error:
            return _refused(order, _code_of(error), str(error))
        except (_Uncertain, BridgeError) as error:
            return _ended(order, Ending.UNCERTAIN, Code.NOT_CONFIRMED, _Accepted(reason=str(error)))
        return _ended(order, Ending.DONE, Code.OK, accepted)

    async def _do(self, order: Order, arrived: float) -> _Accepted:
        match order:
            case Arm():
                self._supervision.armed(order)
                return _Accepted(order.rate_max, order.volume_total_max)
            case Bolus():
                return await self._start(order.rate, order.volume, order.lease, arrived)
            case Run():
                return await self._start(order.rate, order.target, order.lease, arrived)
            case SetRate():
                return await self._set_rate(order.rate)
            case Pause():
                return await self._pause()
            case Resume():
                return await self._resume(arrived)
            case ClearCounters():
                self._supervision.counters_cleared()
                return _Accepted()
            case Configure():
                self._syringe = Syringe(order.diameter_um, order.syringe_size)
                limits = await self._configure(self._syringe)
                return _Accepted(limits.rate_max, limits.volume_step)
            case SelfTest():
                return await self._self_test(order.lease)

    async def _ask_first(self, order: Order) -> None:
        """The gate decides on what the pump says now, and a dead-man that tripped idly is answered."""
        if isinstance(order, _AFTER_A_READING) and not self._supervision.delivering:
            try:
                self._pump.took(await self._pump.do(self._dialect.read()))
            except BridgeError as error:
                raise _Refused(Code.NOT_CONFIRMED, str(error)) from error
            self._must_be_free()

    def _must_be_free(self) -> None:
        """A stop may have come while the pump was being talked to; then nothing may start any more."""
        if self._pump.stopping:
            raise _Refused(Code.WRONG_STATE, "a stop came first")

    # --- before a start --------------------------------------------------------------------------

    async def _configure(self, syringe: Syringe) -> Limits:
        """The pump holds what this syringe needs.  A question without answer started nothing."""
        self.limits = None
        try:
            self.limits = await self._pump.do(self._dialect.configure(syringe))
        except NoAnswer as error:
            raise _Refused(Code.NOT_CONFIRMED, str(error)) from error
        self._pump.introduce()
        return self.limits

    async def _self_test(self, lease: Duration) -> _Accepted:
        """The dead-man trips with the motor stopped, and then the stop path stops what stands still."""
        try:
            seen = await self._pump.do(self._dialect.prove_dead_man(lease))
            before = await self._pump.do(self._dialect.read())
            after = await self._pump.bring_to_rest()
        except BridgeError as error:
            self._pump.halt(f"self-test: {error}", Closed.FAULT)
            if isinstance(error, PumpRefused):
                raise
            raise _Refused(Code.NOT_CONFIRMED, str(error)) from error
        if after.infused != before.infused:
            what = f"stop path: the pump went from {before.infused} to {after.infused}"
            raise _Refused(Code.NOT_CONFIRMED, what)
        return _Accepted(reason=seen)

    # --- delivery --------------------------------------------------------------------------------

    async def _start(
        self, rate: Rate, target: Volume, lease: Duration, arrived: float
    ) -> _Accepted:
        if self._clock() >= arrived + lease.s:
            raise _Refused(Code.WRONG_STATE, f"lease: {lease} were over before it could be sent")
        if self._syringe is None:
            raise _Refused(Code.WRONG_STATE, "no syringe has been configured")
        if self.limits is None:
            await self._configure(self._syringe)
            self._must_be_free()
        self._supervision.starting(rate, target, lease, arrived)
        self._pump.watch()
        try:
            accepted = await self._pump.do(self._dialect.start(rate, target, lease))
        except PumpRefused as refused:
            self._not_started(refused)
            raise
        except NoAnswer as error:  # while programming: the start itself was not sent
            self._pump.halt(f"start: {error}", Closed.FAULT)
            raise _Refused(Code.NOT_CONFIRMED, str(error)) from error
        except BridgeError as error:
            self._pump.halt(f"start: {error}", Closed.UNCERTAIN)
            raise
        if not self._supervision.started(accepted, self._clock()):
            raise self._too_much(f"asked for {target} at {rate}, the pump took {accepted}")
        return _Accepted(accepted.rate, accepted.volume)

    def _not_started(self, refused: PumpRefused) -> None:
        """The pump said no before anything moved; if an alarm is why, a stop makes it say which."""
        self._supervision.not_started(self._clock())
        self._pump.watch()
        if isinstance(refused, PumpInAlarm):
            self._pump.halt(f"start: {refused}", Closed.PUMP_ALARM)

    async def _set_rate(self, rate: Rate) -> _Accepted:
        try:
            taken = await self._pump.do(self._dialect.set_rate(rate))
        except PumpInAlarm as error:
            self._pump.halt(f"rate: {error}", Closed.PUMP_ALARM)
            raise
        except PumpRefused:
            raise  # the old rate goes on; the next lease shows whether it does
        except BridgeError as error:
            self._pump.halt(f"rate: {error}", Closed.UNCERTAIN)
            raise
        if not self._supervision.rate_changed(rate, taken):
            raise self._too_much(f"asked for {rate}, the pump took {taken}")
        return _Accepted(taken, self._supervision.accepted.volume)

    async def _pause(self) -> _Accepted:
        state = self._supervision.state
        if state is not PumpState.RUNNING:
            raise _Refused(Code.WRONG_STATE, f"the pump is {state.name}, not RUNNING")
        try:
            reading = await self._pump.do(self._dialect.pause())
        except BridgeError as error:  # a pause that may not have worked becomes a stop
            self._pump.halt(f"pause: {error}", Closed.UNCERTAIN)
            raise
        if reading.state is PumpState.RUNNING:
            self._pump.halt("pause: the pump still runs", Closed.UNCERTAIN)
            raise _Uncertain("the pump still runs; it is being stopped")
        self._pump.took(reading)
        return _Accepted(volume=reading.infused)

    async def _resume(self, arrived: float) -> _Accepted:
        supervision = self._supervision
        supervision.resuming(arrived)
        self._pump.watch()
        try:
            reading = await self._pump.do(self._dialect.resume(supervision.lease))
        except BridgeError as error:
            self._pump.halt(f"resume: {error}", Closed.UNCERTAIN)
            raise
        self._pump.took(reading)
        return _Accepted(supervision.accepted.rate, supervision.accepted.volume)

    def _too_much(self, what: str) -> _Uncertain:
        """The pump took more than was asked for: stop it, whatever it is about to do."""
        self._pump.halt(what, Closed.UNCERTAIN, PumpAlarm.INTERNAL_FAULT)
        return _Uncertain(what)


def refused(order: Order, code: Code, reason: str) -> Result:
    """The answer to an order that was never tried."""
    return _refused(order, code, reason)


def _refused(order: Order, code: Code, reason: str) -> Result:
    return _ended(order, Ending.REFUSED, code, _Accepted(reason=reason))


def _ended(order: Order, ending: Ending, code: Code, accepted: _Accepted) -> Result:
    return Result(order.command_id, ending, code, accepted.rate, accepted.volume, accepted.reason)


def _code_of(error: _Refused | PumpRefused) -> Code:
    if isinstance(error, _Refused):
        return error.code
    if isinstance(error, BeyondPump):
        return Code.OVER_LIMIT
    return Code.ALARM_PRESENT if isinstance(error, PumpInAlarm) else Code.NOT_CONFIRMED
