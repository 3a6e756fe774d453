"""`infusor sim record` between a host and a pump, and `infusor sim diff` of what it wrote."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from hil_tests.real.command_line import REPOSITORY, InThisProcess
from hil_tests.real.control_client import Client, pump
from sim.recording import TO_HOST, TO_PUMP, Piece, merged, written
from sim.recording_file import FILE_BYTES_MAX, read_recording

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]


class Recording:
    """``infusor sim record`` as a process."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "controller", "sim", "record", *words],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port: str = json.loads(self.process.stdout.readline())["port"]

    def end(self, number: signal.Signals | None = signal.SIGINT) -> tuple[int, str]:
        if number is not None:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=10)
        return self.process.returncode, said.partition("\n")[2]


@contextlib.contextmanager
def recording(*words: str) -> Iterator[Recording]:
    made = Recording(*words)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.communicate()


@contextlib.contextmanager
def mirror() -> Iterator[tuple[str, socket.socket]]:
    """A port whose other side sends back everything, each byte turned over."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        opened: list[socket.socket] = []

        def serve() -> None:
            client, _ = server.accept()
            opened.append(client)
            with contextlib.suppress(OSError):
                while data := client.recv(1_000):
                    client.sendall(bytes(255 - byte for byte in data))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"socket://127.0.0.1:{number}", server
        finally:
            for client in opened:
                client.close()
            thread.join(5)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "pump.jsonl"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_host_and_a_pump_talk_through_it_and_every_byte_is_written_down(
    tmp_path: Path, out: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    control, link = tmp_path / "control", tmp_path / "middle"
    words = ("--dialect", "new-era", "--tcp", "127.0.0.1:0", "--control", str(control))
    with pump(*words) as made, Client(str(control)) as client:
        client.ask("record.start")
        with recording("--port", made.port, "--pty", str(link), "--out", str(out)) as middle:
            assert middle.port == str(link)
            with serial.Serial(middle.port, timeout=2) as line:
                for command in (b"\r", b"DIA20\r", b"RAT60MH\r", b"VOL1\r", b"RUN\r", b"STP\r"):
                    line.write(command)
                    line.read_until(b"\x03")
            assert middle.end(number) == (0, "")
        own = tmp_path / "own.jsonl"
        own.write_text(client.ask("record.stop")["recording"])
    assert not link.exists()
    end = InThisProcess(capsys).run("sim", "diff", str(out), str(own))
    assert (end.code, end.out, end.err) == (0, "the same: 12 turns\n", "")
    with pump("--replay", str(out)) as again:
        with serial.Serial(again.port, timeout=2) as line:
            line.write(b"\r")
            assert line.read_until(b"\x03") == b"\x0200A?R\x03"
        assert again.end() == (0, "")


def test_bytes_of_all_values_pass_unaltered_both_ways(out: Path) -> None:
    every = bytes(range(256)) * 40
    with (
        mirror() as (port, _),
        recording("--port", port, "--tcp", "127.0.0.1:0", "--out", str(out)) as middle,
    ):
        host, _, number = middle.port.removeprefix("socket://").rpartition(":")
        with socket.create_connection((host, int(number)), timeout=5) as line:
            line.sendall(every)
            heard = b""
            while len(heard) < len(every):
                heard += line.recv(65_536)
        assert middle.end() == (0, "")
    turned = bytes(255 - byte for byte in every)
    assert heard == turned
    pieces = read_recording(out)
    for to, whole in ((TO_PUMP, every), (TO_HOST, turned)):
        assert b"".join(piece.data for piece in pieces if piece.to == to) == whole


def test_bytes_pass_through_pseudo_terminals_unaltered(tmp_path: Path, out: Path) -> None:
    every = bytes(range(256))
    link = tmp_path / "middle"
    with (
        mirror() as (port, _),
        recording("--port", port, "--pty", str(link), "--out", str(out)) as middle,
    ):
        with serial.Serial(middle.port, timeout=5) as line:
            line.write(every)
            assert line.read(256) == every[::-1]
        assert middle.end() == (0, "")


def test_a_pump_that_goes_away_ends_it_and_the_file_is_whole(out: Path) -> None:
    with (
        pump("--dialect", "new-era", "--tcp", "127.0.0.1:0") as made,
        recording("--port", made.port, "--tcp", "127.0.0.1:0", "--out", str(out)) as middle,
        serial.serial_for_url(middle.port, timeout=2) as line,
    ):
        line.write(b"\r")
        assert line.read_until(b"\x03")
        made.end()
        code, said = middle.end(None)
        assert code == 3
        assert "lost" in said
    assert [piece.to for piece in merged(read_recording(out))] == [TO_PUMP, TO_HOST]


def test_killed_it_leaves_what_had_passed_by_then(out: Path) -> None:
    with (
        pump("--dialect", "new-era", "--tcp", "127.0.0.1:0") as made,
        recording("--port", made.port, "--tcp", "127.0.0.1:0", "--out", str(out)) as middle,
        serial.serial_for_url(middle.port, timeout=2) as line,
    ):
        line.write(b"\r")
        assert line.read_until(b"\x03")
        while len(out.read_text().splitlines()) < 3:
            pass
        assert middle.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert len(merged(read_recording(out))) == 2


PORT = ("--port", "socket://127.0.0.1:1")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((*PORT, "--tcp", "127.0.0.1:0"), 3, "127.0.0.1:1"),
        ((*PORT, "--tcp", "nowhere"), 2, "--tcp nowhere: it is HOST:PORT"),
        ((*PORT, "--tcp", ":0", "--baud", "fast"), 2, "--baud fast: it is a whole number in 1.."),
        (
            (*PORT, "--tcp", ":0", "--bytesize", "9"),
            2,
            "--bytesize 9: it is a whole number in 5..8",
        ),
        ((*PORT, "--tcp", ":0", "--parity", "X"), 2, "--parity X: it is one of N, E, O, M, S"),
        ((*PORT, "--tcp", ":0", "--stopbits", "3"), 2, "--stopbits 3: it is one of 1, 1.5, 2"),
        ((*PORT, "--tcp", ":0", "--pty", "x"), 2, "not allowed with"),
        (PORT, 2, "required"),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_leaves_no_file(
    words: tuple[str, ...], code: int, said: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end = InThisProcess(capsys).run("sim", "record", *words, "--out", str(out))
    assert (end.code, said in end.complaint) == (code, True), end.complaint
    assert not out.exists()


def test_a_recording_that_is_there_is_never_written_over(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out.write_text("mine")
    end = InThisProcess(capsys).run(
        "sim", "record", *PORT, "--tcp", "127.0.0.1:0", "--out", str(out)
    )
    assert (end.code, "File exists" in end.complaint) == (2, True)
    assert out.read_text() == "mine"


# --- comparing -------------------------------------------------------------------------------------------


def kept(path: Path, *turns: tuple[str, bytes]) -> str:
    path.write_text(written(Piece(number, *turn) for number, turn in enumerate(turns)))
    return str(path)


def test_the_first_difference_is_shown_and_is_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user = InThisProcess(capsys)
    a = kept(tmp_path / "a", (TO_PUMP, b"VER\r"), (TO_HOST, b"\x0200SNE1000V3.928\x03"))
    b = kept(tmp_path / "b", (TO_PUMP, b"VER\r"), (TO_HOST, b"\x0200SNE1000V3.930\x03"))
    end = user.run("sim", "diff", a, b)
    assert (end.code, end.err) == (1, "")
    assert end.out.splitlines() == [
        "1 turns are the same; they part in turn 2, byte 14:",
        f"  {a}  at 1.000 s from the pump: b'\\x0200SNE1000V3.928\\x03'",
        f"  {b}  at 1.000 s from the pump: b'\\x0200SNE1000V3.930\\x03'",
    ]
    end = user.run("sim", "diff", a, b, "--json")
    assert end.code == 1
    assert (end.json["same"], end.json["turns"], end.json["turn"], end.json["offset"]) == (
        False,
        1,
        2,
        14,
    )
    assert bytes.fromhex(end.json["b"]["hex"]) == b"\x0200SNE1000V3.930\x03"
    shorter = kept(tmp_path / "c", (TO_PUMP, b"VER\r"))
    assert "has ended" in user.run("sim", "diff", a, shorter).out
    assert user.run("sim", "diff", shorter, a, "--json").json["a"] is None
    assert user.run("sim", "diff", a, a, "--json").json == {"same": True, "turns": 2}


def test_of_a_long_turn_only_the_place_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = kept(tmp_path / "a", (TO_PUMP, b"x" * 500 + b"a" + b"x" * 500))
    b = kept(tmp_path / "b", (TO_PUMP, b"x" * 500 + b"b" + b"x" * 500))
    end = InThisProcess(capsys).run("sim", "diff", a, b)
    assert f"...b'{'x' * 24}a{'x' * 23}'..." in end.out


def test_what_is_no_recording_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = InThisProcess(capsys)
    good = kept(tmp_path / "good")
    bad = tmp_path / "bad"
    bad.write_bytes(b"\xff")
    for name in (str(bad), str(tmp_path), str(tmp_path / "absent")):
        end = user.run("sim", "diff", good, name)
        assert (end.code, name in end.complaint) == (2, True)
    assert FILE_BYTES_MAX == 500_000_000
    monkeypatch.setattr("sim.recording_file.FILE_BYTES_MAX", 10)
    assert "larger than 10 bytes" in user.run("sim", "diff", good, good).complaint
