"""A simulated pump behind a network serial port: telnet and RFC 2217 in front of it, over TCP."""

from __future__ import annotations

from sim.ports import Received, TcpPort
from sim.rfc2217 import Rfc2217


class Rfc2217Port(TcpPort):
    """As `TcpPort`, for one client at a time that speaks RFC 2217."""

    scheme = "rfc2217"

    def open(self, received: Received) -> None:
        """Raises `firmware_bridge.errors.LinkError` when the address cannot be listened on."""
        self._telnet = Rfc2217()

        def from_client(data: bytes) -> None:
            plain, answers = self._telnet.feed(data)
            if answers:
                TcpPort.write(self, answers)
            if plain:
                received(plain)

        super().open(from_client)

    def write(self, frame: bytes) -> None:
        """To the client, escaped."""
        super().write(self._telnet.escape(frame))

    def connected(self) -> None:
        """A new client knows nothing of what was agreed with the last one."""
        self._telnet = Rfc2217()
        TcpPort.write(self, self._telnet.greeting())
