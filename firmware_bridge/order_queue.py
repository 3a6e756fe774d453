"""Orders that wait for their turn at the pump: so many and no more, and none of them outlives a stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from firmware_bridge.messages import Code
from firmware_bridge.orders import Order, refused
from firmware_bridge.upstream import Upstream

ORDERS_WAITING_MAX = 16
"""More orders than a controller that awaits its answers ever has open."""


class OrderQueue:
    """First come, first served; whoever is refused hears it through ``upstream``."""

    def __init__(self, upstream: Upstream, now: Callable[[], float]) -> None:
        self._upstream = upstream
        self._now = now
        self._waiting: deque[tuple[Order, float]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, order: Order) -> bool:
        """Whether it waits now; one that finds no room is refused."""
        if len(self._waiting) >= ORDERS_WAITING_MAX:
            self.refuse(order, f"{ORDERS_WAITING_MAX} orders are waiting already")
            return False
        self._waiting.append((order, self._now()))
        return True

    def take(self) -> tuple[Order, float]:
        """The next one, and when it came."""
        return self._waiting.popleft()

    def refuse(self, order: Order, reason: str) -> None:
        """It will not be carried out."""
        self._upstream.answer(refused(order, Code.WRONG_STATE, reason))

    def refuse_all(self, reason: str) -> None:
        """None of those that wait will be carried out."""
        while self._waiting:
            self.refuse(self._waiting.popleft()[0], reason)
