"""Harvard Pump 11 Elite, PHD Ultra and KDS Legato as they are asked for by name."""

from __future__ import annotations

from sim.devices.harvard import HarvardPump
from sim.devices.harvard_faults import WAYS
from sim.devices.harvard_models import MODELS
from sim.devices.harvard_quirks import Quirks
from sim.devices.kinds import DeviceKind, PumpOptions
from sim.devices.quirks import parse_quirks, quirk_values


def _make(options: PumpOptions) -> HarvardPump:
    defaults = MODELS[options.model].quirks
    return HarvardPump(
        model=options.model,
        address=options.address,
        quirks=parse_quirks(Quirks, (*defaults, *options.quirks)),
        mount=options.mount,
        line=options.line,
        drive=options.drive,
    )


KIND = DeviceKind(
    name="harvard",
    models=tuple(MODELS),
    make=_make,
    quirks=quirk_values(Quirks),
    address_max=99,
    faults=tuple(WAYS),
)
