"""The command ``infusor`` as a process of its own, in a home of its own, and a port that listens in."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.cli.main import main

REPOSITORY = Path(__file__).parents[2]
PROCEDURE = REPOSITORY / "controller" / "data" / "procedures" / "ketamine-first-visit.toml"
SYRINGE = ("--diameter-mm", "19.05", "--syringe-ml", "20")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def complaint(self) -> str:
        """The one line on stderr; nothing else was said anywhere."""
        (line,) = self.err.splitlines()
        assert self.out == ""
        return line


class CommandLine:
    """Commands of one user: state, sockets and working folder below ``home``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.sockets = home / "run"
        self.sockets.mkdir(mode=0o700)
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_RUNTIME_DIR": str(self.sockets),
            "PYTHONPATH": str(REPOSITORY),
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "controller", *words],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, typed: str = "") -> Ended:
        return ended(self.start(*words), typed)

    def latch(self, device: str) -> Path:
        return self.home / "state" / "infusor" / f"{device}.latch"

    @contextlib.contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        process = self.start(*words)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


class InThisProcess:
    """The same commands without a process of their own, for what ends before anything is started."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *words: str) -> Ended:
        try:
            code = main(words)
        except SystemExit as left:  # how argparse leaves
            code = int(left.code or 0)
        said = self._capsys.readouterr()
        return Ended(code, said.out, said.err)


def ended(process: subprocess.Popen[str], typed: str = "") -> Ended:
    out, err = process.communicate(typed, timeout=40)
    return Ended(process.returncode, out, err)


class SilentPump:
    """A pseudo-terminal with nobody behind it, who notes whether anybody said anything."""

    def __init__(self) -> None:
        self._master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self._master, False)
        self.url = f"new-era:{os.ttyname(self.slave)}"

    def heard(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self._master, 4096)
        return b""

    def close(self) -> None:
        os.close(self._master)
        os.close(self.slave)
