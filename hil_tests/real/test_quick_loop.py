"""The loop that calls readers without a detour does all that asyncio's own does, on real descriptors."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from sim.quick_loop import AVAILABLE, QuickLoop

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs epoll")


@pytest.fixture
def loop() -> Iterator[QuickLoop]:
    loop = QuickLoop()
    yield loop
    loop.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def chatter(loop: QuickLoop, pipe: tuple[int, int]) -> list[int]:
    """A descriptor that is readable again and again without end; how often it was read."""
    reading, writing = pipe
    seen = [0]

    def read() -> None:
        os.read(reading, 10)
        seen[0] += 1
        os.write(writing, b"x")

    loop.add_reader(reading, read)
    os.write(writing, b"x")
    return seen


def test_a_timer_is_on_time_while_a_descriptor_is_always_readable(
    loop: QuickLoop, pipe: tuple[int, int]
) -> None:
    seen = chatter(loop, pipe)
    began = loop.time()
    loop.run_until_complete(asyncio.sleep(0.05))
    assert 0.05 <= loop.time() - began < 0.5
    assert seen[0] > 100


def test_what_a_reader_schedules_is_done_although_nothing_else_happens(
    loop: QuickLoop, pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    done: list[str] = []

    def read() -> None:
        os.read(reading, 10)
        loop.call_soon(done.append, "soon")
        loop.call_later(0.01, done.append, "later")
        loop.call_later(0.02, loop.stop)

    loop.add_reader(reading, read)
    os.write(writing, b"x")
    loop.run_forever()
    assert done == ["soon", "later"]


def test_a_reader_can_stop_the_loop_and_wake_a_task(loop: QuickLoop, pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    loop.add_reader(reading, loop.stop)
    os.write(writing, b"x")
    loop.run_forever()
    loop.remove_reader(reading)
    heard = loop.create_future()
    loop.add_reader(reading, lambda: heard.set_result(os.read(reading, 10)))
    assert loop.run_until_complete(asyncio.wait_for(heard, 5)) == b"x"


def test_a_reader_that_fails_is_told_of_and_the_loop_goes_on(
    loop: QuickLoop, pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    told: list[object] = []
    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    def read() -> None:
        os.read(reading, 10)
        raise ValueError("no")

    loop.add_reader(reading, read)
    os.write(writing, b"x")
    loop.run_until_complete(asyncio.sleep(0.02))
    assert [str(error) for error in told] == ["no"]


def test_a_reader_that_was_removed_or_replaced_is_called_no_more(
    loop: QuickLoop, pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    calls: list[str] = []
    loop.add_reader(reading, lambda: calls.append("first"))
    loop.add_reader(reading, calls.append, "with an argument")
    loop.add_reader(reading, lambda: calls.append(f"second {os.read(reading, 10)!r}"))
    os.write(writing, b"x")
    loop.run_until_complete(asyncio.sleep(0.01))
    assert loop.remove_reader(reading)
    assert not loop.remove_reader(reading)
    os.write(writing, b"x")
    loop.run_until_complete(asyncio.sleep(0.01))
    assert calls == ["second b'x'"]


def test_another_thread_can_call_while_the_loop_waits(loop: QuickLoop) -> None:
    threading.Timer(0.02, lambda: loop.call_soon_threadsafe(loop.stop)).start()
    loop.run_forever()


def test_asyncio_s_own_streams_run_on_it(loop: QuickLoop) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def ask() -> bytes:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        answer = await reader.read()
        writer.close()
        server.close()
        return answer

    assert loop.run_until_complete(asyncio.wait_for(ask(), 5)) == b"hello\n"


def test_a_writer_beside_a_reader_is_called_too(loop: QuickLoop) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        calls: set[str] = set()

        def written() -> None:
            calls.add("write")
            loop.remove_writer(ours)

        loop.add_reader(ours.fileno(), lambda: calls.add(f"read {ours.recv(10)!r}"))
        loop.add_writer(ours.fileno(), written)
        theirs.send(b"x")
        loop.run_until_complete(asyncio.sleep(0.02))
        loop.remove_reader(ours.fileno())
    assert calls == {"read b'x'", "write"}
