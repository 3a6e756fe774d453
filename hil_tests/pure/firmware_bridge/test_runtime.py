"""Where the files between processes lie, and that no name leads out of their folders."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import runtime
from firmware_bridge.errors import ConfigurationError


@pytest.mark.parametrize("device", ["a", "bench-1", "0", "a" * 32])
def test_a_plain_device_id_is_taken(device: str) -> None:
    assert runtime.checked_device(device) == device


@pytest.mark.parametrize(
    "device", ["", "A", "a" * 33, "a/b", "..", "a b", "bench_1", "bench-1\n", "é"]
)
def test_any_other_device_id_is_refused_and_named(device: str) -> None:
    with pytest.raises(ConfigurationError, match="device: "):
        runtime.checked_device(device)


@given(st.text())
def test_no_device_id_leads_out_of_its_folder(device: str) -> None:
    folder = Path("/folder")
    for path_of in (runtime.stop_socket_path, runtime.latch_path, runtime.device_lock_path):
        try:
            path = path_of(device, folder)
        except ConfigurationError:
            continue
        assert path.parent == folder


@given(st.text())
def test_any_port_name_makes_a_lock_inside_the_folder(port: str) -> None:
    path = runtime.port_lock_path(port, Path("/folder"))
    assert path.parent == Path("/folder")
    assert len(path.name) < 32


def test_the_runtime_folder_is_below_xdg_runtime_dir_and_private(tmp_path: Path) -> None:
    folder = runtime.runtime_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert folder == tmp_path / "infusor"
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("environ", [{}, {"XDG_RUNTIME_DIR": ""}, {"XDG_RUNTIME_DIR": "relative"}])
def test_without_it_there_is_a_private_folder_per_user(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = runtime.runtime_folder(environ)
    assert folder.name == "infusor"
    assert folder.parent.parent == tmp_path
    assert folder.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "infusor").mkdir(mode=0o755)
    folder = runtime.runtime_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_link_put_in_its_place_by_somebody_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "infusor").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="not a folder of this user"):
        runtime.runtime_folder({"XDG_RUNTIME_DIR": str(tmp_path)})


def test_a_runtime_dir_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="runtime folder"):
        runtime.runtime_folder({"XDG_RUNTIME_DIR": str(tmp_path / "nowhere")})


def test_the_state_folder_follows_xdg_state_home(tmp_path: Path) -> None:
    assert runtime.state_folder({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "infusor"
    assert runtime.state_folder({}) == Path.home() / ".local" / "state" / "infusor"


def test_the_paths_of_a_device_are_those_of_the_contract(tmp_path: Path) -> None:
    assert runtime.stop_socket_path("bench-1", tmp_path).name == "bench-1.stop"
    assert runtime.latch_path("bench-1", tmp_path).name == "bench-1.latch"
    assert runtime.device_lock_path("bench-1", tmp_path).name == "bench-1.lock"


def test_without_a_folder_the_paths_lie_in_the_ones_of_this_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert runtime.stop_socket_path("bench-1") == tmp_path / "infusor" / "bench-1.stop"
    assert runtime.latch_path("bench-1") == tmp_path / "state" / "infusor" / "bench-1.latch"
