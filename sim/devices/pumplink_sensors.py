"""What a pumplink/1 pump feels: door, clamp, air, pressure, mains, battery, and steps really made.

Answerable for what the sensors show and for which alarms that means; not for what the alarms stop.
The pressure limit and the air detector act at the mechanics' own instant, switches at that of the hand;
the encoder is compared at intervals, and so is what keeps an acknowledged alarm up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.devices.base import NS_PER_S
from sim.devices.pumplink_alarms import Alarms
from sim.devices.pumplink_motor import Motor
from sim.devices.pumplink_state import Doing, PumpState
from sim.devices.pumplink_table import U32, Alarm, Input, Value
from sim.devices.supply import SILENT, supply
from sim.mechanics import End, Mechanics

LOOK_NS = NS_PER_S // 10
"""An alarm that was acknowledged ends so soon after its cause [design]."""

ENCODER_NS = NS_PER_S
"""Steps are compared once a second [design]."""

SLIP_STEPS = 64
"""Four full steps of 16 microsteps: a motor that slips loses them by fours [design]."""

SLIP_PART = 100
"""Besides, the encoder may be off by one in so many [design]."""

PA_PER_MMHG = 133.322
"""NIST SP 811, conventional millimetre of mercury."""

ALARM_OF = {
    End.OCCLUSION: Alarm.OCCLUSION,
    End.EMPTY: Alarm.EMPTY,
    End.FULL: Alarm.EMPTY,
    End.STALL: Alarm.STALL,
    End.AIR: Alarm.AIR,
}
"""Why a motion ended -> what is raised; `empty` is either end of the syringe."""


@dataclass(slots=True)
class Sensors:
    """Reads the mechanics, and tells ``alarms``."""

    state: PumpState
    mechanics: Mechanics
    motor: Motor

    # -- what they show ---------------------------------------------------------------------------

    def pressure_pa(self) -> int:
        """In the syringe; 0 for what is below the pressure of the room."""
        return min(U32, max(0, round(self.mechanics.sensed_mmhg() * PA_PER_MMHG)))

    def inputs(self) -> Input:
        """Switches and detectors."""
        housing = self.mechanics.housing
        shown = Input(0)
        shown |= Input.DOOR_OPEN if housing.door_open else Input(0)
        shown |= Input.CLAMP_SHUT if housing.clamp_shut else Input(0)
        shown |= Input.AIR if self.mechanics.air_seen() else Input(0)
        return shown | (Input.MAINS if housing.battery.on_mains else Input(0))

    def values(self) -> dict[str, Value]:
        """Everything but the time, as it goes over the wire."""
        left_min = self.mechanics.housing.battery.left_min(self.state.now_ns)
        return {
            "inputs": self.inputs(),
            "pressure_pa": self.pressure_pa(),
            "battery_s": int(left_min * 60),
            "steps_commanded": self.motor.steps_commanded() & U32,
            "steps_counted": self.mechanics.truth().steps & U32,
        }

    def cause_is_there(self, alarm: Alarm) -> bool:
        """Whether what ended a motion can still be seen."""
        match alarm:
            case Alarm.OCCLUSION:
                return abs(self.mechanics.sensed_mmhg()) >= self.mechanics.line.alarm_mmhg
            case Alarm.AIR:
                return self.mechanics.air_seen()
            case Alarm.EMPTY:
                return self.mechanics.truth().content_nl == 0
        return False

    # -- what they notice -------------------------------------------------------------------------

    def standing(self) -> Iterator[tuple[Alarm, bool]]:
        """Alarms whose cause a switch or a supply shows, and whether it is there."""
        housing, power = self.mechanics.housing, supply(self.mechanics)
        silent = SILENT in self.state.faults.there
        yield Alarm.DOOR_OPEN, housing.door_open
        yield Alarm.CLAMP_SHUT, housing.clamp_shut
        yield Alarm.MAINS_LOST, not power.mains
        yield Alarm.BATTERY, power.low and not silent
        yield Alarm.BATTERY_DEPLETED, power.empty and not silent

    def motion_begins(self) -> None:
        """What the encoder is behind by now is not this motion's fault."""
        memory = self.state.memory
        memory.steps_from = self.motor.steps_commanded()
        memory.slip_from = memory.steps_from - self.mechanics.truth().steps

    def slipped(self) -> bool:
        """The motor did not make the steps that it was told to make in this motion."""
        memory, commanded = self.state.memory, self.motor.steps_commanded()
        behind = commanded - self.mechanics.truth().steps - memory.slip_from
        return behind > SLIP_STEPS + (commanded - memory.steps_from) // SLIP_PART

    def stands(self) -> bool:
        """The encoder stands, whatever the pump believes."""
        return not self.mechanics.state.rate_nl_h

    def plan(self, alarms: Alarms) -> None:
        """When to look next, if there is anything to see."""
        memory, own = self.state.memory, self.motor.own_ns
        if alarms.acknowledged():
            due = own + LOOK_NS
        elif memory.doing is Doing.RUNNING:
            due = own + ENCODER_NS
        else:
            memory.look_due = None
            return
        memory.look_due = due if memory.look_due is None else min(memory.look_due, due)
