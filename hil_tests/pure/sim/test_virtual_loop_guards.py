"""What the virtual loop detects and refuses; each test provokes one of them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from sim.virtual_loop import VirtualLoop, run_virtual
from sim.virtual_refusals import (
    REFUSED,
    BudgetExceeded,
    Deadlock,
    LeftBehind,
    Livelock,
    RealTimeRefused,
    Unhandled,
)


def run(main: Callable[[], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    return run_virtual(main, **options)[0]


def test_a_deadlock_is_raised_and_names_who_waits_for_what() -> None:
    async def wait_for_nobody() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        asyncio.current_task()
        await asyncio.sleep(3)
        await asyncio.create_task(wait_for_nobody())

    with pytest.raises(
        Deadlock, match=r"virtual time 3 s.*2 tasks wait.*wait_for_nobody"
    ) as caught:
        run(main)
    assert "test_virtual_loop_guards.py" in str(caught.value)


def test_a_livelock_is_raised_and_names_what_kept_running() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def chase_own_tail() -> None:
            loop.call_soon(chase_own_tail)

        chase_own_tail()
        await asyncio.sleep(1)

    with pytest.raises(Livelock, match="chase_own_tail"):
        run(main)


def test_a_timer_that_is_always_due_is_a_livelock_too() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def due_again() -> None:
            loop.call_at(loop.time(), due_again)

        due_again()
        await asyncio.sleep(1)

    with pytest.raises(Livelock, match="due_again"):
        run(main)


def test_nine_thousand_rounds_at_each_of_several_instants_are_no_livelock() -> None:
    async def main() -> None:
        for _ in range(3):
            for _ in range(9000):
                await asyncio.sleep(0)
            await asyncio.sleep(1)

    run(main)


def test_a_run_that_wants_more_time_than_its_budget_is_ended() -> None:
    async def main() -> None:
        for _ in range(100):
            await asyncio.sleep(60)

    with pytest.raises(BudgetExceeded, match=r"the budget is 3600 s.*main"):
        run(main, budget_s=3600)


def test_the_budget_itself_is_still_allowed() -> None:
    async def main() -> float:
        await asyncio.sleep(10)
        return asyncio.get_running_loop().time()

    assert run(main, budget_s=10) == 10


def test_a_task_that_outlives_the_run_is_an_error_with_its_name_and_place() -> None:
    async def forgotten() -> None:
        await asyncio.sleep(100)

    async def main() -> None:
        asyncio.get_running_loop().create_task(forgotten())
        await asyncio.sleep(1)

    with pytest.raises(
        LeftBehind, match=r"1 tasks.*forgotten made at test_virtual_loop_guards.py:\d+"
    ):
        run(main)


def test_a_task_that_was_never_started_is_left_behind_too() -> None:
    async def forgotten() -> None:
        await asyncio.sleep(100)

    async def main() -> None:
        asyncio.get_running_loop().create_task(forgotten(), name="late")

    with pytest.raises(LeftBehind, match="late"):
        run(main)


def test_a_left_task_that_swallows_cancellation_cannot_keep_the_run_from_ending() -> None:
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                continue

    async def main() -> None:
        asyncio.get_running_loop().create_task(stubborn(), name="stubborn")
        await asyncio.sleep(1)

    with pytest.raises(LeftBehind, match="stubborn"):
        run(main)
    gc.collect()


def test_timers_that_are_left_are_reported() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(5, print)
        loop.call_later(6, print).cancel()

    (left,) = run_virtual(main)[1].timers_left
    assert left.startswith("5 s: ")


def test_an_exception_nobody_retrieved_fails_the_run_after_it() -> None:
    async def fail() -> None:
        raise KeyError("dose")

    async def main() -> None:
        asyncio.get_running_loop().create_task(fail(), name="failing")
        await asyncio.sleep(1)

    with pytest.raises(Unhandled, match=r"failing: KeyError\('dose'\)") as caught:
        run(main)
    assert isinstance(caught.value.causes[0], KeyError)
    assert caught.value.__cause__ is caught.value.causes[0]


def test_an_exception_that_was_retrieved_does_not() -> None:
    async def fail() -> None:
        raise KeyError("dose")

    async def main() -> str:
        task = asyncio.get_running_loop().create_task(fail())
        with pytest.raises(KeyError):
            await task
        return "fine"

    assert run(main) == "fine"


def test_failed_tasks_are_remembered_among_many_that_went_well() -> None:
    async def work(n: int) -> None:
        if n == 3:
            raise KeyError(n)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for n in range(1000):
            task = loop.create_task(work(n))
            await asyncio.sleep(0.1)
            assert task.done()

    with pytest.raises(Unhandled, match=r"KeyError\(3\)"):
        run(main)


def test_a_callback_that_raises_is_never_swallowed() -> None:
    ran: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def raises() -> None:
            raise ValueError("from a callback")

        loop.call_soon(raises)
        loop.call_soon(ran.append, "neighbour")
        await asyncio.sleep(1)

    with pytest.raises(Unhandled, match="from a callback"):
        run(main)
    assert ran == ["neighbour"]


class NotEvenAnException(BaseException):
    pass


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, NotEvenAnException])
def test_an_interrupt_leaves_at_once_and_the_other_callbacks_still_run(
    kind: type[BaseException],
) -> None:
    ran: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def interrupts() -> None:
            raise kind

        for _ in range(3):
            loop.call_soon(ran.append, "neighbour")
        loop.call_soon(interrupts)
        try:
            await asyncio.sleep(1)
        finally:
            ran.append("cleaned up")

    with pytest.raises(kind):
        run(main)
    assert sorted(ran) == ["cleaned up", "neighbour", "neighbour", "neighbour"]


def test_what_main_raises_is_what_comes_out_with_the_rest_as_notes() -> None:
    async def fail() -> None:
        raise KeyError("dose")

    async def main() -> None:
        asyncio.get_running_loop().create_task(fail())
        await asyncio.sleep(1)
        raise ValueError("main")

    with pytest.raises(ValueError, match="main") as caught:
        run(main)
    assert "KeyError('dose')" in caught.value.__notes__[0]


def test_async_generators_are_closed_at_the_end() -> None:
    closed: list[str] = []

    async def ticks() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
                await asyncio.sleep(1)
        finally:
            closed.append("yes")

    async def main() -> AsyncIterator[int]:
        generator = ticks()
        await anext(generator)
        return generator

    run(main)
    assert closed == ["yes"]


# What it refuses


@pytest.mark.parametrize("name", REFUSED)
def test_doors_to_real_time_are_shut_and_the_call_site_is_named(name: str) -> None:
    async def main() -> None:
        await asyncio.sleep(2)
        getattr(asyncio.get_running_loop(), name)(None, None)

    with pytest.raises(
        RealTimeRefused, match=rf"2 s: {name} is refused.*test_virtual_loop_guards.py:\d+"
    ):
        run(main)


def test_refusals_through_asyncios_own_functions_name_our_caller() -> None:
    async def thread() -> None:
        await asyncio.to_thread(print)

    async def process() -> None:
        await asyncio.create_subprocess_exec("true")

    async def connection() -> None:
        await asyncio.open_connection("127.0.0.1", 1)

    for main in (thread, process, connection):
        with pytest.raises(RealTimeRefused, match=f"test_virtual_loop_guards.py.*{main.__name__}"):
            run(main)


def test_nothing_can_be_registered_with_the_selector() -> None:
    loop = VirtualLoop()
    with pytest.raises(RealTimeRefused):
        loop._selector.register(0, 1)  # type: ignore[attr-defined]  # typeshed hides it
    with pytest.raises(KeyError):
        loop._selector.unregister(0)  # type: ignore[attr-defined]  # typeshed hides it
    loop.close()


def test_a_call_from_another_thread_is_refused_and_one_from_its_own_is_not() -> None:
    refused: list[Exception] = []

    async def main() -> str:
        loop = asyncio.get_running_loop()

        def intrude() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except RealTimeRefused as error:
                refused.append(error)

        thread = threading.Thread(target=intrude)
        thread.start()
        thread.join()
        done = loop.create_future()
        loop.call_soon_threadsafe(done.set_result, "own")
        return str(await done)

    assert run(main) == "own"
    assert "another thread" in str(refused[0])
