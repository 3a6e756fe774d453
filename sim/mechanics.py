"""The motor, the lead screw, the syringe and the elastic line behind it, in closed form between events.

Answerable for what the plunger really did: a run of the motor is one straight segment that is kept as
its start and its slope, so asking a thousand times in between changes nothing.  Every amount is an
exact integer number of *parts*, nanolitres times nanoseconds per hour: a rate in nL/h times a time in
ns is a whole number of them, so no segment loses anything.  Volumes leave here in whole nanolitres,
rounded down.

    commanded   what the motor was told to move, in the programmed syringe's volume: the pump's counters
    plunger     what the mounted syringe displaced: commanded x (mounted / programmed diameter) squared
    stored      what the elastic line holds back; pressure = stored / compliance
    delivered   plunger - stored: what left the line
    drug        what of it was drug: the line's dead volume comes first

An ideal drive on one spring, the default, is all in this file.  A make or a fault that is more than that
has a `RealState`, and `sim.mechanics_real` carries it along; what can be done to it is in
`sim.mechanics_faults`.  Not answerable for bytes, commands, or what a pump does about an event.  No
clock: everything happens at ``now_ns``, to which `Mechanics.advance` moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.line import Line
from sim.mechanics_faults import Breaks
from sim.mechanics_make import NS_PER_H, PARTS_PER_NL, Drive, MakeError, Mount
from sim.mechanics_real import STALL_NOTICED_NS, Works, book
from sim.mechanics_state import End, MechanicsState, MotionEnd, Truth

__all__ = [
    "NS_PER_H",
    "PARTS_PER_NL",
    "STALL_NOTICED_NS",
    "Drive",
    "End",
    "Line",
    "MakeError",
    "Mechanics",
    "MechanicsState",
    "MotionEnd",
    "Mount",
    "Truth",
]


@dataclass(slots=True)
class Mechanics(Breaks):
    """One motor, one syringe, one line.  Call `advance` first; all else acts at that instant."""

    mount: Mount = Mount()
    line: Line = Line()
    drive: Drive = Drive()
    state: MechanicsState = field(default_factory=MechanicsState)
    works: Works = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.works = Works(self.mount, self.line, self.drive)
        if self.state.content is None:
            self.state.content = self.mount.load
        if not (self.line.is_spring and self.drive.is_ideal):
            self._become_real()

    # -- time -------------------------------------------------------------------------------------

    def next_event_ns(self) -> int | None:
        """When the motor will stop by itself: rounded up, so that the volume is there by then."""
        return self.state.end_ns

    def advance(self, to_ns: int) -> MotionEnd | None:
        """Time is ``to_ns`` afterwards; tells the end of motion that lay on the way, if any.

        Earlier times change nothing.  Stop at each `next_event_ns` to act on it at its own instant.
        """
        state = self.state
        if state.end_ns is None or to_ns < state.end_ns:
            state.now_ns = max(state.now_ns, to_ns)
            return None
        end = MotionEnd(state.cause, state.end_ns)
        state.now_ns = max(state.now_ns, state.end_ns)
        self.stop()
        state.now_ns = max(state.now_ns, to_ns)
        return end

    # -- the motor --------------------------------------------------------------------------------

    def start(self, rate_nl_h: int, limit_parts: int | None = None) -> None:
        """The motor turns at ``rate_nl_h`` (negative withdraws), for ``limit_parts`` at most."""
        self._settle()
        self.state.rate_nl_h = rate_nl_h
        self.state.limit = limit_parts
        self._plan()

    def stop(self) -> None:
        """The motor stands still; what an elastic line holds may still flow."""
        self._settle()
        self.state.rate_nl_h = 0
        self.state.limit = None
        self._plan()

    def pump_back(self, rate_nl_h: int, to_mmhg: float = 0.0) -> bool:
        """The motor withdraws at this rate until the line holds no more than at ``to_mmhg``.

        What pumps do after an occlusion, so that opening the line releases little.  Ends like a target;
        False, and no motion, where there is nothing to relieve.
        """
        self._settle()
        excess = self._excess(to_mmhg)
        if excess <= 0:
            return False
        self.start(-rate_nl_h, self._commanded(excess))
        return True

    def fit(self, programmed_um: int) -> None:
        """The pump now believes in a syringe of this inner diameter."""
        self._settle()
        state = self.state
        state.steps_before = self._steps()
        state.travelled = 0
        if state.real is not None:
            turn = self.drive.turn_nl(state.mounted_um) * PARTS_PER_NL
            state.real.turns += state.real.screw / turn
            state.real.screw = 0
        state.programmed_um = programmed_um
        state.mounted_um = state.swapped_um or self.mount.diameter_um or programmed_um
        state.stroke_nl = self.drive.stroke_nl(state.mounted_um)
        self._plan()

    # -- what can be read -------------------------------------------------------------------------

    @property
    def infused_parts(self) -> int:
        """Commanded volume infused since the device was built."""
        return self.state.infused + (self._moved() if self.state.rate_nl_h > 0 else 0)

    @property
    def withdrawn_parts(self) -> int:
        """Commanded volume withdrawn since the device was built."""
        return self.state.withdrawn + (self._moved() if self.state.rate_nl_h < 0 else 0)

    @property
    def moved_parts(self) -> int:
        """Commanded volume in either direction since the device was built."""
        return self.state.infused + self.state.withdrawn + self._moved()

    def truth(self) -> Truth:
        """What the plunger, the line and the motor really did until now."""
        state = self.state
        if state.real is not None:
            return self._real_truth(state.real)
        moved = self._true(self._moved())
        if state.rate_nl_h < 0:
            moved = -moved
        plunger = state.plunger + moved
        delivered = state.delivered if state.occluded else plunger
        content = None if state.content is None else max(0, state.content - moved)
        held = state.reach == 0 or state.rate_nl_h == 0
        return Truth(
            plunger_nl=plunger // PARTS_PER_NL,
            delivered_nl=delivered // PARTS_PER_NL,
            stored_nl=plunger // PARTS_PER_NL - delivered // PARTS_PER_NL,
            pressure_mmhg=(plunger - delivered) / (PARTS_PER_NL * self.line.compliance_nl_mmhg),
            rate_nl_h=0 if held else self._true(state.rate_nl_h),
            steps=self._steps(abs(moved)),
            content_nl=None if content is None else content // PARTS_PER_NL,
            released_nl=state.released // PARTS_PER_NL,
        )

    # -- arithmetic -------------------------------------------------------------------------------

    def _moved(self) -> int:
        """Commanded parts in this segment until now; never beyond its end."""
        state = self.state
        moved = abs(state.rate_nl_h) * (state.now_ns - state.since_ns)
        return moved if state.reach is None else min(moved, state.reach)

    def _true(self, commanded: int) -> int:
        """What the mounted syringe makes of a commanded amount, rounded down."""
        state = self.state
        if state.mounted_um == state.programmed_um:
            return commanded
        return int(commanded * state.mounted_um**2 // state.programmed_um**2)

    def _commanded(self, true: int) -> int:
        """The smallest commanded amount that moves ``true`` parts for certain."""
        state = self.state
        return -int(-true * state.programmed_um**2 // state.mounted_um**2)

    def _steps(self, more: int = 0) -> int:
        state = self.state
        travelled_nl = (state.travelled + more) / PARTS_PER_NL
        return state.steps_before + int(travelled_nl / state.stroke_nl)

    def _settle(self) -> None:
        """The segment so far is history; a new one begins now, with nothing lost in between."""
        state = self.state
        if state.real is not None:
            self.works.catch_up(state, state.real)
            book(state, self._moved())
            self.works.settle(state, state.real)
        elif moved := self._moved():
            true = self._true(moved)
            book(state, moved)
            state.travelled += true
            if state.rate_nl_h < 0:
                true = -true
            state.plunger += true
            if not state.occluded:
                state.delivered += true
                state.peak = max(state.peak, state.delivered)
            if state.content is not None:
                state.content = max(0, state.content - true)
        state.since_ns = state.now_ns

    def _plan(self) -> None:
        """Find out how the segment that begins now will end by itself."""
        state = self.state
        if state.real is not None:
            self.works.plan(state, state.real)
            return
        state.reach = state.end_ns = None
        if state.rate_nl_h == 0:
            return
        if state.limit is not None:
            state.reach, state.cause = state.limit, End.TARGET
        for room, cause in self._obstacles():
            reach = max(0, self._commanded(room))
            if state.reach is None or reach < state.reach:
                state.reach, state.cause = reach, cause
        if state.reach is None:
            return
        wait = -(-state.reach // abs(state.rate_nl_h))
        if state.reach == 0 and state.cause is not End.TARGET:
            wait = STALL_NOTICED_NS
        state.end_ns = state.since_ns + wait

    def _obstacles(self) -> list[tuple[int, End]]:
        """True parts the plunger can still move, and what stops it there."""
        state = self.state
        infusing = state.rate_nl_h > 0
        found: list[tuple[int, End]] = []
        if state.blocked:
            found.append((0, End.STALL))
        if state.content is not None and infusing:
            found.append((state.content, End.EMPTY))
        elif state.content is not None and self.mount.capacity_nl is not None:
            found.append((self.mount.capacity_nl * PARTS_PER_NL - state.content, End.FULL))
        if state.occluded:
            stored = state.plunger - state.delivered
            spring = self.line.compliance_nl_mmhg * self.line.alarm_mmhg * PARTS_PER_NL
            found.append((spring - stored if infusing else spring + stored, End.OCCLUSION))
        return found
