"""The world as a process, with a controller that does not look at its vitals."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from firmware_bridge.transports.fd import WAITING_FRAMES_MAX
from sim.world_process import WorldSpec

pytestmark = pytest.mark.real

SPEED = 1_000.0
"""Samples in a wall second."""


@pytest.fixture
def world() -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    mine, its = socket.socketpair()
    its.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    spec = WorldSpec(
        fd=its.fileno(),
        speed=SPEED,
        seed=1,
        drug="ketamine",
        concentration_ug_ml=10_000,
        weight_kg=70.0,
        age_years=40,
        height_cm=175,
        with_pump=False,
        diameter_um=19_050,
        size_nl=20_000_000,
        loaded_nl=20_000_000,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "sim.world_process", spec.as_argument()],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=(its.fileno(),),
    )
    its.close()
    yield process, mine
    mine.close()
    process.kill()
    process.communicate()


def test_a_world_that_nobody_looks_at_lives_on_and_is_there_for_who_looks_again(
    world: tuple[subprocess.Popen[str], socket.socket],
) -> None:
    process, vitals = world
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["ready"]
    time.sleep(3 * WAITING_FRAMES_MAX / SPEED)
    vitals.settimeout(10.0)
    lines: list[dict[str, int]] = []
    with vitals.makefile("rb") as stream:
        while not lines or lines[-1]["seq"] < 3 * WAITING_FRAMES_MAX:
            lines.append(json.loads(stream.readline()))
    missing = [b["seq"] - a["seq"] for a, b in pairwise(lines)]
    assert max(missing) > 1  # what nobody took was dropped, not kept for ever
    vitals.close()
    _, complaints = process.communicate(timeout=10.0)
    assert (process.returncode, complaints) == (0, "")
