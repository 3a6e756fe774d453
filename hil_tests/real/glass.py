"""A terminal's glass: what a person sees of a program that runs on a pseudo-terminal, and their fingers.

It knows the few control sequences that the live view uses; any other is an error, so that nothing is
seen that a real terminal would not show.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
PATIENCE_S = 30.0
READING_S = 0.6
"""What a person takes to read before typing; more than the half second a question must have stood."""


class Glass:
    """The rows of a terminal that has seen these bytes; what has left it at the top is kept above."""

    def __init__(self, columns: int, height: int) -> None:
        self._columns, self._height = columns, height
        self._rows: list[list[str]] = [[]]
        self._row = self._column = 0
        self._pending = ""

    @property
    def visible(self) -> str:
        """What is on the glass now."""
        return "\n".join("".join(row).rstrip() for row in self._rows[-self._height :])

    @property
    def read(self) -> str:
        """The same as running text: whoever reads goes on in the next line, inside the frame."""
        return re.sub(r"\s*│?\n│?\s*", " ", self.visible)

    @property
    def everything(self) -> str:
        """The same with all that has scrolled off at the top."""
        return "\n".join("".join(row).rstrip() for row in self._rows)

    def show(self, text: str) -> None:
        text = self._pending + text
        self._pending = ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = CONTROL.match(text, at)
                if found is None:
                    assert len(text) - at < 16, (
                        f"not known to this terminal: {text[at : at + 16]!r}"
                    )
                    self._pending = text[at:]
                    return
                self._command(found[1], found[2])
                at = found.end()
            else:
                self._letter(text[at])
                at += 1

    def _letter(self, letter: str) -> None:
        if letter == "\r":
            self._column = 0
        elif letter == "\n":
            self._row += 1
            if self._row == len(self._rows):
                self._rows.append([])
        else:
            if self._column == self._columns:
                self._column = 0
                self._letter("\n")
            row = self._rows[self._row]
            row.extend(" " * (self._column + 1 - len(row)))
            row[self._column] = letter
            self._column += 1

    def _command(self, numbers: str, letter: str) -> None:
        if letter == "A":
            top = max(0, len(self._rows) - self._height)
            self._row = max(top, self._row - int(numbers or 1))
        elif letter == "K" and numbers == "2":
            self._rows[self._row] = []
        else:
            assert letter in "mhl", f"not known to this terminal: {numbers}{letter}"


class Person:
    """Somebody in front of a terminal on which ``infusor`` runs, with these words behind it."""

    def __init__(
        self,
        *words: str,
        folder: Path,
        environment: Mapping[str, str],
        columns: int = 80,
        height: int = 24,
    ) -> None:
        self.glass = Glass(columns, height)
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "controller", *words],
            cwd=folder,
            env={**environment, "TERM": "xterm", "COLUMNS": "", "LINES": ""},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._master)

    def look(self, wait_s: float = 0.05) -> bool:
        """Take in what has come; False once the program has let go of the terminal."""
        while select.select([self._master], [], [], wait_s)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return False
            if not data:
                return False
            self.glass.show(data.decode("utf-8", "replace"))
            wait_s = 0.0
        return True

    def sees(self, *wanted: str) -> str:
        """Wait until one of these patterns is on the glass; the one that is."""
        until = time.perf_counter() + PATIENCE_S
        while time.perf_counter() < until:
            alive = self.look()
            for pattern in wanted:
                if re.search(pattern, self.glass.visible) or re.search(pattern, self.glass.read):
                    return pattern
            assert alive, f"the program ended before {wanted}:\n{self.glass.everything[-4000:]}"
        raise AssertionError(f"{wanted} did not come:\n{self.glass.visible}")

    def reads(self) -> None:
        """Take the time that a person takes, while the picture goes on."""
        until = time.perf_counter() + READING_S
        while (left := until - time.perf_counter()) > 0:
            self.look(left)

    def types(self, line: str) -> None:
        """A whole line, after reading what is asked."""
        self.reads()
        self.keys(f"{line}\r")

    def keys(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def ends(self) -> int:
        """The exit code, once the program has gone; what it said last is on the glass."""
        until = time.perf_counter() + PATIENCE_S
        while self.look(0.2):
            assert time.perf_counter() < until, self.glass.visible
        return self._process.wait(10)
