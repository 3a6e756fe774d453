"""What a controller and a pump (or the bridge in front of it) can say to each other.

These are the meanings; `protocols.pumplink` gives them bytes and PROTOCOL.md pins both.  Commands are
imperatives, answers are nouns.  Every quantity carries its unit; nothing here knows a wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from firmware_bridge.quantities import Concentration, Duration, Rate, Volume


class PumpState(IntEnum):
    """What the pump is doing, as far as it says so.  Anything not known is `UNKNOWN`, never a guess."""

    STOPPED = 0
    RUNNING = 1
    PAUSED = 2
    COMPLETED = 3
    ALARM = 4
    UNKNOWN = 5


class PumpAlarm(IntFlag):
    """Latched conditions.  Each stays until acknowledged, and the gate allows no start before that."""

    NONE = 0
    LEASE_EXPIRED = 1 << 0
    OCCLUSION = 1 << 1
    EMPTY = 1 << 2
    AIR = 1 << 3
    BATTERY = 1 << 4
    RESET = 1 << 5
    ESTOP_LATCHED = 1 << 6
    INTERNAL_FAULT = 1 << 7
    LINK_LOST = 1 << 8
    STOP_UNCONFIRMED = 1 << 9
    IDENTITY_CHANGED = 1 << 10
    STALL = 1 << 11
    LOST_STEPS = 1 << 12
    DOOR_OPEN = 1 << 13
    CLAMP_SHUT = 1 << 14
    BATTERY_DEPLETED = 1 << 15
    MAINS_LOST = 1 << 16


class Capability(IntFlag):
    """What a pump can do by itself.  What it lacks, the bridge supplies or the procedure refuses."""

    NONE = 0
    VOLUME_TARGET = 1 << 0
    TIME_TARGET = 1 << 1
    RATE_WHILE_RUNNING = 1 << 2
    DEAD_MAN = 1 << 3
    INTEGRITY_CHECK = 1 << 4
    UNSOLICITED_ALARMS = 1 << 5
    STALL_DETECTION = 1 << 6
    PRESSURE = 1 << 7
    AIR_DETECTION = 1 << 8
    BATTERY_LEVEL = 1 << 9
    WITHDRAW = 1 << 10
    CLINICAL = 1 << 11
    SENSORS = 1 << 12


class Input(IntFlag):
    """What the switches and detectors of a pump show."""

    NONE = 0
    DOOR_OPEN = 1 << 0
    CLAMP_SHUT = 1 << 1
    AIR = 1 << 2
    MAINS = 1 << 3


class Ending(IntEnum):
    """How a command ends, or stands: three endings (done, refused, uncertain) and two ways on."""

    ACCEPTED = 0
    REFUSED = 1
    IN_PROGRESS = 2
    DONE = 3
    UNCERTAIN = 4


class Code(IntEnum):
    """Why a command was refused or left uncertain."""

    OK = 0
    BAD_ARGUMENT = 1
    OVER_LIMIT = 2
    WRONG_STATE = 3
    ALARM_PRESENT = 4
    NOT_ARMED = 5
    UNSUPPORTED = 6
    NOT_CONFIRMED = 7


class Direction(IntEnum):
    """Which way the plunger goes."""

    INFUSE = 0
    WITHDRAW = 1


# --- commands -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """Opens a link: the versions the host speaks and the hash of its message table."""

    version_min: int
    version_max: int
    schema_hash: int


@dataclass(frozen=True, slots=True)
class Configure:
    """Tells the pump which syringe is mounted."""

    command_id: int
    diameter_um: int
    syringe_size: Volume


@dataclass(frozen=True, slots=True)
class Arm:
    """Opens the gate for commands within these limits, and for no others."""

    command_id: int
    rate_max: Rate
    volume_per_command_max: Volume
    volume_total_max: Volume
    time_max: Duration
    concentration: Concentration


@dataclass(frozen=True, slots=True)
class Disarm:
    """Closes the gate.  A running delivery is stopped first."""

    command_id: int


@dataclass(frozen=True, slots=True)
class Bolus:
    """Delivers a volume at a rate, then stops by the pump's own target."""

    command_id: int
    rate: Rate
    volume: Volume
    lease: Duration


@dataclass(frozen=True, slots=True)
class Run:
    """Infuses at a rate up to a volume target, for as long as the lease is renewed."""

    command_id: int
    rate: Rate
    target: Volume
    lease: Duration
    direction: Direction = Direction.INFUSE


@dataclass(frozen=True, slots=True)
class SetRate:
    """Changes the rate of a running delivery."""

    command_id: int
    rate: Rate


@dataclass(frozen=True, slots=True)
class Pause:
    """Holds a delivery; the pump keeps its program."""

    command_id: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Continues a paused delivery for the rest of its target."""

    command_id: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Ends a delivery.  Always permitted."""

    command_id: int


@dataclass(frozen=True, slots=True)
class ClearCounters:
    """Sets the pump's delivered volume to nothing; refused while it runs."""

    command_id: int


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Trips the dead-man on purpose with the motor stopped, and proves the stop path."""

    command_id: int
    lease: Duration


@dataclass(frozen=True, slots=True)
class Lease:
    """Renews the permission to deliver.  Answered by a `Snapshot`."""

    lease: Duration


@dataclass(frozen=True, slots=True)
class AlarmAck:
    """Acknowledges the latched alarms in ``alarms`` whose cause is gone."""

    alarms: PumpAlarm


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """Asks for a `Snapshot` without renewing anything."""


@dataclass(frozen=True, slots=True)
class SensorsRequest:
    """Asks a pump that has `Capability.SENSORS` what they show; answered by `Sensors`."""


@dataclass(frozen=True, slots=True)
class TimeSync:
    """The two clocks side by side, in microseconds."""

    t_host_us: int
    t_pump_us: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Clears the emergency-stop latch of the peer with this ``boot_id``; starts nothing."""

    command_id: int
    boot_id: int


@dataclass(frozen=True, slots=True)
class Estop:
    """Stops, latches, and refuses everything but stops and queries from then on."""


Command = (
    Hello
    | Configure
    | Arm
    | Disarm
    | Bolus
    | Run
    | SetRate
    | Pause
    | Resume
    | Stop
    | ClearCounters
    | SelfTest
    | Lease
    | AlarmAck
    | SnapshotRequest
    | SensorsRequest
    | TimeSync
    | Reset
    | Estop
)


# --- answers --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HelloAck:
    """Who answers, what it can do, and the limits it keeps whatever anybody asks."""

    version: int
    schema_hash: int
    boot_id: int
    firmware: str
    serial_number: str
    capabilities: Capability
    rate_min: Rate
    rate_max: Rate
    volume_step: Volume
    lease_min: Duration
    lease_max: Duration


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended, with the values the pump accepted and, if refused, every reason."""

    command_id: int
    ending: Ending
    code: Code
    rate: Rate
    volume: Volume
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent state of the pump.

    ``infused`` counts since the last start; ``age`` is how old the pump's own data are; ``uptime``
    is the bridge's (or the microcontroller's) monotonic clock.
    """

    uptime: Duration
    state: PumpState
    rate: Rate
    infused: Volume
    remaining: Volume
    pressure_pa: int
    alarms: PumpAlarm
    age: Duration


@dataclass(frozen=True, slots=True)
class Sensors:
    """What every sensor of a pump shows at one moment.

    ``battery_s``: how long it would last without mains.  ``steps_*``: microsteps of the motor in either
    direction since it was made, as told to it and as an encoder counted them; both wrap at 2^32.
    """

    uptime: Duration
    inputs: Input
    pressure_pa: int
    battery_s: int
    steps_commanded: int
    steps_counted: int


class EventKind(IntEnum):
    """What an unsolicited `Event` is about."""

    STATE = 0
    ALARM_RAISED = 1
    ALARM_CLEARED = 2


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened by itself.  ``id`` is a `PumpState` or one `PumpAlarm` bit's index."""

    event_seq: int
    kind: EventKind
    id: int
    uptime: Duration


@dataclass(frozen=True, slots=True)
class Counters:
    """Health of a link, counted since it opened."""

    frames: int
    crc_errors: int
    retransmits: int
    duplicates: int
    oversize: int
    resyncs: int


Answer = HelloAck | Result | Snapshot | Sensors | Event | Counters | TimeSync
Message = Command | Answer
