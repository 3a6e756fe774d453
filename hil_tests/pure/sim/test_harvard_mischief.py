"""Faults of both Harvard families: what the host is told, and what the plunger does."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.harvard_host import Host, made, pump_of
from sim.devices.harvard_faults import WAYS
from sim.devices.harvard_legacy_faults import WAYS as OLDER_WAYS
from sim.devices.harvard_legacy_kind import KIND as OLDER
from sim.devices.kinds import PumpOptions
from sim.faults.kinds import find
from sim.faults.parameters import FaultError


def programmed(*quirks: str, address: int = 0) -> Host:
    """26.7 mL/h and a target of 2 mL, not yet running."""
    host = made(*quirks, address=address)
    prefix = f"{address}:" if address else ""
    for command in ("diameter 14.43", "irate 26.7 m/h", "tvolume 2 ml"):
        host.say(f"{prefix}{command}")
    return host


def running(*quirks: str) -> Host:
    host = programmed(*quirks)
    assert host.tell("irun") == ">"
    return host


def older(address: int = 0) -> Host:
    """An older pump at 26.7 mL/h with a target of 2 mL, running."""
    host = Host(OLDER.make(PumpOptions(model="phd2000", address=address)))
    number = f"{address:02d}"
    for command in ("MMD14.43", "MLH26.7", "MLT2", "RUN"):
        host.say(f"{number}{command}")
    return host


def moved_ml(host: Host, seconds: float) -> float:
    before = host.pump.truth().plunger_nl
    host.wait(seconds)
    return (host.pump.truth().plunger_nl - before) / 1e6


# -- Elite, PHD Ultra, Legato -------------------------------------------------------------------------


def test_a_stall_without_a_cause_stops_the_pump_and_is_its_prompt() -> None:
    host = running()
    host.pump.inject("false_occlusion", host.now)
    assert host.say("") == b"\n*"
    assert moved_ml(host, 60) == 0.0
    assert host.tell("irun") == ">"


def test_a_pump_that_says_it_has_stalled_may_go_on_until_it_is_mended() -> None:
    host = running()
    host.pump.inject("delivers_in_alarm", host.now)
    assert host.say("") == b"\n*"
    assert moved_ml(host, 60) == pytest.approx(0.445, abs=1e-3)
    host.pump.clear("delivers_in_alarm", host.now)
    assert moved_ml(host, 60) == 0.0


def test_a_refused_command_says_so_and_one_acknowledged_in_vain_has_the_prompt_it_should() -> None:
    host = programmed()
    host.pump.inject("refuse_command", host.now)
    assert host.ask("irate") == "445 ul/min"  # a question is answered as ever
    assert host.say("irun").startswith(b"\nCommand error:")
    host.pump.inject("wrong_acknowledge", host.now, for_commands=2)
    assert host.tell("irate 5 m/h") == ":"
    assert host.ask("irate") == "445 ul/min"
    assert host.tell("irun") == ">"
    assert host.say("") == b"\n:"
    assert moved_ml(host, 60) == 0.0


def test_a_command_in_vain_may_share_its_bytes_with_the_next_one() -> None:
    host = programmed()
    host.pump.inject("wrong_acknowledge", host.now)
    host.send(b"irate 6 m/h\rirate 12 m/h\r")
    assert host.ask("irate") == "200 ul/min"


def test_a_counter_that_is_off_or_rolls_over_deceives_the_host_and_not_the_target() -> None:
    host = running()
    host.pump.inject("counter_error", host.now, error_pct=-50)
    assert moved_ml(host, 120) == pytest.approx(0.89, abs=1e-3)
    assert host.ask("ivolume") == "445 ul"
    host.pump.clear("counter_error", host.now)
    host.pump.inject("counter_rollover", host.now, at_ml=0.5)
    assert host.ask("ivolume") == "390 ul"
    host.wait(1_000)
    assert host.pump.truth().plunger_nl == 2_000_000


def test_hands_at_the_screen_are_obeyed_and_a_bouncing_key_gives_ten_times_the_rate() -> None:
    host = running()
    host.pump.inject("keypad_rate", host.now, rate_ml_h=60)
    assert moved_ml(host, 6) == pytest.approx(0.1, abs=1e-3)
    host.pump.inject("key_bounce", host.now, rate_ml_h=10)
    assert moved_ml(host, 36) == pytest.approx(1.0, abs=1e-3)
    host.pump.inject("keypad_stop", host.now)
    assert host.say("") == b"\n:"
    with pytest.raises(FaultError, match="does not take the key now"):
        host.pump.inject("keypad_stop", host.now)
    with pytest.raises(FaultError, match="does not take the key now"):
        host.pump.inject("keypad_rate", host.now, rate_ml_h=90_000)


def test_a_mode_that_somebody_chose_stands_in_the_way_of_a_run() -> None:
    host = programmed()
    host.pump.inject("keypad_mode", host.now)
    assert b"Not available in this mode" in host.say("irun")


def test_a_touched_screen_leaves_the_host_unheard_until_it_ends_a_line() -> None:
    host = running()
    host.pump.inject("screen_touched", host.now)
    assert host.send(b"st") == host.send(b"p") == b""
    assert host.send(b"\r") == b""
    assert pump_of(host).prompt == ">"
    assert host.say("stp") == b"\n:"


@pytest.mark.parametrize(
    ("form", "answer"), [("wrong", b"\n06>"), ("missing", b"\n>"), ("doubled", b"\n0505>")]
)
def test_an_answer_may_carry_another_address_none_or_its_own_twice(
    form: str, answer: bytes
) -> None:
    host = programmed(address=5)
    host.pump.inject("wrong_address", host.now, form=form)
    assert host.say("05:irun") == answer
    assert host.say("05:") == b"\n05>"


def test_another_pump_may_answer_as_well() -> None:
    host = programmed(address=5)
    host.pump.inject("two_answer", host.now)
    assert host.say("05:irun") == b"\n06>\n05>"


def test_a_prompt_that_nobody_asked_for_may_come_between_command_and_answer() -> None:
    host = running()
    host.pump.inject("unsolicited_between", host.now)
    assert host.say("irate") == b"\n>\n445 ul/min\r\n>"


def test_a_late_answer_comes_after_the_time_that_a_host_waits() -> None:
    host = running()
    host.pump.inject("late_reply", host.now)
    assert host.pump.feed(b"\r\r", host.now) == [(1.5, b"\n>"), (0.0, b"\n>")]


def test_lost_settings_are_those_of_the_factory() -> None:
    host = programmed(address=5)
    host.pump.inject("settings_lost", host.now)
    assert host.ask("irate") == "1 ml/min"
    assert host.ask("addr") == "Pump address is 0"


def test_without_a_dead_man_and_an_internal_alarm_there_is_nothing_to_report() -> None:
    host = made()
    for kind in ("false_dead_man", "spurious_inoperable"):
        with pytest.raises(FaultError, match=r"cannot be done to this pump, alaris.* can; it has"):
            host.pump.inject(kind, host.now)


# -- the older ones -----------------------------------------------------------------------------------


def test_an_older_pump_stalls_without_a_cause_or_goes_on_when_it_says_so() -> None:
    host = older()
    host.pump.inject("delivers_in_alarm", host.now)
    assert host.say("00")[-1:] == b"*"
    assert moved_ml(host, 60) == pytest.approx(0.445, abs=1e-3)
    host.pump.clear("delivers_in_alarm", host.now)
    assert moved_ml(host, 60) == 0.0
    host.say("00RUN")
    host.pump.inject("false_occlusion", host.now)
    assert host.say("00")[-1:] == b"*"
    assert moved_ml(host, 60) == 0.0


def test_an_older_pump_refuses_a_command_or_answers_it_in_vain() -> None:
    host = older()
    host.pump.inject("refuse_command", host.now)
    assert b"26.7" in host.say("00RAT")
    assert b"NA" in host.say("00STP")
    host.pump.inject("wrong_acknowledge", host.now)
    assert host.say("00STP")[-1:] in b":*"
    assert host.say("00")[-1:] == b">"


def test_the_counter_of_an_older_pump_may_be_off_or_roll_over() -> None:
    host = older()
    host.pump.inject("counter_error", host.now, error_pct=-50)
    host.wait(120)
    assert b"0.445" in host.say("00VOL")
    host.pump.clear("counter_error", host.now)
    host.pump.inject("counter_rollover", host.now, at_ml=0.5)
    assert b"0.39" in host.say("00VOL")


def test_hands_at_an_older_pump_stop_it_change_its_rate_and_take_its_target_away() -> None:
    host = older()
    host.pump.inject("key_bounce", host.now, rate_ml_h=10)
    assert moved_ml(host, 18) == pytest.approx(0.5, abs=1e-3)
    host.pump.inject("keypad_rate", host.now, rate_ml_h=60)
    assert moved_ml(host, 6) == pytest.approx(0.1, abs=1e-3)
    host.pump.inject("keypad_stop", host.now)
    assert moved_ml(host, 6) == 0.0
    host.pump.inject("keypad_mode", host.now)
    host.say("00RUN")
    assert moved_ml(host, 360) == pytest.approx(6.0, abs=1e-3)
    with pytest.raises(FaultError, match="does not take the key now"):
        host.pump.inject("keypad_rate", host.now, rate_ml_h=90_000)


def test_an_older_pump_may_answer_from_another_address_or_with_another_pump() -> None:
    host = older(address=5)
    own = b"5" if host.say("05").endswith(b"\n5>") else b"05"
    host.pump.inject("wrong_address", host.now, form="doubled")
    assert host.say("05") == b"\r\n" + own * 2 + b">"
    host.pump.inject("two_answer", host.now)
    another = own.replace(b"5", b"6")
    assert host.say("05") == b"\r\n" + another + b">\r\n" + own + b">"


def test_an_older_pump_may_forget_its_settings() -> None:
    host = older(address=5)
    host.pump.inject("settings_lost", host.now)
    assert b"14.43" in host.say("00DIA")
    assert host.say("05") == b""


# -- all of them --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(WAYS))
def test_every_way_can_be_done_and_undone_and_leaves_a_pump_that_works(kind: str) -> None:
    host = programmed() if kind == "keypad_mode" else running()
    host.pump.inject(kind, host.now)
    host.wait(5)
    if find(kind).lasting:
        host.pump.clear(kind, host.now)
    host.wait(5)
    host.pump.clear(None, host.now)
    host.pump.power_cycle(host.now)
    host.say("")
    host.tell("load qs i", "diameter 14.43", "irate 60 m/h", "civolume", "tvolume 1 ml", "irun")
    host.wait(61)
    assert host.say("") == b"\nT*"
    assert host.ask("ivolume") == "1 ml"


@pytest.mark.parametrize("kind", sorted(OLDER_WAYS))
def test_every_way_can_be_done_to_an_older_pump_and_undone(kind: str) -> None:
    host = older()
    if kind == "keypad_mode":
        host.say("00STP")
    host.pump.inject(kind, host.now)
    host.wait(5)
    if find(kind).lasting:
        host.pump.clear(kind, host.now)
    host.wait(5)
    host.pump.clear(None, host.now)
    host.pump.power_cycle(host.now)
    for command in ("MMD14.43", "MLH60", "CLV", "MLT1", "RUN"):
        assert host.say(f"00{command}")
    host.wait(61)
    assert b"1.000" in host.say("00VOL") or b"1000" in host.say("00VOL")
    assert moved_ml(host, 10) == 0.0
