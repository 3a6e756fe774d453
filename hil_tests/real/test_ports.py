"""One descriptor on the loop: what happens when it takes only part, nothing, or is gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from sim.ports import Stream

pytestmark = pytest.mark.real


class Wire:
    """Our end of a socket pair, whose writes can be made to fail."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        for end in (self.ours, self.theirs):
            end.setblocking(False)
        self.takes: list[int | OSError] = []
        self.received: list[bytes] = []
        self.ends = 0
        self.stream = Stream(
            asyncio.get_running_loop(),
            self.ours.fileno(),
            read=self.ours.recv,
            write=self._write,
            received=self.received.append,
            ended=self._ended,
            backlog_bytes_max=10,
        )

    def _write(self, data: bytes) -> int:
        take = self.takes.pop(0) if self.takes else len(data)
        if isinstance(take, OSError):
            raise take
        return self.ours.send(data[:take])

    def _ended(self) -> None:
        self.ends += 1

    def close(self) -> None:
        self.stream.stop()
        self.ours.close()
        self.theirs.close()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    made = Wire()
    yield made
    made.close()


async def test_what_was_not_taken_follows_in_order(wire: Wire) -> None:
    wire.takes = [3, 0, 1]
    wire.stream.write(b"abcdef")
    wire.stream.write(b"ghij")
    assert wire.theirs.recv(100) == b"abc"
    await asyncio.sleep(0.01)
    assert wire.theirs.recv(100) == b"defghij"
    wire.stream.write(b"k")
    assert wire.theirs.recv(100) == b"k"


async def test_frames_beyond_the_bound_are_lost_whole(wire: Wire) -> None:
    wire.takes = [BlockingIOError()]
    wire.stream.write(b"abcdef")
    wire.stream.write(b"ghijk")
    wire.stream.write(b"lmno")
    assert wire.stream.frames_lost == 1
    await asyncio.sleep(0.01)
    assert wire.theirs.recv(100) == b"abcdeflmno"


@pytest.mark.parametrize("takes", [[OSError()], [2, OSError()]])
async def test_a_write_that_fails_ends_the_stream_once(
    wire: Wire, takes: list[int | OSError]
) -> None:
    wire.takes = takes
    wire.stream.write(b"abcdef")
    await asyncio.sleep(0.01)
    assert wire.ends == 1
    wire.stream.catch_up()
    wire.stream.stop()
    assert wire.ends == 1


async def test_the_other_side_can_be_found_gone_before_the_loop_tells(wire: Wire) -> None:
    wire.theirs.send(b"last words")
    wire.stream.catch_up()
    assert wire.ends == 0
    wire.theirs.close()
    wire.stream.catch_up()
    assert (wire.received, wire.ends) == ([b"last words"], 1)


async def test_a_side_that_floods_is_not_listened_to_for_ever(wire: Wire) -> None:
    calls = 0

    def flood(_count: int) -> bytes:
        nonlocal calls
        calls += 1
        return b"x"

    wire.stream._read = flood
    wire.stream.catch_up()
    assert calls == 16
