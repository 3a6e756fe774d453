"""The account of one delivery on a Harvard pump: what its counter says, over pauses and resets.

The pump compares its target with a counter, and sources leave open whether that one begins at the last
clear or at the last start.  So every start, and every going on after a pause, clears the counter and
programs what is left; what was there before is carried here.  Pure; asks the pump nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.dialect import Accepted, Reading
from firmware_bridge.messages import PumpAlarm, PumpState
from firmware_bridge.protocols.harvard_replies import STATES, Reply, Status
from firmware_bridge.quantities import Rate, Volume

_RATE_PARTS = 100
"""A running pump whose own rate differs by more than 1 part in this many runs at another one [design]."""

_SHORT_PARTS = 100
"""What the count may lack of a target that the pump says it reached, 1 part in this many: its digits
and a step of its motor [design]."""


@dataclass(slots=True)
class Account:
    """What was started, and what came of it so far."""

    accepted: Accepted | None = None
    carried: Volume = Volume(0)
    """Delivered before the counter was last cleared, or lost in a reset."""
    counter: Volume = Volume(0)
    """The last reading of the pump's counter."""
    paused: bool = False
    clearing: bool = False
    """Whether this session is about to clear the counter itself."""
    stands: bool = False
    """Whether the pump has been seen to stand since it was started."""
    at_target: bool = False
    """Whether the pump has said since the start that it reached its target."""

    def begun(self) -> None:
        """Counter and account begin anew; nothing has been started."""
        self.accepted = None
        self.carried = self.counter = Volume(0)
        self.paused = self.at_target = self.stands = self.clearing = False

    @property
    def infused(self) -> Volume:
        return self.carried + self.counter

    def continued(self, rate: Rate, rest: Volume) -> None:
        """After a pause the counter was cleared, ``rest`` programmed; what it said before is kept here."""
        self.carried, self.counter = self.infused, Volume(0)
        self.accepted = Accepted(rate, self.carried + rest)
        self.paused = self.at_target = self.stands = self.clearing = False

    def counted(self, counter: Volume, *, at_target: bool) -> PumpAlarm:
        """The pump's counter now.  One that runs backwards was reset, and its pump with it."""
        self.at_target = self.at_target or at_target
        back = self.accepted is not None and counter < self.counter
        if back:
            self.carried = self.infused
        self.counter = counter
        return PumpAlarm.RESET if back and not self.clearing else PumpAlarm.NONE

    def is_turn(self, counter: Volume, *, moving: bool) -> bool:
        """Whether such a reading would end the delivery: it stands, ran on too far, or was reset."""
        if self.accepted is None or self.stands:
            return False
        beyond = self.carried + counter > self.accepted.volume
        return not moving or beyond or counter < self.counter

    @property
    def is_complete(self) -> bool:
        """Whether the target has been delivered: by the count, or by the pump's word near enough to it.

        The word alone is not enough: a target left over from before ends a delivery early.
        """
        if self.accepted is None:
            return False
        missing = self.accepted.volume.less(self.infused).nl
        return not missing or (self.at_target and missing * _SHORT_PARTS <= self.accepted.volume.nl)

    def reading(self, reply: Reply, status: Status, alarms: PumpAlarm) -> Reading:
        """What the pump says.  Motion outranks an alarm, and an alarm the reason for standing still."""
        if STATES[reply.prompt] is PumpState.RUNNING or status.moving:
            odd = self._oddity(reply, status)
            alarms |= PumpAlarm.INTERNAL_FAULT if odd else PumpAlarm.NONE
            return Reading(PumpState.RUNNING, self.infused, alarms, words=odd)
        self.stands = True
        if status.stalled:
            alarms |= PumpAlarm.OCCLUSION
        return Reading(self._standing(reply, alarms), self.infused, alarms)

    def _standing(self, reply: Reply, alarms: PumpAlarm) -> PumpState:
        if alarms or STATES[reply.prompt] is PumpState.ALARM:
            return PumpState.ALARM
        if self.paused and self.accepted is not None:
            return PumpState.PAUSED
        return PumpState.COMPLETED if self.is_complete else PumpState.STOPPED

    def _oddity(self, reply: Reply, status: Status) -> str:
        """In what a pump that runs does not run as it was told; empty if in nothing."""
        if self.accepted is None:
            return ""  # that it runs at all is odd enough, and seen as such
        if reply.prompt == "<" or not status.infusing:
            return "withdrawing"
        rate, told = status.rate, self.accepted.rate
        if rate.nl_h and abs(rate.nl_h - told.nl_h) * _RATE_PARTS > told.nl_h:
            return f"infusing at {rate} instead of {told}"
        return ""


def near(infused: Volume, target: Volume) -> bool:
    """Whether a pump that says that it reached ``target`` has delivered it, but for a rest."""
    return target.less(infused).nl * _SHORT_PARTS <= target.nl
