"""Faults of an Orchestra that are on public record: what the host is told, and what the plunger does."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.fresenius_host import (
    ACK,
    ENQ,
    NAK,
    Host,
    framed,
    opened,
    programmed,
    texts,
)
from sim.devices.fresenius import OrchestraPump
from sim.devices.fresenius_faults import WAYS
from sim.faults.kinds import find
from sim.faults.parameters import FaultError

MIN_S = 60.0


def moved_ml(host: Host, seconds: float) -> float:
    before = host.pump.truth().plunger_nl
    host.wait(seconds)
    return (host.pump.truth().plunger_nl - before) / 1e6


@pytest.mark.parametrize(
    ("kind", "bits", "error"),
    [("false_occlusion", "0001", "0000"), ("spurious_inoperable", "0008", "0001")],
)
def test_an_alarm_without_a_cause_pauses_the_module_until_it_is_silenced(
    kind: str, bits: str, error: str
) -> None:
    host = programmed()
    host.pump.inject(kind, host.now)
    assert host.ask("1LE;ae") == f"1C;a{bits};e{error}"
    assert moved_ml(host, 60) == 0.0
    assert host.ask("1PR") == "1I;12"
    host.tell("1SI", "1PR")
    assert moved_ml(host, 60) == pytest.approx(0.445, abs=1e-3)


def test_a_host_that_is_taken_for_lost_finds_its_sessions_closed() -> None:
    host = programmed("host_lost=stop")
    host.pump.inject("false_dead_man", host.now)
    assert moved_ml(host, 10) == 0.0
    assert host.ask("1LE;a") == "1I;1E"


def test_a_pump_that_says_it_stands_may_go_on_until_it_is_mended() -> None:
    host = programmed()
    host.pump.inject("delivers_in_alarm", host.now)
    assert host.ask("1LE;ad") == "1C;a0001;d0000"
    assert moved_ml(host, 60) == pytest.approx(0.445, abs=1e-3)
    host.pump.clear("delivers_in_alarm", host.now)
    assert moved_ml(host, 60) == 0.0


def test_a_refused_command_is_not_ready_and_one_acknowledged_in_vain_is_correct() -> None:
    host = programmed()
    host.pump.inject("refuse_command", host.now)
    assert host.ask("1LE;d") == "1C;d010B"  # a question is answered as ever
    assert host.send(framed("1PO")) == NAK + b"6"
    host.pump.inject("wrong_acknowledge", host.now)
    assert host.ask("1PO") == "1C"
    assert moved_ml(host, 60) == pytest.approx(0.445, abs=1e-3)
    host.tell("1PO")
    assert moved_ml(host, 60) == 0.0


def test_a_command_in_vain_may_share_its_bytes_with_the_next_one() -> None:
    host = programmed()
    host.pump.inject("wrong_acknowledge", host.now)
    heard = host.send(framed("1PR;0064") + framed("1PR;00C8"))
    assert texts(heard) == ["1C", "1C"]
    host.send(ACK + ACK)
    assert host.ask("1LM;d") == "1C;d00C8"


def test_a_counter_that_is_off_or_rolls_over_deceives_the_host_and_not_the_truth() -> None:
    host = programmed()
    host.pump.inject("counter_error", host.now, error_pct=-50)
    assert moved_ml(host, 120) == pytest.approx(0.89, abs=1e-3)
    assert host.ask("1LE;r") == f"1C;r{445:06X}"
    host.pump.clear("counter_error", host.now)
    host.pump.inject("counter_rollover", host.now, at_ml=0.5)
    assert host.ask("1LE;r") == f"1C;r{390:06X}"


def test_a_counter_that_is_off_stays_off_when_the_rack_is_put_back() -> None:
    host = programmed()
    host.pump.inject("counter_error", host.now, error_pct=-50)
    host.pump.restore(host.pump.snapshot())
    host.wait(120)
    assert host.ask("1LE;r") == f"1C;r{445:06X}"
    host.pump.clear(None, host.now)
    assert host.ask("1LE;r") == f"1C;r{890:06X}"


def test_hands_at_the_keys_are_obeyed_and_a_bouncing_key_gives_ten_times_the_rate() -> None:
    host = programmed()
    host.pump.inject("keypad_rate", host.now, rate_ml_h=60)
    assert moved_ml(host, 6) == pytest.approx(0.1, abs=1e-3)
    host.pump.inject("key_bounce", host.now, rate_ml_h=10)
    assert host.ask("1LE;d") == "1C;d03E8"
    host.pump.inject("keypad_stop", host.now)
    assert moved_ml(host, 10) == 0.0
    with pytest.raises(FaultError, match="does not take the key now"):
        host.pump.inject("keypad_stop", host.now)


def test_a_module_that_the_keypad_takes_goes_on_and_refuses_the_host() -> None:
    host = programmed()
    host.pump.inject("keypad_mode", host.now)
    assert host.ask("1PO") == "1I;02"
    assert moved_ml(host, 60) == pytest.approx(0.445, abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "bits"), [("drive_disengaged", "0008"), ("syringe_unconfirmed", "0010")]
)
def test_a_syringe_that_is_not_held_stops_the_module_and_cannot_be_silenced(
    kind: str, bits: str
) -> None:
    host = programmed()
    host.pump.inject(kind, host.now)
    host.tell("1SI")
    assert host.ask("1LE;a") == f"1C;a{bits}"
    assert host.ask("1PR") == "1I;12"
    host.pump.clear(kind, host.now)
    host.tell("1PR")


def test_mains_and_battery_warn_and_an_empty_battery_leaves_the_rack_dark() -> None:
    host = opened()
    host.tell("1PR;010B")
    host.pump.inject("mains_loss", host.now)
    assert host.ask("1LE;a") == "1C;a0040"
    assert host.ask("2DC") == "2C"
    assert host.ask("2LE;a") == "2C;a0040"  # one plug for all
    host.pump.inject("battery_low", host.now)
    assert host.ask("1LE;a") == "1C;a0060"
    assert host.pump.truth().rate_nl_h > 0
    host.pump.inject("battery_left", host.now, remaining_min=1)
    host.wait(1.1 * MIN_S)
    assert host.send(framed("1LE;a")) == b""
    assert moved_ml(host, 10) == 0.0
    host.pump.clear(None, host.now)
    assert host.ask("0DC") == "0C"
    assert host.ask("1DC") == "1C"
    assert host.ask("1LE;a") == "1C;a0000"


def test_a_battery_without_a_warning_says_nothing_before_it_is_empty() -> None:
    host = programmed()
    host.pump.inject("battery_alarm_missing", host.now)
    host.pump.inject("battery_low", host.now)
    assert host.ask("1LE;a") == "1C;a0000"
    host.pump.clear("battery_alarm_missing", host.now)
    assert host.ask("1LE;a") == "1C;a0020"


@pytest.mark.parametrize(
    ("form", "answer"), [("wrong", "2C"), ("missing", "C"), ("doubled", "11C")]
)
def test_an_answer_may_carry_another_address_none_or_its_own_twice(form: str, answer: str) -> None:
    host = programmed()
    host.pump.inject("wrong_address", host.now, form=form)
    assert texts(host.send(framed("1PO"))) == [answer]
    host.send(ACK)
    assert host.ask("1LE;m") == "1C;m02"


def test_another_module_may_answer_as_well() -> None:
    host = programmed()
    host.pump.inject("two_answer", host.now)
    assert texts(host.send(framed("1PO"))) == ["2C", "1C"]


def test_an_enquiry_may_come_between_command_and_answer() -> None:
    host = programmed()
    host.pump.inject("unsolicited_between", host.now)
    assert host.send(framed("1PO")).startswith(ACK + ENQ + b"\x02")


def test_a_late_answer_comes_after_the_time_that_a_host_waits() -> None:
    host = programmed()
    host.pump.inject("late_reply", host.now, delay_ms=1_500)
    (_, (late, _)) = host.pump.feed(framed("1LE;d"), host.now)
    assert late == pytest.approx(1.5)


def test_lost_settings_are_none_at_all() -> None:
    host = programmed()
    host.tell("1EP;07")
    host.pump.inject("settings_lost", host.now)
    host.tell("0DC", "1DC")
    assert host.ask("1LM;d") == "1C;d0000"
    assert host.ask("1LP") == "1C;00"


def test_a_module_of_its_own_is_broken_as_well() -> None:
    host = Host(OrchestraPump(model="module"))
    host.tell("DC", "MO;2", "PR;010B")
    host.pump.inject("wrong_address", host.now)  # it has none
    host.pump.inject("false_occlusion", host.now)
    assert host.ask("LE;a") == "C;a0001"


@pytest.mark.parametrize("kind", sorted(WAYS))
def test_every_way_can_be_done_and_undone_and_leaves_a_rack_that_works(kind: str) -> None:
    host = programmed()
    host.pump.inject(kind, host.now)
    host.wait(5)
    if find(kind).lasting:
        host.pump.clear(kind, host.now)
    host.wait(5)
    host.pump.clear(None, host.now)
    host.pump.power_cycle(host.now)
    host.tell("0DC", "1DC", "1MO;2", "1PV;0003E8", "1PR;0258")
    host.wait(61)
    assert host.ask("1LE;r") == "1C;r0003E8"
    low = 0x20 if kind == "battery_left" else 0  # mains off and on do not charge it
    assert host.ask("1LE;a") == f"1C;a{0x04 | low:04X}"
