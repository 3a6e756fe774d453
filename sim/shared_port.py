"""Several pumps on one port, as on a daisy chain: each hears everything and answers to its own address."""

from __future__ import annotations

from sim.ports import Port, Received


class SharedPort:
    """One real port.  It is open while any of its taps is."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._taps: dict[Tap, Received] = {}

    @property
    def name(self) -> str:
        """What a host opens."""
        return self._port.name

    def tap(self) -> Tap:
        """A port for one more pump."""
        return Tap(self)

    def join(self, tap: Tap, received: Received) -> None:
        """The tap hears the host from now on.  Raises what the port raises."""
        if not self._taps:
            self._port.open(self._received)
        self._taps[tap] = received

    def leave(self, tap: Tap) -> None:
        """The tap hears nothing more; the last one to leave closes the port.  Idempotent."""
        if self._taps.pop(tap, None) is not None and not self._taps:
            self._port.close()

    def write(self, frame: bytes) -> None:
        """To the host."""
        self._port.write(frame)

    def _received(self, data: bytes) -> None:
        for received in list(self._taps.values()):
            received(data)


class Tap:
    """The place of one pump at a shared port."""

    def __init__(self, shared: SharedPort) -> None:
        self._shared = shared

    @property
    def name(self) -> str:
        """What a host opens."""
        return self._shared.name

    def open(self, received: Received) -> None:
        """Be there.  Raises what the port raises."""
        self._shared.join(self, received)

    def write(self, frame: bytes) -> None:
        """To the host."""
        self._shared.write(frame)

    def close(self) -> None:
        """Be gone.  Idempotent."""
        self._shared.leave(self)
