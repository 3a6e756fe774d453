"""How an Alaris pump is broken beyond what can be done to any pump: alarms, remote control, keys, battery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sim.devices.alaris_infusion import SLOWEST_NL_H
from sim.devices.base import Reply
from sim.devices.breakage import COMMON_WAYS, MISCOUNT, ROLLOVER, SENSOR_WAYS, Way, counted
from sim.devices.supply import BATTERY_WAYS, FULL, SILENT, goes_dark, retold, supply
from sim.devices.talk_ways import KEY_STUCK, LATE_REPLY, bounced, pressed
from sim.faults.parameters import FaultError, FaultValue

if TYPE_CHECKING:
    from sim.devices.alaris import AlarisPump

NL_PER_ML = 1_000_000


def supplied(pump: AlarisPump) -> None:
    """The alarms of mains and battery are as the supply is.

    An empty battery stops the pump and still tells of it; one that says nothing leaves it dark [design].
    """
    power = supply(pump.mechanics)
    if power is FULL and not pump.faults.power_told and not pump.faults.drained:
        return  # as ever
    silent = SILENT in pump.faults.there
    told = {
        "AL_ACDIS": not power.mains,
        "AL_LWBAT": power.low and not power.mains and not silent,
        "AL_LBTAC": power.low and power.mains and not silent,
        "AL_EMBAT": power.empty and not silent,
    }
    there = (code for code in told if told[code])
    retold(pump, there, pump.infusion.began, pump.infusion.ended)
    goes_dark(pump, empty=power.empty and silent)


def _happens(code: str) -> Way[AlarisPump]:
    def do(pump: AlarisPump, _: Mapping[str, FaultValue]) -> list[Reply]:
        pump.infusion.happened(code)
        return []

    return Way(do, None)


def _stands(code: str) -> Way[AlarisPump]:
    def begin(pump: AlarisPump, _: Mapping[str, FaultValue]) -> list[Reply]:
        pump.infusion.began(code)
        return []

    def end(pump: AlarisPump) -> list[Reply]:
        pump.infusion.ended(code)
        return []

    return Way(begin, end)


def _only_there() -> Way[AlarisPump]:
    """What is looked at in ``Breakage.there``, and does nothing by itself."""
    return Way(lambda _pump, _parameters: [], lambda _pump: [])


def _forget(pump: AlarisPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.power_off()
    pump.state.rate_nl_h = 0
    pump.infusion.clear_vtbi()
    return pump.power_on()


def _lose_control(pump: AlarisPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    if not pump.has_remote:
        raise FaultError("this model has no remote control that could time out")
    pump.state.leases_ns.clear()
    pump.control_lost()
    return []


def _goes_on(pump: AlarisPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    """The alarm says that it stands, and the motor does not know."""
    state = pump.state
    state.mode = "HLD"
    if "AL_OCCLU" not in state.latched:
        state.latched.append("AL_OCCLU")
        pump.infusion.log()
    return []


def _as_told(pump: AlarisPump) -> list[Reply]:
    pump.infusion.drive()
    return []


def _hold_key(pump: AlarisPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    if pressed(pump, taken=pump.state.mode != "HLD"):
        pump.infusion.hold()
    return []


def _rate_key(change: Callable[[float], float]) -> Way[AlarisPump]:
    def press(pump: AlarisPump, parameters: Mapping[str, FaultValue]) -> list[Reply]:
        nl_h = round(change(float(parameters["rate_ml_h"])) * 100) * NL_PER_ML // 100
        if pressed(pump, taken=SLOWEST_NL_H <= nl_h <= pump.infusion.fastest_nl_h):
            pump.infusion.set_rate(nl_h)
        return []

    return Way(press, None)


def _mode_key(pump: AlarisPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    """Somebody takes the pump out of remote control; that is no time-out."""
    if pressed(pump, taken=bool(pump.state.leases_ns)):
        pump.state.leases_ns.clear()
    return []


WAYS: Mapping[str, Way[AlarisPump]] = {
    **COMMON_WAYS,
    "force_sensor_drift": SENSOR_WAYS["force_sensor_drift"],
    "force_sensor_offset": SENSOR_WAYS["force_sensor_offset"],
    **BATTERY_WAYS,
    "settings_lost": Way(_forget, None),
    "refuse_command": counted("refuse"),
    "wrong_acknowledge": counted("pretend"),
    "late_reply": LATE_REPLY,
    "spurious_inoperable": _happens("AL_FAULT"),
    "false_occlusion": _happens("AL_OCCLU"),
    "false_dead_man": Way(_lose_control, None),
    "delivers_in_alarm": Way(_goes_on, _as_told),
    "drive_disengaged": _stands("AL_DRDIS"),
    "syringe_unconfirmed": _stands("AL_SYRCO"),
    "alarm_swapped": _only_there(),
    "counter_error": MISCOUNT,
    "counter_rollover": ROLLOVER,
    "keypad_stop": Way(_hold_key, None),
    "keypad_rate": _rate_key(lambda rate: rate),
    "keypad_mode": Way(_mode_key, None),
    "key_bounce": _rate_key(bounced),
    "key_stuck": KEY_STUCK,
}
"""Every way to break one."""
