"""A transport over a file descriptor that says when it is ready: serial ports, sockets, PTYs, pipes.

Theory.  Frames are kept whole in two queues, STOPs before everything else, with the rest of the frame
that is in transmission before both.  Whoever adds a frame also tries to send, under one rule: the
*pen*.  It is a lock that is only ever tried, never waited for.  Who gets it writes until nothing is
left or the port takes no more, lets go, and looks again; who does not get it leaves, because the holder
will look again.  So `FdTransport.write_now` works from another thread and from a signal handler, even
one that interrupts `write` half-way.

A port whose buffer is full must not hold up a STOP for ever: a tty is then flushed, left silent for
0.6 s, so that the pump gives up the frame that was cut, and written again.  A socket cannot be flushed.

Not answerable for opening (`serial_port`, `stream`) nor for repeating a STOP until the pump confirms.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable

from firmware_bridge.clock import at_least_wall, speed_of
from firmware_bridge.errors import Disconnected, LinkError
from firmware_bridge.transports.base import Lost, Received

READ_BYTES_MAX = 4096  # per readiness, so that a flood cannot starve the loop
WAITING_FRAMES_MAX = 1000  # far more than any session has outstanding
_LAST_READS_MAX = 16  # all that a socket's buffer is likely to hold
_PEN_PATIENCE_S = 0.05  # wall time; the pen is held for one non-blocking system call
WAITING_STOPS_MAX = 8  # a repeated STOP says the same as the one before it

DRAIN_PATIENCE_S = 0.3
"""How long a STOP waits for a full buffer to move before it is flushed: a frame of 300 bytes at 9600 baud."""

SILENCE_S = 0.6
"""After a flush: New Era pumps discard an unfinished packet after 0.5 s (user manual, safe mode)."""


class FdTransport:
    """See `firmware_bridge.transports.base.Transport`.  Owns ``fd``, which becomes non-blocking.

    ``release`` closes whatever owns the descriptor (default: ``os.close``).  ``flush`` throws away what
    the kernel has not sent yet, if the port can do that.  Both may raise ``OSError``.
    """

    def __init__(
        self,
        fd: int,
        name: str,
        loop: asyncio.AbstractEventLoop,
        *,
        release: Callable[[], None] | None = None,
        flush: Callable[[], None] | None = None,
    ) -> None:
        self._fd = fd
        self._name = name
        self._loop = loop
        self._release = release
        self._flush = flush
        self._received: Received | None = None
        self._lost: Lost | None = None
        self._rest = b""  # of the frame in transmission
        self._stops: deque[bytes] = deque(maxlen=WAITING_STOPS_MAX)
        self._frames: deque[bytes] = deque()
        self._pen = threading.Lock()
        self._watching = False
        self._silent = False
        self._sent_bytes = 0
        self._gone: str | None = None
        self._cause: Exception | None = None
        self._closed = False
        self.overtaken = 0
        os.set_blocking(fd, False)

    @property
    def name(self) -> str:
        return self._name

    def fileno(self) -> int:
        """The descriptor, for whoever hands it to a child process; -1 after `close`."""
        return self._fd

    def start(self, received: Received, lost: Lost) -> None:
        self._received, self._lost = received, lost
        if self._gone is None:
            self._loop.add_reader(self._fd, self._on_readable)
        else:
            self._loop.call_soon(self._announce)

    # Writing

    def write(self, data: bytes) -> None:
        """Send a frame.  Raises `Disconnected` after a loss, `LinkError` when too many already wait."""
        self._check()
        if len(self._frames) >= WAITING_FRAMES_MAX:
            raise LinkError(
                self._name, f"not sent: {WAITING_FRAMES_MAX} frames wait and nobody takes them"
            )
        self._frames.append(data)
        self._push()
        self._check()

    def write_now(self, data: bytes) -> None:
        self._check()
        self._stops.append(data)  # first this, then that: see _put_back
        self._drop_frames()
        self._push()
        self._check()

    def _push(self) -> None:
        """Send what is waiting, unless somebody else is at it or the port takes no more."""
        while (
            (self._rest or self._stops or self._frames) and self._gone is None and not self._silent
        ):
            if not self._pen.acquire(blocking=False):
                return
            try:
                moved = self._send_one()
            finally:
                self._pen.release()
            if not moved:
                self._in_loop(self._watch)
                return

    def _send_one(self) -> bool:
        """Offer the most urgent bytes to the port, with the pen in hand; False when it is full."""
        if self._rest:
            data, origin = self._rest, None
        elif self._stops:
            data, origin = self._stops.popleft(), self._stops
        elif self._frames:
            data, origin = self._frames.popleft(), self._frames
        else:
            return True  # somebody sent it between the look and the pen
        try:
            sent = os.write(self._fd, data)
        except BlockingIOError:
            if origin is not None:  # not one byte has left, so it is not in transmission
                self._put_back(data, origin)
            return False
        except OSError as error:
            self._lose(error)
            return True
        self._sent_bytes += sent
        self._rest = data[sent:]
        return not self._rest

    def _put_back(self, data: bytes, origin: deque[bytes]) -> None:
        """Return what did not leave.  A STOP that came in meanwhile overtakes it all the same.

        `write_now` adds to the STOPs before it drops frames, and this looks at the STOPs after putting
        back, so whichever of the two comes second finds what the first has left.
        """
        if origin is self._frames or len(origin) < WAITING_STOPS_MAX:
            origin.appendleft(data)
        if origin is self._frames and self._stops:
            self._drop_frames()

    def _drop_frames(self) -> None:
        self.overtaken += len(self._frames)
        self._frames.clear()

    def _in_loop(self, do: Callable[[], None]) -> None:
        """Have the loop do it soon, from whatever thread or signal handler this is."""
        with contextlib.suppress(
            RuntimeError
        ):  # the loop is closed: nothing is left to be done in it
            self._loop.call_soon_threadsafe(do)

    def _watch(self) -> None:
        """Go on when the port takes bytes again; while a STOP waits, not for ever."""
        if self._gone is not None or self._closed:
            return
        if not self._watching:
            self._watching = True
            self._loop.add_writer(self._fd, self._on_writable)
        if self._stops and self._flush is not None:
            patience_s = at_least_wall(DRAIN_PATIENCE_S, speed_of(self._loop))
            self._loop.call_later(patience_s, self._flush_if_stuck, self._sent_bytes)

    def _on_writable(self) -> None:
        self._watching = False
        self._loop.remove_writer(self._fd)
        self._push()

    def _flush_if_stuck(self, sent_bytes: int) -> None:
        """Throw away what does not leave, so that a STOP can; nothing else is sent meanwhile."""
        self._push()  # a Linux PTY may have room again without saying so
        stuck = self._stops and self._sent_bytes == sent_bytes and not self._silent
        if not stuck or self._gone is not None or self._flush is None:
            return
        if not self._pen.acquire(blocking=False):
            return  # another thread is writing, so it is not stuck
        try:
            self._flush()
            self._rest = b""
            self._silent = True
        except OSError as error:
            self._lose(error)
            return
        finally:
            self._pen.release()
        silence_s = at_least_wall(SILENCE_S, speed_of(self._loop))
        self._loop.call_later(silence_s, self._end_silence)

    def _end_silence(self) -> None:
        self._silent = False
        self._push()

    # Reading

    def _on_readable(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if not data:
            self._lose(None)
        elif self._received is not None:
            self._received(data)

    # Loss and end

    def _check(self) -> None:
        if self._gone is not None:
            raise Disconnected(self._name, self._gone) from self._cause

    def _lose(self, error: OSError | None) -> None:
        """The port is gone, from this instant for writers, and very soon for whoever listens."""
        if self._gone is None:
            what = (
                "closed by the other end" if error is None else f"lost: {error.strerror or error}"
            )
            self._cause = error
            self._gone = what
            self._in_loop(self._announce)

    def _announce(self) -> None:
        self._unwatch()
        self._read_the_rest()
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(self._cause)

    def _read_the_rest(self) -> None:
        """A peer's last words may still be there when writing to it has failed."""
        with contextlib.suppress(OSError):
            for _ in range(_LAST_READS_MAX):
                data = os.read(self._fd, READ_BYTES_MAX)
                if not data or self._received is None:
                    return
                self._received(data)

    def _unwatch(self) -> None:
        if self._fd >= 0 and not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)

    def close(self) -> None:
        """Release the port.  What the kernel has not taken yet is not sent.  Only from the loop."""
        if self._closed:
            return
        self._closed = True
        self._unwatch()
        if self._gone is None:
            self._gone = "closed"
        self._received = self._lost = None
        has_pen = self._pen.acquire(timeout=_PEN_PATIENCE_S)  # nobody writes to a number used anew
        fd, self._fd = self._fd, -1
        if has_pen:
            self._pen.release()
        with contextlib.suppress(OSError):  # it may be gone already; releasing is all that matters
            if self._release is None:
                os.close(fd)
            else:
                self._release()
