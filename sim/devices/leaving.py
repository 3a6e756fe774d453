"""When an answer leaves a pump that takes its time: always after the one before it.

Two answers with the same delay would be due at the same instant, and a loop owes no order to those.
"""

from __future__ import annotations

from sim.devices.base import to_ns

APART_NS = 1_000
"""Distance of two answers that would leave together [design]; far below one character at any baud rate."""


def leaving_ns(now_ns: int, delay_s: float, last_ns: int) -> int:
    """The instant at which an answer leaves; ``last_ns``: that of the answer before it."""
    wanted = now_ns + to_ns(delay_s)
    if wanted == now_ns and last_ns <= now_ns:
        return now_ns
    return max(wanted, last_ns + APART_NS)
