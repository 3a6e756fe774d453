"""The Alaris GH / Asena as it is asked for by name."""

from __future__ import annotations

from sim.devices.alaris import MODELS, AlarisPump
from sim.devices.alaris_faults import WAYS
from sim.devices.alaris_quirks import Quirks
from sim.devices.kinds import DeviceKind, PumpOptions
from sim.devices.quirks import parse_quirks, quirk_values


def _make(options: PumpOptions) -> AlarisPump:
    return AlarisPump(
        model=options.model,
        quirks=parse_quirks(Quirks, options.quirks),
        mount=options.mount,
        line=options.line,
        drive=options.drive,
    )


KIND = DeviceKind(
    name="alaris",
    models=tuple(MODELS),
    make=_make,
    quirks=quirk_values(Quirks),
    address_max=0,
    faults=tuple(WAYS),
)
