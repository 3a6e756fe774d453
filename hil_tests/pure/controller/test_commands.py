"""What `rehearse`, `run`, `demo` and `log` check first, and what they say afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from controller.cli import run
from controller.cli.main import main
from firmware_bridge.notice import NOTICE

VISIT = "ketamine-first-visit"
UNUSED = """
[[answer]]
in="holding"
action="resume"
[[answer]]
in="observing"
response="dissociation"
"""


def rehearsed(folder: Path, *more: str) -> Path:
    """The newest log in the folder, after one short rehearsal more."""
    words = ("rehearse", VISIT, "--operator", "anxiety", "--log-dir", str(folder), *more)
    assert main(words) == 0
    return max(folder.glob("*.jsonl"))


def never(*_words: object, **_options: object) -> None:
    raise AssertionError("something was begun")


# --- rehearse -----------------------------------------------------------------------------------------


def test_a_folder_that_is_none_is_found_out_before_the_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("controller.cli.rehearse.run_virtual", never)
    (tmp_path / "file").touch()
    assert main(["rehearse", VISIT, "--log-dir", str(tmp_path / "file")]) == 2
    assert "--log-dir" in capsys.readouterr().err


def test_a_warning_of_a_rehearsal_is_said_with_and_without_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script.toml"
    script.write_text(UNUSED)
    main(["rehearse", VISIT, "--operator", str(script)])
    assert "never" in capsys.readouterr().err
    main(["rehearse", VISIT, "--operator", str(script), "--json"])
    assert "never" in capsys.readouterr().out


# --- run ----------------------------------------------------------------------------------------------


def test_a_person_is_asked_only_where_there_is_an_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "_live", never)
    monkeypatch.setattr(sys, "stdin", None)  # as where it was closed before the command began
    assert main(["run", VISIT, "--operator", "prompt", "--mqtt", "off"]) == 2
    assert "--operator prompt" in capsys.readouterr().err


# --- demo ---------------------------------------------------------------------------------------------


def test_a_demo_verifies_its_own_log_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    its_own = rehearsed(tmp_path)
    newer = rehearsed(tmp_path)
    newer.write_bytes(newer.read_bytes()[:-20])
    words = ("demo", "--log-dir", str(tmp_path), "--device", "bench-1")
    monkeypatch.setattr(run, "visit", lambda _arguments: (0, its_own))
    assert main(words) == 0
    assert "intact and sealed" in capsys.readouterr().err
    monkeypatch.setattr(run, "visit", lambda _arguments: (0, newer))
    assert main(words) == 1
    monkeypatch.setattr(run, "visit", lambda _arguments: (1, None))
    assert main(words) == 1


# --- log ----------------------------------------------------------------------------------------------


def test_a_report_that_cannot_be_written_is_not_blamed_on_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, page = rehearsed(tmp_path), tmp_path / "nowhere" / "page.html"
    capsys.readouterr()
    assert main(["log", "show", str(log), "--html", str(page)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"--html {page}: No such file" in err
    assert main(["log", "show", str(log)]) == 0
    assert NOTICE in capsys.readouterr().out
