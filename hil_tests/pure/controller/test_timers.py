"""Named timers, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from controller.timers import Timers
from sim.virtual_loop import run_virtual


class Watch:
    """Timers and when which of them fired."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.timers = Timers(self.loop, self._fired)
        self.fired: list[tuple[str, float]] = []

    def _fired(self, name: str) -> None:
        self.fired.append((name, self.loop.time()))


def in_virtual_time(main: Coroutine[Any, Any, None]) -> None:
    run_virtual(lambda: main, seed=1, budget_s=1_000)


def test_a_timer_fires_once_after_its_time() -> None:
    async def visit() -> None:
        watch = Watch()
        watch.timers.start("observing", 600)
        await asyncio.sleep(599)
        assert watch.fired == []
        await asyncio.sleep(2)
        assert watch.fired == [("observing", 600)]

    in_virtual_time(visit())


def test_starting_a_timer_again_replaces_it() -> None:
    async def visit() -> None:
        watch = Watch()
        watch.timers.start("command", 10)
        await asyncio.sleep(5)
        watch.timers.start("command", 10)
        await asyncio.sleep(20)
        assert watch.fired == [("command", 15)]

    in_virtual_time(visit())


def test_timers_of_different_names_do_not_touch_each_other() -> None:
    async def visit() -> None:
        watch = Watch()
        watch.timers.start("late", 20)
        watch.timers.start("early", 10)
        watch.timers.start("never", 15)
        watch.timers.cancel("never")
        watch.timers.cancel("there is none")
        await asyncio.sleep(30)
        assert watch.fired == [("early", 10), ("late", 20)]

    in_virtual_time(visit())


def test_cancelling_all_leaves_none() -> None:
    async def visit() -> None:
        watch = Watch()
        watch.timers.start("a", 1)
        watch.timers.start("b", 2)
        watch.timers.cancel_all()
        await asyncio.sleep(10)
        assert watch.fired == []

    in_virtual_time(visit())


def test_what_fires_may_start_itself_again() -> None:
    async def visit() -> None:
        loop = asyncio.get_running_loop()
        beats: list[float] = []

        def fired(name: str) -> None:
            beats.append(loop.time())
            if len(beats) < 3:
                timers.start(name, 7)

        timers = Timers(loop, fired)
        timers.start("beat", 7)
        await asyncio.sleep(100)
        assert beats == [7, 14, 21]

    in_virtual_time(visit())


def test_a_timer_of_no_time_fires_at_once() -> None:
    async def visit() -> None:
        watch = Watch()
        watch.timers.start("now", 0)
        await asyncio.sleep(0.001)
        assert watch.fired == [("now", 0)]

    in_virtual_time(visit())
