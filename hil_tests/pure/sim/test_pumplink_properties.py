"""Properties of the pumplink/1 pump on any bytes and at any time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hil_tests.pure.sim.pumplink_host import (
    LAYOUT,
    LINK,
    UNHASHED,
    Host,
    framed,
    opened,
    packed,
    running,
    understood,
)
from sim.devices.pumplink_frames import PIECE_MAX, Receiver, stuffed, unstuffed
from sim.devices.pumplink_state import REMEMBERED_COMMANDS, SEEN_FRAMES
from sim.mechanics import PARTS_PER_NL, Mount

NUMBERS = st.sampled_from([number for number, _ in LAYOUT.values()])
FROM_HOST = [name for name in LAYOUT if name not in ("HELLO_ACK", "RESULT", "SNAPSHOT", "SENSORS")]
SMALL = st.sampled_from([0, 1, 2, 5, 9, 300, 3_000, 1_000_000, 60_000_000, 0xFFFF])


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame whose check holds, sensible or not."""
    name = draw(st.sampled_from(FROM_HOST))
    number, fields = LAYOUT[name]
    values = {
        field: draw(SMALL) & ((1 << int(kind[1:])) - 1)
        for field, kind in fields
        if not kind.startswith("text")
    }
    seq, link = draw(st.integers(0, 20)), draw(st.sampled_from([LINK, LINK, LINK, 7, 0]))
    return framed(number, packed(name, **values), seq, link=link)


ODD = st.builds(framed, NUMBERS, st.binary(max_size=200))
NOISE = st.one_of(
    st.binary(max_size=40), st.lists(st.sampled_from([0, 1, 2, 3, 0xFF]), max_size=300).map(bytes)
)
STREAMS = st.lists(st.one_of(frames(), ODD, NOISE), max_size=10).map(b"".join)


def loaded() -> Host:
    """A pump that can run empty, armed and infusing."""
    return running(mount=Mount(capacity_nl=60_000_000, loaded_nl=3_000_000))


@given(st.binary(max_size=700))
def test_stuffing_leaves_no_zero_and_comes_back(data: bytes) -> None:
    assert 0 not in stuffed(data)
    assert unstuffed(stuffed(data)) == data


@given(st.binary(max_size=700))
def test_unstuffing_any_bytes_gives_something_or_nothing(piece: bytes) -> None:
    whole = unstuffed(piece)
    assert whole is None or len(whole) <= len(piece)


@given(st.lists(st.binary(max_size=400), max_size=6))
def test_any_bytes_keep_no_more_than_one_piece(parts: list[bytes]) -> None:
    receiver = Receiver()
    for part in parts:
        list(receiver.take(part))
        assert len(receiver.kept) <= PIECE_MAX


@given(st.lists(st.tuples(STREAMS, st.floats(0, 20)), max_size=4))
def test_any_bytes_at_any_time_never_raise_and_never_pile_up(
    arrivals: list[tuple[bytes, float]],
) -> None:
    host = loaded()
    for data, later in arrivals:
        for said in host.feed(data):
            assert said["name"] in LAYOUT
        link = host.pump.state.memory.link
        assert len(host.pump.state.receiver.kept) <= PIECE_MAX
        assert len(link.commands) <= REMEMBERED_COMMANDS
        assert len(link.seen) <= SEEN_FRAMES
        host.wait(later)


@given(st.one_of(NOISE, st.binary(max_size=600)))
def test_after_any_noise_the_frame_after_the_next_zero_is_answered(noise: bytes) -> None:
    host = opened()
    host.feed(noise + b"\0")
    assert host.snapshot()["name"] == "SNAPSHOT"


@given(STREAMS, st.lists(st.integers(0, 500), max_size=10))
def test_any_split_of_a_stream_gives_the_same_answers(stream: bytes, cuts: list[int]) -> None:
    whole, split = loaded(), loaded()
    expected = whole.feed(stream)
    ends = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    heard = [said for start, end in pairwise(ends) for said in split.feed(stream[start:end])]
    assert heard == expected
    assert split.pump.state == whole.pump.state


@given(STREAMS, st.lists(st.floats(0, 40), max_size=8), st.integers(0, 3))
def test_advancing_in_steps_is_advancing_at_once(
    stream: bytes, stops: list[float], fault: int
) -> None:
    once, often = loaded(), loaded()
    kind = ("mains_loss", "downstream_occlusion", "lost_steps", "clock_drift")[fault]
    for host in (once, often):
        host.feed(stream)
        host.inject(kind)
    often_said = [
        understood(frame) for stop in sorted(stops) for _, frame in often.pump.advance(stop)
    ]
    often_said += [understood(frame) for _, frame in often.pump.advance(40.0)]
    once_said = [understood(frame) for _, frame in once.pump.advance(40.0)]
    assert often_said == once_said
    assert often.pump.truth() == once.pump.truth()


@given(STREAMS, st.floats(0, 60))
def test_nothing_but_a_command_to_run_moves_the_plunger_and_nothing_beyond_the_limits(
    stream: bytes, later: float
) -> None:
    host = opened()
    host.feed(stream)
    host.wait(later)
    motor = host.pump.motor
    limits = host.pump.state.memory.limits
    if limits is not None:
        assert motor.mechanics.moved_parts <= limits.total_nl * PARTS_PER_NL


@given(STREAMS)
def test_after_any_traffic_one_emergency_stop_makes_it_stand_and_show_it(stream: bytes) -> None:
    host = loaded()
    host.feed(stream)
    said = host.feed(bytes.fromhex("0003017f01010105 23520f4c00"))[-1]
    assert said["alarms"] & 64
    assert said["state"] == 4
    moved = host.pump.truth().plunger_nl
    host.wait(5)
    assert host.pump.truth().plunger_nl == moved


def test_only_the_three_frames_that_never_change_are_checked_without_the_hash() -> None:
    assert {LAYOUT[name][0] for name in ("HELLO", "HELLO_ACK", "ESTOP")} == set(UNHASHED)
