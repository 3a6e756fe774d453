"""Every command of the New Era page: set, query, refusal; numbers, limits, programs, ways of hosts."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.new_era_host import Host, awake, packet, programmed
from sim.devices.new_era import NewEraPump
from sim.devices.new_era_models import MODELS, rate_limits_nl_h
from sim.devices.new_era_numbers import format_number

ML = 1_000_000

# -- identity, unknown commands -----------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_ver_names_model_and_firmware(model: str) -> None:
    assert awake(model=model).ask("VER") == f"00S{MODELS[model].name}V3.928"


@pytest.mark.parametrize(
    "command",
    [
        "XYZ",
        "?",
        "V",
        "VERX",
        "STP1",
        "PUR1",
        "DIS1",
        "*RESET1",
        "123RAT",
        "RA",
        "CLD",
        "INF",
        "\xb5",
        "é",
    ],
)
def test_what_is_no_command_is_answered_with_a_question_mark(command: str) -> None:
    assert (
        awake().send(command.encode("latin-1") + b"\r") == [b"\x0200S?\x03"] or command == "123RAT"
    )
    assert Host(NewEraPump(address=12)).ask("123RAT") == "12S?"


# -- numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("1234.", "1234."),
        ("7407.", "7407."),
        ("9999.", "9999."),
        ("0.001", "0.001"),
        (".5", "0.500"),
        ("600", "600.0"),
        ("5000", "5000."),
        ("0", "0.000"),
        ("20", "20.00"),
        ("100.0", "100.0"),
        ("1000", "1000."),
        ("12.34", "12.34"),
        ("00.50", "0.500"),
    ],
)
def test_a_number_is_read_in_any_form_and_written_with_five_characters(
    sent: str, read: str
) -> None:
    host = awake()
    host.tell(f"VOL{sent}")
    assert host.ask("VOL") == f"00S{read}ML"


@pytest.mark.parametrize(
    "text", ["1e+03", "1E3", "-5", "+5", "1,5", "1..5", ".", "NAN", "INF", "0x10", "²"]
)
def test_what_is_no_number_is_refused_and_changes_nothing(text: str) -> None:
    host = programmed()
    for mnemonic in ("VOL", "RAT", "DIA"):
        frames = host.send(f"{mnemonic}{text}\r".encode("latin-1"))
        assert frames == [b"\x0200S?\x03"]
    assert [host.ask("VOL"), host.ask("RAT"), host.ask("DIA")] == [
        "00S20.00ML",
        "00S26.70MH",
        "00S14.43",
    ]


@pytest.mark.parametrize("text", ["10000", "12345.", "99999.9", "0.0001", "0.0009", ".00001"])
def test_a_number_that_is_too_large_or_cut_to_nothing_is_out_of_range(text: str) -> None:
    host = programmed()
    assert host.ask(f"VOL{text}") == "00S?OOR"
    assert host.ask("VOL") == "00S20.00ML"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("26.700", "26.70"),
        ("14.567", "14.56"),
        ("1.0000", "1.000"),
        ("0.125500", "0.125"),
        ("012.34", "12.34"),
        ("1234.9", "1234."),
        (".1239", "0.123"),
        ("0.0000", "0.000"),
    ],
)
def test_decimals_that_do_not_fit_are_cut_off(sent: str, read: str) -> None:
    host = awake()
    host.tell(f"VOL {sent}")
    assert host.ask("VOL") == f"00S{read}ML"


@pytest.mark.parametrize(
    ("thousandths", "text"),
    [(0, "0.000"), (1, "0.001"), (9_999, "9.999"), (10_009, "10.00"), (999_999, "999.9")],
)
def test_an_answer_is_cut_off_never_rounded(thousandths: int, text: str) -> None:
    assert format_number(thousandths) == text


@pytest.mark.parametrize(
    ("sent", "nl_h"),
    [
        ("26.70MH", 26_700_000),
        ("0.445MM", 26_700_000),
        ("445.0UM", 26_700_000),
        ("66.66MH", 66_660_000),
        ("1.111MM", 66_660_000),
        ("2.222MM", 133_320_000),
        ("555.5UM", 33_330_000),
        ("5000UH", 5_000_000),
    ],
)
def test_a_rate_is_exactly_what_was_sent(sent: str, nl_h: int) -> None:
    host = programmed()
    host.tell(f"RAT{sent}", "RUN")
    assert host.pump.truth().rate_nl_h == nl_h


def test_a_unit_alone_keeps_the_number() -> None:
    host = awake()
    host.tell("RAT MM", "RAT 1", "RAT UM")
    assert host.ask("RAT") == "00S1.000UM"
    assert host.ask("RATUH") == "00S?OOR"
    assert host.ask("RATC") == "00S?"


# -- rate limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("diameter_um", "slowest_ul_h", "fastest_ml_h"),
    [
        (4_699, 0.7292, 53.07),
        (14_430, 6.877, 500.5),
        (19_050, 11.99, 872.3),
        (26_590, 23.35, 1_699),
        (29_700, 29.13, 2_120),
    ],
)
def test_rate_limits_are_the_printed_ones(
    diameter_um: int, slowest_ul_h: float, fastest_ml_h: float
) -> None:
    slowest, fastest = rate_limits_nl_h(diameter_um)
    assert slowest == pytest.approx(slowest_ul_h * 1_000)
    assert fastest == pytest.approx(fastest_ml_h * 1_000_000)


@pytest.mark.parametrize(
    ("diameter", "accepted", "refused"),
    [
        ("4.699", ["0.730UH", "53.07MH"], ["0.729UH", "53.08MH"]),
        ("14.43", ["6.877UH", "500.5MH"], ["6.876UH", "500.6MH"]),
        ("19.05", ["11.99UH", "872.3MH"], ["11.98UH", "872.4MH"]),
        ("26.59", ["23.35UH", "1699MH"], ["23.34UH", "1700MH"]),
        ("29.70", ["29.13UH", "2120MH"], ["29.12UH", "2121MH", "0MH"]),
    ],
)
def test_a_rate_beyond_the_plunger_speed_is_out_of_range(
    diameter: str, accepted: list[str], refused: list[str]
) -> None:
    host = awake()
    host.tell(f"DIA{diameter}")
    for rate in accepted:
        host.tell(f"RAT{rate}")
    kept = host.ask("RAT")
    for rate in refused:
        assert host.ask(f"RAT{rate}") == "00S?OOR"
    assert host.ask("RAT") == kept


def test_a_rate_that_a_new_syringe_cannot_do_is_a_program_error_at_run() -> None:
    host = awake()
    host.tell("DIA29.70", "RAT2000MH", "DIA4.699")
    assert [host.ask("RUN"), host.ask("")] == ["00A?E", "00S"]


def test_running_without_a_rate_is_a_program_error() -> None:
    host = awake()
    assert [host.ask("RUN"), host.ask("")] == ["00A?E", "00S"]
    host.tell("RAT100MH", "RUN", "STP", "STP", "*RESET")
    assert host.ask("RUN") == "00A?E"


# -- syringe and volume -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "answer"),
    [("0.1", "00S"), ("80", "00S"), ("0.099", "00S?OOR"), ("80.01", "00S?OOR"), ("0", "00S?OOR")],
)
def test_a_diameter_lies_between_a_tenth_and_eighty_mm(sent: str, answer: str) -> None:
    assert awake().ask(f"DIA{sent}") == answer


def test_a_new_diameter_clears_the_counters_and_sets_the_default_unit() -> None:
    host = programmed()
    host.tell("RUN")
    host.wait(60.0)
    assert host.ask("DIA14.00") == "00I?NA"
    host.tell("STP", "DIA14.00")
    assert host.ask("DIS") == "00SI0.000W0.000UL"
    assert host.ask("VOL") == "00S20.00UL"
    host.tell("DIA14.01")
    assert host.ask("VOL") == "00S20.00ML"


def test_volume_and_unit_are_set_apart_or_together() -> None:
    host = awake()
    host.tell("VOL20")
    host.tell("VOLUL")
    assert host.ask("VOL") == "00S20.00UL"
    host.tell("VOL 1 ML")
    assert host.ask("VOL") == "00S1.000ML"
    assert host.ask("VOL1XL") == host.ask("VOL.") == "00S?"


@pytest.mark.parametrize(
    "command", ["VOL5", "VOLUL", "PHN2", "FUNSTP", "CLDINF", "CLDWDR", "DIRWDR"]
)
def test_settings_of_the_program_cannot_change_while_it_runs(command: str) -> None:
    host = programmed()
    host.tell("RUN")
    assert host.ask(command) == "00I?NA"
    assert host.ask("RUN") == host.ask("PUR") == host.ask("RATX?").replace("?", "?NA") == "00I?NA"
    host.tell("STP")
    host.tell(command)


def test_the_default_unit_and_the_factory_settings() -> None:
    host = awake()
    answers = {query: host.ask(query)[3:] for query in ("VOL", "RAT", "DIR", "PHN", "FUN", "SAF")}
    assert answers == {
        "VOL": "0.000ML",
        "RAT": "0.000MH",
        "DIR": "INF",
        "PHN": "01",
        "FUN": "RAT",
        "SAF": "0",
    }


# -- communication and small switches -----------------------------------------------------------------


def test_a_new_address_answers_at_once() -> None:
    host = awake()
    assert host.ask("*ADR 12") == "12S"
    assert host.send(b"VER\r") == []
    assert host.ask("*ADR3B19200") == "03S"
    assert host.ask("*ADR100") == host.ask("*ADR0B4800") == "03S?OOR"
    assert host.ask("*ADRB9600") == host.ask("*ADRX") == "03S?"
    assert host.pump.state.settings.baud == 19_200


def test_reset_clears_program_address_and_safe_mode() -> None:
    host = programmed()
    host.send(b"*ADR4\r4SAF9\r")
    host.send(packet("4RUN"))
    assert host.send(packet("*RESET")) == [b"\x0200S\x03"]
    assert [host.ask("RAT"), host.ask("VOL"), host.ask("SAF")] == [
        "00S0.000MH",
        "00S0.000ML",
        "00S0",
    ]
    assert host.wait(100.0) == []


@pytest.mark.parametrize("mnemonic", ["AL", "LOC", "LN", "PF", "BUZ", "OUT", "OUT5"])
def test_a_switch_is_set_and_read(mnemonic: str) -> None:
    host = awake()
    assert host.ask(mnemonic) == "00S0"
    host.tell(f"{mnemonic} 1")
    assert host.ask(mnemonic) == "00S1"
    assert host.ask(f"{mnemonic}2") == "00S?OOR"
    assert host.ask(f"{mnemonic}X") == "00S?"
    host.tell(f"{mnemonic}0")
    assert host.ask(mnemonic) == "00S0"


def test_counted_beeps_are_over_at_once() -> None:
    host = awake()
    host.tell("BUZ13")
    assert host.ask("BUZ") == "00S0"
    assert host.ask("BUZ1X") == "00S?"


def test_inputs_can_be_read_and_have_two_levels() -> None:
    host = awake()
    assert host.ask("IN2") == "00S1"
    assert [host.ask("IN9"), host.ask("IN"), host.ask("INX")] == ["00S?OOR", "00S?", "00S?"]


@pytest.mark.parametrize("trigger", ["FT", "FH", "F2", "LE", "ST", "T2", "SP", "P2", "RL", "SH"])
def test_triggers_are_stored(trigger: str) -> None:
    host = awake()
    host.tell(f"TRG {trigger}")
    assert host.ask("TRG") == f"00S{trigger}"
    assert host.ask("TRGXX") == "00S?"


# -- how hosts behave -----------------------------------------------------------------------------------


def test_a_host_that_opens_with_stop_alarm_trigger_version_gets_on() -> None:
    host = Host()
    answers = [host.ask(command) for command in ("STP ", "AL 1 ", "TRG LE ", "VER ")]
    assert answers == ["00A?R", "00S", "00S", "00SNE1000V3.928"]


def test_a_host_that_opens_with_a_safe_framed_saf_and_repeats_it_gets_on() -> None:
    host = Host()
    assert [host.ask_safe("0SAF2"), host.ask_safe("0SAF2")] == [packet("00A?R"), packet("00S")]


def test_a_host_that_programs_without_spaces_stops_at_its_target() -> None:
    host = awake()
    host.tell("PHN1", "FUNRAT", "RAT100.MH", "VOL1.000", "DIRINF", "PHN2", "FUNSTP", "PHN1")
    host.tell("CLDINF", "CLDWDR", "RUN")
    polls = 0
    while host.ask("")[2] in "IWX":
        host.wait(0.05)
        polls += 1
    assert polls == 720
    assert host.ask("DIS") == "00SI1.000W0.000ML"


def test_several_pumps_are_told_apart_on_one_line() -> None:
    line = [Host(NewEraPump(address=address)) for address in (0, 1, 2)]
    for command in (b"1VER\r", b"1VER\r"):
        answers = [frame for host in line for frame in host.send(command)]
        assert len(answers) == 1
    assert answers == [b"\x0201SNE1000V3.928\x03"]
