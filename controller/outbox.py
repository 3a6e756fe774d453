"""Intent before act: a command that can move drug leaves only when its intent is durable in the log.

The decision that asked for it is long over by then, so whatever happened in between counts: a stop
voids everything that has not left yet.  A stop itself never comes here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context

from controller.event_log import EventLog
from controller.log_writer import LogWriteFailed

Send = Callable[[], None]
Void = Callable[[str], None]


class Outbox:
    """Sends in order, each entry once the record with its ``seq`` survives a crash."""

    def __init__(self, log: EventLog, *, durable: bool) -> None:
        """``durable`` False (virtual time): records are where they belong as soon as appended."""
        self._log = log
        self._durable = durable
        self._waiting: deque[tuple[int, Send, Void]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._failed: Callable[[str], None] = lambda _why: None

    def attach(self, failed: Callable[[str], None]) -> None:
        """Call ``failed(why)`` when something could not be sent that was to be."""
        self._failed = failed

    def put(self, seq: int, send: Send, void: Void) -> None:
        """Call ``send`` when record ``seq`` is durable, or ``void(why)`` if it must not leave."""
        if not self._durable:
            if self._log.writable:
                send()
            else:
                void("its intent could not be written to the session log")
            return
        self._waiting.append((seq, send, void))
        if self._task is None or self._task.done():
            # A context of its own: nothing that the caller is in the middle of may leak into it.
            self._task = asyncio.get_running_loop().create_task(self._work(), context=Context())

    def void_all(self, why: str) -> None:
        """Nothing that is still waiting will be sent."""
        while self._waiting:
            self._waiting.popleft()[2](why)

    def close(self) -> None:
        """Stop waiting for the log; what has not left is voided."""
        if self._task is not None:
            self._task.cancel()
        self.void_all("the controller is closing")

    async def _work(self) -> None:
        while self._waiting:
            head = self._waiting[0]
            try:
                await self._log.synced(head[0])
            except LogWriteFailed as failure:
                self.void_all(f"its intent could not be written to the session log: {failure}")
                return
            if self._waiting and self._waiting[0] is head:
                self._waiting.popleft()
                try:
                    head[1]()
                except Exception as error:  # noqa: BLE001 - whatever broke, nothing behind it leaves
                    why = f"sending a command failed: {type(error).__name__}: {error}"
                    self.void_all(why)
                    self._failed(why)
                    return
