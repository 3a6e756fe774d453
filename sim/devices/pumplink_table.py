"""The messages of pumplink/1 as a pump must know them: PROTOCOL.md's tables, as data.

Answerable for turning a payload into named numbers and back, and for the schema hash, which is computed
from these very rows.  Not answerable for frames (`sim.devices.pumplink_frames`), nor for what a message
does.  Nothing here is shared with the host side: a slip in one of the two tables changes its hash.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag

ROWS = """\
01|HELLO|host|version_min u8, version_max u8, schema_hash u32
02|HELLO_ACK|pump|version u8, schema_hash u32, boot_id u32, firmware text80, serial_number text80, \
capabilities u32, rate_nl_h_min u32, rate_nl_h_max u32, volume_step_nl u32, lease_ms_min u16, lease_ms_max u16
10|CONFIGURE|host|command_id u32, diameter_um u32, syringe_size_nl u32
11|BOLUS|host|command_id u32, rate_nl_h u32, volume_nl u32, lease_ms u16
12|RUN|host|command_id u32, rate_nl_h u32, target_nl u32, lease_ms u16, direction u8
13|SET_RATE|host|command_id u32, rate_nl_h u32
14|PAUSE|host|command_id u32
15|RESUME|host|command_id u32
16|STOP|host|command_id u32
17|CLEAR_COUNTERS|host|command_id u32
18|LEASE|host|lease_ms u16
19|ALARM_ACK|host|alarms u32
1A|SNAPSHOT_REQ|host|
1B|TIMESYNC|both|t_host_us u64, t_pump_us u64
1C|ARM|host|command_id u32, rate_nl_h_max u32, volume_per_command_nl_max u32, volume_total_nl_max u32, \
time_ms_max u32, concentration_ug_ml u32
1D|DISARM|host|command_id u32
1E|RESET|host|command_id u32, boot_id u32
1F|SELF_TEST|host|command_id u32, lease_ms u16
20|RESULT|pump|command_id u32, ending u8, code u16, rate_nl_h u32, volume_nl u32, reason text184
21|SNAPSHOT|pump|uptime_ms u32, state u8, rate_nl_h u32, infused_nl u32, remaining_nl u32, \
pressure_pa u32, alarms u32, age_ms u32
22|EVENT|pump|event_seq u16, kind u8, id u16, uptime_ms u32
23|COUNTERS|both|frames u32, crc_errors u32, retransmits u32, duplicates u32, oversize u32, resyncs u32
24|SENSORS_REQ|host|
25|SENSORS|pump|uptime_ms u32, inputs u32, pressure_pa u32, battery_s u32, \
steps_commanded u32, steps_counted u32
7F|ESTOP|host|
state|0 stopped, 1 running, 2 paused, 3 completed, 4 alarm, 5 unknown
ending|0 accepted, 1 refused, 2 in_progress, 3 done, 4 uncertain
code|0 ok, 1 bad_argument, 2 over_limit, 3 wrong_state, 4 alarm_present, 5 not_armed, 6 unsupported, \
7 not_confirmed
direction|0 infuse, 1 withdraw
event kind|0 state, 1 alarm_raised, 2 alarm_cleared
alarm bit|0 lease_expired, 1 occlusion, 2 empty, 3 air, 4 battery, 5 reset, 6 estop_latched, \
7 internal_fault, 8 link_lost, 9 stop_unconfirmed, 10 identity_changed, 11 stall, 12 lost_steps, \
13 door_open, 14 clamp_shut, 15 battery_depleted, 16 mains_lost
capability bit|0 volume_target, 1 time_target, 2 rate_while_running, 3 dead_man, 4 integrity_check, \
5 unsolicited_alarms, 6 stall_detection, 7 pressure, 8 air_detection, 9 battery_level, 10 withdraw, \
11 clinical, 12 sensors
input bit|0 door_open, 1 clamp_shut, 2 air, 3 mains
"""

SCHEMA_HASH = zlib.crc32(ROWS.encode("ascii"))

TEXT_LENGTH_MAX = 255
U32 = 0xFFFFFFFF


class State(IntEnum):
    """What SNAPSHOT says."""

    STOPPED = 0
    RUNNING = 1
    PAUSED = 2
    COMPLETED = 3
    ALARM = 4


class Ending(IntEnum):
    """How a command stands.  A pump by itself is never uncertain."""

    ACCEPTED = 0
    REFUSED = 1
    IN_PROGRESS = 2
    DONE = 3


class Code(IntEnum):
    """Why a command was refused."""

    OK = 0
    BAD_ARGUMENT = 1
    OVER_LIMIT = 2
    WRONG_STATE = 3
    ALARM_PRESENT = 4
    NOT_ARMED = 5
    UNSUPPORTED = 6
    NOT_CONFIRMED = 7


class EventKind(IntEnum):
    """What an EVENT is about."""

    STATE = 0
    ALARM_RAISED = 1
    ALARM_CLEARED = 2


class Alarm(IntFlag):
    """What a pump can raise; bits 8 to 10 are a bridge's."""

    LEASE_EXPIRED = 1 << 0
    OCCLUSION = 1 << 1
    EMPTY = 1 << 2
    AIR = 1 << 3
    BATTERY = 1 << 4
    RESET = 1 << 5
    ESTOP_LATCHED = 1 << 6
    INTERNAL_FAULT = 1 << 7
    STALL = 1 << 11
    LOST_STEPS = 1 << 12
    DOOR_OPEN = 1 << 13
    CLAMP_SHUT = 1 << 14
    BATTERY_DEPLETED = 1 << 15
    MAINS_LOST = 1 << 16


class Input(IntFlag):
    """What SENSORS says of switches and detectors."""

    DOOR_OPEN = 1 << 0
    CLAMP_SHUT = 1 << 1
    AIR = 1 << 2
    MAINS = 1 << 3


CAPABILITIES = 0b1_0111_1111_1111
"""All bits of the table except `clinical`."""

Value = int | str


@dataclass(frozen=True, slots=True)
class Row:
    """One message: its number, who may send it, and its fields."""

    number: int
    name: str
    sender: str
    fields: tuple[str, ...]
    types: tuple[str, ...]
    fixed: struct.Struct | None
    """The whole layout, where no field is a text."""

    @property
    def has_command_id(self) -> bool:
        """It is a command, and answered by RESULT."""
        return self.sender == "host" and self.fields[:1] == ("command_id",)

    def read(self, payload: bytes) -> dict[str, int] | None:
        """The numbers of a host's message; ``None`` if it is not exactly as in the table."""
        if self.fixed is None or len(payload) != self.fixed.size:
            return None
        values = dict(zip(self.fields, self.fixed.unpack(payload), strict=True))
        return None if values.get("direction", 0) > 1 else values

    def write(self, values: Mapping[str, Value]) -> bytes:
        """The payload; a number that is too large is a mistake here, and a long text is cut."""
        payload = bytearray()
        for name, kind in zip(self.fields, self.types, strict=True):
            value = values[name]
            if isinstance(value, str):
                text = _cut(value, int(kind.removeprefix("text")))
                payload += bytes([len(text)]) + text
            else:
                payload += value.to_bytes(_SIZES[kind], "big")
        return bytes(payload)


_SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
_LETTERS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}


def _cut(text: str, longest: int) -> bytes:
    """As much of it as fits, never half a character."""
    return text.encode()[:longest].decode(errors="ignore").encode()


def _row(line: str) -> Row:
    number, name, sender, fields = line.split("|")
    pairs = [field.split(" ") for field in fields.split(", ")] if fields else []
    types = tuple(kind for _, kind in pairs)
    plain = all(kind in _LETTERS for kind in types)
    layout = struct.Struct(">" + "".join(_LETTERS[kind] for kind in types)) if plain else None
    return Row(int(number, 16), name, sender, tuple(field for field, _ in pairs), types, layout)


_MESSAGES = [_row(line) for line in ROWS.splitlines() if re.match("[0-9A-F]{2}[|]", line)]

BY_NUMBER: Mapping[int, Row] = {row.number: row for row in _MESSAGES}
BY_NAME: Mapping[str, Row] = {row.name: row for row in _MESSAGES}

UNHASHED = frozenset(BY_NAME[name].number for name in ("HELLO", "HELLO_ACK", "ESTOP"))
"""Their check does not cover the schema hash, and their layout never changes."""
