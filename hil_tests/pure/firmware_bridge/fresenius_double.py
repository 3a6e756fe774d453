"""A Fresenius base with one module, reduced to what host programs need in a test.

Not the simulator, which has mechanics and quirks.  Written from the protocol's description, with framing
of its own, so that a mistake in the codec would show.
"""

from __future__ import annotations

from collections.abc import Callable

from firmware_bridge.dialect import Syringe
from firmware_bridge.quantities import Duration, Rate, Volume

BD_50 = Syringe(26_700, Volume.from_ml(50))
RATE = Rate.from_ml_h("26.7")
TARGET = Volume.from_ml(3)
LEASE = Duration.from_s(3)


def framed(text: str) -> bytes:
    total = 0
    for letter in text.encode():
        total += letter
    return b"\x02" + text.encode() + b"%02X" % (0xFF - total % 256) + b"\x03"


class Double:
    """Knobs may lose, delay, damage or refuse what it hears and says."""

    def __init__(self, *, address: int = 1, decimal: bool = False) -> None:
        self.address = address
        self.decimal = decimal
        self.open = {0: False, address: False}
        self.remote = False
        self.spontaneous = ""
        self.rate = 0  # tenths of mL/h
        self.infused = 0.0  # mL
        self.limit: float | None = None
        self.running = False
        self.alarm = 0
        self.stuck = False
        self.refuses: dict[str, str] = {}
        self.heard: list[str] = []
        self.signals: list[bytes] = []
        self.lose_request: Callable[[str], bool] = lambda _text: False
        self.lose_answer: Callable[[str], bool] = lambda _text: False
        self.lose_ack: Callable[[str], bool] = lambda _text: False
        self.nak: Callable[[str], bool] = lambda _text: False
        self.damage: Callable[[str], bool] = lambda _text: False
        self.at: Callable[[str], None] = lambda _text: None
        self.delay_s: Callable[[str], float] = lambda _text: 0.02
        self.alarm_at_limit = 0x0010
        self._now = 0.0
        self._last_said = b""

    def advance(self, now: float) -> None:
        span, self._now = max(0.0, now - self._now), max(now, self._now)
        if not self.running or self.stuck:
            return
        self.infused += self.rate / 10 * span / 3600
        if self.limit is not None and self.infused >= self.limit:
            self.infused = self.limit
            self.running = False
            self.alarm = self.alarm_at_limit

    def power_cycle(self) -> None:
        self.open = dict.fromkeys(self.open, False)
        self.running, self.remote, self.spontaneous = False, False, ""
        self.infused, self.limit = 0.0, None

    # --- the line -----------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        self.advance(now)
        said: list[tuple[float, bytes]] = []
        while data:
            if data[0] != 2:
                said += self._signal(data)
                data = data[2:] if data[0] == 0x15 else data[1:]
                continue
            frame, _, data = data.partition(b"\x03")
            text = frame[1:-2].decode()
            assert frame + b"\x03" == framed(text)
            said += self._hear(text)
        return said

    def _signal(self, data: bytes) -> list[tuple[float, bytes]]:
        signal = data[:2] if data[0] == 0x15 else data[:1]
        self.signals.append(signal)
        return [(0.02, self._last_said)] if signal[0] == 0x15 else []

    def _hear(self, text: str) -> list[tuple[float, bytes]]:
        self.heard.append(text)
        self.at(text)
        if self.lose_request(text):
            return []
        if self.nak(text):
            return [(0.005, b"\x152")]
        said = [] if self.lose_ack(text) else [(0.005, b"\x06")]
        answer = self._answer(int(text[0]), text[1:])
        if answer is not None and not self.lose_answer(text):
            self._last_said = framed(f"{text[0]}{answer}")
            frame = self._last_said
            if self.damage(text):
                frame = frame[:2] + bytes((frame[2] ^ 4,)) + frame[3:]
            said.append((self.delay_s(text), frame))
        return said

    def _answer(self, address: int, message: str) -> str | None:
        if message in ("E", "M"):
            return None
        for start, code in self.refuses.items():
            if message.startswith(start):
                return f"I;{code}"
        if address not in self.open:
            return "I;0E"
        if message == "DC":
            self.open[address] = True
            return "C"
        if not self.open[0]:
            return "I;0D"
        if not self.open[address]:
            return "I;1E"
        return self._obey(address, message)

    def _obey(self, address: int, message: str) -> str:
        name, _, argument = message.partition(";")
        if name == "FC":
            self.open[address] = False
            return "C"
        if address == 0:
            return {"i": "C;i0001", "b": f"C;b{1 << (self.address - 1):04X}"}[argument]
        if name == "LE":
            return f"C;{argument}{self._variable(argument)}"
        if name == "LF":
            return "C;bDPS"
        if name == "LN":
            return "C;SN123"
        if name == "MO":
            if argument == "2" and self.remote:
                return "I;06"
            self.remote = argument == "2"
            return "C"
        if name in ("DE", "AE", "SI"):
            if name != "SI":
                self.spontaneous = argument
            elif self.alarm == self.alarm_at_limit:
                self.alarm = 0
            return "C"
        return self._move(name, argument) if self.remote else "I;02"

    def _variable(self, name: str) -> str:
        if name == "r":
            return f"{int(self.infused * 1000 + 1e-6):06X}"
        if name == "a":
            return f"{self.alarm:04X}"
        return f"{self.rate:04X}"

    def _move(self, name: str, argument: str) -> str:
        base = 10 if self.decimal else 16
        if name == "PO":
            self.running = False
        elif name == "RV":
            self.infused = 0.0
        elif name == "PV":
            assert len(argument) == 6
            self.limit = int(argument, base) / 1000
        elif name == "PR":
            assert len(argument) == 4
            if self.alarm:
                return "I;12"
            self.rate, self.running = int(argument, base), True
        else:
            return "I;01"
        return "C"
