"""What a decision asks the runner to do: one frozen dataclass per deed, in the imperative.

The runner carries them out in the order given.  Effects with a ``command_id`` go to the pump and each
ends in exactly one `CommandEnded` of that id (`StopPump` in `StopConfirmed` or `StopUnconfirmed`); the
runner writes the intent to the session log, synced, before a command that can move drug leaves.
Every quantity is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.alarms import ALARMS, Priority
from controller.procedure.questions import Question
from firmware_bridge.messages import PumpAlarm
from firmware_bridge.quantities import Concentration, Duration, Mass, Rate, Volume

Scalar = str | int | float | bool | None


class Outcome(StrEnum):
    """How a visit ended."""

    COMPLETED = "completed"
    RESCUED = "rescued"
    ABORTED = "aborted"
    EMERGENCY_STOPPED = "emergency_stopped"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Configure:
    """Tell the pump which syringe is mounted."""

    command_id: int
    diameter_um: int
    syringe_size: Volume


@dataclass(frozen=True, slots=True)
class ArmGate:
    """Open the gate for one delivery and nothing more."""

    command_id: int
    rate_max: Rate
    volume_per_command_max: Volume
    volume_total_max: Volume
    time_max: Duration
    concentration: Concentration


@dataclass(frozen=True, slots=True)
class DisarmGate:
    """Close the gate."""

    command_id: int


@dataclass(frozen=True, slots=True)
class StartBolus:
    """Deliver ``volume`` at ``rate``; the pump's own volume target ends it.  ``mass`` is for the log."""

    command_id: int
    rate: Rate
    volume: Volume
    mass: Mass


@dataclass(frozen=True, slots=True)
class StartInfusion:
    """Infuse at ``rate`` up to the volume target ``volume``.  ``mass`` is for the log."""

    command_id: int
    rate: Rate
    volume: Volume
    mass: Mass


@dataclass(frozen=True, slots=True)
class StopPump:
    """Stop, and repeat until the pump's counters stand still."""

    command_id: int
    why: str


@dataclass(frozen=True, slots=True)
class AcknowledgeAlarms:
    """Acknowledge these latched alarms of the pump; one whose cause is still there comes back."""

    alarms: PumpAlarm


@dataclass(frozen=True, slots=True)
class Ask:
    """Put a question to the operator and leave it open until answered or withdrawn."""

    question: Question


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The question is no longer asked; an answer to it would be refused."""

    question_id: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """The answer to this question was not taken, for this reason; the question stands."""

    question_id: int
    why: str


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Feed `TimerFired` of this name after ``seconds``; replaces a running timer of the same name."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget the timer of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class RaiseAlarm:
    """An alarm condition began.  ``value``, ``limit`` and ``unit`` are empty where there is no number."""

    alarm_id: str
    text: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""

    @property
    def priority(self) -> Priority:
        """The one its row in the table of alarms gives it."""
        return ALARMS[self.alarm_id].priority


@dataclass(frozen=True, slots=True)
class ClearAlarm:
    """The condition of this alarm is gone (whether a person has seen it is another question)."""

    alarm_id: str


@dataclass(frozen=True, slots=True)
class AcknowledgeAlarm:
    """A person has seen this alarm; an empty id means every one that stands unseen."""

    alarm_id: str
    by: str


@dataclass(frozen=True, slots=True)
class Record:
    """Append to the session log: flat data, units in the keys."""

    kind: str
    data: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class RunSelfTest:
    """Test link, identity, dead-man (motor stopped), stop path, library, log and sensors."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The visit is over."""

    outcome: Outcome


PumpEffect = Configure | ArmGate | DisarmGate | StartBolus | StartInfusion | StopPump
Effect = (
    PumpEffect
    | AcknowledgeAlarms
    | Ask
    | Withdraw
    | Refuse
    | StartTimer
    | CancelTimer
    | RaiseAlarm
    | ClearAlarm
    | AcknowledgeAlarm
    | Record
    | RunSelfTest
    | Finish
)
