"""Behaviours of Fresenius Orchestra bases that nobody could confirm, each a named switch with a default.

The protocol is known from one driver that reads and never sets, so most of what a command does is
[design].  What a switch does is told where it acts; how it is asked for, in `sim.devices.quirks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from sim.devices.quirks import Whole


@dataclass(frozen=True, slots=True)
class Quirks:
    """One position per switch; the first value of each is the default."""

    enq_period_ms: Annotated[int, Whole(0, 60_000)] = 1_000
    """How often the base asks whether the host is there; 0: never."""
    set_argument: Literal["hex", "decimal"] = "hex"
    """Arguments of ``PR PB PV``: four digits in 0.1 mL/h and six in 0.001 mL, hexadecimal or decimal."""
    modules: Annotated[int, Whole(1, 31)] = 31
    """The modules that sit on the base, bit 0 the first."""
    rate_launches: Literal["yes", "no"] = "yes"
    """``PR`` with a rate also launches the infusion, or only ``PR`` without one does."""
    limit_counts: Literal["since_set", "since_reset"] = "since_set"
    """The volume limit counts from ``PV``, or compares with the infused volume ``r``."""
    rate_when_paused: Literal["zero", "set"] = "zero"
    """``LE;d`` of a paused module; ``LM;d`` is always the set rate."""
    host_lost: Literal["continue", "stop", "ignore"] = "continue"
    """After five unanswered ENQ sessions are closed and infusions go on, or pause, or nothing happens."""
    unacknowledged: Literal["nak", "ignore"] = "nak"
    """A frame that is not acknowledged within 1 s is answered with NAK 35, or forgotten."""
    on_nak: Literal["repeat", "ignore"] = "repeat"
    """A frame that the host refuses is sent again, or forgotten."""
    unechoed: Literal["repeat", "forget"] = "repeat"
    """A spontaneous message that is not echoed within 1 s is sent again, three times in all, or not."""
