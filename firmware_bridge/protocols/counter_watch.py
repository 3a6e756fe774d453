"""Whether a pump runs that does not say so: told by its counter of delivered volume, and by time.

Some pumps show a counter and alarms, and no word for *running*.  Answerable for what follows from a row
of counter readings; not for asking for them.  Pure: ``now`` is the loop's time in seconds.
"""

from __future__ import annotations

from firmware_bridge.messages import PumpState
from firmware_bridge.quantities import Rate, Volume

STEP = Volume(1_000)
"""One digit of the counters concerned, 0.001 mL."""

BETWEEN_READINGS_S = 0.1
"""Two readings of a counter that stands lie so far apart, where the pump has confirmed the stop."""

_STANDS_AFTER_S = 2.0
"""A delivering pump whose counter stands for less has perhaps only not turned over its last digit."""

_STANDS_AFTER_STEPS = 5
"""So many digits that ought to have come and did not are no coincidence [design]."""

_SURE_STEPS = 2
"""Digits that a pump which was not stopped would have shown for certain."""


def steps_s(steps: int, rate: Rate) -> float:
    """How long ``steps`` of the counter take at ``rate``; no time at all at a rate of nothing."""
    return rate.time_for(Volume(steps * STEP.nl)).s if rate.nl_h else 0.0


class Standstill:
    """The readings of one stop.  ``confirmed`` once the pump has said that it obeyed."""

    def __init__(self) -> None:
        self.confirmed = False
        self._at: Volume | None = None
        self._since = 0.0

    @property
    def has_reading(self) -> bool:
        """Whether the next reading may be the last."""
        return self._at is not None

    def confirm(self) -> None:
        """The pump has obeyed the stop; only readings from now on count."""
        if not self.confirmed:
            self.confirmed = True
            self._at = None

    def seen(self, infused: Volume, rate: Rate, now: float) -> bool:
        """Whether the pump is known to stand, ``rate`` being what it would run at.

        Without its word for it, the counter must have stood for so long that a running pump would have
        shown it.
        """
        if infused != self._at:
            self._at, self._since = infused, now
            return False
        needed = BETWEEN_READINGS_S
        if not self.confirmed:
            needed = max(needed, steps_s(_SURE_STEPS, rate))
        return now - self._since >= needed * 0.99  # a loop's timers may be early by its resolution


class CounterWatch:
    """One pump's counter, from reading to reading."""

    def __init__(self) -> None:
        self._rate: Rate | None = None
        self._seen: Volume | None = None
        self._moved_at = 0.0
        self.moved = False
        """Whether the last reading was above the one before it."""

    def forget(self) -> None:
        """Nothing is known of the counter, and nothing is expected to move."""
        self._rate = self._seen = None
        self.moved = False

    def started(self, rate: Rate, now: float) -> None:
        """A delivery has been started or has been given this rate."""
        self._rate = rate
        self._moved_at = now

    def stands_at(self, infused: Volume) -> None:
        """The pump has been stopped, or its counter cleared, and this is what it shows."""
        self._rate = None
        self._seen = infused
        self.moved = False

    def went_back(self, infused: Volume) -> bool:
        """Whether the counter shows less than before: somebody or something has reset it."""
        return self._seen is not None and infused < self._seen

    def state(self, infused: Volume, target: Volume | None, now: float) -> PumpState:
        """What the pump does, as far as its counter tells.

        Motion that was not ordered, or goes on beyond the target, is `RUNNING` like any other.
        """
        moved = self.moved = self._seen is not None and infused > self._seen
        self._seen = infused
        if moved:
            self._moved_at = now
        if target is not None and infused >= target and not (moved and infused > target):
            self._rate = None
            return PumpState.COMPLETED
        if self._rate is None:
            return PumpState.RUNNING if moved else PumpState.STOPPED
        patience_s = max(_STANDS_AFTER_S, steps_s(_STANDS_AFTER_STEPS, self._rate))
        if now - self._moved_at <= patience_s:
            return PumpState.RUNNING
        self._rate = None
        return PumpState.STOPPED
