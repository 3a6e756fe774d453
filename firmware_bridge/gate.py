"""The last gate: what reaches a pump, and what does not, whoever asks.

It knows nothing of procedures, ports or clocks.  It is closed until an ARM opens it with limits that can
only narrow the absolute caps, and many things close it again.  A refusal names *every* reason, with the
value and the limit; nothing is ever trimmed to fit.  Whatever stops or asks passes always.

Volume counts as committed in full from the moment a start is sent; only a pump that stands still again
turns it into what was really infused.  So an uncertain start keeps its whole target committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from firmware_bridge.caps import Caps
from firmware_bridge.messages import (
    Arm,
    Bolus,
    ClearCounters,
    Code,
    Command,
    Configure,
    Direction,
    PumpAlarm,
    PumpState,
    Resume,
    Run,
    SelfTest,
    SetRate,
)
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume

STANDING_STILL = (PumpState.STOPPED, PumpState.COMPLETED)


class Closed(Enum):
    """Why the gate is closed.  The first cause stands until the next ARM."""

    NEVER_ARMED = "never armed since the bridge started"
    DISARMED = "disarmed"
    LEASE_EXPIRED = "the lease expired"
    EMERGENCY_STOP = "emergency stop"
    PUMP_ALARM = "the pump raised an alarm"
    PUMP_RESET = "the pump was reset"
    LINK_LOST = "the link to the pump was lost"
    TIME_UP = "the armed motor time is used up"
    UNCERTAIN = "a command ended uncertain"
    FAULT = "the bridge met a fault"
    ENDING = "the controller is gone"


@dataclass(frozen=True, slots=True)
class Situation:
    """What the bridge knows of its pump at the moment of asking."""

    state: PumpState
    alarms: PumpAlarm
    latched: bool


@dataclass(frozen=True, slots=True)
class Permit:
    """The command may go to the pump as it is."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing may be sent; ``code`` is the code of the first reason."""

    code: Code
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.reasons)


Verdict = Permit | Refusal
Reason = tuple[Code, str]
_Quantity = TypeVar("_Quantity", Rate, Volume, Duration, Concentration)


class Gate:
    """Closed at first.  Total and motor time count from the ARM that opened it."""

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._limits: Arm | None = None
        self._closed = Closed.NEVER_ARMED
        self._settled = Volume(0)
        self._open_target: Volume | None = None
        self._motor_s = 0.0
        self._motor_since: float | None = None

    # --- asking ----------------------------------------------------------------------------------

    def check(self, command: Command, now: float, situation: Situation) -> Verdict:
        """Whether ``command`` may pass at ``now`` (seconds); changes nothing."""
        reasons = list(self._reasons(command, now, situation))
        if not reasons:
            return Permit()
        return Refusal(reasons[0][0], tuple(text for _, text in reasons))

    def _reasons(self, command: Command, now: float, situation: Situation) -> Iterator[Reason]:
        match command:
            case Arm():
                yield from _latched(situation)
                yield from _not_in(situation, STANDING_STILL)
                yield from self._unsettled()
                yield from _beyond_caps(command, self._caps)
            case Bolus():
                yield from self._to_start(
                    command.rate, command.volume, command.lease, now, situation
                )
            case Run():
                yield from _not_infusing(command.direction)
                yield from self._to_start(
                    command.rate, command.target, command.lease, now, situation
                )
            case SetRate():
                yield from self._to_go_on(PumpState.RUNNING, now, situation)
                yield from self._rate(command.rate)
            case Resume():
                yield from self._to_go_on(PumpState.PAUSED, now, situation)
            case SelfTest():
                yield from _latched(situation)
                yield from _alarms(situation)
                yield from _not_in(situation, STANDING_STILL)
                yield from self._lease(command.lease)
            case Configure():
                yield from _latched(situation)
                yield from _not_in(situation, STANDING_STILL)
            case ClearCounters():
                yield from _not_in(situation, STANDING_STILL)
            case _:
                return  # stops, queries and acknowledgements pass always

    def _to_start(
        self, rate: Rate, volume: Volume, lease: Duration, now: float, situation: Situation
    ) -> Iterator[Reason]:
        yield from _latched(situation)
        yield from self._not_armed()
        yield from _alarms(situation)
        yield from _not_in(situation, STANDING_STILL)
        yield from self._unsettled()
        yield from self._rate(rate)
        yield from self._volume(volume)
        yield from self._lease(lease)
        if rate.nl_h > 0:
            yield from self._time(rate.time_for(volume), now)

    def _to_go_on(self, state: PumpState, now: float, situation: Situation) -> Iterator[Reason]:
        yield from _latched(situation)
        yield from self._not_armed()
        yield from _alarms(situation)
        yield from _not_in(situation, (state,))
        yield from self._time(Duration(1), now)

    def _not_armed(self) -> Iterator[Reason]:
        if self._limits is None:
            expired = self._closed is Closed.LEASE_EXPIRED
            code = Code.WRONG_STATE if expired else Code.NOT_ARMED
            yield code, f"not armed: {self._closed.value}"

    def _unsettled(self) -> Iterator[Reason]:
        if self._open_target is not None:
            yield (
                Code.WRONG_STATE,
                f"the last delivery ({self._open_target}) has not been settled by a stopped pump",
            )

    def _rate(self, rate: Rate) -> Iterator[Reason]:
        limit = self._limits.rate_max if self._limits else self._caps.rate_max
        if rate.nl_h <= 0:
            yield Code.BAD_ARGUMENT, f"rate: {rate} is not above zero"
        if rate > limit:
            yield Code.OVER_LIMIT, f"rate: {rate} is above {limit}"

    def _volume(self, volume: Volume) -> Iterator[Reason]:
        caps, limits = self._caps, self._limits
        each = limits.volume_per_command_max if limits else caps.volume_per_command_max
        total = limits.volume_total_max if limits else caps.volume_total_max
        if volume.nl <= 0:
            yield Code.BAD_ARGUMENT, f"volume: {volume} is not above zero"
        if volume > each:
            yield Code.OVER_LIMIT, f"volume: {volume} is above {each} per command"
        if self.committed_total + volume > total:
            yield (
                Code.OVER_LIMIT,
                f"total volume: {self.committed_total} and {volume} more are above {total}",
            )

    def _lease(self, lease: Duration) -> Iterator[Reason]:
        if not self._caps.lease_min <= lease <= self._caps.lease_max:
            yield (
                Code.BAD_ARGUMENT,
                f"lease: {lease} is not within {self._caps.lease_min} to {self._caps.lease_max}",
            )

    def _time(self, needed: Duration, now: float) -> Iterator[Reason]:
        limit = self._limits.time_max if self._limits else self._caps.time_max
        used = self.motor_s(now)
        if used + needed.s > limit.s:
            yield (
                Code.OVER_LIMIT,
                f"motor time: {used:.3f} s used and {needed} more are above {limit}",
            )

    # --- being told ------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._limits is not None

    @property
    def committed_total(self) -> Volume:
        """What was infused since the ARM, and the whole target of a delivery not yet settled."""
        return self._settled + (self._open_target or Volume(0))

    def open(self, limits: Arm) -> None:
        """Open with ``limits``, which `check` has permitted; totals start from nothing."""
        self._limits = limits
        self._settled = Volume(0)
        self._motor_s = 0.0

    def close(self, why: Closed) -> None:
        """Permit no start from here on.  Idempotent; the first cause stands."""
        if self._limits is not None:
            self._limits = None
            self._closed = why

    def committed(self, target: Volume, now: float) -> None:
        """A start with this target is about to be sent."""
        self._open_target = target
        self._motor_since = now

    def paused(self, now: float) -> None:
        """The motor stands still, the target remains."""
        self._motor_s = self.motor_s(now)
        self._motor_since = None

    def resumed(self, now: float) -> None:
        """The motor is about to turn again towards the same target."""
        self._motor_since = now

    def settled(self, infused: Volume, now: float) -> None:
        """The pump stands still and says what it infused since the start."""
        self.paused(now)
        if self._open_target is not None:
            self._settled = self._settled + infused
            self._open_target = None

    def motor_s(self, now: float) -> float:
        """Seconds the motor was on since the ARM; counted from the sending of a start."""
        running = now - self._motor_since if self._motor_since is not None else 0.0
        return self._motor_s + running

    def time_up_at(self) -> float | None:
        """When the armed motor time ends, while the motor is on and the gate open."""
        if self._limits is None or self._motor_since is None:
            return None
        return self._motor_since + self._limits.time_max.s - self._motor_s


def _latched(situation: Situation) -> Iterator[Reason]:
    if situation.latched:
        yield Code.WRONG_STATE, "the emergency-stop latch is set"


def _alarms(situation: Situation) -> Iterator[Reason]:
    if situation.alarms:
        names = ", ".join(str(alarm.name) for alarm in situation.alarms)
        yield Code.ALARM_PRESENT, f"alarms not acknowledged: {names}"


def _not_in(situation: Situation, allowed: tuple[PumpState, ...]) -> Iterator[Reason]:
    if situation.state not in allowed:
        names = " or ".join(state.name for state in allowed)
        yield Code.WRONG_STATE, f"the pump is {situation.state.name}, not {names}"


def _not_infusing(direction: Direction) -> Iterator[Reason]:
    if direction is not Direction.INFUSE:
        yield Code.UNSUPPORTED, f"direction: {direction.name} is not INFUSE"


def _beyond_caps(limits: Arm, caps: Caps) -> Iterator[Reason]:
    yield from _above("rate", limits.rate_max, caps.rate_max)
    yield from _above(
        "volume per command", limits.volume_per_command_max, caps.volume_per_command_max
    )
    yield from _above("total volume", limits.volume_total_max, caps.volume_total_max)
    yield from _above("motor time", limits.time_max, caps.time_max)
    yield from _above("concentration", limits.concentration, caps.concentration_max)


def _above(name: str, value: _Quantity, cap: _Quantity) -> Iterator[Reason]:
    if value > cap:
        yield Code.OVER_LIMIT, f"{name}: {value} is above the cap of {cap}"
