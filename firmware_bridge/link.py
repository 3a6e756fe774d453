"""A pump on a port: programs of one dialect, run one after the other over one transport.

A thin shell: the order of steps is `conversation`'s, what is said is the dialect's.  This module owns
the timer, the queue of callers, and what happens when the port is lost or a STOP pushes in.

No task per exchange: bytes and timers arrive as callbacks of the running loop, and each program costs
one future.  All methods belong to the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from firmware_bridge.conversation import Conversation, PushedAside
from firmware_bridge.dialect import Frame, HostDialect, Program, Reading
from firmware_bridge.errors import Disconnected, LinkError, PumpRefused
from firmware_bridge.transports.base import Transport

QUEUE_MAX = 16
"""Programs that may wait.  One caller a second is usual; more than this many wait for nothing."""

T = TypeVar("T")


class _Job(Generic[T]):
    """A program and the future of whoever waits for it."""

    __slots__ = ("future", "program")

    def __init__(self, program: Program[T], future: asyncio.Future[T]) -> None:
        self.program = program
        self.future = future


class PumpLink:
    """Runs programs over ``transport``, one at a time, in the order in which they were asked for."""

    def __init__(
        self,
        transport: Transport,
        dialect: HostDialect,
        loop: asyncio.AbstractEventLoop,
        *,
        on_unsolicited: Callable[[Frame], None] | None = None,
        on_lost: Callable[[Disconnected], None] | None = None,
    ) -> None:
        """Takes over ``transport`` and starts it.

        ``on_unsolicited`` gets frames that answered nothing, after everything else has been settled, so
        that it may call `stop_now`; ``on_lost`` is told once when the port has gone by itself.
        """
        self.dialect = dialect
        self._transport = transport
        self._loop = loop
        self._on_unsolicited = on_unsolicited
        self._on_lost = on_lost
        self._conversation = Conversation(dialect)
        self._waiting: deque[_Job[object]] = deque()
        self._current: _Job[object] | None = None
        self._stopping: asyncio.Future[Reading] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._gone: Disconnected | None = None
        transport.start(self._received, self._lost)

    @property
    def name(self) -> str:
        """The port as the operator named it."""
        return self._transport.name

    async def do(self, program: Program[T]) -> T:
        """The result of ``program``, which runs when those before it have ended.

        Raises what the program raises; `Disconnected` after a loss; `PushedAside` when a STOP came
        first; `PumpRefused` when too many wait.  If cancelled while it waits, it is never sent; if
        cancelled while it runs, it runs on to its end unobserved, because a half-done exchange with a
        pump is worse than a finished one.
        """
        if self._gone is not None:
            raise Disconnected(self._gone.port, self._gone.what)
        if len(self._waiting) >= QUEUE_MAX:
            raise PumpRefused("request", f"{QUEUE_MAX} requests to the pump are waiting already")
        future: asyncio.Future[T] = self._loop.create_future()
        job = cast("_Job[object]", _Job(program, future))  # the ending is typed by the program
        if self._current is None:
            self._begin(job, sent=b"")
        else:
            self._waiting.append(job)
        return await future

    def stop_now(self) -> None:
        """A STOP is on its way before this returns, ahead of everything not yet in transmission.

        Synchronous.  The program under way is abandoned and those waiting are refused, both with
        `PushedAside` (a start whose RUN was out ends as uncertain); the dialect's stop program runs
        next, with this STOP as its first step.  While it runs, a further call only sends one more STOP.
        Raises `Disconnected` when the port is gone.
        """
        self._send_stop()

    async def stop(self) -> Reading:
        """The pump has been stopped and stands still, by its own status and counters.

        Joins a stop that is under way, else begins one as `stop_now` does.  Cancelling does not end it.
        Raises `NoAnswer` when the pump did not confirm; `Disconnected`.
        """
        return await asyncio.shield(self._stopping or self._send_stop())

    def close(self) -> None:
        """Release the port.  Idempotent; whatever was under way or waiting ends as `Disconnected`."""
        self._transport.close()
        self._fail(Disconnected(self.name, "closed"))

    # --- callbacks --------------------------------------------------------------------------------

    def _received(self, data: bytes) -> None:
        if self._gone is not None:
            return
        self._go_on(self._conversation.receive(data, self._loop.time()))
        self._pass_on_unsolicited()

    def _pass_on_unsolicited(self) -> None:
        if self._conversation.unsolicited:
            frames, self._conversation.unsolicited = self._conversation.unsolicited, []
            if self._on_unsolicited is not None:
                for frame in frames:
                    self._on_unsolicited(frame)

    def _fired(self) -> None:
        self._timer = self._timer_at = None
        self._go_on(self._conversation.on_timer(self._loop.time()))
        self._pass_on_unsolicited()

    def _lost(self, cause: Exception | None) -> None:
        if self._gone is not None:
            return
        what = "closed by the other side" if cause is None else f"lost: {cause}"
        gone = Disconnected(self.name, what)
        gone.__cause__ = cause
        self._fail(gone)
        if self._on_lost is not None:
            self._on_lost(gone)

    # --- the one program under way ----------------------------------------------------------------

    def _send_stop(self) -> asyncio.Future[Reading]:
        """See `stop_now`; returns the future of the stop that is under way from now on."""
        frame = self.dialect.stop_frame()
        try:
            self._transport.write_now(frame)
        except LinkError as error:
            self._fail(error)
            raise
        if self._stopping is not None:
            return self._stopping
        stopping: asyncio.Future[Reading] = self._loop.create_future()
        stopping.add_done_callback(_observed)
        self._stopping = stopping
        self._push_aside(PushedAside(self.name, "a stop came first"))
        self._begin(cast("_Job[object]", _Job(self.dialect.stop(), stopping)), sent=frame)
        return stopping

    def _begin(self, job: _Job[object], *, sent: bytes) -> None:
        self._current = job
        self._go_on(self._conversation.begin(job.program, self._loop.time(), sent=sent))

    def _go_on(self, outgoing: bytes) -> None:
        """Send, hand out endings, begin what waits, set the timer."""
        while True:
            if outgoing:
                try:
                    self._transport.write(outgoing)
                except LinkError as error:
                    self._fail(error)
                    return
            if not self._hand_out():
                break
            following = self._next()
            if following is None:
                break
            self._current = following
            outgoing = self._conversation.begin(following.program, self._loop.time())
        self._set_timer(self._conversation.wake_at())

    def _hand_out(self) -> bool:
        """Whether a program has ended; its caller has been told."""
        ended = self._conversation.take_ended()
        job = self._current
        if ended is None or job is None:
            return False
        self._current = None
        if job.future is self._stopping:
            self._stopping = None
        if not job.future.done():
            if ended.error is None:
                job.future.set_result(ended.value)
            else:
                job.future.set_exception(ended.error)
        return True

    def _next(self) -> _Job[object] | None:
        """The next program that somebody still waits for."""
        while self._waiting:
            job = self._waiting.popleft()
            if not job.future.done():
                return job
            job.program.close()
        return None

    def _push_aside(self, error: LinkError) -> None:
        """The current program has been abandoned, and every waiting one ended, with ``error``."""
        self._conversation.abandon(error)
        self._hand_out()
        while self._waiting:
            job = self._waiting.popleft()
            job.program.close()
            if not job.future.done():
                job.future.set_exception(type(error)(error.port, error.what))

    def _fail(self, error: LinkError) -> None:
        """The port is of no use any more."""
        if self._gone is not None:
            return
        self._gone = (
            error if isinstance(error, Disconnected) else Disconnected(error.port, error.what)
        )
        self._set_timer(None)
        self._push_aside(self._gone)

    def _set_timer(self, at: float | None) -> None:
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = at
        if at is not None:
            self._timer = self._loop.call_at(at, self._fired)


def _observed(future: asyncio.Future[Reading]) -> None:
    """A stop that nobody waited for still has an owner: its failure is not a forgotten exception."""
    future.exception()
