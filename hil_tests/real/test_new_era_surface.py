"""The command `infusor sim pump` as its users meet it: ready line, ports, abuse, exit codes."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import serial

from hil_tests.real.new_era_wire import CLEAN, ON_TCP, Process, Wire, framed

pytestmark = [pytest.mark.real, pytest.mark.timeout(30)]

FAST = (*CLEAN, "--speed", "10")
MEGABYTE = random.Random(20).randbytes(1_000_000)


@pytest.fixture(params=["pty", "tcp"])
def process(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Process]:
    with Process(
        *FAST, *(ON_TCP if request.param == "tcp" else ("--pty", f"{tmp_path}/pump"))
    ) as made:
        yield made


@pytest.fixture
def wire(process: Process) -> Iterator[Wire]:
    with Wire(process.port) as made:
        yield made


def refused(*options: str) -> tuple[int, str]:
    """Exit code and the one line on stderr of a pump that did not start."""
    command = [sys.executable, "-m", "controller", "sim", "pump", "--dialect", "new-era", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.returncode, done.stderr


def swallow(wire: Wire, data: bytes) -> None:
    """All of this sent, whatever comes back meanwhile read and thrown away."""
    wire.serial.write_timeout = 5
    wire.serial.timeout = 0
    for start in range(0, len(data), 2048):
        wire.send(data[start : start + 2048])
        wire.serial.read(65536)
    while wire.within(0.05):
        pass


def test_one_line_says_where_it_is(process: Process, wire: Wire) -> None:
    assert json.loads(process.ready_line) == {"ready": True, "port": process.port}
    assert wire.ask("VER") == "00SNE1000V3.928"


def test_a_megabyte_of_noise_is_survived(wire: Wire) -> None:
    swallow(wire, MEGABYTE)
    wire.within(0.1)
    wire.send(b"\r")
    wire.within(0.1)
    wire.reset()
    assert wire.all_of("DIA14.43", "DIA") == ["00S", "00S14.43"]


def test_a_megabyte_without_an_end_is_survived_in_safe_mode(wire: Wire) -> None:
    wire.ask_safe("SAF200")
    swallow(wire, MEGABYTE.replace(b"\x02", b""))
    assert wire.ask_safe("SAF") == "00S200"
    swallow(wire, b"\x02\xff" * 100_000)
    wire.within(0.1)
    assert wire.ask_safe("SAF") == "00S200"


def test_a_host_that_never_reads_does_not_hold_the_next_one_up(process: Process) -> None:
    with Wire(process.port) as deaf, suppress(serial.SerialTimeoutException):
        deaf.serial.write_timeout = 1
        deaf.send(b"VER\r" * 50_000)
    with Wire(process.port) as wire:
        wire.send(b"\r")
        while wire.within(0.05):
            pass
        assert wire.all_of("VER", "DIA30", "DIA") == ["00SNE1000V3.928", "00S", "00S30.00"]


@pytest.mark.parametrize("left", [b"", b"DIA\r", framed("VER"), b" VE"])
def test_fifty_hosts_come_and_go(tmp_path: Path, left: bytes) -> None:
    with Process(*CLEAN, "--pty", f"{tmp_path}/pump") as process:
        with Wire(process.port) as wire:
            wire.ask("DIA12")
        for turn in range(50):
            baud, alone = (300, 9600, 19200)[turn % 3], bool(turn % 2)
            with serial.Serial(process.port, baud, timeout=2, exclusive=alone) as port:
                port.write(b"\rDIA\r")
                assert port.read_until(b"12.00\x03").endswith(b"\x0200S12.00\x03")
                port.write(left)


def test_fifty_connections_come_and_go() -> None:
    with Process(*CLEAN, *ON_TCP) as process:
        address = ("127.0.0.1", int(process.port.rpartition(":")[2]))
        for turn in range(50):
            with socket.create_connection(address, timeout=2) as line:
                line.sendall(b"DIA\r")
                assert line.recv(64) == b"\x0200S26.59\x03"
                if turn % 2:
                    line.sendall(b"VER\r\r")


def test_two_hosts_on_a_terminal_share_it_and_a_second_connection_is_turned_away(
    process: Process, wire: Wire
) -> None:
    wire.ask("DIA12")
    if process.port.startswith("socket:"):
        address = ("127.0.0.1", int(process.port.rpartition(":")[2]))
        with socket.create_connection(address, timeout=2) as second, suppress(ConnectionError):
            assert second.recv(10) == b""
    else:
        with Wire(process.port) as second_wire:
            assert second_wire.ask("DIA") == "00S12.00"
    assert wire.ask("DIA") == "00S12.00"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_zero_in_mid_delivery_and_takes_its_link_along(
    tmp_path: Path, sign: signal.Signals
) -> None:
    link = tmp_path / "pump"
    with Process(*CLEAN, "--pty", str(link)) as process, Wire(process.port) as wire:
        wire.all_of("RAT100MH", "RUN")
        assert link.is_symlink()
        code, said = process.end(sign)
    assert code == 0
    assert "Bench and simulation only" in said
    assert not os.path.lexists(link)


def test_a_dead_pumps_link_is_taken_over(tmp_path: Path) -> None:
    link = tmp_path / "pump"
    with Process(*CLEAN, "--pty", str(link)) as first:
        assert first.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert link.is_symlink()
    with Process(*CLEAN, "--pty", str(link)), Wire(str(link)) as wire:
        assert wire.ask("") == "00S"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--tcp", "127.0.0.1:99999"), "99999"), (("--tcp", "127.0.0.1"), "--tcp"),
        (("--speed", "0"), "speed"), (("--speed", "fast"), "fast"), (("--address", "100"), "0..99"),
        (("--address", "x"), "--address"), (("--quirk", "nothing=1"), "nothing"),
        (("--quirk", "power_on=late"), "late"), (("--quirk", "power_on"), "NAME=VALUE"),
        (("--syringe", "bucket"), "bucket"), (("--model", "x"), "ne-1000"), (("--dialect", "morse"), "morse"),
        (("--bogus",), "--bogus"), (("--pty", "/nowhere/at/all"), "/nowhere/at"),
        (("--faults", "/nowhere/script"), "/nowhere/script"),
    ],
)  # fmt: skip
def test_a_bad_option_is_refused_in_one_line_with_exit_code_two(
    options: tuple[str, ...], names: str
) -> None:
    code, said = refused(*options)
    assert (code, names in said) == (2, True), said


def test_a_file_in_the_way_of_the_link_is_left_alone(tmp_path: Path) -> None:
    link = tmp_path / "pump"
    link.write_text("precious")
    assert refused("--pty", str(link))[0] == 2
    assert link.read_text() == "precious"


def test_a_busy_or_foreign_tcp_port_is_named_with_exit_code_three() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = refused("--tcp", address)
    assert (code, address in said) == (3, True)
    assert refused("--tcp", "192.0.2.1:0")[0] == 3


@pytest.mark.parametrize(
    ("model", "name"), [("ne-500", "NE500"), ("ne-1600", "NE1600"), ("ne-4000", "NE4000")]
)
def test_it_names_the_model_it_was_asked_to_be(model: str, name: str) -> None:
    with Process(*CLEAN, "--model", model) as process, Wire(process.port) as wire:
        assert wire.ask("VER") == f"00S{name}V3.928"
