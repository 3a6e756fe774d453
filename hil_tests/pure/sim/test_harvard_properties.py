"""Properties of the Harvard device on any bytes and at any time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hil_tests.pure.sim.harvard_host import Host, made, pump_of
from sim.devices.harvard_frames import LINE_MAX

TEXTS = st.sampled_from(
    [
        "",
        "ver",
        "irun",
        "wrun",
        "rrun",
        "stp",
        "ivolume",
        "irate 3 ml/min",
        "irate 1.23456789 ul/min",
        "irate",
        "tvolume 100 ul",
        "ctvolume",
        "civolume",
        "ttime 7.7",
        "cttime",
        "iramp 1 ml/min 4 ml/min 9.9",
        "wramp 4 ml/min 1 ml/min 70",
        "echo on",
        "echo off",
        "poll on",
        "poll off",
        "addr 3",
        "03addr 0",
        "status",
        "diameter 20",
        "xyz",
        "5ver",
    ]
)
NOISE = st.binary(max_size=40)
LINES = TEXTS.map(lambda text: text.encode() + b"\r")
STREAMS = st.lists(st.one_of(NOISE, LINES), max_size=12).map(b"".join)


@settings(max_examples=40)
@given(st.lists(st.tuples(STREAMS, st.floats(0, 20)), max_size=4))
def test_any_bytes_at_any_time_never_raise_and_never_pile_up(
    arrivals: list[tuple[bytes, float]],
) -> None:
    host = made()
    for data, later in arrivals:
        host.send(data)
        assert len(pump_of(host).state.buffer) <= LINE_MAX + 1
        host.wait(later)


@given(NOISE)
def test_after_noise_and_the_end_of_its_line_the_next_command_is_answered(noise: bytes) -> None:
    host = made()
    host.send(noise + b"\r")
    pump_of(host).state.settings.address = 0
    host.send(b"echo off\r")
    host.send(b"poll off\r")
    assert host.send(b"svolume\r").startswith(b"\n10 ml\r\n")


@settings(max_examples=40)
@given(STREAMS, st.lists(st.integers(0, 300), max_size=10))
def test_any_split_of_a_stream_gives_the_same_answers(stream: bytes, cuts: list[int]) -> None:
    whole, split = made(), made()
    expected = whole.send(stream)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    assert b"".join(split.send(stream[a:b]) for a, b in pairwise(edges)) == expected
    assert pump_of(split).state == pump_of(whole).state


@settings(max_examples=40)
@given(
    st.lists(st.tuples(LINES, st.floats(0, 100)), max_size=8),
    st.lists(st.floats(0, 100), max_size=8),
)
def test_looking_in_between_changes_nothing_and_says_the_same(
    commands: list[tuple[bytes, float]], looks: list[float]
) -> None:
    watched, alone = made(), made()
    start = watched.now
    for command, wait in commands:
        assert watched.send(command) == alone.send(command)
        said = b""
        for look in sorted(looks):
            if look < wait:
                watched.now = start + look
                said += watched.wait(0.0)
                watched.pump.truth()
                watched.pump.next_event(watched.now)
        start += wait
        watched.now = alone.now = start
        assert said + watched.wait(0.0) == alone.wait(0.0)
        assert watched.pump.truth() == alone.pump.truth()
        assert pump_of(watched).state == pump_of(alone).state


@settings(max_examples=40)
@given(st.lists(st.tuples(LINES, st.floats(0, 200)), max_size=10))
def test_truth_and_the_pump_s_own_counters_agree_and_volume_is_conserved(
    commands: list[tuple[bytes, float]],
) -> None:
    host = made()
    for command, wait in commands:
        before = host.pump.truth()
        host.send(command)
        assert host.pump.truth().plunger_nl == before.plunger_nl
        host.wait(wait)
        truth = host.pump.truth()
        assert truth.plunger_nl == truth.delivered_nl + truth.stored_nl
        mechanics = pump_of(host).mechanics
        net = mechanics.infused_parts - mechanics.withdrawn_parts
        assert truth.plunger_nl == net // 3_600_000_000_000


@settings(max_examples=40)
@given(st.lists(st.floats(0, 40), max_size=12))
def test_a_target_is_never_exceeded_however_often_one_looks(waits: list[float]) -> None:
    host = Host()
    host.tell("iramp 1 ml/min 4 ml/min 33.3", "tvolume 1 ml", "irun")
    for wait in waits:
        host.wait(wait)
        assert host.pump.truth().plunger_nl <= 1_000_000


def test_a_day_of_polling_every_ten_seconds_ends_at_the_exact_volume() -> None:
    host = made()
    host.tell("irate 2 ml/hr", "irun")
    for _ in range(24 * 360):
        host.wait(10.0)
        host.ask("status")
    assert host.pump.truth().plunger_nl == 48_000_000
