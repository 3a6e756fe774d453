"""The publishing cursor over restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller import cursor_file
from controller.event_log import EventLog, Header
from controller.log_format import Stamp
from controller.log_storage import MemoryStorage


def a_log(storage: MemoryStorage, boot: str = "a" * 12) -> EventLog:
    header = Header("0", "bench-1", "x", "", simulated=True, extra={})
    log = EventLog.create(
        storage,
        header,
        session="S-0001",
        boot=boot,
        stamp=lambda: Stamp(1, 2),
        on_failure=lambda _: None,
    )
    for _ in range(5):
        log.append("note", {}, sync=False)
    return log


def test_a_cursor_is_found_where_it_was_noted(tmp_path: Path) -> None:
    log, path = a_log(MemoryStorage()), tmp_path / "cursor"
    assert cursor_file.load(path, log) == -1
    for seq in (0, 3):
        cursor_file.save(path, log, seq)
        assert cursor_file.load(path, log) == seq


def test_a_number_that_was_given_to_another_record_is_not_trusted(tmp_path: Path) -> None:
    storage, path = MemoryStorage(), tmp_path / "cursor"
    cursor_file.save(path, a_log(storage), 5)
    kept = b"".join(storage.contents().splitlines(keepends=True)[:5])
    log, _ = EventLog.recover(
        MemoryStorage(kept), boot="b" * 12, stamp=lambda: Stamp(3, 4), on_failure=lambda _: None
    )
    assert log.last_seq == 5
    assert cursor_file.load(path, log) == -1


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"\xff",
        b"{}",
        b'{"boot":"aaaaaaaaaaaa"}',
        b'{"seq":"1","boot":"aaaaaaaaaaaa"}',
        b'{"seq":true,"boot":"aaaaaaaaaaaa"}',
        b'{"seq":-1,"boot":"aaaaaaaaaaaa"}',
        b'{"seq":6,"boot":"aaaaaaaaaaaa"}',
        b'{"seq":1,"boot":"b"}',
    ],
)
def test_a_file_that_makes_no_sense_costs_repetition_only(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "cursor"
    path.write_bytes(contents)
    assert cursor_file.load(path, a_log(MemoryStorage())) == -1
