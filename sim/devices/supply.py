"""What a pump with a battery does about mains and charge, whatever it speaks.

Answerable for when the battery is low or empty, and for a pump that goes dark and comes back; the
dialect says by which alarm it tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from sim.devices.base import Reply
from sim.devices.breakage import SENSOR_WAYS, Breakable, Way
from sim.faults.parameters import FaultValue
from sim.mechanics import Mechanics
from sim.mechanics_housing import Battery

SILENT = "battery_alarm_missing"


class Supply(NamedTuple):
    """How the power is."""

    mains: bool
    low: bool
    empty: bool


FULL = Supply(mains=True, low=False, empty=False)


def supply(mechanics: Mechanics) -> Supply:
    """How the power is now."""
    battery = mechanics.housing.battery
    if battery.on_mains and battery.was_min >= battery.full_min:
        return FULL
    now = mechanics.state.now_ns
    return Supply(battery.on_mains, battery.is_low(now), battery.is_empty(now))


def retold(
    pump: Breakable,
    there: Iterable[str],
    began: Callable[[str], None],
    ended: Callable[[str], None],
) -> None:
    """What the pump tells of its supply from now on; what has changed begins or ends."""
    now, told = frozenset(there), pump.faults.power_told
    if now == told:
        return
    pump.faults.power_told = now
    for what in sorted(now - told):
        began(what)
    for what in sorted(told - now):
        ended(what)


def supply_due_ns(mechanics: Mechanics) -> int | None:
    """When that will be otherwise by itself."""
    return mechanics.housing.battery.next_event_ns(mechanics.state.now_ns)


def goes_dark(pump: Breakable, *, empty: bool) -> None:
    """A pump without any power is off, and on again when it has some."""
    faults = pump.faults
    if empty and faults.powered:
        pump.power_off()
        faults.drained = True
    elif faults.drained and not empty:
        faults.drained = False
        pump.power_on()


def _battery(pump: Breakable) -> tuple[Battery, int]:
    return pump.mechanics.housing.battery, pump.mechanics.state.now_ns


def _low(pump: Breakable, _: Mapping[str, FaultValue]) -> list[Reply]:
    battery, now = _battery(pump)
    battery.set_left(now, battery.low_min)
    return []


def _deplete(pump: Breakable, _: Mapping[str, FaultValue]) -> list[Reply]:
    battery, now = _battery(pump)
    battery.mains(now, on=False)
    battery.set_left(now, 0.0)
    return []


def _charge(pump: Breakable) -> list[Reply]:
    battery, now = _battery(pump)
    battery.mains(now, on=True)
    battery.set_left(now, battery.full_min)
    return []


def _nothing(_pump: Breakable, _: Mapping[str, FaultValue] | None = None) -> list[Reply]:
    return []


BATTERY_WAYS: Mapping[str, Way[Breakable]] = {
    "mains_loss": SENSOR_WAYS["mains_loss"],
    "battery_left": SENSOR_WAYS["battery_left"],
    "battery_low": Way(_low, _charge),
    "battery_depleted": Way(_deplete, _charge),
    SILENT: Way(_nothing, _nothing),
}
"""What can be done to a pump that looks at its `supply`, and heeds `SILENT` in ``Breakage.there``."""
