"""The emergency-stop latch: once set it stands, through restarts, until a person resets it.

Setting is split in two, because a stop waits for no disk: `set` is one assignment in memory, `save` makes
it last.  Neither raises.  Whatever cannot be read counts as latched.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

_READ_MAX = 4096


class Latch(Protocol):
    """What the bridge needs of a latch, on disk or in memory."""

    @property
    def is_set(self) -> bool:
        """Whether starts are forbidden until a reset."""

    @property
    def reason(self) -> str:
        """Why it was set first; empty when it is not."""

    def set(self, reason: str) -> None:
        """Latch, in memory and at once.  Idempotent: the first reason stands."""

    def save(self) -> str | None:
        """Make a set latch last; returns what went wrong, and the latch in memory stands regardless."""

    def clear(self) -> str | None:
        """Unlatch, a person's deliberate act; returns what went wrong, and then it stays latched."""


class MemoryLatch:
    """A latch for virtual time: lasts as long as the object, through any number of bridges."""

    def __init__(self) -> None:
        self._reason: str | None = None

    @property
    def is_set(self) -> bool:
        return self._reason is not None

    @property
    def reason(self) -> str:
        return self._reason or ""

    def set(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason

    def save(self) -> str | None:
        return None

    def clear(self) -> str | None:
        self._reason = None
        return None


class FileLatch:
    """A latch that is a file: if ``path`` exists, it is set, whatever the file holds.

    Torn, empty or foreign content therefore counts as latched, and so does a path that cannot be looked
    at.  Only certain absence is not latched.  The content is the reason, for people.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reason = _read(path)

    @property
    def is_set(self) -> bool:
        return self._reason is not None

    @property
    def reason(self) -> str:
        return self._reason or ""

    def set(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason

    def save(self) -> str | None:
        """Write and sync file and folder.  The file is created first, so a full disk still latches.

        Controller and bridge latch for one stop, each with its own words: the first cause that stands
        in the file stays there.
        """
        if self._reason is None:
            return None
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                first = os.read(handle, _READ_MAX).decode("utf-8", "replace").strip()
                if first:
                    self._reason = first
                else:
                    os.ftruncate(handle, 0)
                    os.lseek(handle, 0, os.SEEK_SET)
                    os.write(handle, f"{self._reason}\n".encode())
                os.fsync(handle)
            finally:
                os.close(handle)
            _sync_folder(self._path.parent)
        except OSError as error:
            return f"stop latch {self._path} could not be written: {error}"
        return None

    def clear(self) -> str | None:
        try:
            self._path.unlink(missing_ok=True)
            _sync_folder(self._path.parent)
        except FileNotFoundError:
            pass  # not even the folder exists: nothing is latched on disk
        except OSError as error:
            return f"stop latch {self._path} could not be removed: {error}"
        self._reason = None
        return None


def _read(path: Path) -> str | None:
    """The reason in the latch file; None only when there certainly is no such file."""
    try:
        with path.open("rb") as file:
            content = file.read(_READ_MAX)
    except FileNotFoundError:
        # A dangling link is somebody's latch file too, not the absence of one.
        return "latch file unreadable: a link to nothing" if path.is_symlink() else None
    except OSError as error:
        return f"latch file unreadable: {error}"
    return content.decode("utf-8", "replace").strip() or "latch file without a reason"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
