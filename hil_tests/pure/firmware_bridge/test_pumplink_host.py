"""The host's end of pumplink/1 against frames written one by one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from firmware_bridge import messages as m
from firmware_bridge.errors import ConfigurationError, LinkError
from firmware_bridge.protocols.pumplink import (
    ESTOP_FRAME,
    SCHEMA_HASH,
)
from firmware_bridge.protocols.pumplink_host import (
    WAITING_MAX,
    Heard,
    HostSession,
    LinkQuiet,
    ProtocolMismatch,
    Silence,
)
from firmware_bridge.protocols.pumplink_timing import RoundTrip, Timing
from firmware_bridge.quantities import Duration, Rate
from hil_tests.pure.firmware_bridge.pumplink_peer import (
    IDENTITY,
    LATCHED,
    LEASE,
    LINK,
    RUNNING,
    Peer,
    done,
    opened_host,
    result,
    run,
)


@pytest.fixture
def pump() -> Peer:
    """The far end, when the host is under test."""
    return Peer()


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


def test_a_question_about_sensors_is_answered_by_them_or_the_link_is_quiet(pump: Peer) -> None:
    host = opened_host(pump)
    shown = m.Sensors(Duration(5), m.Input.NONE, 133, 60, 7, 7)
    host.ask(m.SensorsRequest(), 1.0)
    assert pump.reads(host.outgoing()) == [m.SensorsRequest()]
    assert host.receive(pump.says(shown), 1.1) == [shown]
    assert host.wake_at() is None
    host.ask(m.SensorsRequest(), 2.0)
    quiet_at = host.wake_at()
    assert quiet_at is not None
    assert host.on_timer(quiet_at) == [LinkQuiet(quiet_at - 2.0)]


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
