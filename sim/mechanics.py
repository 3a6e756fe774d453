"""The motor, the lead screw, the syringe and the elastic line behind it, in closed form between events.

Answerable for what the plunger really did: a run of the motor is one straight segment that is kept as
its start and its slope, so asking a thousand times in between changes nothing.  Every amount is an
exact integer number of *parts*, nanolitres times nanoseconds per hour: a rate in nL/h times a time in
ns is a whole number of them, so no segment loses anything.  Volumes leave here in whole nanolitres,
rounded down.

    commanded   what the motor was told to move, in the programmed syringe's volume: the pump's counters
    plunger     what the mounted syringe displaced: commanded x (mounted / programmed diameter) squared
    stored      what the occluded line holds back; pressure = stored / compliance
    delivered   plunger - stored: what reached the patient

Not answerable for bytes, commands, or what a pump does about an event.  No clock: everything happens
at ``now_ns``, to which `Mechanics.advance` moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import pi
from typing import NamedTuple

NS_PER_H = 3_600_000_000_000
PARTS_PER_NL = NS_PER_H
"""One nanolitre, in nL*ns/h: the time runs in ns, the rate in nL/h."""

STALL_NOTICED_NS = 250_000_000
"""A motor that cannot move at all is noticed after 0.25 s (own choice; no source gives a figure)."""


class End(Enum):
    """Why a segment ended by itself."""

    TARGET = "target"
    EMPTY = "empty"
    FULL = "full"
    OCCLUSION = "occlusion"
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class MotionEnd:
    """The motor stopped by itself at ``at_ns``."""

    cause: End
    at_ns: int


@dataclass(frozen=True, slots=True)
class Drive:
    """Stepper and lead screw; the defaults are a NEMA 17 on a 2 mm screw, 200 steps of 16 microsteps."""

    lead_um: int = 2_000
    steps_per_turn: int = 200
    microsteps: int = 16
    gear: int = 1

    def stroke_nl(self, diameter_um: int) -> float:
        """The volume of one microstep: area x lead / microsteps per turn (1 mm^3 = 1 uL = 1000 nL)."""
        area_mm2 = pi / 4 * (diameter_um / 1_000) ** 2
        return area_mm2 * self.lead_um / (self.steps_per_turn * self.microsteps * self.gear)


@dataclass(frozen=True, slots=True)
class Line:
    """Syringe and tubing as one spring.

    Defaults: 2 uL/mmHg lies inside the 1.2-2.8 uL/mmHg of Snijder's review (10.1515/bmt-2014-0148);
    an alarm 500 mmHg above the start then stores 1.0 mL, inside what Doenmez 2005
    (10.1111/j.1460-9592.2005.01436.x) measured.
    """

    compliance_nl_mmhg: int = 2_000
    alarm_mmhg: int = 500


@dataclass(frozen=True, slots=True)
class Mount:
    """The syringe in the holder.

    ``diameter_um=None``: it always fits what is programmed.  ``capacity_nl=None``: it has no ends.
    """

    diameter_um: int | None = None
    capacity_nl: int | None = None
    loaded_nl: int | None = None


class Truth(NamedTuple):
    """What really happened, up to the last `Mechanics.advance`; never visible on the wire."""

    plunger_nl: int
    """Net displacement of the plunger, infusing positive; always ``delivered_nl + stored_nl``."""
    delivered_nl: int
    """What left the line towards the patient, released boluses included."""
    stored_nl: int
    """Held back by the occluded line; negative after withdrawing against an occlusion."""
    pressure_mmhg: float
    rate_nl_h: int
    """The plunger's speed at this instant; 0 when the motor is off or cannot move."""
    steps: int
    """Microsteps made in either direction since the device was built."""
    content_nl: int | None
    """What is left in the syringe; ``None`` for one without ends."""
    released_nl: int
    """Sum of the boluses that cleared occlusions let go."""


@dataclass(slots=True)
class MechanicsState:
    """Everything that `Mechanics` knows, for snapshots."""

    now_ns: int = 0
    since_ns: int = 0
    rate_nl_h: int = 0  # commanded, signed
    limit: int | None = None  # commanded parts this segment may move
    reach: int | None = None  # commanded parts after which it ends by itself
    end_ns: int | None = None
    cause: End = End.TARGET
    infused: int = 0  # commanded parts, ever
    withdrawn: int = 0
    plunger: int = 0  # true parts, signed
    delivered: int = 0
    content: int | None = None
    released: int = 0
    travelled: int = 0  # true parts in either direction, since the diameter was last fitted
    steps_before: int = 0
    occluded: bool = False
    blocked: bool = False
    programmed_um: int = 1
    mounted_um: int = 1
    stroke_nl: float = 1.0  # of the mounted syringe


@dataclass(slots=True)
class Mechanics:
    """One motor, one syringe, one line.  Call `advance` first; all else acts at that instant."""

    mount: Mount = Mount()
    line: Line = Line()
    drive: Drive = Drive()
    state: MechanicsState = field(default_factory=MechanicsState)

    def __post_init__(self) -> None:
        if self.mount.capacity_nl is not None and self.state.content is None:
            self.state.content = self._load()

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
        """The motor stands still; pressure stays where it is."""
        self._settle()
        self.state.rate_nl_h = 0
        self.state.limit = None
        self._plan()

    def fit(self, programmed_um: int) -> None:
        """The pump now believes in a syringe of this inner diameter."""
        self._settle()
        state = self.state
        state.steps_before = self._steps()
        state.travelled = 0
        state.programmed_um = programmed_um
        state.mounted_um = self.mount.diameter_um or programmed_um
        state.stroke_nl = self.drive.stroke_nl(state.mounted_um)
        self._plan()

    # -- what the world does to it ----------------------------------------------------------------

    def occlude(self) -> None:
        """Nothing leaves the line from now on; pressure rises with what the plunger displaces."""
        self._settle()
        self.state.occluded = True
        self._plan()

    def clear_occlusion(self) -> int:
        """The line is open; what it stored goes to the patient at once.  Returns that bolus in nL."""
        self._settle()
        state = self.state
        bolus = state.plunger - state.delivered
        state.delivered = state.plunger
        state.released += bolus
        state.occluded = False
        self._plan()
        return bolus // PARTS_PER_NL

    def block(self, *, blocked: bool) -> None:
        """The motor turns no further (or is free again)."""
        self._settle()
        self.state.blocked = blocked
        self._plan()

    def run_dry(self) -> None:
        """The plunger stands at the bottom of the syringe."""
        self._settle()
        self.state.content = 0
        self._plan()

    def refill(self) -> None:
        """The syringe is as full as it was loaded."""
        self._settle()
        self.state.content = self._load()
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

    def _load(self) -> int | None:
        """A fresh syringe's content in parts."""
        capacity = self.mount.capacity_nl
        if capacity is None:
            return None
        loaded = capacity if self.mount.loaded_nl is None else min(self.mount.loaded_nl, capacity)
        return loaded * PARTS_PER_NL

    def _settle(self) -> None:
        """The segment so far is history; a new one begins now, with nothing lost in between."""
        state = self.state
        moved = self._moved()
        if moved:
            true = self._true(moved)
            state.travelled += true
            if state.rate_nl_h > 0:
                state.infused += moved
            else:
                state.withdrawn += moved
                true = -true
            state.plunger += true
            if not state.occluded:
                state.delivered += true
            if state.content is not None:
                state.content = max(0, state.content - true)
            if state.limit is not None:
                state.limit -= moved
        state.since_ns = state.now_ns

    def _plan(self) -> None:
        """Find out how the segment that begins now will end by itself."""
        state = self.state
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
