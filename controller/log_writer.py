"""Gets log lines into their storage: inline where that is quick, on a thread of its own where it syncs.

A synced write takes 0.2 ms as a rule and 10 ms at its worst hundredth, and a dying disk takes for ever;
none of that may hold up the loop that drives a pump.  Lines that nobody waits for are written and
synced together, at most `GROUP_S` after they came.  Not answerable for what the lines hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from controller.log_storage import Storage

GROUP_S = 1.0
"""Wall seconds for which lines without a waiter may be collected before they are synced."""

PENDING_BYTES_MAX = 16 * 2**20
"""More than this waiting for the disk means that the disk hangs: hours of records, not a bad moment."""

CLOSE_S = 5.0
"""Wall seconds for which closing waits for the disk."""


class LogWriteFailed(OSError):
    """The log could not be written; nothing after this is on the disk."""


class Writer(Protocol):
    """Takes lines in order.  ``written`` and ``durable`` count lines handed to ``put`` so far."""

    written: int
    durable: int
    failure: OSError | None

    def put(self, line: bytes, *, urgent: bool) -> None:
        """Take a line; ``urgent`` ones are synced as soon as the storage can.  Never raises."""

    async def until_durable(self, count: int) -> None:
        """Return when the first ``count`` lines are durable; raises `LogWriteFailed` if they cannot."""

    def close(self) -> None:
        """Write what is left and release the storage.  Idempotent."""


class InlineWriter:
    """Writes at once, on the caller's own thread: for storages that need no waiting."""

    def __init__(
        self,
        storage: Storage,
        on_written: Callable[[], None],
        on_failure: Callable[[OSError], None],
    ) -> None:
        self._storage = storage
        self._on_written = on_written
        self._on_failure = on_failure
        self.written = 0
        self.durable = 0
        self.failure: OSError | None = None

    def put(self, line: bytes, *, urgent: bool) -> None:
        if self.failure is not None:
            return
        try:
            self._storage.write(line)
            self.written += 1
            if urgent:
                self._sync()
        except OSError as error:
            self._fail(error)
            return
        self._on_written()

    async def until_durable(self, count: int) -> None:
        if count <= self.durable:
            return
        if self.failure is None:
            try:
                self._sync()
            except OSError as error:
                self._fail(error)
        if count > self.durable:
            raise LogWriteFailed(f"{self._storage.name}: {self.failure}") from self.failure

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._storage.close()

    def _sync(self) -> None:
        self._storage.sync()
        self.durable = self.written

    def _fail(self, error: OSError) -> None:
        self.failure = error
        self._on_failure(error)


class ThreadWriter:
    """Writes on one thread of its own.

    ``on_written`` is called on that thread; ``on_failure`` on the loop that was running when this was
    made.
    """

    def __init__(
        self,
        storage: Storage,
        on_written: Callable[[], None],
        on_failure: Callable[[OSError], None],
    ) -> None:
        self._storage = storage
        self._on_written = on_written
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._urgent = False
        self._closing = False
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []  # the loop's thread only
        self.written = 0
        self.durable = 0
        self.failure: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="session log", daemon=True)
        self._thread.start()

    def put(self, line: bytes, *, urgent: bool) -> None:
        with self._changed:
            if self.failure is not None or self._closing:
                return
            if self._pending_bytes + len(line) > PENDING_BYTES_MAX:
                self._fail(OSError(f"the disk hangs: {self._pending_bytes} bytes wait for it"))
                return
            first = not self._pending
            self._pending.append(line)
            self._pending_bytes += len(line)
            self._urgent |= urgent
            if first or urgent:  # the others travel with a group whose time is running already
                self._changed.notify()

    async def until_durable(self, count: int) -> None:
        if count <= self.durable:
            return
        if self.failure is None:
            done = self._loop.create_future()
            self._waiting.append((count, done))
            self._hurry()
            if count > self.durable and self.failure is None:
                await done
        if count > self.durable:
            cause = self.failure
            raise LogWriteFailed(f"{self._storage.name}: {cause}") from cause

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_S)

    def _hurry(self) -> None:
        with self._changed:
            self._urgent = True
            self._changed.notify()

    def _run(self) -> None:
        try:
            while lines := self._next_group():
                self._storage.write(b"".join(lines))
                self.written += len(lines)
                self._storage.sync()
                self.durable = self.written
                self._tell(self._wake)
                self._on_written()
        except OSError as error:
            with self._changed:
                self._fail(error)
        finally:
            with contextlib.suppress(OSError):
                self._storage.close()

    def _next_group(self) -> list[bytes]:
        """The lines to write next; none when it is time to end."""
        with self._changed:
            while not self._closing and self.failure is None:
                if self._urgent and self._pending:
                    break
                if not self._changed.wait(GROUP_S if self._pending else None) and self._pending:
                    break
            if self.failure is not None:
                return []
            lines = list(self._pending)
            self._pending.clear()
            self._pending_bytes = 0
            self._urgent = False
            return lines

    def _fail(self, error: OSError) -> None:
        """Nothing more is written.  The caller holds the lock."""
        self.failure = error
        self._pending.clear()
        self._pending_bytes = 0
        self._changed.notify()
        self._tell(self._report, error)

    def _report(self, error: OSError) -> None:
        self._wake()
        self._on_failure(error)

    def _wake(self) -> None:
        """Everybody whose lines are durable, or never will be, goes on."""
        still: list[tuple[int, asyncio.Future[None]]] = []
        for count, done in self._waiting:
            if count > self.durable and self.failure is None:
                still.append((count, done))
            elif not done.done():
                done.set_result(None)
        self._waiting = still

    def _tell(self, call: Callable[..., None], *arguments: OSError) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(call, *arguments)
