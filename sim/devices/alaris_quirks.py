"""Behaviours of Alaris GH / Asena pumps that nobody could confirm, each a named switch with a default.

What a switch does is told where it acts; how it is asked for, in `sim.devices.quirks`.  Switches whose
positions no source shows at all are marked [design].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from sim.devices.quirks import Whole


@dataclass(frozen=True, slots=True)
class Quirks:
    """One position per switch; the first value of each is the default."""

    disable_reply: Literal["permit_form", "echo"] = "permit_form"
    """``REMOTE_CTRL^DISABLED`` is answered in the form of ``ENABLED``, or echoed; both were seen."""
    unknown_message: Literal["silent", "echo"] = "silent"
    """A refused or unknown message is not answered, or echoed; no error answer is known."""
    lease_ms: Annotated[int, Whole(5_001, 600_000)] = 10_000
    """How long remote control lasts without being asked for again: longer than the 5 s at which one
    known host polls, otherwise unknown."""
    reply_delay_ms: Annotated[int, Whole(0, 4_000)] = 20
    """How long the pump thinks; its own ``COMMS_RESPONSE_MAX`` allows 4 s."""
    lease_lost: Literal["stop", "continue"] = "stop"
    """What ``AL_COMTO`` does to an infusion [design]."""
    stop_without_remote: Literal["refused", "obeyed"] = "refused"
    """``INF_STOP`` while remote control is not enabled [design]."""
    start_with_alarm: Literal["refused", "acknowledges"] = "refused"
    """``INF_START`` while an alarm is pending [design]; ``INF_STOP`` always acknowledges."""
    inf_when_stopped: Literal["hold", "set"] = "hold"
    """``INF`` of a stopped pump: mode ``HLD`` and rate 0.00, as in a recorded answer, or as if it ran."""
    vtbi_query: Literal["set", "remaining"] = "set"
    """``INF_VTBI`` tells the volume that was set, or what is left of it [design]."""
    vtbi_after_end: Literal["spent", "deactivated"] = "spent"
    """After its end a VTBI stands in the way of a start, or is gone and a start runs on [design]."""
    vtbi_end_actions: Literal["stop_only", "all"] = "stop_only"
    """Only ``STOP`` was ever seen; ``all`` also takes ``KVO`` and ``CONT``, spelt by guess."""
    bolus: Literal["echo", "silent"] = "echo"
    """``INF_BOLUS^ENABLED`` is acknowledged, and moves nothing by itself, or not answered."""
    excess_decimals: Literal["cut", "refuse"] = "cut"
    """More decimals than the pump shows are cut off, or refused [design]."""
    power_on: Literal["keep", "clear"] = "keep"
    """Rate and VTBI survive the mains, or not [design]; the counter never does."""
