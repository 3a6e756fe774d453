"""How a pumplink/1 pump is broken beyond what can be done to any pump with sensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sim.devices.base import Reply
from sim.devices.breakage import COMMON_WAYS, MISCOUNT, ROLLOVER, SENSOR_WAYS, Way, counted
from sim.devices.pumplink_motor import FASTEST_NL_H, SLOWEST_NL_H
from sim.devices.pumplink_state import Doing
from sim.devices.pumplink_table import Alarm
from sim.devices.supply import BATTERY_WAYS
from sim.devices.talk_ways import KEY_STUCK, LATE_REPLY, UNSOLICITED, bounced, pressed
from sim.faults.parameters import FaultError, FaultValue

if TYPE_CHECKING:
    from sim.devices.pumplink import PumplinkPump

Parameters = Mapping[str, FaultValue]


def _says(alarm: Alarm) -> Way[PumplinkPump]:
    def raised(pump: PumplinkPump, _: Parameters) -> list[Reply]:
        if pump.faults.powered:
            pump.raise_alarm(alarm)
        return []

    return Way(raised, None)


def _dead_man(pump: PumplinkPump, _: Parameters) -> list[Reply]:
    if pump.faults.powered:
        pump.lease_expired()
    return []


def _forget(pump: PumplinkPump, _: Parameters) -> list[Reply]:
    """All that it keeps is its latch."""
    pump.power_off()
    pump.state.lasting.latched = False
    return pump.power_on()


def _alarm_and_run(pump: PumplinkPump, _: Parameters) -> list[Reply]:
    """The motor stall alarm is there, and the motor turns on."""
    memory = pump.state.memory
    if memory.doing is not Doing.RUNNING:
        raise FaultError(f"the pump is {memory.doing.value}, and delivers nothing")
    rate, left = pump.mechanics.state.rate_nl_h, pump.mechanics.state.limit
    pump.raise_alarm(Alarm.STALL)
    pump.mechanics.start(rate, left)
    return []


def _stand(pump: PumplinkPump) -> list[Reply]:
    if pump.state.memory.doing is not Doing.RUNNING:
        pump.mechanics.stop()
    return []


def _drift(pump: PumplinkPump, parameters: Parameters) -> list[Reply]:
    return _tick(pump, round(float(parameters["drift_ppm"])))


def _tick(pump: PumplinkPump, ppm: int) -> list[Reply]:
    pump.state.crystal.change(ppm, pump.state.now_ns)
    if pump.state.memory.doing is Doing.RUNNING:
        pump.motor.drive()
    return []


def _key_stop(pump: PumplinkPump, _: Parameters) -> list[Reply]:
    if pressed(pump, taken=pump.faults.powered):
        pump.motor.halt()
    return []


def _key_rate(pump: PumplinkPump, parameters: Parameters) -> list[Reply]:
    return _key_in(pump, float(parameters["rate_ml_h"]))


def _key_bounce(pump: PumplinkPump, parameters: Parameters) -> list[Reply]:
    return _key_in(pump, bounced(float(parameters["rate_ml_h"])))


def _key_in(pump: PumplinkPump, rate_ml_h: float) -> list[Reply]:
    rate, doing = round(rate_ml_h * 1e6), pump.state.memory.doing
    if not pressed(pump, taken=pump.faults.powered):
        return []
    if doing not in (Doing.RUNNING, Doing.PAUSED):
        raise FaultError(f"the pump is {doing.value}; it does not take the key now")
    if not SLOWEST_NL_H <= rate <= FASTEST_NL_H:
        limits = f"{SLOWEST_NL_H / 1e6:g}..{FASTEST_NL_H / 1e6:g} mL/h"
        raise FaultError(f"rate {rate / 1e6:g} mL/h: the pump has {limits}")
    pump.motor.set_rate(rate)
    return []


WAYS: Mapping[str, Way[PumplinkPump]] = {
    **COMMON_WAYS,
    **SENSOR_WAYS,
    **BATTERY_WAYS,
    "settings_lost": Way(_forget, None),
    "clock_drift": Way(_drift, lambda pump: _tick(pump, 0)),
    "refuse_command": counted("refuse"),
    "wrong_acknowledge": counted("pretend"),
    "spurious_inoperable": _says(Alarm.INTERNAL_FAULT),
    "late_reply": LATE_REPLY,
    "unsolicited_between": UNSOLICITED,
    "false_occlusion": _says(Alarm.OCCLUSION),
    "false_air": _says(Alarm.AIR),
    "false_dead_man": Way(_dead_man, None),
    "delivers_in_alarm": Way(_alarm_and_run, _stand),
    "counter_error": MISCOUNT,
    "counter_rollover": ROLLOVER,
    "keypad_stop": Way(_key_stop, None),
    "keypad_rate": Way(_key_rate, None),
    "key_bounce": Way(_key_bounce, None),
    "key_stuck": KEY_STUCK,
}
"""Every way to break one.

It has no address, no mode of its keys, no sounder, no vein to keep open, and feels neither its drive's
clutch nor whether a syringe is in it.
"""
