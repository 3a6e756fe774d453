"""How a New Era pump is broken beyond what can be done to any pump: its alarms, its keys, its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sim.devices.base import Reply
from sim.devices.breakage import COMMON_WAYS, MISCOUNT, ROLLOVER, Way, counted
from sim.devices.new_era_commands import find
from sim.devices.new_era_numbers import Refusal
from sim.devices.new_era_state import factory_settings
from sim.devices.talk_ways import ADDRESS_WAYS, KEY_STUCK, LATE_REPLY, UNSOLICITED, bounced
from sim.faults.parameters import FaultError, FaultValue

if TYPE_CHECKING:
    from sim.devices.new_era import NewEraPump

STALLED, TIMED_OUT, PROGRAM_ERROR = "S", "T", "E"
"""Alarm letters (NE-1000 manual 1200-01): stalled motor, safe-mode time-out, program error."""


def _alarm(pump: NewEraPump, letter: str, *, stops: bool = True) -> list[Reply]:
    """The alarm is pending, and announced where the pump announces; the program is over."""
    if stops:
        pump.program.end()
    else:
        pump.state.run.status = "S"
    pump.program.raise_alarm(letter)
    return pump.announced(letter)


def _says(letter: str) -> Way[NewEraPump]:
    return Way(lambda pump, _: _alarm(pump, letter), None)


def _stand(pump: NewEraPump) -> list[Reply]:
    """Unless it has been started again since."""
    if not pump.state.run.running:
        pump.mechanics.stop()
    return []


def _forget(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.power_off()
    pump.state.settings = factory_settings(pump.program.model, pump.quirks)
    pump.mechanics.fit(pump.state.settings.diameter)
    return pump.power_on()


def _key(action: Callable[[NewEraPump, Mapping[str, FaultValue]], object]) -> Way[NewEraPump]:
    """A key that the pump obeys unless it cannot now, which a person at its keys would see."""

    def press(pump: NewEraPump, parameters: Mapping[str, FaultValue]) -> list[Reply]:
        if not pump.program.model.has_keys:
            raise FaultError(f"the {pump.program.model.name} has no keys")
        if pump.faults.keys_stuck:
            return []
        try:
            action(pump, parameters)
        except Refusal as refusal:
            raise FaultError(f"the pump does not take the key now: {refusal.data}") from refusal
        return []

    return Way(press, None)


def _rate(pump: NewEraPump, rate_ml_h: float) -> None:
    per_h = "MH" in pump.program.model.rate_units
    command, argument = find(f"RAT{rate_ml_h:.4g}MH" if per_h else f"RAT{rate_ml_h / 60:.4g}MM")
    command(pump.program, argument)


def _keyed(pump: NewEraPump, parameters: Mapping[str, FaultValue]) -> None:
    _rate(pump, float(parameters["rate_ml_h"]))


def _bounced(pump: NewEraPump, parameters: Mapping[str, FaultValue]) -> None:
    _rate(pump, bounced(float(parameters["rate_ml_h"])))


def _stop(pump: NewEraPump) -> None:
    """The Stop key, unless the program has turned it into an event."""
    if pump.state.run.trigger == "BT" and pump.state.run.running:
        pump.program.event()
    else:
        pump.program.pause_or_stop()


WAYS: Mapping[str, Way[NewEraPump]] = {
    **COMMON_WAYS,
    "settings_lost": Way(_forget, None),
    "refuse_command": counted("refuse"),
    "wrong_acknowledge": counted("pretend"),
    "spurious_inoperable": _says(PROGRAM_ERROR),
    "false_occlusion": _says(STALLED),
    "false_dead_man": _says(TIMED_OUT),
    "delivers_in_alarm": Way(lambda pump, _: _alarm(pump, STALLED, stops=False), _stand),
    "counter_error": MISCOUNT,
    "counter_rollover": ROLLOVER,
    "late_reply": LATE_REPLY,
    "unsolicited_between": UNSOLICITED,
    **ADDRESS_WAYS,
    "keypad_stop": _key(lambda pump, _: _stop(pump)),
    "keypad_rate": _key(_keyed),
    "key_bounce": _key(_bounced),
    "key_stuck": KEY_STUCK,
}
"""Every way to break one."""
