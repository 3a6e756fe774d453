"""Small drivers, each as careless as one that exists, run whole visits against the simulated New Era pump.

Each copies the manners of a kind of host seen in published software, not its text: what it sends, when it
reads, what it cannot bear.  The pump has to serve all of them unchanged.
"""

from __future__ import annotations

import re
import time
from binascii import crc_hqx
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

import pytest
import serial

from hil_tests.real.new_era_wire import CLEAN, ON_TCP, Process

pytestmark = [pytest.mark.real, pytest.mark.timeout(20)]

FLOAT = r"(\d+\.\d*)"
PACKET = re.compile("\x02(?P<address>\\d\\d)(?P<status>[IWSPTUX]|A\\?)(?P<data>.*)\x03")


class Alarm(Exception):
    """A driver's own."""


class Refused(Exception):
    """A driver's own."""


class Host:
    """What all of them have: a port, and an end."""

    serial: serial.Serial

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.serial.close()


class SafeHost(Host):
    """Opens with a safe-framed SAF, reads without any time-out, polls every 50 ms, wants every point."""

    def __init__(self, port: str, dead_man_s: int) -> None:
        self.serial = serial.serial_for_url(port, baudrate=19200)
        self.safe = False
        self.mode(dead_man_s, ignoring_alarm=True)
        assert re.fullmatch(r"NE(\d+)(X(\d+)?)?V(\d+)\.(\d+)", self.say("VER")[1])

    def mode(self, dead_man_s: int, *, ignoring_alarm: bool = False) -> None:
        self.safe = dead_man_s > 0
        try:
            self.say(f"SAF{dead_man_s}", in_frame=True)
        except Alarm:
            if not ignoring_alarm:
                raise
            self.say(f"SAF{dead_man_s}", in_frame=True)

    def say(self, text: str, *, in_frame: bool | None = None) -> tuple[str, str]:
        data = b"0" + text.encode()
        if self.safe if in_frame is None else in_frame:
            checksum = crc_hqx(data, 0).to_bytes(2, "big")
            self.serial.write(bytes([2, len(data) + 4]) + data + checksum + b"\x03")
        else:
            self.serial.write(data + b"\r")
        answer = self._framed() if self.safe else self._plain()
        assert answer[:2] == "00"
        if answer[2] == "A":
            raise Alarm(answer[4])
        if answer[3:4] == "?":
            raise Refused(answer[4:])
        return answer[2], answer[3:]

    def _framed(self) -> str:
        start = self.serial.read(2)
        assert start[0] == 2
        rest = self.serial.read(start[1] - 1)
        assert crc_hqx(rest[:-3], 0) == int.from_bytes(rest[-3:-1], "big")
        return str(rest[:-3].decode())

    def _plain(self) -> str:
        assert self.serial.read(1) == b"\x02"
        return str(self.serial.read_until(b"\x03")[:-1].decode())

    def number(self, query: str, pattern: str) -> float:
        found = re.fullmatch(pattern, self.say(query)[1])
        assert found is not None
        return float(found[1])

    def wait(self) -> str:
        while (status := self.say("")[0]) in "IWX":
            time.sleep(0.05)
        return status


class TerseHost(Host):
    """Writes without spaces, programs two phases, repeats once after A?R, stops until it is stopped."""

    def __init__(self, port: str, address: str = "") -> None:
        self.serial = serial.serial_for_url(port, timeout=1)
        self.address = address

    def send(self, text: str) -> tuple[str, str]:
        self.serial.write(f"{self.address}{text}\r".encode())
        answer = self.serial.read_until(b"\x03").decode()
        start = answer.rfind("\x02")
        assert start >= 0
        found = re.fullmatch(r"(\d{1,2})(A\?[RSTEO]|[IWSPTUX])(.*)", answer[start + 1 : -1])
        assert found is not None
        assert int(found[1]) == int(self.address or 0)
        return found[2], found[3]

    def command(self, text: str) -> str:
        status, data = self.send(text)
        if status == "A?R":
            status, data = self.send(text)
        if status.startswith("A"):
            raise Alarm(status[2:])
        if data.startswith("?"):
            raise Refused(data[1:])
        return data

    def dispense(self, direction: str, volume: str, rate: str) -> None:
        for text in ("PHN1", "FUNRAT", f"RAT{rate}", f"VOL{volume}", f"DIR{direction}"):
            self.command(text)
        for text in ("PHN2", "FUNSTP", "PHN1", "RUN"):
            self.command(text)

    def stop(self) -> str:
        status = ""
        for _ in range(3):
            self.send("STP")
            status = self.send("")[0]
            if status.startswith("A"):
                status = self.send("")[0]
            if status not in "IWXTUP":
                break
        return status


class HastyHost(Host):
    """A trailing space before every CR; takes what is there 30 ms after the write, one retry and no more."""

    def __init__(self, port: str, address: int = 0) -> None:
        self.serial = serial.serial_for_url(port, baudrate=9600, timeout=1)
        self.address = address
        with suppress(Alarm):
            self.say("AL 1")
        with suppress(Refused):
            self.say("STP")
        self.say("TRG LE")
        self.version = self.say("VER")

    def say(self, text: str) -> str:
        for _ in range(2):
            self.serial.write(f"{self.address}{text} \r".encode())
            time.sleep(0.03)
            answer = self.serial.read(self.serial.in_waiting).decode()
            found = PACKET.match(answer)
            if found is not None:
                if found["status"] == "A?":
                    raise Alarm(found["data"])
                if found["data"].startswith("?"):
                    raise Refused(found["data"][1:])
                self.status = found["status"]
                return found["data"]
        raise AssertionError(f"nothing whole in 30 ms: {answer!r}")


class StarHost(Host):
    """Puts a star before everything, throws its first command away, flushes before every write."""

    def __init__(self, port: str) -> None:
        self.serial = serial.serial_for_url(port, timeout=1)
        self.serial.write(b"*DIS\r")
        time.sleep(0.05)

    def say(self, text: str) -> str:
        self.serial.reset_input_buffer()
        self.serial.write(f"*{text}\r".encode())
        return str(self.serial.read_until(b"\x03").decode().strip("\x02\x03"))


@pytest.fixture
def started(request: pytest.FixtureRequest) -> Iterator[Process]:
    with Process(*request.param) as process:
        yield process


def on(*options: str) -> pytest.MarkDecorator:
    """The test's pump, on a pseudo-terminal."""
    return pytest.mark.parametrize("started", [options], indirect=True, ids=["pty"])


def on_both(*options: str) -> pytest.MarkDecorator:
    """The test's pump, on a pseudo-terminal and on TCP."""
    return pytest.mark.parametrize(
        "started", [options, (*options, *ON_TCP)], indirect=True, ids=["pty", "tcp"]
    )


def serve_a_safe_visit(port: str, dead_man_s: int) -> None:
    with SafeHost(port, dead_man_s) as host:
        for text in ("DIA14.43", "DIRINF", "VOLUL", "VOL500", "RAT7.5MM", "CLDINF", "CLDWDR"):
            assert host.say(text) == ("S", "")
        assert host.number("DIA", FLOAT) == 14.43
        assert host.number("RAT", FLOAT + "MM") == 7.5
        assert host.number("VOL", FLOAT + "UL") == 500
        assert host.number("SAF", r"(\d+)") == dead_man_s
        assert host.say("RUN")[0] == "I"
        assert host.say("RAT7.")[0] == "I"
        with pytest.raises(Refused, match="NA"):
            host.say("VOL600")
        assert host.wait() == "S"
        assert host.number("DIS", f"I{FLOAT}W0.000UL") == 500
        assert host.say("DIRWDR") == ("S", "")
        assert host.say("RUN")[0] == "W"
        assert host.say("STP")[0] == "P"
        assert host.wait() == "P"
        assert host.say("STP")[0] == "S"
        assert host.say("PUR")[0] == "X"
        host.say("STP")
        host.mode(0)
        assert host.say("") == ("S", "")


@on_both("--speed", "20")
def test_a_host_that_opens_with_a_safe_packet_is_served_twice_over(started: Process) -> None:
    for dead_man_s in (60, 0, 255):
        serve_a_safe_visit(started.port, dead_man_s)


@on("--speed", "20")
def test_a_host_that_falls_silent_finds_its_pump_stopped(started: Process) -> None:
    with SafeHost(started.port, 5) as host:
        for text in ("DIA14.43", "RAT100MH", "RUN"):
            host.say(text)
        assert host._framed() == "00A?T"
        with pytest.raises(Alarm, match="T"):
            host.say("")
        assert host.say("")[0] == "S"
        delivered = host.say("DIS")
        time.sleep(0.05)
        assert host.say("DIS") == delivered


@on_both("--speed", "100")
def test_a_host_that_writes_without_spaces_is_served(started: Process) -> None:
    with TerseHost(started.port) as host:
        assert host.command("VER") == "NE1000V3.928"
        for text in ("DIA26.59", "CLDINF", "CLDWDR"):
            host.command(text)
        host.dispense("INF", "2.000", "20.00MM")
        while host.send("")[0] == "I":
            pass
        assert host.command("DIS") == "I2.000W0.000ML"
        host.dispense("WDR", "2.000", "0.100MM")
        assert (host.stop(), host.stop()) == ("S", "S")
        assert host.command("DIR") == "WDR"


@on("--speed", "100", "--quirk", "phase2_default=continuous")
def test_a_host_that_programs_the_stop_phase_ends_at_its_target(started: Process) -> None:
    with TerseHost(started.port) as host:
        for text in ("DIA26.59", "CLDINF"):
            host.command(text)
        host.dispense("INF", "2.000", "20.00MM")
        while host.send("")[0] == "I":
            pass
        assert host.command("DIS") == "I2.000W0.000ML"


@on("--speed", "20")
def test_a_host_that_reads_after_thirty_milliseconds_is_served(started: Process) -> None:
    for opening in range(2):
        with HastyHost(started.port) as host:
            assert host.version.startswith("NE1000V")
            for text in (
                "DIA 26.59",
                "RAT MM",
                "VOL ML",
                "RAT 5",
                "VOL 1",
                "DIR INF",
                "CLD INF",
                "CLD WDR",
            ):
                assert host.say(text) == ""
            answers = [host.say(text) for text in ("RAT", "VOL", "DIR", "TRG", "IN 2", "*ADR")]
            assert answers == ["5.000MM", "1.000ML", "INF", "LE", "1", "00"]
            host.say("RUN")
            for _ in range(100):
                host.say("")
                if host.status != "I":
                    break
            assert (opening, host.status, host.say("DIS")) == (opening, "S", "I1.000W0.000ML")


@on("--speed", "20", "--quirk", "power_on=ignore_first_command")
def test_a_host_that_stars_everything_and_wastes_its_first_command_is_served(
    started: Process,
) -> None:
    with StarHost(started.port) as host:
        answers = [
            host.say(text)
            for text in ("DIA14.43", " RAT C 5.000 MM", "RAT", "PHN", "RUN", "PHN", "STP")
        ]
        assert answers == ["00S", "00S", "00S5.000MM", "00S01", "00I", "00I01", "00P"]


@on(*CLEAN, "--address", "12")
def test_a_host_that_looks_along_the_chain_finds_the_one_that_is_there(started: Process) -> None:
    found = []
    for address in range(9, 15):
        port = serial.serial_for_url(started.port, timeout=0.05 if address != 12 else 1)
        port.write(f"{address}VER\r".encode())
        if port.read_until(b"\x03"):
            found.append(address)
        port.close()
    assert found == [12]
    with TerseHost(started.port, "12") as host:
        assert host.command("DIA14.43") == ""
        assert host.stop() == "S"
