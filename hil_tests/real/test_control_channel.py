"""The control channel on real sockets: who may come in, who may not, and what a process does with it."""

from __future__ import annotations

import json
import socket
import stat
import time
from pathlib import Path

import pytest
import serial

from hil_tests.real.command_line import InThisProcess
from hil_tests.real.control_client import Client, pump

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]

TOKEN = "a token of more than sixteen characters"


def ask(port: str, *commands: bytes) -> bytes:
    with serial.serial_for_url(port, baudrate=19_200, timeout=2) as line:
        answer = b""
        for command in commands:
            line.write(command)
            answer = line.read_until(b"\x03")
        return answer


def new_era(*words: str) -> tuple[str, ...]:
    return ("--dialect", "new-era", "--quirk", "power_on=clean", *words)


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "control"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    return file


# --- a socket of this user's alone -----------------------------------------------------------------------


def test_a_running_pump_is_asked_held_stepped_and_broken_through_a_socket(where: Path) -> None:
    with pump(*new_era("--control", str(where))) as made:
        assert made.ready["control"] == str(where)
        assert stat.S_IMODE(where.stat().st_mode) == 0o600
        with Client(str(where)) as client, Client(str(where)) as other:
            ask(made.port, b"DIA20\r", b"RAT60MH\r", b"VOL9\r", b"RUN\r")
            client.ask("time.pause")
            before = client.ask("truth.get")["delivered_nl"]
            client.ask("time.step", seconds=60)
            assert other.ask("truth.get")["delivered_nl"] == pytest.approx(before + 1e6, abs=2)
            other.ask("fault.add", kind="stop_ignored")
            assert ask(made.port, b"STP\r") == b"\x0200I\x03"
            client.ask("fault.clear")
            assert ask(made.port, b"STP\r") == b"\x0200P\x03"
            assert json.loads(client.send(b"nonsense\n"))["error"]["code"] == -32_700
        assert made.end() == (0, "")
    assert not where.exists()


def test_a_client_that_stays_does_not_keep_the_pump_from_ending(where: Path) -> None:
    with pump(*new_era("--control", str(where))) as made, Client(str(where)) as client:
        client.ask("truth.get")
        assert made.end() == (0, "")


@pytest.mark.parametrize("size", [65_537, 65_538, 131_075, 1_000_000])
def test_a_request_that_is_too_long_is_refused_and_the_next_one_is_served(
    where: Path, size: int
) -> None:
    with pump(*new_era("--control", str(where))) as made:
        with Client(str(where)) as client:
            error = json.loads(client.send(b"x" * size + b"\n"))["error"]
            assert error == {"code": -32_600, "message": "a request is at most 65536 bytes"}
            client.ask("truth.get")
        assert made.end() == (0, "")


def test_only_so_many_are_served_at_once(where: Path) -> None:
    with pump(*new_era("--control", str(where))) as made:
        clients = [Client(str(where)) for _ in range(16)]
        for client in clients:
            client.ask("truth.get")
        with Client(str(where)) as one_more:
            assert one_more.request("truth.get") == b""
        clients.pop().__exit__()
        deadline = time.perf_counter() + 5
        answer = b""
        while not answer and time.perf_counter() < deadline:
            with Client(str(where)) as one_more:
                answer = one_more.request("truth.get")
        assert answer
        for client in clients:
            client.__exit__()
        assert made.end() == (0, "")


def test_a_socket_that_nobody_serves_any_more_is_replaced(where: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(where))
    stale.close()
    with pump(*new_era("--control", str(where))), Client(str(where)) as client:
        client.ask("truth.get")


def test_a_socket_that_somebody_serves_is_left_to_him(
    where: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pump(*new_era("--control", str(where))):
        end = InThisProcess(capsys).run("sim", "pump", *new_era("--control", str(where)))
        assert (end.code, end.complaint) == (
            3,
            f"infusor sim pump: {where}: somebody else listens there",
        )
        with Client(str(where)) as client:
            client.ask("truth.get")


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("file", "exists and is not a socket"),
        ("absent/control", "is not a directory"),
        ("x" * 200, "too long"),
    ],
)
def test_a_path_that_will_not_do_is_refused_and_left_alone(
    tmp_path: Path, at: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    end = InThisProcess(capsys).run("sim", "pump", *new_era("--control", str(tmp_path / at)))
    assert end.code in (2, 3)
    assert said in end.complaint
    assert (tmp_path / "file").read_text() == "mine"


# --- a port that asks for a token ------------------------------------------------------------------------


def test_a_port_serves_who_brings_the_token(token_file: Path) -> None:
    words = new_era("--control", "127.0.0.1:0", "--control-token-file", str(token_file))
    with pump(*words) as made:
        with Client(made.ready["control"]) as client:
            assert client.ask("auth", token=TOKEN) == {}
            client.ask("truth.get")
        assert made.end() == (0, "")


def test_the_token_may_come_from_the_environment() -> None:
    with (
        pump(*new_era("--control", "localhost:0"), INFUSOR_CONTROL_TOKEN=TOKEN) as made,
        Client(made.ready["control"]) as client,
    ):
        client.ask("auth", token=TOKEN)
        client.ask("truth.get")


@pytest.mark.parametrize(
    "first",
    [
        b'{"jsonrpc": "2.0", "id": 1, "method": "truth.get"}\n',
        b'{"jsonrpc": "2.0", "id": 1, "method": "auth", "params": {"token": "wrong"}}\n',
        b'{"jsonrpc": "2.0", "id": 1, "method": "auth", "params": {"token": null}}\n',
        b'{"jsonrpc": "2.0", "id": 1, "method": "auth", "params": {"token": "\\ud800"}}\n',
        b'{"jsonrpc": "2.0", "id": 1, "method": "auth"}\n',
        b"[]\n",
        b"GET / HTTP/1.1\r\n",
        b"\n",
        b"x" * 70_000 + b"\n",
        b'{"a":' * 3_000 + b"\n",
    ],
)
def test_whoever_does_not_is_sent_away_without_a_word(first: bytes) -> None:
    with pump(*new_era("--control", "127.0.0.1:0"), INFUSOR_CONTROL_TOKEN=TOKEN) as made:
        with Client(made.ready["control"]) as client:
            assert client.send(first) == b""
        assert made.end() == (0, "")


@pytest.mark.parametrize("where", ["0.0.0.0:0", "192.0.2.1:4000", "[::]:0", "example.org:80"])
def test_an_address_that_others_can_reach_is_refused(
    where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFUSOR_CONTROL_TOKEN", TOKEN)
    end = InThisProcess(capsys).run("sim", "pump", *new_era("--control", where))
    assert (end.code, end.complaint) == (
        2,
        f"infusor sim pump: --control {where}: only addresses of this machine's loopback",
    )


def test_a_port_without_a_token_or_with_one_that_others_know_is_refused(
    token_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFUSOR_CONTROL_TOKEN", raising=False)
    user = InThisProcess(capsys)
    port = new_era("--control", "127.0.0.1:0")
    end = user.run("sim", "pump", *port)
    assert end.code == 2
    assert "a control port needs a token of at least 16 characters" in end.complaint
    token_file.chmod(0o644)
    end = user.run("sim", "pump", *port, "--control-token-file", str(token_file))
    assert (end.code, "mode must be 0600" in end.complaint) == (2, True)
    token_file.chmod(0o600)
    token_file.write_text("short")
    end = user.run("sim", "pump", *port, "--control-token-file", str(token_file))
    assert (end.code, "has 5" in end.complaint) == (2, True)
    end = user.run("sim", "pump", *port, "--control-token-file", str(token_file / "absent"))
    assert end.code == 2
    end = user.run("sim", "pump", *new_era("--control-token-file", str(token_file)))
    assert (end.code, "only together with --control" in end.complaint) == (2, True)


def test_a_port_that_is_taken_by_another_meanwhile_is_told_and_can_be_tried_again(
    where: Path,
) -> None:
    with pump(*new_era("--tcp", "127.0.0.1:0", "--control", str(where))) as made:
        number = int(made.port.rpartition(":")[2])
        with Client(str(where)) as client:
            client.ask("cable.unplug")
            with socket.socket() as thief:
                thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                thief.bind(("127.0.0.1", number))
                thief.listen()
                error = json.loads(client.request("cable.replug"))["error"]
                assert error["code"] == -32_000
                assert "cannot listen" in error["message"]
            client.ask("cable.replug")
            assert ask(made.port, b"\r") == b"\x0200S\x03"
        assert made.end() == (0, "")


# --- scripts, recordings, benches ------------------------------------------------------------------------


def test_a_script_on_the_command_line_breaks_the_pump(tmp_path: Path, where: Path) -> None:
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\nnth_command = 2\nkind = "mute"\nfor_commands = 1\n')
    with pump(*new_era("--faults", str(script), "--control", str(where))) as made:
        with serial.Serial(made.port, timeout=0.3) as line:
            answers = []
            for _ in range(3):
                line.write(b"VER\r")
                answers.append(line.read_until(b"\x03"))
        assert [bool(answer) for answer in answers] == [True, False, True]
        with Client(str(where)) as client:
            assert 'kind = "mute"' in client.ask("script.export")["script"]
        assert made.end() == (0, "")


def test_a_script_that_the_pump_cannot_do_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\nat_s = 1\nkind = "meltdown"\n')
    end = InThisProcess(capsys).run("sim", "pump", *new_era("--faults", str(script)))
    assert end.code == 2
    assert f"{script}: fault 1" in end.complaint
    assert "meltdown" in end.complaint


def test_a_recorded_pump_answers_again_and_tells_of_a_host_that_says_something_else(
    tmp_path: Path, where: Path
) -> None:
    with pump(*new_era("--control", str(where))) as made, Client(str(where)) as client:
        client.ask("record.start")
        version = ask(made.port, b"VER\r")
        ask(made.port, b"\r")
        recorded = client.ask("record.stop")["recording"]
    file = tmp_path / "pump.jsonl"
    file.write_text(recorded)
    with pump("--replay", str(file)) as made:
        assert ask(made.port, b"VER\r") == version
        assert made.end() == (0, "")
    with pump("--replay", str(file), "--tcp", "127.0.0.1:0") as made:
        with serial.serial_for_url(made.port, timeout=0.3) as line:
            line.write(b"RUN\r")
            assert line.read(1) == b""
        code, said = made.end()
        assert code == 1
        assert "turn 1: expected b'VER\\r', heard b'RUN\\r'" in said


@pytest.mark.parametrize("text", [None, "", "nonsense", '{"infusor_recording": 2}'])
def test_a_file_that_is_no_recording_is_refused(
    tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pump.jsonl"
    if text is not None:
        file.write_text(text)
    end = InThisProcess(capsys).run("sim", "pump", "--replay", str(file))
    assert end.code == 2
    assert str(file) in end.complaint


def test_several_pumps_of_a_file_are_held_and_broken_one_by_one(
    tmp_path: Path, where: Path
) -> None:
    file = tmp_path / "bench.toml"
    (tmp_path / "faults.toml").write_text('[[fault]]\nat_s = 60\nkind = "motor_stall"\n')
    file.write_text(
        '[[pump]]\nname = "a"\ndialect = "new-era"\nfaults = "faults.toml"\n'
        '[[pump]]\nname = "b"\ndialect = "new-era"\n'
    )
    with pump("--config", str(file), "--control", str(where)) as made:
        assert list(made.ready["ports"]) == ["a", "b"]
        with Client(str(where)) as client:
            client.ask("time.step", pump="a", seconds=61)
            assert client.ask("fault.list", pump="a") == {"faults": [{"kind": "motor_stall"}]}
            assert client.ask("fault.list", pump="b") == {"faults": []}
        assert made.end() == (0, "")


@pytest.mark.parametrize("option", ["--dialect", "--faults", "--model", "--syringe", "--quirk"])
@pytest.mark.parametrize("beside", ["--config", "--replay"])
def test_options_that_leave_no_place_for_each_other_are_refused(
    option: str, beside: str, capsys: pytest.CaptureFixture[str]
) -> None:
    end = InThisProcess(capsys).run("sim", "pump", beside, "file", option, "x")
    assert (end.code, end.complaint) == (
        2,
        f"infusor sim pump: {option}: not together with {beside}",
    )


def test_a_pump_may_end_with_whoever_started_it() -> None:
    with pump(*new_era("--until-eof")) as made:
        assert made.process.poll() is None
        assert made.process.stdin is not None
        made.process.stdin.close()
        made.process.stdin = None
        assert made.ended() == (0, "")
