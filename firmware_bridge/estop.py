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
from firmware_bridge.runtime import (
    checked_device,
    device_lock_path,
    runtime_folder,
    stop_socket_path,
)

WITHIN_S = 5.0
"""Wall time for an answer; the bridge itself answers within 3 s, confirmed or not."""

_STOP = b"stop\n"  # any byte would do
_ANSWER_MAX = 4096


@dataclass(frozen=True, slots=True)
class StopOutcome:
    """What became of one stop; ``confirmed`` only if the pump's own feedback said so."""

    device: str
    reached: bool
    confirmed: bool
    latency_ms: int | None
    error: str = ""


def stop_all(
    device: str | None = None, *, folder: Path | None = None, within_s: float = WITHIN_S
) -> list[StopOutcome]:
    """Stop the bridge of ``device``, or every bridge of this user; one outcome for each.

    Without ``device`` an empty list means that there is no bridge.  Raises `ConfigurationError` for a
    device id that cannot be one.
    """
    place = folder or runtime_folder()
    if device is not None:
        paths = [stop_socket_path(device, place)]
    else:
        paths = sorted(place.glob("*.stop"))
    told = [(path.stem, _tell(path, within_s)) for path in paths]
    return [
        outcome
        for name, said in told
        if (outcome := _outcome(name, said)).reached or device is not None
    ]


def bridge_runs(device: str, *, folder: Path | None = None) -> bool:
    """Whether a bridge of ``device`` lives now.  Raises `ConfigurationError`."""
    return is_held(device_lock_path(checked_device(device), folder or runtime_folder()))


def _tell(path: Path, within_s: float) -> socket.socket | OSError:
    """The connection on which stop was said, or why it could not be."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(within_s)
    try:
        connection.connect(str(path))
        connection.sendall(_STOP)
    except OSError as error:
        connection.close()
        return error
    return connection


def _outcome(device: str, said: socket.socket | OSError) -> StopOutcome:
    if isinstance(said, OSError):
        error = f"no bridge of {device} answers: {said.strerror or said}"
        return StopOutcome(device, reached=False, confirmed=False, latency_ms=None, error=error)
    with said:
        try:
            answer = json.loads(_line(said))
            return StopOutcome(
                device,
                reached=True,
                confirmed=answer["confirmed"] is True,
                latency_ms=int(answer["latency_ms"]),
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            what = f"stop was said, and not answered: {error!r}"
            return StopOutcome(device, reached=True, confirmed=False, latency_ms=None, error=what)


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < _ANSWER_MAX:
        piece = connection.recv(_ANSWER_MAX)
        if not piece:
            break
        line += piece
    return line
