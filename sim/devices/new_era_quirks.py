"""Behaviours of New Era pumps that nobody could confirm, each a named switch with a default.

What a switch does is told where it acts; how it is asked for, in `sim.devices.quirks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Quirks:
    """One position per switch; the first value of each is the default."""

    power_on: Literal["alarm_R", "ignore_first_command", "clean"] = "alarm_R"
    """The first command after power-up: answered by the alarm, not answered at all, or obeyed."""
    reply_ge_1000: Literal["trailing_point", "no_point"] = "trailing_point"
    """``1500.`` or ``1500``: sources conflict for answers of 1000 and more."""
    stp_when_stopped: Literal["na", "ok"] = "na"
    """``STP`` on a stopped pump is answered ``?NA``, or accepted."""
    saf_reply_mode: Literal["new", "old"] = "new"
    """The answer to ``SAF`` is framed as that ``SAF`` asks, or as before it."""
    saf_alarm_framing: Literal["requested", "current"] = "requested"
    """The framing of an alarm that answers ``SAF`` instead of its execution."""
    com_resets_saf_timer: Literal["no", "yes"] = "no"
    """Whether a packet answered with ``?COM`` restarts the safe-mode timer."""
    dis_overflow: Literal["saturate", "rollover"] = "saturate"
    """A volume counter beyond 9999 stays there, or begins again at zero."""
    phase2_default: Literal["stop", "continuous"] = "stop"
    """Factory setting of program phase 2; ``continuous`` never stops at a target unless programmed."""
    vol_combined: Literal["accept", "refuse"] = "accept"
    """``VOL 1 ML``: value and unit in one command."""
    excess_decimals: Literal["cut", "refuse"] = "cut"
    """``VOL 26.700``: decimals beyond four digits are cut off, as hosts that send them expect, or
    answered ``?OOR``, as the manual's syntax would have it."""
    reply_address_digits: Literal["2", "1"] = "2"
    """Addresses below 10 are answered as ``05`` or as ``5``."""
    loop_count: Literal["passes", "repeats"] = "passes"
    """``LOP 5`` runs its loop five times in all, or goes back five times."""
    loop_without_start: Literal["error", "phase_1"] = "error"
    """``LOP`` without ``LPS`` is a program error, or loops to phase 1."""
    fill_counters: Literal["keep", "clear"] = "keep"
    """After ``FIL`` the volume counters go on, or are zero."""
    event_trap: Literal["once", "stays"] = "once"
    """An event takes its trap with it, or leaves it set."""
    burst_same_address: Literal["all", "first"] = "all"
    """Of several commands to one pump in a burst all are obeyed, or, as one user saw, only one."""
