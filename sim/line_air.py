"""Bubbles on their way through the line: what they give to the spring, where they are, when they are out.

Answerable for volumes along the line: a bubble moves with what leaves the line.  A bubble of V at
atmospheric pressure P is a spring of V / P (ideal gas, small pressures): 1 mL gives 1.3 uL/mmHg.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.line import ATMOSPHERE_MMHG


@dataclass(frozen=True, slots=True)
class Bubble:
    """Air that came in at the syringe.  Volumes in parts."""

    parts: int
    entered: int
    """What had left the line by then."""
    mmhg: float
    """The pressure at which it came in."""

    @property
    def compliance(self) -> float:
        """Parts per mmHg."""
        return self.parts / ATMOSPHERE_MMHG

    def is_at(self, place: int, delivered: int) -> bool:
        """Some of it stands ``place`` parts behind the syringe."""
        return 0 <= delivered - self.entered - place < self.parts


def softening(bubbles: Sequence[Bubble]) -> tuple[float, float]:
    """What they add to the line's spring: parts per mmHg, and the offset that `sim.line.spring` wants."""
    return (
        sum(bubble.compliance for bubble in bubbles),
        sum(bubble.compliance * bubble.mmhg for bubble in bubbles),
    )
