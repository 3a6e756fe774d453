"""An Alaris pump reduced to what host programs need in a test: fields, a lease, a counter that moves.

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
LEASE = Duration.from_s(10)
SERIAL = "8002-51740"
CODE = "3CC1"


def crc(text: bytes) -> str:
    """CRC-16/CCITT-FALSE, bit by bit."""
    value = 0xFFFF
    for byte in text:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1) ^ (0x1021 if value & 0x8000 else 0)
            value &= 0xFFFF
    return f"{value:04X}"


def framed(text: str) -> bytes:
    return b"!" + text.encode() + b"|" + crc(text.encode()).encode() + b"\r"


class Double:
    """One pump.  Knobs may lose, delay or replace what it hears and says."""

    def __init__(self) -> None:
        self.rate = 3.5  # mL/h
        self.target: float | None = 11.0
        self.target_state = "ACTIV"
        self.infused = 0.0  # mL
        self.left = 0.0
        self.running = False
        self.alarms: list[str] = []
        self.flag = ""  # what the status shows instead of a code
        self.controlled_until = {"REMOTE_CTRL": -1.0, "REMOTE_CFG": -1.0}
        self.lease_s = 10.0
        self.syringe = "BD PLASTIPAK^ 50^CONF"
        self.pressure = "17.91"
        self.permits = True
        self.echo_disabled = False
        self.echoes_stop = True
        self.heard: list[str] = []
        self.lose_request: Callable[[str], bool] = lambda _text: False
        self.lose_answer: Callable[[str], bool] = lambda _text: False
        self.delay_s: Callable[[str], float] = lambda _text: 0.02
        self.at: Callable[[str], None] = lambda _text: None
        self.stuck = False
        self._now = 0.0
        self._ready_at = 0.0

    # --- time ---------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        until = self.controlled_until["REMOTE_CTRL"]
        if 0 <= until <= now and self.running:
            self._move(until)
            self.running = False
            self.alarms = ["AL_COMTO"]
        self._move(now)

    def _move(self, now: float) -> None:
        span, self._now = max(0.0, now - self._now), max(now, self._now)
        if not self.running or self.stuck:
            return
        step = self.rate * span / 3600
        if self.target_state == "ACTIV" and step >= self.left:
            step = self.left
            self.running = False
            self.alarms = ["AL_VTBIS"]
        self.left -= step
        self.infused += step

    def power_cycle(self) -> None:
        self.running = False
        self.infused = 0.0
        self.controlled_until = {"REMOTE_CTRL": -1.0, "REMOTE_CFG": -1.0}

    # --- the line -----------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        self.advance(now)
        said: list[tuple[float, bytes]] = []
        for part in data.split(b"\r")[:-1]:
            body = part.rpartition(b"\x1b")[2]
            assert body[:1] == b"!", body
            text, _, check = body[1:].rpartition(b"|")
            assert check.decode() == crc(text), body
            answer = self._hear(text.decode(), now)
            if answer is not None:
                # One answer at a time, in the order of the requests.
                self._ready_at = max(self._ready_at, now + self.delay_s(text.decode()))
                said.append((self._ready_at - now, framed(answer)))
        return said

    def _hear(self, text: str, now: float) -> str | None:
        self.heard.append(text)
        self.at(text)
        if self.lose_request(text):
            return None
        answer = self._answer(text.split("^"), now)
        return None if self.lose_answer(text) else answer

    def in_control(self, now: float) -> bool:
        return self.controlled_until["REMOTE_CTRL"] > now

    def _answer(self, fields: list[str], now: float) -> str | None:
        name = fields[0]
        if name in self.controlled_until:
            return self._control(fields, now)
        constant = {
            "INST_SERIALNO": f"INST_SERIALNO^{SERIAL}",
            "COMMS_PROTOCOL": "COMMS_PROTOCOL^Asena Rev 2.1.5",
            "COMMS_RESPONSE_MAX": "COMMS_RESPONSE_MAX^4000^ms",
            "SYRINGE_STATUS": f"SYRINGE_STATUS^{self.syringe}",
            "INF_RATE_MAX_SYRINGE": "INF_RATE_MAX_SYRINGE^1200.00^ml/h",
        }
        if name in constant:
            return constant[name]
        if name == "INF":
            return self._status()
        if name == "ALARM":
            shown = (self.alarms or ["AL_NOALM"])[:3]
            return "^".join(["ALARM", *shown, *[" "] * (3 - len(shown))])
        if len(fields) > 1 or name in ("INF_START", "INF_STOP", "INF_VI_CLEAR"):
            if not self.in_control(now):
                return None
            return self._obey(fields)
        return self._shown(name)

    def _control(self, fields: list[str], now: float) -> str | None:
        if fields[1] == "DISABLED":
            self.controlled_until[fields[0]] = -1.0
            return f"{fields[0]}^DISABLED" + ("" if self.echo_disabled else "^****^PERMIT^0^ms")
        if fields[2] != CODE:
            return None
        if not self.permits:
            return f"{fields[0]}^ENABLED^****^DENY^0^ms"
        self.controlled_until[fields[0]] = now + self.lease_s
        if self.alarms == ["AL_COMTO"]:
            self.alarms = []
        return f"{fields[0]}^ENABLED^****^PERMIT^0^ms"

    def _status(self) -> str:
        alarm = self.flag or (self.alarms[0] if self.alarms else "-")
        return (
            f"INF^{SERIAL}^{alarm}^SET^{self.rate:.2f}^ml/h^^{self.shown():.3f}^ml"
            f"^{self.pressure}^mmHg^24+^EVENT^127904"
        )

    def shown(self) -> float:
        """The counter, which shows whole digits only."""
        return int(self.infused * 1000 + 1e-6) / 1000

    def _shown(self, name: str) -> str | None:
        if name == "INF_RATE":
            return f"INF_RATE^{self.rate:.2f}^ml/h"
        if name == "INF_VI":
            return f"INF_VI^{self.shown():.3f}^ml"
        if name == "INF_VTBI":
            value = "" if self.target is None else f"{self.target:.3f}"
            return f"INF_VTBI^{self.target_state}^{value}^ml^STOP"
        return None

    def _obey(self, fields: list[str]) -> str | None:
        match fields:
            case ["INF_RATE", value, "ml/h"]:
                self.rate = float(value)
            case ["INF_VTBI", "ACTIV", value, "ml", "STOP"]:
                self.target_state, self.target = "ACTIV", float(value)
                self.left = self.target
            case ["INF_VTBI", "DEACT"]:
                self.target_state, self.target = "DEACT", None
            case ["INF_VI_CLEAR"]:
                self.infused = 0.0
            case ["INF_START"]:
                self.running = True
                self.alarms = []
            case ["INF_STOP"]:
                self.running = False
                if not self.echoes_stop:
                    return None
            case _:
                return None
        if len(fields) > 1:
            return self._shown(fields[0])
        return fields[0]
