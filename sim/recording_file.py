"""Recordings in files: read whole within bounds, written piece by piece as they come."""

from __future__ import annotations

from pathlib import Path

from firmware_bridge.errors import ConfigurationError
from sim.recording import Piece, RecordingError, head, line, parse

FILE_BYTES_MAX = 500_000_000


def read_recording(path: Path) -> list[Piece]:
    """The pieces of a file.  Raises `ConfigurationError`, which names it."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigurationError(f"{path}: larger than {FILE_BYTES_MAX} bytes")
    try:
        return parse(data.decode(), str(path))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not a recording: no UTF-8") from error
    except RecordingError as error:
        raise ConfigurationError(str(error)) from error


class RecordingFile:
    """A recording that grows: after each piece the file is one that `read_recording` takes."""

    def __init__(self, path: Path, now: float, **about: str | int) -> None:
        """Begins at ``now`` (s).  Raises `ConfigurationError`, also for a file that is there already."""
        try:
            self._file = path.open("x", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror or error}") from error
        self._path = path
        self._started = now
        self._write(head(**about))

    def note(self, to: str, data: bytes, now: float) -> None:
        """These bytes went there.  Raises `OSError` for a disk that takes no more."""
        self._write(line(Piece(round(now - self._started, 6), to, data)))

    def close(self) -> None:
        """Idempotent."""
        self._file.close()

    def discard(self) -> None:
        """There is no file: nothing came of it."""
        self.close()
        self._path.unlink(missing_ok=True)

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()
