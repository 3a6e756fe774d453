"""Pumping programs of a New Era pump: every function of a phase, loops, waits, and programs in error."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.new_era_host import Host, awake, programmed
from sim.devices.new_era_numbers import Refusal
from sim.devices.new_era_quirks import Quirks
from sim.devices.quirks import parse_quirks

MINUTE = 60.0


def program(host: Host, *phases: tuple[str, ...]) -> Host:
    """The phases from 1 on, each a function and what else is set in it; then phase 1 is selected."""
    for number, (function, *settings) in enumerate(phases, start=1):
        host.tell(f"PHN{number}", f"FUN{function}", *settings)
    host.tell("PHN1")
    return host


def quirky(*settings: str) -> Host:
    return awake(parse_quirks(Quirks, settings))


def rates(host: Host, *, each: float, count: int) -> list[str]:
    """What the pump says it goes at, every so many seconds."""
    seen = []
    for _ in range(count):
        seen.append(host.ask("RAT")[2:])
        host.wait(each)
    return seen


# -- rates that step --------------------------------------------------------------------------------


def test_increments_in_a_loop_are_a_ramp_up_and_decrements_one_down() -> None:
    host = program(
        awake(),
        ("RAT", "RAT60MH", "VOL1"),
        ("LPS",),
        ("INC", "RAT60MH", "VOL2"),
        ("LOP3",),
        ("DEC", "RAT90MH", "VOL2.5"),
        ("STP",),
    )
    host.tell("RUN")
    host.wait(30.0)
    assert rates(host, each=MINUTE, count=2) == ["I60.00MH", "I120.0MH"]
    assert rates(host, each=25.0, count=3) == ["I180.0MH", "I240.0MH", "I150.0MH"]
    host.wait(35.1)
    assert host.ask("DIS") == "00SI9.500W0.000ML"
    assert host.ask("RAT") == "00S60.00MH"


def test_a_pause_in_a_stepped_phase_goes_on_at_the_same_rate() -> None:
    host = program(awake(), ("RAT", "RAT60MH", "VOL1"), ("INC", "RAT30MH", "VOL3"), ("STP",))
    host.tell("RUN")
    host.wait(90.0)
    host.tell("STP")
    host.wait(500.0)
    host.tell("RUN")
    assert host.ask("RAT") == "00I90.00MH"
    assert host.ask("RAT50") == "00I?NA"
    host.wait(90.1)
    assert host.ask("DIS") == "00SI4.000W0.000ML"


def test_a_phase_without_a_rate_goes_on_at_the_stepped_one_and_one_with_a_rate_ends_the_steps() -> (
    None
):
    host = program(
        awake(),
        ("RAT", "RAT60MH", "VOL1"),
        ("INC", "RAT60MH", "VOL2"),
        ("RAT", "VOL2"),
        ("RAT", "RAT60MH", "VOL1"),
        ("INC", "RAT1MM", "VOL2"),
        ("STP",),
    )
    host.tell("RUN")
    host.wait(30.0)
    assert rates(host, each=MINUTE, count=5) == [
        "I60.00MH",
        "I120.0MH",
        "I120.0MH",
        "I60.00MH",
        "I120.0MH",
    ]


def test_an_increment_from_standing_still_is_its_own_rate_and_a_decrement_an_error() -> None:
    host = program(awake(), ("INC", "RAT60MH", "VOL1"), ("INC", "RAT60MH", "VOL2"))
    host.tell("RUN")
    host.wait(30.0)
    assert rates(host, each=MINUTE, count=2) == ["I60.00MH", "I120.0MH"]
    host = program(awake(), ("DEC", "RAT60MH", "VOL1"))
    assert [host.ask("RUN"), host.ask("")] == ["00A?E", "00S"]


@pytest.mark.parametrize(("function", "rate"), [("INC", "1650MH"), ("DEC", "60MH")])
def test_a_step_beyond_the_limits_is_a_program_error_when_it_comes(
    function: str, rate: str
) -> None:
    host = program(awake(), ("RAT", "RAT60MH", "VOL1"), (function, f"RAT{rate}", "VOL1"))
    host.tell("RUN")
    host.wait(59.9)
    assert host.ask("") == "00I"
    host.wait(0.2)
    assert [host.ask(""), host.ask("DIS")] == ["00A?E", "00SI1.000W0.000ML"]


# -- filling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "counted"), [("keep", "I2.000W2.000ML"), ("clear", "I0.000W0.000ML")]
)
def test_a_fill_brings_back_what_was_dispensed(position: str, counted: str) -> None:
    host = program(
        quirky(f"fill_counters={position}"),
        ("RAT", "RAT60MH", "VOL1"),
        ("FIL", "RAT120MH"),
        ("RAT", "RAT60MH", "VOL1"),
        ("FIL", "RAT120MH"),
        ("STP",),
    )
    host.tell("RUN")
    host.wait(75.0)
    assert host.ask("RAT") == "00W120.0MH"
    assert host.ask("DIRREV") == "00W?NA"
    host.tell("STP")
    host.wait(100.0)
    assert host.ask("RUN") == "00W"
    host.wait(115.1)
    assert host.ask("DIS") == f"00S{counted}"
    assert host.pump.truth().plunger_nl == 0


def test_a_fill_of_nothing_takes_no_time_and_one_after_a_withdrawal_infuses() -> None:
    host = program(awake(), ("FIL", "RAT60MH"), ("RAT", "RAT60MH", "VOL1", "DIRWDR"), ("FIL",))
    assert host.ask("RUN") == "00W"
    host.wait(90.0)
    assert host.ask("RAT") == "00I60.00MH"
    host.wait(30.1)
    assert host.ask("DIS") == "00SI1.000W1.000ML"


# -- loops ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("position", "ml"), [("passes", "12.00"), ("repeats", "36.00")])
def test_loops_nest(position: str, ml: str) -> None:
    host = program(
        quirky(f"loop_count={position}"),
        ("LPS",),
        ("LPS",),
        ("LPS",),
        ("RAT", "RAT600MH", "VOL1"),
        ("LOP2",),
        ("LOP3",),
        ("LOP2",),
        ("STP",),
    )
    host.tell("RUN")
    host.wait(3_600.0)
    assert host.ask("DIS") == f"00SI{ml}W0.000ML"


def test_a_fourth_loop_inside_three_is_a_program_error() -> None:
    host = program(awake(), *[("LPS",)] * 4, ("RAT", "RAT60MH"))
    assert [host.ask("RUN"), host.ask("")] == ["00A?E", "00S"]


def test_a_loop_that_was_left_by_a_jump_begins_anew() -> None:
    host = program(
        awake(), ("LPS",), ("RAT", "RAT600MH", "VOL1"), ("IF06",), ("LOP2",), ("STP",), ("JMP1",)
    )
    host.pump.ttl(6, 0, host.now)
    host.tell("RUN")
    host.wait(60.0)  # ten times through the jump
    assert host.ask("") == "00I"
    host.pump.ttl(6, 1, host.now)
    host.wait(12.1)
    assert host.ask("DIS") == "00SI12.00W0.000ML"


@pytest.mark.parametrize(("position", "answer"), [("error", "00A?E"), ("phase_1", "00S")])
def test_a_loop_end_without_a_start(position: str, answer: str) -> None:
    host = program(
        quirky(f"loop_without_start={position}"), ("RAT", "RAT600MH", "VOL1"), ("LOP4",), ("STP",)
    )
    host.tell("RUN")
    host.wait(100.0)
    assert host.ask("") == answer
    assert host.ask("DIS") == f"00SI{'1.000' if position == 'error' else '4.000'}W0.000ML"


def test_a_loop_of_beeps_is_no_hang_and_one_without_end_is_an_error() -> None:
    host = program(awake(), ("LPS",), ("BEP",), ("LOP99",), ("STP",))
    assert host.ask("RUN") == "00S"
    assert host.pump.state.beeps == 99
    host = program(awake(), ("BEP",), ("JMP1",))
    assert host.ask("RUN") == "00A?E"


# -- waits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("argument", "seconds"), [("07", 7.0), ("99", 99.0), ("0.3", 0.3)])
def test_a_pause_lasts_as_long_as_it_says(argument: str, seconds: float) -> None:
    host = program(awake(), (f"PAS{argument}",), ("STP",))
    assert host.ask("FUN") == f"00SPAS{argument}"
    host.tell("RUN")
    due = host.pump.next_event(host.now)
    assert due == pytest.approx(host.now + seconds)
    host.wait(seconds)
    assert host.ask("") == "00S"


def test_a_pause_of_nothing_waits_for_a_start_and_may_itself_be_paused() -> None:
    host = program(awake(), ("PAS0",), ("RAT", "RAT60MH", "VOL1"), ("STP",))
    assert host.ask("RUN") == "00U"
    host.wait(10_000.0)
    assert [host.ask("STP"), host.ask("RUN"), host.ask("RUN2")] == ["00P", "00U", "00U?NA"]
    assert host.ask("RUN") == "00I"


def test_a_choice_leads_to_the_label_and_one_that_is_nowhere_is_an_error() -> None:
    host = program(
        awake(), ("PRI",), ("PRL07",), ("STP",), ("PRL08",), ("RAT", "RAT60MH", "VOL1"), ("STP",)
    )
    with pytest.raises(Refusal):
        host.pump.choose(8, host.now)
    assert [host.ask("RUN"), host.ask("RUN")] == ["00U", "00U?NA"]
    host.pump.choose(8, host.now)
    assert host.ask("") == "00I"
    host.tell("STP", "STP", "RUN")
    host.pump.choose(9, host.now)
    assert [host.ask(""), host.ask("")] == ["00A?E", "00S"]


# -- texts ------------------------------------------------------------------------------------------

FUNCTIONS = (
    *("RAT", "FIL", "INC", "DEC", "STP", "CLD", "BEP", "LPS", "EVR", "PRI"),
    *("JMP07", "IF41", "EVN02", "EVS03", "LOP99", "PRL00", "OUT0", "OUT1", "PAS00", "PAS9.9"),
    *("TRGFT", "TRGLE", "TRGET", "TRGBT"),
)


@pytest.mark.parametrize("text", FUNCTIONS)
def test_every_function_is_stored_and_read_back_in_its_phase_alone(text: str) -> None:
    host = awake()
    host.tell("PHN3", f"FUN{text}")
    assert host.ask("FUN") == f"00S{text}"
    host.tell("PHN4")
    assert host.ask("FUN") == "00SSTP"
    host.pump.power_cycle(host.now)
    assert [host.ask(""), host.ask("PHN3"), host.ask("FUN")] == ["00A?R", "00S", f"00S{text}"]


@pytest.mark.parametrize("text", ["XXX", "RAT5", "JMP", "PAS", "TRG", "TRGXX", "PASX", "LPE", "IF"])
def test_what_is_no_function_is_not_recognised(text: str) -> None:
    host = awake()
    assert [host.ask(f"FUN{text}"), host.ask("FUN")] == ["00S?", "00SRAT"]


@pytest.mark.parametrize(
    "text", ["JMP0", "JMP42", "IF42", "LOP0", "LOP100", "OUT2", "PAS100", "PAS10.5"]
)
def test_an_argument_beyond_its_range_is_out_of_range(text: str) -> None:
    assert awake().ask(f"FUN{text}") == "00S?OOR"


def test_functions_may_be_written_with_spaces_and_in_small_letters() -> None:
    host = programmed()
    host.tell("fun jmp 7", "phn 2", "fun pas 5")
    assert host.ask("FUN") == "00SPAS05"
