"""The emergency-stop latch: it survives, it never gets in the way of a stop, and doubt counts as set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firmware_bridge.latch import FileLatch, Latch, MemoryLatch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "infusor" / "bench-1.latch"


@pytest.fixture(params=["file", "memory"])
def latch(request: pytest.FixtureRequest, path: Path) -> Latch:
    return FileLatch(path) if request.param == "file" else MemoryLatch()


def test_a_new_latch_is_not_set(latch: Latch) -> None:
    assert not latch.is_set
    assert latch.reason == ""


def test_setting_takes_effect_before_anything_is_saved(latch: Latch) -> None:
    latch.set("stop button")
    assert latch.is_set
    assert latch.save() is None


def test_setting_twice_keeps_the_first_reason(latch: Latch) -> None:
    latch.set("stop button")
    latch.set("second press")
    assert latch.reason == "stop button"


def test_clearing_unlatches(latch: Latch) -> None:
    latch.set("stop button")
    latch.save()
    assert latch.clear() is None
    assert not latch.is_set


def test_clearing_what_was_never_set_is_no_error(latch: Latch) -> None:
    assert latch.clear() is None
    assert not latch.is_set


def test_a_saved_latch_survives_a_restart(path: Path) -> None:
    first = FileLatch(path)
    first.set("stop button")
    assert first.save() is None
    second = FileLatch(path)
    assert second.is_set
    assert second.reason == "stop button"


def test_a_cleared_latch_stays_cleared_after_a_restart(path: Path) -> None:
    latch = FileLatch(path)
    latch.set("stop button")
    latch.save()
    latch.clear()
    assert not FileLatch(path).is_set


def test_the_file_is_private_to_the_user(path: Path) -> None:
    latch = FileLatch(path)
    latch.set("stop button")
    latch.save()
    assert path.stat().st_mode & 0o777 == 0o600


def test_saving_what_was_not_set_writes_nothing(path: Path) -> None:
    assert FileLatch(path).save() is None
    assert not path.exists()


def test_saving_writes_and_syncs_the_file_and_its_folder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def spy(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").resolve().name)
        real(handle)

    monkeypatch.setattr(os, "fsync", spy)
    latch = FileLatch(path)
    latch.set("stop button")
    latch.save()
    assert synced == [path.name, path.parent.name]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00garbage", b"x" * 100_000, b"\n"])
def test_any_file_in_its_place_counts_as_latched(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    latch = FileLatch(path)
    assert latch.is_set
    assert latch.reason


def test_a_folder_in_its_place_counts_as_latched(path: Path) -> None:
    path.mkdir(parents=True)
    latch = FileLatch(path)
    assert latch.is_set
    assert "unreadable" in latch.reason


def test_a_dangling_link_in_its_place_counts_as_latched(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(path.parent / "nowhere")
    assert FileLatch(path).is_set


def test_a_path_through_a_file_counts_as_latched(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert FileLatch(tmp_path / "file" / "bench-1.latch").is_set


def test_a_latch_that_cannot_be_written_stands_in_memory_and_says_why(tmp_path: Path) -> None:
    latch = FileLatch(tmp_path / "state" / "bench-1.latch")
    (tmp_path / "state").write_text("a file where the folder should be")
    latch.set("stop button")
    error = latch.save()
    assert error is not None
    assert "bench-1.latch" in error
    assert latch.is_set


def test_a_full_disk_still_leaves_a_latch_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    latch = FileLatch(path)
    latch.set("stop button")
    assert "No space left" in str(latch.save())
    assert FileLatch(path).is_set


def test_a_latch_that_cannot_be_removed_stays_set_and_says_why(path: Path) -> None:
    path.mkdir(parents=True)
    latch = FileLatch(path)
    assert "could not be removed" in str(latch.clear())
    assert latch.is_set


def test_of_two_that_latch_for_one_stop_the_first_cause_stays_on_the_disk(path: Path) -> None:
    controller, bridge = FileLatch(path), FileLatch(path)
    controller.set("emergency stop by Dr A")
    bridge.set("the controller says stop")
    assert controller.save() is None
    assert bridge.save() is None
    assert FileLatch(path).reason == "emergency stop by Dr A"
    assert bridge.reason == "emergency stop by Dr A"


def test_a_latch_file_that_was_only_begun_gets_a_reason(path: Path) -> None:
    path.parent.mkdir(parents=True)
    latch = FileLatch(path)
    latch.set("stop button")
    path.write_bytes(b" \n")
    assert latch.save() is None
    assert path.read_text(encoding="utf-8") == "stop button\n"
