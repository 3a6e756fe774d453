"""Simulated pumps on real ports: PTY and TCP, links, hang-ups, hosts that misbehave, the command itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from firmware_bridge.errors import ConfigurationError, LinkError
from sim.devices.new_era import NewEraPump
from sim.ports import BACKLOG_BYTES_MAX
from sim.serve import Served, serve_pty, serve_tcp

pytestmark = pytest.mark.real

ALARM = b"\x0200A?R\x03"
STOPPED = b"\x0200S\x03"


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "pump"


async def in_thread(work: Callable[[], bytes]) -> bytes:
    """A blocking host beside the loop that serves the pump."""
    return await asyncio.to_thread(work)


def is_there(link: Path) -> bool:
    return link.is_symlink()


def leave_stale(link: Path) -> None:
    link.symlink_to("/dev/nowhere")


def ask_serial(port: str, *commands: bytes) -> bytes:
    with serial.serial_for_url(port, baudrate=19_200, timeout=2) as line:
        answers = b""
        for command in commands:
            line.write(command)
            answers += line.read_until(b"\x03")
        return answers


# -- pseudo-terminal ----------------------------------------------------------------------------------


async def test_pyserial_talks_to_the_pump_through_its_link(link: Path) -> None:
    served = serve_pty(NewEraPump(), asyncio.get_running_loop(), link)
    assert served.port == str(link)
    assert await in_thread(lambda: ask_serial(str(link), b"VER \r", b"VER\r")) == (
        ALARM + b"\x0200SNE1000V3.928\x03"
    )
    served.close()
    served.close()
    assert not is_there(link)


async def test_without_a_link_the_terminal_itself_is_the_port() -> None:
    served = serve_pty(NewEraPump(), asyncio.get_running_loop())
    assert served.port.startswith("/dev/")
    assert await in_thread(lambda: ask_serial(served.port, b"\r")) == ALARM
    served.close()


async def test_one_host_after_another_finds_the_same_pump() -> None:
    served = serve_pty(NewEraPump(), asyncio.get_running_loop())
    for answer in (ALARM, STOPPED, STOPPED):
        assert await in_thread(lambda: ask_serial(served.port, b"\r")) == answer
    served.close()


async def test_unplugging_breaks_the_host_and_replugging_serves_it_under_the_same_link(
    link: Path,
) -> None:
    served = serve_pty(NewEraPump(), asyncio.get_running_loop(), link)
    line = serial.Serial(str(link), timeout=2)
    served.unplug()
    assert not is_there(link)
    with pytest.raises((serial.SerialException, OSError)):
        await in_thread(lambda: line.read(1))
    line.close()
    served.replug()
    served.replug()
    assert await in_thread(lambda: ask_serial(str(link), b"\r")) == ALARM
    served.close()


async def test_a_stale_link_is_replaced_and_a_link_taken_over_is_left_alone(link: Path) -> None:
    leave_stale(link)
    loop = asyncio.get_running_loop()
    first = serve_pty(NewEraPump(), loop, link)
    second = serve_pty(NewEraPump(model="ne-500"), loop, link)
    first.close()
    assert await in_thread(lambda: ask_serial(str(link), b"\r", b"VER\r")) == (
        ALARM + b"\x0200SNE500V3.928\x03"
    )
    second.close()


async def test_a_link_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    in_the_way = tmp_path / "file"
    in_the_way.write_text("mine")
    with pytest.raises(ConfigurationError, match="not a symbolic link"):
        serve_pty(NewEraPump(), loop, in_the_way)
    with pytest.raises(ConfigurationError, match="not a directory"):
        serve_pty(NewEraPump(), loop, tmp_path / "absent" / "pump")
    with pytest.raises(ConfigurationError, match="link"):
        serve_pty(NewEraPump(), loop, tmp_path / ("x" * 255))
    assert in_the_way.read_text() == "mine"


async def until(happened: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if happened():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never happened")


async def write_all(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            await asyncio.sleep(0.001)


async def test_a_host_that_never_reads_can_still_stop_the_pump() -> None:
    pump = NewEraPump()
    served = serve_pty(pump, asyncio.get_running_loop())
    host = os.open(served.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    os.write(host, b"\rRAT60MH\rRUN\r")
    for _ in range(100):
        await write_all(host, b"\r" * 500)
    await write_all(host, b"STP\rSTP\r")
    await until(lambda: pump.status == "S")
    drained = b""
    for _ in range(400):
        try:
            drained += os.read(host, 65_536)
        except BlockingIOError:
            await asyncio.sleep(0.001)
    assert drained.count(b"\x02") == drained.count(b"\x03")
    assert len(drained) <= 2 * BACKLOG_BYTES_MAX
    os.close(host)
    served.close()


# -- TCP ----------------------------------------------------------------------------------------------


def ask_tcp(served: Served, command: bytes) -> bytes:
    host, _, port = served.port.removeprefix("socket://").rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=2) as line:
        line.sendall(command)
        return line.recv(100)


async def test_a_socket_and_pyserial_talk_to_the_pump_over_tcp() -> None:
    served = serve_tcp(NewEraPump(), asyncio.get_running_loop())
    assert served.port.startswith("socket://127.0.0.1:")
    assert await in_thread(lambda: ask_tcp(served, b"\r")) == ALARM
    assert await in_thread(lambda: ask_serial(served.port, b"\r")) == STOPPED
    served.close()


async def test_a_second_client_is_turned_away_until_the_first_has_left() -> None:
    served = serve_tcp(NewEraPump(), asyncio.get_running_loop())
    host, _, port = served.port.removeprefix("socket://").rpartition(":")
    first = socket.create_connection((host, int(port)))
    first.settimeout(2)
    first.sendall(b"\r")
    assert await in_thread(lambda: first.recv(100)) == ALARM
    second = socket.create_connection((host, int(port)))
    second.settimeout(2)
    assert await in_thread(lambda: second.recv(100)) == b""
    second.close()
    first.sendall(b"\r")
    assert await in_thread(lambda: first.recv(100)) == STOPPED
    first.close()
    assert await in_thread(lambda: ask_tcp(served, b"\r")) == STOPPED
    served.close()


async def test_unplugging_tcp_ends_the_connection_and_replugging_keeps_the_port() -> None:
    served = serve_tcp(NewEraPump(), asyncio.get_running_loop())
    name = served.port
    host, _, port = name.removeprefix("socket://").rpartition(":")
    line = socket.create_connection((host, int(port)))
    line.settimeout(2)
    await asyncio.sleep(0.05)
    served.unplug()
    assert await in_thread(lambda: line.recv(1)) == b""
    line.close()
    with pytest.raises(OSError, match="refused"):
        await in_thread(lambda: ask_tcp(served, b"\r"))
    served.replug()
    assert served.port == name
    assert await in_thread(lambda: ask_tcp(served, b"\r")) == ALARM
    served.close()


async def test_a_tcp_client_that_reads_late_gets_every_answer_in_order() -> None:
    served = serve_tcp(NewEraPump(), asyncio.get_running_loop())
    host, _, port = served.port.removeprefix("socket://").rpartition(":")
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    line.connect((host, int(port)))
    line.settimeout(5)
    line.sendall(b"\rVOL5\r" + b"VOL\r" * 3_000)
    await asyncio.sleep(0.2)
    expected = ALARM + STOPPED + b"\x0200S5.000ML\x03" * 3_000
    answers = b""
    while len(answers) < len(expected):
        answers += await in_thread(lambda: line.recv(65_536))
    assert answers == expected
    line.close()
    served.close()


async def test_a_tcp_client_that_never_reads_can_still_stop_the_pump() -> None:
    pump = NewEraPump()
    served = serve_tcp(pump, asyncio.get_running_loop())
    host, _, port = served.port.removeprefix("socket://").rpartition(":")
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    line.connect((host, int(port)))
    line.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(line, b"\rRAT60MH\rRUN\r")
    for _ in range(60):
        await loop.sock_sendall(line, b"VER\r" * 5_000)
    await until(lambda: pump.status == "I")
    await loop.sock_sendall(line, b"STP\rSTP\r")
    await until(lambda: pump.status == "S")
    line.close()
    served.close()


async def test_a_client_that_vanishes_does_no_harm() -> None:
    served = serve_tcp(NewEraPump(), asyncio.get_running_loop())
    host, _, port = served.port.removeprefix("socket://").rpartition(":")
    line = socket.create_connection((host, int(port)))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    line.sendall(b"\r" * 10)
    line.close()
    await asyncio.sleep(0.05)
    answer = await in_thread(lambda: ask_tcp(served, b"\r"))
    assert answer in (ALARM, STOPPED)
    served.close()


async def test_an_address_that_is_taken_or_is_none_is_a_link_error() -> None:
    loop = asyncio.get_running_loop()
    served = serve_tcp(NewEraPump(), loop)
    port = int(served.port.rpartition(":")[2])
    with pytest.raises(LinkError, match="cannot listen"):
        serve_tcp(NewEraPump(), loop, port=port)
    with pytest.raises(LinkError, match="cannot listen"):
        serve_tcp(NewEraPump(), loop, "host.invalid", 0)
    served.close()


async def test_ipv6_loopback_is_spelt_with_brackets() -> None:
    try:
        served = serve_tcp(NewEraPump(), asyncio.get_running_loop(), "::1")
    except LinkError:
        pytest.skip("no IPv6 on this machine")
    assert served.port.startswith("socket://[::1]:")
    assert await in_thread(lambda: ask_tcp(served, b"\r")) == ALARM
    served.close()


# -- the command ------------------------------------------------------------------------------------

SCRIPT = """
import argparse, sys
from sim.pump_command import add_arguments, run
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(run(parser.parse_args(sys.argv[1:])))
"""


@pytest.fixture
def command() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    assert line["ready"] is True
    return str(line["port"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_when_it_is_ready_and_ends_with_zero(
    command: Callable[..., subprocess.Popen[str]], link: Path, number: signal.Signals
) -> None:
    process = command("--dialect", "new-era", "--pty", str(link), "--syringe", "BD 10 mL")
    assert ready(process) == str(link)
    assert ask_serial(str(link), b"\r") == ALARM
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "")
    assert "Bench and simulation only" in err
    assert len(err.splitlines()) == 1
    assert not is_there(link)


def test_options_reach_the_pump_and_its_clock(
    command: Callable[..., subprocess.Popen[str]],
) -> None:
    process = command(
        *("--dialect", "new-era", "--tcp", "127.0.0.1:0", "--model", "ne-1600", "--seed", "7"),
        *("--address", "7", "--speed", "100", "--quirk", "power_on=clean"),
        *("--quirk", "reply_address_digits=1"),
    )
    port = ready(process)
    assert port.startswith("socket://127.0.0.1:")
    commands = (b"7VER\r", b"7RAT60MH\r", b"7VOL1\r", b"7RUN\r")
    assert (
        ask_serial(port, *commands) == b"\x027SNE1600V3.928\x03" + b"\x027S\x03" * 2 + b"\x027I\x03"
    )
    deadline = time.perf_counter() + 10
    while ask_serial(port, b"7\r") != b"\x027S\x03":
        assert time.perf_counter() < deadline
    assert ask_serial(port, b"7DIS\r") == b"\x027SI1.000W0.000ML\x03"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--dialect", "acme"], ["acme", "new-era"]),
        (["--dialect", "new-era", "--model", "ne-9"], ["ne-9", "ne-1000"]),
        (["--dialect", "new-era", "--faults", "/no/f.toml"], ["/no/f.toml"]),
        (["--dialect", "new-era", "--control", "/no/c"], ["--control", "/no"]),
        (["--dialect", "new-era", "--control", ":0"], ["token", "INFUSOR_CONTROL_TOKEN"]),
        (["--dialect", "new-era", "--control", "0.0.0.0:0"], ["loopback"]),
        (["--replay", "/no/r"], ["/no/r"]),
        (["--replay", "r", "--dialect", "new-era"], ["--dialect", "--replay"]),
        (["--dialect", "new-era", "--rfc2217", ":x"], ["--rfc2217", "HOST:PORT"]),
        (["--config", "/nowhere.toml"], ["/nowhere.toml"]),
        (["--config", "x", "--address", "1"], ["--address", "--config"]),
        ([], ["--dialect"]),
        (["--dialect", "new-era", "--address", "100"], ["--address", "100", "0..99"]),
        (["--dialect", "new-era", "--seed", "x"], ["--seed", "x"]),
        (["--dialect", "new-era", "--speed", "fast"], ["--speed", "fast"]),
        (["--dialect", "new-era", "--speed", "0"], ["speed", "0"]),
        (["--dialect", "new-era", "--tcp", "127.0.0.1:99999"], ["99999", "65535"]),
        (["--dialect", "new-era", "--tcp", "nowhere"], ["nowhere"]),
        (["--dialect", "new-era", "--syringe", "acme-7"], ["acme-7", "bd-10"]),
        (["--dialect", "new-era", "--quirk", "power_on=maybe"], ["power_on", "maybe", "clean"]),
        (["--dialect", "new-era", "--pty", "/nowhere/at/all"], ["/nowhere/at"]),
    ],
)
def test_bad_input_ends_with_two_and_one_line_that_names_it(
    command: Callable[..., subprocess.Popen[str]], options: list[str], named: list[str]
) -> None:
    process = command(*options)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (2, "")
    assert len(err.splitlines()) == 1
    for word in named:
        assert word in err


def test_a_port_that_is_taken_ends_with_three(
    command: Callable[..., subprocess.Popen[str]],
) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    process = command("--dialect", "new-era", "--tcp", f":{taken.getsockname()[1]}")
    _, err = process.communicate(timeout=10)
    assert process.returncode == 3
    assert len(err.splitlines()) == 1
    taken.close()
