"""`infusor doctor`: what it finds on a machine, what it says of it, and that it only looks."""

from __future__ import annotations

import argparse
import json
import os
import pty
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller import doctor_broker, doctor_checks, doctor_ports
from controller.cli import doctor
from controller.cli.main import main
from controller.cli.outcome import Usage
from controller.doctor_checks import Check, Level, clock_check
from firmware_bridge.latch import FileLatch
from firmware_bridge.locks import FileLock
from firmware_bridge.notice import NOTICE

REQUIREMENTS = [
    "pyserial<4,>=3.5",
    "amqtt<0.13,>=0.12.1; extra == 'demo'",
    "pytest<10,>=9; extra == 'dev'",
]
HOME = Path("/srv/infusor")
ORIGINS: dict[str, Path | None] = {"controller": HOME, "firmware_bridge": HOME, "sim": HOME}
DAY_MS = 86_400_000
NOW_MS = 1_795_339_521_393


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Runtime and state folders of a user who has just logged in."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home:  # short enough for a socket's name
        monkeypatch.setenv("XDG_RUNTIME_DIR", home)
        monkeypatch.setenv("XDG_STATE_HOME", home)
        yield Path(home) / "infusor"


@pytest.fixture
def terminal() -> Iterator[str]:
    """A character device that this process has open at its far end only."""
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    os.close(theirs)
    yield name
    os.close(ours)


def installed(**versions: str) -> list[Check]:
    def version_of(name: str) -> str | None:
        return versions.get(name)

    return doctor_checks.dependency_checks(REQUIREMENTS, version_of)


# --- environment --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "ok"), [((3, 10, 99), False), ((3, 11, 0), True), ((3, 14, 2), True)]
)
def test_python_must_be_three_eleven_or_later(version: tuple[int, int, int], ok: bool) -> None:
    assert doctor_checks.python_check(version).ok is ok


def test_what_is_installed_is_told_with_its_version() -> None:
    needed, demo = installed(pyserial="3.5", amqtt="0.12.1")
    assert (needed.name, needed.level, needed.text) == ("dependencies", Level.OK, "pyserial 3.5")
    assert (demo.name, demo.level, demo.text) == ("extra demo", Level.OK, "amqtt 0.12.1")


def test_a_missing_dependency_is_a_finding_and_a_missing_extra_is_not() -> None:
    needed, demo = installed()
    assert (needed.level, demo.level) == (Level.FAIL, Level.WARN)
    assert needed.text == "pyserial is not installed"
    assert "no embedded broker" in demo.text
    assert 'pip install "infusor[demo]"' in demo.text


@pytest.mark.parametrize(
    ("version", "ok"),
    [("3.4.9", False), ("3.5", True), ("3.5.post1", True), ("3.10", True), ("4.0", False)],
)
def test_a_version_outside_its_bounds_is_named_with_them(version: str, ok: bool) -> None:
    needed, _ = installed(pyserial=version, amqtt="0.12.1")
    assert needed.ok is ok
    assert ok or needed.text == f"pyserial {version} is not <4,>=3.5"


def test_a_copy_that_was_never_installed_says_so() -> None:
    (needed,) = doctor_checks.dependency_checks([], lambda _: None)
    assert not needed.ok
    assert "not installed" in needed.text


# --- rooms --------------------------------------------------------------------------------------------


def test_rooms_that_are_ours_alone_are_one_line() -> None:
    owners = {"controller": ["infusor", "infusor"], "sim": ["infusor"], "numpy": ["numpy"]}
    (check,) = doctor_checks.room_checks(owners, ORIGINS)
    assert check.ok


def test_a_clash_is_one_sentence_that_names_the_other_and_the_cure() -> None:
    (check,) = doctor_checks.room_checks({"controller": ["webots", "infusor"]}, ORIGINS)
    assert not check.ok
    assert check.text.startswith("controller is also installed by webots")
    assert "an environment of its own" in check.text


def test_a_room_from_somewhere_else_is_a_finding() -> None:
    (check,) = doctor_checks.room_checks({}, {**ORIGINS, "sim": Path("/home/somebody")})
    assert (check.name, check.ok) == ("room sim", False)
    (check,) = doctor_checks.room_checks({}, {**ORIGINS, "sim": None})
    assert not check.ok


# --- folders ------------------------------------------------------------------------------------------


def test_a_runtime_folder_is_made_private_and_found_usable(private: Path) -> None:
    check = doctor_checks.runtime_check(os.environ)
    assert check.ok
    assert private.stat().st_mode & 0o777 == 0o700
    assert list(private.iterdir()) == []


def test_a_runtime_folder_that_is_a_file_is_a_finding(private: Path) -> None:
    private.write_text("")
    assert not doctor_checks.runtime_check(os.environ).ok


def test_a_runtime_folder_too_deep_for_a_socket_is_a_finding(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    check = doctor_checks.runtime_check({"XDG_RUNTIME_DIR": str(deep)})
    assert not check.ok
    assert "too long for a stop socket" in check.text


def test_a_state_folder_may_be_absent_but_must_be_possible(tmp_path: Path) -> None:
    assert doctor_checks.state_check(tmp_path / "a" / "infusor").ok
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    assert not doctor_checks.state_check(tmp_path / "file").ok
    assert not doctor_checks.state_check(tmp_path / "file" / "infusor").ok


def test_a_state_folder_that_others_can_write_is_a_finding(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert doctor_checks.state_check(tmp_path).ok
    tmp_path.chmod(0o775)
    check = doctor_checks.state_check(tmp_path)
    assert not check.ok
    assert "remove a stop latch" in check.text


# --- latches and bridges ------------------------------------------------------------------------------


def test_a_latch_that_stands_is_a_finding_with_its_reason_and_the_way_out(tmp_path: Path) -> None:
    latch = FileLatch(tmp_path / "bench-1.latch")
    latch.set("emergency stop by operator")
    latch.save()
    (check,) = doctor_checks.latch_checks(tmp_path)
    assert not check.ok
    assert "emergency stop by operator" in check.text
    assert "infusor estop --device bench-1 --reset" in check.text


def test_no_latch_and_no_folder_are_both_fine(tmp_path: Path) -> None:
    assert doctor_checks.latch_checks(tmp_path)[0].ok
    assert doctor_checks.latch_checks(tmp_path / "absent")[0].ok


def test_a_folder_of_latches_that_cannot_be_read_is_not_fine(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not doctor_checks.latch_checks(tmp_path / "file")[0].ok


def test_a_running_bridge_is_told_from_one_that_died(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "bench-1.lock")
    assert lock.try_hold()
    (starting,) = doctor_checks.bridge_checks(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "bench-1.stop"))
        listener.listen()
        (alive,) = doctor_checks.bridge_checks(tmp_path)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has so much as knocked
            listener.accept()
    lock.release()
    (dead,) = doctor_checks.bridge_checks(tmp_path)
    assert (starting.level, alive.level, dead.level) == (Level.WARN, Level.OK, Level.WARN)
    assert "infusor estop --device bench-1" in alive.text
    assert "left its stop socket behind" in dead.text


def test_no_bridge_is_fine(tmp_path: Path) -> None:
    assert doctor_checks.bridge_checks(tmp_path)[0].ok


# --- clock --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after_ms", "level"), [(1_000, Level.OK), (1_101, Level.WARN), (899, Level.WARN)]
)
def test_a_wall_clock_that_does_not_move_as_time_does_is_told(after_ms: int, level: Level) -> None:
    wall = (NOW_MS, NOW_MS + after_ms)
    assert clock_check(wall_ms=wall, loop_s=1.0, installed_ms=0).level is level


def test_a_clock_before_the_installation_is_told() -> None:
    check = clock_check(wall_ms=(0, 1_000), loop_s=1.0, installed_ms=DAY_MS)
    assert check.level is Level.WARN
    assert "1970-01-01" in check.text


@pytest.mark.parametrize(
    ("host", "near"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("192.0.2.7", False), ("lab", False)],
)
def test_a_broker_open_to_anybody_is_worse_when_it_is_not_on_this_machine(
    host: str, near: bool
) -> None:
    assert doctor_broker._is_loopback(host) is near


# --- ports --------------------------------------------------------------------------------------------


def test_an_absent_port_that_was_named_is_out_of_reach() -> None:
    (check,) = doctor_ports.port_checks(["/dev/there-is-none"])
    assert check.unreachable
    assert check.text == "No such file or directory"


def test_a_port_that_is_open_elsewhere_is_told_with_the_process(terminal: str) -> None:
    assert doctor_ports.holders(terminal) == []
    assert doctor_ports.port_check(terminal, "USB serial", named=True).ok
    holder = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    try:
        check = doctor_ports.port_check(terminal, "", named=True)
        listed = doctor_ports.port_check(terminal, "", named=False)
    finally:
        os.close(holder)
    assert (check.level, listed.level) == (Level.FAIL, Level.WARN)
    assert f"process {os.getpid()}" in check.text
    assert "advisory" in check.text


def test_a_port_is_followed_through_its_stable_name(terminal: str, tmp_path: Path) -> None:
    stable = tmp_path / "pump"
    stable.symlink_to(terminal)
    holder = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    try:
        found = doctor_ports.holders(str(stable))
    finally:
        os.close(holder)
    assert found is not None
    assert [user.pid for user in found] == [os.getpid()]


def test_a_file_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = doctor_ports.port_check(str(tmp_path / "file"), "", named=True)
    assert (check.ok, check.unreachable) == (False, False)


def test_where_open_files_cannot_be_seen_that_is_said(terminal: str, tmp_path: Path) -> None:
    check = doctor_ports.port_check(terminal, "n/a", named=True, proc=tmp_path)
    assert check.ok
    assert "cannot be seen" in check.text


# --- the command --------------------------------------------------------------------------------------


def test_text_is_aligned_and_carries_the_notice() -> None:
    text = doctor.as_text(
        [Check("python", Level.OK, "3.11.7"), Check("stop latch bench-1", Level.FAIL, "latched")]
    )
    first, python, latch, end = text.splitlines()
    assert NOTICE in first
    assert python.index("3.11.7") == latch.index("latched")
    assert (python[:4], latch[:4]) == ("ok  ", "FAIL")
    assert end == "2 checks: 1 failed, none to be aware of"


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([Check("a", Level.OK, "")], 0),
        ([Check("a", Level.WARN, "")], 0),
        ([Check("a", Level.OK, ""), Check("b", Level.FAIL, "")], 1),
        ([Check("a", Level.FAIL, "", unreachable=True), Check("b", Level.FAIL, "")], 3),
    ],
)
def test_the_exit_code_is_that_of_the_worst_finding(checks: list[Check], code: int) -> None:
    assert doctor.exit_code(checks) == code


@pytest.mark.usefixtures("private")
def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--mqtt", "off", "--json"])
    out, err = capsys.readouterr()
    checks = json.loads(out)["checks"]
    assert err == ""
    assert out.count("\n") == 1
    assert all({"name", "ok", "text"} <= check.keys() for check in checks)
    assert {"python", "dependencies", "rooms", "stop latches", "broker", "clock"} <= {
        check["name"] for check in checks
    }


@pytest.mark.usefixtures("private")
def test_a_standing_latch_makes_the_exit_code_one(private: Path) -> None:
    latch = FileLatch(private / "bench-1.latch")
    latch.set("by somebody")
    latch.save()
    assert main(["doctor", "--mqtt", "off"]) == 1


@pytest.mark.usefixtures("private")
def test_a_named_broker_that_is_not_there_makes_the_exit_code_three(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as unheard:  # bound, and nobody listens
        unheard.bind(("127.0.0.1", 0))
        url = f"mqtt://127.0.0.1:{unheard.getsockname()[1]}"
        assert main(["doctor", "--mqtt", url]) == 3
    assert url in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["--mqtt", "http://broker"], ["--port", "socket://localhost:2000"]]
)
def test_what_cannot_be_meant_is_bad_usage(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    with pytest.raises(Usage, match=words[0]):
        doctor.run(parser.parse_args(words))
