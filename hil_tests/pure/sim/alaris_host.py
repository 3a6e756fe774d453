"""A host at the end of an ideal wire to a simulated Alaris pump; frames are built here once more."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from sim.devices.alaris import AlarisPump
from sim.devices.alaris_quirks import Quirks
from sim.devices.quirks import parse_quirks

VECTORS = Path(__file__).parents[2] / "vectors" / "alaris_device.txt"


def golden() -> dict[str, bytes]:
    """Message -> the frame written by hand."""
    frames = {}
    for line in VECTORS.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            match = re.fullmatch(r"\[(.*)\] => ([0-9A-F]{4})", line)
            assert match is not None, line
            frames[match[1]] = f"!{match[1]}|{match[2]}\r".encode("ascii")
    return frames


def framed(message: str) -> bytes:
    """The message in its frame, the CRC computed bit by bit."""
    register = 0xFFFF
    for byte in message.encode("ascii"):
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1) ^ (0x1021 if register & 0x8000 else 0)
            register &= 0xFFFF
    return f"!{message}|{register:04X}\r".encode("ascii")


@dataclass
class Host:
    """Sends at ``now`` and collects what comes back."""

    pump: AlarisPump = field(default_factory=AlarisPump)
    now: float = 1_000.0

    def send(self, data: bytes) -> list[bytes]:
        """Frames that answer these bytes, whenever they leave."""
        return [frame for _, frame in self.pump.feed(data, self.now)]

    def ask(self, message: str) -> str | None:
        """The message that answers this one, if any."""
        frames = self.send(framed(message))
        if not frames:
            return None
        (frame,) = frames
        text = frame.decode("ascii")[1:].partition("|")[0]
        assert framed(text) == frame
        return text

    def tell(self, *messages: str) -> None:
        """Messages that must be answered with the name they begin with."""
        for message in messages:
            answer = self.ask(message)
            assert answer is not None, message
            assert answer.split("^")[0] == message.split("^")[0]

    def wait(self, seconds: float, *, holding: bool = True) -> None:
        """Time passes; ``holding``: remote control is asked for again every second."""
        end = self.now + seconds
        while holding and self.now + 1.0 < end:
            self.now += 1.0
            self.pump.advance(self.now)
            self.enable()
        self.now = end
        self.pump.advance(self.now)

    def enable(self) -> None:
        """Remote control lasts for a while from now on."""
        self.send(golden()["REMOTE_CTRL^ENABLED^3CC1"])

    def status(self) -> list[str]:
        """The fields of ``INF``."""
        answer = self.ask("INF")
        assert answer is not None
        return answer.split("^")

    def alarm(self) -> str:
        """The code that ``ALARM`` tells."""
        answer = self.ask("ALARM")
        assert answer is not None
        return answer.split("^")[1]


def controlled(*quirks: str, **options: object) -> Host:
    """A host that has remote control."""
    host = Host(AlarisPump(quirks=parse_quirks(Quirks, quirks), **options))  # type: ignore[arg-type]  # passed through
    host.enable()
    return host


def programmed(*quirks: str, **options: object) -> Host:
    """26.7 mL/h and a VTBI of 2 mL, not yet running."""
    host = controlled(*quirks, **options)
    host.tell("INF_RATE^26.70^ml/h", "INF_VTBI^ACTIV^2.000^ml^STOP")
    return host
