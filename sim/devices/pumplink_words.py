"""What a pumplink/1 pump says of itself: who it is, and one consistent state."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from sim.devices.pumplink_motor import FASTEST_NL_H, LEASE_MS_MIN, SLOWEST_NL_H
from sim.devices.pumplink_state import Doing, Memory
from sim.devices.pumplink_table import CAPABILITIES, SCHEMA_HASH, U32, Alarm, State, Value

if TYPE_CHECKING:
    from sim.devices.pumplink import PumplinkPump

FIRMWARE = "infusor-sim mcu 1.0"
SERIAL_NUMBER = "SIM-0001"

WARNINGS = Alarm.BATTERY | Alarm.MAINS_LOST
"""These stop nothing, and once they were acknowledged they keep nothing from starting."""


def boot_id(boots: int) -> int:
    """Different after every boot."""
    return zlib.crc32(f"{SERIAL_NUMBER} {boots}".encode())


def shown(memory: Memory) -> State:
    """The state as SNAPSHOT tells it: an alarm hides what a pump at rest had done before."""
    match memory.doing:
        case Doing.RUNNING:
            return State.RUNNING
        case Doing.PAUSED:
            return State.PAUSED
        case _ if memory.latched & ~WARNINGS:
            return State.ALARM
        case Doing.COMPLETED:
            return State.COMPLETED
    return State.STOPPED


def snapshot(pump: PumplinkPump) -> dict[str, Value]:
    """What SNAPSHOT carries."""
    memory = pump.state.memory
    running = memory.doing is Doing.RUNNING
    return {
        "uptime_ms": pump.alarms.uptime_ms,
        "state": shown(memory),
        "rate_nl_h": memory.delivery.rate_nl_h if running else 0,
        "infused_nl": min(pump.motor.infused_nl, U32),
        "remaining_nl": pump.motor.remaining_nl,
        "pressure_pa": pump.sensors.pressure_pa(),
        "alarms": int(memory.latched),
        "age_ms": 0,
    }


def introduction(pump: PumplinkPump, version: int) -> dict[str, Value]:
    """What HELLO_ACK carries."""
    return {
        "version": version,
        "schema_hash": SCHEMA_HASH,
        "boot_id": pump.boot_id,
        "firmware": FIRMWARE,
        "serial_number": SERIAL_NUMBER,
        "capabilities": CAPABILITIES,
        "rate_nl_h_min": SLOWEST_NL_H,
        "rate_nl_h_max": FASTEST_NL_H,
        "volume_step_nl": pump.quirks.volume_step_nl,
        "lease_ms_min": LEASE_MS_MIN,
        "lease_ms_max": pump.quirks.lease_ms_max,
    }
