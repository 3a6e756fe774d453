"""What is known of one way in which something breaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.faults.parameters import Parameter


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One way in which something breaks.

    ``room``: what is struck.  ``lasting``: it stays until it is cleared; otherwise it is over when it has
    happened.  ``known``: the numbers of failures on public record that it stands for (docs/faults.md).
    """

    kind: str
    room: str
    text: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    lasting: bool = True
    known: tuple[str, ...] = ()
