"""The closed list of fault kinds: their names, where they strike, their parameters with units.

Answerable for what a kind is called and how it is asked for; what it does is told where it strikes (a
device, a line, a person).  One list for scripts, the command line, the control channel and the docs, so
that none of them can know a kind that the others do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sim.faults.fault_kind import FaultKind
from sim.faults.line_kinds import LINE_KINDS
from sim.faults.monitor_kinds import MONITOR_KINDS
from sim.faults.other_kinds import OTHER_KINDS
from sim.faults.parameters import FaultError, FaultValue
from sim.faults.pump_kinds import PUMP_KINDS

KINDS: Mapping[str, FaultKind] = MappingProxyType(
    {kind.kind: kind for kind in (*PUMP_KINDS, *LINE_KINDS, *MONITOR_KINDS, *OTHER_KINDS)}
)
"""name -> kind."""


def find(kind: str) -> FaultKind:
    """The kind of this name; raises `FaultError` that lists all of them."""
    if kind not in KINDS:
        raise FaultError(f"fault {kind!r} does not exist; there are {', '.join(KINDS)}")
    return KINDS[kind]


def accept(kind: str, parameters: Mapping[str, FaultValue]) -> dict[str, FaultValue]:
    """The parameters with defaults filled in; raises `FaultError` for a kind or value that is none."""
    known = find(kind)
    for name in parameters:
        if name not in known.parameters:
            possible = ", ".join(known.parameters) or "none"
            raise FaultError(f"fault {kind} has no parameter {name!r}; it has {possible}")
    return {
        name: spec.accept(f"fault {kind}: {name}", parameters.get(name, spec.default))
        for name, spec in known.parameters.items()
    }
