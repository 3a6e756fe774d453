"""How a simulated New Era pump can be broken: a closed list of kinds with typed parameters.

Answerable for names, parameters, units and ranges, and for breaking and mending; what a broken pump
does then is physics (mechanics) or protocol (device).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.devices.base import FaultError, FaultValue, Reply

if TYPE_CHECKING:
    from sim.devices.new_era import NewEraPump


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its range; the unit is in the parameter's name."""

    default: float
    low: float
    high: float

    def accept(self, what: str, value: FaultValue) -> FaultValue:
        if isinstance(value, str) or not self.low <= value <= self.high:
            raise FaultError(
                f"{what} cannot be {value!r}; it is a number in {self.low}..{self.high}"
            )
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words; the first is the default."""

    words: tuple[str, ...]

    @property
    def default(self) -> str:
        return self.words[0]

    def accept(self, what: str, value: FaultValue) -> FaultValue:
        if value not in self.words:
            raise FaultError(f"{what} cannot be {value!r}; it is one of {', '.join(self.words)}")
        return value


Action = Callable[["NewEraPump", Mapping[str, FaultValue]], list[Reply]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to break it, and to mend it again; ``clear=None``: it is over when it has happened."""

    inject: Action
    clear: Action | None
    parameters: Mapping[str, Amount | Choice] = field(default_factory=dict)


def accept(kind: str, parameters: Mapping[str, FaultValue]) -> tuple[Kind, dict[str, FaultValue]]:
    """The kind and its parameters, defaults filled in; raises `FaultError`."""
    known = find(kind)
    for name in parameters:
        if name not in known.parameters:
            possible = ", ".join(known.parameters) or "none"
            raise FaultError(f"fault {kind} has no parameter {name!r}; it has {possible}")
    return known, {
        name: spec.accept(f"fault {kind}: {name}", parameters.get(name, spec.default))
        for name, spec in known.parameters.items()
    }


def find(kind: str) -> Kind:
    """The kind of this name; raises `FaultError`."""
    if kind not in KINDS:
        raise FaultError(f"fault {kind!r} does not exist on new-era; there are {', '.join(KINDS)}")
    return KINDS[kind]


def _occlude(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.mechanics.occlude()
    return []


def _open(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.mechanics.clear_occlusion()
    return []


def _run_dry(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.mechanics.run_dry()
    return []


def _refill(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.mechanics.refill()
    return []


def _block(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.mechanics.block(blocked=True)
    return []


def _free(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.mechanics.block(blocked=False)
    return []


def _power_off(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.power_off()
    return []


def _power_on(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    return pump.power_on()


def _reset(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.power_off()
    return pump.power_on()


def _mute(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.state.faults.mute = True
    return []


def _unmute(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.state.faults.mute = False
    return []


def _delay(pump: NewEraPump, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    pump.state.faults.delay_s = float(parameters["delay_ms"]) / 1_000
    return []


def _prompt(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.state.faults.delay_s = 0.0
    return []


def _drop(pump: NewEraPump, parameters: Mapping[str, FaultValue]) -> list[Reply]:
    count = int(parameters["for_commands"])
    if parameters["direction"] == "from_pump":
        pump.state.faults.drop_from_pump = count
    else:
        pump.state.faults.drop_to_pump = count
    return []


def _carry(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.state.faults.drop_from_pump = pump.state.faults.drop_to_pump = 0
    return []


def _ignore_stop(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.state.faults.stop_ignored = True
    return []


def _obey_stop(pump: NewEraPump, _: Mapping[str, FaultValue]) -> list[Reply]:
    pump.state.faults.stop_ignored = False
    return []


KINDS: dict[str, Kind] = {
    "downstream_occlusion": Kind(_occlude, _open),
    "empty": Kind(_run_dry, _refill),
    "motor_stall": Kind(_block, _free),
    "power_loss": Kind(_power_off, _power_on),
    "reset": Kind(_reset, None),
    "mute": Kind(_mute, _unmute),
    "reply_delay": Kind(_delay, _prompt, {"delay_ms": Amount(100, 0, 60_000)}),
    "frame_drop": Kind(
        _drop,
        _carry,
        {"direction": Choice(("from_pump", "to_pump")), "for_commands": Amount(1, 1, 1_000_000)},
    ),
    "stop_ignored": Kind(_ignore_stop, _obey_stop),
}
"""Every kind.  ``mute`` obeys and never answers; ``stop_ignored`` answers STP as if it had obeyed."""
