from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.errors import Disconnected, LinkError
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.memory import WAITING_FRAMES_MAX, Cable, MemoryTransport, pair
from sim.virtual_loop import run_virtual

FRAMES = [b"RAT\r", b"DIR\r", b"VOL\r", b"DIS\r"]


class Ear:
    """Who listens at an end: what arrived and when, and how the port was lost."""

    def __init__(self, end: MemoryTransport) -> None:
        self.chunks: list[bytes] = []
        self.times: list[float] = []
        self.losses: list[Exception | None] = []
        end.start(self.received, self.losses.append)

    def received(self, data: bytes) -> None:
        self.chunks.append(data)
        self.times.append(asyncio.get_running_loop().time())

    @property
    def heard(self) -> bytes:
        return b"".join(self.chunks)


def ends(cable: Cable | None = None, **options: Any) -> tuple[MemoryTransport, MemoryTransport]:
    return pair(asyncio.get_running_loop(), a_name="host", b_name="pump", cable_ab=cable, **options)


def link(**kinks: Any) -> Cable:
    return Cable(stream=random.Random("5:link"), **kinks)


def run(main: Callable[[], Coroutine[Any, Any, Any]], seed: int = 0) -> Any:
    return run_virtual(main, seed=seed)[0]


def test_both_ends_are_transports() -> None:
    async def main() -> None:
        host, pump = ends()
        transports: list[Transport] = [host, pump]
        assert [t.name for t in transports] == ["host", "pump"]

    run(main)


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_cable_hands_over_frame_by_frame_in_order_and_at_once(seed: int) -> None:
    async def main() -> None:
        host, pump = ends()
        ear, echo = Ear(pump), Ear(host)
        for frame in FRAMES:
            host.write(frame)
        pump.write(b"S")
        assert ear.chunks == []
        await asyncio.sleep(1)
        assert ear.chunks == FRAMES
        assert ear.times == [0, 0, 0, 0]
        assert echo.chunks == [b"S"]

    run(main, seed)


def test_a_clean_cable_costs_one_callback_a_frame() -> None:
    async def main() -> int:
        host, pump = ends()
        Ear(pump)
        before = len(asyncio.get_running_loop()._ready)  # type: ignore[attr-defined]  # counted white-box
        for frame in FRAMES:
            host.write(frame)
        return len(asyncio.get_running_loop()._ready) - before  # type: ignore[attr-defined]  # as above

    assert run(main) == len(FRAMES)


def test_what_arrives_before_the_start_waits_for_it_and_keeps_its_place() -> None:
    async def main() -> None:
        host, pump = ends()
        host.write(b"1")
        host.write(b"2")
        await asyncio.sleep(1)
        ear = Ear(pump)
        host.write(b"3")
        host.close()
        assert ear.chunks == []
        await asyncio.sleep(1)
        assert ear.chunks == [b"1", b"2", b"3"]
        assert ear.losses == [None]

    for seed in range(10):
        run(main, seed)


def test_a_loss_before_the_start_is_told_after_it() -> None:
    async def main() -> None:
        host, pump = ends()
        host.write(b"last words")
        host.close()
        await asyncio.sleep(1)
        ear = Ear(pump)
        await asyncio.sleep(1)
        assert (ear.chunks, ear.losses) == ([b"last words"], [None])

    async def without_words() -> None:
        host, pump = ends()
        host.close()
        await asyncio.sleep(1)
        ear = Ear(pump)
        await asyncio.sleep(1)
        assert ear.losses == [None]

    run(main)
    run(without_words)


@settings(max_examples=60, deadline=None)
@given(
    frames=st.lists(st.binary(min_size=1, max_size=20), max_size=20),
    delay_s=st.sampled_from([0.0, 0.002, 0.5]),
    jitter_s=st.sampled_from([0.0, 0.3]),
    byte_s=st.sampled_from([0.0, 0.001]),
    one_byte=st.booleans(),
    gap_s=st.sampled_from([0.0, 0.01, 0.2]),
    seed=st.integers(0, 99),
)
def test_a_slow_cable_delivers_every_byte_in_order(
    frames: list[bytes],
    delay_s: float,
    jitter_s: float,
    byte_s: float,
    *,
    one_byte: bool,
    gap_s: float,
    seed: int,
) -> None:
    async def main() -> None:
        cable = link(delay_s=delay_s, jitter_s=jitter_s, byte_s=byte_s, one_byte_at_a_time=one_byte)
        host, pump = ends(cable)
        ear = Ear(pump)
        for frame in frames:
            host.write(frame)
            await asyncio.sleep(gap_s)
        host.close()
        await asyncio.sleep(10)
        assert ear.heard == b"".join(frames)
        assert ear.losses == [None]
        if one_byte:
            assert all(len(chunk) == 1 for chunk in ear.chunks)

    run(main, seed)


def test_delay_jitter_and_baud_rate_take_the_time_they_should() -> None:
    async def arrival(**kinks: float) -> float:
        host, pump = ends(link(**kinks))
        ear = Ear(pump)
        began = asyncio.get_running_loop().time()
        host.write(b"0123456789")
        await asyncio.sleep(5)
        return ear.times[0] - began

    async def main() -> None:
        assert await arrival(delay_s=0.25) == pytest.approx(0.25)
        assert await arrival(byte_s=0.001) == pytest.approx(0.010)
        assert await arrival(byte_s=0.001, delay_s=0.25) == pytest.approx(0.260)
        assert 0.25 <= await arrival(delay_s=0.25, jitter_s=0.5) < 0.75

    run(main)


def test_lossy_cables_lose_duplicate_and_damage_about_as_often_as_they_say() -> None:
    async def arrived(**kinks: float) -> list[bytes]:
        host, pump = ends(link(**kinks))
        ear = Ear(pump)
        for _ in range(1000):
            host.write(b"frame")
        await asyncio.sleep(1)
        return ear.chunks

    async def main() -> None:
        assert 600 < len(await arrived(loss=0.3)) < 800
        assert 1200 < len(await arrived(duplicate=0.3)) < 1400
        damaged = [chunk for chunk in await arrived(corrupt=0.3) if chunk != b"frame"]
        assert 200 < len(damaged) < 400
        for chunk in damaged:
            flipped = int.from_bytes(chunk) ^ int.from_bytes(b"frame")
            assert len(chunk) == len(b"frame")
            assert flipped.bit_count() == 1

    run(main)


def test_the_same_stream_damages_the_same_frames() -> None:
    async def main() -> list[bytes]:
        cable = link(loss=0.2, duplicate=0.2, corrupt=0.2, delay_s=0.1, jitter_s=0.1)
        host, pump = ends(cable)
        ear = Ear(pump)
        for n in range(200):
            host.write(b"%d" % n)
        await asyncio.sleep(60)
        return ear.chunks

    assert run(main) == run(main)


def test_a_fault_that_cannot_happen_draws_nothing_from_the_stream() -> None:
    stream = random.Random(1)
    cable = Cable(stream=stream)
    assert cable.damaged(b"frame") == [b"frame"]
    assert cable.travel_s() == 0
    assert stream.random() == random.Random(1).random()


def test_a_direction_can_die_while_the_other_lives() -> None:
    async def main() -> None:
        cable = link()
        host, pump = ends(cable)
        ear, echo = Ear(pump), Ear(host)
        host.write(b"1")
        cable.loss = 1.0
        host.write(b"2")
        pump.write(b"3")
        await asyncio.sleep(1)
        assert ear.chunks == [b"1"]
        assert echo.chunks == [b"3"]
        assert ear.losses == echo.losses == []

    run(main)


@pytest.mark.parametrize(
    ("kink", "said"),
    [
        ({"loss": 1.01}, "loss = 1.01"),
        ({"duplicate": -0.1}, "duplicate = -0.1"),
        ({"corrupt": float("nan")}, "corrupt = nan"),
        ({"delay_s": -1}, "delay_s = -1"),
        ({"byte_s": float("nan")}, "byte_s = nan"),
    ],
)
def test_an_impossible_cable_is_refused(kink: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        link(**kink)


# Unplugging and closing


@pytest.mark.parametrize("who", ["host", "pump"])
@pytest.mark.parametrize("cable", [None, {}, {"delay_s": 0.2}, {"byte_s": 0.01}])
def test_unplugging_loses_what_is_under_way_and_tells_both_ends(
    who: str, cable: dict[str, float] | None
) -> None:
    async def main() -> None:
        host, pump = ends(None if cable is None else link(**cable))
        ear, echo = Ear(pump), Ear(host)
        host.write(b"gone")
        host.write(b"gone too")
        {"host": host, "pump": pump}[who].cut()
        for end in (host, pump):
            with pytest.raises(Disconnected, match="unplugged"):
                end.write(b"x")
            with pytest.raises(Disconnected, match="unplugged"):
                end.write_now(b"stop")
        assert ear.losses == echo.losses == []  # told by the loop, not from inside the call
        await asyncio.sleep(1)
        assert ear.chunks == []
        for losses, name in ((echo.losses, "host"), (ear.losses, "pump")):
            (cause,) = losses
            assert isinstance(cause, Disconnected)
            assert cause.port == name
        host.cut()
        await asyncio.sleep(1)
        assert len(ear.losses) == len(echo.losses) == 1

    run(main)


def test_unplugging_before_the_start_drops_what_had_arrived() -> None:
    async def main() -> None:
        host, pump = ends()
        host.write(b"early")
        await asyncio.sleep(1)
        pump.cut()
        ear = Ear(pump)
        await asyncio.sleep(1)
        assert ear.chunks == []
        assert len(ear.losses) == 1

    run(main)


@pytest.mark.parametrize("cable", [None, {}, {"delay_s": 0.2}, {"byte_s": 0.01, "delay_s": 0.3}])
@pytest.mark.parametrize("seed", range(3))
def test_closing_delivers_what_was_written_and_then_tells_the_other_end(
    cable: dict[str, float] | None, seed: int
) -> None:
    async def main() -> None:
        host, pump = ends(None if cable is None else link(**cable))
        ear, own = Ear(pump), Ear(host)
        for frame in FRAMES:
            host.write(frame)
        host.close()
        host.close()
        with pytest.raises(Disconnected, match="closed"):
            host.write(b"x")
        pump.write(b"an answer nobody waits for")
        await asyncio.sleep(1)
        assert ear.chunks == FRAMES
        assert ear.losses == [None]
        assert own.losses == []
        assert own.chunks == []
        with pytest.raises(Disconnected, match="closed by the other end"):
            pump.write(b"x")
        pump.close()

    run(main, seed)


# STOP


@pytest.mark.parametrize("cable", [None, {"byte_s": 0.001}])
@pytest.mark.parametrize("seed", range(3))
def test_stop_comes_right_after_the_frame_in_transmission_and_what_it_overtook_never_leaves(
    cable: dict[str, float] | None, seed: int
) -> None:
    async def main() -> None:
        host, pump = ends(None if cable is None else link(**cable))
        ear = Ear(pump)
        for frame in FRAMES:
            host.write(frame)
        host.write_now(b"STP\r")
        host.write(b"query\r")
        await asyncio.sleep(1)
        assert ear.chunks == [FRAMES[0], b"STP\r", b"query\r"]
        assert host.overtaken == len(FRAMES) - 1

    run(main, seed)


def test_stop_on_an_idle_line_leaves_at_once() -> None:
    async def main() -> None:
        host, pump = ends()
        ear = Ear(pump)
        host.write_now(b"STP\r")
        await asyncio.sleep(0.001)
        assert ear.chunks == [b"STP\r"]
        assert ear.times == [0]

    run(main)


def test_a_writer_nobody_listens_to_is_refused_but_its_stop_is_not() -> None:
    async def main() -> None:
        host, pump = ends(link(byte_s=1.0))
        ear = Ear(pump)
        host.write(b"on the wire")
        for _ in range(WAITING_FRAMES_MAX):
            host.write(b"x")
        with pytest.raises(LinkError, match="host: not sent: 1000 frames wait"):
            host.write(b"one more")
        host.write_now(b"STP\r")
        host.write(b"room again")
        await asyncio.sleep(1000)
        assert ear.chunks == [b"on the wire", b"STP\r", b"room again"]

    run(main)


def test_the_tap_sees_every_write_before_the_cable_spoils_it() -> None:
    async def main() -> None:
        seen: list[tuple[str, bytes]] = []
        host, pump = ends(link(loss=1.0), tap=lambda name, data: seen.append((name, data)))
        Ear(host)
        host.write(b"1")
        pump.write(b"2")
        host.write_now(b"3")
        await asyncio.sleep(1)
        assert seen == [("host", b"1"), ("pump", b"2"), ("host", b"3")]

    run(main)
