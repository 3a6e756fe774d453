"""Where the bytes of a session log are kept: a file, or memory for virtual time.

A storage appends, syncs, reads back and cuts off a damaged tail (which is kept beside the log, never
deleted).  Everything it cannot do is an `OSError`.  Not answerable for what the bytes mean
(`controller.log_format`) nor for which thread writes (`controller.log_writer`).
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Protocol

if sys.platform != "win32":
    import fcntl

_BUFFER_BYTES = 65_536
"""How much a log that need not survive a crash collects before it asks the system to write."""

_BINARY = getattr(os, "O_BINARY", 0)
"""Windows would otherwise turn every newline into two bytes."""


class LogBusy(OSError):
    """Another process has this log open."""


class Storage(Protocol):
    """An append-only run of bytes.  Methods raise `OSError`; `read` may be called from any thread."""

    @property
    def name(self) -> str:
        """What to call it in an error."""

    @property
    def durable(self) -> bool:
        """Whether `sync` makes bytes survive a power cut, and therefore takes its time."""

    def write(self, data: bytes) -> None:
        """Append all of ``data``.  After an error an unknown part of it may be there."""

    def sync(self) -> None:
        """Return when everything written is where `durable` says it is."""

    def read(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``, which have all been written."""

    def contents(self) -> bytes:
        """Everything that is there."""

    def cut_tail(self, size: int) -> str:
        """Keep the first ``size`` bytes; the rest goes beside the log.  Returns where it went."""

    def close(self) -> None:
        """Release it.  Idempotent."""


class MemoryStorage:
    """A log in memory: for virtual time, where a crash keeps ``data`` or less of what was not synced.

    ``failure``, when set, is raised by every later write and sync: the full disk of a rehearsal.
    """

    durable = False

    def __init__(self, data: bytes = b"", name: str = "memory") -> None:
        self.name = name
        self.data = bytearray(data)
        self.synced_bytes = len(data)
        self.tails: list[bytes] = []
        self.failure: OSError | None = None

    def write(self, data: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self.data += data

    def sync(self) -> None:
        if self.failure is not None:
            raise self.failure
        self.synced_bytes = len(self.data)

    def read(self, start: int, end: int) -> bytes:
        return bytes(self.data[start:end])

    def contents(self) -> bytes:
        return bytes(self.data)

    def cut_tail(self, size: int) -> str:
        self.tails.append(bytes(self.data[size:]))
        del self.data[size:]
        self.synced_bytes = size
        return f"{self.name}.damaged-{len(self.tails)}"

    def close(self) -> None:
        """Nothing to release."""


class FileStorage:
    """A log file that this process alone appends to.

    With ``durable=False`` (a rehearsal) bytes are collected and nothing is synced.
    """

    def __init__(self, path: Path, *, durable: bool = True, existing: bool = False) -> None:
        """Create ``path``, which must not exist; its folder knows it when this returns.

        With ``existing`` it must exist and is continued.  Raises `FileExistsError`,
        `FileNotFoundError`, `LogBusy` and other `OSError`.
        """
        self.path = path
        self.durable = durable
        self._buffer = bytearray()
        self._flushed = 0
        flags = 0 if existing else os.O_CREAT | os.O_EXCL
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | _BINARY | flags, 0o640)
        try:
            _lock(self._fd, path)
            self._flushed = os.fstat(self._fd).st_size
            if durable and not existing:
                _sync_directory(path.parent)
        except OSError:
            os.close(self._fd)
            raise

    @property
    def name(self) -> str:
        return str(self.path)

    def write(self, data: bytes) -> None:
        if self.durable:
            self._write_out(data)
            return
        self._buffer += data
        if len(self._buffer) >= _BUFFER_BYTES:
            self._flush()

    def sync(self) -> None:
        if self.durable:
            _fdatasync(self._fd)

    def read(self, start: int, end: int) -> bytes:
        if end > self._flushed:
            self._flush()  # only without durability, where everything happens on one thread
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def contents(self) -> bytes:
        self._flush()
        return self.path.read_bytes()

    def cut_tail(self, size: int) -> str:
        tail = self.contents()[size:]
        beside = _write_beside(self.path, tail)
        _sync_directory(self.path.parent)  # the tail is safe before it leaves the log
        os.ftruncate(self._fd, size)
        os.fsync(self._fd)
        self._flushed = size
        return beside.name

    def close(self) -> None:
        if self._fd < 0:
            return
        try:
            self._flush()
        finally:
            os.close(self._fd)
            self._fd = -1

    def _flush(self) -> None:
        if self._buffer:
            data, self._buffer = bytes(self._buffer), bytearray()
            self._write_out(data)

    def _write_out(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            done = os.write(self._fd, rest)
            self._flushed += done
            rest = rest[done:]


def _write_beside(path: Path, tail: bytes) -> Path:
    """A new synced file next to ``path`` that holds ``tail``; an earlier one is never overwritten."""
    number = 1
    while True:
        beside = path.with_name(f"{path.name}.damaged-{number}")
        try:
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o640)
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(fd, "wb") as file:
            file.write(tail)
            file.flush()
            os.fsync(fd)
        return beside


def _lock(fd: int, path: Path) -> None:
    """Makes this process the only writer; the system lets go when it ends, however it ends."""
    if sys.platform == "win32":
        return  # msvcrt locks ranges of bytes, which would also keep readers out
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise LogBusy(f"{path}: in use by another process") from error


def _fdatasync(fd: int) -> None:
    if sys.platform in ("win32", "darwin"):
        os.fsync(fd)
    else:
        os.fdatasync(fd)


def _sync_directory(folder: Path) -> None:
    """A new name in ``folder`` survives a power cut.  Where a directory cannot be opened, no-op."""
    if sys.platform == "win32":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems refuse it
            os.fsync(fd)
    finally:
        os.close(fd)
