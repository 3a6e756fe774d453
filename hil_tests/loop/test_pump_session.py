"""Ctrl-C at moments of `infusor pump` that no person can aim at."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.cli import pump_session
from controller.cli.outcome import ENDED_BADLY, NotNow
from controller.cli.pump_session import PumpSession
from controller.cli.pump_spec import PumpSpec
from firmware_bridge.dialects import parse_pump_url
from firmware_bridge.spawn import Left
from firmware_bridge.transports import memory

URL = "new-era:/dev/ttyUSB0"


class MuteBridge:
    """Has met its pump, and answers nothing."""

    async def left(self) -> Left:
        return Left(0, ())


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    async def spawn(*_words: Any, **_options: Any) -> tuple[memory.MemoryTransport, MuteBridge]:
        mine, its = memory.pair(asyncio.get_running_loop(), a_name="a", b_name="b")
        its.start(lambda _data: None, lambda _cause: None)
        return mine, MuteBridge()

    monkeypatch.setattr(pump_session, "spawn_bridge", spawn)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    former = signal.getsignal(signal.SIGINT)
    yield tmp_path / "state"
    assert signal.getsignal(signal.SIGINT) is former


@pytest.fixture
def no_state(state: Path) -> Path:
    state.write_text("a file where the folder should be")
    return state


async def interrupted(action: str) -> int:
    spec = PumpSpec(action, URL, parse_pump_url(URL), "bench-1", None, json=False, verbose=False)
    session = PumpSession(spec)
    asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)
    async with asyncio.timeout(10.0):
        return await session.run()


async def test_ctrl_c_before_the_pump_was_met_stops_latches_and_says_so(state: Path) -> None:
    with pytest.raises(NotNow, match="emergency stop before anything was started") as raised:
        await interrupted("status")
    assert raised.value.code == ENDED_BADLY
    assert (state / "infusor" / "bench-1.latch").read_text() == "emergency stop by SIGINT\n"


async def test_a_latch_that_cannot_be_written_is_said(
    no_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotNow):
        await interrupted("stop")
    assert f"stop latch {no_state}" in capsys.readouterr().err
