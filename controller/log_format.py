"""The session log as bytes: one flat JSON object a line, each chained to the one before.

The last key of every line is ``h``: the hexadecimal SHA-256 of the previous line's ``h`` (64 ASCII
characters, zeros before the first line) followed by this line's UTF-8 without ``,"h":"..."`` and
without the newline.  The first record is the header, the last one the footer that seals the file.

The chain finds damage.  It is no proof against the owner of the machine, who can rewrite it whole.

Reading is total: any bytes give a verdict and the longest valid prefix, never an exception.  Not
answerable for files, threads or durability (`controller.event_log`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import msgspec

from controller.flat_json import FlatJsonError, FlatObject, Scalar, check_flat, parse_flat

VERSION = 1
GENESIS = b"0" * 64
"""What the first line is chained to."""

MAX_LINE_BYTES = 65_536
"""Our own bound on one record; longer ones are neither written nor believed."""

Record = FlatObject


class Kind(StrEnum):
    """The kinds of record this file, its readers and its writers agree on; others are shown as they are.

    A `DOSE` says in ``what`` whether it was *ordered* (by a person or a rule), *programmed* (accepted
    by the pump) or *delivered* (counted by the pump): these are different quantities.
    """

    HEADER = "header"
    FOOTER = "footer"
    RECOVERED = "recovered"
    STATE = "state"
    DOSE = "dose"
    ALARM = "alarm"
    SAMPLE = "sample"


class Stamp(NamedTuple):
    """When: Unix time in ms (a label) and monotonic ms since the process started."""

    ts_ms: int
    mono_ms: int


class LogFormatError(ValueError):
    """This record cannot be written: a reserved key, a value that is no scalar, or too long."""


def encode_record(
    previous: bytes,
    *,
    stamp: Stamp,
    boot: str,
    seq: int,
    session: str,
    kind: str,
    data: Mapping[str, Scalar],
) -> tuple[bytes, bytes]:
    """The line (newline included) of one record, and the ``h`` the next one is chained to.

    Raises `LogFormatError`; the chain has not moved then.
    """
    if not RESERVED.isdisjoint(data):
        raise LogFormatError(f"{kind}: {sorted(RESERVED & data.keys())} belong to the log itself")
    try:
        check_flat(data)
        body = _ENCODE(
            {
                "v": VERSION,
                "ts": stamp[0],
                "mono": stamp[1],
                "boot": boot,
                "seq": seq,
                "session": session,
                "kind": kind,
                **data,
            }
        )
    except (FlatJsonError, TypeError, UnicodeEncodeError) as error:
        raise LogFormatError(f"{kind}: {error}") from error
    if len(body) + _SEAL_BYTES > MAX_LINE_BYTES:
        raise LogFormatError(f"{kind}: {len(body)} bytes are more than {MAX_LINE_BYTES} a line")
    h = chain(previous, body)
    return b'%b,"h":"%b"}\n' % (body[:-1], h), h


def chain(previous: bytes, body: bytes) -> bytes:
    """The ``h`` of the line whose object without ``h`` is ``body``."""
    return hashlib.sha256(previous + body).hexdigest().encode("ascii")


@dataclass(frozen=True, slots=True)
class Prefix:
    """The part of a log that can be believed, and why it ends where it does."""

    records: tuple[Record, ...]
    ends: tuple[int, ...]
    """For each record, the number of bytes up to and including its line."""
    h: bytes
    sealed: bool
    reason: str
    """Why the bytes after the prefix are not believed; empty when there are none."""

    @property
    def size(self) -> int:
        """The length of the prefix in bytes."""
        return self.ends[-1] if self.ends else 0


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on a log.  ``ok``: every byte of it is part of a valid chain with a header.

    A log that is still being written is ``ok`` and not ``sealed``: it has no footer yet.
    ``first_bad`` is the ``seq`` that the first bad record should have had (its line number less one),
    ``None`` when ``ok``.
    """

    ok: bool
    records: int
    first_bad: int | None
    sealed: bool
    reason: str


def longest_valid_prefix(data: bytes) -> Prefix:
    """All records from the start of ``data`` up to the first byte that is not part of the chain."""
    records: list[Record] = []
    ends: list[int] = []
    h, start, reason = GENESIS, 0, ""
    while start < len(data):
        if records and records[-1]["kind"] == Kind.FOOTER:
            reason = "bytes after the footer"
            break
        try:
            record, h, start = _next_record(data, start, h, records)
        except FlatJsonError as error:
            reason = f"line {len(records) + 1}: {error}"
            break
        records.append(record)
        ends.append(start)
    sealed = bool(records) and records[-1]["kind"] == Kind.FOOTER
    return Prefix(tuple(records), tuple(ends), h, sealed, reason)


def verify(data: bytes) -> Verification:
    """The verdict on a whole log, from its bytes.  Never raises."""
    prefix = longest_valid_prefix(data)
    reason = prefix.reason or ("" if prefix.records else "empty: no header")
    ok = not reason
    count = len(prefix.records)
    return Verification(ok, count, None if ok else count, prefix.sealed, reason)


def is_sealed_tail(tail: bytes) -> bool:
    """Whether ``tail``, the last bytes of a log, ends in a footer chained to the line before it.

    A quick look for sorting many files; it says nothing about the lines further up.
    """
    lines = tail.split(b"\n")
    if len(lines) < 3 or lines[-1]:
        return False
    before = _SEAL.search(lines[-3])
    try:
        record, _ = _unchained(lines[-2], before.group(1) if before else b"")
    except FlatJsonError:
        return False
    return record.get("kind") == Kind.FOOTER


def decode_line(line: bytes) -> Record:
    """The record of a line that is already known to be good, without its ``h``.  Quick, unchecked."""
    record: Record = msgspec.json.decode(line)
    del record["h"]
    return record


def _next_record(
    data: bytes, start: int, previous: bytes, before: list[Record]
) -> tuple[Record, bytes, int]:
    """The record at ``start``, its ``h`` and where the next one starts; raises `FlatJsonError`."""
    end = data.find(b"\n", start, start + MAX_LINE_BYTES)
    if end < 0:
        raise FlatJsonError("no complete line")
    record, h = _unchained(data[start:end], previous)
    _check_envelope(record, before)
    return record, h, end + 1


def _unchained(line: bytes, previous: bytes) -> tuple[Record, bytes]:
    """The record in ``line`` without its ``h``, and the ``h``; raises `FlatJsonError`."""
    seal = _SEAL.search(line)
    if seal is None or not line.startswith(b'{"'):
        raise FlatJsonError("not a record of this log")
    body, h = line[: seal.start()] + b"}", seal.group(1)
    if chain(previous, body) != h:
        raise FlatJsonError("does not belong to the chain (h differs)")
    return parse_flat(body, max_bytes=MAX_LINE_BYTES), h


def _check_envelope(record: Record, before: list[Record]) -> None:
    """Raises `FlatJsonError` unless the keys of the log itself are what its place asks for."""
    for key, kind in _ENVELOPE.items():
        if type(record.get(key)) is not kind:
            raise FlatJsonError(f"{key} is missing or not {kind.__name__}")
    if "h" in record:
        raise FlatJsonError("key 'h' appears twice")
    if record["v"] != VERSION:
        raise FlatJsonError(f"version {record['v']} is not {VERSION}")
    if record["seq"] != len(before):
        raise FlatJsonError(f"seq {record['seq']} is not {len(before)}")
    if (record["kind"] == Kind.HEADER) != (not before):
        raise FlatJsonError("the header is not the first record, or the first is no header")
    if before and record["session"] != before[0]["session"]:
        raise FlatJsonError(f"session {record['session']!r} is not {before[0]['session']!r}")


_ENVELOPE: dict[str, type] = {
    "v": int,
    "ts": int,
    "mono": int,
    "boot": str,
    "seq": int,
    "session": str,
    "kind": str,
}
RESERVED = frozenset((*_ENVELOPE, "h"))
"""Keys of the log itself, which no data may use."""

_SEAL = re.compile(rb',"h":"([0-9a-f]{64})"\}\Z')
_SEAL_BYTES = 72  # ,"h":"<64>" and the newline
_ENCODE = msgspec.json.Encoder().encode
