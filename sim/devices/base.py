"""What every simulated pump offers to the shell that puts it on a transport, and the two clocks.

Outside, time is the running loop's seconds; inside, whole nanoseconds.  A device knows neither clock
nor port: it is told the time, and answers with bytes and how long to hold them back.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nextafter
from typing import Protocol

from sim.faults.parameters import FaultValue
from sim.mechanics import Truth

NS_PER_S = 1_000_000_000

Reply = tuple[float, bytes]
"""A frame from the pump, and the seconds from now after which it leaves."""


def unheard(_command: str) -> None:
    """What listens to a pump's commands when nobody does."""


class Device(Protocol):
    """A pump without a port.  ``now`` is the loop's time in seconds and never runs backwards."""

    on_command: Callable[[str], None]
    """Told the name of each command before it is obeyed: whoever breaks a pump listens here."""

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """What the pump answers to these bytes; any split of a stream gives the same answers."""

    def next_event(self, now: float) -> float | None:
        """When `advance` has something to do, or ``None``."""

    def advance(self, now: float) -> list[Reply]:
        """It is ``now``; returns what the pump says unasked."""

    def truth(self) -> Truth:
        """What the plunger really did, up to the last `feed` or `advance`."""

    def power_cycle(self, now: float) -> list[Reply]:
        """Mains off and on again: what is volatile is gone."""

    def inject(self, kind: str, now: float, **parameters: FaultValue) -> list[Reply]:
        """The fault is there; raises `sim.faults.parameters.FaultError` for one this device does not have."""

    def clear(self, kind: str | None, now: float) -> list[Reply]:
        """The fault is gone; ``None`` clears all of them."""


def to_ns(seconds: float) -> int:
    """The instant in whole nanoseconds, to the nearest."""
    return round(seconds * NS_PER_S)


def to_s_up(ns: int) -> float:
    """The smallest loop time that `to_ns` takes to ``ns`` or later: a timer set to it is never early."""
    seconds = ns / NS_PER_S
    while round(seconds * NS_PER_S) < ns:
        seconds = nextafter(seconds, inf)
    return seconds
