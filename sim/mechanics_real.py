"""A real drive on a real line, one segment at a time: what moves, how it ends, and what comes next.

Within a segment everything is a straight line or one exponential: the pusher has one speed, the plunger
follows it or does not, the line has one slope and one outlet.  A segment gives way to the next at a
stroke, a knee, an edge of the screw's sine, the end of a gap, a valve, a bubble's exit (all *inner*: the
motor turns on), or where the motor stops.  The ends of segments depend on nothing but the state, so
looking, or advancing in small steps, changes nothing.

Answerable for `RealState`.  The commanded volumes, and everything of an ideal drive on a spring, are
`sim.mechanics`'.  `sim.mechanics_ends` finds the times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from sim.line import MMHG_PER_CM, Line, Spring, spring
from sim.line_air import softening
from sim.line_flow import Outlet, leg, outlet
from sim.mechanics_ends import STALL_TIMES, inner_end, motor_end
from sim.mechanics_make import PARTS_PER_NL, Drive, Mount, travel_nl
from sim.mechanics_state import End, MechanicsState, RealState, Take
from sim.mechanics_train import Sector, ripple, screw_of

STALL_NOTICED_NS = 250_000_000
"""A motor that cannot move at all is noticed after 0.25 s (own choice; no source gives a figure)."""

ENDLESS = 1 << 80
"""Parts: more than any syringe."""

SEGMENTS_MAX = 20_000
"""How far ahead an alarm is looked for; one that lies beyond is found when it happens, not announced."""

LOOK_EVERY = 8
"""After so many segments it is asked again whether an alarm is possible at all."""


class Position(NamedTuple):
    """Where everything stands at one instant of a segment."""

    screw: int
    loose: int
    gap: int
    held: int
    gained: int
    stored: int


def commanded(state: MechanicsState) -> int:
    """Commanded parts in this segment until now; never beyond its end."""
    moved = abs(state.rate_nl_h) * (state.now_ns - state.since_ns)
    return moved if state.reach is None else min(moved, state.reach)


@dataclass(frozen=True, slots=True)
class Works:
    """The make of one pump and line.  Every method takes the state, which has a `RealState`."""

    mount: Mount
    line: Line
    drive: Drive

    # -- reading ----------------------------------------------------------------------------------

    def position(self, state: MechanicsState, real: RealState) -> Position:
        """At ``state.now_ns``, which must lie in the segment."""
        dt = state.now_ns - state.since_ns
        forward = state.rate_nl_h > 0
        travel = self.true(state, real, commanded(state))
        screw = real.screw + (travel if forward else -travel)
        pushed = self._pushed(state, real, screw, forward=forward)
        drift = real.drift * dt
        loose, gap, held = real.loose, real.gap, real.held
        gained = drift
        match real.take:
            case Take.PUSH:
                gained = pushed
            case Take.STUCK:
                held += pushed
            case Take.LOST:
                loose, gap = loose - pushed, gap + drift
            case Take.GAP:
                gap = max(0, gap + drift - pushed)
            case Take.NOTHING:
                gap += drift
        gained = self._within(state, gained)
        return Position(screw, loose, gap, held, gained, real.leg.stored(dt, gained))

    def spring(self, real: RealState) -> Spring:
        """The line's, with the bubbles that are in it now."""
        return spring(self.line, *softening(real.bubbles))

    def outlet_mmhg(self, real: RealState) -> float:
        """What stands against the line's end, seen from the pump."""
        return self.line.back_mmhg - real.height_cm * MMHG_PER_CM

    def settled_parts(self, real: RealState) -> int:
        """What the open line holds when nothing flows any more."""
        valve = self.line.valve
        held = valve.closes_mmhg if valve is not None else 0.0
        return round(self.spring(real).stored(self.outlet_mmhg(real) + held))

    def sensed_mmhg(self, state: MechanicsState, real: RealState, mmhg: float) -> float:
        """What the sensor makes of this pressure in the syringe now."""
        if real.upstream and self.line.sensor == "line":
            mmhg = self.outlet_mmhg(real)
        since = state.now_ns - real.sensor_since_ns
        return mmhg + real.sensor_mmhg + real.sensor_mmhg_ns * since

    # -- time -------------------------------------------------------------------------------------

    def catch_up(self, state: MechanicsState, real: RealState) -> None:
        """Every segment that was over by ``state.now_ns`` is history."""
        now = state.now_ns
        while real.inner_ns is not None and real.inner_ns <= now:
            end = self._pass_inner(state, real, real.inner_ns)
            if end is not None and (state.end_ns is None or end < state.end_ns):
                state.end_ns = end
        state.now_ns = now

    def settle(self, state: MechanicsState, real: RealState) -> None:
        """The segment so far is history; commanded volumes are settled by the caller."""
        at = self.position(state, real)
        state.travelled += abs(at.screw - real.screw)
        state.plunger += at.gained
        if state.content is not None:
            state.content = max(0, state.content - at.gained)
        real.screw, real.loose, real.gap, real.held = at.screw, at.loose, at.gap, at.held
        real.stored = at.stored
        self._account(state, real)

    def plan(self, state: MechanicsState, real: RealState) -> None:
        """The segment that begins now, and when the motor will stop by itself."""
        state.end_ns = self._plan_segment(state, real)
        if real.inner_ns is None or not state.rate_nl_h:
            return
        if self._ends_early(state, real):
            state.end_ns, state.cause = self._foresee(state, real)
        else:
            state.end_ns, state.cause = self._target_ns(state), End.TARGET

    def _pass_inner(self, state: MechanicsState, real: RealState, at_ns: int) -> int | None:
        """On to the next segment; returns when the motor stops in it, if it does."""
        state.now_ns = at_ns
        book(state, commanded(state))
        self.settle(state, real)
        state.since_ns = state.now_ns
        if real.take is Take.STUCK and abs(real.held) >= 0.999_999 * self._jump(state, real):
            self._slip(state, real)
        self._let_bubbles_out(state, real)
        cause = state.cause
        end = self._plan_segment(state, real)
        if end is None:
            state.cause = cause
        return end

    def _foresee(self, state: MechanicsState, real: RealState) -> tuple[int | None, End]:
        """When and why the motor will stop, found on a copy."""
        ahead = replace(real, bubbles=list(real.bubbles))
        future = replace(state, real=ahead)
        for passed in range(SEGMENTS_MAX):
            if ahead.inner_ns is None:
                return future.end_ns, future.cause
            if passed % LOOK_EVERY == LOOK_EVERY - 1 and not self._ends_early(future, ahead):
                break
            future.end_ns = self._pass_inner(future, ahead, ahead.inner_ns)
        return self._target_ns(future), End.TARGET

    def _target_ns(self, state: MechanicsState) -> int | None:
        if state.limit is None:
            return None
        return state.since_ns - (-state.limit // abs(state.rate_nl_h))

    def _ends_early(self, state: MechanicsState, real: RealState) -> bool:
        """Whether anything but the target could stop the motor before it."""
        drifting = real.sensor_mmhg_ns * state.rate_nl_h > 0
        if drifting or real.leg.is_shut:
            return True
        if real.bubbles and self.line.air_detector_nl is not None:
            return True
        fastest = max(abs(real.speed), self._speed(state, real)) * (1 + 2 * ripple(self.drive))
        jump = self._jump(state, real) / self.spring(real).hard
        highest = max(
            self.spring(real).pressure(real.stored),
            self.outlet_mmhg(real) + fastest * self._ns_mmhg_per_part() + jump,
        )
        if abs(highest) + abs(real.sensor_mmhg) >= self.line.alarm_mmhg:
            return True
        room = state.content if state.rate_nl_h > 0 else self._room(state)
        if room is None or room >= ENDLESS:
            return False
        if state.limit is None:
            return True
        wander = 2 * travel_nl(state.mounted_um, self.drive.eccentric_um) * PARTS_PER_NL
        ahead = self.true(state, real, state.limit) + wander + abs(real.held)
        duration = state.limit / abs(state.rate_nl_h)
        return room <= ahead + self._jump(state, real) + real.free_nl_h * duration

    # -- one segment ------------------------------------------------------------------------------

    def _plan_segment(self, state: MechanicsState, real: RealState) -> int | None:
        """What happens from now on, and when it stops the motor; inner ends go to ``real.inner_ns``."""
        infusing = state.rate_nl_h > 0
        sector = self._sector(state, real, forward=infusing)
        speed = self._speed(state, real) * (sector.slope if sector else 1.0)
        jump = self._jump(state, real)
        if not jump and real.held:
            self._slip(state, real)
        real.drift = self._drift(state, real)
        real.speed = 0.0 if state.blocked else speed if infusing else -speed
        real.take = self._take(state, real, jump)
        end = self._begin_leg(state, real)
        stopped = self._held_back(state, real)
        if stopped is not None:
            real.speed, real.take = 0.0, Take.NOTHING
            end = self._begin_leg(state, real)
        model = self.spring(real)
        real.inner_ns = inner_end(self, state, real, model, end, sector, jump)
        state.reach, state.cause = state.limit, End.TARGET
        if not state.rate_nl_h:
            state.reach = None
            return None
        if stopped is not None:
            state.reach, state.cause = 0, stopped
            return self._unless_inner(real, state.since_ns + STALL_NOTICED_NS)
        due = motor_end(self, state, real, model)
        rate = abs(state.rate_nl_h)
        if due is not None and (state.reach is None or rate * due[0] < state.reach):
            state.reach, state.cause = rate * due[0], due[1]
        if state.reach is None:
            return None
        return self._unless_inner(real, state.since_ns - (-state.reach // rate))

    def _unless_inner(self, real: RealState, end: int) -> int | None:
        """The end of the motion, if it comes before the segment gives way."""
        if real.inner_ns is not None and real.inner_ns < end:
            return None
        real.inner_ns = None
        return end

    def _begin_leg(self, state: MechanicsState, real: RealState) -> Outlet | None:
        """The line's way from here; one without resistance is settled at once."""
        inflow = real.speed if real.take is Take.PUSH else float(real.drift)
        end = self._outlet(state, real, inflow)
        real.leg = leg(self.spring(real), real.stored, inflow, end)
        if real.leg.start != real.stored:
            real.stored = real.leg.start
            self._account(state, real)
        return end

    def _take(self, state: MechanicsState, real: RealState, jump: float) -> Take:
        backlash = self._backlash(state, real)
        real.loose = min(max(real.loose, 0), backlash)
        if not real.speed:
            return Take.NOTHING
        forward = real.speed > 0
        if real.loose > 0 if forward else real.loose < backlash:
            return Take.LOST
        if (real.drift and real.drift > real.speed) or (forward and real.gap > 0):
            return Take.GAP
        return Take.STUCK if jump and not real.drift else Take.PUSH

    def _held_back(self, state: MechanicsState, real: RealState) -> End | None:
        """What keeps the motor from moving at all."""
        if not state.rate_nl_h:
            return None
        if state.blocked:
            return End.STALL
        infusing = state.rate_nl_h > 0
        touching = real.take in {Take.PUSH, Take.STUCK}
        if touching and infusing and state.content == 0:
            return End.EMPTY
        if touching and not infusing and self._is_full(state):
            return End.FULL
        mmhg = self.spring(real).pressure(real.stored)
        sensed = self.sensed_mmhg(state, real, mmhg)
        if (sensed if infusing else -sensed) >= self.line.alarm_mmhg:
            return End.OCCLUSION
        if (mmhg if infusing else -mmhg) >= STALL_TIMES * self.line.alarm_mmhg:
            return End.STALL
        if infusing and self.sees_air(real, state.delivered):
            return End.AIR
        return None

    def _outlet(self, state: MechanicsState, real: RealState, inflow: float) -> Outlet | None:
        """What the line empties against; ``None`` when it cannot."""
        if state.occluded or real.upstream or state.housing.clamp_shut:
            real.valve_open = False
            return None
        behind, valve = self.outlet_mmhg(real), self.line.valve
        if valve is None:
            return outlet(self.line, behind)
        over = self.spring(real).pressure(real.stored) - behind
        if over < valve.closes_mmhg or (over == valve.closes_mmhg and inflow <= 0):
            real.valve_open = False
        elif over >= valve.opens_mmhg:
            real.valve_open = True
        return outlet(self.line, behind + valve.closes_mmhg) if real.valve_open else None

    # -- jumps ------------------------------------------------------------------------------------

    def _slip(self, state: MechanicsState, real: RealState) -> None:
        """A plunger that stuck is where the pusher is, as far as the syringe goes."""
        gained = self._within(state, real.held)
        real.held -= gained
        real.stored += gained
        state.plunger += gained
        if state.content is not None:
            state.content -= gained
        self._account(state, real)

    def _let_bubbles_out(self, state: MechanicsState, real: RealState) -> None:
        """A bubble at the end of the line leaves, and takes along what its own spring held."""
        length = self.line.dead_volume_nl * PARTS_PER_NL
        for bubble in list(real.bubbles):
            if state.delivered - bubble.entered >= length + bubble.parts:
                mmhg = self.spring(real).pressure(real.stored)
                real.bubbles.remove(bubble)
                real.air_out += bubble.parts
                real.stored -= round(bubble.compliance * (mmhg - bubble.mmhg))
                self._account(state, real)

    def sees_air(self, real: RealState, delivered: int) -> bool:
        """A bubble large enough stands at the air detector, once so much has left the line."""
        place = self.line.air_detector_nl
        if place is None or real.air_blind:
            return False
        seen = self.line.air_seen_nl * PARTS_PER_NL
        return any(
            bubble.parts >= seen and bubble.is_at(place * PARTS_PER_NL, delivered)
            for bubble in real.bubbles
        )

    # -- arithmetic -------------------------------------------------------------------------------

    def true(self, state: MechanicsState, real: RealState, parts: int) -> int:
        """What the screw makes of a commanded amount, lost steps and wrong syringe included."""
        kept = 1_000_000 - real.loss_ppm
        return int(parts * state.mounted_um**2 * kept // (state.programmed_um**2 * 1_000_000))

    def _speed(self, state: MechanicsState, real: RealState) -> float:
        """The screw's, in true parts per ns, unsigned."""
        kept = (1_000_000 - real.loss_ppm) / 1_000_000
        return abs(state.rate_nl_h) * kept * (state.mounted_um / state.programmed_um) ** 2

    def screw_speed(self, state: MechanicsState, real: RealState) -> float:
        """In true parts per ns, 0 when it cannot turn."""
        return self._speed(state, real) if real.speed else 0.0

    def _jump(self, state: MechanicsState, real: RealState) -> float:
        """By how much the plunger moves at a time; 0: evenly."""
        slow = self._speed(state, real) <= self.drive.jump_below_nl_h
        jump = self.drive.jump_nl * PARTS_PER_NL if slow else 0.0
        return max(jump, state.stroke_nl * PARTS_PER_NL) if self.drive.stroked else jump

    def _backlash(self, state: MechanicsState, real: RealState) -> int:
        return round(travel_nl(state.mounted_um, real.backlash_um) * PARTS_PER_NL)

    def backlash(self, state: MechanicsState, real: RealState) -> int:
        """Lost motion at a reversal, in parts."""
        return self._backlash(state, real)

    def _drift(self, state: MechanicsState, real: RealState) -> int:
        """What a plunger that nothing holds does by itself; a shut line or a valve holds it."""
        shut = state.occluded or real.upstream or state.housing.clamp_shut
        return 0 if shut or self.line.valve is not None or state.content == 0 else real.free_nl_h

    def _sector(self, state: MechanicsState, real: RealState, *, forward: bool) -> Sector | None:
        screw = screw_of(self.drive, state.mounted_um, real.turns)
        return None if screw is None else screw.sector(real.screw, forward=forward)

    def _pushed(self, state: MechanicsState, real: RealState, screw: int, *, forward: bool) -> int:
        if screw == real.screw:
            return 0
        sector = self._sector(state, real, forward=forward)
        if sector is None:
            return screw - real.screw
        return sector.pusher(screw) - sector.pusher(real.screw)

    def _within(self, state: MechanicsState, gained: int) -> int:
        """No further than the ends of the syringe."""
        if state.content is None:
            return gained
        return min(gained, state.content) if gained > 0 else max(gained, -self._room(state))

    def _room(self, state: MechanicsState) -> int:
        if state.content is None or self.mount.capacity_nl is None:
            return ENDLESS
        return self.mount.capacity_nl * PARTS_PER_NL - state.content

    def room(self, state: MechanicsState) -> int:
        """How far the plunger can be pulled."""
        return self._room(state)

    def _is_full(self, state: MechanicsState) -> bool:
        return self._room(state) <= 0

    def _ns_mmhg_per_part(self) -> float:
        """Resistance: mmHg per (part per ns)."""
        end = outlet(self.line, 0.0)
        return 1 / end.conductance if end.conductance else 0.0

    def _account(self, state: MechanicsState, real: RealState) -> None:
        """What the plunger displaced and the line does not hold has left it."""
        state.delivered = state.plunger - real.stored
        state.peak = max(state.peak, state.delivered)


def book(state: MechanicsState, moved: int) -> None:
    """The commanded volume of the segment so far is history."""
    if state.rate_nl_h > 0:
        state.infused += moved
    else:
        state.withdrawn += moved
    if state.limit is not None:
        state.limit -= moved
