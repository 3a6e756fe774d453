"""Properties of the New Era device on any bytes and at any time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hil_tests.pure.sim.new_era_host import Host, awake, packet, programmed
from sim.devices.base import to_ns, to_s_up
from sim.devices.new_era_frames import LINE_MAX

TEXTS = st.sampled_from(
    [
        "",
        "VER",
        "RUN",
        "STP",
        "DIS",
        "RAT",
        "RAT 300 MH",
        "RAT 1",
        "VOL0.1",
        "VOL",
        "DIRREV",
        "CLDINF",
        "PUR",
        "SAF1",
        "SAF0",
        "DIA20",
        "FUNPAS01",
        "PHN2",
        "*RESET",
        "0RAT5*1RAT6",
        "XYZ",
        "5VER",
    ]
)
NOISE = st.binary(max_size=40)
BASIC = TEXTS.map(lambda text: text.encode() + b"\r")
SAFE = TEXTS.map(packet)
STREAMS = st.lists(st.one_of(NOISE, BASIC, SAFE), max_size=12).map(b"".join)


def both_modes() -> tuple[Host, Host]:
    """A pump in basic mode and one in safe mode."""
    basic, safe = programmed(), programmed()
    safe.send(packet("0SAF255"))
    return basic, safe


@given(st.lists(st.tuples(STREAMS, st.floats(0, 2)), max_size=4))
def test_any_bytes_at_any_time_never_raise_and_never_pile_up(
    arrivals: list[tuple[bytes, float]],
) -> None:
    for host in both_modes():
        for data, later in arrivals:
            host.send(data)
            assert len(host.pump.state.buffer) <= LINE_MAX + 1
            host.wait(later)


@given(STREAMS)
def test_after_noise_and_a_pause_the_first_safe_frame_is_answered(noise: bytes) -> None:
    host = both_modes()[1]
    host.send(noise)
    host.wait(0.5)
    if host.pump.state.settings.safe_s:
        host.pump.state.alarms.clear()
        assert host.send(packet("*SAF"))[0] == packet(f"00{host.pump.status}{_safe_s(host)}")


@given(st.binary(max_size=60))
def test_after_noise_and_a_pause_the_second_basic_command_is_answered(noise: bytes) -> None:
    host = both_modes()[0]
    host.send(noise)
    host.wait(0.5)
    if not host.pump.state.settings.safe_s:
        host.send(b"\r")
        host.pump.state.alarms.clear()
        assert host.send(b"*SAF\r") == [f"\x0200{host.pump.status}0\x03".encode()]


@given(STREAMS, st.lists(st.integers(0, 200), max_size=10))
def test_any_split_of_a_stream_gives_the_same_answers(stream: bytes, cuts: list[int]) -> None:
    for whole, split in zip(both_modes(), both_modes(), strict=True):
        expected = whole.send(stream)
        edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
        received = [split.send(stream[a:b]) for a, b in pairwise(edges)]
        assert [frame for frames in received for frame in frames] == expected
        assert split.pump.state == whole.pump.state


@given(STREAMS)
def test_one_byte_at_a_time_gives_the_same_answers(stream: bytes) -> None:
    whole, split = awake(), awake()
    expected = whole.send(stream)
    assert [frame for byte in stream for frame in split.send(bytes([byte]))] == expected


@given(
    st.lists(st.tuples(BASIC, st.floats(0, 200)), max_size=8),
    st.lists(st.floats(0, 200), max_size=8),
)
def test_looking_in_between_changes_nothing_and_says_the_same(
    commands: list[tuple[bytes, float]], looks: list[float]
) -> None:
    watched, alone = programmed(), programmed()
    start = watched.now
    for command, wait in commands:
        assert watched.send(command) == alone.send(command)
        said = []
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
        assert watched.pump.state == alone.pump.state


@given(st.lists(st.tuples(BASIC, st.floats(0, 2_000)), max_size=10))
def test_truth_and_the_pump_s_own_counters_agree_and_volume_is_conserved(
    commands: list[tuple[bytes, float]],
) -> None:
    host = programmed()
    for command, wait in commands:
        before = host.pump.truth()
        host.send(command)
        assert host.pump.truth().plunger_nl == before.plunger_nl
        host.wait(wait)
        truth = host.pump.truth()
        assert truth.plunger_nl == truth.delivered_nl + truth.stored_nl
        net = host.pump.mechanics.infused_parts - host.pump.mechanics.withdrawn_parts
        assert truth.plunger_nl == net // 3_600_000_000_000


@given(st.integers(0, 10**18))
@example(82_757_217_426_062_276)
def test_a_timer_set_to_an_event_is_never_early(ns: int) -> None:
    seconds = to_s_up(ns)
    assert to_ns(seconds) >= ns
    assert seconds == pytest.approx(ns / 1e9, rel=1e-15)


def test_a_day_of_polling_every_second_ends_at_the_exact_volume() -> None:
    host = programmed()
    host.tell("VOL0", "RAT2.000MH", "RUN")
    for _ in range(24 * 360):
        host.wait(10.0)
        host.ask("DIS")
    assert host.pump.truth().plunger_nl == 48_000_000


def _safe_s(host: Host) -> int:
    return host.pump.state.settings.safe_s


FUNCTIONS = st.one_of(
    st.sampled_from(
        ["RAT", "FIL", "INC", "DEC", "STP", "CLD", "BEP", "LPS", "EVR", "PRI", "TRGET"]
    ),
    st.integers(1, 12).flatmap(
        lambda n: st.sampled_from([f"{name}{n:02d}" for name in ("JMP", "IF", "EVN", "EVS", "LOP")])
    ),
    st.integers(0, 3).map(lambda n: f"PAS{n}"),
)
ACTS = st.one_of(
    st.tuples(st.sampled_from([2, 3, 4, 6]), st.sampled_from([0, 1])),
    st.sampled_from(["RUN", "STP", "RUNE", "RUN3", "RAT300", "DIRREV", "DIS"]),
    st.floats(0.01, 30.0),
)


@given(st.lists(FUNCTIONS, min_size=1, max_size=8), st.lists(ACTS, max_size=10))
@example(["LPS", "LPS", "LPS", "BEP", "LOP12", "LOP12", "LOP12"], ["RUN"])
def test_any_program_runs_or_says_why_not_and_no_volume_is_lost(
    functions: list[str], acts: list[str | float | tuple[int, int]]
) -> None:
    host = awake()
    for number, function in enumerate(functions, start=1):
        host.tell(f"PHN{number}", f"FUN{function}", "RAT300MH", "VOL0.1")
    host.send(b"RUN\r")
    for act in acts:
        if isinstance(act, tuple):
            host.pump.ttl(*act, host.now)
        elif isinstance(act, str):
            host.send(act.encode() + b"\r")
        else:
            host.wait(act)
        status = host.ask("")
        assert status[:2] == "00"
        assert status[2:] in {"I", "W", "S", "P", "T", "U", "A?E", "A?O"}
    net = host.pump.mechanics.infused_parts - host.pump.mechanics.withdrawn_parts
    assert host.pump.truth().plunger_nl == net // 3_600_000_000_000


@given(st.lists(st.tuples(st.one_of(BASIC, SAFE), st.floats(0, 20)), max_size=12))
def test_a_pump_that_is_listened_to_answers_as_one_that_is_not(
    arrivals: list[tuple[bytes, float]],
) -> None:
    """Who listens sends every packet the long way, so that the short one is held against it."""
    for short, long in zip(both_modes(), both_modes(), strict=True):
        long.pump.on_command = lambda _name: None
        for data, later in arrivals:
            assert short.send(data) == long.send(data)
            assert short.pump.state == long.pump.state
            assert short.wait(later) == long.wait(later)
