"""What a pumplink/1 pump feels, which alarms that means, and how it can be broken."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.pumplink_host import (
    AIR,
    ALARM,
    ALARM_PRESENT,
    BATTERY,
    BATTERY_DEPLETED,
    CLAMP_SHUT,
    COMPLETED,
    DONE,
    DOOR_OPEN,
    EMPTY,
    INTERNAL_FAULT,
    LEASE_EXPIRED,
    LOST_STEPS,
    MAINS_LOST,
    NOT_ARMED,
    OCCLUSION,
    REFUSED,
    RESET,
    RUNNING,
    STALL,
    STOPPED,
    Host,
    opened,
    running,
)
from sim.devices.kinds import device_kind
from sim.devices.pumplink import PumplinkPump
from sim.faults.kinds import find
from sim.faults.parameters import FaultError
from sim.faults.pump_kinds import PUMP_KINDS
from sim.mechanics import Line, Mount

FAULTS = device_kind("pumplink").faults
NOT_THERE = {
    *("wrong_address", "two_answer", "keypad_mode", "screen_touched"),
    *("drive_disengaged", "syringe_unconfirmed", "sounder_failed", "alarm_swapped"),
}
"""It has no address, no mode, no screen, no clutch to feel, no sounder, no KVO."""
SMALL = Mount(capacity_nl=60_000_000, loaded_nl=1_000_000)


def raised(host: Host, seconds: float) -> int:
    """The alarms after so long under lease."""
    host.wait(seconds, lease_ms=3_000)
    return host.alarms()


# --- alarms ---------------------------------------------------------------------------------------


def test_an_alarm_is_repeated_every_second_with_its_number_until_acknowledged() -> None:
    host = running()
    (first, _) = host.inject("door_open")
    again = host.wait(3.5)
    assert [each["event_seq"] for each in again] == [first["event_seq"]] * 3
    assert len({each["seq"] for each in again}) == 3
    host.send("ALARM_ACK", alarms=DOOR_OPEN)
    assert host.wait(3) == []


def test_an_alarm_stays_until_acknowledged_and_its_cause_is_gone() -> None:
    host = running()
    host.inject("door_open")
    assert host.ask("ALARM_ACK", alarms=DOOR_OPEN)["alarms"] == DOOR_OPEN
    assert [(said["kind"], said["id"]) for said in host.clear("door_open")] == [
        (2, 13),
        (0, STOPPED),
    ]
    assert host.alarms() == 0
    host.inject("door_open")
    host.clear("door_open")
    assert host.alarms() == DOOR_OPEN
    assert host.ask("ALARM_ACK", alarms=DOOR_OPEN)["alarms"] == 0


def test_an_alarm_without_a_host_is_told_once_there_is_one() -> None:
    host = Host(PumplinkPump())
    host.inject("door_open")
    assert host.wait(2) == []
    host.hello()
    said = {each["id"] for each in host.wait(1)}
    assert said == {5, 13}


@pytest.mark.parametrize(
    ("kind", "alarm"),
    [
        ("door_open", DOOR_OPEN),
        ("clamp_shut", CLAMP_SHUT),
        ("false_occlusion", OCCLUSION),
        ("spurious_inoperable", INTERNAL_FAULT),
        ("false_dead_man", LEASE_EXPIRED),
    ],
)
def test_what_somebody_does_to_it_stops_it_at_once(kind: str, alarm: int) -> None:
    host = running()
    host.wait(10, lease_ms=3_000)
    host.inject(kind)
    moved = host.pump.truth().plunger_nl
    snapshot = host.snapshot()
    assert (snapshot["state"], snapshot["alarms"]) == (ALARM, alarm)
    host.wait(5)
    assert host.pump.truth().plunger_nl == moved
    assert host.arm()["ending"] == DONE
    assert host.run()["code"] == ALARM_PRESENT


def test_an_alarm_closes_the_gate() -> None:
    host = running()
    host.inject("false_occlusion")
    host.send("ALARM_ACK", alarms=OCCLUSION)
    assert host.snapshot()["state"] == STOPPED
    assert host.run()["code"] == NOT_ARMED


# --- what it feels --------------------------------------------------------------------------------


def test_pressure_rises_behind_an_occlusion_and_stops_it_at_the_limit() -> None:
    host = running(line=Line(compliance_nl_mmhg=1_000, alarm_mmhg=300))
    host.inject("downstream_occlusion")
    host.wait(9, lease_ms=3_000)
    assert host.snapshot()["pressure_pa"] == pytest.approx(150 * 133.322, abs=0.5)
    assert raised(host, 10) == OCCLUSION
    assert host.pump.truth().pressure_mmhg == pytest.approx(300)
    assert host.ask("ALARM_ACK", alarms=OCCLUSION)["alarms"] == OCCLUSION
    host.clear("downstream_occlusion")
    host.wait(0.2)
    assert host.alarms() == 0


def test_an_offset_of_the_sensor_brings_the_alarm_sooner() -> None:
    host = running(line=Line(compliance_nl_mmhg=1_000, alarm_mmhg=300))
    host.inject("force_sensor_offset", offset_mmhg=200.0)
    host.inject("downstream_occlusion")
    assert raised(host, 7) == OCCLUSION
    assert host.pump.truth().pressure_mmhg == pytest.approx(100)


def test_pull_is_shown_as_no_pressure() -> None:
    host = running()
    host.inject("force_sensor_offset", offset_mmhg=-200.0)
    assert host.snapshot()["pressure_pa"] == 0


def test_air_at_the_detector_stops_it_and_a_blind_detector_lets_it_pass() -> None:
    seeing, blind = running(), running()
    blind.inject("air_alarm_missed")
    for host in (seeing, blind):
        host.inject("air_bubble", volume_ul=100.0)
    assert raised(seeing, 5) == AIR
    assert seeing.ask("SENSORS_REQ")["inputs"] & 4
    assert raised(blind, 5) == 0
    seeing.clear("air_bubble")
    assert seeing.ask("ALARM_ACK", alarms=AIR)["alarms"] == 0


def test_either_end_of_the_syringe_is_told() -> None:
    host = running(mount=SMALL)
    assert raised(host, 61) == EMPTY
    assert host.pump.truth().plunger_nl == 1_000_000
    full = opened(mount=Mount(capacity_nl=10_000_000, loaded_nl=9_000_000))
    full.arm()
    full.run(ml=9, direction=1)
    assert raised(full, 61) == EMPTY


def test_a_motor_that_cannot_turn_stalls() -> None:
    host = running()
    host.inject("motor_stall")
    assert raised(host, 1) == STALL


@pytest.mark.parametrize("loss_pct", [5.0, 20.0])
def test_the_encoder_tells_of_steps_that_were_not_made(loss_pct: float) -> None:
    host = running()
    host.wait(30, lease_ms=3_000)
    host.inject("lost_steps", loss_pct=loss_pct)
    assert raised(host, 120) == LOST_STEPS
    said = host.ask("SENSORS_REQ")
    assert 64 < said["steps_commanded"] - said["steps_counted"] < 200


def test_the_encoder_believes_a_drive_that_loses_nothing() -> None:
    host = running()
    host.inject("lost_steps", loss_pct=0.1)
    host.wait(601, lease_ms=3_000)
    assert host.snapshot()["state"] == COMPLETED


def test_the_encoder_knows_nothing_of_the_syringe() -> None:
    host = running()
    host.inject("wrong_syringe", diameter_mm=20.0)
    host.wait(60, lease_ms=3_000)
    said = host.ask("SENSORS_REQ")
    assert abs(said["steps_commanded"] - said["steps_counted"]) <= 2
    assert host.snapshot()["infused_nl"] == 1_000_000
    assert host.pump.truth().plunger_nl < 600_000


def test_mains_and_a_low_battery_warn_and_stop_nothing() -> None:
    host = running()
    host.inject("battery_left", remaining_min=31.0)
    host.inject("mains_loss")
    snapshot = host.snapshot()
    assert (snapshot["state"], snapshot["alarms"]) == (RUNNING, MAINS_LOST)
    assert host.ask("SENSORS_REQ")["battery_s"] == 31 * 60
    assert raised(host, 61) == MAINS_LOST | BATTERY
    assert host.snapshot()["state"] == RUNNING
    host.order("STOP")
    assert host.run(ml=1)["code"] == ALARM_PRESENT
    host.send("ALARM_ACK", alarms=MAINS_LOST | BATTERY)
    assert host.run(ml=1)["ending"] == DONE


def test_an_empty_battery_stops_it_and_three_minutes_later_it_goes_out() -> None:
    host = running()
    host.inject("battery_left", remaining_min=1.0)
    host.inject("mains_loss")
    assert raised(host, 61) == MAINS_LOST | BATTERY | BATTERY_DEPLETED
    assert host.pump.truth().plunger_nl == 1_000_000
    host.wait(181)
    assert host.send("SNAPSHOT_REQ") == []
    host.clear("mains_loss")
    host.hello()
    assert host.alarms() & RESET


def test_mains_that_come_back_in_time_keep_it_alive() -> None:
    host = running()
    host.inject("battery_left", remaining_min=29.0)
    host.inject("mains_loss")
    host.wait(60, lease_ms=3_000)
    host.clear("mains_loss")
    host.send("ALARM_ACK", alarms=0xFFFFFFFF)
    host.wait(100, lease_ms=3_000)
    assert host.snapshot()["state"] == RUNNING
    assert host.alarms() == BATTERY
    host.wait(61, lease_ms=3_000)
    assert host.alarms() == 0


# --- faults ---------------------------------------------------------------------------------------


def test_everything_that_can_be_done_to_a_pump_can_be_done_to_this_one() -> None:
    assert {kind.kind for kind in PUMP_KINDS} - set(FAULTS) == NOT_THERE


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_can_be_done_and_undone_while_it_runs(kind: str) -> None:
    host = running()
    host.wait(2, lease_ms=3_000)
    host.inject(kind)
    host.wait(2)
    if find(kind).lasting:
        host.clear(kind)
    host.wait(70)
    host.clear()
    said = host.hello(link=0x0101)
    assert said["version"] == 1
    host.send("ALARM_ACK", alarms=0xFFFFFFFF)
    host.wait(0.2)
    assert host.alarms() & ~BATTERY == 0


def test_a_mute_pump_obeys_and_says_nothing() -> None:
    host = running()
    host.inject("mute")
    assert host.send("STOP", command_id=77) == []
    host.clear("mute")
    assert host.snapshot()["state"] == STOPPED


def test_a_lost_answer_is_said_again_for_the_same_command() -> None:
    host = opened()
    host.arm()
    host.inject("frame_drop", direction="from_pump", for_commands=1)
    frame = host.frame("BOLUS", command_id=9, rate_nl_h=60_000_000, volume_nl=10, lease_ms=300)
    assert host.feed(frame) == []
    assert host.feed(frame)[0]["ending"] == DONE


def test_a_frame_lost_on_the_way_in_was_never_heard() -> None:
    host = running()
    host.inject("frame_drop", direction="to_pump", for_commands=1)
    assert host.send("STOP", command_id=77) == []
    assert host.snapshot()["state"] == RUNNING


def test_an_ignored_stop_is_answered_as_done_and_the_lease_still_holds() -> None:
    host = running()
    host.inject("stop_ignored")
    assert host.order("STOP")["ending"] == DONE
    assert host.snapshot()["state"] == RUNNING
    host.wait(10)
    assert host.pump.truth().plunger_nl == 50_000


def test_a_refused_and_a_pretended_command_change_nothing() -> None:
    host = opened()
    host.arm()
    host.inject("refuse_command", for_commands=1)
    assert host.run()["ending"] == REFUSED
    host.inject("wrong_acknowledge", for_commands=1)
    assert host.run()["ending"] == DONE
    assert host.snapshot()["state"] == STOPPED


def test_a_counter_that_is_off_shows_in_the_snapshot_alone() -> None:
    host = running()
    host.inject("counter_error", error_pct=10.0)
    host.wait(60, lease_ms=3_000)
    assert host.snapshot()["infused_nl"] == 1_100_000
    assert host.pump.truth().plunger_nl == 1_000_000


def test_a_pump_may_go_on_although_it_says_that_it_stands() -> None:
    host = running()
    host.inject("delivers_in_alarm")
    assert host.snapshot()["state"] == ALARM
    host.wait(60)
    assert host.pump.truth().plunger_nl == 1_000_000
    host.clear("delivers_in_alarm")
    host.wait(60)
    assert host.pump.truth().plunger_nl == 1_000_000


def test_a_fast_crystal_shortens_the_lease_and_hurries_the_motor() -> None:
    host = running()
    host.inject("clock_drift", drift_ppm=100_000.0)
    host.wait(10)
    assert host.alarms() == LEASE_EXPIRED
    assert host.pump.truth().plunger_nl == pytest.approx(50_000, abs=1)
    assert host.ask("TIMESYNC")["t_pump_us"] == 11_000_000


def test_somebody_at_its_keys_stops_it_and_changes_its_rate() -> None:
    host = running()
    host.inject("keypad_rate", rate_ml_h=120.0)
    host.wait(30, lease_ms=3_000)
    assert host.snapshot()["rate_nl_h"] == 120_000_000
    (said,) = host.inject("keypad_stop")
    assert (said["kind"], said["id"]) == (0, STOPPED)
    assert host.pump.truth().plunger_nl == 1_000_000
    with pytest.raises(FaultError, match="stopped"):
        host.inject("keypad_rate", rate_ml_h=100.0)


def test_a_memory_that_was_lost_has_lost_the_latch_too() -> None:
    host = running()
    host.feed(bytes.fromhex("000301 7f010101052352 0f4c00"))
    host.inject("settings_lost")
    host.hello()
    assert host.alarms() == RESET


def test_a_motor_that_stands_unbidden_is_noticed() -> None:
    host = running()
    host.inject("brown_out")
    assert host.snapshot()["state"] == RUNNING
    assert raised(host, 2) == STALL


def test_a_battery_that_says_nothing_leaves_it_dark() -> None:
    host = running()
    host.inject("battery_alarm_missing")
    host.inject("battery_low")
    host.inject("mains_loss")
    assert raised(host, 60) == MAINS_LOST
    host.wait(30 * 60, lease_ms=3_000)
    assert host.send("SNAPSHOT_REQ") == []
    assert host.pump.truth().plunger_nl == 10_000_000


def test_a_late_answer_and_one_that_nobody_asked_for() -> None:
    host = running()
    host.inject("late_reply", delay_ms=1_500.0, for_commands=1)
    ((delay, _),) = host.pump.feed(host.frame("SNAPSHOT_REQ"), host.now)
    assert delay == pytest.approx(1.5)
    host.inject("unsolicited_between", for_commands=1)
    host.now += 2
    assert [said["name"] for said in host.send("SNAPSHOT_REQ")] == ["EVENT", "SNAPSHOT"]


def test_a_counter_begins_again() -> None:
    host = running()
    host.inject("counter_rollover", at_ml=1.0)
    host.wait(90, lease_ms=3_000)
    assert host.snapshot()["infused_nl"] == 500_000


def test_keys_that_stick_are_not_felt_and_keys_that_bounce_are_felt_twice() -> None:
    host = running()
    host.inject("key_stuck")
    host.inject("keypad_stop")
    assert host.snapshot()["state"] == RUNNING
    host.clear("key_stuck")
    host.inject("key_bounce", rate_ml_h=2.5)
    assert host.snapshot()["rate_nl_h"] == 2_550_000


def test_power_that_goes_takes_the_motor_along() -> None:
    host = running()
    host.inject("power_loss")
    assert host.send("SNAPSHOT_REQ") == []
    host.wait(10)
    assert host.pump.truth().plunger_nl == 0
    host.clear("power_loss")
    host.hello()
    assert host.snapshot()["state"] == ALARM
