"""An asyncio loop whose clock jumps to the next timer, and `run_virtual`, which runs a coroutine on it.

Theory.  Time is an integer number of nanoseconds and stands still while callbacks run.  When nothing is
ready, it jumps to the earliest timer.  Two timers are due together exactly when their integers are
equal; they then become ready in order of (deadline, creation number).  Among callbacks that are ready
together the next one is drawn from a seeded stream, because an order that only ever came out one way in
tests is a promise nobody made.  The stream is used through ``random()`` alone, the one method whose
values the standard library promises to keep between versions, so a seed means the same order
everywhere and for every PYTHONHASHSEED.

`VirtualLoop.time` is never below the deadline of a timer that fires, and a delay above zero always
moves time.  A pure session that asked to be woken at 0.1 + 0.2 would otherwise be woken at 0.3, find
nothing due, ask again, and spin.

The loop raises instead of hanging: nothing left to wait for, time standing still, time running past
its budget, and any reach for a file descriptor, a thread, a process or a signal.  A synchronous endless
loop is not visible from inside; whoever starts many runs watches the wall clock.

This is the hot loop of rehearsals and campaigns: ``_run_once`` replaces asyncio's, so no selector is
polled.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import selectors
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack

from sim.virtual_handles import Soon, Timer
from sim.virtual_refusals import (
    REFUSED,
    BudgetExceeded,
    Deadlock,
    LeftBehind,
    Livelock,
    RealTimeRefused,
    Unhandled,
    VirtualTimeError,
    call_site,
    refusal,
    waiting_at,
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

NS_PER_S = 1_000_000_000
EPOCH_MS = (
    1_767_225_600_000  # 2026-01-01T00:00:00Z: the label of virtual time zero, the same in every run
)

ITERATIONS_AT_ONE_INSTANT = 10_000
"""Rounds without time moving; more than any honest cascade needs, and a livelock beyond."""

_ITERATIONS_WATCHED = 100  # the last rounds before that, in which callbacks are counted by name
_TEARDOWN_S = 3600.0  # for cancelled tasks to end in, when the run has been judged already
_DEAD_TIMERS_KEPT = 64  # cancelled timers are swept when there are more, and half of all


class _NoFiles(selectors.BaseSelector):
    """The selector that asyncio's constructor insists on; nothing can be registered with it."""

    def register(self, fileobj: Any, events: int, data: Any = None) -> NoReturn:  # noqa: ANN401 - as in the base
        del fileobj, events, data
        raise RealTimeRefused(0.0, f"file descriptors are refused, called from {call_site()}")

    def unregister(self, fileobj: Any) -> NoReturn:  # noqa: ANN401 - as in the base
        raise KeyError(fileobj)

    def select(self, timeout: float | None = None) -> list[Any]:
        del timeout
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module.  ``seed`` fixes the order among ready callbacks; ``budget_s`` bounds the time."""

    speed = 1.0
    wall_epoch_ms = EPOCH_MS
    _stopping: bool

    def __init__(self, seed: int = 0, *, budget_s: float | None = None) -> None:
        super().__init__(_NoFiles())
        self._clock_resolution = 1 / NS_PER_S
        self._draw = random.Random(f"{seed}:schedule").random  # noqa: S311 - must be reproducible
        self._owner = threading.get_ident()
        self._now_ns = 0
        self._now = 0.0
        self._budget_ns: int | None = None
        if budget_s is not None:
            self._budget_ns = round(budget_s * NS_PER_S)
        self._ready: list[Soon | Timer] = []
        self._timers: list[tuple[int, int, float, Timer]] = []
        self._timers_made = 0
        self._timers_dead = 0
        self._at_instant = 0
        self._seen: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[Any]] = []
        self._tasks_pruned_at = 64
        self.iterations = 0
        self.reordered = 0
        self.unhandled: list[tuple[str, BaseException | None]] = []

    # The clock

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def time_ns(self) -> int:
        """Virtual time as the exact integer, for whoever keeps a trace."""
        return self._now_ns

    def allow(self, further_s: float) -> None:
        """Grant that much virtual time from now on, and a fresh count of iterations."""
        self._budget_ns = self._now_ns + round(further_s * NS_PER_S)
        self._at_instant = 0
        self._seen.clear()

    # Scheduling

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = Soon(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """As `call_soon`; raises `RealTimeRefused` when another thread calls it."""
        if threading.get_ident() != self._owner:
            raise RealTimeRefused(
                self._now, f"a call from another thread is refused, made at {call_site()}"
            )
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        delay_ns = round(delay * NS_PER_S)
        when_ns = self._now_ns + (1 if delay > 0 and delay_ns == 0 else delay_ns)
        return self._schedule(when_ns, when_ns / NS_PER_S, callback, args, context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self._schedule(round(when * NS_PER_S), when, callback, args, context)

    def _schedule(
        self,
        when_ns: int,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> asyncio.TimerHandle:
        timer = Timer(when, callback, args, self, context, self._timer_died)
        self._timers_made = number = self._timers_made + 1
        heappush(self._timers, (when_ns, number, when, timer))
        return timer

    def _timer_died(self) -> None:
        """A waiting timer was cancelled; keeps the heap from filling with such."""
        self._timers_dead += 1
        if self._timers_dead > _DEAD_TIMERS_KEPT and 2 * self._timers_dead > len(self._timers):
            self._timers[:] = [entry for entry in self._timers if not entry[3].cancelled()]
            heapify(self._timers)
            self._timers_dead = 0

    # Running

    def _run_once(self) -> None:
        """One round: jump if nothing is ready, then run what is ready now, in seeded order."""
        self.iterations += 1
        self._at_instant += 1
        if not self._ready and not self._stopping:
            self._jump()
        if self._at_instant > ITERATIONS_AT_ONE_INSTANT - _ITERATIONS_WATCHED:
            self._watch_for_livelock()
        self._collect_due()
        batch, self._ready = self._ready, []
        try:
            while batch:
                pick = 0
                if len(batch) > 1:
                    pick = int(self._draw() * len(batch))
                    if pick:
                        self.reordered += 1
                handle = batch.pop(pick)
                try:
                    handle.fire()
                except Exception as error:  # noqa: BLE001 - as asyncio does: reported, and raised at the end
                    self._report(handle, error)
        finally:
            if batch:
                self._ready[:0] = batch

    def _jump(self) -> None:
        """Move time to the earliest live timer.  Raises `Deadlock`, `BudgetExceeded`."""
        timers = self._timers
        while timers and timers[0][3].cancelled():
            heappop(timers)
            self._timers_dead -= 1
        if not timers:
            raise Deadlock(self._now, f"nothing is ready and no timer is set; {self._who_waits()}")
        when_ns = timers[0][0]
        if when_ns <= self._now_ns:
            return
        if self._budget_ns is not None and when_ns > self._budget_ns:
            budget_s = self._budget_ns / NS_PER_S
            raise BudgetExceeded(self._now, f"the budget is {budget_s:.9g} s; {self._who_waits()}")
        self._now_ns = when_ns
        self._now = when_ns / NS_PER_S
        self._at_instant = 0

    def _collect_due(self) -> None:
        timers, now_ns = self._timers, self._now_ns
        while timers and timers[0][0] <= now_ns:
            _, _, when, timer = heappop(timers)
            timer.waiting = False
            if timer.cancelled():
                self._timers_dead -= 1
                continue
            if when > self._now:  # the float that was asked for may lie just above the integer's
                self._now = when
            self._ready.append(timer)

    def _watch_for_livelock(self) -> None:
        due = [entry[3] for entry in self._timers if entry[0] <= self._now_ns]
        self._seen.update(repr(handle) for handle in (self._ready + due)[:_ITERATIONS_WATCHED])
        if self._at_instant > ITERATIONS_AT_ONE_INSTANT:
            kept = "; ".join(sorted(f"{n} x {what}" for what, n in self._seen.most_common(5)))
            raise Livelock(
                self._now,
                f"{ITERATIONS_AT_ONE_INSTANT} rounds without time moving; running: {kept}",
            )

    def _report(self, handle: asyncio.Handle, error: BaseException) -> None:
        self.call_exception_handler(
            {"message": "exception in a callback", "exception": error, "handle": handle}
        )

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Remember instead of logging; `run_virtual` raises at the end."""
        self.unhandled.append((context["message"], context.get("exception")))

    # Tasks

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        **kwargs: Any,  # noqa: ANN401 - name, context and whatever later versions of Python add
    ) -> asyncio.Task[T]:
        """As ever, but a task without a name is called after its coroutine and its creation site."""
        if kwargs.get("name") is None:
            kwargs["name"] = f"{getattr(coro, '__qualname__', coro)} made at {call_site()}"
        task: asyncio.Task[T] = super().create_task(coro, **kwargs)
        self._tasks.append(task)
        if len(self._tasks) > self._tasks_pruned_at:
            self._tasks = [t for t in self._tasks if not t.done() or _unretrieved(t)]
            self._tasks_pruned_at = 64 + 2 * len(self._tasks)
        return task

    def pending_tasks(self) -> list[asyncio.Task[Any]]:
        """Tasks that have not ended, in order of creation."""
        return [task for task in self._tasks if not task.done()]

    def complaints(self) -> list[tuple[str, BaseException | None]]:
        """Everything that went wrong and reached nobody: callbacks, futures, tasks."""
        failed = [(t.get_name(), t.exception()) for t in self._tasks if _unretrieved(t)]
        return self.unhandled + failed

    def live_timers(self) -> list[str]:
        """What would still have happened, earliest first."""
        return [
            f"{when:.9g} s: {t!r}" for _, _, when, t in sorted(self._timers) if not t.cancelled()
        ]

    def _who_waits(self) -> str:
        waiting = [waiting_at(task) for task in self.pending_tasks()]
        return f"{len(waiting)} tasks wait: " + "; ".join(waiting)

    # Asyncio's self-pipe would be a file descriptor; nothing outside this thread ever wakes the loop.

    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


for _name in REFUSED:
    setattr(VirtualLoop, _name, refusal(_name))


def _unretrieved(task: asyncio.Task[Any]) -> bool:
    """True when the task has failed and nobody has looked at its exception yet."""
    return task.done() and task._log_traceback  # noqa: SLF001 - asking in public marks it as retrieved


@dataclass(frozen=True, slots=True)
class VirtualReport:
    """How a run went: seconds simulated, rounds of the loop, picks that were not first-in-first-out."""

    virtual_s: float
    iterations: int
    reordered: int
    timers_left: tuple[str, ...]


def run_virtual(
    main: Callable[[], Coroutine[Any, Any, T]], *, seed: int = 0, budget_s: float | None = None
) -> tuple[T, VirtualReport]:
    """The result of ``main()`` run in virtual time, and how it went.

    Raises what ``main`` raises; `Deadlock`, `Livelock` and `BudgetExceeded` out of the loop; and, after
    ``main`` returned, `Unhandled` and `LeftBehind`.  Every task has been cancelled when it returns.
    """
    loop = VirtualLoop(seed, budget_s=budget_s)
    try:
        try:
            result = loop.run_until_complete(loop.create_task(main(), name="main"))
        except BaseException as error:
            for what, cause in loop.complaints():
                error.add_note(f"also unhandled: {what}: {cause!r}")
            raise
        report = VirtualReport(
            loop.time(), loop.iterations, loop.reordered, tuple(loop.live_timers())
        )
        _judge(loop)
    finally:
        _tear_down(loop)
    return result, report


def _judge(loop: VirtualLoop) -> None:
    complaints = loop.complaints()
    left = [waiting_at(task) for task in loop.pending_tasks()]
    if complaints:
        said = "; ".join(f"{what}: {cause!r}" for what, cause in complaints)
        causes = tuple(cause for _, cause in complaints if cause is not None)
        left_too = f"; left running: {'; '.join(left)}" if left else ""
        raise Unhandled(loop.time(), f"unhandled: {said}{left_too}", causes) from next(
            iter(causes), None
        )
    if left:
        raise LeftBehind(loop.time(), f"{len(left)} tasks still ran: {'; '.join(left)}")


def _tear_down(loop: VirtualLoop) -> None:
    """Cancel what is left, in order of creation, and close; what stands in the way no longer matters."""
    try:
        loop.allow(_TEARDOWN_S)
        pending = loop.pending_tasks()
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    except VirtualTimeError:
        pass  # the run has been judged already; a task that swallows cancellation is part of that
    finally:
        loop.close()
