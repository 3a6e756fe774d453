"""Properties of the Orchestra on any bytes and at any time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hil_tests.pure.sim.fresenius_host import ACK, DC4, NAK, Host, framed, golden, opened
from sim.devices.fresenius_frames import TEXT_MAX
from sim.devices.fresenius_link import WAITING_MAX
from sim.mechanics import PARTS_PER_NL, Mount

FRAMES = st.sampled_from(
    [
        "0DC",
        "1DC",
        "1FC",
        "1MO;1",
        "1MO;2",
        "1PR;0258",
        "1PR;2EE0",
        "1PR",
        "1PO",
        "1PB;000064",
        "1PB;000064;2EE0",
        "1PV;0001F4",
        "1PV;000000",
        "1PF",
        "1RV",
        "1RZ",
        "1SI",
        "1LE;adr",
        "1DE;ar",
        "1AE",
        "1DM;d",
        "1E",
        "2DC",
        "2LE;d",
        "0LE;b",
        "XYZ",
    ]
).map(framed)
NOISE = st.one_of(
    st.binary(max_size=30),
    st.lists(st.sampled_from(b"\x02\x03\x05\x06\x14\x150123DCPRLE;"), max_size=30).map(bytes),
)
SIGNS = st.sampled_from([ACK, DC4, NAK + b"2", NAK])
STREAMS = st.lists(st.one_of(NOISE, FRAMES, SIGNS), max_size=12).map(b"".join)


def loaded() -> Host:
    """A rack that can run empty, module 1 in remote mode."""
    return opened(mount=Mount(capacity_nl=50_000_000, loaded_nl=3_000_000))


@given(st.lists(st.tuples(STREAMS, st.floats(0, 20)), max_size=4))
def test_any_bytes_at_any_time_never_raise_and_never_pile_up(
    arrivals: list[tuple[bytes, float]],
) -> None:
    host = loaded()
    for data, later in arrivals:
        host.send(data)
        assert len(host.pump.state.receiver.text) <= TEXT_MAX
        assert len(host.pump.state.waiting) <= WAITING_MAX
        host.wait(later, alive=False)


@given(STREAMS)
def test_after_any_noise_the_very_next_frame_is_answered(noise: bytes) -> None:
    host = loaded()
    host.send(noise)
    assert ACK + golden()["0C"] in host.send(golden()["0DC"])


@given(STREAMS, st.lists(st.integers(0, 200), max_size=10))
def test_any_split_of_a_stream_gives_the_same_answers(stream: bytes, cuts: list[int]) -> None:
    whole, split = loaded(), loaded()
    expected = whole.send(stream)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    assert b"".join(split.send(stream[a:b]) for a, b in pairwise(edges)) == expected
    assert split.pump.state == whole.pump.state


@given(
    st.lists(st.tuples(FRAMES, st.floats(0, 60)), max_size=6),
    st.lists(st.floats(0, 60), max_size=6),
)
def test_looking_in_between_changes_nothing_and_says_the_same(
    commands: list[tuple[bytes, float]], looks: list[float]
) -> None:
    watched, alone = loaded(), loaded()
    start = watched.now
    for command, wait in commands:
        assert watched.send(command) == alone.send(command)
        said = b""
        for look in sorted(looks):
            if look < wait:
                said += now_says(watched, start + look)
                watched.pump.truth()
        start += wait
        assert said + now_says(watched, start) == now_says(alone, start)
        watched.now = alone.now = start
        assert watched.pump.truth() == alone.pump.truth()
        assert watched.pump.state == alone.pump.state


def now_says(host: Host, now: float) -> bytes:
    """What the rack says by itself up to ``now``."""
    return b"".join(piece for _, piece in host.pump.advance(now))


@given(st.lists(st.tuples(FRAMES, st.floats(0, 120)), max_size=8))
def test_truth_and_the_pump_s_own_counter_agree_and_limits_hold(
    commands: list[tuple[bytes, float]],
) -> None:
    host = loaded()
    module = host.pump.modules[1]
    for command, wait in commands:
        before = host.pump.truth()
        host.send(command)
        assert host.pump.truth().plunger_nl == before.plunger_nl
        host.wait(wait, alive=False)
        truth = host.pump.truth()
        assert truth.plunger_nl == truth.delivered_nl + truth.stored_nl
        assert truth.plunger_nl == host.pump.mechanics.infused_parts // PARTS_PER_NL
        assert truth.plunger_nl <= 3_000_000
        if module.state.limit_nl:
            moved = host.pump.mechanics.infused_parts - module.state.limit_from
            assert moved <= module.state.limit_nl * PARTS_PER_NL
