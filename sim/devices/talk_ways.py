"""What can be broken in what a pump says, for dialects that ask their `Breakage` before they speak.

A dialect offers those of these ways for which it has a place: `Breakage.held_s` where an answer leaves,
`Breakage.addresses` where an address is put in front, ``unasked`` where it answers.
"""

from __future__ import annotations

from collections.abc import Mapping

from sim.devices.base import Reply
from sim.devices.breakage import Breakable, Way, counted
from sim.faults.parameters import FaultError, FaultValue


def _late(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    pump.faults.late = int(parameters["for_commands"])
    pump.faults.late_s = float(parameters["delay_ms"]) / 1_000
    return []


def _prompt(pump: Breakable) -> list[Reply]:
    pump.faults.late = 0
    return []


def _confuse(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    pump.faults.confused = int(parameters["for_commands"])
    pump.faults.form = str(parameters["form"])
    return []


def _clear_up(pump: Breakable) -> list[Reply]:
    pump.faults.confused = 0
    return []


def _stick(pump: Breakable, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.faults.keys_stuck = True
    return []


def _loosen(pump: Breakable) -> list[Reply]:
    pump.faults.keys_stuck = False
    return []


LATE_REPLY: Way[Breakable] = Way(_late, _prompt)
"""For a dialect whose answers leave by `Breakage.held_s`."""

UNSOLICITED: Way[Breakable] = counted("unasked")
"""For a dialect that has something to say unasked."""

ADDRESS_WAYS: Mapping[str, Way[Breakable]] = {
    "wrong_address": Way(_confuse, _clear_up),
    "two_answer": counted("second"),
}
"""For a dialect whose answers carry what `Breakage.addresses` says."""

KEY_STUCK: Way[Breakable] = Way(_stick, _loosen)
"""For a dialect that presses its keys by `pressed`."""


def pressed(pump: Breakable, *, taken: bool) -> bool:
    """Whether a key is felt at all; raises `FaultError` for one that the pump does not take now."""
    if pump.faults.keys_stuck:
        return False
    if not taken:
        raise FaultError("the pump does not take the key now")
    return True


def bounced(rate_ml_h: float) -> float:
    """What comes of this rate when the last digit keyed doubles: 10 becomes 100, 2.5 becomes 2.55."""
    text = f"{rate_ml_h:g}"
    return float(text + text[-1]) if text[-1].isdigit() and "e" not in text else rate_ml_h
