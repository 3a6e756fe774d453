"""What becomes of the things that a pump cannot do by itself: supplied by the bridge, or refused, by name.

Answerable for the words and for which order needs what; the gate, the orders and the procedure act on
it.  Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from firmware_bridge.messages import Bolus, Capability, Run, SelfTest, SetRate

NEEDED_BY_PROCEDURES = Capability.VOLUME_TARGET | Capability.DEAD_MAN
"""Without either of them a procedure does not begin: what bounds a dose must outlive this software."""

NEEDED_BY_ORDER: Mapping[type, Capability] = MappingProxyType(
    {
        Bolus: Capability.VOLUME_TARGET,
        Run: Capability.VOLUME_TARGET,
        SetRate: Capability.RATE_WHILE_RUNNING,
        SelfTest: Capability.DEAD_MAN,
    }
)
"""What the bridge refuses to send to a pump that cannot do it."""

INSTEAD: Mapping[Capability, str] = MappingProxyType(
    {
        Capability.VOLUME_TARGET: "nothing is started",
        Capability.TIME_TARGET: "the bridge ends the armed motor time",
        Capability.RATE_WHILE_RUNNING: "a change of the rate is refused",
        Capability.DEAD_MAN: "the bridge stops it when the lease ends, and if the bridge dies a delivery "
        "is bounded by target; procedures refuse it",
        Capability.INTEGRITY_CHECK: "every setting is read back before a start",
        Capability.UNSOLICITED_ALARMS: "it is asked once a second while it delivers",
        Capability.STALL_DETECTION: "a procedure compares its counter with rate x time",
        Capability.PRESSURE: "not shown",
        Capability.AIR_DETECTION: "not watched",
        Capability.BATTERY_LEVEL: "not shown",
        Capability.WITHDRAW: "not used",
        Capability.SENSORS: "not shown",
    }
)
"""For each thing that a pump may lack, who sees to it.  ``CLINICAL`` is no ability."""


def lacking(capabilities: Capability) -> dict[Capability, str]:
    """What a pump with these capabilities lacks, and what becomes of it."""
    return {what: words for what, words in INSTEAD.items() if what not in capabilities}


def names(capabilities: Capability) -> str:
    """The set bits as words, in one line."""
    return ", ".join(str(part.name).lower().replace("_", " ") for part in capabilities)


def missing_for(order: type, capabilities: Capability) -> str:
    """What an order of this kind needs and the pump lacks, in words; empty if nothing."""
    return names(NEEDED_BY_ORDER.get(order, Capability.NONE) & ~capabilities)
