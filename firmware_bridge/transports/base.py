"""The one interface every way to a pump has, in bytes.

Callback style, because the pure sessions above it are fed as data arrive; no task is needed per port.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Received = Callable[[bytes], None]
Lost = Callable[[Exception | None], None]
"""Called once, with the cause, when the port is gone by itself (``None``: the peer closed it)."""


class Transport(Protocol):
    """An open, exclusive byte stream.  After a loss every write raises `errors.Disconnected`."""

    @property
    def name(self) -> str:
        """The port as the operator named it; goes into every error."""

    def start(self, received: Received, lost: Lost) -> None:
        """Begin to hand arriving bytes to ``received``, from the running loop.  Called once."""

    def write(self, data: bytes) -> None:
        """Send one whole frame, in order.  Never blocks.

        Raises `Disconnected` after a loss; `LinkError`, with nothing sent, when the peer takes nothing
        and too much is waiting already.
        """

    def write_now(self, data: bytes) -> None:
        """Send a STOP ahead of everything that is queued but not yet in transmission.

        Plain synchronous code that takes no lock a blocked task can hold, usable from another thread
        or a signal handler.  A frame already in transmission is finished first, never cut.  What is
        overtaken is dropped, because a START that left after the STOP would undo it; whoever waits for
        its answer gets none.  Raises `Disconnected` after a loss.
        """

    def close(self) -> None:
        """Release the port.  Idempotent; ``lost`` is not called for it."""
