"""How an Orchestra is broken beyond what can be done to any pump: alarms, the link, keys, the supply.

What is done to a pump is done to the module under test; the supply is that of the whole rack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sim.devices.base import Reply
from sim.devices.breakage import COMMON_WAYS, MISCOUNT, ROLLOVER, SENSOR_WAYS, Way, counted
from sim.devices.fresenius_module import FASTEST, SLOWEST, Module
from sim.devices.fresenius_state import MANUAL, REMOTE, Alarm, Doing
from sim.devices.supply import BATTERY_WAYS, FULL, SILENT, goes_dark, retold, supply
from sim.devices.talk_ways import (
    ADDRESS_WAYS,
    KEY_STUCK,
    LATE_REPLY,
    UNSOLICITED,
    bounced,
    pressed,
)
from sim.faults.parameters import FaultValue

if TYPE_CHECKING:
    from sim.devices.fresenius import OrchestraPump

TENTHS_PER_ML_H = 10


def supplied(pump: OrchestraPump) -> None:
    """The alarms of mains and battery are as the supply is; an empty battery leaves the rack dark [design]."""
    power = supply(pump.mechanics)
    if power is FULL and not pump.faults.power_told and not pump.faults.drained:
        return  # as ever
    low = power.low and SILENT not in pump.faults.there
    told = {"MAINS": not power.mains, "BATTERY_LOW": low}

    def began(name: str) -> None:
        for module in pump.modules.values():
            module.began(Alarm[name])

    def ended(name: str) -> None:
        for module in pump.modules.values():
            module.ended(Alarm[name])

    retold(pump, (name for name in told if told[name]), began, ended)
    goes_dark(pump, empty=power.empty)


def _module(pump: OrchestraPump) -> Module:
    return pump.modules[pump.address]


def _happens(alarm: Alarm) -> Way[OrchestraPump]:
    def do(pump: OrchestraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
        _module(pump).happened(alarm)
        return []

    return Way(do, None)


def _stands(alarm: Alarm) -> Way[OrchestraPump]:
    def begin(pump: OrchestraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
        _module(pump).began(alarm)
        return []

    def end(pump: OrchestraPump) -> list[Reply]:
        _module(pump).ended(alarm)
        return []

    return Way(begin, end)


def _forget(pump: OrchestraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    """What a cut of the mains leaves is gone as well: drugs and identities."""
    pump.power_off()
    for station in pump.state.stations.values():
        station.drug, station.identity = "00", ""
    return pump.power_on()


def _lose_host(pump: OrchestraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.lose_host()
    return []


def _goes_on(pump: OrchestraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    """The alarm says that it stands, and the motor does not know."""
    state = _module(pump).state
    state.latched |= Alarm.OCCLUSION
    state.doing = Doing.PAUSED
    return []


def _as_told(pump: OrchestraPump) -> list[Reply]:
    _module(pump).drive()
    return []


def _stop_key(pump: OrchestraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    module = _module(pump)
    if pressed(pump, taken=module.state.doing is not Doing.PAUSED):
        module.begin(Doing.PAUSED)
    return []


def _rate_key(change: Callable[[float], float]) -> Way[OrchestraPump]:
    def press(pump: OrchestraPump, parameters: Mapping[str, FaultValue]) -> list[Reply]:
        rate = round(change(float(parameters["rate_ml_h"])) * TENTHS_PER_ML_H)
        if pressed(pump, taken=SLOWEST <= rate <= FASTEST):
            module = _module(pump)
            module.state.rate = rate
            module.drive()
        return []

    return Way(press, None)


def _mode_key(pump: OrchestraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    """The keypad takes the module; what it does goes on."""
    state = _module(pump).state
    if pressed(pump, taken=state.mode == REMOTE):
        state.mode = MANUAL
    return []


WAYS: Mapping[str, Way[OrchestraPump]] = {
    **COMMON_WAYS,
    "force_sensor_drift": SENSOR_WAYS["force_sensor_drift"],
    "force_sensor_offset": SENSOR_WAYS["force_sensor_offset"],
    **BATTERY_WAYS,
    "settings_lost": Way(_forget, None),
    "refuse_command": counted("refuse"),
    "wrong_acknowledge": counted("pretend"),
    "late_reply": LATE_REPLY,
    "unsolicited_between": UNSOLICITED,
    **ADDRESS_WAYS,
    "spurious_inoperable": _happens(Alarm.DRIVE),
    "false_occlusion": _happens(Alarm.OCCLUSION),
    "false_dead_man": Way(_lose_host, None),
    "delivers_in_alarm": Way(_goes_on, _as_told),
    "drive_disengaged": _stands(Alarm.DRIVE),
    "syringe_unconfirmed": _stands(Alarm.SYRINGE),
    "counter_error": MISCOUNT,
    "counter_rollover": ROLLOVER,
    "keypad_stop": Way(_stop_key, None),
    "keypad_rate": _rate_key(lambda rate: rate),
    "keypad_mode": Way(_mode_key, None),
    "key_bounce": _rate_key(bounced),
    "key_stuck": KEY_STUCK,
}
"""Every way to break one."""
