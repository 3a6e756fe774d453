"""What `infusor doctor` says about serial ports, by looking from outside: no port is opened.

The lock that a port is opened with is advisory (flock): whoever does not ask for it can still write to
the same pump.  So other holders are looked for among this user's open files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from controller.doctor_checks import Check, Level

NAMED_MAX = 3
"""So many holders are named in one sentence."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has the port open."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def port_checks(named: Iterable[str], proc: Path = Path("/proc")) -> list[Check]:
    """The ports that were named, or else every serial port of this machine."""
    wanted = list(named)
    if wanted:
        return [port_check(port, "", named=True, proc=proc) for port in wanted]
    found = [port_check(port, what, named=False, proc=proc) for port, what in listed_ports()]
    return found or [Check("ports", Level.OK, "no serial port; --pump sim:new-era needs none")]


def listed_ports() -> list[tuple[str, str]]:
    """Serial ports of this machine with what is known of each."""
    from serial.tools import list_ports  # noqa: PLC0415 - it looks through /sys when imported

    return sorted((info.device, info.description) for info in list_ports.comports())


def port_check(port: str, what: str, *, named: bool, proc: Path = Path("/proc")) -> Check:
    """Whether a bridge could have this port to itself.  A trouble with one that was named is a finding."""
    name, bad = f"port {port}", Level.FAIL if named else Level.WARN
    try:
        kind = Path(port).stat().st_mode
    except OSError as error:
        return Check(name, Level.FAIL, error.strerror or str(error), unreachable=named)
    if not stat.S_ISCHR(kind):
        return Check(name, bad, "is no serial port")
    if not os.access(port, os.R_OK | os.W_OK):
        return Check(name, bad, f"no permission to read and write it ({_owner(Path(port))})")
    users = holders(port, proc)
    if users is None:
        return Check(name, Level.OK, _join(what, "who has it open cannot be seen on this system"))
    if users:
        who = ", ".join(map(str, users[:NAMED_MAX]))
        who += f" and {len(users) - NAMED_MAX} more" if len(users) > NAMED_MAX else ""
        return Check(
            name, bad, f"open in {who}; the lock on a port is advisory, so both could write"
        )
    return Check(name, Level.OK, _join(what, "no other process of yours has it open"))


def holders(port: str, proc: Path = Path("/proc")) -> list[Holder] | None:
    """Processes of this user that have ``port`` open; None where the system does not show it."""
    if not (proc / "self").exists():
        return None
    target = os.path.realpath(port)
    return [
        Holder(int(process.name), _name(process))
        for process in sorted(proc.iterdir(), key=lambda entry: entry.name)
        if process.name.isdecimal() and target in _open_files(process)
    ]


def _open_files(process: Path) -> set[str]:
    """What the process has open; nothing when it is another user's, or has just ended."""
    files: set[str] = set()
    try:
        entries = list((process / "fd").iterdir())
    except OSError:
        return files
    for entry in entries:
        try:
            files.add(str(entry.readlink()))
        except OSError:
            continue  # closed while we looked
    return files


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a process"


def _owner(path: Path) -> str:
    try:
        return f"it belongs to {path.owner()}, group {path.group()}"
    except (KeyError, OSError):
        return "its owner is unknown"


def _join(what: str, text: str) -> str:
    return f"{what}; {text}" if what and what != "n/a" else text
