"""Running a New Era pump: rate and direction on the fly, pause, stop, purge, counters, programs."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.new_era_host import awake, programmed

ML = 1_000_000

# -- rate while running -------------------------------------------------------------------------------


def test_a_rate_changed_while_running_holds_at_once_and_is_not_stored() -> None:
    host = programmed()
    host.tell("RUN")
    host.wait(60.0)
    host.tell("RAT53.40MH")
    host.wait(60.0)
    assert host.ask("RAT") == "00I53.40MH"
    assert host.pump.truth().plunger_nl == 445_000 + 890_000
    host.pump.power_cycle(host.now)
    assert [host.ask("RAT"), host.ask("RAT")] == ["00A?R", "00S26.70MH"]


def test_the_target_still_counts_from_run_when_the_rate_changes() -> None:
    host = programmed()
    host.tell("VOL1.000", "RUN")
    host.wait(60.0)
    host.tell("RAT100")
    host.wait(3_600.0)
    assert host.ask("DIS") == "00SI1.000W0.000ML"


def test_the_unit_cannot_change_while_running_but_may_be_repeated() -> None:
    host = programmed()
    host.tell("RUN")
    assert host.ask("RAT0.445MM") == "00I?NA"
    assert host.ask("RAT600MH") == "00I?OOR"
    host.tell("RAT30.00MH", "RAT40")
    assert host.ask("RAT") == "00I40.00MH"


# -- direction ----------------------------------------------------------------------------------------


def test_directions_are_set_reversed_and_read() -> None:
    host = awake()
    for sent, read in (
        ("WDR", "WDR"),
        ("INF", "INF"),
        ("REV", "WDR"),
        ("REV", "INF"),
        ("STK", "STK"),
    ):
        host.tell(f"DIR{sent}")
        assert host.ask("DIR") == f"00S{read}"
    assert host.ask("DIRUP") == "00S?"


def test_the_direction_can_turn_while_running_without_a_target() -> None:
    host = programmed()
    host.tell("VOL0", "RUN")
    host.wait(60.0)
    assert host.ask("DIRREV") == "00W"
    host.wait(60.0)
    assert host.ask("DIRSTK") == "00W?NA"
    host.wait(60.0)
    assert host.ask("DIRINF") == "00I"
    assert host.ask("DIS") == "00II0.445W0.890ML"
    assert host.pump.truth().plunger_nl == -445_000


def test_a_sticky_direction_keeps_what_ran_before() -> None:
    host = programmed()
    host.tell("DIRWDR", "VOL1", "PHN2", "FUNRAT", "RAT60MH", "VOL1", "DIRSTK", "RUN")
    host.wait(400.0)
    assert host.ask("DIS") == "00SI0.000W2.000ML"


# -- run, stop, purge ---------------------------------------------------------------------------------


def test_the_first_stop_pauses_the_second_stops_the_third_is_not_applicable() -> None:
    host = programmed()
    host.tell("RUN")
    assert [host.ask("STP") for _ in range(3)] == ["00P", "00S", "00S?NA"]


def test_run_after_a_pause_continues_the_rest_and_after_a_stop_begins_anew() -> None:
    host = programmed()
    host.tell("VOL1.000", "RUN")
    host.wait(60.0)
    host.tell("STP")
    host.wait(1_000.0)
    assert host.ask("DIS") == "00PI0.445W0.000ML"
    host.tell("RUN")
    host.wait(1_000.0)
    assert host.ask("DIS") == "00SI1.000W0.000ML"
    host.tell("RUN")
    host.wait(60.0)
    host.tell("STP", "STP", "RUN")
    host.wait(1_000.0)
    assert host.ask("DIS") == "00SI2.445W0.000ML"
    assert host.pump.truth().plunger_nl == 2_445_000


def test_a_paused_program_whose_volume_changed_begins_anew() -> None:
    host = programmed()
    host.tell("VOL1.000", "RUN")
    host.wait(60.0)
    host.tell("STP")
    assert host.ask("VOL0.500") == "00S"
    host.tell("RUN")
    host.wait(1_000.0)
    assert host.ask("DIS") == "00SI0.945W0.000ML"


def test_a_target_is_met_to_the_nanolitre_and_the_pump_stops_by_itself() -> None:
    host = programmed()
    host.tell("RUN")
    due = host.pump.next_event(host.now)
    assert due is not None
    assert due - host.now == pytest.approx(2_696.629213484, abs=1e-9)
    host.wait(due - host.now)
    assert host.ask("") == "00S"
    assert host.pump.truth().plunger_nl == 20 * ML


def test_a_purge_runs_at_the_fastest_rate_until_stopped() -> None:
    host = programmed()
    assert host.ask("PUR") == "00X"
    assert host.ask("RAT30") == "00X?NA"
    host.wait(3.6)
    assert host.pump.truth().plunger_nl == 500_500
    assert [host.ask("STP"), host.ask("STP")] == ["00S", "00S?NA"]
    host.tell("DIRWDR", "PUR")
    assert host.pump.truth().rate_nl_h == -500_500_000


def test_a_bolus_of_ten_mg_is_one_ml_in_sixty_seconds() -> None:
    host = programmed()
    host.tell("CLDINF", "VOL1.000", "RAT60.00MH", "RUN")
    host.wait(59.999)
    assert host.ask("") == "00I"
    host.wait(0.001)
    assert host.ask("DIS") == "00SI1.000W0.000ML"


# -- counters -----------------------------------------------------------------------------------------


def test_counters_accumulate_until_cleared_one_by_one() -> None:
    host = programmed()
    host.tell("VOL1.000", "RUN")
    host.wait(1_000.0)
    host.tell("DIRWDR", "RUN")
    host.wait(1_000.0)
    assert host.ask("DIS") == "00SI1.000W1.000ML"
    host.tell("CLDINF")
    assert host.ask("DIS") == "00SI0.000W1.000ML"
    host.tell("CLDWDR")
    assert host.ask("DIS") == "00SI0.000W0.000ML"


def test_the_counter_unit_follows_the_volume_unit() -> None:
    host = programmed()
    host.tell("VOL1.000", "RUN")
    host.wait(1_000.0)
    host.tell("VOLUL")
    assert host.ask("DIS") == "00SI1000.W0.000UL"


# -- pumping programs ---------------------------------------------------------------------------------


def test_phases_follow_each_other_until_one_stops() -> None:
    host = programmed()
    host.tell(
        "VOL1", "PHN2", "FUNPAS10", "PHN3", "FUNRAT", "RAT60MH", "VOL2", "PHN4", "FUNSTP", "RUN"
    )
    host.wait(3_600 / 26.7 + 1)
    assert host.ask("") == "00T"
    assert host.ask("RAT9") == host.ask("DIRINF") == "00T?NA"
    host.wait(10.0)
    assert host.ask("RAT") == "00I60.00MH"
    host.wait(130.0)
    assert host.ask("DIS") == "00SI3.000W0.000ML"


def test_a_phase_without_a_rate_shows_and_takes_the_rate_it_goes_on_at() -> None:
    host = programmed()
    host.tell("RAT10UM", "VOL0.010", "PHN2", "FUNRAT", "PHN1", "RUN")
    host.wait(120.0)
    assert host.ask("RAT") == "00I10.00UM"
    assert host.ask("RAT1MM") == "00I?NA"
    host.tell("STP", "RAT20UM", "RUN")
    assert host.ask("RAT") == "00I20.00UM"
    host.tell("RAT40")
    assert host.ask("RAT") == "00I40.00UM"
    host.tell("STP", "STP")
    assert [host.ask(text) for text in ("RAT", "PHN2", "RAT")] == [
        "00S20.00UM",
        "00S",
        "00S40.00UM",
    ]


def test_a_purge_shows_the_selected_phase_not_the_one_that_ran_last() -> None:
    host = programmed()
    host.tell("RAT100.0MH", "PHN3", "FUNRAT", "RAT50.00MH", "VOL0.010", "PHN1", "RUN3")
    host.wait(10.0)
    host.tell("PUR")
    assert host.ask("RAT") == "00X100.0MH"


def test_a_timed_pause_can_itself_be_paused() -> None:
    host = programmed()
    host.tell("FUNPAS10", "PHN2", "FUNRAT", "RAT60MH", "RUN")
    host.wait(4.0)
    assert host.ask("STP") == "00P"
    host.wait(100.0)
    assert host.ask("RUN") == "00T"
    host.wait(5.0)
    assert host.ask("") == "00T"
    host.wait(1.5)
    assert host.ask("") == "00I"


def test_run_can_begin_at_any_phase() -> None:
    host = programmed()
    host.tell("PHN 7", "FUNRAT", "RAT60MH", "VOL1", "RUN7")
    host.wait(61.0)
    assert host.ask("DIS") == "00SI1.000W0.000ML"
    assert [host.ask("RUN0"), host.ask("RUN42"), host.ask("RUNX")] == ["00S?OOR", "00S?OOR", "00S?"]


def test_small_phases_take_no_time_and_jumps_are_followed() -> None:
    host = programmed()
    host.tell(
        "VOL1", "PHN2", "FUNBEP", "PHN3", "FUNOUT1", "PHN4", "FUNCLD", "PHN5", "FUNJMP01", "RUN"
    )
    host.wait(3_600 / 26.7 * 2.6505)
    assert host.ask("DIS") == "00II0.650W0.000ML"
    assert [host.ask("BUZ"), host.ask("OUT")] == ["00I0", "00I1"]
    assert host.pump.state.beeps == 2


def test_a_program_that_jumps_in_a_circle_is_an_error_not_a_hang() -> None:
    host = awake()
    host.tell("FUNJMP1")
    assert host.ask("RUN") == "00A?E"


def test_a_program_that_runs_past_its_last_phase_is_out_of_range() -> None:
    host = programmed()
    host.tell("PHN41", "FUNRAT", "RAT60MH", "VOL1", "RUN41")
    host.wait(61.0)
    assert [host.ask(""), host.ask("")] == ["00A?O", "00S"]


def test_phase_numbers_and_functions_are_checked() -> None:
    host = awake()
    assert [host.ask("PHN0"), host.ask("PHN42"), host.ask("PHNX")] == ["00S?OOR", "00S?OOR", "00S?"]
    host.tell("PHN 3")
    assert [host.ask("PHN"), host.ask("FUN")] == ["00S03", "00SSTP"]


def test_a_change_at_the_instant_a_phase_starts_is_ignored() -> None:
    host = programmed()
    host.tell("VOL1", "PHN2", "FUNRAT", "RAT60MH", "RUN")
    due = host.pump.next_event(host.now)
    assert due is not None
    host.now = due
    assert host.ask("RAT70") == "00I?IGN"
    assert host.ask("DIRWDR") == "00I?IGN"
    host.wait(0.001)
    host.tell("RAT70")
