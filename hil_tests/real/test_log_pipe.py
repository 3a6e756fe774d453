"""`infusor log show` into a pipe that somebody closes early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hil_tests.pure.controller.report_logs import FIRST_VISIT, SEAL, log_bytes

pytestmark = pytest.mark.real


@pytest.mark.parametrize("options", [[], ["--json"], ["--all"]])
def test_who_has_seen_enough_of_a_log_is_not_complained_to(
    tmp_path: Path, options: list[str]
) -> None:
    log = tmp_path / "bench-1.S-0001.jsonl"
    log.write_bytes(log_bytes([*FIRST_VISIT, SEAL]))
    command = [sys.executable, "-m", "controller", "log", "show", str(log), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as shown:
        assert shown.stdout is not None
        assert shown.stderr is not None
        shown.stdout.close()
        assert shown.stderr.read() == b""
        assert shown.wait() == 0
