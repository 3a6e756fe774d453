"""What telemetry is told: one small frozen value for each thing a dashboard can be shown.

The runner fills them; `telemetry` turns them into messages.  ``None`` always means *not known*.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from firmware_bridge.messages import PumpState
from firmware_bridge.quantities import Concentration, Mass, Rate, Volume


@dataclass(frozen=True, slots=True)
class PumpSample:
    """One consistent state of the pump.  ``None``: not known, or not something this pump can say.

    ``volume`` is what the pump counted towards ``vtbi``.  With ``link`` false nothing else that the
    pump reports is believed.
    """

    state: PumpState
    drug: str
    concentration: Concentration
    rate_set: Rate
    rate: Rate | None = None
    volume: Volume | None = None
    vtbi: Volume | None = None
    pressure_pa: int | None = None
    battery_pct: float | None = None
    link: bool = True


@dataclass(frozen=True, slots=True)
class SessionView:
    """Where the visit stands.  ``remaining_s`` is ``None`` where the state has no planned end."""

    state: str
    state_n: int
    step: str
    elapsed_s: float
    remaining_s: float | None
    dose: Mass
    procedure: str
    drug: str
    series_n: int = 1
    series_of: int = 1
    outcome: str = ""


class AlarmKind(StrEnum):
    """Of whom the alarm speaks."""

    PHYSIOLOGICAL = "physiological"
    TECHNICAL = "technical"
    ADVISORY = "advisory"


class Priority(IntEnum):
    """How soon somebody has to look."""

    NONE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3


class AlarmState(StrEnum):
    """Whether the condition is there; latched: gone, and nobody has acknowledged it."""

    INACTIVE = "inactive"
    ACTIVE = "active"
    LATCHED = "latched"


class Phase(StrEnum):
    """What just happened to the alarm (words of IHE PCD TF-2, B.8.5)."""

    START = "start"
    CONTINUE = "continue"
    UPDATE = "update"
    ESCALATE = "escalate"
    DEESCALATE = "deescalate"
    ACKNOWLEDGED = "acknowledged"
    END = "end"


class Inactivation(StrEnum):
    """What a person has done to its signals (words of IHE PCD TF-2, B.8.5)."""

    ENABLED = "enabled"
    AUDIO_PAUSED = "audio-paused"
    AUDIO_OFF = "audio-off"
    ALARM_PAUSED = "alarm-paused"
    ALARM_OFF = "alarm-off"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class AlarmView:
    """One alarm condition.  ``seq`` is the event that brought it here; ``mdc`` a REFID or empty."""

    id: str
    kind: AlarmKind
    priority: Priority
    phase: Phase
    state: AlarmState
    text: str
    onset_ts_ms: int
    seq: int
    inactivation: Inactivation = Inactivation.ENABLED
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    mdc: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class MetaView:
    """Who speaks, with which versions, about which pump."""

    version: str
    procedure: str
    pump: str
    firmware: str = ""
    serial_number: str = ""


@dataclass(frozen=True, slots=True)
class EstopOutcome:
    """What became of a remote stop.  Times are Unix ms; ``confirmed_ts_ms`` comes from the pump."""

    id: str
    requested_ts_ms: int
    sent_ts_ms: int | None
    confirmed_ts_ms: int | None
    state: str


@dataclass(frozen=True, slots=True)
class EstopRequest:
    """A remote stop as it was read.  It *is* a stop whatever stands here.

    ``id`` is empty unless it is one that may be used to answer; ``odd`` says what was wrong with the
    body, for a low-priority alarm and the log.
    """

    id: str
    odd: str
