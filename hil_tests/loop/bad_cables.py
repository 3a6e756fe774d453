"""The four cables of every scenario with two sides: clean, one byte at a time, lossy, late."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from firmware_bridge.transports.memory import Cable

CABLES = ["clean", "one byte at a time", "lossy", "late"]
BAD_CABLES = CABLES[1:]

_BITS_PER_BYTE = 10


def bad(
    name: str, *, baud: int, seeds: Iterable[int] = range(4), duplicate: float = 0.0
) -> Callable[[], Cable | None]:
    """Makes one direction after the other, each with a chance of its own, the last seed first.

    ``duplicate``: how often a frame of the lossy cable comes twice, for a dialect that must stand that.
    """
    streams = [random.Random(seed) for seed in seeds]

    def cable() -> Cable | None:
        stream = streams.pop()
        if name == "clean":
            return None
        if name == "one byte at a time":
            byte_s = _BITS_PER_BYTE / baud
            return Cable(stream=stream, one_byte_at_a_time=True, byte_s=byte_s)
        if name == "lossy":
            return Cable(stream=stream, loss=0.02, corrupt=0.02, duplicate=duplicate)
        return Cable(stream=stream, delay_s=0.05, jitter_s=0.1)

    return cable
