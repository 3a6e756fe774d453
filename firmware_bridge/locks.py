"""A lock file that says "somebody is here", and is free again however its holder ended.

Advisory, between processes of one user on one machine, and POSIX only (``flock``).  The file itself
stays; only the lock on it means anything.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """Not held at first.  A process that dies lets go of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def try_hold(self) -> bool:
        """Whether the lock is held now; never waits.  Raises `OSError` for a path that cannot be."""
        if self._handle is not None:
            return True
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        """Let go.  Idempotent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock at ``path`` now."""
    lock = FileLock(path)
    try:
        return not lock.try_hold()
    finally:
        lock.release()
