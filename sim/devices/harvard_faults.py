"""How an Elite, PHD Ultra or Legato is broken beyond what can be done to any pump.

The family tells of a stall and of nothing else, and has no dead-man: there is no internal fault to report
without a cause, and no lease to run out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sim.devices.base import Reply
from sim.devices.breakage import COMMON_WAYS, MISCOUNT, ROLLOVER, Way, counted
from sim.devices.harvard_numbers import ArgumentRefused
from sim.devices.harvard_run import IDLE, STALLED, CommandRefused
from sim.devices.harvard_state import Settings
from sim.devices.talk_ways import (
    ADDRESS_WAYS,
    KEY_STUCK,
    LATE_REPLY,
    UNSOLICITED,
    bounced,
    pressed,
)
from sim.faults.parameters import FaultError, FaultValue

if TYPE_CHECKING:
    from sim.devices.harvard import HarvardPump


def _stall(pump: HarvardPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.runner.halt(STALLED)
    return []


def _forget(pump: HarvardPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.power_off()
    settings = pump.state.settings = Settings(0)
    pump.mechanics.fit(round(settings.diameter / 10))
    return pump.power_on()


def _goes_on(pump: HarvardPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    """The prompt says that it has stalled, and the motor does not know."""
    motion = pump.state.motion
    motion.prompt = STALLED
    motion.piece_ns = motion.until_ns = None
    return []


def _as_told(pump: HarvardPump) -> list[Reply]:
    if not pump.state.motion.running:
        pump.mechanics.stop()
    return []


def _stop_key(pump: HarvardPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    if pressed(pump, taken=pump.state.motion.running):
        pump.runner.halt(IDLE)
    return []


def _rate_key(change: Callable[[float], float]) -> Way[HarvardPump]:
    def press(pump: HarvardPump, parameters: Mapping[str, FaultValue]) -> list[Reply]:
        rate = f"{change(float(parameters['rate_ml_h'])):.6f}"
        if not pressed(pump, taken=True):
            return []
        try:
            pump.keyed("irate", rate, "m/h")
        except (ArgumentRefused, CommandRefused) as refused:
            raise FaultError(f"the pump does not take the key now: {refused}") from refused
        return []

    return Way(press, None)


def _mode_key(pump: HarvardPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    """Somebody chooses to withdraw only."""
    if pressed(pump, taken=not pump.state.motion.running):
        pump.state.settings.mode = "w"
    return []


def _touch(pump: HarvardPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.faults.touched = True
    return []


WAYS: Mapping[str, Way[HarvardPump]] = {
    **COMMON_WAYS,
    "settings_lost": Way(_forget, None),
    "refuse_command": counted("refuse"),
    "wrong_acknowledge": counted("pretend"),
    "late_reply": LATE_REPLY,
    "unsolicited_between": UNSOLICITED,
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
    "screen_touched": Way(_touch, None),
}
"""Every way to break one."""
