"""The command line's front door: help, unknown commands, exit codes, and one line that says why not."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from controller.cli.main import COMMANDS, NOT_YET, main
from controller.cli.outcome import CommandProblem, Unreachable, Usage
from firmware_bridge.notice import NOTICE

NAMES = sorted(COMMANDS)
HEAVY = {"aiomqtt", "paho", "amqtt", "matplotlib", "numpy", "rich", "transitions"}


def ended(words: list[str]) -> int:
    """The exit code, whether it is returned or, as by argparse, raised."""
    try:
        return main(words)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else -1


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr; nothing else was said."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_help_names_every_command_and_what_it_is_never_for(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    assert NOTICE in out
    assert all(f"  {' '.join(name)} " in out for name in COMMANDS)


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"infusor {version('infusor')}\n"


@pytest.mark.parametrize("name", NAMES, ids=" ".join)
def test_every_command_has_help_of_its_own_with_the_notice(
    name: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended([*name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: infusor {' '.join(name)} ")
    assert NOTICE in out


@pytest.mark.parametrize(
    "words", [["flush"], ["sim"], ["sim", "plane"], ["Run"], ["--speed"], [""]]
)
def test_an_unknown_command_is_named_and_the_known_ones_with_it(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = complaint(capsys)
    assert repr(" ".join(words)) in said
    assert "sim patient" in said


@pytest.mark.parametrize("name", sorted(NOT_YET), ids=" ".join)
def test_a_command_whose_part_does_not_exist_yet_is_bad_usage(
    name: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*name, "quick"]) == 2
    assert "not part of this version" in complaint(capsys)


@pytest.mark.parametrize("name", NAMES, ids=" ".join)
def test_an_unknown_option_is_one_line_and_exit_code_two(
    name: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended([*name, "--no-such-option"]) == 2
    assert complaint(capsys).startswith(f"infusor {' '.join(name)}: ")


def test_an_option_is_never_guessed_from_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["estop", "--res", "--device", "bench-1"]) == 2
    assert "--res" in complaint(capsys)


def test_a_complaint_is_one_line_whatever_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["log", "verify", "a", "two\nlines"]) == 2
    assert "two lines" in complaint(capsys)
    assert ended(["log", "verify", "no such\nfile"]) == 2
    assert "no such file" in complaint(capsys)


def test_each_problem_has_its_exit_code() -> None:
    assert (CommandProblem.code, Usage.code, Unreachable.code) == (2, 2, 3)


@pytest.mark.parametrize("name", [("estop",), ("sim", "pump"), ("sim", "patient")], ids=" ".join)
def test_a_quick_command_loads_nothing_heavy(name: tuple[str, ...]) -> None:
    program = (
        "import sys\n"
        "from controller.cli.main import main\n"
        "try:\n"
        f"    main([*{name!r}, '--help'])\n"
        "except SystemExit:\n"
        "    print(*sys.modules, file=sys.stderr)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert HEAVY & set(run.stderr.split()) == set()


def test_the_module_runs_as_the_command_does() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "controller", "flush"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("infusor: no command 'flush'")
