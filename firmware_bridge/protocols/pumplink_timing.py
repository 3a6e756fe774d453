"""How long a `pumplink/1` host waits: fixed bounds, and the adaptive time-out between them.

Pure arithmetic on seconds of the loop's clock.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to wait, in seconds of the loop's clock; a scaled run hands in stretched ones.

    ``retry_*`` bound the adaptive time-out of a reliable session: RFC 6298 with the floor lowered
    from 1 s, since the peer is on the other end of one cable; ``retry_first_s`` is section 2.1's 1 s.
    """

    answer_s: float = 2.0
    estop_repeat_s: float = 0.25
    retry_first_s: float = 1.0
    retry_min_s: float = 0.1
    retry_max_s: float = 5.0


class RoundTrip:
    """The adaptive time-out of RFC 6298, in seconds."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._smoothed: float | None = None
        self._variation = 0.0
        self.timeout = timing.retry_first_s

    def measured(self, seconds: float) -> None:
        """Take in one round trip; never that of a frame that was repeated (Karn's algorithm)."""
        if self._smoothed is None:
            self._smoothed, self._variation = seconds, seconds / 2
        else:
            self._variation += (abs(self._smoothed - seconds) - self._variation) / 4
            self._smoothed += (seconds - self._smoothed) / 8
        wanted = self._smoothed + 4 * self._variation
        self.timeout = min(max(wanted, self._timing.retry_min_s), self._timing.retry_max_s)
