"""The New Era device as the protocol page describes it: packets, alarms, safe mode, time, faults."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.new_era_host import STOPPED, TIMED_OUT, Host, awake, hexed, packet, safe
from sim.devices.new_era import NewEraPump
from sim.devices.new_era_frames import LINE_MAX, safe_frame

INFUSING = hexed("02 07 30 30 49 19 dd 03")

# -- golden frames, copied from the page by hand ------------------------------------------------------

GOLDEN = [
    ("SAF0", "02 08 53 41 46 30 55 43 03"),
    ("0SAF0", "02 09 30 53 41 46 30 59 ad 03"),
    ("0SAF2", "02 09 30 53 41 46 32 79 ef 03"),
    ("0SAF5", "02 09 30 53 41 46 35 09 08 03"),
    ("0", "02 05 30 36 53 03"),
    ("0VER", "02 08 30 56 45 52 48 09 03"),
    ("0RUN", "02 08 30 52 55 4e 44 07 03"),
    ("0STP", "02 08 30 53 54 50 b3 f9 03"),
    ("0RAT5.000MM", "02 0f 30 52 41 54 35 2e 30 30 30 4d 4d 25 68 03"),
    ("00S", "02 07 30 30 53 aa a6 03"),
    ("00I", "02 07 30 30 49 19 dd 03"),
    ("00P", "02 07 30 30 50 9a c5 03"),
    ("00A?R", "02 09 30 30 41 3f 52 65 86 03"),
    ("00A?S", "02 09 30 30 41 3f 53 75 a7 03"),
    ("00A?T", "02 09 30 30 41 3f 54 05 40 03"),
    ("00A?E", "02 09 30 30 41 3f 45 07 50 03"),
    ("00A?O", "02 09 30 30 41 3f 4f a6 1a 03"),
    ("00S?NA", "02 0a 30 30 53 3f 4e 41 52 37 03"),
    ("00S?OOR", "02 0b 30 30 53 3f 4f 4f 52 23 3f 03"),
    ("00S?COM", "02 0b 30 30 53 3f 43 4f 4d b5 80 03"),
    ("00SNE1000V3.928", "02 13 30 30 53 4e 45 31 30 30 30 56 33 2e 39 32 38 27 22 03"),
    ("00II0.056W0.000ML", "02 15 30 30 49 49 30 2e 30 35 36 57 30 2e 30 30 30 4d 4c d3 f4 03"),
    ("0DIA", "02 08 30 44 49 41 02 35 03"),
    ("5DIS", "02 08 35 44 49 53 8c 03 03"),
    ("13DIS", "02 09 31 33 44 49 53 0d 25 03"),
    ("00I0.056ML", "02 0e 30 30 49 30 2e 30 35 36 4d 4c 03 f9 03"),
]


@pytest.mark.parametrize(("data", "printed"), GOLDEN, ids=[data for data, _ in GOLDEN])
def test_a_safe_packet_is_what_the_page_prints(data: str, printed: str) -> None:
    assert safe_frame(data) == hexed(printed)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("02 05 30 36 53 03", "00S"),
        ("02 08 30 56 45 52 48 09 03", "00SNE1000V3.928"),
        ("02 08 30 53 54 50 b3 f9 03", "00S?NA"),
        ("02 08 30 44 49 41 02 35 03", "00S26.59"),
        ("02 09 30 53 41 46 30 59 ad 03", None),
        ("02 09 30 53 41 46 32 79 ef 03", "00S"),
        ("02 0f 30 52 41 54 35 2e 30 30 30 4d 4d 25 68 03", "00S"),
    ],
)
def test_the_printed_questions_are_answered(question: str, answer: str | None) -> None:
    expected = b"\x0200S\x03" if answer is None else packet(answer)
    assert safe().send(hexed(question)) == [expected]


def test_crc_bytes_that_look_like_delimiters_do_not_end_a_packet() -> None:
    assert safe(5).send(hexed("02 08 35 44 49 53 8c 03 03")) == [packet("05SI0.000W0.000ML")]
    assert safe(13).send(hexed("02 09 31 33 44 49 53 0d 25 03")) == [packet("13SI0.000W0.000ML")]
    assert safe(0).send(hexed("02 08 30 44 49 41 02 35 03")) == [packet("00S26.59")]


def test_the_worked_exchange_of_the_page_comes_out_byte_for_byte() -> None:
    host = Host()
    assert host.send(b"VER \r") == [b"\x0200A?R\x03"]
    assert host.send(b"VER\r") == [b"\x0200SNE1000V3.928\x03"]
    assert host.send(b"DIA14.43\r") == [b"\x0200S\x03"]
    assert host.send(b"DIA\r") == [b"\x0200S14.43\x03"]
    assert host.send(b"VOLML\r") == host.send(b"VOL20.00\r") == [b"\x0200S\x03"]
    assert host.send(b"VOL\r") == [b"\x0200S20.00ML\x03"]
    assert host.send(b"RAT26.70MH\r") == [b"\x0200S\x03"]
    assert host.send(b"RAT\r") == [b"\x0200S26.70MH\x03"]
    assert host.send(b"DIRINF\r") == host.send(b"CLDINF\r") == [b"\x0200S\x03"]
    assert host.send(hexed("02 09 30 53 41 46 35 09 08 03")) == [STOPPED]
    assert host.send(hexed("02 08 30 52 55 4e 44 07 03")) == [INFUSING]
    host.wait(4.0)
    assert host.send(hexed("02 05 30 36 53 03")) == [INFUSING]
    assert host.pump.next_event(host.now) == host.now + 5.0
    assert host.wait(5.0) == [TIMED_OUT]
    assert host.send(hexed("02 05 30 36 53 03")) == [TIMED_OUT]
    assert host.send(hexed("02 05 30 36 53 03")) == [STOPPED]
    assert host.pump.truth().plunger_nl == 26_700_000 * 9 // 3_600


# -- basic packets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelling",
    [
        b"RAT26.70MH\r",
        b"0 rat 26.70 mh \r",
        b"0RAT26.70MH\r",
        b"00 RAT 26.70 MH\r\n",
        b"\nr a t\t26.70\x00mH\r",
        b"\x11RAT\x1326.70MH\r",
        b"RATC26.70MH\r",
        b"RAT C 26.7 MH\r",
        b"\x02RAT26.70MH\x03\r",
    ],
)
def test_spaces_case_and_control_characters_do_not_matter(spelling: bytes) -> None:
    host = awake()
    assert host.send(spelling) == [b"\x0200S\x03"]
    assert host.ask("RAT") == "00S26.70MH"


@pytest.mark.parametrize("address", [0, 5, 13, 99])
def test_a_pump_answers_its_own_address_and_is_silent_on_others(address: int) -> None:
    host = Host(NewEraPump(address=address))
    assert host.ask(f"{address}") == f"{address:02d}A?R"
    assert host.ask(f"{address:02d}VER") == f"{address:02d}SNE1000V3.928"
    assert host.send(f"{(address + 1) % 100}VER\r".encode()) == []
    assert host.ask("*") == f"{address:02d}S"
    assert host.ask("*ADR") == f"{address:02d}S{address:02d}"


def test_no_address_means_address_zero() -> None:
    assert Host(NewEraPump(address=7)).send(b"VER\r") == []


def test_an_empty_command_asks_for_the_status() -> None:
    assert awake().ask("") == "00S"
    assert awake().ask("0") == "00S"


@pytest.mark.parametrize("address", [0, 7, 42])
def test_an_address_before_a_system_command_makes_one_answer_and_no_burst(address: int) -> None:
    host = awake(address=address)
    shown = f"{address:02d}"
    assert host.ask(f"{address}*ADR ") == f"{shown}S{shown}"
    assert host.ask("9 * VER") == f"{shown}SNE1000V3.928"
    assert host.send(b"9*\r9*8STP\r") == []


def test_one_line_carries_commands_for_several_pumps() -> None:
    burst = b"0 RAT 100 MH * 1 RAT 250 MH *\r"
    for address, rate in ((0, "100.0"), (1, "250.0")):
        host = Host(NewEraPump(address=address))
        host.send(f"{address}\r".encode())
        assert host.send(burst) == [f"\x020{address}S\x03".encode()]
        assert host.ask(f"{address}RAT") == f"0{address}S{rate}MH"
    assert Host(NewEraPump(address=2)).send(burst) == []


def test_an_endless_line_is_bounded_refused_and_forgotten() -> None:
    host = awake()
    for _ in range(50):
        host.send(b"0RUN" * 100)
        assert len(host.pump.state.buffer) <= LINE_MAX + 1
    assert host.ask("") == "00S?"
    assert host.ask("") == "00S"


def test_a_line_padded_with_nothing_but_blanks_is_not_too_long() -> None:
    host = awake()
    host.send(b"VE" + b"\x00 " * 2_000)
    assert host.ask("R") == "00SNE1000V3.928"


# -- safe packets -------------------------------------------------------------------------------------


def test_a_damaged_packet_is_answered_with_com_and_not_obeyed() -> None:
    host = safe()
    assert host.send(hexed("02 08 30 52 55 4e 44 06 03")) == [packet("00S?COM")]
    assert host.send(hexed("02 08 30 52 55 4e 44 07 04")) == [packet("00S?COM")]
    assert host.ask_safe("0") == STOPPED


def test_a_damaged_packet_does_not_restart_the_timer() -> None:
    host = safe()
    host.wait(3.0)
    host.send(hexed("02 05 30 36 52 03"))
    assert host.wait(2.0) == [TIMED_OUT]


def test_every_valid_packet_restarts_the_timer_even_a_refused_one() -> None:
    host = safe()
    for data in ("0", "0XYZ", "0STP", "0VER"):
        host.wait(4.0)
        host.ask_safe(data)
    assert host.wait(4.999) == []
    assert host.wait(0.001) == [TIMED_OUT]


def test_a_packet_for_another_pump_does_not_restart_the_timer() -> None:
    host = safe()
    host.wait(4.0)
    assert host.send(packet("1VER")) == []
    assert host.wait(1.0) == [TIMED_OUT]


def test_after_a_timeout_the_timer_is_off_until_the_next_valid_packet() -> None:
    host = safe()
    assert host.wait(5.0) == [TIMED_OUT]
    assert host.wait(1_000.0) == []
    assert host.ask_safe("0") == TIMED_OUT
    assert host.wait(5.0) == [TIMED_OUT]


def test_a_cut_off_packet_swallows_the_stop_that_follows() -> None:
    host = safe()
    host.send(packet("0RAT26.70MH"))
    host.ask_safe("0RUN")
    assert host.send(packet("0RAT100.0MH")[:6]) == []
    swallowed = host.send(packet("0STP"))
    assert swallowed in ([], [packet("00I?COM")])
    assert host.pump.status == "I"


def test_a_cut_off_packet_is_forgotten_after_half_a_second() -> None:
    host = safe()
    host.send(packet("0VER")[:5])
    host.wait(0.5)
    assert host.ask_safe("0") == STOPPED
    host.send(packet("0VER")[:5])
    host.wait(0.499)
    assert host.send(packet("0")) == [packet("00S?COM")]


def test_noise_between_safe_packets_is_ignored_and_so_are_basic_commands() -> None:
    host = safe()
    assert host.send(b"VER\r0\r\x02\x01\x02\x03\xff" + packet("0")) == [STOPPED]


def test_a_basic_pump_takes_a_safe_packet_that_waits_for_its_last_byte() -> None:
    host = awake()
    frame = packet("0SAF5")
    assert host.send(b"xyz" + frame[:1]) == []
    assert host.send(frame[1:-1]) == []
    assert host.send(frame[-1:]) == [STOPPED]


def test_a_basic_pump_answers_a_safe_packet_in_its_own_framing() -> None:
    host = awake()
    assert host.send(packet("0VER")) == [b"\x0200SNE1000V3.928\x03"]
    assert host.send(hexed("02 08 30 56 45 52 48 08 03")) == [b"\x0200S?COM\x03"]


def test_a_basic_pump_forgets_half_a_safe_packet_but_not_a_slow_typist() -> None:
    host = awake()
    for half in (packet("0VER")[:5], b"\x02"):
        host.send(half)
        host.wait(0.5)
        assert host.ask("VER") == "00SNE1000V3.928"
    host.send(b"V\x02E")
    host.wait(60.0)
    assert host.ask("R") == "00SNE1000V3.928"


def test_saf_zero_returns_to_basic_mode_and_answers_in_it() -> None:
    host = safe()
    assert host.send(hexed("02 09 30 53 41 46 30 59 ad 03")) == [b"\x0200S\x03"]
    assert host.wait(1_000.0) == []
    assert host.ask("SAF") == "00S0"


def test_saf_can_be_set_in_a_basic_line_and_is_answered_safe() -> None:
    host = awake()
    assert host.send(b"SAF 255\r") == [STOPPED]
    assert host.ask_safe("0SAF") == packet("00S255")


def test_an_alarm_takes_the_place_of_saf_in_the_framing_that_was_asked_for() -> None:
    host = Host()
    assert host.send(packet("0SAF5")) == [packet("00A?R")]
    assert host.pump.state.settings.safe_s == 0
    assert host.send(packet("0SAF5")) == [STOPPED]


def test_a_saf_that_cannot_be_meant_is_answered_in_the_present_framing() -> None:
    for wrong in ("SAF256", "SAFX", "SAF99999", "SAF"):
        assert Host().send(wrong.encode() + b"\r") == [b"\x0200A?R\x03"]
    assert awake().ask("SAF256") == "00S?OOR"
    assert awake().ask("SAFX") == "00S?"


def test_a_new_baud_rate_switches_the_timer_off_until_the_next_valid_packet() -> None:
    host = safe()
    assert host.ask_safe("*ADR0B9600") == STOPPED
    assert host.wait(60.0) == []
    host.ask_safe("0")
    assert host.wait(5.0) == [TIMED_OUT]
