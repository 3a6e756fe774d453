"""How simulated pumps are broken and mended, whatever they speak.

Answerable for what each kind of `sim.faults.kinds` does to a pump; a dialect may add ways of its own.
What a broken pump does then is physics (`sim.mechanics`) or protocol (the device).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sim.devices.base import Reply
from sim.faults.kinds import accept
from sim.faults.parameters import FaultError, FaultValue
from sim.mechanics import Mechanics


@dataclass(slots=True)
class Breakage:
    """What is broken on purpose; part of a device's state.

    ``drop_from_pump``, ``drop_to_pump``: how many frames are still to be lost.  ``delay_s``: how long
    every answer is held back.
    """

    powered: bool = True
    mute: bool = False
    stop_ignored: bool = False
    delay_s: float = 0.0
    drop_from_pump: int = 0
    drop_to_pump: int = 0


class Breakable(Protocol):
    """What a pump offers to be broken by."""

    @property
    def mechanics(self) -> Mechanics:
        """Motor, syringe and line."""

    @property
    def faults(self) -> Breakage:
        """What is broken now."""

    def power_off(self) -> None:
        """The motor stops, nothing is heard and nothing is said."""

    def power_on(self) -> list[Reply]:
        """The pump boots, if it was off; returns what it says by itself."""


P_contra = TypeVar("P_contra", bound=Breakable, contravariant=True)


@dataclass(frozen=True, slots=True)
class Way(Generic[P_contra]):
    """How one kind is done to a pump, and undone; ``clear=None``: it is over when it has happened."""

    inject: Callable[[P_contra, Mapping[str, FaultValue]], list[Reply]]
    clear: Callable[[P_contra], list[Reply]] | None


def inject(
    ways: Mapping[str, Way[P_contra]],
    pump: P_contra,
    kind: str,
    parameters: Mapping[str, FaultValue],
) -> list[Reply]:
    """Break it; raises `FaultError` for a kind or parameter that this pump does not have."""
    accepted = accept(kind, parameters)
    return _way(ways, kind).inject(pump, accepted)


def clear(ways: Mapping[str, Way[P_contra]], pump: P_contra, kind: str | None) -> list[Reply]:
    """Mend it, or everything for ``None``; raises `FaultError` for a kind this pump does not have."""
    chosen = ways.values() if kind is None else [_way(ways, kind)]
    replies: list[Reply] = []
    for way in chosen:
        if way.clear is not None:
            replies += way.clear(pump)
    return replies


def _way(ways: Mapping[str, Way[P_contra]], kind: str) -> Way[P_contra]:
    if kind not in ways:
        accept(
            kind, {}
        )  # a kind that exists nowhere is told apart from one that this pump cannot do
        raise FaultError(f"fault {kind} cannot be done to this pump; it has {', '.join(ways)}")
    return ways[kind]


def _quietly(action: Callable[[Breakable], object]) -> Callable[[Breakable], list[Reply]]:
    def done(pump: Breakable) -> list[Reply]:
        action(pump)
        return []

    return done


def _setting(name: str) -> Way[Breakable]:
    """A flag of `Breakage` that is up while the fault is there."""

    def up(pump: Breakable, _: Mapping[str, FaultValue]) -> list[Reply]:
        setattr(pump.faults, name, True)
        return []

    return Way(up, _quietly(lambda pump: setattr(pump.faults, name, False)))


def _plainly(
    action: Callable[[Breakable], object], undo: Callable[[Breakable], object]
) -> Way[Breakable]:
    quiet = _quietly(action)
    return Way(lambda pump, _: quiet(pump), _quietly(undo))


def _off(pump: Breakable, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.power_off()
    return []


def _reboot(pump: Breakable, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.power_off()
    return pump.power_on()


def _delay(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    pump.faults.delay_s = float(parameters["delay_ms"]) / 1_000
    return []


def _prompt(pump: Breakable) -> list[Reply]:
    pump.faults.delay_s = 0.0
    return []


def _drop(pump: Breakable, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    count = int(parameters["for_commands"])
    if parameters["direction"] == "from_pump":
        pump.faults.drop_from_pump = count
    else:
        pump.faults.drop_to_pump = count
    return []


def _carry(pump: Breakable) -> list[Reply]:
    pump.faults.drop_from_pump = pump.faults.drop_to_pump = 0
    return []


COMMON_WAYS: Mapping[str, Way[Breakable]] = {
    "downstream_occlusion": _plainly(
        lambda pump: pump.mechanics.occlude(), lambda pump: pump.mechanics.clear_occlusion()
    ),
    "empty": _plainly(lambda pump: pump.mechanics.run_dry(), lambda pump: pump.mechanics.refill()),
    "motor_stall": _plainly(
        lambda pump: pump.mechanics.block(blocked=True),
        lambda pump: pump.mechanics.block(blocked=False),
    ),
    "power_loss": Way(_off, lambda pump: pump.power_on()),
    "reboot": Way(_reboot, None),
    "mute": _setting("mute"),
    "reply_delay": Way(_delay, _prompt),
    "frame_drop": Way(_drop, _carry),
    "stop_ignored": _setting("stop_ignored"),
}
"""What can be done to any pump."""
