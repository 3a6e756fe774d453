"""What a pumplink/1 pump delivers: start, hold, stop, count, and the lease and limits that end it.

Answerable for the motor and for the pump's own gate: closed at the start, opened by ARM, within limits.
Not answerable for messages, alarms as such, or sensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.devices.base import NS_PER_S
from sim.devices.pumplink_quirks import Quirks
from sim.devices.pumplink_state import MILLION, Delivery, Doing, Limits, Memory, PumpState
from sim.devices.pumplink_table import Code
from sim.mechanics import PARTS_PER_NL, Mechanics

SLOWEST_NL_H, FASTEST_NL_H = 1_000, 1_200_000_000
"""1 uL/h to 1200 mL/h, whatever the syringe [design]."""

LEASE_MS_MIN = 250
"""The shortest lease that the architecture allows in real time [design]."""

DIAMETER_UM_MIN, DIAMETER_UM_MAX = 100, 100_000

NS_PER_MS = 1_000_000
_NS_PER_H = 3_600 * NS_PER_S

Reason = tuple[Code, str]


@dataclass(slots=True)
class Motor:
    """Moves the motor as ``state`` says."""

    state: PumpState
    mechanics: Mechanics
    quirks: Quirks

    @property
    def _memory(self) -> Memory:
        return self.state.memory

    @property
    def own_ns(self) -> int:
        """The pump's own clock."""
        return self.state.crystal.own(self.state.now_ns)

    # -- what is looked at ------------------------------------------------------------------------

    @property
    def infused_nl(self) -> int:
        """The volume counter: since the last start or CLEAR_COUNTERS, in either direction."""
        counted = self.mechanics.moved_parts - self._memory.delivery.counted_from
        return self.state.faults.counted(counted) // PARTS_PER_NL

    @property
    def remaining_nl(self) -> int:
        """What of the target is still to come; 0 for a delivery that is over."""
        if self._memory.doing not in (Doing.RUNNING, Doing.PAUSED):
            return 0
        return -(-self._left() // PARTS_PER_NL)

    def _left(self) -> int:
        delivery = self._memory.delivery
        moved = self.mechanics.moved_parts - delivery.began
        return max(0, delivery.target_nl * PARTS_PER_NL - moved)

    def steps_commanded(self) -> int:
        """Microsteps that the motor was told to make since the pump was built."""
        moved = self.mechanics.moved_parts - self.state.parts_before
        return int(self.state.steps_before + moved / PARTS_PER_NL / self._stroke_nl())

    def _stroke_nl(self) -> float:
        return self.mechanics.drive.stroke_nl(self.mechanics.state.programmed_um)

    def motor_ns(self) -> int:
        """Motor time since ARM."""
        memory = self._memory
        running = 0 if memory.motor_since is None else self.own_ns - memory.motor_since
        return memory.motor_own_ns + running

    def time_up(self) -> int | None:
        """When the armed motor time is used up, while the motor is on."""
        memory = self._memory
        if memory.limits is None or memory.motor_since is None:
            return None
        return memory.motor_since + memory.limits.time_ns - memory.motor_own_ns

    # -- what may be ------------------------------------------------------------------------------

    def why_no_start(self, rate: int, volume: int, lease_ms: int) -> Iterator[Reason]:
        """Why this program is none."""
        memory = self._memory
        yield from self.why_not_armed()
        if not memory.diameter_um:
            yield Code.WRONG_STATE, "no syringe is configured"
        yield from self.why_not_standing()
        yield from self.why_no_rate(rate)
        yield from self._why_no_volume(volume)
        yield from self.why_no_lease(lease_ms)
        if memory.limits is not None and rate > 0:
            needed, left = volume * _NS_PER_H // rate, memory.limits.time_ns - self.motor_ns()
            if needed > left:
                yield (
                    Code.OVER_LIMIT,
                    f"motor time: {needed // NS_PER_MS} ms, {max(0, left) // NS_PER_MS} ms are left",
                )

    def why_not_armed(self) -> Iterator[Reason]:
        """The gate is closed."""
        memory = self._memory
        if self.state.lasting.latched:
            yield Code.WRONG_STATE, "the emergency-stop latch is set"
        if memory.lease_lost:
            yield Code.WRONG_STATE, "not armed: the lease expired"
        elif memory.limits is None:
            yield Code.NOT_ARMED, "not armed"

    def why_not_standing(self) -> Iterator[Reason]:
        """A delivery is not over, or a self-test is under way."""
        memory = self._memory
        if memory.doing in (Doing.RUNNING, Doing.PAUSED):
            yield Code.WRONG_STATE, f"the pump is {memory.doing.value}"
        if memory.self_test is not None:
            yield Code.WRONG_STATE, "a self-test is under way"

    def why_no_rate(self, rate: int) -> Iterator[Reason]:
        """It is outside the pump's limits or the armed ones."""
        limits = self._memory.limits
        fastest = min(FASTEST_NL_H, limits.rate_nl_h if limits else FASTEST_NL_H)
        if rate == 0:
            yield Code.BAD_ARGUMENT, "rate: 0 nL/h"
        elif rate < SLOWEST_NL_H:
            yield Code.OVER_LIMIT, f"rate: {rate} nL/h is below {SLOWEST_NL_H} nL/h"
        if rate > fastest:
            yield Code.OVER_LIMIT, f"rate: {rate} nL/h is above {fastest} nL/h"

    def _why_no_volume(self, volume: int) -> Iterator[Reason]:
        memory = self._memory
        if volume - volume % self.quirks.volume_step_nl == 0:
            yield Code.BAD_ARGUMENT, f"volume: {volume} nL, a step is {self.quirks.volume_step_nl}"
        if memory.size_nl and volume > memory.size_nl:
            yield Code.OVER_LIMIT, f"volume: {volume} nL, the syringe has {memory.size_nl} nL"
        if memory.limits is None:
            return
        if volume > memory.limits.each_nl:
            yield Code.OVER_LIMIT, f"volume: {volume} nL is above {memory.limits.each_nl} nL"
        spent = -(-memory.settled_parts // PARTS_PER_NL)
        if spent + volume > memory.limits.total_nl:
            yield (
                Code.OVER_LIMIT,
                f"total volume: {spent} nL and {volume} more are above {memory.limits.total_nl}",
            )

    def why_no_lease(self, lease_ms: int) -> Iterator[Reason]:
        """It is too short or too long."""
        longest = self.quirks.lease_ms_max
        if not LEASE_MS_MIN <= lease_ms <= longest:
            yield Code.BAD_ARGUMENT, f"lease: {lease_ms} ms, it is {LEASE_MS_MIN}..{longest} ms"

    # -- the gate ---------------------------------------------------------------------------------

    def arm(self, limits: Limits) -> None:
        """Open, and totals count from nothing."""
        memory = self._memory
        memory.limits, memory.lease_lost = limits, False
        memory.settled_parts = memory.motor_own_ns = 0

    def disarm(self) -> None:
        """Closed, and nothing is delivered any more."""
        self.halt()
        self._memory.limits = None

    # -- a delivery -------------------------------------------------------------------------------

    def configure(self, diameter_um: int, size_nl: int) -> None:
        """This syringe is mounted, as far as the pump knows."""
        state, memory = self.state, self._memory
        state.steps_before = float(self.steps_commanded())
        state.parts_before = self.mechanics.moved_parts
        memory.diameter_um, memory.size_nl = diameter_um, size_nl
        self.mechanics.fit(diameter_um)

    def start(self, rate: int, volume: int, lease_ms: int, *, withdraw: bool = False) -> None:
        """The motor turns, for this volume and while the lease is renewed."""
        memory, moved = self._memory, self.mechanics.moved_parts
        volume -= volume % self.quirks.volume_step_nl
        memory.delivery = Delivery(rate, volume, withdraw, lease_ms, moved, moved)
        self._go()

    def set_rate(self, rate: int) -> None:
        """At this rate from now on."""
        self._memory.delivery.rate_nl_h = rate
        if self._memory.doing is Doing.RUNNING:
            self.drive()

    def pause(self) -> None:
        """The motor stands, and what is left of the program stays; the lease rests."""
        self._stand(Doing.PAUSED)

    def resume(self) -> None:
        """On with what is left, under a lease as long as that of the start."""
        self._go()

    def halt(self) -> None:
        """The delivery is over, whatever is left."""
        if self._memory.doing in (Doing.RUNNING, Doing.PAUSED):
            self._stand(Doing.STOPPED)
            self._settle()

    def complete(self) -> None:
        """The target is reached."""
        self._stand(Doing.COMPLETED)
        self._settle()

    def clear_counter(self) -> None:
        """The counter is zero; what the plunger did stays done."""
        self._memory.delivery.counted_from = self.mechanics.moved_parts

    def renew(self, lease_ms: int) -> None:
        """The lease lasts so long from now, never longer than the one of the start."""
        memory = self._memory
        if memory.lease_due is None or any(self.why_no_lease(lease_ms)):
            return
        memory.lease_due = self.own_ns + min(lease_ms, memory.delivery.lease_ms) * NS_PER_MS

    def drive(self) -> None:
        """The motor turns as the program says, as fast as the crystal makes it."""
        delivery, ppm = self._memory.delivery, self.state.crystal.ppm
        rate = max(1, delivery.rate_nl_h * (MILLION + ppm) // MILLION)
        self.mechanics.start(-rate if delivery.withdraw else rate, self._left())

    def _go(self) -> None:
        memory, now = self._memory, self.own_ns
        memory.doing = Doing.RUNNING
        memory.lease_due = now + memory.delivery.lease_ms * NS_PER_MS
        memory.motor_since = now
        self.drive()

    def _stand(self, doing: Doing) -> None:
        memory = self._memory
        self.mechanics.stop()
        memory.motor_own_ns = self.motor_ns()
        memory.motor_since = memory.lease_due = None
        memory.doing = doing

    def _settle(self) -> None:
        memory = self._memory
        memory.settled_parts += self.mechanics.moved_parts - memory.delivery.began
