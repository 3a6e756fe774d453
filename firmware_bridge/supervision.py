"""What the bridge knows of its pump and what follows from it: lease, deliveries, latched alarms.

Pure: takes ``now`` (loop seconds), returns findings, sends nothing.  The gate decides what may start;
this decides what must stop.  The latch itself belongs to the bridge.

The lease counts from the *arrival* of the command or renewal that carried it, because that is the last
moment the controller is known to have been in charge.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

from firmware_bridge.caps import Caps
from firmware_bridge.dialect import Accepted, Reading
from firmware_bridge.gate import STANDING_STILL, Closed, Gate, Situation
from firmware_bridge.messages import Arm, PumpAlarm, PumpState, Snapshot
from firmware_bridge.quantities import Duration, Rate, Volume

READING_OLD_S = 2.0
"""A delivering pump that has not answered for so long counts as lost (a status of 1 Hz, twice)."""

OVERRUN_PER_CENT = 1
"""A counter this far above its target is a fault and not the rounding of a display."""

OVERRUN_AT_LEAST = Volume(2_000)
"""Two digits of a counter that shows 0.001 mL: below this, one per cent is finer than the display."""

NOTHING = Accepted(Rate(0), Volume(0))

# These last while their cause does; acknowledging them before changes nothing.
_WITH_A_LASTING_CAUSE = PumpAlarm.LINK_LOST | PumpAlarm.STOP_UNCONFIRMED | PumpAlarm.ESTOP_LATCHED


class Finding(Enum):
    """What a reading means for the delivery that was going on, or was not."""

    AS_EXPECTED = auto()
    ENDED = auto()
    MUST_STOP = auto()


class Supervision:
    """One pump's account.  Its state is unknown until the first reading."""

    def __init__(self, caps: Caps, now: float) -> None:
        self.gate = Gate(caps)
        self.state = PumpState.UNKNOWN
        self.alarms = PumpAlarm.NONE
        self.delivering = False
        self.accepted = NOTHING
        self.infused = Volume(0)
        self.pressure_pa = 0
        self._caps = caps
        self._causes = PumpAlarm.NONE
        self.lease = Duration(0)
        self._lease_until: float | None = None
        self._read_at = now
        self._born = now
        self._counted_from = Volume(0)

    # --- alarms ----------------------------------------------------------------------------------

    def raised(self, alarms: PumpAlarm) -> list[PumpAlarm]:
        """Latch ``alarms``; returns those that were not latched before, one bit each."""
        new = alarms & ~self.alarms
        self.alarms |= alarms
        self._causes |= alarms & _WITH_A_LASTING_CAUSE
        return list(new)

    def cause_gone(self, alarms: PumpAlarm) -> None:
        """What kept these alarms up is over; they stay until acknowledged all the same."""
        if self._causes:
            self._causes &= ~alarms

    def acknowledged(self, alarms: PumpAlarm) -> tuple[list[PumpAlarm], list[PumpAlarm]]:
        """Which of ``alarms`` are cleared, and which remain because their cause does."""
        asked = alarms & self.alarms
        cleared = asked & ~self._causes
        self.alarms &= ~cleared
        return list(cleared), list(asked & self._causes)

    def unlatched(self) -> list[PumpAlarm]:
        """A person has reset the emergency stop; the alarms that are cleared by it."""
        self.cause_gone(PumpAlarm.ESTOP_LATCHED)
        return self.acknowledged(PumpAlarm.ESTOP_LATCHED)[0]

    # --- a delivery ------------------------------------------------------------------------------

    @property
    def is_underway(self) -> bool:
        """Whether a delivery is going on or held."""
        return self.delivering or self.state is PumpState.PAUSED

    def situation(self, *, latched: bool) -> Situation:
        return Situation(self.state, self.alarms, latched)

    def armed(self, limits: Arm) -> None:
        self.gate.open(limits)

    def starting(self, rate: Rate, target: Volume, lease: Duration, arrived: float) -> None:
        """A start is about to be sent; from here on the pump counts as delivering."""
        self.gate.committed(target, arrived)
        self.accepted = Accepted(rate, target)
        self.infused = self._counted_from = Volume(0)
        self._go(lease, arrived)

    def started(self, accepted: Accepted, now: float) -> bool:
        """The pump said what it took; false if that is more than was asked for."""
        within = accepted.rate <= self.accepted.rate and accepted.volume <= self.accepted.volume
        self.accepted = accepted
        self.state = PumpState.RUNNING
        self._read_at = now
        return within

    def not_started(self, now: float) -> None:
        """The pump refused before anything moved."""
        self.gate.settled(Volume(0), now)
        self.state = PumpState.STOPPED
        self._stand()

    def resuming(self, arrived: float) -> None:
        """A paused delivery is about to go on, under the lease it was started with."""
        self.gate.resumed(arrived)
        self._go(self.lease, arrived)

    def rate_changed(self, asked: Rate, taken: Rate) -> bool:
        """The pump runs at ``taken`` from now on; false if that is more than was asked for."""
        self.accepted = Accepted(taken, self.accepted.volume)
        return taken <= asked

    def renewed(self, lease: Duration, now: float) -> bool:
        """Extend the lease from ``now``; false where there is nothing to extend or it is out of bounds.

        Never beyond the lease of the start: the pump's own dead-man was set by that one.
        """
        if not self.delivering or not self._caps.lease_min <= lease <= self._caps.lease_max:
            return False
        if self.overdue(now) is not None:
            return False
        self._lease_until = now + min(lease, self.lease).s
        return True

    def deadline(self) -> float | None:
        """When `overdue` will have something to say, unless a lease comes first."""
        return min(self._deadlines(), default=None)

    def overdue(self, now: float) -> Closed | None:
        """Why the delivery must end now: no lease, or no motor time, is left."""
        if self._lease_until is not None and now >= self._lease_until:
            return Closed.LEASE_EXPIRED
        time_up = self.gate.time_up_at()
        if time_up is not None and now >= time_up:
            return Closed.TIME_UP
        return None

    def _deadlines(self) -> Iterator[float]:
        if self._lease_until is not None:
            yield self._lease_until
        time_up = self.gate.time_up_at()
        if time_up is not None:
            yield time_up

    def _go(self, lease: Duration, arrived: float) -> None:
        self.delivering = True
        self.state = PumpState.UNKNOWN  # until the pump has answered
        self.lease = lease
        self._lease_until = self._read_at = arrived
        self._lease_until += lease.s

    def _stand(self) -> None:
        self.delivering = False
        self._lease_until = None

    # --- readings --------------------------------------------------------------------------------

    def observed(self, reading: Reading, now: float) -> tuple[Finding, PumpAlarm]:
        """Take over what the pump said while it was not being stopped; what follows, and its alarms."""
        was_delivering = self.delivering
        state, alarms = self._without_idle_dead_man(reading)
        self._read_at = now
        self.infused = reading.infused
        self.pressure_pa = reading.pressure_pa
        if state is PumpState.RUNNING and not (was_delivering and not self._overrun()):
            alarms |= PumpAlarm.INTERNAL_FAULT  # it moves unbidden, or further than it was told
        if state is PumpState.UNKNOWN:
            alarms |= PumpAlarm.INTERNAL_FAULT
        if alarms or state is PumpState.ALARM:
            self.state = state
            return Finding.MUST_STOP, alarms
        if not was_delivering:
            self._stays(state, reading.infused, now)
            return Finding.AS_EXPECTED, alarms
        if state is PumpState.RUNNING:
            self.state = state
            return Finding.AS_EXPECTED, alarms
        self._ended(state, reading.infused, now)
        return Finding.ENDED, alarms

    def came_to_rest(self, reading: Reading, now: float) -> PumpAlarm | None:
        """Take over what the pump said in the end of a stop: its alarms; None if it is no standstill."""
        if reading.state not in (*STANDING_STILL, PumpState.ALARM):
            return None
        _, alarms = self._without_idle_dead_man(reading)
        self._read_at = now
        self.infused = reading.infused
        self.pressure_pa = reading.pressure_pa
        self.state = PumpState.STOPPED
        self.gate.settled(reading.infused, now)
        self._stand()
        return alarms

    def _without_idle_dead_man(self, reading: Reading) -> tuple[PumpState, PumpAlarm]:
        """A dead-man that trips on a pump with nothing to deliver has nothing to tell."""
        if self.is_underway:
            return reading.state, reading.alarms
        alarms = reading.alarms & ~PumpAlarm.LEASE_EXPIRED
        if reading.state is PumpState.ALARM and reading.alarms and not alarms:
            return PumpState.STOPPED, alarms
        return reading.state, alarms

    def lost(self) -> None:
        """Nothing is known of the pump any more; a started target stays committed in full."""
        self.state = PumpState.UNKNOWN
        self._stand()

    def is_old(self, now: float, bound_s: float) -> bool:
        """Whether a delivering pump has not been heard for ``bound_s``."""
        return self.delivering and now - self._read_at > bound_s

    def counters_cleared(self) -> None:
        """From now on snapshots count from here."""
        self._counted_from = self.infused

    def uptime(self, now: float) -> Duration:
        """How long this account has been kept."""
        return Duration(int((now - self._born) * 1000))

    def snapshot(self, now: float) -> Snapshot:
        """One consistent state, as old as it says."""
        moving = self.state is PumpState.RUNNING
        unfinished = moving or self.state is PumpState.PAUSED
        infused = self.infused
        return Snapshot(
            uptime=self.uptime(now),
            state=self.state,
            rate=self.accepted.rate if moving else Rate(0),
            infused=infused.less(self._counted_from),
            remaining=self.accepted.volume.less(infused) if unfinished else Volume(0),
            pressure_pa=self.pressure_pa,
            alarms=self.alarms,
            age=Duration(max(0, int((now - self._read_at) * 1000))),
        )

    def _overrun(self) -> bool:
        target = self.accepted.volume
        slack = max(OVERRUN_AT_LEAST, Volume(target.nl * OVERRUN_PER_CENT // 100))
        return self.infused > target + slack

    def _ended(self, state: PumpState, infused: Volume, now: float) -> None:
        """It stands still by itself: its target, or somebody's hand on its keys."""
        self._stand()
        if state is PumpState.PAUSED:
            self.state = state
            self.gate.paused(now)
            return
        reached = state is PumpState.COMPLETED or infused >= self.accepted.volume
        self.state = PumpState.COMPLETED if reached else PumpState.STOPPED
        self.gate.settled(infused, now)

    def _stays(self, state: PumpState, infused: Volume, now: float) -> None:
        """A pump that completed goes on being complete where it only says that it is stopped."""
        if self.state is PumpState.PAUSED and state in STANDING_STILL:
            self.gate.settled(infused, now)
        if (self.state, state) != (PumpState.COMPLETED, PumpState.STOPPED):
            self.state = state
