"""How an elastic line fills and drains: one straight or one exponential leg, in closed form.

    shut:  stored grows by what comes in
    open:  d stored / dt = inflow - (pressure - outlet) x conductance
           stored = settled + (start - settled) x exp(-t / tau),    tau = compliance / conductance

A leg holds as long as inflow, outlet and slope do; the ends of a leg are `sim.mechanics_real`'s affair.
Volumes in parts, times in ns, so that a rate in nL/h is a number of parts per ns.
"""

from __future__ import annotations

from math import exp, log
from typing import NamedTuple

from sim.line import NL_H_PER_UL_MIN, Line, Spring


class Outlet(NamedTuple):
    """What stands at the end of an open line."""

    mmhg: float
    conductance: float
    """Parts per ns and mmHg; 0 for a line that empties at once."""


def outlet(line: Line, mmhg: float) -> Outlet:
    """The outlet of this line against this pressure."""
    resistance = line.resistance_mmhg_min_ul
    return Outlet(mmhg, NL_H_PER_UL_MIN / resistance if resistance else 0.0)


class Leg(NamedTuple):
    """From ``start`` on; ``tau_ns`` is infinite when shut, 0 when the line empties at once."""

    start: int
    inflow: float
    settled: float
    tau_ns: float
    slope: float
    """Parts per mmHg here."""

    @property
    def is_shut(self) -> bool:
        """What comes in stays in."""
        return self.tau_ns == float("inf")

    def stored(self, dt_ns: int, gained: int) -> int:
        """The content after ``dt_ns``, in which ``gained`` parts came in."""
        if self.is_shut:
            return self.start + gained
        if not self.tau_ns:
            return self.start
        return round(self.settled + (self.start - self.settled) * exp(-dt_ns / self.tau_ns))

    def time_to(self, target: float) -> float | None:
        """When it holds ``target``, strictly ahead; ``None``: never.  Only good on this side of the knee."""
        if not self.tau_ns:
            return None
        if self.is_shut:
            ahead = target - self.start
            return ahead / self.inflow if ahead * self.inflow > 0 else None
        before, after = self.start - self.settled, target - self.settled
        if before * after <= 0 or abs(after) >= abs(before):
            return None
        return self.tau_ns * log(before / after)


def leg(spring: Spring, stored: int, inflow: float, end: Outlet | None) -> Leg:
    """The leg that begins at ``stored``; ``end`` None: shut."""
    if end is None:
        slope = spring.soft if _goes_soft(spring, stored, inflow) else spring.hard
        return Leg(stored, inflow, 0.0, float("inf"), slope)
    level = spring.stored(end.mmhg)
    if not end.conductance:
        return Leg(round(level), inflow, level, 0.0, spring.hard)
    rising = inflow - (spring.pressure(stored) - end.mmhg) * end.conductance
    slope = spring.soft if _goes_soft(spring, stored, rising) else spring.hard
    at_level = spring.knee_parts + (end.mmhg - spring.knee_mmhg) * slope
    tau = slope / end.conductance
    return Leg(stored, inflow, at_level + inflow * tau, tau, slope)


def _goes_soft(spring: Spring, stored: int, rising: float) -> bool:
    return stored < spring.knee_parts or (stored == spring.knee_parts and rising < 0)
