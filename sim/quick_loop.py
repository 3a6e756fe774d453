"""A loop on which bytes reach a simulated pump without a detour.

asyncio puts every descriptor that can be read on a list, and works the list off afterwards; of a short
exchange, that is a third.  Here a reader added by `add_reader` is called where the wait for it ends, and
the wait goes on, unless something else has become due meanwhile.  All else is asyncio's own.

Answerable for nothing but that: who reads, and what a pump answers, is not its affair.  Linux only (it
needs epoll); elsewhere, and in scaled time, `firmware_bridge.clock.new_loop` does.
"""

from __future__ import annotations

import asyncio
import select
import selectors
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVarTuple, Unpack

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

Ts = TypeVarTuple("Ts")

AVAILABLE = hasattr(select, "epoll")

_AT_ONCE = 64
"""Descriptors that one wait tells of; the next wait tells of the others."""


class QuickLoop(asyncio.SelectorEventLoop):
    """To be used where `AVAILABLE`."""

    def __init__(self) -> None:
        self.news = False
        """Something was scheduled since a reader was last called."""
        self._readers = _Readers(self)
        super().__init__(self._readers)

    def add_reader(
        self, fd: FileDescriptorLike, callback: Callable[[Unpack[Ts]], Any], *args: *Ts
    ) -> None:
        """As asyncio's; one of a plain descriptor without arguments is called without a detour."""
        super().add_reader(fd, callback, *args)
        if isinstance(fd, int):
            self._readers.quick.pop(fd, None)
            if not args:
                self._readers.quick[fd] = callback

    def remove_reader(self, fd: FileDescriptorLike) -> bool:
        """As asyncio's."""
        if isinstance(fd, int):
            self._readers.quick.pop(fd, None)
        return super().remove_reader(fd)

    # -- whatever may make the wait end sooner ------------------------------------------------------

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """As asyncio's."""
        self.news = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        self.news = True
        return super().call_at(when, callback, *args, context=context)

    def stop(self) -> None:
        """As asyncio's."""
        self.news = True
        super().stop()


class _Readers(selectors.BaseSelector):
    """Waits by epoll.  ``quick``: whom it calls itself, by descriptor."""

    def __init__(self, loop: QuickLoop) -> None:
        self.quick: dict[int, Callable[[], object]] = {}
        self._loop = loop
        self._epoll = select.epoll()
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(
        self,
        fileobj: FileDescriptorLike,
        events: int,
        data: Any = None,  # noqa: ANN401  # as in selectors
    ) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if fd in self._keys:
            raise KeyError(f"{fileobj!r} is registered already")
        key = selectors.SelectorKey(fileobj, fd, events, data)
        wanted = select.EPOLLIN if events & selectors.EVENT_READ else 0
        wanted |= select.EPOLLOUT if events & selectors.EVENT_WRITE else 0
        self._epoll.register(fd, wanted)
        self._keys[fd] = key
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys.pop(fd)
        try:
            self._epoll.unregister(fd)
        except OSError:
            return key  # it was closed before, which is as good
        return key

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._keys  # type: ignore[return-value]  # by descriptor, which is what asyncio asks by

    def close(self) -> None:
        self._keys.clear()
        self.quick.clear()
        self._epoll.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait until something is to be done that is no quick reader's affair."""
        loop, poll, quick = self._loop, self._epoll.poll, self.quick
        until = None if timeout is None else loop.time() + timeout
        while True:
            found = poll(timeout, _AT_ONCE)
            if len(found) != 1:
                break
            [(fd, events)] = found
            reader = quick.get(fd)
            if reader is None or events != select.EPOLLIN:
                break
            loop.news = False
            self._call(reader)
            if loop.news:
                return []
            if until is not None:
                timeout = until - loop.time()
                if timeout <= 0:
                    return []
        told = (self._told(fd, events) for fd, events in found)
        return [one for one in told if one is not None]

    def _told(self, fd: int, events: int) -> tuple[selectors.SelectorKey, int] | None:
        key = self._keys.get(fd)
        if key is None:
            return None
        both = selectors.EVENT_READ if events & ~select.EPOLLOUT else 0
        both |= selectors.EVENT_WRITE if events & ~select.EPOLLIN else 0
        return key, both & key.events

    def _call(self, reader: Callable[[], object]) -> None:
        """What goes wrong in it is told as asyncio tells it, and ends nothing."""
        try:
            reader()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  # whatever a callback raises, as in asyncio
            message = f"Exception in callback {reader!r}"
            self._loop.call_exception_handler({"message": message, "exception": error})
