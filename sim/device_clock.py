"""The clock of a simulated pump: the loop's, until somebody holds it, steps it, or lets it run faster.

While it is held the physics stand still and the pump goes on answering, like one whose mechanism hangs.
Pure: told the loop's time.
"""

from __future__ import annotations

RATE_MIN, RATE_MAX = 0.01, 1_000.0
"""As much as a scaled loop is allowed [design]."""
STEP_S_MAX = 86_400.0
"""Of one step [design]: a day of a pump is done in seconds, and nobody is served meanwhile."""


class DeviceClock:
    """Seconds of a pump in seconds of its loop; runs backwards for nothing but `set`."""

    def __init__(self, loop_now: float) -> None:
        self._since = loop_now
        self._base = loop_now
        self._rate = 1.0
        self._held = False
        self.untouched = True
        """The pump's time is the loop's, and nobody has asked for anything else yet."""

    @property
    def held(self) -> bool:
        """Whether it stands still."""
        return self._held

    @property
    def rate(self) -> float:
        """Seconds of the pump in one of the loop's, while it is not held."""
        return self._rate

    def now(self, loop_now: float) -> float:
        """The pump's time."""
        if self._held:
            return self._base
        if self._rate == 1.0 and self._since == self._base:
            return max(loop_now, self._base)  # the usual case, and exact
        return self._base + max(0.0, loop_now - self._since) * self._rate

    def loop_time(self, when: float) -> float | None:
        """When, on the loop, the pump's time is ``when``; ``None`` while nobody knows."""
        if self._held:
            return None
        if self._rate == 1.0 and self._since == self._base:
            return when
        return self._since + (when - self._base) / self._rate

    def hold(self, loop_now: float) -> None:
        """It stands still from now on.  Idempotent."""
        self.untouched = False
        self._base, self._since, self._held = self.now(loop_now), loop_now, True

    def go_on(self, loop_now: float) -> None:
        """It runs again.  Idempotent."""
        if self._held:
            self._since, self._held = loop_now, False

    def step(self, seconds: float, loop_now: float) -> float:
        """``seconds`` of the pump pass at once; returns its time then.  Raises `ValueError`."""
        if not 0.0 <= seconds <= STEP_S_MAX:
            raise ValueError(f"seconds = {seconds:g}: must be in 0..{STEP_S_MAX:g}")
        self.untouched = False
        self._base, self._since = self.now(loop_now) + seconds, loop_now
        return self._base

    def set(self, to: float, loop_now: float) -> None:
        """It shows ``to`` now, also where that is earlier: the pump is as it was then."""
        self.untouched = False
        self._base, self._since = to, loop_now

    def run_at(self, rate: float, loop_now: float) -> None:
        """So many of the pump's seconds in one of the loop's.  Raises `ValueError`."""
        if not RATE_MIN <= rate <= RATE_MAX:
            raise ValueError(f"speed = {rate:g}: must be in {RATE_MIN:g}..{RATE_MAX:g}")
        self.untouched = False
        self._base, self._since, self._rate = self.now(loop_now), loop_now, rate
