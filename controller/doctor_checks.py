"""What `infusor doctor` looks at on this machine: environment, rooms, folders, latches, bridges, clock.

Each check is told where to look, looks without touching, and says in one sentence what it found.  Not
answerable for serial ports (`doctor_ports`) nor for the broker (`doctor_broker`).
"""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from firmware_bridge.errors import ConfigurationError
from firmware_bridge.estop import running
from firmware_bridge.latch import FileLatch
from firmware_bridge.runtime import runtime_folder, state_folder, stop_socket_path

DISTRIBUTION = "infusor"
ROOMS = ("controller", "firmware_bridge", "sim")
PYTHON_MIN = (3, 11)

SOCKET_PATH_BYTES_MAX = 107 if sys.platform == "linux" else 103
"""sun_path of unix(7) is 108 bytes with its closing zero; on the BSDs and macOS 104."""

CLOCK_DRIFT_MS_MAX = 100
"""Slewing moves a clock by at most 0.05 % (adjtime(3)); more than this within a run is a step."""

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?P<bounds>[^;]*)(?:;(?P<marker>.*))?")
_BOUND = re.compile(r"(>=|<)\s*([0-9.]+)")
_EXTRA = re.compile(r"extra == ['\"]([a-z-]+)['\"]")
_WITHOUT = {"demo": "no embedded broker"}
_FOR_DEVELOPERS = frozenset({"dev"})


class Level(StrEnum):
    """How bad it is: only `FAIL` makes the doctor's exit code differ."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding in one sentence.  ``unreachable``: something that was named could not be reached."""

    name: str
    level: Level
    text: str
    unreachable: bool = False

    @property
    def ok(self) -> bool:
        """Whether a visit could go ahead as far as this is concerned."""
        return self.level is not Level.FAIL

    def as_json(self) -> dict[str, object]:
        return {"name": self.name, "ok": self.ok, "level": self.level.value, "text": self.text}


def local_checks() -> list[Check]:
    """Everything about this machine that needs neither a port nor a broker nor time."""
    return [
        python_check(sys.version_info[:3]),
        *dependency_checks(_requirements(), installed_version),
        *room_checks(metadata.packages_distributions(), {room: _origin(room) for room in ROOMS}),
        runtime_check(os.environ),
        state_check(state_folder()),
        *latch_checks(state_folder()),
        *_bridges(),
    ]


def python_check(version: tuple[int, int, int]) -> Check:
    text = ".".join(map(str, version))
    if version < PYTHON_MIN:
        return Check("python", Level.FAIL, f"{text}; infusor needs 3.11 or later")
    return Check("python", Level.OK, text)


# --- what is installed --------------------------------------------------------------------------------


def dependency_checks(
    requirements: Iterable[str], version_of: Callable[[str], str | None]
) -> list[Check]:
    """One check for what is always needed, and one for each extra a user can ask for."""
    groups: dict[str, list[re.Match[str]]] = {"": []}
    for requirement in requirements:
        found = _REQUIREMENT.match(requirement)
        if found is not None:
            extra = _EXTRA.search(found["marker"] or "")
            groups.setdefault(extra[1] if extra else "", []).append(found)
    return [
        _group_check(extra, group, version_of)
        for extra, group in groups.items()
        if extra not in _FOR_DEVELOPERS
    ]


def _group_check(
    extra: str, group: list[re.Match[str]], version_of: Callable[[str], str | None]
) -> Check:
    present: list[str] = []
    problems: list[str] = []
    for requirement in group:
        name, bounds = requirement["name"], requirement["bounds"].strip()
        version = version_of(name)
        if version is None:
            problems.append(f"{name} is not installed")
        elif not _within(version, bounds):
            problems.append(f"{name} {version} is not {bounds}")
        else:
            present.append(f"{name} {version}")
    if not extra:
        if not group:
            return Check("dependencies", Level.FAIL, f"{DISTRIBUTION} itself is not installed")
        level = Level.FAIL if problems else Level.OK
        return Check("dependencies", level, "; ".join(problems) or ", ".join(present))
    if not problems:
        return Check(f"extra {extra}", Level.OK, ", ".join(present))
    without = f": {_WITHOUT[extra]}" if extra in _WITHOUT else ""
    cure = f'pip install "{DISTRIBUTION}[{extra}]"'
    return Check(f"extra {extra}", Level.WARN, f"{'; '.join(problems)}{without} ({cure})")


def _within(version: str, bounds: str) -> bool:
    """Whether the leading numbers of ``version`` keep to ``>=a,<b``; other kinds of bound are not judged."""
    have = _numbers(version)
    return all(
        have >= _numbers(limit) if sign == ">=" else have < _numbers(limit)
        for sign, limit in _BOUND.findall(bounds)
    )


def _numbers(version: str) -> tuple[int, ...]:
    leading = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(int(part) for part in leading[0].split(".")) if leading else ()


def _requirements() -> list[str]:
    try:
        return metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []


def installed_version(name: str) -> str | None:
    """The version of an installed distribution; None when there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


# --- rooms --------------------------------------------------------------------------------------------


def room_checks(
    owners: Mapping[str, Iterable[str]], origins: Mapping[str, Path | None]
) -> list[Check]:
    """Whether each room is ours alone: the names are common, and pip lets anybody overwrite them.

    ``owners`` as `importlib.metadata.packages_distributions` gives it; ``origins`` says where each room
    would be imported from.
    """
    clashes = [
        Check(
            f"room {room}",
            Level.FAIL,
            f"{room} is also installed by {', '.join(others)}, and one overwrites the other; "
            "install infusor with pipx, or into an environment of its own",
        )
        for room in ROOMS
        if (others := sorted(set(owners.get(room, ())) - {DISTRIBUTION}))
    ]
    home = origins.get("controller")
    strays = [
        Check(f"room {room}", Level.FAIL, f"{room} is taken from {origin}, the others from {home}")
        for room, origin in origins.items()
        if origin != home
    ]
    problems = clashes + strays
    return problems or [Check("rooms", Level.OK, f"{', '.join(ROOMS)} are ours alone, in {home}")]


def _origin(room: str) -> Path | None:
    spec = importlib.util.find_spec(room)
    return Path(spec.origin).parent.parent if spec and spec.origin else None


# --- folders ------------------------------------------------------------------------------------------


def runtime_check(environ: Mapping[str, str]) -> Check:
    """Whether stop sockets and locks have a private place whose name is short enough for a socket."""
    name = "runtime folder"
    try:
        folder = runtime_folder(environ)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (ConfigurationError, OSError) as error:
        return Check(name, Level.FAIL, str(error))
    longest = len(os.fsencode(stop_socket_path("x" * 32, folder)))
    if longest > SOCKET_PATH_BYTES_MAX:
        limit = f"{longest} bytes for the longest device id, {SOCKET_PATH_BYTES_MAX} are possible"
        return Check(name, Level.FAIL, f"{folder}: too long for a stop socket ({limit})")
    return Check(name, Level.OK, f"{folder} is private and can be written")


def state_check(folder: Path) -> Check:
    """Whether a stop latch could be written, and by nobody else removed."""
    name = "state folder"
    try:
        if not folder.exists():
            parent = next(parent for parent in folder.parents if parent.exists())
            if not os.access(parent, os.W_OK | os.X_OK):
                text = f"{folder} cannot be made: {parent} is not writable; no stop could latch"
                return Check(name, Level.FAIL, text)
            return Check(name, Level.OK, f"{folder} will be made when it is needed")
        found = folder.stat()
    except OSError as error:
        return Check(name, Level.FAIL, f"{folder}: {error.strerror}")
    if not stat.S_ISDIR(found.st_mode):
        return Check(name, Level.FAIL, f"{folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check(name, Level.FAIL, f"{folder} is not writable; no stop could latch")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        text = f"{folder} can be written by others, who could remove a stop latch (chmod 700)"
        return Check(name, Level.FAIL, text)
    return Check(name, Level.OK, f"{folder} can be written by you alone")


# --- what is going on ---------------------------------------------------------------------------------


def latch_checks(folder: Path) -> list[Check]:
    """Every stop latch that stands; a visit on its device is refused until a person resets it."""
    try:
        standing = sorted(path for path in folder.iterdir() if path.suffix == ".latch")
    except FileNotFoundError:
        standing = []
    except OSError as error:
        return [Check("stop latches", Level.FAIL, f"{folder}: {error.strerror}")]
    return [
        Check(
            f"stop latch {path.stem}",
            Level.FAIL,
            f"latched: {FileLatch(path).reason} (infusor estop --device {path.stem} --reset)",
        )
        for path in standing
    ] or [Check("stop latches", Level.OK, "none stands")]


def bridge_checks(folder: Path) -> list[Check]:
    """Every bridge, by its lock and its stop socket.  Nothing connects to the socket: that could stop."""
    alive = running(folder=folder)
    reachable = {path.stem for path in folder.glob("*.stop")}
    checks: list[Check] = []
    for device in sorted(alive | reachable):
        if device not in alive:
            level, text = Level.WARN, "is dead and left its stop socket behind"
        elif device not in reachable:
            level, text = Level.WARN, "is running without a stop socket: starting, or stopping"
        else:
            level, text = Level.OK, f"is running (infusor estop --device {device} stops it)"
        checks.append(Check(f"bridge {device}", level, text))
    return checks or [Check("bridges", Level.OK, "none is running")]


def _bridges() -> list[Check]:
    try:
        return bridge_checks(runtime_folder())
    except (ConfigurationError, OSError) as error:
        return [Check("bridges", Level.FAIL, str(error))]


def clock_check(*, wall_ms: tuple[int, int], loop_s: float, installed_ms: int) -> Check:
    """Whether the wall clock, which labels the log, stands where it may and moves as time does.

    ``wall_ms`` was read before and after ``loop_s`` seconds of the monotonic clock.
    """
    before, after = wall_ms
    shown = datetime.fromtimestamp(after / 1_000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if after < installed_ms:
        text = f"{shown} is before this software was installed; times in the log will be wrong"
        return Check("clock", Level.WARN, text)
    drift_ms = after - before - loop_s * 1_000
    if abs(drift_ms) > CLOCK_DRIFT_MS_MAX:
        text = f"the wall clock moved {drift_ms:+.0f} ms in {loop_s:.1f} s of the monotonic clock"
        return Check("clock", Level.WARN, f"{text}: something is setting it")
    return Check("clock", Level.OK, shown)


def installed_ms() -> int:
    """When this software was put where it is, in Unix milliseconds."""
    return int(Path(__file__).stat().st_mtime * 1_000)
