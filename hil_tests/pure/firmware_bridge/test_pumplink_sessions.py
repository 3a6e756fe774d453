"""Both ends of pumplink/1: alone against written frames, and joined by four cables."""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import messages as m
from firmware_bridge.errors import ConfigurationError, LinkError
from firmware_bridge.protocols.pumplink import (
    ESTOP_FRAME,
    SCHEMA_HASH,
    FrameDecoder,
    Header,
    encode,
)
from firmware_bridge.protocols.pumplink_device import REMEMBERED, DeviceSession
from firmware_bridge.protocols.pumplink_host import (
    WAITING_MAX,
    Heard,
    HostSession,
    LinkQuiet,
    ProtocolMismatch,
    Silence,
)
from firmware_bridge.protocols.pumplink_timing import RoundTrip, Timing
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume

LINK = 0xBEEF
IDENTITY = m.HelloAck(
    version=1,
    schema_hash=SCHEMA_HASH,
    boot_id=0xB007,
    firmware="bench 1.0",
    serial_number="0042",
    capabilities=m.Capability.DEAD_MAN | m.Capability.VOLUME_TARGET,
    rate_min=Rate(1),
    rate_max=Rate.from_ml_h(100),
    volume_step=Volume(1),
    lease_min=Duration(1000),
    lease_max=Duration(10_000),
)
RUNNING = m.Snapshot(
    uptime=Duration(5000),
    state=m.PumpState.RUNNING,
    rate=Rate.from_ml_h(20),
    infused=Volume.from_ml(1),
    remaining=Volume.from_ml(4),
    pressure_pa=0,
    alarms=m.PumpAlarm.NONE,
    age=Duration(20),
)
LATCHED = replace(RUNNING, state=m.PumpState.STOPPED, alarms=m.PumpAlarm.ESTOP_LATCHED)
LEASE = Duration(3000)


def run(command_id: int) -> m.Run:
    return m.Run(command_id, Rate.from_ml_h(20), Volume.from_ml(5), LEASE)


def result(command_id: int, ending: m.Ending, reason: str = "") -> m.Result:
    return m.Result(command_id, ending, m.Code.OK, Rate(0), Volume(0), reason)


def done(command_id: int) -> m.Result:
    return result(command_id, m.Ending.DONE)


class Peer:
    """Writes and reads frames one by one, as the other end of the session under test."""

    def __init__(self, link_id: int = LINK) -> None:
        self.link_id = link_id
        self.seq = itertools.count()
        self.decoder = FrameDecoder()
        self.headers: list[Header] = []

    def says(self, *messages: m.Message, ack: int = 0, seq: int | None = None) -> bytes:
        frames = b""
        for message in messages:
            number = next(self.seq) & 0xFF if seq is None else seq
            frames += encode(Header(number, ack, self.link_id), message)
        return frames

    def reads(self, data: bytes) -> list[m.Message]:
        frames = self.decoder.feed(data)
        self.headers = [header for header, _ in frames]
        return [message for _, message in frames]


@pytest.fixture
def pump() -> Peer:
    """The far end, when the host is under test."""
    return Peer()


@pytest.fixture
def controller() -> Peer:
    """The far end, when the device is under test."""
    return Peer()


def opened_host(pump: Peer, *, reliable: bool = False) -> HostSession:
    host = HostSession(LINK, reliable=reliable)
    host.hello(0.0)
    (hello,) = pump.reads(host.outgoing())
    assert hello == m.Hello(1, 1, SCHEMA_HASH)
    assert host.receive(pump.says(IDENTITY), 0.1) == [IDENTITY]
    assert host.is_open
    return host


def opened_device(controller: Peer) -> DeviceSession:
    device = DeviceSession(IDENTITY)
    hello = m.Hello(1, 1, SCHEMA_HASH)
    assert device.receive(controller.says(hello), 0.0) == [hello]
    assert controller.reads(device.outgoing()) == [IDENTITY]
    assert device.is_open
    return device


# --- the host, opening ----------------------------------------------------------------------------


def test_a_host_gives_no_order_before_its_hello_is_answered() -> None:
    host = HostSession(LINK)
    host.hello(0.0)
    host.outgoing()
    orders: list[Callable[[], None]] = [
        lambda: host.command(run(1), 0.1),
        lambda: host.lease(LEASE, 0.1),
        lambda: host.ask(m.SnapshotRequest(), 0.1),
        lambda: host.timesync(0.1),
        host.ask_counters,
    ]
    for order in orders:
        with pytest.raises(LinkError, match="HELLO has not been answered"):
            order()
    assert host.outgoing() == b""


@pytest.mark.parametrize(
    "ack", [replace(IDENTITY, version=0), replace(IDENTITY, schema_hash=SCHEMA_HASH ^ 1)]
)
def test_a_peer_with_another_page_gets_no_order_but_the_emergency_stop(
    pump: Peer, ack: m.HelloAck
) -> None:
    host = HostSession(LINK)
    host.hello(0.0)
    host.outgoing()
    assert host.receive(pump.says(ack), 0.1) == [ProtocolMismatch(ack.version, ack.schema_hash)]
    assert not host.is_open
    with pytest.raises(LinkError):
        host.command(m.Stop(1), 0.2)
    host.estop(0.2)
    assert host.outgoing() == ESTOP_FRAME


def test_a_hello_that_nobody_answers_makes_the_link_quiet_and_a_late_answer_is_welcome(
    pump: Peer,
) -> None:
    host = HostSession(LINK)
    host.hello(1.0)
    assert host.wake_at() == 3.0
    assert host.on_timer(2.9) == []
    assert host.on_timer(3.0) == [LinkQuiet(1.0)]
    assert host.wake_at() is None
    assert host.receive(pump.says(IDENTITY), 9.0) == [IDENTITY]
    assert host.is_open


def test_a_second_hello_ack_says_nothing_new(pump: Peer) -> None:
    host = opened_host(pump)
    assert host.receive(pump.says(IDENTITY), 0.2) == []
    assert host.counters.duplicates == 1


def test_a_session_that_only_stops_says_no_hello_and_hears_the_answer() -> None:
    host, pump = HostSession(0), Peer(link_id=0)
    with pytest.raises(ConfigurationError, match="only stop"):
        host.hello(0.0)
    host.estop(0.0)
    assert host.receive(pump.says(LATCHED), 0.1) == [LATCHED]
    assert host.wake_at() is None


@pytest.mark.parametrize("link_id", [-1, 65_536])
def test_a_link_id_that_does_not_fit_is_refused(link_id: int) -> None:
    with pytest.raises(ConfigurationError, match=f"link id {link_id}"):
        HostSession(link_id)


# --- the host, on a stream ------------------------------------------------------------------------


def test_a_command_ends_with_its_result_and_the_way_there_is_told(pump: Peer) -> None:
    host = opened_host(pump)
    host.command(run(7), 1.0)
    assert pump.reads(host.outgoing()) == [run(7)]
    accepted = result(7, m.Ending.ACCEPTED)
    assert host.receive(pump.says(accepted), 1.1) == [accepted]
    assert host.wake_at() is None
    assert host.receive(pump.says(done(7)), 600.0) == [done(7)]
    assert host.on_timer(700.0) == []


def test_a_stream_command_without_a_result_is_silence_and_is_never_sent_again(pump: Peer) -> None:
    host = opened_host(pump)
    host.command(run(7), 1.0)
    host.outgoing()
    assert host.wake_at() == 3.0
    assert host.on_timer(3.0) == [Silence(7, sent=True)]
    assert host.outgoing() == b""
    assert host.wake_at() is None


def test_a_result_after_the_silence_is_still_heard_and_only_once(pump: Peer) -> None:
    host = opened_host(pump)
    host.command(run(7), 1.0)
    host.on_timer(3.0)
    late = result(7, m.Ending.IN_PROGRESS)
    assert host.receive(pump.says(late), 4.0) == [late]
    assert host.receive(pump.says(done(7), done(7)), 5.0) == [done(7)]
    assert host.counters.duplicates == 1


def test_a_stream_has_many_commands_under_way_up_to_a_bound_that_a_stop_ignores(pump: Peer) -> None:
    host = opened_host(pump)
    for command_id in range(WAITING_MAX):
        host.command(m.Pause(command_id), 1.0)
    host.outgoing()
    with pytest.raises(LinkError, match="32 commands are open"):
        host.command(run(40), 1.0)
    assert host.outgoing() == b""
    host.command(m.Stop(41), 1.0)
    assert pump.reads(host.outgoing()) == [m.Stop(41)]


def test_an_id_in_use_and_a_number_too_large_are_refused_before_anything_is_sent(
    pump: Peer,
) -> None:
    host = opened_host(pump)
    host.command(run(7), 1.0)
    host.outgoing()
    with pytest.raises(ConfigurationError, match="command id 7 is already in use"):
        host.command(m.Pause(7), 1.0)
    with pytest.raises(ConfigurationError, match="rate_nl_h"):
        host.command(m.SetRate(8, Rate(2**32)), 1.0)
    assert host.outgoing() == b""


def test_a_lease_is_answered_by_a_snapshot_or_the_link_is_quiet(pump: Peer) -> None:
    host = opened_host(pump)
    host.lease(LEASE, 1.0)
    assert pump.reads(host.outgoing()) == [m.Lease(LEASE)]
    assert host.receive(pump.says(RUNNING), 1.1) == [RUNNING]
    assert host.wake_at() is None
    host.lease(LEASE, 2.0)
    host.ask(m.SnapshotRequest(), 3.0)
    assert host.wake_at() == 4.0
    assert host.on_timer(4.0) == [LinkQuiet(2.0)]
    assert host.wake_at() is None


def test_two_clocks_are_compared_by_the_middle_of_the_round_trip(pump: Peer) -> None:
    host = opened_host(pump)
    assert host.clock_offset_s is None
    host.timesync(10.0)
    assert pump.reads(host.outgoing()) == [m.TimeSync(10_000_000, 0)]
    answer = m.TimeSync(10_000_000, 3_000_000)
    assert host.receive(pump.says(answer), 10.2) == [answer]
    assert host.clock_offset_s == pytest.approx(-7.1)


def test_counters_are_shown_to_both_ends(pump: Peer) -> None:
    host = opened_host(pump)
    host.ask_counters()
    assert pump.reads(host.outgoing()) == [host.counters]
    theirs = m.Counters(9, 1, 0, 2, 0, 0)
    assert host.receive(pump.says(theirs), 1.0) == [theirs]


def test_frames_of_another_link_repeated_frames_and_echoes_are_not_heard(pump: Peer) -> None:
    host = opened_host(pump)
    assert host.receive(Peer(link_id=1).says(RUNNING), 1.0) == []
    assert host.receive(pump.says(run(1)), 1.0) == []
    frame = pump.says(RUNNING)
    assert host.receive(frame + frame, 1.0) == [RUNNING]
    assert host.counters.duplicates == 1


def test_a_burst_that_comes_twice_is_dropped_up_to_eight_frames(pump: Peer) -> None:
    host = opened_host(pump)
    frames = [pump.says(RUNNING) for _ in range(9)]
    assert len(host.receive(b"".join(frames), 1.0)) == 9
    assert host.receive(b"".join(frames[1:]), 1.0) == []
    assert host.counters.duplicates == 8
    assert host.receive(frames[0], 1.0) == [RUNNING]  # so far behind it is a new frame after losses


def test_an_event_is_heard_once_however_often_it_is_said(pump: Peer) -> None:
    host = opened_host(pump)
    alarm = m.Event(0, m.EventKind.ALARM_RAISED, 1, Duration(5000))
    assert host.receive(pump.says(alarm, alarm), 1.0) == [alarm]
    host.ask(m.AlarmAck(m.PumpAlarm.OCCLUSION), 1.1)
    assert pump.reads(host.outgoing()) == [m.AlarmAck(m.PumpAlarm.OCCLUSION)]
    assert host.receive(pump.says(alarm), 9.0) == []
    assert host.outgoing() == b""
    later = [replace(alarm, event_seq=seq) for seq in range(1, 40)]
    assert host.receive(pump.says(*later), 10.0) == later


# --- the host, stopping ---------------------------------------------------------------------------


def test_an_emergency_stop_takes_the_place_of_whatever_was_not_yet_written(pump: Peer) -> None:
    host = opened_host(pump)
    host.command(run(7), 1.0)
    host.estop(1.0)
    assert host.outgoing() == ESTOP_FRAME


@pytest.mark.parametrize(
    "not_yet",
    [
        RUNNING,
        replace(LATCHED, state=m.PumpState.RUNNING),
        replace(LATCHED, state=m.PumpState.PAUSED),
        replace(LATCHED, state=m.PumpState.UNKNOWN),
        replace(LATCHED, alarms=m.PumpAlarm.NONE),
        replace(LATCHED, alarms=m.PumpAlarm.ESTOP_LATCHED | m.PumpAlarm.STOP_UNCONFIRMED),
    ],
)
def test_an_emergency_stop_is_repeated_until_the_pump_shows_it(
    pump: Peer, not_yet: m.Snapshot
) -> None:
    host = opened_host(pump)
    host.estop(1.0)
    host.outgoing()
    assert host.receive(pump.says(not_yet), 1.1) == [not_yet]
    for now in (1.25, 1.5, 1.75):
        assert host.wake_at() == now
        assert host.on_timer(now) == []
        assert host.outgoing() == ESTOP_FRAME
    host.receive(pump.says(LATCHED), 1.8)
    assert host.wake_at() is None


# --- the host, on a cable -------------------------------------------------------------------------


def test_a_lost_command_is_sent_again_three_times_with_its_number_and_then_given_up(
    pump: Peer,
) -> None:
    host = opened_host(pump, reliable=True)
    host.command(run(7), 1.0)
    pump.reads(host.outgoing())
    (first,) = pump.headers
    sent_at = []
    heard: list[Heard] = []
    while not heard:
        now = host.wake_at()
        assert now is not None
        heard = host.on_timer(now)
        if pump.reads(host.outgoing()) == [run(7)]:
            sent_at.append(now)
            assert pump.headers[0].seq == first.seq
    assert heard == [Silence(7, sent=True)]
    assert len(sent_at) == 3
    assert host.counters.retransmits == 3
    assert sent_at[2] - sent_at[1] == pytest.approx(2 * (sent_at[1] - sent_at[0]))


def test_a_lost_hello_is_sent_again_three_times() -> None:
    host, pump = HostSession(LINK, reliable=True), Peer()
    host.hello(0.0)
    for now in (1.0, 3.0, 7.0):
        host.outgoing()
        assert host.wake_at() == now
        assert host.on_timer(now) == []
        assert pump.reads(host.outgoing()) == [m.Hello(1, 1, SCHEMA_HASH)]
    assert host.on_timer(12.0) == [LinkQuiet(0.0)]


def test_one_command_is_under_way_on_a_cable_and_the_next_waits_for_its_first_answer(
    pump: Peer,
) -> None:
    host = opened_host(pump, reliable=True)
    host.command(run(1), 1.0)
    host.command(m.SetRate(2, Rate(5)), 1.0)
    host.command(m.Pause(3), 1.0)
    assert pump.reads(host.outgoing()) == [run(1)]
    with pytest.raises(ConfigurationError, match="command id 3 is already in use"):
        host.command(m.Pause(3), 1.0)
    with pytest.raises(ConfigurationError, match="rate_nl_h"):
        host.command(m.SetRate(4, Rate(2**32)), 1.0)
    host.receive(pump.says(result(1, m.Ending.ACCEPTED)), 1.1)
    assert pump.reads(host.outgoing()) == [m.SetRate(2, Rate(5))]
    host.receive(pump.says(done(2)), 1.2)
    assert pump.reads(host.outgoing()) == [m.Pause(3)]


def test_the_result_of_a_command_under_way_is_asked_for_until_it_comes(pump: Peer) -> None:
    host = opened_host(pump, reliable=True)
    host.command(run(1), 1.0)
    host.outgoing()
    under_way = result(1, m.Ending.IN_PROGRESS)
    assert host.receive(pump.says(under_way), 1.1) == [under_way]
    for ask_at in (3.1, 5.2, 7.3, 9.4, 11.5):
        assert host.wake_at() == pytest.approx(ask_at)
        assert host.on_timer(ask_at) == []
        assert pump.reads(host.outgoing()) == [run(1)]
        assert host.receive(pump.says(under_way), ask_at + 0.1) == []
    assert host.receive(pump.says(done(1)), 13.0) == [done(1)]
    assert host.wake_at() is None


def test_no_start_is_sent_again_after_a_stop(pump: Peer) -> None:
    host = opened_host(pump, reliable=True)
    host.command(run(1), 1.0)
    host.command(m.SetRate(2, Rate(5)), 1.0)
    pump.reads(host.outgoing())
    host.command(m.Stop(3), 1.1)
    assert pump.reads(host.outgoing()) == [m.Stop(3)]
    assert host.wake_at() == 1.1
    assert host.on_timer(1.1) == [Silence(2, sent=False)]
    host.receive(pump.says(done(3)), 1.2)
    assert host.on_timer(5.0) == [Silence(1, sent=True)]
    assert host.outgoing() == b""


def test_a_lost_acknowledgement_is_given_again_but_not_because_of_an_event_that_crossed_it(
    pump: Peer,
) -> None:
    host = opened_host(pump, reliable=True)
    raised = m.Event(0, m.EventKind.ALARM_RAISED, 1, Duration(5000))
    state = m.Event(1, m.EventKind.STATE, 1, Duration(5000))
    assert host.receive(pump.says(raised, state, raised), 1.0) == [raised, state]
    assert host.outgoing() == b""
    host.ask(m.AlarmAck(m.PumpAlarm.OCCLUSION), 1.0)
    host.outgoing()
    assert host.receive(pump.says(raised), 1.05) == []
    assert host.outgoing() == b""
    assert host.receive(pump.says(raised, state), 4.0) == []
    assert pump.reads(host.outgoing()) == [m.AlarmAck(m.PumpAlarm.OCCLUSION)]


def test_the_time_out_follows_the_round_trip_and_ignores_repeated_frames(pump: Peer) -> None:
    host = opened_host(pump, reliable=True)
    for second in range(1, 20):
        host.lease(LEASE, float(second))
        pump.reads(host.outgoing())
        host.receive(pump.says(RUNNING, ack=pump.headers[0].seq), second + 0.04)
    host.command(run(1), 30.0)
    pump.reads(host.outgoing())
    asked_at = host.wake_at()
    assert asked_at == pytest.approx(30.1, abs=0.01)
    host.on_timer(30.2)
    host.receive(pump.says(done(1), ack=pump.headers[0].seq), 34.0)
    host.command(run(2), 40.0)
    assert host.wake_at() == pytest.approx(40.1, abs=0.01)


def test_the_adaptive_time_out_is_that_of_rfc_6298_within_its_bounds() -> None:
    trip = RoundTrip(Timing())
    assert trip.timeout == 1.0
    trip.measured(0.4)  # smoothed 0.4, variation 0.2
    assert trip.timeout == pytest.approx(1.2)
    trip.measured(0.8)  # variation 0.75 * 0.2 + 0.25 * 0.4, smoothed 0.875 * 0.4 + 0.125 * 0.8
    assert trip.timeout == pytest.approx(0.45 + 4 * 0.25)
    for _ in range(100):
        trip.measured(0.001)
    assert trip.timeout == 0.1
    trip.measured(60.0)
    assert trip.timeout == 5.0


# --- the device -----------------------------------------------------------------------------------


def test_a_command_is_handed_up_once_and_its_duplicate_gets_the_result_again(
    controller: Peer,
) -> None:
    device = opened_device(controller)
    first = controller.says(run(7), seq=1)
    assert device.receive(first, 1.0) == [run(7)]
    assert device.receive(first, 1.5) == []
    assert controller.reads(device.outgoing()) == [result(7, m.Ending.IN_PROGRESS)]
    device.answer(done(7))
    device.outgoing()
    assert device.receive(first, 2.0) == []
    assert device.receive(controller.says(run(7), seq=90), 2.0) == []
    assert controller.reads(device.outgoing()) == [done(7), done(7)]
    assert device.counters.duplicates == 3


def test_a_command_older_than_memory_is_refused_and_not_done_again(controller: Peer) -> None:
    device = opened_device(controller)
    for command_id in range(REMEMBERED + 1):
        assert device.receive(controller.says(run(command_id)), 1.0) == [run(command_id)]
    assert device.receive(controller.says(run(0)), 2.0) == []
    (refusal,) = controller.reads(device.outgoing())
    assert refusal == m.Result(
        *(0, m.Ending.REFUSED, m.Code.BAD_ARGUMENT, Rate(0), Volume(0)),
        reason="command id 0 is not above 32; ids only rise",
    )
    assert device.receive(controller.says(run(1)), 2.0) == []
    assert controller.reads(device.outgoing()) == [result(1, m.Ending.IN_PROGRESS)]


def test_an_id_of_another_command_is_refused_but_a_stop_is_obeyed(controller: Peer) -> None:
    device = opened_device(controller)
    device.receive(controller.says(run(7)), 1.0)
    assert device.receive(controller.says(m.Pause(7)), 1.1) == []
    (refusal,) = controller.reads(device.outgoing())
    assert isinstance(refusal, m.Result)
    assert refusal.reason == "command id 7 is that of another command; ids only rise"
    assert device.receive(controller.says(m.Stop(7)), 1.2) == [m.Stop(7)]
    assert device.receive(controller.says(m.Stop(3)), 1.3) == [m.Stop(3)]
    assert device.receive(controller.says(m.Stop(3)), 1.4) == []


def test_a_result_for_a_command_of_nobody_on_this_link_is_not_sent(controller: Peer) -> None:
    device = opened_device(controller)
    device.receive(controller.says(run(7)), 1.0)
    other = Peer(link_id=0x0101)
    device.receive(other.says(m.Hello(1, 1, SCHEMA_HASH)), 2.0)
    device.outgoing()
    device.answer(done(7))
    assert device.outgoing() == b""


def test_questions_are_handed_up_once_and_answered_with_snapshots(controller: Peer) -> None:
    device = opened_device(controller)
    lease = controller.says(m.Lease(LEASE))
    assert device.receive(lease + lease, 1.0) == [m.Lease(LEASE)]
    assert device.receive(controller.says(m.SnapshotRequest()), 1.0) == [m.SnapshotRequest()]
    device.answer(RUNNING)
    assert controller.reads(device.outgoing()) == [RUNNING]
    assert controller.headers[0].link_id == LINK
    assert controller.headers[0].ack == 2
    assert device.counters.duplicates == 1


def test_clock_and_counters_are_answered_without_the_bridge(controller: Peer) -> None:
    device = opened_device(controller)
    asked: list[m.Message] = [m.TimeSync(9_000_000, 0), m.Counters(1, 2, 3, 4, 5, 6)]
    assert device.receive(controller.says(*asked), 1.5) == []
    clock, counters = controller.reads(device.outgoing())
    assert clock == m.TimeSync(9_000_000, 1_500_000)
    assert counters == m.Counters(3, 0, 0, 0, 0, 0)


def test_nothing_but_a_hello_and_a_stop_is_heard_before_the_link_is_open() -> None:
    device, controller = DeviceSession(IDENTITY), Peer(link_id=0)
    hello = m.Hello(1, 1, SCHEMA_HASH)
    said = controller.says(run(1), m.Lease(LEASE), m.Stop(2), hello)
    assert device.receive(said, 0.0) == []
    assert device.outgoing() == b""
    assert device.receive(ESTOP_FRAME, 0.0) == [m.Estop()]
    device.answer(LATCHED)
    assert controller.reads(device.outgoing()) == [LATCHED]
    assert controller.headers[0].link_id == 0


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFF))
def test_an_emergency_stop_is_heard_with_any_numbers_every_time(
    seq: int, ack: int, link_id: int
) -> None:
    device = opened_device(Peer())
    frame = encode(Header(seq, ack, link_id), m.Estop())
    assert device.receive(frame + frame, 1.0) == [m.Estop(), m.Estop()]


@pytest.mark.parametrize(
    "hello",
    [m.Hello(1, 1, SCHEMA_HASH ^ 1), m.Hello(2, 9, SCHEMA_HASH), m.Hello(0, 0, SCHEMA_HASH)],
)
@pytest.mark.parametrize("identity", [None, IDENTITY])
def test_a_host_with_another_page_is_answered_with_version_0_and_may_only_stop(
    controller: Peer, hello: m.Hello, identity: m.HelloAck | None
) -> None:
    device = DeviceSession(identity)
    assert device.receive(controller.says(hello), 0.0) == []
    (ack,) = controller.reads(device.outgoing())
    assert isinstance(ack, m.HelloAck)
    assert (ack.version, ack.schema_hash) == (0, SCHEMA_HASH)
    assert not device.is_open
    assert device.receive(controller.says(run(1), m.Lease(LEASE)), 0.1) == []
    assert device.receive(ESTOP_FRAME, 0.2) == [m.Estop()]


def test_a_hello_waits_until_the_pump_is_known(controller: Peer) -> None:
    device = DeviceSession()
    hello = m.Hello(1, 1, SCHEMA_HASH)
    assert device.receive(controller.says(hello), 0.0) == [hello]
    assert device.receive(controller.says(hello, run(1)), 1.0) == []
    assert device.outgoing() == b""
    device.introduce(IDENTITY)
    assert controller.reads(device.outgoing()) == [IDENTITY]
    device.introduce(replace(IDENTITY, boot_id=2))
    assert device.outgoing() == b""
    assert device.receive(controller.says(hello), 2.0) == []
    assert controller.reads(device.outgoing()) == [replace(IDENTITY, boot_id=2)]


def test_a_hello_with_a_new_link_id_ends_the_old_link_and_its_memory(controller: Peer) -> None:
    device = opened_device(controller)
    device.receive(controller.says(run(1)), 1.0)
    other, hello = Peer(link_id=0x0101), m.Hello(1, 1, SCHEMA_HASH)
    assert device.receive(other.says(hello), 2.0) == [hello]
    assert device.receive(controller.says(m.Stop(2)), 2.1) == []
    assert device.receive(other.says(run(1)), 2.2) == [run(1)]


def test_an_alarm_is_said_every_second_until_acknowledged(controller: Peer) -> None:
    device = opened_device(controller)
    device.event(m.EventKind.ALARM_RAISED, 1, Duration(10), 1.0)
    device.event(m.EventKind.ALARM_RAISED, 3, Duration(20), 1.5)
    device.event(m.EventKind.STATE, 4, Duration(20), 1.5)
    occlusion = m.Event(0, m.EventKind.ALARM_RAISED, 1, Duration(10))
    air = m.Event(1, m.EventKind.ALARM_RAISED, 3, Duration(20))
    state = m.Event(2, m.EventKind.STATE, 4, Duration(20))
    assert controller.reads(device.outgoing()) == [occlusion, air, state]
    assert device.wake_at() == 2.0
    device.on_timer(2.0)
    assert controller.reads(device.outgoing()) == [occlusion]
    ack = m.AlarmAck(m.PumpAlarm.OCCLUSION | m.PumpAlarm.EMPTY)
    assert device.receive(controller.says(ack), 2.1) == [ack]
    device.on_timer(3.0)
    assert controller.reads(device.outgoing()) == [air]
    device.event(m.EventKind.ALARM_CLEARED, 3, Duration(30), 3.1)
    device.event(m.EventKind.ALARM_CLEARED, 3, Duration(30), 3.1)
    device.outgoing()
    assert device.wake_at() is None


def test_an_alarm_without_a_listener_waits_for_one(controller: Peer) -> None:
    device = DeviceSession(IDENTITY)
    device.event(m.EventKind.ALARM_RAISED, 8, Duration(10), 1.0)
    device.event(m.EventKind.STATE, 0, Duration(10), 1.0)
    assert device.wake_at() is None
    device.on_timer(5.0)
    assert device.outgoing() == b""
    device.receive(controller.says(m.Hello(1, 1, SCHEMA_HASH)), 9.0)
    assert device.wake_at() == 9.0
    device.on_timer(9.0)
    lost = m.Event(0, m.EventKind.ALARM_RAISED, 8, Duration(10))
    assert controller.reads(device.outgoing()) == [IDENTITY, lost]


def test_answers_that_come_back_as_an_echo_are_not_commands(controller: Peer) -> None:
    device = opened_device(controller)
    assert device.receive(controller.says(RUNNING, done(1)), 1.0) == []
    assert device.outgoing() == b""


# --- both, joined ---------------------------------------------------------------------------------


@dataclass
class Cable:
    """One direction of a cable: what is on its way, and when it arrives."""

    luck: random.Random
    loss: float = 0.0
    late_s: tuple[float, float] = (0.001, 0.001)
    one_byte: bool = False
    twice: float = 0.0
    carried: list[tuple[float, bytes]] = field(default_factory=list)

    def put(self, data: bytes, now: float) -> None:
        arrival = now + self.luck.uniform(*self.late_s)
        if self.carried:
            arrival = max(arrival, self.carried[-1][0])  # a cable delays, it does not reorder
        for frame in data.split(b"\0")[:-1]:
            damaged = bytearray(frame + b"\0")
            if self.luck.random() < self.loss:
                damaged[self.luck.randrange(len(damaged))] ^= 0x41
            for _ in range(2 if self.luck.random() < self.twice else 1):
                pieces = [bytes([b]) for b in damaged] if self.one_byte else [bytes(damaged)]
                self.carried += [(arrival, piece) for piece in pieces]

    def arrivals(self, now: float) -> list[bytes]:
        due = [data for at, data in self.carried if at <= now]
        del self.carried[: len(due)]
        return due


CABLES: dict[str, Callable[[random.Random], Cable]] = {
    "clean": Cable,
    "byte by byte": lambda luck: Cable(luck, one_byte=True),
    "lossy": lambda luck: Cable(luck, loss=0.15, twice=0.1, late_s=(0.001, 0.02)),
    "late": lambda luck: Cable(luck, late_s=(0.2, 1.2)),
}


class Bench:
    """A reliable host and a device on one cable, with a pump that takes its time, under one clock."""

    def __init__(self, cable: str, seed: int) -> None:
        luck = random.Random(seed)
        self.now = 0.0
        self.host = HostSession(LINK, reliable=True)
        self.device = DeviceSession(IDENTITY)
        self.down, self.up = CABLES[cable](luck), CABLES[cable](luck)
        self.luck = luck
        self.heard: list[Heard] = []
        self.done: list[m.Command] = []
        self.owed: list[tuple[float, m.Result]] = []

    def advance_to(self, end: float) -> None:
        for _ in range(20_000):
            self._carry()
            times = [self.host.wake_at(), self.device.wake_at()]
            times += [at for at, _ in self.owed[:1]]
            times += [cable.carried[0][0] for cable in (self.down, self.up) if cable.carried]
            at = min((time for time in times if time is not None), default=end)
            if at > end:
                self.now = end
                return
            self.now = max(self.now, at)
            if at >= end and not self._is_anything_due():
                return
            self.heard += self.host.on_timer(self.now)
            self.device.on_timer(self.now)
            self._pump()
        raise AssertionError("the link does not come to rest")

    def _is_anything_due(self) -> bool:
        times = [self.host.wake_at(), self.device.wake_at(), *(at for at, _ in self.owed)]
        times += [at for cable in (self.down, self.up) for at, _ in cable.carried]
        return any(time is not None and time <= self.now for time in times)

    def _carry(self) -> None:
        self.down.put(self.host.outgoing(), self.now)
        self.up.put(self.device.outgoing(), self.now)
        for data in self.down.arrivals(self.now):
            for command in self.device.receive(data, self.now):
                self._obey(command)
        for data in self.up.arrivals(self.now):
            self.heard += self.host.receive(data, self.now)
        self.down.put(self.host.outgoing(), self.now)
        self.up.put(self.device.outgoing(), self.now)

    def _obey(self, command: m.Command) -> None:
        self.done.append(command)
        if isinstance(command, m.Lease | m.SnapshotRequest | m.AlarmAck):
            self.device.answer(RUNNING)
        elif isinstance(command, m.Estop):
            self.device.answer(LATCHED)
        elif not isinstance(command, m.Hello | m.TimeSync):
            self.device.answer(result(command.command_id, m.Ending.ACCEPTED))
            takes = self.luck.choice([0.0, 0.05, 0.5, 4.0])
            self.owed.append((self.now + takes, done(command.command_id)))
            self.owed.sort(key=lambda owed: owed[0])

    def _pump(self) -> None:
        while self.owed and self.owed[0][0] <= self.now:
            self.device.answer(self.owed.pop(0)[1])


@pytest.fixture(params=CABLES)
def cable(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def endings(heard: Sequence[Heard]) -> list[int]:
    """The commands that ended, in the order of their endings."""
    over = {m.Ending.DONE, m.Ending.REFUSED, m.Ending.UNCERTAIN}
    return [h.command_id for h in heard if isinstance(h, m.Result) and h.ending in over]


@pytest.mark.parametrize("seed", range(6))
def test_over_every_cable_each_command_is_done_once_and_ends_once(cable: str, seed: int) -> None:
    bench = Bench(cable, seed)
    bench.host.hello(0.0)
    bench.advance_to(20.0)
    assert bench.host.is_open
    commands: list[m.Run | m.SetRate | m.Arm] = [
        m.Arm(1, Rate(9), Volume(9), Volume(9), Duration(9), Concentration(9)),
        run(2),
        *(m.SetRate(command_id, Rate(command_id)) for command_id in range(3, 12)),
    ]
    for second, command in enumerate(commands):
        bench.host.command(command, bench.now)
        bench.advance_to(20.5 + second)
        bench.host.lease(LEASE, bench.now)
    bench.advance_to(120.0)
    numbered = [c for c in bench.done if isinstance(c, m.Run | m.SetRate | m.Arm)]
    assert numbered == commands
    given_up = [h.command_id for h in bench.heard if isinstance(h, Silence)]
    assert given_up == []
    assert sorted(endings(bench.heard)) == [command.command_id for command in commands]
    if cable in {"clean", "byte by byte"}:
        assert bench.device.counters.crc_errors == bench.host.counters.crc_errors == 0


@pytest.mark.parametrize("seed", range(6))
def test_over_every_cable_an_alarm_is_heard_once_and_its_acknowledgement_arrives(
    cable: str, seed: int
) -> None:
    bench = Bench(cable, seed)
    bench.host.hello(0.0)
    bench.advance_to(20.0)
    bench.device.event(m.EventKind.ALARM_RAISED, 1, Duration(1), bench.now)
    bench.advance_to(40.0)
    bench.host.ask(m.AlarmAck(m.PumpAlarm.OCCLUSION), bench.now)
    bench.advance_to(70.0)
    assert [h for h in bench.heard if isinstance(h, m.Event)] == [
        m.Event(0, m.EventKind.ALARM_RAISED, 1, Duration(1))
    ]
    assert m.AlarmAck(m.PumpAlarm.OCCLUSION) in bench.done
    assert bench.device.wake_at() is None


@pytest.mark.parametrize("seed", range(6))
def test_over_every_cable_an_emergency_stop_arrives_and_is_confirmed(cable: str, seed: int) -> None:
    bench = Bench(cable, seed)
    bench.host.hello(0.0)
    bench.advance_to(20.0)
    bench.host.command(run(1), bench.now)
    bench.host.command(m.SetRate(2, Rate(5)), bench.now)
    bench.advance_to(20.002)
    bench.host.estop(bench.now)
    bench.advance_to(60.0)
    stopped_at = bench.done.index(m.Estop())
    assert set(bench.done[stopped_at:]) == {m.Estop()}
    assert bench.host.wake_at() is None
    silent = [h for h in bench.heard if isinstance(h, Silence)]
    assert Silence(2, sent=False) in silent
    assert {silence.command_id for silence in silent} | {*endings(bench.heard)} == {1, 2}


@given(st.lists(st.binary(max_size=80), max_size=8), st.booleans())
def test_any_bytes_leave_both_ends_standing(chunks: list[bytes], reliable: bool) -> None:
    host, device = opened_host(Peer(), reliable=reliable), opened_device(Peer())
    for chunk in chunks:
        assert host.receive(chunk, 1.0) == []
        assert [c for c in device.receive(chunk, 1.0) if not isinstance(c, m.Estop)] == []
    assert host.wake_at() is device.wake_at() is None
