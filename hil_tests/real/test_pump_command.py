"""``infusor pump``: a simulated pump on a PTY and on TCP, driven by hand through bridge and gate."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from hil_tests.real.command_line import SYRINGE, CommandLine, ended

pytestmark = pytest.mark.real


class Bench:
    """A user at a running simulated pump; what others say to the pump goes over `ask`."""

    def __init__(self, user: CommandLine, *where: str) -> None:
        self.user = user
        self.process = user.start("sim", "pump", "--dialect", "new-era", *where)
        assert self.process.stdout is not None
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.url = f"new-era:{self.port}"

    def pump(self, *words: str) -> tuple[str, ...]:
        return ("pump", self.url, *words)

    def ask(self, *commands: str) -> str:
        """The answers in basic mode: as a program that knows nothing of this one would hear them."""
        with serial.serial_for_url(self.port, baudrate=19_200, timeout=1) as line:
            answers = b""
            for command in commands:
                line.write(f"{command}\r".encode())
                answers += line.read_until(b"\x03")
        return answers.decode("latin-1")  # in safe mode there is a CRC in them

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=10)


@pytest.fixture(scope="module")
def pty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    user = CommandLine(tmp_path_factory.mktemp("pty"))
    bench = Bench(user, "--pty", str(user.home / "pump"))
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def tcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(CommandLine(tmp_path_factory.mktemp("tcp")), "--tcp", "127.0.0.1:0")
    yield bench
    bench.close()


def amounts(rate: str, volume: str) -> tuple[str, ...]:
    return ("--rate-ml-h", rate, "--volume-ml", volume, *SYRINGE)


def wait_for(holds: object, within_s: float = 20.0) -> None:
    assert callable(holds)
    until = time.perf_counter() + within_s
    while not holds():
        assert time.perf_counter() < until
        time.sleep(0.02)


# --- asking ----------------------------------------------------------------------------------------------


def test_identify_says_who_answers_and_what_bounds_a_delivery(pty: Bench) -> None:
    end = pty.user.run(*pty.pump("identify", "--json"))
    assert (end.code, end.err) == (0, "")
    assert end.json["identity"]["firmware"] == "NE-1000 3.928"
    assert end.json["identity"]["bounded_by"] == "dead-man and target"
    assert "volume_target" in end.json["identity"]["capabilities"]
    assert end.json["restored"] == []


def test_status_is_for_people_unless_json_is_asked_for(tcp: Bench) -> None:
    end = tcp.user.run(*tcp.pump("status"))
    assert end.code == 0
    assert "stopped, 0 mL/h" in end.out
    assert "Never a pump connected to a person" in end.out


# --- delivering --------------------------------------------------------------------------------------------


def test_infuse_reports_what_the_pump_took_and_what_it_delivered(pty: Bench) -> None:
    end = pty.user.run(*pty.pump("infuse", *amounts("543.2109", "0.15"), "--json"))
    assert (end.code, end.err) == (0, "")
    assert end.json["rate_ml_h"] == 543.2  # four digits are what this pump can be told
    assert end.json["volume_ml"] == 0.15
    assert end.json["delivered_ml"] == pytest.approx(0.15, abs=0.002)
    assert end.json["status"]["state"] == "completed"
    assert end.json["duration_s"] >= 0.15 / 543.2 * 3600


def test_afterwards_the_pump_is_as_it_was_found(pty: Bench) -> None:
    pty.ask("VER")  # a pump just switched on answers its first question with the reset alarm
    before = pty.ask("DIA", "TRG", "SAF")
    end = pty.user.run(*pty.pump("infuse", *amounts("700", "0.1"), "--json"))
    assert "SAF 0" in end.json["restored"]
    assert pty.ask("DIA", "TRG", "SAF") == before


def test_a_bolus_is_delivered_over_tcp(tcp: Bench) -> None:
    end = tcp.user.run(*tcp.pump("bolus", *amounts("720", "0.1"), "--json"))
    assert (end.code, end.json["action"]) == (0, "bolus")
    assert end.json["delivered_ml"] == pytest.approx(0.1, abs=0.002)


def test_a_rate_that_the_pump_cannot_do_is_refused_with_its_limits(tcp: Bench) -> None:
    end = tcp.user.run(*tcp.pump("infuse", *amounts("1000", "0.1")))
    assert end.code == 2
    assert "rate: 1000 mL/h is outside 0.011986 mL/h to 872.255755 mL/h" in end.complaint


def test_there_is_a_bar_on_a_terminal_and_none_in_a_pipe(tcp: Bench) -> None:
    words = tcp.pump("infuse", *amounts("720", "0.2"))
    piped = tcp.user.run(*words)
    assert (piped.code, piped.err) == (0, "")
    master, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "controller", *words],
        env=tcp.user.environment | {"TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # how a terminal ends on Linux
        pass
    os.close(master)
    assert process.wait(10) == 0
    assert re.search(rb"0\.\d{3} of 0\.200 mL", shown)


def test_a_simulated_pump_lives_as_long_as_the_command(tcp: Bench) -> None:
    end = tcp.user.run("pump", "sim:new-era", "infuse", *amounts("720", "0.1"), "--json")
    assert (end.code, end.err, end.json["status"]["state"]) == (0, "", "completed")


# --- stopping ------------------------------------------------------------------------------------------------


def test_stop_ends_what_another_program_started(pty: Bench) -> None:
    assert "I" in pty.ask("DIA 20", "RAT 100 MH", "VOL 9", "RUN")
    end = pty.user.run(*pty.pump("stop", "--json"))
    assert (end.code, end.json["stop_confirmed"]) == (0, True)
    assert end.json["status"]["state"] == "stopped"
    assert end.json["status"]["delivered_ml"] > 0
    assert pty.ask("") == "\x0200S\x03"


def test_watch_shows_a_line_a_second_and_ctrl_c_ends_it_well(tcp: Bench) -> None:
    with tcp.user.running(*tcp.pump("watch")) as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        end = ended(process)
    assert [line["state"] for line in lines] == ["stopped", "stopped"]
    assert lines[1]["t_s"] == pytest.approx(1, abs=0.5)
    assert (end.code, end.err) == (0, "")
    assert not tcp.user.latch("bench-1").exists()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(CommandLine(tmp_path), "--pty", str(tmp_path / "pump"))
    yield bench
    bench.close()


def test_ctrl_c_is_an_emergency_stop_that_latches(own: Bench) -> None:
    with own.user.running(*own.pump("infuse", *amounts("360", "5"), "--json")) as process:
        stop = own.user.sockets / "infusor" / "bench-1.stop"
        wait_for(stop.exists)
        time.sleep(1.5)  # into the delivery
        process.send_signal(signal.SIGINT)
        end = ended(process)
    assert end.code == 1
    assert (end.json["stop_confirmed"], end.json["latched"]) == (True, True)
    assert 0 < end.json["delivered_ml"] < 1
    assert end.err == "infusor pump: emergency stop\n"
    assert own.user.latch("bench-1").exists()
    again = own.user.run(*own.pump("infuse", *amounts("360", "5")))
    assert (again.code, "bench-1 is latched" in again.complaint) == (1, True)
    seen = own.user.run(*own.pump("status", "--json"))
    assert (seen.code, seen.json["latched"]) == (0, True)
    assert seen.json["status"]["delivered_ml"] == end.json["delivered_ml"]


# --- putting right ----------------------------------------------------------------------------------------------


def test_restore_ends_the_safe_mode_that_a_broken_session_left(tcp: Bench) -> None:
    assert tcp.ask("SAF 50").startswith("\x02")
    kept = tcp.user.run(*tcp.pump("status", "--json"))
    assert (kept.code, kept.json["restored"]) == (0, [])  # nobody asked for that
    assert "00S" not in tcp.ask("")  # a program that speaks basic mode is not understood
    end = tcp.user.run(*tcp.pump("restore", "--json"))
    assert (end.code, end.json["restored"]) == (0, ["SAF 0"])
    assert "00S" in tcp.ask("")
    again = tcp.user.run(*tcp.pump("restore"))
    assert (again.code, "nothing had been changed" in again.out) == (0, True)
