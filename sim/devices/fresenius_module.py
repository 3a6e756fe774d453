"""One syringe module of an Orchestra base: infuse, pause, bolus, empty, count, and raise alarms.

Everything happens at the mechanics' own instant.  Not answerable for messages, sessions, power or time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sim.devices.breakage import Breakage
from sim.devices.fresenius_quirks import Quirks
from sim.devices.fresenius_state import (
    BOLUS_TENTHS,
    MANUAL,
    WARNINGS,
    Alarm,
    Doing,
    ModuleState,
)
from sim.mechanics import PARTS_PER_NL, End, Line, Mechanics

NL_H_PER_TENTH = 100_000
NL_PER_THOUSANDTH = 1_000

SLOWEST, FASTEST = 1, 12_000
"""0.1-1200.0 mL/h [design]; the protocol's four digits reach further."""

EMPTYING_TENTHS = FASTEST
"""Emptying runs as fast as it can [design]."""

DIAMETER_50_UM = 26_590
"""A syringe that is not named is a BD 50/60 mL (NE-1000 manual, section 12.5)."""

_ALARM_OF = {
    End.OCCLUSION: Alarm.OCCLUSION,
    End.EMPTY: Alarm.END,
}


@dataclass(slots=True)
class Module:
    """Moves one motor as ``state`` says."""

    state: ModuleState
    mechanics: Mechanics
    quirks: Quirks
    line: Line
    """As it was built; ``PP`` changes its alarm threshold."""
    faults: Breakage = field(default_factory=Breakage)
    """Those of the rack, in the module under test."""

    # -- what is looked at ------------------------------------------------------------------------

    @property
    def alarms(self) -> Alarm:
        """Everything that is pending."""
        return self.state.latched | self.state.standing

    @property
    def infused_nl(self) -> int:
        """The volume counter."""
        counted = self.mechanics.infused_parts - self.state.zero
        return self.faults.counted(counted) // PARTS_PER_NL

    @property
    def running_tenths(self) -> int:
        """What the motor is told now."""
        state = self.state
        match state.doing:
            case Doing.INFUSING:
                return state.rate
            case Doing.BOLUS:
                return state.bolus_rate
            case Doing.EMPTYING:
                return EMPTYING_TENTHS
            case Doing.PAUSED:
                return 0

    def value(self, identifier: str) -> str | None:
        """A measured variable as it goes over the wire, without its letter."""
        state = self.state
        match identifier:
            case "a":
                return f"{self.alarms:04X}"
            case "e":
                return f"{int(Alarm.DRIVE in self.alarms):04X}"
            case "m":
                return f"{state.mode:02X}"
            case "d":
                paused = state.doing is Doing.PAUSED and self.quirks.rate_when_paused == "set"
                return f"{state.rate if paused else self.running_tenths:04X}"
            case "r":
                return f"{self.infused_nl // NL_PER_THOUSANDTH:06X}"
        return self.adjusted(identifier)

    def adjusted(self, identifier: str) -> str | None:
        """A set variable as it goes over the wire, without its letter."""
        state = self.state
        match identifier:
            case "d":
                return f"{state.rate:04X}"
            case "k":
                return f"{state.bolus_rate:04X}"
            case "s":
                return f"{state.bolus_nl // NL_PER_THOUSANDTH:06X}"
        return None

    def limit_left(self) -> int | None:
        """Parts that the volume limit leaves; ``None`` without one."""
        state = self.state
        if not state.limit_nl:
            return None
        since = state.limit_from if self.quirks.limit_counts == "since_set" else state.zero
        return max(0, state.limit_nl * PARTS_PER_NL - self.mechanics.infused_parts + since)

    def available(self) -> int | None:
        """Parts that syringe and limit leave; ``None``: as many as one likes."""
        content = self.mechanics.truth().content_nl
        left = self.limit_left()
        rooms = [] if content is None else [content * PARTS_PER_NL]
        rooms += [] if left is None else [left]
        return min(rooms, default=None)

    # -- what a host or a key can do --------------------------------------------------------------

    def begin(self, doing: Doing) -> None:
        """It does this from now on."""
        self.state.doing = doing
        self.drive()

    def bolus(self, volume_nl: int) -> None:
        """At the bolus rate until this volume is given; then as before."""
        state = self.state
        state.then = state.doing
        state.bolus_nl = volume_nl
        state.bolus_from = self.mechanics.infused_parts
        self.begin(Doing.BOLUS)

    def limit(self, volume_nl: int) -> None:
        """It stops there; 0 for no limit."""
        self.state.limit_nl = volume_nl
        self.state.limit_from = self.mechanics.infused_parts
        self.drive()

    def clear_volume(self) -> None:
        """The counter is zero; what the plunger did stays done."""
        self.state.zero = self.mechanics.infused_parts
        self.drive()

    def limit_pressure(self, mmhg: int | None) -> None:
        """The occlusion alarm comes there; ``None``: where the line has it."""
        self.state.pressure_mmhg = mmhg
        self.apply_pressure()
        self.drive()

    def apply_pressure(self) -> None:
        """Mechanics know the limit of the state."""
        mmhg, mechanics = self.state.pressure_mmhg, self.mechanics
        mechanics.line = self.line if mmhg is None else replace(self.line, alarm_mmhg=mmhg)
        mechanics.works = replace(mechanics.works, line=mechanics.line)

    def reset(self) -> None:
        """Nothing is set, nothing is counted, nothing is pending but what is still there."""
        state = self.state
        state.doing = state.then = Doing.PAUSED
        state.mode = MANUAL
        state.rate = state.bolus_nl = state.limit_nl = 0
        state.bolus_rate = BOLUS_TENTHS
        state.latched = Alarm(0)
        self.clear_volume()
        self.limit_pressure(None)

    def silence(self) -> None:
        """Alarms that only happened are forgotten; a cause that is still there is not."""
        self.state.latched = Alarm(0)

    # -- what happens by itself -------------------------------------------------------------------

    def happened(self, alarm: Alarm) -> None:
        """Pending until silenced; one that stops has paused the module."""
        self.state.latched |= alarm
        if alarm & ~WARNINGS:
            self.begin(Doing.PAUSED)

    def began(self, alarm: Alarm) -> None:
        """The cause is there; one that stops has paused the module."""
        self.state.standing |= alarm
        if alarm & ~WARNINGS:
            self.begin(Doing.PAUSED)

    def ended(self, alarm: Alarm) -> None:
        """The cause is gone."""
        self.state.standing &= ~alarm

    def motion_ended(self, cause: End) -> None:
        """A target is the end of a bolus or the volume limit; anything else is an alarm."""
        state = self.state
        if cause is not End.TARGET:
            self.happened(_ALARM_OF.get(cause, Alarm.DRIVE))
        elif self.limit_left() == 0:
            self.happened(Alarm.LIMIT_REACHED)
        else:
            self.begin(state.then)

    # -- the motor --------------------------------------------------------------------------------

    def drive(self) -> None:
        """The motor does what the state says, from now on."""
        state = self.state
        if state.doing is Doing.PAUSED:
            self.mechanics.stop()
            return
        left = self.limit_left()
        if state.doing is Doing.BOLUS:
            given = self.mechanics.infused_parts - state.bolus_from
            bolus = max(0, state.bolus_nl * PARTS_PER_NL - given)
            left = bolus if left is None else min(bolus, left)
        if left == 0:
            self.motion_ended(End.TARGET)
        else:
            self.mechanics.start(self.running_tenths * NL_H_PER_TENTH, left)
