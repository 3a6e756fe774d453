"""A small driver for New Era syringe pumps in basic mode, as somebody might have it in a laboratory."""

from __future__ import annotations

import re
import termios  # pyserial lets its error through, which is no OSError: the tests found that
from dataclasses import dataclass

import serial

BAUD = 19_200
ETX = b"\x03"
_ANSWER = re.compile(r"\x02(\d\d)(?:A\?([A-Z])|([IWSPTUX]))([^\x03]*)\x03")
_DISPENSED = re.compile(r"I(\d*\.\d*)W(\d*\.\d*)(UL|ML)")
ALARMS = {
    "R": "was reset",
    "S": "stalled",
    "T": "timed out",
    "E": "program error",
    "O": "phase out of range",
}


class PumpGone(Exception):
    """The port is gone, or nobody answers; the pump may be running."""


class PumpAlarm(Exception):
    """The pump answered with an alarm, and has not done what it was asked."""


class PumpRefused(Exception):
    """The pump does not know the command, or cannot do that."""


@dataclass(frozen=True)
class Answer:
    """What a pump says: ``status`` is I(nfusing), W(ithdrawing), S(topped), P(aused)..."""

    status: str
    data: str


class TinyPump:
    """One pump with address 0."""

    def __init__(self, port: str, *, timeout_s: float = 1.0) -> None:
        try:
            self._line = serial.serial_for_url(port, baudrate=BAUD, timeout=timeout_s)
        except (OSError, ValueError) as error:
            raise PumpGone(str(error)) from error

    def close(self) -> None:
        self._line.close()

    def ask(self, command: str) -> Answer:
        """The answer to a command; raises `PumpGone`, `PumpAlarm`, `PumpRefused`."""
        try:
            self._line.reset_input_buffer()
            self._line.write(command.encode("ascii") + b"\r")
            raw = bytes(self._line.read_until(ETX))
        except (OSError, termios.error) as error:
            raise PumpGone(str(error)) from error
        found = _ANSWER.fullmatch(raw.decode("latin-1"))
        if found is None:
            raise PumpGone(f"{command}: {raw!r} is no answer")
        _, alarm, status, data = found.groups()
        if alarm:
            raise PumpAlarm(ALARMS.get(alarm, alarm))
        if data.startswith("?"):
            raise PumpRefused(f"{command}: {data}")
        return Answer(status, data)

    def connect(self) -> None:
        """A pump that was just switched on says so first, once."""
        try:
            self.ask("")
        except PumpAlarm:
            self.ask("")

    def infuse(self, *, rate_ml_h: float, volume_ml: float, diameter_mm: float) -> None:
        """It runs until the volume is delivered; the count begins at 0."""
        for command in (
            f"DIA{diameter_mm:.4g}",
            f"RAT{rate_ml_h:.4g}MH",
            "VOLML",
            f"VOL{volume_ml:.4g}",
            "DIRINF",
            "CLDINF",
            "RUN",
        ):
            self.ask(command)

    def stop(self) -> None:
        """It stands still, or this raises."""
        while self.ask("STP").status not in "SP":
            pass

    def is_running(self) -> bool:
        return self.ask("").status in "IW"

    def delivered_ml(self) -> float:
        """What the pump believes it has delivered."""
        found = _DISPENSED.fullmatch(self.ask("DIS").data)
        if found is None:
            raise PumpGone("DIS: no such answer")
        infused, _, unit = found.groups()
        return float(infused) / (1_000 if unit == "UL" else 1)
