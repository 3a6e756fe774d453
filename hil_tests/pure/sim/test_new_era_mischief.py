"""Faults of a New Era pump that are on public record: what the host is told, and what the plunger does."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.new_era_host import Host, awake, packet, programmed, safe
from sim.devices.new_era_faults import WAYS
from sim.faults.kinds import find
from sim.faults.parameters import FaultError

HOUR = 3_600.0


def running() -> Host:
    """At 26.7 mL/h."""
    host = programmed()
    host.tell("RUN")
    return host


def moved_ml(host: Host, seconds: float) -> float:
    before = host.pump.truth().plunger_nl
    host.wait(seconds)
    return (host.pump.truth().plunger_nl - before) / 1e6


@pytest.mark.parametrize(
    ("kind", "letter"),
    [("false_occlusion", "S"), ("spurious_inoperable", "E"), ("false_dead_man", "T")],
)
def test_an_alarm_without_a_cause_stops_the_pump_and_is_told(kind: str, letter: str) -> None:
    host = running()
    host.pump.inject(kind, host.now)
    assert host.ask("") == f"00A?{letter}"
    assert host.ask("") == "00S"
    assert moved_ml(host, 60) == 0.0


def test_in_safe_mode_it_is_announced_at_once() -> None:
    host = safe()
    [(_, frame)] = host.pump.inject("false_occlusion", host.now)
    assert frame == packet("00A?S")


def test_a_pump_that_says_it_stands_may_go_on_until_it_is_mended() -> None:
    host = running()
    host.pump.inject("delivers_in_alarm", host.now)
    assert (host.ask(""), host.ask("")) == ("00A?S", "00S")
    assert moved_ml(host, 360) == pytest.approx(2.67, abs=1e-3)
    host.pump.clear("delivers_in_alarm", host.now)
    assert moved_ml(host, 360) == 0.0


def test_a_pump_that_was_started_again_goes_on_when_it_is_mended() -> None:
    host = running()
    host.pump.inject("delivers_in_alarm", host.now)
    assert host.ask("") == "00A?S"
    host.tell("RUN")
    host.pump.clear("delivers_in_alarm", host.now)
    assert moved_ml(host, 360) == pytest.approx(2.67, abs=1e-3)


@pytest.mark.parametrize(
    ("form", "answer"), [("wrong", "01S"), ("missing", "S"), ("doubled", "0000S")]
)
def test_an_answer_may_carry_another_address_none_or_its_own_twice(form: str, answer: str) -> None:
    host = programmed()
    host.pump.inject("wrong_address", host.now, form=form)
    assert host.ask("") == answer
    assert host.ask("") == "00S"


def test_others_may_speak_up_beside_the_answer_or_before_it() -> None:
    host = programmed()
    host.pump.inject("two_answer", host.now)
    assert host.send(b"\r") == [b"\x0201S\x03", b"\x0200S\x03"]
    host.pump.inject("unsolicited_between", host.now)
    assert host.send(b"\r") == [b"\x0200A?R\x03", b"\x0200S\x03"]


def test_a_late_answer_comes_after_the_time_that_a_host_waits() -> None:
    host = programmed()
    host.pump.inject("late_reply", host.now, delay_ms=1_500)
    assert host.pump.feed(b"\r\r", host.now) == [(1.5, b"\x0200S\x03"), (0.0, b"\x0200S\x03")]


def test_a_bouncing_key_gives_ten_times_the_rate_and_stuck_keys_stop_nothing() -> None:
    host = running()
    host.pump.inject("key_bounce", host.now, rate_ml_h=10)
    assert host.ask("RAT") == "00I100.0MH"
    host.pump.inject("key_stuck", host.now)
    host.pump.inject("keypad_stop", host.now)
    assert host.ask("") == "00I"


def test_after_a_brown_out_the_pump_says_that_it_runs_and_nothing_moves() -> None:
    host = running()
    host.pump.inject("brown_out", host.now)
    assert host.ask("") == "00I"
    assert moved_ml(host, 60) == 0.0


def test_a_refused_command_says_so_and_one_acknowledged_in_vain_does_not() -> None:
    host = programmed()
    host.pump.inject("refuse_command", host.now)
    assert host.ask("RUN") == "00S?NA"
    host.pump.inject("wrong_acknowledge", host.now, for_commands=2)
    assert host.ask("DIA") == "00S14.43"  # a question is answered as ever
    assert host.ask("RAT5MH") == "00S"
    assert host.ask("RUN") == "00S"
    assert host.ask("RAT") == "00S26.70MH"
    assert host.ask("RUN") == "00I"


def test_a_counter_that_is_off_deceives_the_host_and_not_the_truth() -> None:
    host = running()
    host.pump.inject("counter_error", host.now, error_pct=-50)
    assert moved_ml(host, 360) == pytest.approx(2.67, abs=1e-3)
    assert host.ask("DIS") == "00II1.335W0.000ML"
    host.pump.clear("counter_error", host.now)
    assert host.ask("DIS") == "00II2.670W0.000ML"


def test_hands_at_the_keys_are_obeyed_as_the_host_would_be() -> None:
    host = running()
    host.pump.inject("keypad_rate", host.now, rate_ml_h=267)
    assert moved_ml(host, 36) == pytest.approx(2.67, abs=1e-3)
    host.pump.inject("keypad_stop", host.now)
    assert host.ask("") == "00P"
    assert moved_ml(host, 60) == 0.0


def test_a_key_that_is_not_taken_is_refused() -> None:
    host = awake()
    with pytest.raises(FaultError, match="does not take the key now"):
        host.pump.inject("keypad_stop", host.now)


def test_lost_settings_are_those_of_the_factory_after_a_reset() -> None:
    host = programmed()
    host.tell("DIA14.57")
    host.pump.inject("settings_lost", host.now)
    assert host.ask("") == "00A?R"
    assert host.ask("DIA") == "00S26.59"


def test_a_hundredth_of_the_steps_lost_is_a_hundredth_less_delivered() -> None:
    host = running()
    host.pump.inject("lost_steps", host.now, loss_pct=1)
    assert moved_ml(host, 360) == pytest.approx(2.67 * 0.99, abs=1e-3)
    assert host.ask("DIS") == "00II2.670W0.000ML"


def test_a_wrong_syringe_delivers_by_the_square_of_the_diameters() -> None:
    host = running()
    host.pump.inject("wrong_syringe", host.now, diameter_mm=28.86)
    assert moved_ml(host, 360) == pytest.approx(4 * 2.67, rel=1e-3)


@pytest.mark.parametrize("kind", sorted(WAYS))
def test_every_way_can_be_done_and_undone_and_leaves_a_pump_that_works(kind: str) -> None:
    host = running()
    host.pump.inject(kind, host.now)
    host.wait(5)
    if find(kind).lasting:
        host.pump.clear(kind, host.now)
    host.wait(5)
    host.pump.clear(None, host.now)
    host.pump.power_cycle(host.now)
    assert host.ask("") == "00A?R"
    host.tell("DIA14.43", "VOL1", "RAT60MH", "CLDINF", "RUN")
    host.wait(61)
    assert host.ask("") == "00S"
    assert host.ask("DIS") == "00SI1.000W0.000ML"


def test_mending_everything_touches_only_what_was_broken() -> None:
    host = running()
    host.pump.clear(None, host.now)
    assert host.pump.mechanics.state.real is None
