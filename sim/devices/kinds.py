"""Which pumps can be simulated, by dialect: what ``infusor sim pump --dialect D`` can make.

A dialect's module is imported only when it is asked for: a pump has to answer soon after its start.
Others add one without touching this package: an installed distribution names, in the entry point group
``infusor.dialects``, an object (a module will do) whose attribute ``device`` is a `DeviceKind`.
Its attribute ``host``, if any, is the bridge's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from firmware_bridge.errors import ConfigurationError
from sim.devices.base import Device
from sim.mechanics import Drive, Line, Mount

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP = "infusor.dialects"


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpOptions:
    """What the user says about one pump.  ``quirks`` are ``NAME=VALUE`` texts."""

    model: str
    address: int = 0
    quirks: tuple[str, ...] = ()
    mount: Mount = Mount()
    line: Line = Line()
    drive: Drive = Drive()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKind:
    """A dialect that can be simulated."""

    name: str
    models: tuple[str, ...]
    """The first is the default."""
    make: Callable[[PumpOptions], Device]
    """Raises `sim.devices.quirks.QuirkError`."""
    quirks: Mapping[str, tuple[str, ...]]
    """Each switch with its positions, the default first."""
    address_max: int
    """0 where the family has no addresses."""
    faults: tuple[str, ...]
    """The kinds of `sim.faults.kinds` that can be done to it."""


BUILT_IN: Mapping[str, str] = {
    "alaris": "sim.devices.alaris_kind",
    "fresenius": "sim.devices.fresenius_kind",
    "harvard": "sim.devices.harvard_kind",
    "harvard-legacy": "sim.devices.harvard_legacy_kind",
    "new-era": "sim.devices.new_era_kind",
    "pumplink": "sim.devices.pumplink_kind",
}
"""Name -> the module whose ``KIND`` it is."""


def device_names() -> list[str]:
    """Every dialect that can be simulated, built in or installed by others."""
    return sorted({*BUILT_IN, *_installed()})


def device_kind(name: str) -> DeviceKind:
    """The dialect of that name.  Raises `ConfigurationError`, which says which there are."""
    if name in BUILT_IN:
        kind: object = import_module(BUILT_IN[name]).KIND
    else:
        kind = _foreign(name)
    if not isinstance(kind, DeviceKind):
        raise ConfigurationError(f"dialect {name!r} offers no DeviceKind as device")
    return kind


def new_pump(dialect: str, mount: Mount) -> Device:
    """A pump of this dialect as one comes by default, with this syringe.  Raises `ConfigurationError`."""
    kind = device_kind(dialect)
    return kind.make(PumpOptions(model=kind.models[0], mount=mount))


def _foreign(name: str) -> object:
    entry = _installed().get(name)
    if entry is None:
        raise ConfigurationError(
            f"--dialect {name}: it does not exist; there are {', '.join(device_names())}"
        )
    try:
        return entry.load().device
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"dialect {name!r} ({entry.value}) could not be loaded: {error}"
        ) from error


def _installed() -> Mapping[str, EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415  # slow; a built-in name needs none

    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
