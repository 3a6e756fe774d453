"""Stopping from anywhere: what ``infusor estop`` does, over the stop sockets of this user's bridges.

Small on purpose: no loop, no port, nothing that takes long to import.  All bridges are told first, and
their answers are collected afterwards.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from firmware_bridge.locks import is_held
from firmware_bridge.runtime import device_lock_path, runtime_folder, stop_socket_path

WITHIN_S = 5.0
"""Wall time for an answer; the bridge itself answers within 3 s, confirmed or not."""

_STOP = b"stop\n"  # any byte would do
_ANSWER_MAX = 4096


@dataclass(frozen=True, slots=True)
class StopOutcome:
    """What became of one stop; ``confirmed`` only if the pump's own feedback said so."""

    device: str
    confirmed: bool
    latency_ms: int | None
    error: str = ""


def stop_all(
    device: str | None = None, *, folder: Path | None = None, within_s: float = WITHIN_S
) -> list[StopOutcome]:
    """Stop the bridge of ``device``, or every bridge of this user; one outcome for each that was told.

    An empty list means that there is no such bridge.  Raises `ConfigurationError` for a device id that
    cannot be one.
    """
    place = folder or runtime_folder()
    if device is not None:
        paths = [stop_socket_path(device, place)]
    else:
        paths = sorted(place.glob("*.stop"))
    told = [(path.stem, _tell(path, within_s)) for path in paths]
    return [_outcome(name, said) for name, said in told if said is not None]


def running(*, folder: Path | None = None) -> set[str]:
    """The devices whose bridge lives now, also while it is still starting or stopping."""
    place = folder or runtime_folder()
    return {path.stem for path in place.glob("*.lock") if is_held(path)}


def bridge_runs(device: str, *, folder: Path | None = None) -> bool:
    """Whether a bridge of ``device`` lives now.  Raises `ConfigurationError`."""
    return is_held(device_lock_path(device, folder or runtime_folder()))


def _tell(path: Path, within_s: float) -> socket.socket | None:
    """The connection on which stop was said; None where nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(within_s)
    try:
        connection.connect(str(path))
        connection.sendall(_STOP)
    except OSError:
        connection.close()
        return None
    return connection


def _outcome(device: str, said: socket.socket) -> StopOutcome:
    with said:
        try:
            answer = json.loads(_line(said))
            return StopOutcome(
                device,
                confirmed=answer["confirmed"] is True,
                latency_ms=int(answer["latency_ms"]),
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            what = f"stop was said, and not answered: {error!r}"
            return StopOutcome(device, confirmed=False, latency_ms=None, error=what)


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < _ANSWER_MAX:
        piece = connection.recv(_ANSWER_MAX)
        if not piece:
            break
        line += piece
    return line
