"""The scaled loop against the real clock; bounds are wide because the test shares its cores."""

from __future__ import annotations

import asyncio
import socket
from time import perf_counter, time_ns

import pytest

from firmware_bridge.clock import new_loop, wall_ms

pytestmark = pytest.mark.real


def test_sixty_scaled_seconds_take_half_a_second_at_speed_120() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(60)
        return loop.time() - began

    began = perf_counter()
    with asyncio.Runner(loop_factory=lambda: new_loop(120)) as runner:
        scaled_s = runner.run(main())
    assert 60 <= scaled_s < 120
    assert 0.5 <= perf_counter() - began < 1


def test_timers_fire_in_order_and_never_early() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        late: list[float] = []
        for n in range(10):
            when = loop.time() + 5 + n
            loop.call_at(when, lambda due: late.append(loop.time() - due), when)
        await asyncio.sleep(20)
        return late

    with asyncio.Runner(loop_factory=lambda: new_loop(100)) as runner:
        late = runner.run(main())
    assert len(late) == 10
    assert min(late) >= -1e-6  # the clock's own resolution, scaled


def test_real_sockets_wake_a_scaled_loop_at_once() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            began = perf_counter()
            loop.call_later(1, theirs.send, b"x")
            async with asyncio.timeout(3600):
                await loop.sock_recv(ours, 1)
            return perf_counter() - began

    with asyncio.Runner(loop_factory=lambda: new_loop(60)) as runner:
        assert runner.run(main()) < 5


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_the_wall_clock_label_is_the_wall_clock_whatever_the_speed(speed: float) -> None:
    loop = new_loop(speed)
    assert abs(wall_ms(loop) - time_ns() // 1_000_000) < 5000
    loop.close()
