"""What a syringe and its line, taken as one spring, do when the line is closed.

    time to alarm   t = C dP / r          stored, and let go on release   V = C dP

with ``C`` the compliance and ``dP`` the pressure between start and alarm.  Linear: where the compliance
changes with pressure, the simulator's mechanics integrate it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Occlusion:
    """What is to be expected of a closed line."""

    time_to_alarm_min: float
    bolus_ml: float


def occlusion(compliance_ul_mmhg: float, rise_mmhg: float, rate_ml_h: float) -> Occlusion:
    """At a constant rate until the alarm; all of it comes out on release."""
    stored_ml = compliance_ul_mmhg * rise_mmhg / 1_000.0
    return Occlusion(60.0 * stored_ml / rate_ml_h, stored_ml)
