"""What goes wrong with a New Era pump: alarms, power, faults by name; and going back to a snapshot."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.new_era_host import (
    STOPPED,
    TIMED_OUT,
    Host,
    awake,
    packet,
    programmed,
    safe,
)
from sim.devices.new_era import NewEraPump
from sim.faults.parameters import FaultError
from sim.mechanics import Mount

ML = 1_000_000

# -- alarms -------------------------------------------------------------------------------------------


def test_a_pending_alarm_answers_any_valid_command_once_and_nothing_is_executed() -> None:
    host = Host()
    assert host.ask("DIA14.43") == "00A?R"
    assert host.ask("DIA") == "00S26.59"


def test_an_unknown_command_does_not_acknowledge_an_alarm() -> None:
    host = Host()
    assert host.ask("XYZ") == "00S?"
    assert host.ask("") == "00A?R"


def test_an_alarm_sent_unasked_stays_pending() -> None:
    host = safe()
    host.ask_safe("0RAT26.70MH")
    host.ask_safe("0RUN")
    host.pump.inject("motor_stall", host.now)
    assert host.wait(0.25) == [packet("00A?S")]
    assert host.ask_safe("0RUN") == packet("00A?S")
    assert host.ask_safe("0") == STOPPED


def test_a_basic_pump_never_speaks_first() -> None:
    host = programmed()
    host.tell("RUN")
    host.pump.inject("motor_stall", host.now)
    assert host.wait(10.0) == []
    assert host.ask("") == "00A?S"
    assert host.ask("") == "00S"


def test_two_alarms_are_both_answered_the_older_first() -> None:
    host = safe()
    host.ask_safe("0RAT26.70MH")
    host.ask_safe("0RUN")
    host.pump.inject("motor_stall", host.now)
    assert host.wait(5.0) == [packet("00A?S"), TIMED_OUT]
    assert [host.ask_safe("0") for _ in range(3)] == [packet("00A?S"), TIMED_OUT, STOPPED]


# -- power ----------------------------------------------------------------------------------------


def test_a_power_loss_while_infusing_zeroes_the_counters_and_keeps_the_settings() -> None:
    host = programmed()
    host.tell("RUN")
    host.wait(60.0)
    assert host.pump.power_cycle(host.now) == []
    truth = host.pump.truth()
    host.wait(60.0)
    assert host.ask("DIS") == "00A?R"
    assert host.ask("DIS") == "00SI0.000W0.000ML"
    assert [host.ask(query) for query in ("DIA", "VOL", "RAT")] == [
        "00S14.43",
        "00S20.00ML",
        "00S26.70MH",
    ]
    assert host.pump.truth() == truth
    assert truth.plunger_nl == 445_000


def test_a_pump_left_in_safe_mode_boots_in_it_announces_the_reset_and_waits() -> None:
    host = safe()
    assert host.pump.power_cycle(host.now) == [(0.0, packet("00A?R"))]
    assert host.wait(3_600.0) == []
    assert host.send(b"VER\r") == []
    assert host.ask_safe("0") == packet("00A?R")
    assert host.wait(5.0) == [TIMED_OUT]


def test_a_pump_without_power_neither_hears_nor_moves_nor_speaks() -> None:
    host = programmed()
    host.tell("RUN")
    host.pump.inject("power_loss", host.now)
    before = host.pump.truth()
    host.wait(60.0)
    assert host.send(b"VER\r") == []
    assert host.pump.next_event(host.now) is None
    assert host.pump.truth() == before
    host.pump.clear("power_loss", host.now)
    assert host.pump.clear("power_loss", host.now) == []
    assert host.ask("") == "00A?R"


def test_power_fail_mode_restarts_the_program_after_a_power_loss() -> None:
    host = programmed()
    host.tell("PF1", "RUN")
    host.pump.power_cycle(host.now)
    assert host.ask("") == "00A?R"
    assert host.ask("") == "00I"
    host.tell("STP", "STP")
    host.pump.power_cycle(host.now)
    assert [host.ask(""), host.ask("")] == ["00A?R", "00S"]


def test_power_off_ends_a_timed_pause() -> None:
    host = awake()
    host.tell("FUNPAS10", "RUN")
    host.pump.power_cycle(host.now)
    assert host.wait(60.0) == []
    assert [host.ask(""), host.ask("")] == ["00A?R", "00S"]


# -- snapshots ----------------------------------------------------------------------------------------


def test_a_restored_pump_goes_on_like_the_original() -> None:
    host = programmed()
    host.tell("RUN")
    host.wait(60.0)
    host.send(b"DI")
    saved, at = host.pump.snapshot(), host.now
    first = (host.send(b"S\r"), host.wait(100.0), host.pump.truth())
    host.tell("STP")
    host.pump.restore(saved)
    host.now = at
    assert (host.send(b"S\r"), host.wait(100.0), host.pump.truth()) == first
    other = Host(NewEraPump(), at)
    other.pump.restore(saved)
    assert (other.send(b"S\r"), other.wait(100.0), other.pump.truth()) == first


# -- faults -------------------------------------------------------------------------------------------


def test_an_occlusion_stalls_the_motor_at_its_alarm_pressure_and_releases_on_clearing() -> None:
    host = programmed()
    host.tell("RUN")
    host.pump.inject("downstream_occlusion", host.now)
    due = host.pump.next_event(host.now)
    assert due is not None
    assert due - host.now == pytest.approx(3_600 / 26.7)
    host.wait(200.0)
    assert host.ask("") == "00A?S"
    truth = host.pump.truth()
    assert (truth.plunger_nl, truth.delivered_nl, truth.stored_nl) == (ML, 0, ML)
    assert truth.pressure_mmhg == pytest.approx(500.0)
    assert host.ask("DIS") == "00SI1.000W0.000ML"
    host.pump.clear("downstream_occlusion", host.now)
    assert host.pump.truth().delivered_nl == ML


def test_an_empty_syringe_stalls_the_motor_and_can_be_refilled() -> None:
    host = programmed(mount=Mount(14_430, 10 * ML, 2 * ML))
    host.tell("RUN")
    host.wait(600.0)
    assert host.ask("") == "00A?S"
    assert host.ask("DIS") == "00SI2.000W0.000ML"
    host.pump.clear("empty", host.now)
    assert host.pump.truth().content_nl == 2 * ML
    host.tell("RUN")
    host.pump.inject("empty", host.now)
    host.wait(1.0)
    assert host.ask("") == "00A?S"


def test_a_mute_pump_obeys_and_never_answers() -> None:
    host = programmed()
    host.pump.inject("mute", host.now)
    assert host.send(b"RUN\r") == []
    host.pump.clear("mute", host.now)
    assert host.ask("") == "00I"


def test_a_reply_can_be_late() -> None:
    host = awake()
    host.pump.inject("reply_delay", host.now, delay_ms=250)
    assert host.pump.feed(b"\r", host.now) == [(0.25, b"\x0200S\x03")]
    host.pump.clear("reply_delay", host.now)
    assert host.pump.feed(b"\r", host.now) == [(0.0, b"\x0200S\x03")]


def test_frames_can_be_lost_in_either_direction() -> None:
    host = programmed()
    host.pump.inject("frame_drop", host.now, for_commands=2)
    assert host.send(b"RUN\r\r") == []
    assert host.ask("") == "00I"
    host.pump.inject("frame_drop", host.now, direction="to_pump")
    assert host.send(b"STP\r") == []
    assert host.ask("") == "00I"
    host.pump.inject("frame_drop", host.now, direction="to_pump", for_commands=9)
    host.pump.clear(None, host.now)
    assert host.ask("STP") == "00P"


def test_a_stop_can_be_ignored() -> None:
    host = programmed()
    host.tell("RUN")
    host.pump.inject("stop_ignored", host.now)
    assert [host.ask("STP"), host.ask("STP")] == ["00I", "00I"]
    host.pump.clear("stop_ignored", host.now)
    assert [host.ask("STP"), host.ask("STP")] == ["00P", "00S"]


def test_clearing_everything_frees_a_blocked_motor() -> None:
    host = programmed()
    host.pump.inject("motor_stall", host.now)
    host.pump.clear(None, host.now)
    host.tell("RUN")
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == 445_000


@pytest.mark.parametrize(
    ("kind", "parameters", "named"),
    [
        ("explode", {}, "explode"),
        ("mute", {"delay_ms": 1}, "delay_ms"),
        ("reply_delay", {"delay_ms": -1}, "delay_ms"),
        ("reply_delay", {"delay_ms": float("nan")}, "delay_ms"),
        ("reply_delay", {"delay_ms": "long"}, "delay_ms"),
        ("frame_drop", {"direction": "sideways"}, "from_pump"),
    ],
)
def test_an_impossible_fault_is_refused_by_name(
    kind: str, parameters: dict[str, float | int | str], named: str
) -> None:
    with pytest.raises(FaultError, match=named):
        awake().pump.inject(kind, 1_000.0, **parameters)


def test_clearing_an_unknown_fault_is_refused_by_name() -> None:
    with pytest.raises(FaultError, match="explode"):
        awake().pump.clear("explode", 1_000.0)
