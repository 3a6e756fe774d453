"""STOP through a descriptor: past a queue, past a full buffer, from a thread, from a signal handler.

Real descriptors on the real clock: nothing here asserts less than 50 ms over a PTY.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from time import perf_counter

import pytest

from firmware_bridge.clock import ScaledLoop
from firmware_bridge.errors import LinkError
from firmware_bridge.transports import fd as fd_module
from firmware_bridge.transports.fd import WAITING_FRAMES_MAX, FdTransport
from hil_tests.real.transport_ends import STOP, Ear, Pump, fill, opened

pytestmark = pytest.mark.real


@pytest.fixture
def pump() -> Iterator[Pump]:
    held = Pump()
    yield held
    held.unplug()


@pytest.fixture
async def host(pump: Pump) -> AsyncIterator[FdTransport]:
    transport = await opened(pump.port)
    assert isinstance(transport, FdTransport)
    yield transport
    transport.close()


async def test_stop_overtakes_what_waits_and_never_cuts_the_frame_in_transmission(
    pump: Pump, host: FdTransport
) -> None:
    Ear(host)
    await fill(host)
    waiting = len(host._frames)
    host.write_now(STOP)
    host.write(b"query\r")
    heard = b""
    async with asyncio.timeout(5):
        while not heard.endswith(b"query\r"):
            heard += await asyncio.to_thread(pump.read)
    frames = heard.split(b"\r")[:-1]
    assert frames[-2:] == [b"STP", b"query"]
    assert {len(frame) for frame in frames[:-2]} == {99}
    assert host.overtaken == waiting


async def test_a_stop_that_does_not_drain_is_flushed_and_sent_after_a_silence(
    pump: Pump, host: FdTransport
) -> None:
    Ear(host)
    await fill(host)
    began = perf_counter()
    host.write_now(STOP)
    host.write_now(STOP)
    await asyncio.sleep(fd_module.DRAIN_PATIENCE_S + fd_module.SILENCE_S / 2)
    assert STOP not in await asyncio.to_thread(pump.read)  # it was flushed, and is being silent
    async with asyncio.timeout(5):
        heard = b""
        while not heard:
            heard = await asyncio.to_thread(pump.read)
    assert heard == STOP + STOP
    assert perf_counter() - began > fd_module.DRAIN_PATIENCE_S + fd_module.SILENCE_S


async def test_a_buffer_that_drains_in_time_is_not_flushed(pump: Pump, host: FdTransport) -> None:
    Ear(host)
    await fill(host)
    host.write_now(STOP)
    heard = await asyncio.to_thread(pump.read)
    await asyncio.sleep(fd_module.DRAIN_PATIENCE_S + 0.1)
    heard += await asyncio.to_thread(pump.read)
    assert heard.endswith(b"\r" + STOP)
    assert {len(frame) for frame in heard.split(b"\r")[:-2]} == {99}


async def test_unplugging_while_a_stop_waits_is_a_loss_like_any_other(
    pump: Pump, host: FdTransport
) -> None:
    ear = Ear(host)
    await fill(host)
    host.write_now(STOP)
    pump.unplug()
    await ear.is_told_of_the_loss()
    await asyncio.sleep(fd_module.DRAIN_PATIENCE_S + 0.1)
    assert len(ear.losses) == 1


async def test_too_many_waiting_frames_are_refused_but_stops_are_not(
    pump: Pump, host: FdTransport
) -> None:
    await fill(host)
    while len(host._frames) < WAITING_FRAMES_MAX:
        host.write(b"x\r")
    with pytest.raises(LinkError, match="not sent: 1000 frames wait"):
        host.write(b"x\r")
    for _ in range(100):
        host.write_now(STOP)
    assert len(host._stops) <= fd_module.WAITING_STOPS_MAX
    assert pump.port == host.name


async def test_stop_leaves_from_another_thread_while_the_loop_is_blocked(
    pump: Pump, host: FdTransport
) -> None:
    Ear(host)
    stopper = threading.Thread(target=host.write_now, args=(STOP,))
    stopper.start()
    stopper.join()
    assert pump.read() == STOP  # and the loop has not run in between


async def test_stop_leaves_from_a_signal_handler_that_interrupts_a_blocked_loop(
    pump: Pump, host: FdTransport
) -> None:
    Ear(host)
    before = signal.signal(signal.SIGALRM, lambda *_: host.write_now(STOP))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        until = perf_counter() + 0.1
        while perf_counter() < until:
            pass
        assert pump.read() == STOP
    finally:
        signal.signal(signal.SIGALRM, before)


async def test_stop_from_inside_a_write_goes_next(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler that runs while the pen is held: what it adds is seen on the second look."""
    transport = await opened(pump.port)
    real_write = os.write

    def interrupted(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", real_write)
        transport.write_now(STOP)
        return real_write(fd, data)

    monkeypatch.setattr(os, "write", interrupted)
    transport.write(b"RUN\r")
    assert await asyncio.to_thread(pump.read) == b"RUN\r" + STOP
    transport.close()


async def test_a_frame_refused_by_a_full_port_stays_behind_a_stop_that_came_in_between(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = await opened(pump.port)
    assert isinstance(transport, FdTransport)
    real_write = os.write

    def full(_fd: int, _data: bytes) -> int:
        monkeypatch.setattr(os, "write", real_write)
        transport.write_now(STOP)
        raise BlockingIOError

    monkeypatch.setattr(os, "write", full)
    transport.write(b"RUN\r")
    assert await asyncio.to_thread(pump.read) == STOP
    assert transport.overtaken == 1
    transport.close()


async def test_stops_hammered_from_threads_never_cut_a_frame(pump: Pump, host: FdTransport) -> None:
    Ear(host)
    heard: list[bytes] = []
    done = threading.Event()

    def drain() -> None:
        while not done.is_set():
            heard.append(pump.read())

    def hammer() -> None:
        for _ in range(200):
            host.write_now(STOP)

    threads = [threading.Thread(target=drain), *(threading.Thread(target=hammer) for _ in range(3))]
    for thread in threads:
        thread.start()
    for n in range(400):
        with suppress(LinkError):
            host.write(b"frame %04d\r" % n)
        await asyncio.sleep(0)
    await asyncio.sleep(0.2)
    done.set()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    frames = b"".join(heard).split(b"\r")
    assert frames.pop() == b""
    assert {frame.split(b" ")[0] for frame in frames} <= {b"STP", b"frame"}
    numbers = [int(frame.split(b" ")[1]) for frame in frames if frame != b"STP"]
    assert numbers == sorted(numbers)
    assert STOP[:-1] in frames


# Scaled time


def test_the_silence_after_a_flush_lasts_at_least_a_quarter_second_in_scaled_time(
    pump: Pump,
) -> None:
    async def main() -> float:
        transport = await opened(pump.port)
        assert isinstance(transport, FdTransport)
        Ear(transport)
        await fill(transport)
        began = perf_counter()
        transport.write_now(STOP)
        for _ in range(500):  # of 10 ms on the wall
            await asyncio.sleep(1)
            if not transport._stops:
                break
        took = perf_counter() - began
        assert pump.read().endswith(STOP)
        transport.close()
        return took

    with asyncio.Runner(loop_factory=lambda: ScaledLoop(100)) as runner:
        assert runner.run(main()) >= 0.5
