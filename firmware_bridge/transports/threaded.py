"""A transport over a port that has no descriptor to wait on: RFC 2217, and serial ports on Windows.

One thread reads and one writes, because pyserial's calls block there.  What they find out reaches the
loop by ``call_soon_threadsafe``.  Neither thread ever holds something that `ThreadedTransport.write_now`
needs: it adds to a queue that may be added to from a signal handler.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol, TypeVarTuple

from firmware_bridge.errors import Disconnected, LinkError
from firmware_bridge.transports.base import Lost, Received
from firmware_bridge.transports.fd import READ_BYTES_MAX, WAITING_FRAMES_MAX, WAITING_STOPS_MAX

Ts = TypeVarTuple("Ts")

READ_PATIENCE_S = 0.2  # wall time after which the reader looks whether it is still wanted


class BlockingPort(Protocol):
    """What is used of a pyserial port, whichever of its classes it is."""

    timeout: float | None

    @property
    def in_waiting(self) -> int: ...
    def open(self) -> None: ...
    def read(self, size: int, /) -> bytes: ...
    def write(self, data: bytes, /) -> int | None: ...
    def close(self) -> None: ...


class ThreadedTransport:
    """See `firmware_bridge.transports.base.Transport`.  Owns ``device``, which is open.

    A frame counts as in transmission once pyserial has it.  ``close`` returns at once; the port itself
    is released within about half a second, by the reader.
    """

    def __init__(self, device: BlockingPort, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self._device = device
        self._name = name
        self._loop = loop
        self._received: Received | None = None
        self._lost: Lost | None = None
        self._stops: deque[bytes] = deque(maxlen=WAITING_STOPS_MAX)
        self._frames: deque[bytes] = deque()
        self._wake_writer: SimpleQueue[None] = SimpleQueue()
        self._gone: str | None = None
        self._cause: Exception | None = None
        self.overtaken = 0
        device.timeout = READ_PATIENCE_S
        self._reader = threading.Thread(target=self._read, name=f"read {name}", daemon=True)
        threading.Thread(target=self._write, name=f"write {name}", daemon=True).start()

    @property
    def name(self) -> str:
        return self._name

    def start(self, received: Received, lost: Lost) -> None:
        self._received, self._lost = received, lost
        self._reader.start()

    def write(self, data: bytes) -> None:
        """Send a frame.  Raises `Disconnected` after a loss, `LinkError` when too many already wait."""
        self._check()
        if len(self._frames) >= WAITING_FRAMES_MAX:
            raise LinkError(
                self._name, f"not sent: {WAITING_FRAMES_MAX} frames wait and nobody takes them"
            )
        self._frames.append(data)
        self._wake_writer.put(None)

    def write_now(self, data: bytes) -> None:
        self._check()
        self._stops.append(data)
        self.overtaken += len(self._frames)
        self._frames.clear()
        self._wake_writer.put(None)

    def close(self) -> None:
        """Let the port go.  Frames that are still waiting are not sent."""
        self._received = self._lost = None
        if self._gone is None:
            self._gone = "closed"
        self._wake_writer.put(None)
        if self._reader.ident is None:  # never started, so it cannot release the port
            self._reader.start()

    def _check(self) -> None:
        if self._gone is not None:
            raise Disconnected(self._name, self._gone) from self._cause

    def _read(self) -> None:
        """The reader's life: hand over what arrives, until the port is lost or closed."""
        try:
            while self._gone is None:
                data = self._device.read(1)
                waiting = min(self._device.in_waiting, READ_BYTES_MAX - 1)
                if waiting:
                    data += self._device.read(waiting)
                if data:
                    self._in_loop(self._hand_over, data)
        except Exception as error:  # noqa: BLE001 - pyserial raises what it likes when a port vanishes
            self._lose(error)
        finally:
            with contextlib.suppress(Exception):  # it may be gone already
                self._device.close()

    def _write(self) -> None:
        """The writer's life: STOPs first, one whole frame at a time."""
        while True:
            self._wake_writer.get()  # once for each frame, and once at the end
            if self._gone is not None:
                return
            try:
                self._device.write((self._stops or self._frames).popleft())
            except IndexError:
                continue  # what this was the wake-up for has been overtaken
            except Exception as error:  # noqa: BLE001 - as above
                self._lose(error)

    def _lose(self, error: Exception) -> None:
        if self._gone is None:
            self._cause = error
            self._gone = f"lost: {error}"
            self._wake_writer.put(None)
            self._in_loop(self._announce)

    def _in_loop(self, do: Callable[[*Ts], None], *args: *Ts) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(do, *args)

    def _hand_over(self, data: bytes) -> None:
        if self._received is not None:
            self._received(data)

    def _announce(self) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(self._cause)
