"""The simulated Harvard pumps on a real pseudo-terminal, opened as hosts open them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import serial

from firmware_bridge.clock import new_loop
from sim.devices.kinds import PumpOptions, device_kind
from sim.serve import serve_pty

pytestmark = pytest.mark.real


@contextmanager
def served(dialect: str, model: str, *quirks: str, address: int = 0) -> Iterator[str]:
    """The name of a pump's terminal, served on a thread of its own."""
    loop = new_loop(1.0)
    kind = device_kind(dialect)
    ready: list[str] = []
    begun, ended = threading.Event(), asyncio.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        pump = kind.make(PumpOptions(model=model, address=address, quirks=quirks))
        there = serve_pty(pump, loop)
        ready.append(there.port)
        begun.set()
        loop.run_until_complete(ended.wait())
        there.close()
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert begun.wait(5.0)
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(5.0)


def test_a_legato_delivers_its_target_and_says_so_by_itself() -> None:
    with (
        served("harvard", "legato-100") as port,
        serial.Serial(port, 115_200, timeout=2.0, stopbits=2) as line,
    ):
        for command in (b"diameter 14.43", b"irate 3 ml/min", b"tvolume 20 ul", b"civolume"):
            line.write(command + b"\r\n")
            assert line.read(2) == b"\n:"
        line.write(b"irun\r\n")
        assert line.read(2) == b"\n>"
        assert line.read(3) == b"\nT*"
        line.write(b"@poll on\r\n")
        assert line.read_until(b"\x11") == b"\nT*\x11"
        line.write(b"@ivolume\r\n")
        assert line.read_until(b"\x11") == b"\n20 ul\r\nT*\x11"
        line.write(b"@stp\r\n")
        assert line.read_until(b"\x11") == b"\n:\x11"


def test_an_elite_of_a_chain_answers_a_host_that_insists_on_digits() -> None:
    with (
        served("harvard", "11-elite", address=7) as port,
        serial.Serial(port, 115_200, timeout=0.3) as line,
    ):
        line.write(b"\r\n")
        assert [line.readline(), line.readline()] == [b"\n", b"07:"]
        line.write(b"7ver \r\n")
        assert line.readlines() == [b"\n", b"07:11 ELITE I/W Single 3.0.4\r\n", b"07:"]
        line.write(b"0irun\r\n")
        assert line.read(1) == b""
        line.write(b"7irun\r\n")
        assert line.read_until(b">") == b"\n07>"
        line.write(b"7crate\r\n")
        assert b"07:Infusing at 1 ml/min\r\n" in line.readlines()


def test_an_older_pump_answers_in_fixed_counts_at_the_pace_of_its_line() -> None:
    with (
        served("harvard-legacy", "11-plus", address=3) as port,
        serial.Serial(port, 9_600, timeout=2.0, stopbits=2) as line,
    ):
        line.write(b"03VER\r")
        answer = line.read(17)
        assert int(answer[-3:-1]) == 3
        for command in (b"03MMD14.43", b"03ULM3000", b"03MLT20"):
            line.write(command + b"\r")
            assert line.read(5) == b"\r\n03:"
        line.write(b"03RUN\r")
        assert line.read(5) == b"\r\n03>"
        answers: list[bytes] = []
        while not answers or b":" not in answers[-1]:
            line.write(b"03VOL\r")
            answers.append(line.read(15))
        assert answers[-1] == b"\r\n  20.00 \r\n03:"
        assert len(answers) > 3
