"""Where a bridge keeps what other processes of this user look for: stop socket, latch, locks.

Answerable for names, places and their permissions, nothing else.  No path leaves the folders named here,
because a device id is checked before it becomes part of one.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from firmware_bridge.errors import ConfigurationError

DEVICE_ID = re.compile(r"[a-z0-9-]{1,32}")


def checked_device(device: str) -> str:
    """``device`` itself.  Raises `ConfigurationError` unless it is 1 to 32 of ``a-z 0-9 -``."""
    if not DEVICE_ID.fullmatch(device):
        raise ConfigurationError(f"device: {device!r} is not 1 to 32 characters of a-z, 0-9 and -")
    return device


def runtime_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for sockets and locks, made private (0700) to this user.

    ``$XDG_RUNTIME_DIR/infusor``, else inside a per-user folder of the system's temporary directory.
    Raises `ConfigurationError` if what is there belongs to somebody else.
    """
    given = environ.get("XDG_RUNTIME_DIR", "")
    if Path(given).is_absolute():
        base = Path(given)
    else:
        base = _private(Path(tempfile.gettempdir()) / f"infusor-{_user()}")
    return _private(base / "infusor")


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for what survives a restart: ``${XDG_STATE_HOME:-~/.local/state}/infusor``."""
    given = environ.get("XDG_STATE_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "state"
    return base / "infusor"


def stop_socket_path(device: str, folder: Path | None = None) -> Path:
    """Where the bridge of ``device`` listens for a stop."""
    return (folder or runtime_folder()) / f"{checked_device(device)}.stop"


def latch_path(device: str, folder: Path | None = None) -> Path:
    """Where the stop latch of ``device`` lies."""
    return (folder or state_folder()) / f"{checked_device(device)}.latch"


def device_lock_path(device: str, folder: Path | None = None) -> Path:
    """The lock that the one bridge of ``device`` holds while it lives."""
    return (folder or runtime_folder()) / f"{checked_device(device)}.lock"


def port_lock_path(port: str, folder: Path | None = None) -> Path:
    """The bench lock of a port, for those who share a bench; any port name makes a safe file name."""
    digest = hashlib.sha256(port.encode("utf-8", "surrogateescape")).hexdigest()
    return (folder or runtime_folder()) / f"{digest[:16]}.portlock"


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ConfigurationError(f"runtime folder {folder}: {error}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != _user():
        raise ConfigurationError(f"runtime folder {folder}: not a folder of this user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def _user() -> int:
    return os.getuid()
