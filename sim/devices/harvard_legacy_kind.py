"""The older Harvard pumps as they are asked for by name."""

from __future__ import annotations

from sim.devices.harvard_legacy import LegacyPump
from sim.devices.harvard_legacy_faults import WAYS
from sim.devices.harvard_legacy_models import MODELS
from sim.devices.harvard_legacy_quirks import Quirks
from sim.devices.kinds import DeviceKind, PumpOptions
from sim.devices.quirks import parse_quirks, quirk_values


def _make(options: PumpOptions) -> LegacyPump:
    defaults = MODELS[options.model].quirks
    return LegacyPump(
        model=options.model,
        address=options.address,
        quirks=parse_quirks(Quirks, (*defaults, *options.quirks)),
        mount=options.mount,
        line=options.line,
        drive=options.drive,
    )


KIND = DeviceKind(
    name="harvard-legacy",
    models=tuple(MODELS),
    make=_make,
    quirks=quirk_values(Quirks),
    address_max=99,
    faults=tuple(WAYS),
)
