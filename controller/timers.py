"""Named timers on the running loop: the only place where a visit's waiting is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """Calls ``fired(name)`` after the seconds asked for; a name stands for one timer at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fired: Callable[[str], None]) -> None:
        self._loop = loop
        self._fired = fired
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def start(self, name: str, seconds: float) -> None:
        """Fire ``name`` after ``seconds``, instead of when it was set to fire before."""
        self.cancel(name)
        self._handles[name] = self._loop.call_later(seconds, self._fire, name)

    def cancel(self, name: str) -> None:
        """Forget ``name``; nothing happens when there is no such timer."""
        handle = self._handles.pop(name, None)
        if handle is not None:
            handle.cancel()

    def cancel_all(self) -> None:
        """Forget every timer."""
        for name in list(self._handles):
            self.cancel(name)

    def _fire(self, name: str) -> None:
        del self._handles[name]
        self._fired(name)
