"""Door, clamp, mains and battery of a pump, as plain state that a pump with sensors can read.

Answerable for how long the battery lasts, in closed form; not for what a pump does about any of it, nor
for what a shut clamp does to the line (`sim.mechanics`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.mechanics_make import require

NS_PER_MIN = 60_000_000_000


@dataclass(slots=True)
class Battery:
    """Minutes of running, a straight line of time: down without mains, up with it.

    ``full_min``, ``charge_min`` (from empty to full) and ``low_min`` (where it is low): own choice;
    makers print anything from 2 to 12 h.  Times are the device's, in ns.
    """

    full_min: float = 360.0
    charge_min: float = 480.0
    low_min: float = 30.0
    on_mains: bool = True
    was_min: float = 360.0
    since_ns: int = 0

    def left_min(self, now_ns: int) -> float:
        """What it would last from now on without mains."""
        passed = (now_ns - self.since_ns) / NS_PER_MIN
        if self.on_mains:
            return min(self.full_min, self.was_min + passed * self.full_min / self.charge_min)
        return max(0.0, self.was_min - passed)

    def is_low(self, now_ns: int) -> bool:
        """It would not last ``low_min``."""
        return self.left_min(now_ns) <= self.low_min

    def is_empty(self, now_ns: int) -> bool:
        """There is no mains and nothing left."""
        return not self.on_mains and self.left_min(now_ns) <= 0.0

    def next_event_ns(self, now_ns: int) -> int | None:
        """When it will be low, or empty, without mains; ``None``: neither."""
        if self.on_mains:
            return None
        left = self.left_min(now_ns)
        until = left - self.low_min if left > self.low_min else left
        return None if left <= 0.0 else now_ns + max(1, -int(-until * NS_PER_MIN // 1))

    def mains(self, now_ns: int, *, on: bool) -> None:
        """The plug is in, or out, from now on."""
        self.was_min, self.since_ns = self.left_min(now_ns), now_ns
        self.on_mains = on

    def set_left(self, now_ns: int, minutes: float) -> None:
        """It has this much left now; raises `MakeError`."""
        require("battery minutes", minutes, 0, self.full_min)
        self.was_min, self.since_ns = minutes, now_ns


@dataclass(slots=True)
class Housing:
    """What somebody at the pump can open, shut and pull out."""

    door_open: bool = False
    clamp_shut: bool = False
    battery: Battery = field(default_factory=Battery)
