"""The microcontroller pump that speaks pumplink/1 as it is asked for by name."""

from __future__ import annotations

from sim.devices.kinds import DeviceKind, PumpOptions
from sim.devices.pumplink import MODELS, PumplinkPump
from sim.devices.pumplink_faults import WAYS
from sim.devices.pumplink_quirks import Quirks
from sim.devices.quirks import parse_quirks, quirk_values


def _make(options: PumpOptions) -> PumplinkPump:
    return PumplinkPump(
        quirks=parse_quirks(Quirks, options.quirks),
        mount=options.mount,
        line=options.line,
        drive=options.drive,
    )


KIND = DeviceKind(
    name="pumplink",
    models=MODELS,
    make=_make,
    quirks=quirk_values(Quirks),
    address_max=0,
    faults=tuple(WAYS),
)
