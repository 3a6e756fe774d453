"""The simulated New Era pump while it delivers: start, pause, stop, target, counters, phases, alarms.

Times are shortened by `--speed`; what was delivered is compared with volumes the pump was asked for, or
between bounds that a slow computer cannot break.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hil_tests.real.new_era_wire import Bench, Wire

pytestmark = pytest.mark.real

SPEED = 200
FAST = ("--speed", f"{SPEED}")
READY = ("DIA14.43", "VOLML", "VOL0", "RAT100.0MH", "DIRINF", "CLDINF", "CLDWDR")
SLOW = ("DIA14.43", "VOLML", "VOL0", "RAT0.100MH", "DIRINF", "CLDINF", "CLDWDR")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture
def pump(bench: Bench) -> Wire:
    """At rest, ready to deliver 100 mL/h continuously, 200 times faster than life."""
    wire = bench.shared(*FAST)
    assert wire.all_of(*READY) == ["00S"] * len(READY)
    return wire


@pytest.fixture
def slow(bench: Bench) -> Wire:
    """The same pump at 0.1 mL/h: its counters hardly move."""
    wire = bench.shared(*FAST)
    wire.all_of(*SLOW)
    return wire


# Start, pause, stop


def test_the_first_stop_pauses_and_the_second_cancels(slow: Wire) -> None:
    assert slow.all_of("RUN", "", "STP", "", "STP", "", "STP", "") == [
        "00I", "00I", "00P", "00P", "00S", "00S", "00S?NA", "00S",
    ]  # fmt: skip


def test_a_run_resumes_a_pause_and_is_refused_while_running(slow: Wire) -> None:
    assert slow.all_of("RUN 1", "RUN", "STP", "RUN", "", "STP", "STP") == [
        "00I", "00I?NA", "00P", "00I", "00I", "00P", "00S",
    ]  # fmt: skip


def test_stopping_a_stopped_pump_is_a_switch(bench: Bench) -> None:
    assert bench.quirk("stp_when_stopped", "ok").all_of("STP", "") == ["00S", "00S"]


def test_running_is_a_status_and_it_withdraws_when_told(slow: Wire) -> None:
    assert slow.all_of("DIRWDR", "RUN", "", "DIR") == ["00S", "00W", "00W", "00WWDR"]


@pytest.mark.parametrize(
    "text",
    [
        "DIA14.43",
        "DIA10",
        "VOL1",
        "VOLUL",
        "VOL1ML",
        "CLDINF",
        "CLDWDR",
        "PHN1",
        "PHN2",
        "RAT1MM",
        "RAT1UH",
    ],
)
def test_what_defines_the_delivery_cannot_change_while_it_runs(slow: Wire, text: str) -> None:
    queries = ("DIA", "VOL", "RAT", "PHN", "")
    assert slow.ask("RUN") == "00I"
    before = slow.all_of(*queries)
    assert [slow.ask(text), *slow.all_of(*queries)] == ["00I?NA", *before]


@pytest.mark.parametrize(
    "text", ["AL1", "AL0", "BUZ0", "LOC0", "PF0", "TRGLE", "VER", "SAF", "IN2", "FUN"]
)
def test_the_rest_of_the_commands_are_served_while_it_runs(slow: Wire, text: str) -> None:
    slow.ask("RUN")
    assert slow.ask(text)[:3] == "00I"
    assert "?" not in slow.ask(text)


def test_a_new_rate_takes_effect_at_once_and_keeps_its_unit(slow: Wire) -> None:
    slow.ask("RUN")
    assert slow.all_of("RAT500.0", "RAT", "RAT400MH", "RAT", "RAT501", "RAT") == [
        "00I", "00I500.0MH", "00I", "00I400.0MH", "00I?OOR", "00I400.0MH",
    ]  # fmt: skip
    before = slow.delivered()[0]
    time.sleep(0.1)
    gained = slow.delivered()[0] - before
    assert gained > 0.9 * 400 / 3600 * 0.1 * SPEED
    assert slow.all_of("STP", "RAT") == ["00P", "00P400.0MH"]


def test_the_direction_turns_while_it_runs_without_a_target(slow: Wire) -> None:
    assert slow.all_of("RUN", "DIRWDR", "DIR", "DIRREV", "DIR") == [
        "00I", "00W", "00WWDR", "00I", "00IINF",
    ]  # fmt: skip


def test_the_direction_is_fixed_while_it_runs_towards_a_target(slow: Wire) -> None:
    assert slow.all_of("VOL1", "RUN", "DIRWDR", "DIRREV", "DIR") == [
        "00S", "00I", "00I?NA", "00I?NA", "00IINF",
    ]  # fmt: skip


def test_a_purge_runs_at_the_maximum_rate_until_it_is_stopped(pump: Wire) -> None:
    assert pump.all_of("VOL0.100", "PUR", "", "RAT1", "DIA10", "RUN") == [
        "00S", "00X", "00X", "00X?NA", "00X?NA", "00X?NA",
    ]  # fmt: skip
    before = pump.delivered()[0]
    time.sleep(0.1)
    after = pump.delivered()[0]
    assert after - before > 0.9 * 500.5 / 3600 * 0.1 * SPEED
    stopped = [pump.ask("STP"), pump.until_not("X"), pump.ask("RAT")]
    assert stopped[1:] == ["00S", "00S100.0MH"]


def test_during_a_purge_the_settings_are_the_selected_phases(pump: Wire) -> None:
    pump.all_of("PHN3", "FUNRAT", "RAT50.00MH", "VOL0.010", "PHN1", "RUN3")
    pump.until_not("I")
    assert pump.all_of("PUR", "RAT", "VOL", "STP") == ["00X", "00X100.0MH", "00X0.000ML", "00S"]


# Target and counters


def test_it_stops_by_itself_at_the_target_and_counts_it(pump: Wire) -> None:
    pump.all_of("VOL0.250", "RUN")
    assert pump.until_not("IWX") == "00S"
    assert pump.ask("DIS") == "00SI0.250W0.000ML"


def test_the_target_counts_from_the_start_and_the_counter_over_all_starts(pump: Wire) -> None:
    for total in ("0.250", "0.500", "0.750"):
        pump.all_of("VOL0.250", "RUN")
        pump.until_not("I")
        assert pump.ask("DIS") == f"00SI{total}W0.000ML"
    pump.all_of("DIRWDR", "RUN")
    assert pump.until_not("W") == "00S"
    assert pump.ask("DIS") == "00SI0.750W0.250ML"
    assert pump.all_of("CLDINF", "DIS", "CLDWDR", "DIS") == [
        "00S", "00SI0.000W0.250ML", "00S", "00SI0.000W0.000ML",
    ]  # fmt: skip


def test_after_a_pause_it_delivers_the_rest_of_the_target(pump: Wire) -> None:
    assert pump.all_of("VOL1.000", "RUN", "STP") == ["00S", "00I", "00P"]
    part = pump.ask("DIS")
    assert 0 <= float(part[4:9]) < 1
    time.sleep(0.05)
    assert pump.ask("DIS") == part
    pump.ask("RUN")
    assert pump.until_not("I") == "00S"
    assert pump.ask("DIS") == "00SI1.000W0.000ML"


def test_after_a_cancelled_pause_the_target_counts_anew(pump: Wire) -> None:
    pump.all_of("VOL0.500", "RUN", "STP", "STP")
    before = pump.delivered()[0]
    pump.ask("RUN")
    pump.until_not("I")
    assert pump.delivered()[0] == pytest.approx(before + 0.5, abs=0.0011)


def test_the_counters_follow_the_volume_unit_and_the_diameter_clears_them(pump: Wire) -> None:
    pump.all_of("VOL0.250", "RUN")
    pump.until_not("I")
    assert pump.all_of("VOLUL", "DIS", "VOLML", "DIS") == [
        "00S", "00SI250.0W0.000UL", "00S", "00SI0.250W0.000ML",
    ]  # fmt: skip
    assert pump.all_of("DIA14.42", "DIS") == ["00S", "00SI0.000W0.000ML"]


@pytest.mark.parametrize(("value", "shows"), [("saturate", "9999."), ("rollover", "490.0")])
def test_what_a_counter_does_at_its_end_is_a_switch(bench: Bench, value: str, shows: str) -> None:
    wire = bench.quirk("dis_overflow", value, "--speed", "1000")
    wire.all_of("DIA14.00", "RAT400MH", "CLDINF", "CLDWDR", "VOLML", "VOL9.990", "RUN")
    wire.until_not("I")
    assert wire.all_of("VOLUL", "DIS", "VOL500", "RUN")[1] == "00SI9990.W0.000UL"
    wire.until_not("I")
    assert wire.all_of("DIS", "VOLML", "DIS") == [
        f"00SI{shows}W0.000UL", "00S", "00SI10.49W0.000ML",
    ]  # fmt: skip


def test_ten_milligrams_in_a_minute_take_a_minute(bench: Bench) -> None:
    wire = bench.shared("--speed", "100")
    wire.all_of("DIA14.43", "VOLML", "CLDINF", "VOL1.000", "RAT60.00MH")
    began = time.perf_counter()
    wire.ask("RUN")
    assert wire.until_not("I") == "00S"
    assert 0.59 <= time.perf_counter() - began < 3
    assert wire.ask("DIS") == "00SI1.000W0.000ML"


# Phases of the program


def test_the_second_phase_follows_the_first_and_the_rate_is_the_running_ones(pump: Wire) -> None:
    pump.all_of("VOL0.100", "PHN2", "FUNRAT", "VOL1.000", "RAT50.00MH", "PHN3", "FUNSTP", "PHN1")
    pump.ask("RUN")
    for _ in range(2000):
        if pump.ask("RAT") == "00I50.00MH":
            break
    assert pump.ask("VOL") == "00I1.000ML"
    pump.ask("RAT200.0")
    assert pump.until_not("I") == "00S"
    assert pump.ask("DIS") == "00SI1.100W0.000ML"


def test_it_can_start_at_another_phase(pump: Wire) -> None:
    pump.all_of("VOL0.100", "PHN3", "FUNRAT", "VOL0.300", "RAT100.0MH", "PHN1")
    pump.ask("RUN 3")
    pump.until_not("I")
    assert pump.ask("DIS") == "00SI0.300W0.000ML"


def test_a_timed_pause_has_a_letter_of_its_own(pump: Wire) -> None:
    pump.all_of("VOL0.010", "PHN2", "FUN PAS 99", "PHN1", "RUN")
    assert pump.until_not("I") == "00T"
    assert pump.all_of("STP", "RUN", "STP", "STP") == ["00P", "00T", "00P", "00S"]


def test_a_second_phase_that_never_ends_is_a_switch(bench: Bench) -> None:
    wire = bench.quirk("phase2_default", "continuous", *FAST)
    wire.all_of(*READY, "VOL0.100", "RUN")
    while wire.delivered()[0] < 0.5:
        assert wire.ask("") == "00I"
    assert wire.all_of("RAT", "RAT300.0", "RAT", "RAT1MM") == [
        "00I100.0MH", "00I", "00I300.0MH", "00I?NA",
    ]  # fmt: skip
    wire.all_of("STP", "STP", "PHN2", "FUNSTP", "PHN1", "CLDINF", "RUN")
    assert wire.until_not("I") == "00S"
    assert wire.ask("DIS") == "00SI0.100W0.000ML"


# Alarms


def stalled(bench: Bench) -> Wire:
    """A pump whose small syringe is empty, told to go on, with the alarm still pending."""
    wire = bench.shared("--syringe", "bd-1", "--speed", "1000")
    wire.all_of("DIA4.699", "RAT50.00MH", "DIRINF", "VOL0", "CLDINF", "RUN")
    time.sleep(0.12)
    return wire


def test_a_stall_is_told_once_in_place_of_the_next_answer(bench: Bench) -> None:
    wire = stalled(bench)
    assert wire.all_of("DIS", "", "STP") == ["00A?S", "00S", "00S?NA"]


def test_while_an_alarm_is_pending_nothing_is_obeyed(bench: Bench) -> None:
    for command, query, still in (("RUN", "", "00S"), ("RAT30.00MH", "RAT", "00S50.00MH")):
        assert stalled(bench).all_of(command, query) == ["00A?S", still]


@pytest.mark.parametrize(
    ("program", "alarm"),
    [
        (("FUNLOP3", "RUN"), "00A?E"),
        (("PHN41", "FUNRAT", "RAT500.0MH", "VOL0.001", "RUN41"), "00A?O"),
    ],
)
def test_a_program_that_cannot_go_on_raises_its_alarm(
    pump: Wire, program: tuple[str, ...], alarm: str
) -> None:
    answers = pump.all_of(*program)
    if answers[-1] != alarm:
        assert pump.until_not("I") == alarm
    assert pump.ask("") == "00S"
