"""The simulated Alaris and Orchestra as commands of their own, spoken to with pyserial as hosts do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

pytestmark = pytest.mark.real

ACK, ENQ, DC4 = b"\x06", b"\x05", b"\x14"


@contextmanager
def pump(*options: str) -> Iterator[str]:
    """`infusor sim pump` with these options; the port it tells."""
    command = [sys.executable, "-m", "controller", "sim", "pump", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield str(json.loads(child.stdout.readline())["port"])
        finally:
            child.send_signal(signal.SIGTERM)
    assert child.returncode == 0


def asena(line: serial.SerialBase, *frames: bytes) -> list[bytes]:
    answers = []
    for frame in frames:
        line.write(frame)
        answers.append(line.read_until(b"\r"))
    return answers


@pytest.mark.parametrize("where", ["pty", "tcp"])
def test_a_host_opens_an_alaris_sets_it_starts_it_and_stops_it(where: str, tmp_path: Path) -> None:
    place = ["--pty", str(tmp_path / "asena")] if where == "pty" else ["--tcp", "127.0.0.1:0"]
    with (
        pump("--dialect", "alaris", *place) as port,
        serial.serial_for_url(port, baudrate=38_400, timeout=2) as line,
    ):
        assert asena(
            line,
            b"!INST_SERIALNO|457D\r",
            b"!COMMS_RESPONSE_MAX|7E29\r",
            b"!COMMS_PROTOCOL|E8DA\r",
            b"!REMOTE_CTRL^ENABLED^3CC1|B1F1\r",
            b"!INF_RATE^3.50^ml/h|3885\r",
            b"!INF_VTBI^ACTIV^11.000^ml^STOP|4433\r",
            b"!INF_START|38F3\r",
        ) == [
            b"!INST_SERIALNO^8002-51740|050B\r",
            b"!COMMS_RESPONSE_MAX^4000^ms|DFDF\r",
            b"!COMMS_PROTOCOL^Asena Rev 2.1.5|661A\r",
            b"!REMOTE_CTRL^ENABLED^****^PERMIT^0^ms|7BB0\r",
            b"!INF_RATE^3.50^ml/h|3885\r",
            b"!INF_VTBI^ACTIV^11.000^ml^STOP|4433\r",
            b"!INF_START|38F3\r",
        ]
        (status,) = asena(line, b"!INF|4961\r")
        assert status.startswith(b"!INF^8002-51740^-^SET^3.50^ml/h^^0.00")
        assert asena(
            line,
            b"!INF_STOP|CD57\r",
            b"!REMQUERY^DEACT|F295\r",
            b"!ALARM|50B2\r",
            b"!REMOTE_CTRL^DISABLED|EF95\r",
        ) == [
            b"!INF_STOP|CD57\r",
            b"!REMQUERY^DEACT^^^^|E5C9\r",
            b"!ALARM^AL_NOALM^ ^ |C73B\r",
            b"!REMOTE_CTRL^DISABLED^****^PERMIT^0^ms|3C5D\r",
        ]


class Threaded:
    """A host with a reading thread that acknowledges, echoes and answers ENQ, as the known driver does."""

    def __init__(self, line: serial.SerialBase) -> None:
        self.line = line
        self.answers: list[bytes] = []
        self.events: list[bytes] = []
        self.enquiries = 0
        self.came = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.ended = False
        self.thread.start()

    def ask(self, text: bytes) -> bytes:
        with self.came:
            before = len(self.answers)
            self.line.write(self.framed(text))
            assert self.came.wait_for(lambda: len(self.answers) > before, timeout=2)
            return self.answers[-1]

    def until(self, events: int, enquiries: int) -> None:
        with self.came:
            assert self.came.wait_for(
                lambda: len(self.events) >= events and self.enquiries >= enquiries, timeout=5
            )

    def end(self) -> None:
        self.ended = True
        self.thread.join(timeout=5)

    @staticmethod
    def framed(text: bytes) -> bytes:
        return b"\x02%b%02X\x03" % (text, 0xFF - sum(text) % 256)

    def _read(self) -> None:
        inside, text = False, b""
        while not self.ended:
            byte = self.line.read(1)
            if byte == b"\x02":
                inside, text = True, b""
            elif byte == b"\x03" and inside:
                inside = False
                self._message(text)
            elif inside:
                text += byte
            elif byte == ENQ:
                self.line.write(DC4)
                self._count(None)

    def _message(self, text: bytes) -> None:
        assert self.framed(text[:-2]) == b"\x02" + text + b"\x03"
        self.line.write(ACK)
        meta = text[:-2].split(b";")[0]
        if meta.endswith((b"E", b"M")):
            self.line.write(self.framed(meta))
        self._count(text[:-2])

    def _count(self, text: bytes | None) -> None:
        with self.came:
            if text is None:
                self.enquiries += 1
            elif text.split(b";")[0].endswith((b"E", b"M")):
                self.events.append(text)
            else:
                self.answers.append(text)
            self.came.notify_all()


def test_a_threaded_host_finds_the_modules_of_an_orchestra_pumps_and_is_told(
    tmp_path: Path,
) -> None:
    with (
        pump("--dialect", "fresenius", "--pty", str(tmp_path / "base"), "--speed", "20") as port,
        serial.serial_for_url(
            port,
            baudrate=19_200,
            bytesize=serial.SEVENBITS,
            parity=serial.PARITY_EVEN,
            timeout=0.1,
        ) as line,
    ):
        host = Threaded(line)
        try:
            assert host.ask(b"0DC") == b"0C"
            assert host.ask(b"0LE;b") == b"0C;b1F"
            assert host.ask(b"1DC") == b"1C"
            assert host.ask(b"1DE;r") == b"1C"
            assert host.ask(b"1MO;2") == b"1C"
            assert host.ask(b"1PV;0007D0") == b"1C"
            assert host.ask(b"1PR;0032") == b"1C"
            assert host.ask(b"1LE;d") == b"1C;d0032"
            host.until(events=3, enquiries=3)
            assert host.ask(b"1PO") == b"1C"
            assert host.ask(b"0FC") == b"0C"
        finally:
            host.end()
        assert all(event.startswith(b"1E;r") for event in host.events)
