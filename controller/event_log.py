"""The session log: one append-only, hash-chained file a session, from header to footer.

Intent before act: a caller appends what it is about to do, waits until that is durable, and only then
does it.  A stop is the exception; it is done first and written down at once after.  A log that cannot
be written says so once, by callback, and is not ``writable`` from then on; the caller blocks starts and
stops an infusion.

Not answerable for the form of a line (`log_format`), for bytes on a disk (`log_storage`, `log_writer`)
or for what is worth recording.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller import log_format
from controller.flat_json import Scalar
from controller.log_format import Kind, Prefix, Record, Stamp, Verification
from controller.log_storage import FileStorage, Storage
from controller.log_writer import InlineWriter, ThreadWriter, Writer
from firmware_bridge.notice import NOTICE

_TAIL_BYTES = 2 * log_format.MAX_LINE_BYTES
_SESSION_FILE = re.compile(
    r"(?P<device>[a-z0-9-]{1,32})\.(?P<session>S-(?P<number>\d{4,9}))\.jsonl"
)


class LogDamaged(ValueError):
    """There is no valid header to continue from; the file is left as it is."""


class LogSealed(ValueError):
    """The session ended and its footer is in place; nothing may follow it."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a log says about the run it records, in its first line, next to the notice.

    ``config_sha256`` is the hash of the procedure as it was read; ``extra`` holds further flat keys.
    """

    version: str
    device: str
    procedure: str
    config_sha256: str
    simulated: bool
    extra: Mapping[str, Scalar]

    def data(self) -> dict[str, Scalar]:
        """The header's flat data."""
        return {
            "notice": NOTICE,
            "version": self.version,
            "device": self.device,
            "procedure": self.procedure,
            "config_sha256": self.config_sha256,
            "simulated": self.simulated,
            **self.extra,
        }


class EventLog:
    """The log of one session.  Everything but `records_after` belongs to one thread, the loop's.

    ``stamp`` tells the time of each record; ``boot`` is 12 hexadecimal digits, new for each process.
    ``on_failure`` is called once, on the loop; ``on_written`` whenever records have become readable,
    on whatever thread wrote them.  A durable storage needs a running loop.
    """

    def __init__(
        self,
        storage: Storage,
        prefix: Prefix,
        *,
        session: str,
        boot: str,
        stamp: Callable[[], Stamp],
        on_failure: Callable[[OSError], None],
        on_written: Callable[[], None],
    ) -> None:
        """Continue ``storage`` after ``prefix``; use `create` and `recover`."""
        self.session = session
        self.boot = boot
        self.name = storage.name
        self._storage = storage
        self._stamp = stamp
        self._h = prefix.h
        self._first = len(prefix.records)  # lines that were there before this process
        self._next = self._first
        self._ends = array("Q", prefix.ends)
        self._size = prefix.size
        self._closed = False
        self._sealed = False
        kind = ThreadWriter if storage.durable else InlineWriter
        self._writer: Writer = kind(storage, on_written, on_failure)

    @classmethod
    def create(
        cls,
        storage: Storage,
        header: Header,
        *,
        session: str,
        boot: str,
        stamp: Callable[[], Stamp],
        on_failure: Callable[[OSError], None],
        on_written: Callable[[], None] = lambda: None,
    ) -> EventLog:
        """A new log in an empty storage, its header appended; await `commit` before trusting it."""
        log = cls(
            storage,
            _NOTHING,
            session=session,
            boot=boot,
            stamp=stamp,
            on_failure=on_failure,
            on_written=on_written,
        )
        log.append(Kind.HEADER, header.data(), sync=True)
        return log

    @classmethod
    def recover(
        cls,
        storage: Storage,
        *,
        boot: str,
        stamp: Callable[[], Stamp],
        on_failure: Callable[[OSError], None],
        on_written: Callable[[], None] = lambda: None,
    ) -> tuple[EventLog, tuple[Record, ...]]:
        """An unfinished log to go on with, and the records that could be believed.

        A damaged tail is moved beside the log.  Appends a `Kind.RECOVERED` record that says so.
        Raises `LogDamaged`, `LogSealed` (nothing is changed then) and `OSError`.
        """
        data = storage.contents()
        prefix = log_format.longest_valid_prefix(data)
        if not prefix.records:
            raise LogDamaged(f"{storage.name}: {prefix.reason or 'empty: no header'}")
        if prefix.sealed:
            raise LogSealed(f"{storage.name}: the session ended and its log is sealed")
        beside = storage.cut_tail(prefix.size) if prefix.size < len(data) else ""
        log = cls(
            storage,
            prefix,
            session=str(prefix.records[0]["session"]),
            boot=boot,
            stamp=stamp,
            on_failure=on_failure,
            on_written=on_written,
        )
        told: dict[str, Scalar] = {
            "believed": len(prefix.records),
            "tail_bytes": len(data) - prefix.size,
            "tail_file": beside,
            "reason": prefix.reason,
        }
        log.append(Kind.RECOVERED, told, sync=True)
        return log, prefix.records

    @property
    def writable(self) -> bool:
        """Whether everything appended so far is on its way to the storage, and more may follow."""
        return self._writer.failure is None and not self._sealed and not self._closed

    @property
    def sealed(self) -> bool:
        """Whether the footer is in place: what is appended from then on is dropped."""
        return self._sealed

    @property
    def last_seq(self) -> int:
        """The ``seq`` of the newest record."""
        return self._next - 1

    @property
    def readable_seq(self) -> int:
        """The ``seq`` of the newest record that `records_after` can give.  From any thread."""
        return self._first + self._writer.written - 1

    @property
    def h(self) -> str:
        """The hash of the newest record: the digest of everything the log says."""
        return self._h.decode("ascii")

    def append(self, kind: str, data: Mapping[str, Scalar], *, sync: bool) -> int:
        """The ``seq`` of the new record, which is chained already and on its way to the storage.

        ``sync`` sends it to the disk now; await `synced` before acting on it.  Without it the record
        travels with a group within a second.  After a failure records are numbered and dropped, so
        that a stop can be carried out by the same code.  Behind the footer nothing follows: such a
        record is dropped, unnumbered, and the footer's ``seq`` returned.  Raises
        `log_format.LogFormatError`.
        """
        if self._sealed:
            return self.last_seq
        seq = self._next
        line, self._h = log_format.encode_record(
            self._h,
            stamp=self._stamp(),
            boot=self.boot,
            seq=seq,
            session=self.session,
            kind=kind,
            data=data,
        )
        self._next = seq + 1
        self._size += len(line)
        self._ends.append(self._size)
        self._writer.put(line, urgent=sync)
        return seq

    async def synced(self, seq: int) -> None:
        """Returns when record ``seq`` will survive a crash; at once, where the writer is inline.

        Raises `log_writer.LogWriteFailed`.  Cancelling it changes nothing about the record.
        """
        await self._writer.until_durable(seq + 1 - self._first)

    async def commit(self) -> None:
        """Returns when everything appended so far will survive a crash.  Raises `LogWriteFailed`."""
        await self.synced(self.last_seq)

    def records_after(self, seq: int, limit: int = 100) -> list[Record]:
        """Up to ``limit`` written records after ``seq``, oldest first.  May be called from any thread.

        Raises `OSError` when the storage cannot be read.
        """
        first = seq + 1
        last = min(first + limit, self.readable_seq + 1)
        if first >= last:
            return []
        start = self._ends[first - 1] if first else 0
        lines = self._storage.read(start, self._ends[last - 1])
        return [log_format.decode_line(line) for line in lines.splitlines()]

    def seal(self, data: Mapping[str, Scalar]) -> int:
        """The ``seq`` of the footer, the last record there is; await `commit`, then close."""
        seq = self.append(Kind.FOOTER, data, sync=True)
        self._sealed = True
        return seq

    def close(self) -> None:
        """Release the file, with everything written that can be.  Idempotent.

        Waits up to `log_writer.CLOSE_S` for a disk, so call it after the pump has stopped.
        """
        self._closed = True
        self._writer.close()


_NOTHING = log_format.longest_valid_prefix(b"")


# --- folders of logs ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A log without a footer: a session that nobody ended."""

    path: Path
    session: str
    verification: Verification


def verify(source: Path | bytes) -> Verification:
    """The verdict on a log.  Raises `OSError` when the file cannot be read, and nothing else."""
    return log_format.verify(source if isinstance(source, bytes) else source.read_bytes())


def read(path: Path) -> Prefix:
    """The records of a log that can be believed, and why there are no more.  Raises `OSError`."""
    return log_format.longest_valid_prefix(path.read_bytes())


def next_session(log_dir: Path, device: str) -> tuple[str, Path]:
    """The id of the next session in ``log_dir`` and the path of its log, which does not exist yet."""
    numbers = [int(found["number"]) for _, found in _session_files(log_dir)]
    session = f"S-{max(numbers, default=0) + 1:04d}"
    return session, log_dir / f"{device}.{session}.jsonl"


def open_sessions(log_dir: Path, device: str) -> list[OpenSession]:
    """The unfinished logs of ``device``, oldest first.  Raises `OSError`.

    A file without one complete line is left out: its header never became durable, so nothing was done.
    """
    found: list[OpenSession] = []
    for path, match in _session_files(log_dir):
        if match["device"] != device or _looks_sealed(path):
            continue
        data = path.read_bytes()
        if b"\n" in data and not (verification := log_format.verify(data)).sealed:
            found.append(OpenSession(path, match["session"], verification))
    return found


def _session_files(log_dir: Path) -> list[tuple[Path, re.Match[str]]]:
    """The logs in ``log_dir`` by number; none when there is no such folder."""
    if not log_dir.is_dir():
        return []
    named = [(path, _SESSION_FILE.fullmatch(path.name)) for path in log_dir.iterdir()]
    logs = [(path, match) for path, match in named if match]
    return sorted(logs, key=lambda entry: int(entry[1]["number"]))


def _looks_sealed(path: Path) -> bool:
    """Whether the last bytes are a footer chained to what precedes it, without reading the rest."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        return log_format.is_sealed_tail(file.read())


def create_file(path: Path, *, durable: bool = True) -> FileStorage:
    """A storage in a new file, its folder made where it is missing.  Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileStorage(path, durable=durable)
