"""The drip dialect for infusor: what the entry point ``drip = "drip"`` of `infusor.dialects` names.

Its ``host`` is loaded by the bridge and its ``device`` by the simulator, each only when somebody asks for
it, so that neither process carries the other's half.

For bench and simulation only; never for a pump connected to a person.
"""

from __future__ import annotations

from importlib import import_module

_HALVES = {"host": ("drip_host", "HOST"), "device": ("drip_device", "DEVICE")}
"""The modules have other names, because a module that was loaded is an attribute of its package."""


def __getattr__(name: str) -> object:
    """The half of that name: a `DialectKind` or a `DeviceKind`."""
    if name not in _HALVES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, kind = _HALVES[name]
    return getattr(import_module(f"{__name__}.{module}"), kind)
