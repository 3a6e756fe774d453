"""Faults of an Alaris pump that are on public record: what the host is told, and what the plunger does."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.alaris_host import Host, controlled, framed, programmed
from sim.devices.alaris import AlarisPump
from sim.devices.alaris_faults import WAYS
from sim.faults.kinds import find
from sim.faults.parameters import FaultError
from sim.mechanics_housing import Battery

MIN_S = 60.0


def running() -> Host:
    """At 26.7 mL/h."""
    host = programmed()
    host.tell("INF_START")
    return host


def moved_ml(host: Host, seconds: float) -> float:
    before = host.pump.truth().plunger_nl
    host.wait(seconds)
    return (host.pump.truth().plunger_nl - before) / 1e6


@pytest.mark.parametrize(
    ("kind", "code"), [("false_occlusion", "AL_OCCLU"), ("spurious_inoperable", "AL_FAULT")]
)
def test_an_alarm_without_a_cause_stops_the_pump_until_it_is_acknowledged(
    kind: str, code: str
) -> None:
    host = running()
    host.pump.inject(kind, host.now)
    assert host.alarm() == code
    assert moved_ml(host, 60) == 0.0
    host.tell("INF_STOP", "INF_START")
    assert moved_ml(host, 60) == pytest.approx(0.445, abs=1e-3)


def test_a_lease_that_runs_out_without_a_cause_stops_the_pump_and_must_be_asked_for_again() -> None:
    host = running()
    host.pump.inject("false_dead_man", host.now)
    assert host.alarm() == "AL_COMTO"
    assert host.ask("INF_STOP") is None
    assert moved_ml(host, 0.5) == 0.0
    host.enable()
    host.tell("INF_STOP", "INF_START")


def test_a_model_without_remote_control_has_no_lease_that_could_run_out() -> None:
    pump = AlarisPump(model="asena-gh-later")
    with pytest.raises(FaultError, match="no remote control that could time out"):
        pump.inject("false_dead_man", 0.0)


def test_a_pump_that_says_it_stands_may_go_on_until_it_is_mended() -> None:
    host = running()
    host.pump.inject("delivers_in_alarm", host.now)
    assert host.alarm() == "AL_OCCLU"
    assert host.status()[3:5] == ["HLD", "0.00"]
    assert moved_ml(host, 60) == pytest.approx(0.445, abs=1e-3)
    host.pump.clear("delivers_in_alarm", host.now)
    assert moved_ml(host, 60) == 0.0


def test_a_refused_command_is_not_answered_and_one_acknowledged_in_vain_is() -> None:
    host = programmed()
    host.pump.inject("refuse_command", host.now)
    assert host.ask("INF_RATE") == "INF_RATE^26.70^ml/h"  # a question is answered as ever
    assert host.ask("INF_START") is None
    host.pump.inject("wrong_acknowledge", host.now, for_commands=2)
    assert host.ask("INF_RATE^5.00^ml/h") == "INF_RATE^5.00^ml/h"
    assert host.ask("INF_RATE") == "INF_RATE^26.70^ml/h"
    assert host.ask("INF_START") == "INF_START"
    assert moved_ml(host, 60) == 0.0
    host.tell("INF_START")
    assert moved_ml(host, 60) == pytest.approx(0.445, abs=1e-3)


def test_a_command_in_vain_may_share_its_bytes_with_the_next_one() -> None:
    host = programmed()
    host.pump.inject("wrong_acknowledge", host.now)
    assert len(host.send(framed("INF_RATE^5.00^ml/h") + framed("INF_RATE^6.00^ml/h"))) == 2
    assert host.ask("INF_RATE") == "INF_RATE^6.00^ml/h"


def test_a_counter_that_is_off_or_rolls_over_deceives_the_host_and_not_the_truth() -> None:
    host = running()
    host.pump.inject("counter_error", host.now, error_pct=-50)
    assert moved_ml(host, 120) == pytest.approx(0.89, abs=1e-3)
    assert host.ask("INF_VI") == "INF_VI^0.445^ml"
    host.pump.clear("counter_error", host.now)
    host.pump.inject("counter_rollover", host.now, at_ml=0.5)
    assert host.ask("INF_VI") == "INF_VI^0.390^ml"
    host.pump.clear("counter_rollover", host.now)
    assert host.ask("INF_VI") == "INF_VI^0.890^ml"


def test_hands_at_the_keys_are_obeyed_and_a_bouncing_key_gives_ten_times_the_rate() -> None:
    host = running()
    host.pump.inject("keypad_rate", host.now, rate_ml_h=60)
    assert moved_ml(host, 6) == pytest.approx(0.1, abs=1e-3)
    host.pump.inject("key_bounce", host.now, rate_ml_h=10)
    assert host.ask("INF_RATE") == "INF_RATE^100.00^ml/h"
    host.pump.inject("keypad_stop", host.now)
    assert host.status()[3] == "HLD"
    with pytest.raises(FaultError, match="does not take the key now"):
        host.pump.inject("keypad_stop", host.now)


def test_stuck_keys_stop_nothing() -> None:
    host = running()
    host.pump.inject("key_stuck", host.now)
    host.pump.inject("keypad_stop", host.now)
    assert moved_ml(host, 60) == pytest.approx(0.445, abs=1e-3)
    host.pump.clear("key_stuck", host.now)
    host.pump.inject("keypad_stop", host.now)
    assert moved_ml(host, 60) == 0.0


def test_a_pump_that_is_taken_out_of_remote_control_goes_on_without_an_alarm() -> None:
    host = running()
    host.pump.inject("keypad_mode", host.now)
    assert host.ask("INF_STOP") is None
    host.wait(60, holding=False)
    assert host.alarm() == "AL_NOALM"
    assert host.pump.truth().rate_nl_h > 0


@pytest.mark.parametrize(
    ("kind", "code"), [("drive_disengaged", "AL_DRDIS"), ("syringe_unconfirmed", "AL_SYRCO")]
)
def test_a_syringe_that_is_not_held_stops_the_pump_and_stands_in_the_way_of_a_start(
    kind: str, code: str
) -> None:
    host = running()
    host.pump.inject(kind, host.now)
    assert host.alarm() == code
    assert moved_ml(host, 10) == 0.0
    host.tell("INF_STOP")
    assert host.ask("INF_START") is None
    host.pump.clear(kind, host.now)
    host.tell("INF_START")


def test_mains_and_battery_warn_and_an_empty_battery_stops() -> None:
    host = running()
    host.pump.inject("mains_loss", host.now)
    assert host.alarm() == "AL_ACDIS"
    host.pump.inject("battery_left", host.now, remaining_min=Battery().low_min + 1)
    host.wait(0.5 * MIN_S)
    assert host.alarm() == "AL_ACDIS"
    host.wait(0.6 * MIN_S)
    assert host.alarm() == "AL_LWBAT"
    assert host.pump.truth().rate_nl_h > 0
    host.tell("INF_VTBI^DEACT")
    host.wait(Battery().low_min * MIN_S)
    assert host.alarm() == "AL_EMBAT"
    assert moved_ml(host, 10) == 0.0
    host.pump.clear("mains_loss", host.now)
    assert host.alarm() == "AL_LBTAC"
    host.tell("INF_STOP", "INF_START")


def test_a_battery_that_says_nothing_leaves_the_pump_dark_until_there_is_power() -> None:
    host = running()
    host.pump.inject("battery_alarm_missing", host.now)
    host.pump.inject("mains_loss", host.now)
    host.pump.inject("battery_left", host.now, remaining_min=1)
    assert host.alarm() == "AL_ACDIS"
    host.wait(1.1 * MIN_S)
    assert host.ask("INF") is None
    assert moved_ml(host, 10) == 0.0
    host.pump.clear("mains_loss", host.now)
    assert host.status()[3] == "HLD"


def test_the_end_of_an_infusion_may_be_told_with_the_priority_of_another() -> None:
    host = running()
    host.pump.inject("alarm_swapped", host.now)
    host.wait(300)
    assert host.alarm() == "AL_VTBIK"
    assert host.pump.truth().rate_nl_h == 0


def test_a_late_answer_comes_after_the_time_that_a_host_waits() -> None:
    host = running()
    host.pump.inject("late_reply", host.now, delay_ms=1_500)
    [(late, _)] = host.pump.feed(framed("INF_RATE"), host.now)
    assert late == pytest.approx(1.52)


def test_lost_settings_are_none_at_all() -> None:
    host = programmed()
    host.pump.inject("settings_lost", host.now)
    assert host.ask("INF_RATE") == "INF_RATE^0.00^ml/h"
    assert host.ask("INF_VTBI") == "INF_VTBI^DEACT^^ml^STOP"


def test_what_the_pump_has_no_part_for_is_refused_with_who_has_it() -> None:
    host = controlled()
    with pytest.raises(FaultError, match=r"wrong_address cannot be done.*fresenius.*new-era can"):
        host.pump.inject("wrong_address", host.now)
    with pytest.raises(FaultError, match="no engine of this version does it"):
        host.pump.inject("disk_full", host.now)


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
    host.enable()
    host.tell("INF_RATE^60.00^ml/h", "INF_VTBI^ACTIV^1.000^ml^STOP", "INF_VI_CLEAR", "INF_START")
    host.wait(61)
    assert host.alarm() == "AL_VTBIS"
    assert host.ask("INF_VI") == "INF_VI^1.000^ml"
