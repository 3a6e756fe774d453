"""The session log: intent before act, recovery, and a disk that fails."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
import timeit
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from controller import event_log, log_writer
from controller.event_log import EventLog, Header, LogDamaged, LogSealed
from controller.flat_json import Scalar
from controller.log_format import Stamp, Verification
from controller.log_storage import FileStorage, LogBusy, MemoryStorage, Storage
from controller.log_writer import LogWriteFailed
from firmware_bridge.notice import NOTICE

BOOT = "a9cfd8f3dc6f"
HEADER = Header(
    version="0.1.0",
    device="bench-1",
    procedure="ketamine-first-visit",
    config_sha256="ab" * 32,
    simulated=True,
    extra={"speed": 120},
)


class Clock:
    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> Stamp:
        self.ms += 1
        return Stamp(1_795_339_521_000 + self.ms, self.ms)


def start(
    storage: Storage,
    *,
    session: str = "S-0001",
    failures: list[OSError] | None = None,
    on_written: Callable[[], None] = lambda: None,
) -> EventLog:
    return EventLog.create(
        storage,
        HEADER,
        session=session,
        boot=BOOT,
        stamp=Clock(),
        on_failure=(lambda _: None) if failures is None else failures.append,
        on_written=on_written,
    )


def recover(storage: Storage, boot: str = "b" * 12) -> EventLog:
    log, _ = EventLog.recover(storage, boot=boot, stamp=Clock(), on_failure=lambda _: None)
    return log


def without_a_task_switch(work: Coroutine[Any, Any, None]) -> None:
    """Runs ``work``, which must not wait for anything."""
    with pytest.raises(StopIteration):
        work.send(None)


# --- in memory, as in virtual time ----------------------------------------------------------------


def test_the_first_record_names_versions_configuration_and_the_notice() -> None:
    storage = MemoryStorage()
    start(storage)
    header = json.loads(storage.contents())
    assert (header["kind"], header["seq"], header["boot"]) == ("header", 0, BOOT)
    assert header["notice"] == NOTICE
    assert header["simulated"] is True
    assert (header["procedure"], header["speed"]) == ("ketamine-first-visit", 120)


def test_records_are_numbered_without_gaps_and_sealed() -> None:
    storage = MemoryStorage()
    log = start(storage)
    assert [log.append("note", {"n": n}, sync=n % 2 == 0) for n in range(5)] == [1, 2, 3, 4, 5]
    assert log.seal({"outcome": "completed"}) == 6
    verdict = event_log.verify(storage.contents())
    assert (verdict.ok, verdict.records, verdict.sealed) == (True, 7, True)
    assert json.loads(storage.contents().splitlines()[-1])["h"] == log.h


def test_nothing_follows_the_footer() -> None:
    storage = MemoryStorage()
    log = start(storage)
    assert (log.sealed, log.writable) == (False, True)
    footer = log.seal({"outcome": "completed"})
    h = log.h
    assert (log.sealed, log.writable) == (True, False)
    assert log.append("sample", {"hr_bpm": 70.0}, sync=False) == footer
    assert log.seal({"outcome": "fault"}) == footer
    assert (log.last_seq, log.h) == (footer, h)
    assert event_log.verify(storage.contents()).sealed


def test_waiting_for_a_record_in_virtual_time_needs_no_task_switch() -> None:
    storage = MemoryStorage()
    log = start(storage)
    without_a_task_switch(log.synced(log.append("command", {"rate_ml_h": 60.0}, sync=True)))
    log.append("sample", {"hr_bpm": 70.0}, sync=False)
    assert storage.synced_bytes < len(storage.data)
    without_a_task_switch(log.commit())
    assert storage.synced_bytes == len(storage.data)


def test_the_same_records_give_the_same_digest() -> None:
    logs = [start(MemoryStorage()) for _ in range(2)]
    for log in logs:
        log.append("note", {"text": "same"}, sync=False)
    assert logs[0].h == logs[1].h


def test_records_are_read_back_in_order_from_any_place() -> None:
    log = start(MemoryStorage())
    for n in range(10):
        log.append("note", {"n": n}, sync=False)
    assert [record["seq"] for record in log.records_after(-1, 3)] == [0, 1, 2]
    assert [record["n"] for record in log.records_after(6)] == [6, 7, 8, 9]
    assert log.records_after(10) == []
    assert log.records_after(99) == []
    assert "h" not in log.records_after(-1)[0]


def test_everybody_interested_is_told_of_new_records() -> None:
    told: list[None] = []
    log = start(MemoryStorage(), on_written=lambda: told.append(None))
    log.append("note", {}, sync=False)
    assert len(told) == 2


async def test_a_full_disk_is_reported_once_and_the_log_is_not_writable() -> None:
    storage, failures = MemoryStorage(), list[OSError]()
    log = start(storage, failures=failures)
    storage.failure = OSError(errno.ENOSPC, "No space left on device")
    seq = log.append("command", {"rate_ml_h": 60.0}, sync=True)
    assert not log.writable
    with pytest.raises(LogWriteFailed, match="No space left"):
        await log.synced(seq)
    assert log.append("estop", {}, sync=True) == seq + 1  # a stop goes on all the same
    assert [failure.errno for failure in failures] == [errno.ENOSPC]
    assert [record["seq"] for record in log.records_after(-1)] == [0]


async def test_a_disk_that_fails_only_when_synced_is_noticed_by_whoever_waits() -> None:
    storage, failures = MemoryStorage(), list[OSError]()
    log = start(storage, failures=failures)
    log.append("sample", {}, sync=False)
    storage.failure = OSError(errno.EIO, "Input/output error")
    with pytest.raises(LogWriteFailed, match="Input/output error"):
        await log.commit()
    assert len(failures) == 1
    await log.synced(0)  # the header was durable before


def test_a_closed_log_is_not_writable() -> None:
    log = start(MemoryStorage())
    log.close()
    assert not log.writable


# --- recovery -------------------------------------------------------------------------------------


def test_an_interrupted_log_goes_on_where_it_was_good_and_keeps_the_damaged_tail() -> None:
    storage = MemoryStorage()
    log = start(storage)
    log.append("state", {"to": "infusing"}, sync=True)
    whole = storage.contents()
    torn = MemoryStorage(whole + b'{"v":1,"ts"')
    again, records = EventLog.recover(torn, boot="b" * 12, stamp=Clock(), on_failure=lambda _: None)
    assert [record["kind"] for record in records] == ["header", "state"]
    assert (again.session, again.last_seq) == ("S-0001", 2)
    assert torn.tails == [b'{"v":1,"ts"']
    assert again.append("note", {}, sync=True) == 3
    again.seal({})
    prefix = torn.contents()
    assert prefix.startswith(whole)
    assert event_log.verify(prefix).ok
    told = json.loads(prefix.splitlines()[2])
    assert (told["kind"], told["boot"], told["believed"]) == ("recovered", "b" * 12, 2)
    assert (told["tail_bytes"], told["tail_file"]) == (11, "memory.damaged-1")
    assert [record["seq"] for record in again.records_after(1)] == [2, 3, 4]


async def test_waiting_works_in_a_recovered_log_too() -> None:
    storage = MemoryStorage()
    start(storage).append("note", {}, sync=True)
    log = recover(MemoryStorage(storage.contents()))
    await log.synced(log.append("note", {}, sync=True))
    await log.synced(0)


def test_a_clean_interrupted_log_leaves_no_tail() -> None:
    storage = MemoryStorage()
    start(storage)
    log = recover(storage)
    assert storage.tails == []
    assert log.last_seq == 1


@pytest.mark.parametrize("data", [b"", b"not a log\n", b"\0" * 100])
def test_what_has_no_header_is_refused_and_left_alone(data: bytes) -> None:
    storage = MemoryStorage(data)
    with pytest.raises(LogDamaged, match=r"^memory: "):
        recover(storage)
    assert storage.contents() == data


def test_a_sealed_log_is_never_continued() -> None:
    storage = MemoryStorage()
    start(storage).seal({})
    storage.write(b"garbage")
    with pytest.raises(LogSealed):
        recover(storage)
    assert storage.contents().endswith(b"garbage")


# --- on a disk ------------------------------------------------------------------------------------


async def durable_log(path: Path) -> EventLog:
    log = start(event_log.create_file(path))
    await log.commit()
    return log


async def test_what_was_awaited_is_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "bench-1.S-0001.jsonl"
    log = await durable_log(path)
    await log.synced(log.append("command", {"rate_ml_h": 60.0}, sync=True))
    assert event_log.verify(path).records == 2
    log.append("sample", {}, sync=False)
    log.seal({"outcome": "completed"})
    log.close()
    log.close()
    assert event_log.verify(path) == Verification(
        ok=True, records=4, first_bad=None, sealed=True, reason=""
    )
    assert [record["kind"] for record in event_log.read(path).records][-1] == "footer"


async def test_samples_are_synced_together_and_reach_the_disk_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "GROUP_S", 0.05)
    groups: list[int] = []
    written = threading.Semaphore(0)

    def grouped() -> None:
        groups.append(1)
        written.release()

    log = start(
        FileStorage(tmp_path / "bench-1.S-0001.jsonl"),
        on_written=grouped,
    )
    await log.commit()
    for n in range(50):
        log.append("sample", {"n": n}, sync=False)
    while len(log.records_after(-1)) < 51:
        assert await asyncio.to_thread(written.acquire, timeout=5)
    assert len(groups) <= 3
    log.close()


async def test_waiting_for_a_sample_does_not_wait_for_its_group(tmp_path: Path) -> None:
    log = await durable_log(tmp_path / "bench-1.S-0001.jsonl")
    async with asyncio.timeout(log_writer.GROUP_S / 2):
        await log.synced(log.append("sample", {}, sync=False))
    log.close()


async def test_a_log_that_cannot_be_written_is_reported_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bench-1.S-0001.jsonl"
    failures: list[OSError] = []
    told: list[int] = []

    def failed(error: OSError) -> None:
        failures.append(error)
        told.append(threading.get_ident())

    log = EventLog.create(
        FileStorage(path), HEADER, session="S-0001", boot=BOOT, stamp=Clock(), on_failure=failed
    )
    await log.commit()

    def full(_: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log._storage, "write", full)
    with pytest.raises(LogWriteFailed, match="No space left"):
        await log.synced(log.append("command", {}, sync=True))
    assert not log.writable
    assert told == [threading.get_ident()]
    assert log.append("estop", {}, sync=True) == 2
    with pytest.raises(LogWriteFailed):
        await log.commit()
    log.close()


async def test_a_hanging_disk_holds_up_neither_the_loop_nor_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "PENDING_BYTES_MAX", 10_000)
    failures: list[OSError] = []
    log = start(FileStorage(tmp_path / "bench-1.S-0001.jsonl"), failures=failures)
    await log.commit()
    hanging = threading.Event()
    monkeypatch.setattr(log._storage, "sync", lambda: hanging.wait(10))
    log.append("note", {}, sync=True)
    async with asyncio.timeout(5):
        while log.writable:
            log.append("note", {"text": "x" * 100}, sync=True)
            await asyncio.sleep(0)
        with pytest.raises(LogWriteFailed, match="disk hangs"):
            await log.commit()
    assert "disk hangs" in str(failures[0])
    hanging.set()
    log.close()


async def test_a_waiter_that_gave_up_disturbs_nobody(tmp_path: Path) -> None:
    log = await durable_log(tmp_path / "bench-1.S-0001.jsonl")
    seq = log.append("note", {}, sync=True)
    waiting = asyncio.create_task(log.synced(seq))
    await asyncio.sleep(0)
    waiting.cancel()
    await log.synced(log.append("note", {}, sync=True))
    log.close()


async def test_an_unfinished_file_is_recovered_with_its_tail_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "bench-1.S-0001.jsonl"
    log = await durable_log(path)
    log.close()
    for number in (1, 2):
        with path.open("ab") as file:
            file.write(b"torn %d" % number)
        again = recover(FileStorage(path, existing=True))
        await again.commit()
        again.close()
        assert (tmp_path / f"{path.name}.damaged-{number}").read_bytes() == b"torn %d" % number
    assert event_log.verify(path).records == 3


def test_a_rehearsal_writes_its_file_without_a_thread_or_a_sync(tmp_path: Path) -> None:
    path = tmp_path / "bench-1.S-0001.jsonl"
    threads = threading.active_count()
    log = start(FileStorage(path, durable=False))
    for n in range(1000):
        log.append("sample", {"n": n}, sync=False)
    without_a_task_switch(log.synced(log.append("state", {}, sync=True)))
    assert threading.active_count() == threads
    assert len(log.records_after(990)) == 11
    log.seal({})
    log.close()
    assert event_log.verify(path).records == 1003


def test_a_log_is_never_overwritten_nor_shared(tmp_path: Path) -> None:
    path = tmp_path / "bench-1.S-0001.jsonl"
    storage = FileStorage(path, durable=False)
    with pytest.raises(FileExistsError):
        FileStorage(path)
    with pytest.raises(LogBusy, match="in use by another process"):
        FileStorage(path, existing=True)
    storage.close()
    FileStorage(path, existing=True).close()


def test_a_short_write_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = FileStorage(tmp_path / "x.jsonl")
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    storage.write(b"0123456789")
    assert storage.contents() == b"0123456789"
    storage.close()


def test_a_folder_that_cannot_be_synced_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    FileStorage(tmp_path / "x.jsonl").close()


# --- folders --------------------------------------------------------------------------------------


def test_sessions_are_numbered_on_from_the_last_one(tmp_path: Path) -> None:
    assert event_log.next_session(tmp_path / "none", "bench-1")[0] == "S-0001"
    (tmp_path / "bench-2.S-0041.jsonl").touch()
    (tmp_path / "notes.txt").touch()
    session, path = event_log.next_session(tmp_path, "bench-1")
    assert (session, path.name) == ("S-0042", "bench-1.S-0042.jsonl")


def test_only_unfinished_sessions_of_the_device_are_found(tmp_path: Path) -> None:
    def write(device: str, number: int, *, sealed: bool, tail: bytes = b"") -> None:
        session = f"S-{number:04d}"
        path = tmp_path / f"{device}.{session}.jsonl"
        log = start(FileStorage(path, durable=False), session=session)
        log.append("note", {}, sync=False)
        if sealed:
            log.seal({})
        log.close()
        with path.open("ab") as file:
            file.write(tail)

    write("bench-1", 1, sealed=True)
    write("bench-1", 2, sealed=False)
    write("bench-2", 3, sealed=False)
    write("bench-1", 4, sealed=False, tail=b"torn")
    write("bench-1", 5, sealed=True, tail=b"later damage")
    (tmp_path / "bench-1.S-0006.jsonl").write_bytes(b"")
    (tmp_path / "bench-1.S-0007.jsonl").write_bytes(b'{"v":1,"ts":')
    (tmp_path / "bench-1.S-0008.jsonl").write_bytes(b"\0\0\0\n\0\0")
    found = event_log.open_sessions(tmp_path, "bench-1")
    assert [(entry.session, entry.verification.records) for entry in found] == [
        ("S-0002", 2),
        ("S-0004", 2),
        ("S-0008", 0),
    ]
    assert event_log.open_sessions(tmp_path / "none", "bench-1") == []


def test_one_append_in_virtual_time_costs_microseconds() -> None:
    log = start(MemoryStorage())
    data: dict[str, Scalar] = {
        "rate_ml_h": 26.7,
        "volume_ml": 7.412,
        "state": "infusing",
        "hr_bpm": 72.1,
    }
    best = min(timeit.repeat(lambda: log.append("sample", data, sync=False), number=2000, repeat=5))
    assert best / 2000 < 50e-6  # 12 us is the aim on a quiet machine; this one is shared
