"""The queue in front of the one consumer of a visit: events wait in order and are taken one at a time.

A turn of the loop takes a bounded number of them; what is left waits for the next turn.  Not answerable
for what an event leads to (`controller.runner`).  Belongs to the loop's own thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from controller.procedure.events import Event

DRAIN_MAX = 64
"""Events taken per turn of the loop, so that a flood of them cannot starve timers and I/O."""


class EventQueue:
    """Gives ``take`` one event after the other; ``caught_up`` is called when none is left.

    ``waits`` says that nothing may be taken now; whoever ends that calls `go_on`.  ``over`` says that
    nothing will be taken any more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        take: Callable[[Event], None],
        *,
        waits: Callable[[], bool],
        over: Callable[[], bool],
        caught_up: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._take = take
        self._waits = waits
        self._over = over
        self._caught_up = caught_up
        self._events: deque[Event] = deque()
        self._draining = False

    def __len__(self) -> int:
        """How many events wait."""
        return len(self._events)

    def put(self, event: Event) -> None:
        """It will be taken behind those that wait; not at all once everything is over."""
        if not self._over():
            self._events.append(event)
            self.go_on()

    def put_first(self, event: Event) -> None:
        """It will be taken before those that wait."""
        if not self._over():
            self._events.appendleft(event)
            self.go_on()

    def keep_only(self, kinds: tuple[type[Event], ...]) -> None:
        """Of what waits, only these kinds go on waiting."""
        kept = [event for event in self._events if isinstance(event, kinds)]
        self._events.clear()
        self._events.extend(kept)

    def go_on(self) -> None:
        """Whatever waits is taken in the next turn of the loop."""
        if self._events and not self._draining and not self._over():
            self._draining = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._draining = False
        for _ in range(DRAIN_MAX):
            if not self._events or self._over():
                break
            if self._waits():
                return
            self._take(self._events.popleft())
        self.go_on()
        if not self._events:
            self._caught_up()
