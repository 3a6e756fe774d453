"""A start on a Harvard pump, checked and put into the pump's numbers before a byte is sent.

Answerable for refusing what the pump, with the mounted syringe, cannot do; not for what a procedure
allows (the gate and the drug library).
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.dialect import Limits, Syringe
from firmware_bridge.errors import BeyondPump
from firmware_bridge.protocols.harvard_numbers import (
    LOSS_PARTS,
    Told,
    diameter_text,
    display_step,
    lost_too_much,
    rate_text,
    volume_text,
)
from firmware_bridge.quantities import Duration, Rate, Volume

ANY_LEASE = (Duration(0), Duration(0xFFFF))
"""The pump has no dead-man; whatever lease can travel is kept by the bridge (PROTOCOL.md, 16 bits)."""

_NOT_SAYABLE = f"cannot be told to the pump to 1 part in {LOSS_PARTS} without rounding up"


def diameter_of(syringe: Syringe) -> str:
    """The diameter for the pump; raises `BeyondPump` for one that no pump of the family takes."""
    try:
        return diameter_text(syringe.diameter_um)
    except ValueError as wrong:
        raise BeyondPump("syringe diameter", str(wrong)) from None


@dataclass(frozen=True, slots=True)
class Mounted:
    """A syringe as the pump was told of it, and what the pump says it can do with it."""

    size: Volume
    diameter: str
    limits: Limits

    @classmethod
    def of(cls, syringe: Syringe, rates: tuple[Rate, Rate]) -> Mounted:
        limits = Limits(
            rate_min=rates[0],
            rate_max=rates[1],
            volume_step=display_step(syringe.size),
            lease_min=ANY_LEASE[0],
            lease_max=ANY_LEASE[1],
        )
        return cls(syringe.size, diameter_of(syringe), limits)

    def rate(self, rate: Rate) -> Told:
        """``rate`` for the pump; raises `BeyondPump` naming value and limit."""
        if not self.limits.rate_min <= rate <= self.limits.rate_max:
            raise BeyondPump(
                "rate",
                f"{rate} is outside {self.limits.rate_min} to {self.limits.rate_max}, "
                f"what the pump can do with a diameter of {self.diameter} mm",
            )
        told = rate_text(rate)
        if told is None or lost_too_much(rate.nl_h, told.amount):
            raise BeyondPump("rate", f"{rate} {_NOT_SAYABLE}")
        return told

    def target(self, target: Volume) -> Told:
        """``target`` for the pump, never 0; raises `BeyondPump` naming value and limit."""
        if target > self.size:
            raise BeyondPump("target", f"{target} is above the syringe's {self.size}")
        told = volume_text(target)
        if told is None or lost_too_much(target.nl, told.amount):
            raise BeyondPump("target", f"{target} {_NOT_SAYABLE}")
        return told
