"""A start on a New Era pump, checked and put into the pump's numbers before a byte is sent.

Answerable for refusing what the pump, with the mounted syringe, cannot do; not for what a procedure
allows (the gate and the drug library).
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.dialect import Limits, Syringe
from firmware_bridge.errors import BeyondPump
from firmware_bridge.protocols.new_era_numbers import (
    LEASE_S_MAX,
    LEASE_S_MIN,
    LOSS_PARTS,
    RATE_UNITS,
    PumpNumber,
    counter_step,
    diameter_text,
    lost_too_much,
    parse_thousandths,
    quantise_rate,
    quantise_volume,
    rate_limits,
    whole_seconds,
)
from firmware_bridge.quantities import Duration, Rate, Volume


@dataclass(frozen=True, slots=True)
class Mounted:
    """A syringe as the pump can be told of it, and what the pump can do with it."""

    size: Volume
    diameter: str
    limits: Limits

    @classmethod
    def of(cls, syringe: Syringe) -> Mounted:
        """Raises `BeyondPump` for a diameter that no pump of the family takes."""
        try:
            diameter = diameter_text(syringe.diameter_um)
        except ValueError as wrong:
            raise BeyondPump("syringe diameter", str(wrong)) from None
        slowest, fastest = rate_limits(parse_thousandths(diameter) or 0)
        limits = Limits(
            rate_min=slowest,
            rate_max=fastest,
            volume_step=counter_step(syringe.size),
            lease_min=Duration(LEASE_S_MIN * 1_000),
            lease_max=Duration(LEASE_S_MAX * 1_000),
        )
        return cls(syringe.size, diameter, limits)

    def rate(self, rate: Rate, units: tuple[str, ...] = tuple(RATE_UNITS)) -> PumpNumber:
        """``rate`` for the pump, in one of ``units``; raises `BeyondPump` naming value and limit."""
        if not self.limits.rate_min <= rate <= self.limits.rate_max:
            raise BeyondPump(
                "rate",
                f"{rate} is outside {self.limits.rate_min} to {self.limits.rate_max}, "
                f"what the pump can do with a diameter of {self.diameter} mm",
            )
        number = quantise_rate(rate, units)
        if number is None or lost_too_much(rate.nl_h, number.amount):
            raise BeyondPump("rate", f"{rate} {_NOT_SAYABLE}")
        return number

    def target(self, target: Volume) -> PumpNumber:
        """``target`` for the pump, never 0; raises `BeyondPump` naming value and limit."""
        if target > self.size:
            raise BeyondPump("target", f"{target} is above the syringe's {self.size}")
        number = quantise_volume(target)
        if number is None or lost_too_much(target.nl, number.amount):
            raise BeyondPump("target", f"{target} {_NOT_SAYABLE}")
        return number


_NOT_SAYABLE = f"cannot be told to the pump to 1 part in {LOSS_PARTS} without rounding up"


def lease_seconds(lease: Duration) -> int:
    """The dead-man time for ``lease``, never longer; raises `BeyondPump` below one second."""
    seconds = whole_seconds(lease)
    if seconds is None:
        raise BeyondPump("lease", f"{lease} is below the pump's shortest dead-man, {LEASE_S_MIN} s")
    return seconds
