"""The simulated pumplink/1 pump: frames, links, commands, duplicates, lease, limits, emergency stop."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.pumplink_host import (
    ACCEPTED,
    ALARM,
    ALARM_PRESENT,
    BAD_ARGUMENT,
    CANONICAL,
    COMPLETED,
    DONE,
    ESTOP_LATCHED,
    IN_PROGRESS,
    LEASE_EXPIRED,
    NOT_ARMED,
    OK,
    OVER_LIMIT,
    PAUSED,
    REFUSED,
    RESET,
    RUNNING,
    SCHEMA_HASH,
    STOPPED,
    WRONG_STATE,
    Host,
    framed,
    golden,
    opened,
    packed,
    running,
)
from sim.devices import pumplink_frames, pumplink_table
from sim.devices.pumplink import PumplinkPump
from sim.devices.pumplink_quirks import Quirks

ESTOP = bytes.fromhex("0003017f010101052352 0f4c00")

# --- the page -------------------------------------------------------------------------------------


def test_the_pump_has_the_table_of_the_page_word_for_word() -> None:
    assert pumplink_table.ROWS == CANONICAL
    assert pumplink_table.SCHEMA_HASH == SCHEMA_HASH


@pytest.mark.parametrize("name", golden())
def test_a_golden_frame_is_stuffed_and_checked_as_by_hand(name: str) -> None:
    raw, wire = golden()[name]
    assert pumplink_frames.stuffed(raw) + b"\0" == wire
    assert pumplink_frames.unstuffed(wire[:-1]) == raw
    assert pumplink_frames.check(raw[:-4]) == raw[-4:]


def test_a_whole_conversation_goes_byte_for_byte_as_by_hand() -> None:
    pump = PumplinkPump()
    said: list[bytes] = []
    for name, (_, wire) in golden().items():
        at, direction, _ = name.split(" ", 2)
        said += [frame for _, frame in pump.advance(float(at))]
        if direction == ">":
            assert said == []
            said += [frame for _, frame in pump.feed(wire, float(at))]
        else:
            assert said.pop(0).hex(" ") == wire.hex(" "), name
    assert said == []


# --- links ----------------------------------------------------------------------------------------


def test_hello_tells_who_answers_and_within_which_limits() -> None:
    said = Host(PumplinkPump()).hello()
    assert said["name"] == "HELLO_ACK"
    assert (said["version"], said["schema_hash"], said["link"]) == (1, SCHEMA_HASH, 0xBEEF)
    assert (said["rate_nl_h_min"], said["rate_nl_h_max"]) == (1_000, 1_200_000_000)
    assert (said["lease_ms_min"], said["lease_ms_max"]) == (250, 60_000)
    assert said["capabilities"] == 0b1_0111_1111_1111


@pytest.mark.parametrize("changed", [{"schema_hash": 1}, {"version_min": 2, "version_max": 3}])
def test_a_host_of_another_page_is_told_so_and_only_its_stop_is_obeyed(
    changed: dict[str, int],
) -> None:
    host = running()
    assert host.hello(link=7, **changed)["version"] == 0
    assert host.send("SNAPSHOT_REQ") == []
    assert host.send("STOP", command_id=9) == []
    (said,) = [each for each in host.feed(ESTOP) if each["name"] == "SNAPSHOT"]
    assert (said["link"], said["alarms"] & ESTOP_LATCHED) == (0, ESTOP_LATCHED)


def test_another_link_id_ends_the_old_link_its_delivery_and_its_memory() -> None:
    host = running()
    host.now += 1
    assert host.hello(link=0x1234)["version"] == 1
    said = host.snapshot()
    assert (said["state"], said["link"]) == (STOPPED, 0x1234)
    host.command_id = 0
    assert host.run()["code"] == NOT_ARMED


def test_a_repeated_hello_is_answered_again_and_does_nothing() -> None:
    host = running()
    hello = framed(
        0x01, packed("HELLO", version_min=1, version_max=1, schema_hash=SCHEMA_HASH), seq=0
    )
    assert host.feed(hello)[0]["name"] == "HELLO_ACK"
    assert host.snapshot()["state"] == RUNNING


def test_frames_of_another_link_are_ignored() -> None:
    host = running()
    host.link = 0x0001
    assert host.send("STOP", command_id=99) == []
    host.link = 0xBEEF
    assert host.snapshot()["state"] == RUNNING


def test_link_id_zero_opens_nothing() -> None:
    pump = PumplinkPump()
    values = {"version_min": 1, "version_max": 1, "schema_hash": SCHEMA_HASH}
    assert pump.feed(framed(0x01, packed("HELLO", **values), link=0), 0) == []


def test_an_answer_carries_the_number_of_the_newest_frame() -> None:
    host = opened()
    assert host.snapshot()["ack"] == host.seq
    earlier, later = host.frame("SNAPSHOT_REQ"), host.frame("SNAPSHOT_REQ")
    assert [said["ack"] for said in host.feed(later + earlier)] == [host.seq, host.seq]


def test_a_question_that_is_heard_again_is_dropped_and_counted() -> None:
    host = opened()
    frame = host.frame("SNAPSHOT_REQ")
    assert len(host.feed(frame + frame)) == 1
    assert host.ask("COUNTERS")["duplicates"] == 1


def test_noise_is_counted_by_what_was_wrong_with_it() -> None:
    host = opened()
    frame = bytearray(host.frame("SNAPSHOT_REQ"))
    frame[7] ^= 0x01
    host.feed(bytes(frame) + b"\x01" * 300 + b"\0" + b"\x02\x05\0" + framed(0x02, b"") + b"\0\0")
    said = host.ask("COUNTERS")
    assert (said["crc_errors"], said["oversize"], said["resyncs"]) == (1, 1, 2)


def test_the_two_clocks_are_told_side_by_side() -> None:
    host = opened()
    host.now = 1.5
    said = host.ask("TIMESYNC", t_host_us=123_456_789_012)
    assert (said["t_host_us"], said["t_pump_us"]) == (123_456_789_012, 1_500_000)


# --- commands -------------------------------------------------------------------------------------


def test_a_run_delivers_its_target_and_says_completed_by_itself() -> None:
    host = running()
    said = host.wait(601, lease_ms=3_000)
    assert [(each["name"], each["kind"], each["id"]) for each in said] == [("EVENT", 0, COMPLETED)]
    snapshot = host.snapshot()
    assert (snapshot["state"], snapshot["infused_nl"]) == (COMPLETED, 10_000_000)
    assert (snapshot["remaining_nl"], snapshot["rate_nl_h"]) == (0, 0)
    assert host.pump.truth().plunger_nl == 10_000_000


def test_a_duplicate_is_answered_from_memory_and_never_doses_twice() -> None:
    host = opened()
    host.arm()
    host.command_id += 1
    frame = host.frame(
        "BOLUS",
        command_id=host.command_id,
        rate_nl_h=60_000_000,
        volume_nl=1_000_000,
        lease_ms=3_000,
    )
    (first,) = host.feed(frame)
    host.wait(70, lease_ms=3_000)
    (again,) = host.feed(frame)
    assert again["seq"] != first["seq"]
    assert {**again, "seq": 0, "ack": 0} == {**first, "seq": 0, "ack": 0}
    host.wait(70)
    assert host.pump.truth().plunger_nl == 1_000_000


def test_an_id_is_refused_where_it_is_old_or_another_commands() -> None:
    host = opened()
    first = host.command_id
    said = host.send("PAUSE", command_id=first)[0]
    assert (said["ending"], said["code"]) == (REFUSED, BAD_ARGUMENT)
    for _ in range(33):
        host.order("CLEAR_COUNTERS")
    said = host.send("CLEAR_COUNTERS", command_id=first)[0]
    assert (said["ending"], said["code"]) == (REFUSED, BAD_ARGUMENT)


def test_stop_is_obeyed_with_any_id() -> None:
    host = running()
    said = host.send("STOP", command_id=1)[0]
    assert said["ending"] == DONE
    assert host.snapshot()["state"] == STOPPED


def test_a_refusal_names_every_reason_with_value_and_limit() -> None:
    host = opened()
    host.arm(ml=5)
    said = host.run(ml_h=2_000, ml=70, lease_ms=10)
    assert (said["ending"], said["code"]) == (REFUSED, OVER_LIMIT)
    for part in ("2000000000", "1200000000", "70000000", "60000000"):
        assert part in said["reason"]
    assert (said["rate_nl_h"], said["volume_nl"]) == (0, 0)


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("CONFIGURE", {"diameter_um": 99, "syringe_size_nl": 1}, BAD_ARGUMENT),
        ("CONFIGURE", {"diameter_um": 1_000, "syringe_size_nl": 0}, BAD_ARGUMENT),
        ("ARM", {"rate_nl_h_max": 1_200_000_001}, OVER_LIMIT),
        ("RESUME", {}, WRONG_STATE),
        ("PAUSE", {}, WRONG_STATE),
        ("SET_RATE", {"rate_nl_h": 1_000}, WRONG_STATE),
        ("RESET", {"boot_id": 1}, BAD_ARGUMENT),
        ("SELF_TEST", {"lease_ms": 249}, BAD_ARGUMENT),
        ("BOLUS", {"rate_nl_h": 0, "volume_nl": 1_000, "lease_ms": 3_000}, BAD_ARGUMENT),
        ("BOLUS", {"rate_nl_h": 999, "volume_nl": 1_000, "lease_ms": 3_000}, OVER_LIMIT),
        ("BOLUS", {"rate_nl_h": 1_000, "volume_nl": 0, "lease_ms": 3_000}, BAD_ARGUMENT),
        ("BOLUS", {"rate_nl_h": 1_000, "volume_nl": 1, "lease_ms": 60_001}, BAD_ARGUMENT),
        ("BOLUS", {"rate_nl_h": 1_000, "volume_nl": 50_000_001, "lease_ms": 300}, OVER_LIMIT),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(
    name: str, values: dict[str, int], code: int
) -> None:
    host = opened()
    host.arm()
    said = host.order(name, **values)
    assert (said["ending"], said["code"]) == (REFUSED, code), said["reason"]
    assert host.snapshot()["state"] == STOPPED


def test_nothing_starts_before_arm_or_without_a_syringe() -> None:
    host = opened()
    assert host.run()["code"] == NOT_ARMED
    fresh = Host(PumplinkPump(quirks=Quirks(power_on="clean")))
    fresh.hello()
    fresh.arm()
    assert fresh.run()["code"] == WRONG_STATE


def test_the_armed_total_counts_from_arm_and_what_was_delivered() -> None:
    host = opened()
    host.arm(ml=10)
    host.run(ml=6)
    host.wait(5, lease_ms=3_000)
    host.order("STOP")
    assert host.run(ml=10)["code"] == OVER_LIMIT
    assert host.run(ml=9.9)["ending"] == DONE


def test_the_armed_motor_time_ends_a_delivery_that_was_slowed_down() -> None:
    host = opened()
    host.order(
        "ARM",
        rate_nl_h_max=100_000_000,
        volume_per_command_nl_max=10_000_000,
        volume_total_nl_max=10_000_000,
        time_ms_max=601_000,
    )
    assert host.run(ml_h=59)["code"] == OVER_LIMIT
    assert host.run()["ending"] == DONE
    assert host.order("SET_RATE", rate_nl_h=30_000_000)["ending"] == DONE
    host.wait(600, lease_ms=3_000)
    assert host.snapshot()["state"] == RUNNING
    host.wait(1.5, lease_ms=3_000)
    assert host.snapshot()["state"] == STOPPED
    assert host.run(ml=1)["code"] == NOT_ARMED


def test_a_held_delivery_goes_on_with_what_is_left_while_the_lease_rests() -> None:
    host = running()
    host.wait(60, lease_ms=3_000)
    assert host.order("PAUSE")["volume_nl"] == 1_000_000
    host.wait(60)
    assert host.snapshot()["state"] == PAUSED
    assert host.pump.truth().plunger_nl == 1_000_000
    said = host.order("RESUME")
    assert (said["rate_nl_h"], said["volume_nl"]) == (60_000_000, 10_000_000)
    host.wait(600, lease_ms=3_000)
    assert host.snapshot()["state"] == COMPLETED
    assert host.pump.truth().plunger_nl == 10_000_000


def test_the_rate_changes_while_running_and_the_target_stays() -> None:
    host = running()
    host.wait(60, lease_ms=3_000)
    assert host.order("SET_RATE", rate_nl_h=120_000_000)["rate_nl_h"] == 120_000_000
    host.wait(60, lease_ms=3_000)
    assert host.snapshot()["infused_nl"] == 3_000_000
    assert host.snapshot()["remaining_nl"] == 7_000_000


def test_a_withdrawal_counts_what_it_moved() -> None:
    host = opened()
    host.arm()
    assert host.run(ml=1, direction=1)["ending"] == DONE
    host.wait(61, lease_ms=3_000)
    assert host.snapshot()["infused_nl"] == 1_000_000
    assert host.pump.truth().plunger_nl == -1_000_000


def test_counters_are_cleared_at_rest_only() -> None:
    host = running()
    assert host.order("CLEAR_COUNTERS")["code"] == WRONG_STATE
    host.wait(60, lease_ms=3_000)
    host.order("STOP")
    assert host.order("CLEAR_COUNTERS")["ending"] == DONE
    assert host.snapshot()["infused_nl"] == 0


# --- lease ----------------------------------------------------------------------------------------


def test_a_lease_that_is_not_renewed_stops_the_motor_at_its_very_end() -> None:
    host = running()
    host.wait(10, lease_ms=3_000)
    said = host.wait(10)
    assert [(each["kind"], each["id"]) for each in said[:2]] == [(1, 0), (0, ALARM)]
    assert host.pump.truth().plunger_nl == 60_000_000 * 13 // 3_600
    assert host.run()["code"] == WRONG_STATE
    assert host.order("RESUME")["code"] == WRONG_STATE


def test_after_an_expired_lease_a_new_arm_and_an_acknowledgement_are_needed() -> None:
    host = running()
    host.wait(4)
    host.arm()
    assert host.run()["code"] == ALARM_PRESENT
    assert host.ask("ALARM_ACK", alarms=LEASE_EXPIRED)["state"] == STOPPED
    assert host.run()["ending"] == DONE


@pytest.mark.parametrize("lease_ms", [100, 60_001])
def test_a_lease_out_of_bounds_renews_nothing(lease_ms: int) -> None:
    host = running()
    host.now = 2
    host.ask("LEASE", lease_ms=lease_ms)
    host.wait(1.5)
    assert host.alarms() & LEASE_EXPIRED


def test_no_lease_lasts_longer_than_that_of_the_start() -> None:
    host = running()
    host.ask("LEASE", lease_ms=30_000)
    host.wait(3.5)
    assert host.alarms() & LEASE_EXPIRED


def test_no_other_question_renews_the_lease() -> None:
    host = running()
    for _ in range(8):
        host.now += 0.5
        host.snapshot()
    assert host.alarms() & LEASE_EXPIRED


def test_a_self_test_trips_the_dead_man_with_the_motor_at_rest() -> None:
    host = opened()
    host.arm()
    assert host.order("SELF_TEST", lease_ms=500)["ending"] == IN_PROGRESS
    assert host.run()["code"] == WRONG_STATE
    host.ask("LEASE", lease_ms=500)
    said = host.wait(1)
    assert [each["ending"] for each in said if each["name"] == "RESULT"] == [DONE]
    assert host.alarms() == LEASE_EXPIRED
    assert host.pump.truth().plunger_nl == 0


def test_a_stop_ends_a_self_test_refused() -> None:
    host = opened()
    host.order("SELF_TEST", lease_ms=500)
    test_id = host.command_id
    said = host.send("STOP", command_id=90)
    ends = {each["command_id"]: each["ending"] for each in said}
    assert ends == {test_id: REFUSED, 90: DONE}
    assert host.wait(1) == []


# --- emergency stop -------------------------------------------------------------------------------


def test_the_pre_built_stop_is_obeyed_before_any_hello_and_behind_any_garbage() -> None:
    host = Host(PumplinkPump())
    said = host.feed(b"\x17\x99" + b"\0" + ESTOP)[-1]
    assert (said["name"], said["link"]) == ("SNAPSHOT", 0)
    assert said["alarms"] & ESTOP_LATCHED


def test_an_emergency_stop_latches_through_a_restart_until_a_reset_that_starts_nothing() -> None:
    host = running()
    host.feed(ESTOP)
    assert host.snapshot()["state"] == ALARM
    moved = host.pump.truth().plunger_nl
    host.pump.power_cycle(host.now)
    boot_id = host.hello()["boot_id"]
    assert host.alarms() == ESTOP_LATCHED | RESET
    assert host.arm()["code"] == WRONG_STATE
    assert host.order("RESET", boot_id=boot_id ^ 1)["code"] == BAD_ARGUMENT
    assert host.order("RESET", boot_id=boot_id)["ending"] == DONE
    assert host.alarms() == RESET
    host.wait(10)
    assert host.pump.truth().plunger_nl == moved


def test_every_repetition_of_the_stop_is_answered() -> None:
    host = running()
    answers = [each for each in host.feed(ESTOP * 3) if each["name"] == "SNAPSHOT"]
    assert [each["state"] for each in answers] == [ALARM] * 3


def test_acknowledging_does_not_unlatch() -> None:
    host = running()
    host.feed(ESTOP)
    assert host.ask("ALARM_ACK", alarms=0xFFFFFFFF)["alarms"] == ESTOP_LATCHED


# --- restarts and quirks --------------------------------------------------------------------------


def test_a_restart_is_told_by_a_new_boot_id_and_forgets_everything() -> None:
    host = running()
    before = host.pump.boot_id
    host.wait(1, lease_ms=3_000)
    host.pump.power_cycle(host.now)
    assert host.send("SNAPSHOT_REQ") == []
    assert host.hello()["boot_id"] not in (0, before)
    said = host.snapshot()
    assert (said["state"], said["infused_nl"], said["alarms"]) == (ALARM, 0, RESET)
    host.send("ALARM_ACK", alarms=RESET)
    assert host.run()["code"] == NOT_ARMED


def test_a_boot_may_be_told_by_its_id_alone() -> None:
    host = Host(PumplinkPump(quirks=Quirks(power_on="clean")))
    host.hello()
    assert host.snapshot()["alarms"] == 0


def test_a_result_may_come_in_two_parts() -> None:
    host = opened(quirks=Quirks(results="accepted_first"))
    host.command_id += 1
    said = host.send("CLEAR_COUNTERS", command_id=host.command_id)
    assert [(each["ending"], each["code"]) for each in said] == [(ACCEPTED, OK), (DONE, OK)]


def test_a_small_pump_may_give_no_reasons() -> None:
    host = opened(quirks=Quirks(reasons="none"))
    assert host.run()["reason"] == ""


def test_volumes_are_rounded_down_to_the_pumps_step() -> None:
    host = opened(quirks=Quirks(volume_step_nl=1_000))
    host.arm()
    assert (
        host.order("RUN", rate_nl_h=60_000_000, target_nl=1_999, lease_ms=3_000)["volume_nl"]
        == 1_000
    )
    host.order("STOP")
    said = host.order("RUN", rate_nl_h=60_000_000, target_nl=999, lease_ms=3_000)
    assert said["code"] == BAD_ARGUMENT


def test_the_longest_lease_is_the_pumps() -> None:
    host = opened(quirks=Quirks(lease_ms_max=3_000))
    host.arm()
    assert host.run(lease_ms=3_001)["code"] == BAD_ARGUMENT
    assert host.run(lease_ms=3_000)["ending"] == DONE


def test_a_pump_may_take_its_time() -> None:
    pump = PumplinkPump(quirks=Quirks(reply_delay_ms=150))
    ((delay, _),) = pump.feed(golden()["0 > HELLO"][1], 0.0)
    assert delay == pytest.approx(0.15)


def test_a_snapshot_of_the_pump_brings_back_the_very_same_pump() -> None:
    host = running()
    host.wait(5, lease_ms=3_000)
    kept, at = host.pump.snapshot(), host.now
    host.wait(10)
    stopped = host.pump.truth()
    host.pump.restore(kept)
    host.now = at
    assert host.snapshot()["state"] == RUNNING
    host.wait(10)
    assert host.pump.truth() == stopped


def test_a_pump_that_nobody_has_spoken_to_has_nothing_to_do() -> None:
    pump = PumplinkPump()
    assert pump.next_event(0.0) is None
    host = Host(pump)
    host.now = 1e8
    host.hello()
    (said,) = host.wait(1.5)
    assert said["id"] == 5
