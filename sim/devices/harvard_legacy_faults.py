"""How an older Harvard pump is broken beyond what can be done to any pump.

These pumps tell of a stall and of nothing else, say nothing unasked, and have no dead-man.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sim.devices.base import Reply
from sim.devices.breakage import COMMON_WAYS, MISCOUNT, ROLLOVER, Way, counted
from sim.devices.harvard_legacy_commands import find
from sim.devices.harvard_legacy_numbers import Refusal
from sim.devices.harvard_legacy_state import STALLED, STOPPED, Settings
from sim.devices.talk_ways import ADDRESS_WAYS, KEY_STUCK, LATE_REPLY, bounced, pressed
from sim.faults.parameters import FaultError, FaultValue

if TYPE_CHECKING:
    from sim.devices.harvard_legacy import LegacyPump


def _stall(pump: LegacyPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.motor.halt(STALLED)
    pump.state.unfinished = True
    return []


def _forget(pump: LegacyPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.power_off()
    settings = pump.state.settings = Settings(0)
    pump.mechanics.fit(settings.diameter)
    return pump.power_on()


def _goes_on(pump: LegacyPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    """The prompt says that it has stalled, and the motor does not know."""
    pump.state.prompt = STALLED
    return []


def _as_told(pump: LegacyPump) -> list[Reply]:
    if not pump.state.running:
        pump.mechanics.stop()
    return []


def _stop_key(pump: LegacyPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    if pressed(pump, taken=pump.state.running):
        pump.motor.halt(STOPPED)
        pump.state.unfinished = True
    return []


def _rate_key(change: Callable[[float], float]) -> Way[LegacyPump]:
    def press(pump: LegacyPump, parameters: Mapping[str, FaultValue]) -> list[Reply]:
        if not pressed(pump, taken=True):
            return []
        number = f"{change(float(parameters['rate_ml_h'])):.5g}"
        try:
            _, command, argument = find(f"MLH{number}")
            command(pump.panel, argument)
        except Refusal as refusal:
            raise FaultError(f"the pump does not take the key now: {refusal}") from refusal
        return []

    return Way(press, None)


def _mode_key(pump: LegacyPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    """From volume to pump: there is no target any more."""
    if pressed(pump, taken=not pump.state.running):
        pump.state.volume_mode = False
    return []


WAYS: Mapping[str, Way[LegacyPump]] = {
    **COMMON_WAYS,
    "settings_lost": Way(_forget, None),
    "refuse_command": counted("refuse"),
    "wrong_acknowledge": counted("pretend"),
    "late_reply": LATE_REPLY,
    **ADDRESS_WAYS,
    "false_occlusion": Way(_stall, None),
    "delivers_in_alarm": Way(_goes_on, _as_told),
    "counter_error": MISCOUNT,
    "counter_rollover": ROLLOVER,
    "keypad_stop": Way(_stop_key, None),
    "keypad_rate": _rate_key(lambda rate: rate),
    "keypad_mode": Way(_mode_key, None),
    "key_bounce": _rate_key(bounced),
    "key_stuck": KEY_STUCK,
}
"""Every way to break one."""
