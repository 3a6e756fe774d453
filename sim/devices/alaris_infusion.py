"""What an Alaris pump does: infuse, hold, keep the vein open, count, and raise alarms.

Everything happens at the mechanics' own instant.  Not answerable for messages, remote control, power or
time.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.devices.alaris_quirks import Quirks
from sim.devices.alaris_state import ALARMS, NO_ALARM, AlarisState, EndAction, Vtbi
from sim.devices.base import NS_PER_S
from sim.mechanics import NS_PER_H, PARTS_PER_NL, End, Mechanics

SLOWEST_NL_H = 100_000
"""0.1 mL/h, the slowest rate drivers use."""

FASTEST_NL_H = {
    5: 150_000_000,
    10: 300_000_000,
    20: 600_000_000,
    30: 900_000_000,
    50: 1_200_000_000,
}
"""Syringe size in mL -> fastest rate: 1200 mL/h for 50 mL as recorded, the others in proportion [design]."""

DIAMETER_50_UM = 26_590
"""A syringe that is not named is a BD 50/60 mL (NE-1000 manual, section 12.5)."""

KVO_NL_H = 1_000_000
"""1 mL/h, never more than the set rate [design]."""

NEAR_END_S = 300
"""The near-end warning comes when the syringe holds this much time at the present rate [design]."""

_LOOK_NS = NS_PER_S // 10
"""The syringe is looked at no sooner than this [design]."""

_ALARM_OF = {
    End.OCCLUSION: "AL_OCCLU",
    End.EMPTY: "AL_EOIST",
    End.STALL: "AL_DRDIS",
}


@dataclass(slots=True)
class Infusion:
    """Moves the motor as ``state`` says."""

    state: AlarisState
    mechanics: Mechanics
    quirks: Quirks

    # -- what is looked at ------------------------------------------------------------------------

    @property
    def syringe_ml(self) -> int:
        """The size of syringe the pump recognises: one of 5, 10, 20, 30, 50."""
        capacity = self.mechanics.mount.capacity_nl
        fitting = [ml for ml in FASTEST_NL_H if capacity is None or ml * 1_000_000 <= capacity]
        return max(fitting, default=min(FASTEST_NL_H))

    @property
    def fastest_nl_h(self) -> int:
        """The fastest rate of this syringe."""
        return FASTEST_NL_H[self.syringe_ml]

    @property
    def infused_nl(self) -> int:
        """The volume counter."""
        counted = self.mechanics.infused_parts - self.state.infused_zero
        return self.state.faults.counted(counted) // PARTS_PER_NL

    @property
    def running_nl_h(self) -> int:
        """What the motor is told now."""
        state = self.state
        if state.mode == "HLD":
            return 0
        return min(KVO_NL_H, state.rate_nl_h) if state.mode == "KVO" else state.rate_nl_h

    @property
    def alarm(self) -> str:
        """The gravest pending alarm, or ``AL_NOALM``."""
        pending = {*self.state.latched, *self.state.standing}
        return next((code for code in ALARMS if code in pending), NO_ALARM)

    def vtbi_left_parts(self) -> int | None:
        """What is left of the VTBI; ``None`` without one."""
        vtbi = self.state.vtbi
        if vtbi is None:
            return None
        if vtbi.spent:
            return 0
        moved = self.mechanics.infused_parts - vtbi.from_parts
        return max(0, vtbi.volume_nl * PARTS_PER_NL - moved)

    def left_s(self) -> int | None:
        """Time left at the set rate, of the VTBI or else of the syringe; ``None`` if nobody knows."""
        rate, left = self.state.rate_nl_h, self.vtbi_left_parts()
        if left is None:
            content = self.mechanics.truth().content_nl
            left = None if content is None else content * PARTS_PER_NL
        if left is None or not rate:
            return None
        return left // rate // NS_PER_S

    # -- what a host or a key can do --------------------------------------------------------------

    def may_start(self) -> bool:
        """Whether nothing stands in the way of a start."""
        state = self.state
        if not state.rate_nl_h or any(ALARMS[code] for code in state.standing):
            return False
        grave = any(ALARMS[code] or code == "AL_COMTO" for code in state.latched)
        if grave and self.quirks.start_with_alarm == "refused":
            return False
        return state.vtbi is None or not state.vtbi.spent

    def start(self) -> None:
        """It infuses at the set rate; a pump that already does goes on."""
        if self.state.mode == "SET":
            return
        self.acknowledge()
        self.state.mode = "SET"
        self.state.near_end_told = False
        self.log()
        self.drive()

    def hold(self) -> None:
        """The motor stands still; what is left of the VTBI stays."""
        if self.state.mode != "HLD":
            self.log()
        self.state.mode = "HLD"
        self.drive()

    def acknowledge(self) -> None:
        """Alarms that only happened are forgotten; a cause that is still there is not."""
        self.state.latched.clear()

    def set_rate(self, rate_nl_h: int) -> None:
        """The new rate holds at once."""
        self.state.rate_nl_h = rate_nl_h
        self.drive()

    def set_vtbi(self, volume_nl: int, end: EndAction) -> None:
        """Counts from now."""
        self.state.vtbi = Vtbi(volume_nl, end, self.mechanics.infused_parts)
        self.drive()

    def clear_vtbi(self) -> None:
        """It infuses without a target."""
        self.state.vtbi = None
        self.drive()

    def clear_counter(self) -> None:
        """The volume counter is zero; what the plunger did stays done."""
        self.state.infused_zero = self.mechanics.infused_parts

    # -- what happens by itself -------------------------------------------------------------------

    def happened(self, code: str) -> None:
        """The alarm is pending until it is acknowledged; one that stops has stopped the pump."""
        if code not in self.state.latched:
            self.state.latched.append(code)
            self.log()
        if ALARMS[code]:
            self.hold()

    def began(self, code: str) -> None:
        """The cause of this alarm is there; one that stops has stopped the pump."""
        if code not in self.state.standing:
            self.state.standing.append(code)
            self.log()
        if ALARMS[code]:
            self.hold()

    def ended(self, code: str) -> None:
        """The cause of this alarm is gone, and so is the alarm."""
        if code in self.state.standing:
            self.state.standing.remove(code)
            self.log()

    def motion_ended(self, cause: End) -> None:
        """A target is the end of the VTBI; anything else is an alarm."""
        vtbi = self.state.vtbi
        if cause is End.TARGET and vtbi is not None:
            self._vtbi_reached(vtbi)
        else:
            self.happened(_ALARM_OF.get(cause, "AL_FAULT"))

    def _vtbi_reached(self, vtbi: Vtbi) -> None:
        vtbi.spent = True
        if self.quirks.vtbi_after_end == "deactivated":
            self.state.vtbi = None
        if vtbi.end == "STOP":
            swapped = "alarm_swapped" in self.state.faults.there
            self.happened("AL_VTBIK" if swapped else "AL_VTBIS")
            self.hold()
            return
        self.state.mode = "KVO" if vtbi.end == "KVO" else "SET"
        self.happened("AL_VTBIK" if vtbi.end == "KVO" else "AL_VTBIC")
        self.drive()

    def near_end(self) -> None:
        """It is time to look whether the syringe is nearly empty."""
        state = self.state
        content = self.mechanics.truth().content_nl
        state.near_end_due_ns = None
        if content is not None and content <= self._near_end_nl():
            state.near_end_told = True
            self.happened("AL_NEOIN")
        else:
            self._plan_near_end()

    # -- the motor --------------------------------------------------------------------------------

    def drive(self) -> None:
        """The motor does what the state says, from now on."""
        vtbi = self.state.vtbi
        if self.state.mode == "HLD":
            self.mechanics.stop()
        else:
            counted = vtbi is not None and not vtbi.spent
            self.mechanics.start(self.running_nl_h, self.vtbi_left_parts() if counted else None)
        self._plan_near_end()

    def _near_end_nl(self) -> int:
        return self.running_nl_h * NEAR_END_S // 3_600

    def _plan_near_end(self) -> None:
        """When the content will have fallen to the warning, if the motor goes on like this.

        Never at once: what happens must not depend on how a host's bytes are split.
        """
        state, rate = self.state, self.running_nl_h
        content = self.mechanics.truth().content_nl
        if content is None or not rate or state.near_end_told:
            state.near_end_due_ns = None
            return
        above = max(0, content - self._near_end_nl())
        due = state.now_ns + -(-above * NS_PER_H // rate)
        state.near_end_due_ns = max(due, state.now_ns + _LOOK_NS)

    def log(self) -> None:
        """One more entry in the pump's log."""
        self.state.log_entry += 1
