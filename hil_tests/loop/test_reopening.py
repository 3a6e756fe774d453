"""A bridge that is gone is started again: soon, then ever more seldom, but for a stop at every turn."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from controller.pump_hand import REOPEN_WALL_S_MAX, Pace, PumpHand
from controller.self_test import SelfTest
from firmware_bridge.errors import LinkError
from firmware_bridge.protocols.pumplink_host import HostSession
from firmware_bridge.transports.base import Transport
from sim.virtual_loop import run_virtual

if TYPE_CHECKING:
    from controller.runner import Runner

TRIED_S = 199.5


async def tried(*, latched: bool) -> list[float]:
    """When a bridge that never comes was asked for, in seconds."""
    loop = asyncio.get_running_loop()
    attempts: list[float] = []

    async def open_bridge() -> Transport:
        attempts.append(loop.time())
        raise LinkError("memory", "no such port")

    hand = PumpHand(
        open_bridge=open_bridge,
        new_session=lambda: HostSession(1),
        pace=Pace(),
        self_test=SelfTest(library_sha256="", library_now=lambda: "", data_age_s_max=5.0),
    )
    hand.attach(cast("Runner", SimpleNamespace(loop=loop, latched=latched)))
    trying = loop.create_task(hand._reopen())
    await asyncio.sleep(TRIED_S)
    hand.close()
    await trying
    return [at - attempts[0] for at in attempts]


@pytest.mark.parametrize("latched", [False, True])
def test_the_wait_for_a_bridge_doubles_but_not_for_a_stop(latched: bool) -> None:
    attempts, _ = run_virtual(lambda: tried(latched=latched), seed=1, budget_s=1_000)
    if latched:
        assert attempts == pytest.approx([float(n) for n in range(200)])
    else:
        assert attempts[:6] == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0]
        waits = [b - a for a, b in pairwise(attempts[5:])]
        assert set(waits) == {REOPEN_WALL_S_MAX}
