"""Who can do a kind of fault: pumps by dialect, lines, the monitor; or nobody yet.

Not needed to break anything: it is asked when something was refused, and for the docs.  Dialects are
loaded only then.
"""

from __future__ import annotations

from collections.abc import Mapping

from sim.faults.fault_kind import FaultKind
from sim.faults.kinds import KINDS
from sim.faults.monitor_kinds import ARTEFACTS
from sim.faults.other_kinds import NO_ENGINE_ROOMS

LINE = "line"


def dialects_that_can(kind: str) -> tuple[str, ...]:
    """The built-in dialects whose pumps can be broken like this."""
    from sim.devices.kinds import BUILT_IN, device_kind  # noqa: PLC0415  # every dialect, only when asked

    return tuple(name for name in sorted(BUILT_IN) if kind in device_kind(name).faults)


def engines(kind: FaultKind) -> tuple[str, ...]:
    """All that can do it: dialects, ``line`` (any pump's), ``rehearse`` (a visit in virtual time)."""
    if kind.room == LINE:
        return (LINE,)
    if kind.kind in ARTEFACTS:
        return ("rehearse",)
    if kind.room in NO_ENGINE_ROOMS:
        return ()
    return dialects_that_can(kind.kind)


def who_can(kind: str) -> str:
    """Words for whoever asked for it in the wrong place."""
    known = KINDS[kind]
    able = engines(known)
    if not able:
        return "no engine of this version does it"
    if known.room == LINE:
        return "it is one of the line, of any pump that is served"
    if able == ("rehearse",):
        return f"it is one of the {known.room}: infusor rehearse does it"
    return f"{', '.join(able)} can"


def support() -> Mapping[str, tuple[str, ...]]:
    """For every kind, who can do it."""
    return {name: engines(kind) for name, kind in KINDS.items()}
