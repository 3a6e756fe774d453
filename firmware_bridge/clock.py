"""The clock module of the shipped code: loops for real and scaled time, the wall-clock label, entropy.

Everything else asks the running loop for the time.  Durations come from the loop; the wall clock is a
label in the log and decides nothing.  Virtual time is not made here (it belongs to the simulator): a
loop says by an attribute ``speed`` how fast it runs, and by ``wall_epoch_ms`` that its wall clock is a
fixed epoch plus its own time.

This is the only module that may import `time` and `secrets`.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import selectors
import time

from firmware_bridge.errors import ConfigurationError

SPEED_MIN, SPEED_MAX = 0.01, 1000.0
"""Measured with 5 coroutines at 10 Hz: lateness p99 is 71 ms of scaled time at 60, 689 ms at 600."""

WALL_FLOOR_S = 0.250
"""No lease and no time-out of a scaled run is shorter than this on the wall: schedulers are late too."""

_MS_PER_S = 1000
_NS_PER_MS = 1_000_000


class _ScaledSelector(selectors.DefaultSelector):
    """Waits a ``speed``-th of what it is told, because the loop counts in scaled seconds."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / self._speed)


class ScaledLoop(asyncio.SelectorEventLoop):
    """A loop on real ports whose seconds pass ``speed`` times as fast as the wall clock's."""

    def __init__(self, speed: float) -> None:
        super().__init__(_ScaledSelector(speed))
        self.speed = speed
        self._clock_resolution = speed * time.get_clock_info("monotonic").resolution

    def time(self) -> float:
        """Scaled seconds: the monotonic clock times ``speed``."""
        return super().time() * self.speed


def new_loop(speed: float = 1.0) -> asyncio.AbstractEventLoop:
    """A loop that runs at ``speed``.  Raises `ConfigurationError` outside 0.01 to 1000."""
    if not (math.isfinite(speed) and SPEED_MIN <= speed <= SPEED_MAX):
        raise ConfigurationError(
            f"speed {speed:g}: must lie between {SPEED_MIN:g} and {SPEED_MAX:g}"
        )
    return asyncio.SelectorEventLoop() if speed == 1 else ScaledLoop(speed)


def speed_of(loop: asyncio.AbstractEventLoop) -> float:
    """How many of the loop's seconds pass in one of the wall's, or of nobody's in virtual time: 1."""
    return float(getattr(loop, "speed", 1.0))


def at_least_wall(seconds: float, speed: float) -> float:
    """A bound in loop seconds, stretched in scaled time so that it lasts 250 ms on the wall.

    A result larger than ``seconds`` means that the bound was stretched; the run says so, and such a
    bound is no evidence for a timing requirement.
    """
    return seconds if speed == 1 else max(seconds, WALL_FLOOR_S * speed)


def wall_ms(loop: asyncio.AbstractEventLoop) -> int:
    """Unix milliseconds, a label.  In virtual time the loop's fixed epoch plus its time."""
    epoch_ms: int | None = getattr(loop, "wall_epoch_ms", None)
    if epoch_ms is None:
        return time.time_ns() // _NS_PER_MS
    return epoch_ms + round(loop.time() * _MS_PER_S)


def fresh_boot_id() -> int:
    """32 bits that tell one start of a process from another; never 0.  Real processes only."""
    return secrets.randbelow(2**32 - 1) + 1


def fresh_u16() -> int:
    """16 unpredictable bits, for a first sequence number.  Real processes only."""
    return secrets.randbits(16)
