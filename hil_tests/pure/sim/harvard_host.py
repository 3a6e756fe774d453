"""A host at the end of an ideal wire, for tests of the Harvard devices."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.devices.base import Device
from sim.devices.harvard import HarvardPump
from sim.devices.harvard_kind import KIND
from sim.devices.kinds import PumpOptions


@dataclass
class Host:
    """Sends at ``now`` and collects what comes back, joined, since a byte stream has no frames."""

    pump: Device = field(default_factory=HarvardPump)
    now: float = 1_000.0

    def send(self, data: bytes) -> bytes:
        """What answers these bytes."""
        return b"".join(frame for _, frame in self.pump.feed(data, self.now))

    def say(self, command: str) -> bytes:
        """What answers this line."""
        return self.send(command.encode() + b"\r")

    def ask(self, command: str) -> str:
        """The text in an answer of one line at address 0."""
        answer = self.say(command).decode().rstrip("\x11")
        text, _, prompt = answer.removeprefix("\n").partition("\r\n")
        assert prompt in {":", ">", "<", "*", "T*", ">*", "<*"}, answer
        return text

    def tell(self, *commands: str) -> str:
        """Commands that must be obeyed, answered by a prompt alone; the last prompt."""
        answer = ""
        for command in commands:
            answer = self.say(command).decode().rstrip("\x11")
            assert answer[:1] == "\n", (command, answer)
            assert answer[1:] in {":", ">", "<", "*", "T*", ">*", "<*"}, (command, answer)
        return answer[1:]

    def wait(self, seconds: float) -> bytes:
        """What the pump sends by itself within ``seconds``."""
        self.now += seconds
        return b"".join(frame for _, frame in self.pump.advance(self.now))


def made(*quirks: str, model: str = "legato-100", address: int = 0) -> Host:
    """A host of a pump as the command line would make it."""
    return Host(KIND.make(PumpOptions(model=model, address=address, quirks=quirks)))


def pump_of(host: Host) -> HarvardPump:
    """The pump, for looking inside."""
    assert isinstance(host.pump, HarvardPump)
    return host.pump
