"""The basic mode of the simulated New Era pump, judged from outside: bytes in, bytes out.

Its safe mode, its hosts and its command line have files of their own beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hil_tests.real.new_era_wire import Bench, Wire

pytestmark = pytest.mark.real

FAST = ("--speed", "200")
READY = ("DIA14.43", "VOLML", "RAT100.0MH")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture
def pump(bench: Bench) -> Iterator[Wire]:
    wire = bench.shared()
    wire.ask("DIA26.59")
    yield wire
    assert wire.serial.in_waiting == 0, "it said more than it was asked"


@pytest.fixture
def fast(bench: Bench) -> Wire:
    return bench.shared(*FAST)


# Power-on


def test_it_is_silent_until_asked_and_answers_the_first_command_with_the_reset_alarm(
    bench: Bench,
) -> None:
    wire = bench.fresh()
    assert wire.within(0.2) == b""
    assert wire.all_of("DIA5", "DIA", "VER") == ["00A?R", "00S26.59", "00SNE1000V3.928"]


def test_another_pumps_command_and_an_unknown_one_do_not_acknowledge_the_reset(
    bench: Bench,
) -> None:
    wire = bench.fresh()
    wire.send(b"5VER\rFOO\r")
    assert wire.basic() == "00S?"
    assert wire.all_of("RUN", "") == ["00A?R", "00S"]


def test_switches_choose_what_becomes_of_the_first_command(bench: Bench) -> None:
    deaf = bench.fresh("--quirk", "power_on=ignore_first_command")
    deaf.send(b"DIA5\r")
    assert deaf.within(0.1) == b""
    assert deaf.ask("DIA") == "00S26.59"
    assert bench.fresh("--quirk", "power_on=clean").ask("VER") == "00SNE1000V3.928"


# Frames and addresses


@pytest.mark.parametrize(
    "sent",
    [
        b"VER\r", b"VER \r", b"ver\r", b" v E r \r", b"0VER\r", b"00VER\r", b"0 VER \r", b"0 0 ver\r",
        b"\x00\tV\x1bER\x7f\r", b"\nVER\r", b"\x11VER\x13\r", b"\x02VER\r", b"\x03VER\r", b"*VER\r",
        b" * ver \r", b" " * 2000 + b"VER\r",
    ],
)  # fmt: skip
def test_spaces_controls_and_case_make_no_difference(pump: Wire, sent: bytes) -> None:
    pump.send(sent)
    assert pump.serial.read(17) == b"\x0200SNE1000V3.928\x03"


@pytest.mark.parametrize(("number", "address"), [(7, "07"), (10, "10"), (99, "99")])
def test_it_answers_at_its_own_address_only(pump: Wire, number: int, address: str) -> None:
    pump.ask(f"*ADR {number}")
    pump.send(b"VER\r0VER\r8VER\r98\r")
    assert pump.all_of(f"{number}", f"{address}VER", f" {number} DIA") == [
        f"{address}S",
        f"{address}SNE1000V3.928",
        f"{address}S26.59",
    ]
    assert pump.ask("*ADR") == f"{address}S{address}"


def test_every_pump_obeys_a_system_command(pump: Wire) -> None:
    pump.ask("*ADR 42")
    assert pump.all_of("*DIA 20", "*", "*STP") == ["42S", "42S", "42S?NA"]
    assert pump.ask("42DIA") == "42S20.00"
    assert pump.all_of("*RESET", "") == ["00S", "00S"]


@pytest.mark.parametrize("number", [0, 1, 42])
def test_an_address_before_a_system_command_still_makes_one_answer(pump: Wire, number: int) -> None:
    pump.ask(f"*ADR {number}")
    pump.send(f"{number}*ADR \r{number}*VER\r5 * DIA\r".encode())
    shown = f"{number:02d}"
    answers = [pump.basic() for _ in range(3)]
    assert answers == [f"{shown}S{shown}", f"{shown}SNE1000V3.928", f"{shown}S26.59"]


def test_the_address_may_come_with_a_baud_rate(pump: Wire) -> None:
    for baud in (300, 1200, 2400, 9600, 19200):
        assert pump.ask(f"*ADR 12 B {baud}") == "12S"
    assert pump.all_of("*ADR12B4800", "*ADR 100", "12") == ["12S?OOR", "12S?OOR", "12S"]


def test_a_burst_carries_commands_for_several_pumps(pump: Wire) -> None:
    pump.all_of("DIA26.59", "RATMH", "*ADR 1")
    assert pump.ask("0 RAT 100 * 1 RAT 250 * 2 RAT 300 *") == "01S"
    assert pump.ask("1RAT") == "01S250.0MH"
    assert pump.ask("1 RAT 50 * 0 RAT 20 *") == "01S"
    pump.send(b"5*\r2RAT 9*3RAT 9*\r")
    assert pump.ask("1RAT") == "01S50.00MH"


def test_several_lines_in_one_write_get_an_answer_each_in_order(pump: Wire) -> None:
    pump.send(b"VER\r\rDIA\r\n*ADR\r")
    answers = [pump.basic() for _ in range(4)]
    assert answers == ["00SNE1000V3.928", "00S", "00S26.59", "00S00"]


def test_one_digit_addresses_in_answers_are_a_switch(bench: Bench) -> None:
    wire = bench.quirk("reply_address_digits", "1")
    wire.send(b"DIA\r")
    assert wire.serial.read(9) == b"\x020S26.59\x03"
    assert wire.all_of("*ADR 12", "*RESET")[0] == "12S"


# Commands at rest


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("", ""), ("VER", "NE1000V3.928"), ("DIA", "14.43"), ("RAT", "100.0MH"), ("VOL", "0.000ML"),
        ("DIR", "INF"), ("DIS", "I0.000W0.000ML"), ("PHN", "01"), ("FUN", "RAT"), ("SAF", "0"),
        ("PF", "0"), ("LOC", "0"), ("BUZ", "0"), ("IN 2", "1"), ("*ADR", "00"),
    ],
)  # fmt: skip
def test_a_mnemonic_without_argument_is_a_query(pump: Wire, query: str, answer: str) -> None:
    pump.all_of(*READY)
    assert pump.ask(query) == "00S" + answer


@pytest.mark.parametrize(
    ("mnemonic", "arguments"),
    [
        ("TRG", ["FT", "FH", "F2", "LE", "ST", "T2", "SP", "P2"]), ("DIR", ["WDR", "STK", "INF"]),
        ("AL", ["1", "0"]), ("BUZ", ["1", "0"]), ("LOC", ["1", "0"]), ("PF", ["1", "0"]),
        ("FUN", ["STP", "FIL", "INC", "DEC", "CLD", "BEP", "RAT"]),
    ],
)  # fmt: skip
def test_a_setting_answers_with_the_status_alone_and_reads_back(
    pump: Wire, mnemonic: str, arguments: list[str]
) -> None:
    for argument in arguments:
        spelled = (f"{mnemonic}{argument}", f"{mnemonic} {argument.lower()} ")
        assert [*pump.all_of(*spelled), pump.ask(mnemonic)] == ["00S", "00S", f"00S{argument}"]


def test_a_phase_is_selected_by_number_and_answers_with_two_digits(pump: Wire) -> None:
    assert pump.all_of("PHN2", "PHN", "PHN 41", "PHN", "PHN01", "PHN") == [
        "00S", "00S02", "00S", "00S41", "00S", "00S01",
    ]  # fmt: skip
    pump.all_of("DIA14.43", "VOL1.5", "PHN2", "FUNRAT", "VOL2.5", "DIRWDR", "PHN1")
    assert pump.all_of("VOL", "DIR", "PHN2", "VOL", "DIR") == [
        "00S1.500ML", "00SINF", "00S", "00S2.500ML", "00SWDR",
    ]  # fmt: skip


def test_reversing_turns_the_direction_round(pump: Wire) -> None:
    assert pump.all_of("DIRREV", "DIR", "DIRREV", "DIR") == ["00S", "00SWDR", "00S", "00SINF"]


@pytest.mark.parametrize(
    "text", ["FOO", "?", "DIRXXX", "TRGXX", "FUNXYZ", "CLD", "VER1", "SAFx", "\xe9", "A" * 5000]
)
def test_what_it_does_not_know_it_says_so_about(pump: Wire, text: str) -> None:
    assert pump.all_of(text, "") == ["00S?", "00S"]


@pytest.mark.parametrize(
    "text",
    [
        "PHN0",
        "PHN42",
        "SAF256",
        "DIA0",
        "DIA0.099",
        "DIA80.1",
        "RAT0",
        "VOL12345",
        "RUN42",
        "AL2",
        "PF2",
    ],
)
def test_what_is_out_of_range_changes_nothing(pump: Wire, text: str) -> None:
    pump.all_of(*READY)
    queries = ("PHN", "SAF", "DIA", "RAT", "VOL", "AL", "PF", "")
    before = pump.all_of(*queries)
    assert [pump.ask(text), *pump.all_of(*queries)] == ["00S?OOR", *before]


# Numbers


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("1234.", "1234."), ("7407.", "7407."), ("9999.", "9999."), ("9999", "9999."), ("1000", "1000."),
        ("0.001", "0.001"), (".001", "0.001"), (".5", "0.500"), ("600", "600.0"), ("600.", "600.0"),
        ("5000", "5000."), ("5", "5.000"), ("5.", "5.000"), ("20.00", "20.00"), ("0005", "5.000"),
        ("999.9", "999.9"), ("99.99", "99.99"), ("1.5", "1.500"), ("0", "0.000"), ("0.0", "0.000"),
        ("12.3", "12.30"), (" 2 . 5 ", "2.500"),
    ],
)  # fmt: skip
def test_a_number_reads_back_in_five_characters(pump: Wire, sent: str, read: str) -> None:
    pump.all_of("DIA14.43", "VOLML")
    assert pump.all_of(f"VOL{sent}", "VOL") == ["00S", f"00S{read}ML"]
    assert len(read) == 5


@pytest.mark.parametrize(
    "text", ["1e+03", "1e3", "-1", "+1", "1,5", ".", "1.2.3", "nan", "inf", "0x10"]
)
@pytest.mark.parametrize("mnemonic", ["VOL", "RAT", "DIA"])
def test_what_is_not_a_number_is_refused_and_never_interpreted(
    pump: Wire, mnemonic: str, text: str
) -> None:
    pump.all_of(*READY, "VOL5")
    before = pump.ask(mnemonic)
    assert pump.all_of(mnemonic + text, mnemonic) == ["00S?", before]


@pytest.mark.parametrize(
    "rate",
    [
        "26.70MH",
        "0.445MM",
        "445.0UM",
        "66.66MH",
        "1.111MM",
        "133.3MH",
        "2.222MM",
        "555.5UM",
        "9000.UH",
    ],
)
def test_a_rate_reads_back_as_it_was_sent(pump: Wire, rate: str) -> None:
    pump.ask("DIA14.43")
    assert pump.all_of(f"RAT{rate}", "RAT", f"RAT C {rate}", "RAT") == ["00S", f"00S{rate}"] * 2


def test_a_rate_without_a_unit_keeps_the_unit(pump: Wire) -> None:
    pump.all_of("DIA14.43", "RAT1.000MM")
    assert pump.all_of("RAT2", "RAT", "0 rat 26.70 mh ", "RAT", "RATC30", "RAT") == [
        "00S", "00S2.000MM", "00S", "00S26.70MH", "00S", "00S30.00MH",
    ]  # fmt: skip


def test_how_a_thousand_is_written_is_a_switch(bench: Bench) -> None:
    wire = bench.quirk("reply_ge_1000", "no_point")
    wire.all_of("DIA26.59", "VOL1500")
    assert wire.all_of("VOL", "RAT1500UM", "RAT", "VOL999", "VOL") == [
        "00S1500ML", "00S", "00S1500UM", "00S", "00S999.0ML",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("diameter", "least", "below", "most", "above"),
    [
        ("4.699", "0.730UH", "0.729UH", "53.07MH", "53.08MH"),
        ("14.43", "6.877UH", "6.876UH", "500.5MH", "500.6MH"),
        ("19.05", "11.99UH", "11.98UH", "872.3MH", "872.4MH"),
        ("26.59", "23.35UH", "23.34UH", "1699.MH", "1700.MH"),
        ("29.7", "29.13UH", "29.12UH", "2120.MH", "2121.MH"),
    ],
)
def test_the_plungers_speed_limits_the_rate(
    pump: Wire, diameter: str, least: str, below: str, most: str, above: str
) -> None:
    pump.ask(f"DIA{diameter}")
    assert pump.all_of(f"RAT{least}", f"RAT{below}", "RAT") == ["00S", "00S?OOR", f"00S{least}"]
    assert pump.all_of(f"RAT{most}", f"RAT{above}", "RAT") == ["00S", "00S?OOR", f"00S{most}"]


@pytest.mark.parametrize(("diameter", "unit"), [("14.00", "UL"), ("14.01", "ML"), ("4.699", "UL")])
def test_the_diameter_sets_the_volume_unit(pump: Wire, diameter: str, unit: str) -> None:
    pump.all_of("DIA20" if unit == "UL" else "DIA10", f"DIA{diameter}")
    assert pump.all_of("VOL", "DIS") == [f"00S0.000{unit}", f"00SI0.000W0.000{unit}"]


def test_value_and_unit_of_the_target_are_separate_commands(pump: Wire) -> None:
    pump.all_of("DIA14.43", "VOL20.00")
    assert pump.all_of("VOLUL", "VOL", "VOL ML ", "VOL") == [
        "00S",
        "00S20.00UL",
        "00S",
        "00S20.00ML",
    ]


def test_value_and_unit_in_one_command_are_a_switch(bench: Bench) -> None:
    takes, refuses = bench.shared(), bench.quirk("vol_combined", "refuse")
    takes.ask("VOLML")
    assert takes.all_of("VOL 1 UL", "VOL") == ["00S", "00S1.000UL"]
    refuses.ask("VOLML")
    assert refuses.all_of("VOL 1 UL", "VOL") == ["00S?", "00S0.000ML"]
