"""A New Era pump reduced to what host programs need in a test: settings, a status, and planned faults.

Not the simulator (`sim.devices.new_era`), which has mechanics and quirks; this double has neither a
clock nor an idea of motion.  It frames by its own code, so that a mistake there would show.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from firmware_bridge.dialect import Ask, Frame, Listen, Program, Step, Syringe
from firmware_bridge.protocols.new_era import NewEra
from firmware_bridge.quantities import Duration, Rate, Volume

T = TypeVar("T")

BD_20 = Syringe(19_050, Volume.from_ml(20))
RATE = Rate.from_ml_h("26.7")
TARGET = Volume.from_ml("3")
LEASE = Duration.from_s(3)


def crc(text: bytes) -> int:
    """CRC-16/XMODEM, bit by bit."""
    value = 0
    for byte in text:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1) ^ (0x1021 if value & 0x8000 else 0)
            value &= 0xFFFF
    return value


def safe(text: str) -> bytes:
    data = text.encode()
    check = crc(data)
    return bytes([2, len(data) + 4]) + data + bytes([check >> 8, check & 0xFF, 3])


def basic(text: str) -> bytes:
    return b"\x02" + text.encode() + b"\x03"


def request_text(frame: bytes) -> str:
    """What a host frame says; a basic one keeps its carriage return."""
    if frame[0] != 2:
        return frame.decode("ascii")
    data = frame[2:-3]
    assert frame == safe(data.decode("ascii"))
    return data.decode("ascii")


class Double:
    """Answers requests from a table of settings.  ``plan`` may replace the n-th answer."""

    def __init__(self, *, safe_s: int = 0, alarm: str = "", address: int = 0) -> None:
        self.settings = {
            "SAF": str(safe_s),
            "DIA": "26.59",
            "TRG": "FT",
            "PF": "1",
            "DIR": "WDR",
            "VOL": "5.000ML",
            "RAT": "10.00MH",
        }
        self.functions = {1: "RAT", 2: "RAT"}
        self.phase = 1
        self.status = "S"
        self.infused = "0.000"
        self.infused_by_run = "0.000"
        self.alarm = alarm
        self.address = address
        self.heard: list[str] = []
        self.lose_answer: Callable[[int, str], bool] = lambda _n, _text: False
        self.lose_request: Callable[[int, str], bool] = lambda _n, _text: False
        self.at: Callable[[int, str], None] = lambda _n, _text: None
        self.overrides: dict[str, str] = {}
        self.takes_safe_in_basic = True

    def answer(self, frame: bytes) -> bytes | None:
        """What the pump says to ``frame``, or nothing."""
        text = request_text(frame)
        number = len(self.heard)
        self.heard.append(text)
        is_basic = text.endswith("\r")
        in_safe_mode = self.settings["SAF"] != "0"
        if is_basic and in_safe_mode:
            return None
        if not is_basic and not in_safe_mode and not self.takes_safe_in_basic:
            return None
        prefix = str(self.address)
        command = text.rstrip("\r")
        if not command.startswith(prefix):
            return None
        command = command[len(prefix) :]
        self.at(number, command)
        if self.lose_request(number, command):
            return None
        data = self._data(command)
        if self.lose_answer(number, command):
            return None
        said = f"{self.address:02d}{data}"
        return safe(said) if self.settings["SAF"] != "0" else basic(said)

    def _data(self, command: str) -> str:
        if self.alarm:
            alarm, self.alarm = self.alarm, ""
            return f"A?{alarm}"
        if command in self.overrides:
            return self.overrides[command]
        done = self._obey(command)
        return self.status + done

    def _obey(self, command: str) -> str:
        if command == "STP":
            if self.status == "S":
                return "?NA"
            self.status = "P" if self.status == "I" else "S"
            return ""
        if command == "RUN":
            if self.status == "I":
                return "?NA"
            self.status = "I"
            self.infused = self.infused_by_run
            return ""
        if command == "VER":
            return "NE1000V3.928"
        if command == "DIS":
            return f"I{self.infused}W0.000{self.settings['VOL'][-2:]}"
        if command == "CLDINF":
            self.infused = "0.000"
            return ""
        return self._setting(command)

    def _setting(self, command: str) -> str:
        if command == "PHN":
            return f"{self.phase:02d}"
        if command == "FUN":
            return self.functions[self.phase]
        if command.startswith("PHN"):
            self.phase = int(command[3:])
            return ""
        if command.startswith("FUN"):
            self.functions[self.phase] = command[3:]
            return ""
        name = "PF" if command.startswith("PF") else command[:3]
        value = command[len(name) :]
        if not value:
            return self.settings[name]
        if name == "VOL":
            number, unit = self.settings[name][:-2], self.settings[name][-2:]
            value = number + value if value in ("ML", "UL") else value + unit
        if name == "RAT" and value[-1].isdigit():
            value += self.settings[name][-2:]
        self.settings[name] = value
        return ""


def play(program: Program[T], dialect: NewEra, pump: Double, *, steps: int = 400) -> T:
    """The program's result, run against the double; a spontaneous frame answers a `Listen`."""
    return _run(program, lambda step: _exchange(step, dialect, pump), steps)


def _exchange(step: Step, dialect: NewEra, pump: Double) -> Frame | None:
    if isinstance(step, Listen):
        said = basic_or_safe(pump) if pump.alarm else None
    else:
        said = pump.answer(step.frame)
    if said is None:
        return None
    frames = dialect.receive(said, 0.0)
    assert len(frames) <= 1
    return frames[0] if frames else None


def basic_or_safe(pump: Double) -> bytes | None:
    """The alarm that the pump announces by itself, in safe mode only."""
    if pump.settings["SAF"] == "0":
        return None
    return safe(f"{pump.address:02d}A?{pump.alarm}")


def _run(
    program: Generator[Step, Frame | None, T], answer: Callable[[Step], Frame | None], steps: int
) -> T:
    said: Frame | None = None
    try:
        step = next(program)
        for _ in range(steps):
            said = answer(step)
            step = program.send(said)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError(f"the program did not end within {steps} steps")


def recite(program: Program[T], dialect: NewEra, script: list[tuple[str, str | bytes | None]]) -> T:
    """The program's result against exactly these requests and answers, in order.

    ``""`` as a request means: listens.  A text as an answer is safe-framed.
    """
    rest = iter(script)

    def answer(step: Step) -> Frame | None:
        asked, said = next(rest, ("nothing more", None))
        got = request_text(step.frame) if isinstance(step, Ask) else ""
        assert got == asked
        if said is None:
            return None
        frames = dialect.receive(safe(said) if isinstance(said, str) else said, 0.0)
        return frames[0]

    result = _run(program, answer, len(script) + 1)
    assert next(rest, None) is None, "the program ended early"
    return result


def prove(dialect: NewEra, pump: Double, *, announced: str = "00A?T") -> str:
    """Run the self-test against a pump that breaks the silence by ``announced``."""
    program = dialect.prove_dead_man(LEASE)
    said: bytes | None = b""
    step = next(program)
    try:
        while True:
            said = safe(announced) if isinstance(step, Listen) else pump.answer(step.frame)
            step = program.send(None if said is None else dialect.receive(said, 0.0)[0])
    except StopIteration as stop:
        return str(stop.value)


def strike_at_run(pump: Double, **changes: str) -> None:
    """When RUN arrives, these of the pump's attributes change first."""

    def at(_number: int, text: str) -> None:
        if text == "RUN":
            for name, value in changes.items():
                setattr(pump, name, value)

    pump.at = at
