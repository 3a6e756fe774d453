"""The New Era NE-1000 family as it is asked for by name."""

from __future__ import annotations

from sim.devices.kinds import DeviceKind, PumpOptions
from sim.devices.new_era import NewEraPump
from sim.devices.new_era_faults import WAYS
from sim.devices.new_era_models import MODELS
from sim.devices.new_era_quirks import Quirks
from sim.devices.quirks import parse_quirks, quirk_values


def _make(options: PumpOptions) -> NewEraPump:
    return NewEraPump(
        model=options.model,
        address=options.address,
        quirks=parse_quirks(Quirks, options.quirks),
        mount=options.mount,
        line=options.line,
        drive=options.drive,
    )


KIND = DeviceKind(
    name="new-era",
    models=tuple(MODELS),
    make=_make,
    quirks=quirk_values(Quirks),
    address_max=99,
    faults=tuple(WAYS),
)
