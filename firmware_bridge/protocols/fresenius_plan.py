"""A start on a Fresenius module, checked and rounded to what the pump can be told, before a byte is sent.

Answerable for refusing what the pump cannot be told; not for what a procedure allows (the gate and the
drug library).
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.dialect import Limits
from firmware_bridge.errors import BeyondPump
from firmware_bridge.protocols.counter_watch import STEP
from firmware_bridge.protocols.fresenius_replies import RATE_STEP, VOLUME_STEP, SetArgument
from firmware_bridge.protocols.new_era_numbers import LOSS_PARTS, lost_too_much
from firmware_bridge.quantities import Duration, Rate, Volume

_ANY_LEASE = Duration(0), Duration(0xFFFF)
"""The pump has no dead-man; whatever lease can travel is kept by the bridge (PROTOCOL.md, 16 bits)."""

_SAYABLE = Rate(0xFFFF_FFFF)
"""What can be said of a rate to a controller (PROTOCOL.md, 32 bits of nL/h)."""

_NOT_SAYABLE = f"cannot be told to the pump to 1 part in {LOSS_PARTS} without rounding up"


@dataclass(frozen=True, slots=True)
class Mounted:
    """The syringe that is meant, and what the pump can be told."""

    size: Volume
    numbers: SetArgument

    @property
    def limits(self) -> Limits:
        """As far as its numbers go; a module may refuse sooner, and says so (``I;08``)."""
        return Limits(
            rate_min=Rate(RATE_STEP),
            rate_max=min(self.numbers.fastest, _SAYABLE),
            volume_step=STEP,
            lease_min=_ANY_LEASE[0],
            lease_max=_ANY_LEASE[1],
        )

    def rate(self, rate: Rate) -> Rate:
        """``rate`` as the pump can be told it, rounded down; raises `BeyondPump`."""
        slowest, fastest = self.limits.rate_min, self.limits.rate_max
        if not slowest <= rate <= fastest:
            raise BeyondPump("rate", f"{rate} is outside {slowest} to {fastest}")
        told = Rate(rate.nl_h // RATE_STEP * RATE_STEP)
        if lost_too_much(rate.nl_h, told.nl_h):
            raise BeyondPump("rate", f"{rate} {_NOT_SAYABLE}")
        return told

    def target(self, target: Volume) -> Volume:
        """``target`` as the pump can be told it, rounded down, never nothing; raises `BeyondPump`."""
        if target > self.size:
            raise BeyondPump("target", f"{target} is above the syringe's {self.size}")
        told = Volume(target.nl // VOLUME_STEP * VOLUME_STEP)
        if not told.nl or lost_too_much(target.nl, told.nl):
            raise BeyondPump("target", f"{target} {_NOT_SAYABLE}")
        return told
