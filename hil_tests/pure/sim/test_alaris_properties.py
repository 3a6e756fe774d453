"""Properties of the Alaris device on any bytes and at any time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from hil_tests.pure.sim.alaris_host import Host, framed, golden, programmed
from sim.devices.alaris_frames import FRAME_MAX
from sim.mechanics import PARTS_PER_NL, Mount

MESSAGES = st.sampled_from(
    [
        "INF",
        "ALARM",
        "INF_VI",
        "INF_START",
        "INF_STOP",
        "INF_RATE^600.00^ml/h",
        "INF_RATE^0.1^ml/h",
        "INF_VTBI^ACTIV^0.100^ml^STOP",
        "INF_VTBI^DEACT",
        "INF_VTBI",
        "INF_VI_CLEAR",
        "REMOTE_CTRL^ENABLED^3CC1",
        "REMOTE_CTRL^DISABLED",
        "COFFEE",
    ]
)
FRAMES = MESSAGES.map(framed)
NOISE = st.one_of(st.binary(max_size=30), st.text("!|^\r\x1bINF49601", max_size=30).map(str.encode))
STREAMS = st.lists(st.one_of(NOISE, FRAMES), max_size=12).map(b"".join)


def loaded(*quirks: str) -> Host:
    """A pump that can run empty, with remote control, programmed."""
    return programmed(*quirks, mount=Mount(capacity_nl=50_000_000, loaded_nl=3_000_000))


@given(st.lists(st.tuples(STREAMS, st.floats(0, 20)), max_size=4))
def test_any_bytes_at_any_time_never_raise_and_never_pile_up(
    arrivals: list[tuple[bytes, float]],
) -> None:
    host = loaded()
    for data, later in arrivals:
        host.send(data)
        assert len(host.pump.state.buffer) <= FRAME_MAX
        host.wait(later, holding=False)


@given(STREAMS)
def test_after_any_noise_the_very_next_frame_is_answered(noise: bytes) -> None:
    host = loaded()
    host.send(noise)
    assert host.send(golden()["COMMS_PROTOCOL"])[-1] == golden()["COMMS_PROTOCOL^Asena Rev 2.1.5"]


@given(STREAMS, st.lists(st.integers(0, 300), max_size=10))
@example(framed("INF_START") + framed("INF_RATE^600.00^ml/h") + b"\0", [15, 40])
def test_any_split_of_a_stream_gives_the_same_answers(stream: bytes, cuts: list[int]) -> None:
    whole, split = loaded(), loaded()
    expected = whole.send(stream)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    received = [split.send(stream[a:b]) for a, b in pairwise(edges)]
    assert [frame for frames in received for frame in frames] == expected
    assert split.pump.state == whole.pump.state


@given(STREAMS)
def test_one_byte_at_a_time_gives_the_same_answers(stream: bytes) -> None:
    whole, split = loaded(), loaded()
    expected = whole.send(stream)
    assert [frame for byte in stream for frame in split.send(bytes([byte]))] == expected


@given(
    st.lists(st.tuples(FRAMES, st.floats(0, 200)), max_size=8),
    st.lists(st.floats(0, 200), max_size=8),
)
def test_looking_in_between_changes_nothing(
    commands: list[tuple[bytes, float]], looks: list[float]
) -> None:
    watched, alone = loaded(), loaded()
    start = watched.now
    for command, wait in commands:
        assert watched.send(command) == alone.send(command)
        for look in sorted(looks):
            if look < wait:
                watched.now = start + look
                watched.wait(0.0, holding=False)
                watched.pump.truth()
                watched.pump.next_event(watched.now)
        start += wait
        watched.now = alone.now = start
        watched.wait(0.0, holding=False)
        alone.wait(0.0, holding=False)
        assert watched.pump.truth() == alone.pump.truth()
        assert watched.pump.state == alone.pump.state


@given(st.lists(st.tuples(FRAMES, st.floats(0, 600)), max_size=10))
def test_truth_and_the_pump_s_own_counter_agree(commands: list[tuple[bytes, float]]) -> None:
    host = loaded("lease_ms=600000")
    for command, wait in commands:
        before = host.pump.truth()
        host.send(command)
        assert host.pump.truth().plunger_nl == before.plunger_nl
        host.wait(wait, holding=False)
        truth = host.pump.truth()
        assert truth.plunger_nl == truth.delivered_nl + truth.stored_nl
        assert truth.plunger_nl == host.pump.mechanics.infused_parts // PARTS_PER_NL
        assert truth.plunger_nl <= 3_000_000
