"""The Fresenius Orchestra as it is asked for by name."""

from __future__ import annotations

from sim.devices.fresenius import MODELS, OrchestraPump
from sim.devices.fresenius_faults import WAYS
from sim.devices.fresenius_quirks import Quirks
from sim.devices.fresenius_state import MODULES
from sim.devices.kinds import DeviceKind, PumpOptions
from sim.devices.quirks import QuirkError, parse_quirks, quirk_values


def _make(options: PumpOptions) -> OrchestraPump:
    """Without an address the module under test is the first one there; the base itself does not pump."""
    quirks = parse_quirks(Quirks, options.quirks)
    present = [number for number in MODULES if quirks.modules >> (number - 1) & 1]
    address = options.address or present[0]
    if MODELS[options.model] and address not in present:
        there = ", ".join(map(str, present))
        raise QuirkError(f"quirk modules={quirks.modules} has no module {address}; it has {there}")
    return OrchestraPump(
        model=options.model,
        address=address,
        quirks=quirks,
        mount=options.mount,
        line=options.line,
        drive=options.drive,
    )


KIND = DeviceKind(
    name="fresenius",
    models=tuple(MODELS),
    make=_make,
    quirks=quirk_values(Quirks),
    address_max=max(MODULES),
    faults=tuple(WAYS),
)
