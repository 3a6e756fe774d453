"""A host at the end of an ideal wire, and frames written by hand, for tests of the New Era device."""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass, field

from sim.devices.new_era import NewEraPump
from sim.devices.new_era_quirks import Quirks


def hexed(text: str) -> bytes:
    """Bytes of a packet as the protocol page prints it."""
    return bytes.fromhex(text)


TIMED_OUT = hexed("02 09 30 30 41 3f 54 05 40 03")
STOPPED = hexed("02 07 30 30 53 aa a6 03")


def packet(data: str) -> bytes:
    """A safe packet, computed here once more so that the device's own arithmetic is checked."""
    raw = data.encode()
    return bytes([2, len(raw) + 4]) + raw + crc_hqx(raw, 0).to_bytes(2, "big") + b"\x03"


@dataclass
class Host:
    """Sends at ``now`` and collects what comes back, delays checked to be none."""

    pump: NewEraPump = field(default_factory=NewEraPump)
    now: float = 1_000.0

    def send(self, data: bytes) -> list[bytes]:
        """Frames that answer these bytes."""
        return self._frames(self.pump.feed(data, self.now))

    def ask(self, command: str) -> str:
        """The one basic answer to a command, without STX and ETX."""
        frames = self.send(command.encode() + b"\r")
        assert len(frames) == 1, frames
        assert frames[0][:1] == b"\x02", frames
        assert frames[0][-1:] == b"\x03", frames
        return frames[0][1:-1].decode()

    def ask_safe(self, data: str) -> bytes:
        """The one frame that answers a safe packet."""
        frames = self.send(packet(data))
        assert len(frames) == 1, frames
        return frames[0]

    def tell(self, *commands: str) -> None:
        """Commands that must be obeyed: answered with a status and nothing else."""
        for command in commands:
            answer = self.ask(command)
            assert len(answer) == 3, (command, answer)
            assert "?" not in answer

    def wait(self, seconds: float) -> list[bytes]:
        """Frames that the pump sends by itself within ``seconds``."""
        self.now += seconds
        return self._frames(self.pump.advance(self.now))

    @staticmethod
    def _frames(replies: list[tuple[float, bytes]]) -> list[bytes]:
        assert all(delay == 0.0 for delay, _ in replies)
        return [frame for _, frame in replies]


def awake(quirks: Quirks = Quirks(), **options: object) -> Host:
    """A host whose pump has had its power-up alarm acknowledged."""
    host = Host(NewEraPump(quirks=quirks, **options))  # type: ignore[arg-type]  # passed through
    host.send(b"*\r")
    assert host.pump.alarms == ()
    return host


def programmed(quirks: Quirks = Quirks(), **options: object) -> Host:
    """A pump set to 26.7 mL/h and 20 mL in a BD 10 mL syringe, not yet running."""
    host = awake(quirks, **options)
    host.tell("DIA14.43", "VOLML", "VOL20.00", "RAT26.70MH", "DIRINF", "CLDINF")
    return host


def safe(address: int = 0) -> Host:
    """A pump at ``address`` in safe mode with 5 s, awake."""
    host = Host(NewEraPump(address=address))
    for _ in range(2):
        host.send(packet(f"{address}SAF5"))
    return host
