"""A simulated New Era pump as a separate process, and the bare wire to it.

Only the command line, the ready line and bytes are used here; nothing of the simulator is imported, and
the frames are built anew from the manual (publication 1200-01, section 10), so that a misreading on one
side cannot hide behind the same misreading on the other.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from binascii import crc_hqx
from typing import Self

import serial

ANSWER_S = 2.0
CLEAN = ("--quirk", "power_on=clean")
ON_TCP = ("--tcp", "127.0.0.1:0")


def framed(text: str) -> bytes:
    """A safe-mode packet: STX, length of all that follows, data, CRC-16/XMODEM, ETX."""
    data = text.encode("ascii")
    return bytes([2, len(data) + 4]) + data + crc_hqx(data, 0).to_bytes(2, "big") + b"\x03"


class Process:
    """`infusor sim pump` with these options, started and ready."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "controller", "sim", "pump", "--dialect", "new-era"]
        self.child = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.child.stdout is not None
        self.ready_line = self.child.stdout.readline()
        self.port = str(json.loads(self.ready_line)["port"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.child.poll() is None:
            assert self.end()[0] == 0

    def end(self, sign: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code after this signal, and what it wrote on stderr."""
        self.child.send_signal(sign)
        _, said = self.child.communicate(timeout=5)
        return self.child.returncode, said


class Wire:
    """Raw bytes to a port and back, in both framings."""

    def __init__(self, port: str) -> None:
        self.serial = serial.serial_for_url(port, baudrate=19200, timeout=ANSWER_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.serial.close()

    def send(self, data: bytes) -> None:
        self.serial.write(data)

    def basic(self) -> str:
        """The next basic-mode packet, without STX and ETX."""
        packet = self.serial.read_until(b"\x03")
        assert packet[:1] == b"\x02", packet
        assert packet[-1:] == b"\x03", packet
        return str(packet[1:-1].decode("ascii"))

    def safe(self) -> str:
        """The data of the next safe-mode packet, read by its length and checked."""
        packet = self.serial.read(2)
        assert len(packet) == 2, packet
        packet += self.serial.read(packet[1] - 1)
        text = str(packet[2:-3].decode("ascii"))
        assert packet == framed(text)
        return text

    def ask(self, text: str) -> str:
        self.send(text.encode("latin-1") + b"\r")
        return self.basic()

    def ask_safe(self, text: str) -> str:
        self.send(framed(text))
        return self.safe()

    def all_of(self, *texts: str) -> list[str]:
        return [self.ask(text) for text in texts]

    def all_safe(self, *texts: str) -> list[str]:
        return [self.ask_safe(text) for text in texts]

    def within(self, seconds: float) -> bytes:
        """Everything that arrives in that time."""
        self.serial.timeout = seconds
        try:
            return bytes(self.serial.read(65536))
        finally:
            self.serial.timeout = ANSWER_S

    def delivered(self) -> tuple[float, float]:
        """Infused and withdrawn, in the pump's volume unit."""
        infused, withdrawn = self.ask("DIS")[4:-2].split("W")
        return float(infused), float(withdrawn)

    def until_not(self, letters: str, address: str = "") -> str:
        """Status polled until its letter is none of these."""
        for _ in range(20_000):
            status = self.ask(address)
            if status[2] not in letters:
                return status
        raise AssertionError("it never ends")

    def reset(self) -> None:
        """Back to basic mode, address 0 and an empty program, whatever the last test left."""
        self.serial.reset_input_buffer()
        for _ in range(8):
            self.send(framed("*RESET"))
            if self.serial.read_until(b"\x03") in (b"\x0200S\x03", b"\x020S\x03"):
                return
        raise AssertionError("*RESET was never obeyed")


class Bench:
    """One process for each set of options, kept for a whole file of tests."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], tuple[Process, Wire]] = {}
        self._spent: list[tuple[Process, Wire]] = []

    def shared(self, *options: str) -> Wire:
        """A pump that answered its power-on alarm long ago, freshly reset."""
        if options not in self._kept:
            self._kept[options] = self._start(*CLEAN, *options)
        wire = self._kept[options][1]
        wire.reset()
        return wire

    def quirk(self, name: str, value: str, *options: str) -> Wire:
        return self.shared("--quirk", f"{name}={value}", *options)

    def fresh(self, *options: str) -> Wire:
        """A pump that was switched on just now."""
        started = self._start(*options)
        self._spent.append(started)
        return started[1]

    def close(self) -> None:
        for process, wire in [*self._kept.values(), *self._spent]:
            wire.serial.close()
            assert process.end()[0] == 0

    @staticmethod
    def _start(*options: str) -> tuple[Process, Wire]:
        process = Process(*options)
        return process, Wire(process.port)
