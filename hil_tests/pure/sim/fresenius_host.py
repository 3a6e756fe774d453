"""A host at the end of an ideal wire to a simulated Orchestra; frames are built here once more."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sim.devices.fresenius import OrchestraPump
from sim.devices.fresenius_quirks import Quirks
from sim.devices.quirks import parse_quirks

VECTORS = Path(__file__).parents[2] / "vectors" / "fresenius_device.txt"

ENQ, ACK, DC4, NAK = b"\x05", b"\x06", b"\x14", b"\x15"


def golden() -> dict[str, bytes]:
    """Address and message -> the frame written by hand."""
    frames = {}
    for line in VECTORS.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            text, check, printed = line.split(" => ")
            frames[text] = bytes.fromhex(printed)
            assert frames[text] == f"\x02{text}{check}\x03".encode("ascii")
    return frames


def framed(text: str) -> bytes:
    """Address and message in their frame."""
    total = 0
    for character in text:
        total = (total + ord(character)) & 0xFF
    return f"\x02{text}{0xFF - total:02X}\x03".encode("ascii")


def texts(data: bytes) -> list[str]:
    """The frames in what was heard, signs left out; every checksum is looked at."""
    found = []
    for piece in data.split(b"\x02")[1:]:
        content, end, _ = piece.partition(b"\x03")
        assert end
        text = content[:-2].decode("ascii")
        assert framed(text) == b"\x02" + content + end
        found.append(text)
    return found


@dataclass
class Host:
    """Sends at ``now``, acknowledges what comes back and echoes what is spontaneous."""

    pump: OrchestraPump = field(default_factory=OrchestraPump)
    now: float = 1_000.0
    events: list[str] = field(default_factory=list)
    """Spontaneous messages, as they came."""

    def send(self, data: bytes) -> bytes:
        """What comes back at once, unanswered."""
        replies = self.pump.feed(data, self.now)
        assert all(delay == 0.0 for delay, _ in replies)
        return b"".join(piece for _, piece in replies)

    def hear(self, data: bytes) -> list[str]:
        """Answers to commands in what came; everything is acknowledged, ENQ answered, events echoed."""
        answers = []
        for text in texts(data):
            data = self.send(ACK)
            meta = text.split(";")[0]
            if meta[-1] in "EM":
                self.events.append(text)
                data += self.send(framed(meta))
            else:
                answers.append(text)
            answers += self.hear(data)
        return answers

    def ask(self, text: str) -> str:
        """The one answer to this command."""
        heard = self.send(framed(text))
        assert heard[:1] == ACK
        answers = self.hear(heard)
        assert len(answers) == 1, answers
        return answers[0]

    def tell(self, *commands: str) -> None:
        """Commands that must be answered as correct, without data."""
        for command in commands:
            assert self.ask(command) in ("C", command[0] + "C"), command

    def wait(self, seconds: float, *, alive: bool = True) -> bytes:
        """Time passes, in the steps that the pump asks for; ``alive``: ENQ is answered."""
        end, heard = self.now + seconds, b""
        while True:
            due = self.pump.next_event(self.now)
            self.now = end if due is None or due > end else max(due, self.now)
            said = b"".join(piece for _, piece in self.pump.advance(self.now))
            heard += said
            if alive:
                self.hear(said)
                if ENQ in said:
                    self.send(DC4)
            due = self.pump.next_event(self.now)
            if self.now >= end and (due is None or due > end):
                return heard


def opened(*quirks: str, **options: object) -> Host:
    """Base and module 1 open, the module in remote mode."""
    pump = OrchestraPump(quirks=parse_quirks(Quirks, quirks), **options)  # type: ignore[arg-type]  # passed through
    host = Host(pump)
    host.tell("0DC", "1DC", "1MO;2")
    return host


def programmed(*quirks: str, **options: object) -> Host:
    """A volume limit of 2 mL, infusing at 26.7 mL/h."""
    host = opened(*quirks, **options)
    host.tell("1RV", "1PV;0007D0", "1PR;010B")
    return host
