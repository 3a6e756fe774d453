"""What a Harvard pump does when it runs: targets, ramps, counters, stalls, and what ``status`` says of it."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.harvard_host import Host, made
from sim.devices.harvard_kind import KIND
from sim.devices.kinds import PumpOptions
from sim.mechanics import Mount


def test_the_printed_status_of_an_elite_comes_out_byte_for_byte() -> None:
    host = made(model="11-elite")
    host.tell("diameter 19.05", "irate 5 ml/min", "irun")
    host.wait(30.0)
    assert host.ask("status") == "83333333333 1680000000 2500000000000 I...I."


def test_status_tells_of_the_current_direction_and_of_a_reached_target() -> None:
    host = made()
    host.tell("irate 6 ml/min", "wrate 3 ml/min", "irun")
    host.wait(10.0)
    host.tell("wrun")
    host.wait(2.5)
    assert host.ask("status") == "50000000000 2500 125000000000 W...I."
    host.tell("stp")
    assert host.ask("status") == "0 2500 125000000000 w...I."
    host.tell("cvolume", "ctime", "tvolume 10 ul", "irun")
    host.wait(1.0)
    assert host.ask("status") == "0 100 10000000000 i...IT"


# -- starting, turning, stopping --------------------------------------------------------------------


def test_starts_and_turns_show_in_the_prompt_and_in_both_counters() -> None:
    host = made()
    host.tell("irate 6 ml/min", "wrate 3 ml/min")
    assert host.tell("irun") == ">"
    host.wait(10.0)
    assert host.ask("crate") == "Infusing at 6 ml/min"
    assert host.tell("rrun") == "<"
    host.wait(10.0)
    assert host.ask("crate") == "Withdrawing at 3 ml/min"
    assert host.tell("stop") == ":"
    assert host.ask("ivolume") == "1 ml"
    assert host.ask("wvolume") == "500 ul"
    assert host.ask("itime") == "10 seconds"
    assert host.ask("wtime") == "10 seconds"
    assert host.tell("run") == "<"
    host.tell("stp", "civolume", "cwtime")
    assert host.ask("ivolume") == "0 ul"
    assert host.ask("wvolume") == "500 ul"
    assert host.ask("itime") == "10 seconds"
    assert host.ask("wtime") == "0 seconds"
    assert host.pump.truth().plunger_nl == 500_000


def test_a_second_start_in_the_same_direction_changes_nothing() -> None:
    host = made()
    host.tell("tvolume 1 ml", "irun")
    host.wait(30.0)
    assert host.tell("irun") == ">"
    host.wait(30.0)
    assert host.tell("") == "T*"


def test_a_rate_set_while_running_holds_at_once() -> None:
    host = made()
    host.tell("irate 6 ml/min", "irun")
    host.wait(10.0)
    host.tell("irate 3 ml/min")
    host.wait(10.0)
    assert host.ask("ivolume") == "1.5 ml"
    host.tell("wrate 1 ml/min")
    host.wait(10.0)
    assert host.ask("ivolume") == "2 ml"


# -- targets ----------------------------------------------------------------------------------------


def test_a_target_volume_ends_the_run_exactly_and_its_prompt_stays() -> None:
    host = made()
    host.tell("irate 3 ml/min", "tvolume 1.234567 ml", "irun")
    assert host.wait(24.0) == b""
    assert host.wait(1.0) == b"\nT*"
    assert host.pump.truth().plunger_nl == 1_234_567
    assert host.tell("") == "T*"
    assert host.ask("tvolume") == "1.23456 ml"
    assert host.tell("tvolume 2 ml") == "T*"


@pytest.mark.parametrize(
    ("command", "prompt"),
    [
        ("stp", ":"),
        ("civolume", ":"),
        ("cvolume", ":"),
        ("ctvolume", ":"),
        ("cttime", ":"),
        ("citime", ":"),
        ("wrun", "<"),
        ("irate 2 ml/min", "T*"),
        ("poll off", "T*"),
    ],
)
def test_run_stop_and_clear_end_the_reached_target_and_nothing_else_does(
    command: str, prompt: str
) -> None:
    host = made()
    host.tell("tvolume 1 ml", "irun")
    host.wait(60.0)
    assert host.tell("") == "T*"
    assert host.tell(command) == prompt


def test_a_target_left_over_from_yesterday_stops_the_next_infusion_early() -> None:
    host = made()
    host.tell("irate 3 ml/min", "tvolume 1 ml", "irun")
    host.wait(20.0)
    host.tell("stp")
    assert host.tell("irun") == "T*"
    assert host.pump.truth().plunger_nl == 1_000_000
    host.tell("civolume")
    assert host.tell("irun") == ">"
    host.wait(30.0)
    assert host.pump.truth().plunger_nl == 2_000_000


def test_an_interrupted_target_goes_on_where_it_was() -> None:
    host = made()
    host.tell("irate 3 ml/min", "tvolume 1 ml", "irun")
    host.wait(10.0)
    host.tell("stp", "irun")
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == 1_000_000


def test_a_target_time_ends_the_run_at_its_instant() -> None:
    host = made()
    host.tell("irate 6 ml/min", "ttime 12.5", "irun")
    assert host.pump.next_event(host.now) == pytest.approx(host.now + 12.5)
    host.wait(100.0)
    assert host.tell("") == "T*"
    assert host.pump.truth().plunger_nl == 1_250_000
    assert host.ask("itime") == "12.5 seconds"


def test_whichever_target_comes_first_ends_the_run() -> None:
    for volume, moved in (("1 ml", 1_000_000), ("5 ml", 2_000_000)):
        host = made()
        host.tell("irate 6 ml/min", f"tvolume {volume}", "ttime 20", "irun")
        host.wait(100.0)
        assert host.pump.truth().plunger_nl == moved


def test_a_target_can_be_set_and_cleared_while_running() -> None:
    host = made()
    host.tell("irate 6 ml/min", "irun")
    host.wait(10.0)
    host.tell("tvolume 2 ml")
    host.wait(5.0)
    host.tell("ctvolume", "ttime 30")
    host.wait(60.0)
    assert host.tell("") == "T*"
    assert host.pump.truth().plunger_nl == 3_000_000


def test_clearing_the_counter_while_running_gives_the_target_its_whole_volume_again() -> None:
    host = made()
    host.tell("irate 6 ml/min", "tvolume 2 ml", "irun")
    host.wait(10.0)
    host.tell("civolume")
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == 3_000_000
    assert host.ask("ivolume") == "2 ml"


# -- ramps and odd rates ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "seconds", "nl"),
    [
        ("1 ml/min", "5 ml/min", 60.0, 3_000_000),
        ("5 ml/min", "1 ml/min", 60.0, 3_000_000),
        ("110 ul/min", "417 ul/min", 7.036, 30_899),
        ("30 nl/min", "12 ml/min", 3_600.0, 360_000_900),
        ("2 ml/min", "2 ml/min", 0.05, 1_666),
    ],
)
def test_a_ramp_delivers_the_area_under_it(start: str, end: str, seconds: float, nl: int) -> None:
    host = made()
    host.tell(f"iramp {start} {end} {seconds}", "irun")
    host.wait(seconds + 1.0)
    assert host.tell("") == "T*"
    assert host.pump.truth().plunger_nl == pytest.approx(nl, abs=1)


def test_in_the_middle_of_a_ramp_speed_and_volume_are_those_of_the_ramp() -> None:
    host = made()
    host.tell("wramp 2 ml/min 8 ml/min 60", "wrun")
    host.wait(20.0)
    assert host.ask("crate") == "Withdrawing at 4 ml/min"
    assert host.ask("wvolume") == "1 ml"
    host.wait(0.05)
    moved = -host.pump.truth().plunger_nl
    assert moved == pytest.approx(1_003_335, abs=30)


def test_a_ramp_heeds_the_target_volume_and_a_rate_puts_it_away() -> None:
    host = made()
    host.tell("iramp 2 ml/min 8 ml/min 60", "tvolume 1 ml", "irun")
    host.wait(30.0)
    assert host.tell("") == "T*"
    assert host.pump.truth().plunger_nl == 1_000_000
    host.tell("irate 2 ml/min")
    assert host.ask("iramp") == "Ramp not set up."


def test_a_target_time_ends_a_ramp_between_two_pieces() -> None:
    host = made()
    host.tell("iramp 2 ml/min 8 ml/min 60", "ttime 20.05", "irun")
    host.wait(60.0)
    assert host.ask("itime") == "20.05 seconds"
    assert host.pump.truth().plunger_nl == pytest.approx(1_003_335, abs=30)


def test_clearing_a_ramp_while_it_runs_leaves_the_steady_rate() -> None:
    host = made()
    host.tell("irate 6 ml/min", "iramp 1 ml/min 2 ml/min 60", "irun")
    host.wait(30.0)
    host.tell("cttime")
    assert host.ask("crate") == "Infusing at 6 ml/min"
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == pytest.approx(625_000 + 6_000_000, abs=1)


@pytest.mark.parametrize("rate", ["25.0404 nl/min", "1.234567 ul/sec", "33.3333 ul/hr"])
def test_a_rate_that_is_no_whole_number_of_nanolitres_is_exact_in_the_long_run(rate: str) -> None:
    value, unit = rate.split()
    per_hour = {"nl/min": 60.0, "ul/sec": 3.6e6, "ul/hr": 1e3}[unit]
    host = made()
    host.tell(f"irate {rate}", "irun")
    for _ in range(100):
        host.wait(863.97)
    expected = float(value) * per_hour / 3_600 * 86_397
    assert host.pump.truth().plunger_nl == pytest.approx(expected, abs=1 + expected * 1e-9)


# -- stalls and ends --------------------------------------------------------------------------------


def test_a_blocked_motor_is_a_stall_that_stays_until_the_stop() -> None:
    host = made()
    host.tell("irun")
    host.wait(6.0)
    host.pump.inject("motor_stall", host.now)
    host.wait(1.0)
    assert host.tell("") == "*"
    assert host.ask("status").split()[3] == "i.S.I."
    assert host.ask("ivolume") == "100 ul"
    assert host.tell("irate 2 ml/min") == "*"
    assert host.tell("stp") == ":"
    host.pump.clear("motor_stall", host.now)
    assert host.tell("irun") == ">"


def test_an_occlusion_ends_in_a_stall_and_its_bolus_comes_when_it_clears() -> None:
    host = made()
    host.tell("irate 6 ml/min", "irun")
    host.pump.inject("downstream_occlusion", host.now)
    host.wait(60.0)
    assert host.tell("") == "*"
    stored = host.pump.truth().stored_nl
    assert stored > 0
    host.pump.clear("downstream_occlusion", host.now)
    assert host.pump.truth().delivered_nl == stored


def _with_syringe(*quirks: str) -> Host:
    mount = Mount(diameter_um=14_430, capacity_nl=10_000_000, loaded_nl=1_000_000)
    return Host(KIND.make(PumpOptions(model="legato-100", quirks=quirks, mount=mount)))


def test_the_ends_of_the_syringe_are_stalls() -> None:
    host = _with_syringe()
    host.tell("irate 6 ml/min", "wrate 12 ml/min", "irun")
    host.wait(11.0)
    assert host.tell("") == "*"
    host.tell("wrun")
    host.wait(60.0)
    assert host.tell("") == "*"
    assert host.pump.truth().plunger_nl == 1_000_000 - 10_000_000


def test_limit_switches_have_prompts_and_a_flag_of_their_own() -> None:
    host = _with_syringe("limit_switches=yes")
    host.tell("irate 6 ml/min", "wrate 12 ml/min", "irun")
    host.wait(11.0)
    assert host.tell("") == ">*"
    assert host.ask("status").split()[3] == "iI..I."
    host.tell("wrun")
    host.wait(60.0)
    assert host.tell("") == "<*"
    assert host.ask("status").split()[3] == "wW..I."
