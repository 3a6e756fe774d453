"""What PROTOCOL.md leaves to the maker of a pumplink/1 pump, each a named switch with a default.

What a switch does is told where it acts; how it is asked for, in `sim.devices.quirks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from sim.devices.quirks import Whole


@dataclass(frozen=True, slots=True)
class Quirks:
    """One position per switch; the first value of each is the default."""

    power_on: Literal["alarm_reset", "clean"] = "alarm_reset"
    """A boot raises alarm bit 5, or only the new boot id tells of it."""
    results: Literal["final", "accepted_first"] = "final"
    """A command is answered by the RESULT that ends it, or by one that says accepted before."""
    reasons: Literal["text", "none"] = "text"
    """A refusal says why in words, or by its code alone."""
    volume_step_nl: Annotated[int, Whole(1, 100_000)] = 1
    """Volumes are multiples of this; others are rounded down to one."""
    lease_ms_max: Annotated[int, Whole(3_000, 65_535)] = 60_000
    """The longest lease."""
    reply_delay_ms: Annotated[int, Whole(0, 1_000)] = 0
    """How long the pump thinks."""
