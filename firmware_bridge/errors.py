"""What can go wrong between a caller and a pump, sorted by what the caller should do about it.

One root, five kinds.  Errors carry fields; the sentence is built from them, so that every one of them
names the port, the request and the raw bytes where there are any.
"""

from __future__ import annotations


class BridgeError(Exception):
    """Root of everything this room raises on account of the world."""


class ConfigurationError(BridgeError):
    """Fix what was asked for: a URL, a dialect, an option, a limit.  Nothing was sent."""


class LinkError(BridgeError):
    """Look at the cable: the port is absent, busy, or was lost."""

    def __init__(self, port: str, what: str) -> None:
        super().__init__(f"{port}: {what}")
        self.port = port
        self.what = what


class Disconnected(LinkError):
    """The port is gone; every write raises this until it is opened again.  Nothing is dropped silently."""


class PortGone(LinkError):
    """The port will not come back under its name: somebody else's may, and must not be opened."""


class ProtocolError(BridgeError):
    """The peer said something this dialect does not allow."""

    def __init__(self, what: str, *, request: bytes = b"", raw: bytes = b"") -> None:
        super().__init__(f"{what} (request {request!r}, received {raw!r})")
        self.what = what
        self.request = request
        self.raw = raw


class NoAnswer(LinkError):
    """The pump did not answer a question in time.  It is safe to ask again: a question moves nothing."""


class PumpRefused(BridgeError):
    """The pump, or the gate in front of it, said no; nothing was started."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.what = what
        self.reason = reason


class BeyondPump(PumpRefused):
    """The pump cannot do that, with this syringe or at all; nothing was sent.  Ask for something else."""


class PumpInAlarm(PumpRefused):
    """The pump answered with an alarm instead; look at it.  What was asked has not been done."""


class UncertainDelivery(BridgeError):
    """A command that may move drug was sent and its answer was lost.

    It is never repeated: ask the pump what it delivered.
    """

    def __init__(self, port: str, what: str) -> None:
        super().__init__(
            f"{port}: {what}: sent, and the answer was lost; ask the pump what it delivered"
        )
        self.port = port
        self.what = what
