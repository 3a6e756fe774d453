"""The callbacks that the virtual loop keeps: ready ones, and ones with a deadline.

Leaner to make than asyncio's own, which look up debug settings each time; otherwise the same to their
holders.  Not answerable for order or time: `sim.virtual_loop` is.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any


class Soon(asyncio.Handle):
    """A callback that is ready."""

    __slots__ = ()
    _callback: Callable[..., object] | None
    _context: contextvars.Context

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False
        self._repr = None
        self._source_traceback = None

    def fire(self) -> None:
        """Run the callback, unless cancelled meanwhile; raises whatever it raises."""
        if not self._cancelled and self._callback is not None:
            self._context.run(self._callback, *self._args)


class Timer(asyncio.TimerHandle):
    """A callback with a deadline; the heap orders entries beside it, so it is never compared.

    ``died`` is called when it is cancelled while ``waiting``, that is, still in the heap.
    """

    __slots__ = ("_died", "waiting")
    _callback: Callable[..., object] | None
    _context: contextvars.Context

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
        died: Callable[[], None],
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._scheduled = False  # asyncio's own heap never holds it
        self._died = died
        self.waiting = True

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._callback = None
            self._args = ()
            if self.waiting:
                self._died()

    def fire(self) -> None:
        """Run the callback, unless cancelled meanwhile; raises whatever it raises."""
        if not self._cancelled and self._callback is not None:
            self._context.run(self._callback, *self._args)
