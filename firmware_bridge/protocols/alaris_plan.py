"""A start on an Alaris pump, checked and put into the pump's numbers before a byte is sent.

Answerable for refusing what the pump, with the mounted syringe, cannot do; not for what a procedure
allows (the gate and the drug library).
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.dialect import Limits
from firmware_bridge.errors import BeyondPump
from firmware_bridge.protocols.counter_watch import STEP
from firmware_bridge.protocols.new_era_numbers import LOSS_PARTS, lost_too_much
from firmware_bridge.quantities import Duration, Rate, Volume

RATE_MIN = Rate(100_000)
"""0.1 mL/h, the slowest rate that drivers of this pump use (their range is 0.1 to 1200 mL/h)."""

_RATE_STEP = 10_000  # 0.01 mL/h: the pump shows two decimals


@dataclass(frozen=True, slots=True)
class Mounted:
    """The confirmed syringe, and what the pump can do with it."""

    size: Volume
    limits: Limits

    @classmethod
    def of(cls, size: Volume, fastest: Rate, lease: Duration) -> Mounted:
        """``fastest`` as the pump says for this syringe; ``lease`` is its fixed dead-man time."""
        limits = Limits(
            rate_min=RATE_MIN,
            rate_max=fastest,
            volume_step=STEP,
            lease_min=lease,
            lease_max=lease,
        )
        return cls(size, limits)

    def rate(self, rate: Rate) -> Rate:
        """``rate`` as the pump can be told it, rounded down; raises `BeyondPump`."""
        if not self.limits.rate_min <= rate <= self.limits.rate_max:
            raise BeyondPump(
                "rate",
                f"{rate} is outside {self.limits.rate_min} to {self.limits.rate_max}, "
                "what the pump can do with the mounted syringe",
            )
        told = Rate(rate.nl_h // _RATE_STEP * _RATE_STEP)
        if lost_too_much(rate.nl_h, told.nl_h):
            raise BeyondPump("rate", f"{rate} {_NOT_SAYABLE}")
        return told

    def target(self, target: Volume) -> Volume:
        """``target`` as the pump can be told it, rounded down, never nothing; raises `BeyondPump`."""
        if target > self.size:
            raise BeyondPump("target", f"{target} is above the syringe's {self.size}")
        told = Volume(target.nl // STEP.nl * STEP.nl)
        if not told.nl or lost_too_much(target.nl, told.nl):
            raise BeyondPump("target", f"{target} {_NOT_SAYABLE}")
        return told


_NOT_SAYABLE = f"cannot be told to the pump to 1 part in {LOSS_PARTS} without rounding up"


def check_lease(lease: Duration, dead_man: Duration) -> None:
    """Raises `BeyondPump` for a lease that the pump's own, which cannot be set, would outlast."""
    if lease < dead_man:
        raise BeyondPump(
            "lease", f"{lease} is below the pump's own dead-man, which is fixed at {dead_man}"
        )
