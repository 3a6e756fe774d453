"""A Harvard pump reduced to what host programs need in a test: settings, a prompt, and planned faults.

Not the simulator, which has mechanics and quirks; this double has neither a clock nor an idea of motion.
Its words and bytes are those recorded of a Legato 100 and quoted from publication 5420-002; it frames by
its own code, so that a mistake there would show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from firmware_bridge.dialect import Ask, Frame, Program, Step, Syringe
from firmware_bridge.protocols.harvard import Harvard
from firmware_bridge.quantities import Duration, Rate, Volume

T = TypeVar("T")

BD_20 = Syringe(19_050, Volume.from_ml(20))
RATE = Rate.from_ml_h("26.7")
TARGET = Volume.from_ml("3")
LEASE = Duration.from_s(3)

LEGATO = ["Firmware:      v3.0.6", "Pump address:  0", "Serial number: D101754"]


class Double:
    """Answers lines from a table of settings.  Every attribute is a knob."""

    def __init__(self, *, address: int = 0, poll: str = "OFF", prefix0: bool = False) -> None:
        self.address = address
        self.prefix0 = prefix0
        self.poll = poll
        self.echo = "OFF"
        self.mode = "Quick Start - Infuse/Withdraw (qs iw)"
        self.settings = {
            "diameter": "7.2620 mm",
            "svolume": "8.6284 ml",
            "irate": "199.49 ul/min",
            "tvolume": "1 ml",
            "ttime": "00:03:00",
        }
        self.limits = "25.0404 nl/min to 26.0035 ml/min"
        self.ramp = "Ramp not set up."
        self.prompt = ":"
        self.infused_fl = 1_690_230_000
        self.infused_by_run_fl = 0
        self.direction = "I"
        self.flags6 = True
        self.version: list[str] | None = list(LEGATO)
        self.ver: list[str] | None = None
        self.nvram_words = ["none", "off"]
        self.refuses: dict[str, str] = {}
        self.overrides: dict[str, list[str]] = {}
        self.heard: list[str] = []
        self.lose_answer: Callable[[int, str], bool] = lambda _n, _text: False
        self.lose_request: Callable[[int, str], bool] = lambda _n, _text: False
        self.at: Callable[[int, str], None] = lambda _n, _text: None
        self.rate_shown_fl_s: int | None = None

    # --- bytes ------------------------------------------------------------------------------------

    def answer(self, frame: bytes) -> bytes | None:
        """What the pump says to a line, or nothing."""
        line = frame.decode("ascii")
        assert line.endswith("\r")
        digits = line[: len(line) - len(line.lstrip("0123456789"))]
        text = line[len(digits) : -1].lstrip("@")
        if int(digits or 0) != self.address:
            return None
        number = len(self.heard)
        self.heard.append(text)
        self.at(number, text)
        if self.lose_request(number, text):
            return None
        lines = self.overrides.get(text) or self._obey(text.split())
        said = self.framed(lines)
        if self.echo == "ON":
            said = frame + said
        return None if self.lose_answer(number, text) else said

    def framed(self, lines: list[str]) -> bytes:
        """``LF [##:]text CR`` for each line, ``LF [##]prompt``, and an XON while polling is on."""
        shown = f"{self.address:02d}" if self.address or self.prefix0 else ""
        body = "".join(f"\n{shown}{':' if shown else ''}{line}\r" for line in lines)
        return f"{body}\n{shown}{self.prompt}".encode() + (b"\x11" if self.poll == "ON" else b"")

    # --- obeying ----------------------------------------------------------------------------------

    def _obey(self, words: list[str]) -> list[str]:
        name, arguments = words[0], words[1:]
        if name in self.refuses:
            return ["Command error:", f"   {self.refuses[name]}"]
        found: Callable[[list[str]], list[str]] | None = getattr(self, f"_do_{name}", None)
        if found is not None:
            return found(arguments)
        if name in self.settings:
            return self._setting(name, arguments)
        return ["Command error:", "   Unknown command"]

    def _setting(self, name: str, arguments: list[str]) -> list[str]:
        if not arguments:
            return [self.settings[name]]
        if name == "irate" and arguments == ["lim"]:
            return [self.limits]
        if name == "diameter":
            self.settings[name] = f"{float(arguments[0]):.4f} mm"
        elif name == "ttime" and ":" not in arguments[0]:
            self.settings[name] = f"{arguments[0]} seconds"
        else:
            self.settings[name] = " ".join(arguments)
        return []

    def _do_poll(self, arguments: list[str]) -> list[str]:
        return self._switch("poll", "Polling mode", arguments)

    def _do_echo(self, arguments: list[str]) -> list[str]:
        return self._switch("echo", "Echo", arguments)

    def _switch(self, name: str, what: str, arguments: list[str]) -> list[str]:
        if not arguments:
            return [f"{what} is {getattr(self, name)}"]
        setattr(self, name, arguments[0].upper())
        return []

    def _do_nvram(self, arguments: list[str]) -> list[str]:
        known = arguments[0] in self.nvram_words
        return [] if known else [f"Argument error: {arguments[0]}", "   Unknown argument"]

    def _do_load(self, arguments: list[str]) -> list[str]:
        if arguments:
            self.mode = f"Infuse Only ({' '.join(arguments)})"
            return []
        return [self.mode]

    def _do_version(self, _arguments: list[str]) -> list[str]:
        return self.version or ["Command error:", "   Unknown command"]

    def _do_ver(self, _arguments: list[str]) -> list[str]:
        return self.ver or ["Command error:", "   Unknown command"]

    def _do_iramp(self, _arguments: list[str]) -> list[str]:
        return [self.ramp]

    def _do_ctvolume(self, _arguments: list[str]) -> list[str]:
        self.settings["tvolume"] = "Target volume not set"
        return []

    def _do_cttime(self, _arguments: list[str]) -> list[str]:
        self.settings["ttime"] = "Target time not set"
        return []

    def _do_civolume(self, _arguments: list[str]) -> list[str]:
        self.infused_fl = 0
        return []

    def _do_ivolume(self, _arguments: list[str]) -> list[str]:
        return [f"{self.infused_fl / 10**9:.6g} ul"]

    def _do_stp(self, _arguments: list[str]) -> list[str]:
        self.prompt = ":"
        return []

    def _do_irun(self, _arguments: list[str]) -> list[str]:
        self.prompt = ">"
        self.direction = "I"
        self.infused_fl += self.infused_by_run_fl
        return []

    def _do_status(self, _arguments: list[str]) -> list[str]:
        rate = self.rate_shown_fl_s
        if rate is None:
            number, unit = self.settings["irate"].split()
            rate = int(float(number) * {"nl": 1e6, "ul": 1e9, "ml": 1e12}[unit[:2]] / 60)
        moving = self.prompt in (">", "<")
        direction = self.direction if moving else self.direction.lower()
        flags = f"{direction}.{'S' if self.prompt == '*' else '.'}.{self.direction}"
        if self.flags6:
            flags += "T" if self.prompt == "T*" else "."
        return [f"{rate} 1680000000 {self.infused_fl} {flags}"]


def play(program: Program[T], dialect: Harvard, pump: Double, *, steps: int = 400) -> T:
    """The program's result, run against the double; a reply without XON is ended by silence."""

    def answer(step: Step) -> list[Frame]:
        said = pump.answer(step.frame) if isinstance(step, Ask) else None
        return heard(dialect, said)

    return run(program, answer, steps)


def heard(dialect: Harvard, said: bytes | None) -> list[Frame]:
    """The frames in what the pump said, and in the silence behind it."""
    frames = list(dialect.receive(said or b"", 0.0))
    dialect.discard(0.0)
    return frames + list(dialect.receive(b"", 0.0))


def run(program: Program[T], answer: Callable[[Step], list[Frame]], steps: int = 400) -> T:
    """Hand each frame to the program while it listens, and silence when there is none."""
    try:
        step = next(program)
        for _ in range(steps):
            waiting = answer(step)
            step = program.send(waiting.pop(0) if waiting else None)
            while waiting and not isinstance(step, Ask):
                step = program.send(waiting.pop(0))
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError(f"the program did not end within {steps} steps")


def recite(program: Program[T], dialect: Harvard, script: list[tuple[bytes, bytes | None]]) -> T:
    """The program's result against exactly these bytes, both ways, in order."""
    rest = iter(script)

    def answer(step: Step) -> list[Frame]:
        asked, said = next(rest, (b"nothing more", None))
        got = step.frame if isinstance(step, Ask) else b""
        assert got == asked
        return heard(dialect, said)

    result = run(program, answer)
    assert next(rest, None) is None, "the program ended early"
    return result
