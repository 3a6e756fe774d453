"""A thread that stops the pump when the event loop does not turn any more.

The loop has to show a sign of life several times within the patience.  If none comes, the thread writes
STOP to the port itself, again and again until the loop turns; then the loop is told, and stops the pump
properly.  This is the one place where wall time decides, because a blocked loop has no time of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from firmware_bridge.clock import speed_of
from firmware_bridge.errors import BridgeError

PATIENCE_S = 1.5
"""Wall time without a sign of life after which the pump is stopped.  The open driver-assistance safety
firmware panda allows 0.375 s; ours leaves room for a slow disk and stays below the shortest usual lease."""

_SIGNS_PER_PATIENCE = 5


class Watchdog:
    """Watches ``loop`` from `start` to `stop`.

    ``write_stop`` is called in the thread and must take no lock; ``tripped`` is called in the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        write_stop: Callable[[], None],
        tripped: Callable[[str], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._loop = loop
        self._write_stop = write_stop
        self._tripped = tripped
        self._patience_s = patience_s
        self._alive = threading.Event()
        self._over = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin; called in the loop."""
        self._show_life()
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the thread; called in the loop."""
        if self._timer is not None:
            self._timer.cancel()
        self._over.set()
        self._alive.set()
        self._thread.join()

    def _show_life(self) -> None:
        self._alive.set()
        wait_s = self._patience_s / _SIGNS_PER_PATIENCE * speed_of(self._loop)
        self._timer = self._loop.call_later(wait_s, self._show_life)

    def _watch(self) -> None:
        while not self._over.is_set():
            self._alive.clear()
            if self._alive.wait(self._patience_s):
                self._over.wait(self._patience_s / _SIGNS_PER_PATIENCE)
                continue
            self._bark()

    def _bark(self) -> None:
        with contextlib.suppress(BridgeError):  # no port, no pump to stop; the loop will find out
            self._write_stop()
        try:
            self._loop.call_soon_threadsafe(
                self._tripped, f"the event loop was blocked for {self._patience_s:g} s"
            )
        except RuntimeError:
            self._over.set()  # the loop is closed: there is nothing left to watch
