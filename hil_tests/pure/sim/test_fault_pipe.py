"""One direction of a line: order is kept, time passes, bytes suffer only as they are told to."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.fault_pipe import PENDING_BYTES_MAX, FaultPipe, Wear


def pipe(**wear: float | bool | None) -> FaultPipe:
    return worn_pipe(1, wear)


def worn_pipe(seed: int, wear: Mapping[str, float | bool | None]) -> FaultPipe:
    made = FaultPipe(random.Random(seed))
    for name, value in wear.items():
        setattr(made.wear, name, value)
    return made


def arrivals(line: FaultPipe, frames: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    """When what came out, fetched at the moments that the pipe itself names."""
    seen: list[tuple[float, bytes]] = []
    for at, frame in frames:
        while (due := line.next_due()) is not None and due <= at:
            seen += [(due, piece) for piece in line.due(due)]
        line.put(frame, at)
    while (due := line.next_due()) is not None:
        seen += [(due, piece) for piece in line.due(due)]
    return seen


def test_a_clean_line_gives_back_what_went_in_at_once() -> None:
    line = pipe()
    assert line.idle
    line.put(b"STP\r", 5.0)
    assert line.due(5.0) == [b"STP\r"]
    assert line.idle


def test_sixteen_bytes_at_115200_baud_take_1389_microseconds() -> None:
    [(at, frame)] = arrivals(pipe(byte_s=10 / 115_200), [(0.0, b"x" * 16)])
    assert (round(at * 1e6), frame) == (1_389, b"x" * 16)


def test_a_frame_waits_for_the_one_before_it_on_a_slow_line() -> None:
    seen = arrivals(pipe(byte_s=0.001), [(0.0, b"abcd"), (0.001, b"ef")])
    assert [(round(at, 6), frame) for at, frame in seen] == [(0.004, b"abcd"), (0.006, b"ef")]


def test_jitter_never_lets_frames_overtake_each_other() -> None:
    frames = [(n * 0.001, bytes([n])) for n in range(200)]
    seen = arrivals(pipe(delay_s=0.01, jitter_s=0.5), frames)
    assert b"".join(frame for _, frame in seen) == bytes(range(200))
    assert [at for at, _ in seen] == sorted(at for at, _ in seen)
    assert max(at - sent for (at, _), (sent, _) in zip(seen, frames, strict=True)) > 0.1


def test_split_bytes_come_one_by_one_at_their_distance() -> None:
    seen = arrivals(pipe(split_gap_s=0.25), [(0.0, b"abc")])
    assert seen == [(0.0, b"a"), (0.25, b"b"), (0.5, b"c")]


def test_held_frames_come_together() -> None:
    seen = arrivals(pipe(hold_s=0.1), [(0.0, b"ab"), (0.05, b"cd"), (0.2, b"ef")])
    assert [(round(at, 6), frame) for at, frame in seen] == [(0.1, b"abcd"), (0.3, b"ef")]


def test_a_stalled_line_gives_everything_when_it_is_over() -> None:
    line = pipe(stalled=True)
    line.put(b"ab", 0.0)
    line.put(b"cd", 1.0)
    assert (line.due(100.0), line.next_due()) == ([], None)
    line.wear.stalled = False
    assert line.due(100.0) == [b"ab", b"cd"]


def test_a_dead_line_gives_nothing_ever_and_counts_it() -> None:
    line = pipe(delay_s=1.0)
    line.put(b"ab", 0.0)
    line.wear.dead = True
    line.put(b"cd", 0.5)
    assert line.due(10.0) == []
    line.wear.dead = False
    assert (line.due(10.0), line.lost_bytes) == ([], 4)


def test_a_pulled_cable_loses_what_was_under_way() -> None:
    line = pipe(delay_s=1.0)
    line.put(b"ab", 0.0)
    line.flush()
    assert line.next_due() is None


def test_nobody_can_fill_the_memory() -> None:
    line = pipe(stalled=True)
    for _ in range(3):
        line.put(bytes(PENDING_BYTES_MAX // 2), 0.0)
    assert line.lost_bytes == PENDING_BYTES_MAX // 2


@pytest.mark.parametrize(
    ("wear", "low", "high"),
    [
        ({"byte_drop": 0.1}, 8_700, 9_300),
        ({"byte_duplicate": 0.1}, 10_700, 11_300),
        ({"frame_duplicate": 0.5}, 14_000, 16_000),
        ({"garbage": 0.5}, 12_000, 12_500),
    ],
)
def test_chances_are_as_often_as_told(wear: Mapping[str, float], low: int, high: int) -> None:
    frames = [(float(n), b"0123456789") for n in range(1_000)]
    came = b"".join(frame for _, frame in arrivals(worn_pipe(1, wear), frames))
    assert low < len(came) < high


def test_a_flipped_bit_is_one_bit_and_a_wrong_speed_leaves_no_byte_right() -> None:
    frames = [(float(n), b"\x55" * 10) for n in range(1_000)]
    flipped = b"".join(frame for _, frame in arrivals(pipe(bit_flip=0.1), frames))
    wrong = [byte ^ 0x55 for byte in flipped if byte != 0x55]
    assert 850 < len(wrong) < 1_150
    assert {one.bit_count() for one in wrong} == {1}
    garbled = b"".join(frame for _, frame in arrivals(pipe(garbled=True), frames))
    assert len(garbled) == 10_000
    assert 0x55 not in garbled


def test_the_same_stream_of_chances_hurts_the_same_bytes() -> None:
    frames = [(float(n), b"0123456789") for n in range(100)]
    worn = {"byte_drop": 0.1, "bit_flip": 0.1, "garbage": 0.2, "jitter_s": 0.3}
    first, again, other = (arrivals(worn_pipe(seed, worn), frames) for seed in (7, 7, 8))
    assert first == again
    assert first != other


@given(
    frames=st.lists(st.tuples(st.floats(0, 10), st.binary(min_size=1, max_size=20)), max_size=30),
    delay_s=st.floats(0, 1),
    jitter_s=st.floats(0, 1),
    byte_s=st.floats(0, 0.01),
    hold_s=st.sampled_from([0.0, 0.2]),
    gap_s=st.sampled_from([None, 0.0, 0.01]),
)
def test_a_line_that_only_takes_time_loses_and_swaps_nothing(
    frames: list[tuple[float, bytes]],
    delay_s: float,
    jitter_s: float,
    byte_s: float,
    hold_s: float,
    gap_s: float | None,
) -> None:
    frames = sorted(frames, key=lambda frame: frame[0])
    line = pipe(delay_s=delay_s, jitter_s=jitter_s, byte_s=byte_s, hold_s=hold_s, split_gap_s=gap_s)
    seen = arrivals(line, frames)
    assert b"".join(piece for _, piece in seen) == b"".join(frame for _, frame in frames)
    assert line.idle is line.wear.clean
    assert Wear().clean
