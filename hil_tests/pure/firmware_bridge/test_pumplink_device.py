"""The pump's end of pumplink/1 against frames written one by one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import messages as m
from firmware_bridge.protocols.pumplink import (
    ESTOP_FRAME,
    SCHEMA_HASH,
    Header,
    encode,
)
from firmware_bridge.protocols.pumplink_device import REMEMBERED, DeviceSession
from firmware_bridge.quantities import Duration, Rate, Volume
from hil_tests.pure.firmware_bridge.pumplink_peer import (
    IDENTITY,
    LATCHED,
    LEASE,
    LINK,
    RUNNING,
    Peer,
    done,
    opened_device,
    result,
    run,
)


@pytest.fixture
def controller() -> Peer:
    """The far end, when the device is under test."""
    return Peer()


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
