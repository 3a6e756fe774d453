"""Lines from a person: typed at a terminal, or written into a pipe, without ever holding up the loop.

On a terminal, keys are taken one by one, so that the line being typed can be shown inside the live view;
the terminal's own settings are put back at the end, however that comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self

if sys.platform != "win32":
    import termios
    import tty

ENTER = frozenset("\r\n")
ERASE = frozenset("\x7f\b")
CLEAR = "\x15"  # Ctrl-U
LINE_MAX = 200


class Keyboard:
    """Hands whole lines to ``on_line``, and what stands half typed to ``on_typed``.  A context manager.

    ``on_end`` is called once, when the input has ended; half a line before that was never finished.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_line: Callable[[str], None],
        on_typed: Callable[[str], None],
        fd: int = 0,
        *,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = loop
        self._on_line = on_line
        self._on_typed = on_typed
        self._on_end = on_end
        self._fd = fd
        self._typed = ""
        self._former: list[object] | None = None

    def __enter__(self) -> Self:
        if os.isatty(self._fd):
            self._former = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)  # Ctrl-C stays a signal: it is an emergency stop
        with contextlib.suppress(PermissionError):  # a regular file: always readable, see _drain
            self._loop.add_reader(self._fd, self._readable)
            return self
        self._drain()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.remove_reader(self._fd)
        if self._former is not None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._former)  # type: ignore[arg-type]  # as tcgetattr gave it
            self._former = None

    def _drain(self) -> None:
        while self._readable():
            pass

    def _readable(self) -> bool:
        """Take what has been typed; False at the end of the input."""
        try:
            data = os.read(self._fd, 1024)
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._fd)
            self._on_end()
            return False
        for key in data.decode("utf-8", "replace"):
            self._key(key)
        self._on_typed(self._typed)
        return True

    def _key(self, key: str) -> None:
        if key in ENTER:
            line, self._typed = self._typed, ""
            self._on_line(line)
        elif key in ERASE:
            self._typed = self._typed[:-1]
        elif key == CLEAR:
            self._typed = ""
        elif key.isprintable() and len(self._typed) < LINE_MAX:
            self._typed += key
