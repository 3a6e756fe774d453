"""The safe mode of the simulated New Era pump, judged from outside: framing, dead-man, alarms.

The packets in hexadecimal are worked examples of the manual (publication 1200-01, section 10) or were
computed by hand from its rules; the rest is built by the independent encoder beside this file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hil_tests.real.new_era_wire import Bench, Wire, framed

pytestmark = pytest.mark.real

VERSION = framed("00SNE1000V3.928")
STOPPED = framed("00S")
GAP_S = 0.15
SLOW = ("DIA14.43", "VOLML", "CLDINF", "CLDWDR", "RAT0.010MH")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture
def pump(bench: Bench) -> Iterator[Wire]:
    """In safe mode with a dead-man too long to matter; half a second of the pump's is a tenth of ours."""
    wire = bench.shared("--speed", "5")
    assert wire.ask_safe("SAF250") == "00S"
    yield wire
    assert wire.serial.in_waiting == 0, "it said more than it was asked"


@pytest.fixture
def plain(bench: Bench) -> Wire:
    """In basic mode."""
    return bench.shared()


def broken(text: str) -> bytes:
    """A packet with one bit of its checksum wrong."""
    packet = bytearray(framed(text))
    packet[-2] ^= 1
    return bytes(packet)


# Golden packets


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("020530365303", "0207303053aaa603"),
        ("020830564552480903", "02133030534e453130303056332e393238272203"),
        ("020830535450b3f903", "020a3030533f4e41523703"),
        ("020f30524154352e3030304d4d256803", "0207303053aaa603"),
        ("020830444941023503", "020c30305331342e3433b32403"),
        ("02093053414635090803", "0207303053aaa603"),
        ("0209305341463279ef03", "0207303053aaa603"),
    ],
)
def test_golden_requests_get_golden_answers(pump: Wire, sent: str, answer: str) -> None:
    pump.ask_safe("DIA14.43")
    pump.send(bytes.fromhex(sent))
    expected = bytes.fromhex(answer)
    assert pump.serial.read(len(expected)) == expected


@pytest.mark.parametrize(
    ("address", "sent"), [("5", "0208354449538c0303"), ("13", "020931334449530d2503")]
)
def test_end_marks_inside_a_checksum_do_not_end_a_packet(
    pump: Wire, address: str, sent: str
) -> None:
    pump.all_safe("DIA14.43", "CLDINF", "CLDWDR", f"*ADR{address}")
    pump.send(bytes.fromhex(sent))
    assert pump.safe() == f"{int(address):02d}SI0.000W0.000ML"


def test_golden_answers_of_a_running_pump(bench: Bench) -> None:
    wire = bench.shared("--speed", "100")
    wire.all_of(*SLOW, "VOL0.056", "RAT100.0MH", "RUN")
    wire.until_not("I")
    wire.all_of("RAT0.010MH", "RUN")
    wire.send(framed("SAF250"))
    golden = (
        ("", "020730304919dd03"), ("VOL", "020e303049302e3035364d4c03f903"),
        ("DIS", "021530304949302e30353657302e3030304d4cd3f403"), ("STP", "02073030509ac503"),
    )  # fmt: skip
    assert wire.safe() == "00I"
    for text, answer in golden:
        wire.send(framed(text))
        expected = bytes.fromhex(answer)
        assert wire.serial.read(len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("PHN42", "020b3030533f4f4f52233f03"), ("STP", "020a3030533f4e41523703"),
        ("FOO", framed("00S?").hex()), ("dia 14.43 ", STOPPED.hex()), ("", STOPPED.hex()), ("0", STOPPED.hex()),
        ("SAF", framed("00S250").hex()), ("*ADR", framed("00S00").hex()), ("VER\r", VERSION.hex()),
    ],
)  # fmt: skip
def test_the_data_of_a_packet_is_what_basic_mode_would_have_said(
    pump: Wire, text: str, answer: str
) -> None:
    pump.send(framed(text))
    assert pump.serial.read(len(answer) // 2).hex() == answer


# Opening moves


def test_a_safe_packet_may_come_first_and_its_alarm_answer_is_framed_as_it_asked(
    bench: Bench,
) -> None:
    wire = bench.fresh()
    wire.send(bytes.fromhex("02093053414635090803"))
    assert wire.serial.read(10) == bytes.fromhex("02093030413f52658603")
    assert wire.all_safe("0SAF5", "SAF") == ["00S", "00S5"]


def test_a_safe_packet_that_asks_for_basic_mode_is_answered_in_basic_mode(bench: Bench) -> None:
    wire = bench.fresh()
    for answer in ("00A?R", "00S"):
        wire.send(bytes.fromhex("0209305341463059ad03"))
        assert wire.basic() == answer


def test_a_basic_text_may_ask_for_safe_mode(plain: Wire) -> None:
    plain.send(b"SAF 200\r")
    assert plain.safe() == "00S"
    plain.send(b"VER\r" + framed("VER"))
    assert plain.safe() == "00SNE1000V3.928"
    plain.send(framed("SAF0"))
    assert plain.basic() == "00S"
    assert plain.ask("SAF") == "00S0"


def test_packets_of_any_length_are_taken_in_basic_mode(plain: Wire) -> None:
    for padding in range(24):
        plain.send(framed("VER" + " " * padding))
        assert plain.basic() == "00SNE1000V3.928"


def test_how_a_change_of_mode_is_answered_is_a_switch(bench: Bench) -> None:
    old = bench.quirk("saf_reply_mode", "old")
    assert old.ask("SAF 200") == "00S"
    assert old.all_safe("SAF", "SAF0") == ["00S200", "00S"]
    assert old.ask("SAF") == "00S0"
    current = bench.fresh("--quirk", "saf_alarm_framing=current")
    current.send(framed("SAF200") * 2)
    assert [current.basic(), current.safe()] == ["00A?R", "00S"]


def test_a_reset_goes_back_to_basic_mode(pump: Wire) -> None:
    pump.send(framed("*RESET"))
    assert pump.basic() == "00S"
    assert pump.all_of("SAF", "") == ["00S0", "00S"]


# Damage


def test_a_packet_with_a_wrong_checksum_or_end_is_refused_and_not_obeyed(pump: Wire) -> None:
    pump.ask_safe("DIA14.43")
    wrong_end = framed("DIA10.00")[:-1] + b"\x04"
    for packet in (broken("DIA10.00"), wrong_end):
        pump.send(packet)
        assert pump.serial.read(12) == bytes.fromhex("020b3030533f434f4db58003")
    assert pump.ask_safe("DIA") == "00S14.43"


def test_an_incomplete_packet_is_forgotten_after_half_a_second(pump: Wire) -> None:
    pump.send(framed("DIA10.00")[:6])
    assert pump.within(GAP_S) == b""
    assert pump.ask_safe("VER") == "00SNE1000V3.928"


def test_a_cut_packet_swallows_what_follows_at_once(pump: Wire) -> None:
    pump.send(framed("DIA10.00")[:-4] + framed("STP"))
    assert pump.safe() == "00S?COM"
    pump.within(GAP_S)
    assert pump.ask_safe("") == "00S"


def test_a_slow_packet_is_whole_as_long_as_no_gap_is_half_a_second(plain: Wire) -> None:
    plain.ask_safe("SAF100")
    for byte in framed("VER")[:-1]:
        plain.send(bytes([byte]))
        time.sleep(0.1)
    plain.send(b"\x03")
    assert plain.safe() == "00SNE1000V3.928"


@pytest.mark.parametrize("noise", [b"xyz", b"\r\n\x00", b"\x03\x03", b"STP\r", b"\xff" * 300])
def test_noise_between_packets_is_passed_over(pump: Wire, noise: bytes) -> None:
    pump.send(noise + framed("VER") + noise + framed(""))
    assert pump.serial.read(len(VERSION + STOPPED)) == VERSION + STOPPED


@pytest.mark.parametrize("start", [b"\x02", b"\x02\x00", b"\x02\x03", b"\x02\x08", b"\x02\xff"])
def test_after_a_false_start_it_hears_again_within_the_gap(pump: Wire, start: bytes) -> None:
    pump.send(start)
    pump.within(GAP_S)
    assert pump.ask_safe("VER") == "00SNE1000V3.928"


# Dead-man


def test_silence_raises_the_alarm_unasked_stops_and_is_told_once_more(plain: Wire) -> None:
    plain.all_of(*SLOW, "RUN")
    began = time.perf_counter()
    assert plain.ask_safe("SAF1") == "00I"
    assert plain.serial.read(10) == bytes.fromhex("02093030413f54054003")
    assert 0.95 <= time.perf_counter() - began < 3
    assert plain.all_safe("0", "0", "SAF") == ["00A?T", "00S", "00S1"]


def test_any_valid_packet_holds_the_alarm_off_and_a_broken_one_does_not(bench: Bench) -> None:
    wire = bench.shared("--speed", "10")
    wire.ask_safe("SAF3")
    for _ in range(9):
        time.sleep(0.05)
        assert wire.ask_safe("RAT")[:3] == "00S"
    heard = b""
    for _ in range(9):
        wire.send(broken("RAT"))
        heard += wire.within(0.05)
    assert heard.count(framed("00S?COM")) == 9
    assert heard.count(framed("00A?T")) == 1


def test_whether_a_broken_packet_holds_the_alarm_off_is_a_switch(bench: Bench) -> None:
    wire = bench.quirk("com_resets_saf_timer", "yes", "--speed", "10")
    wire.ask_safe("SAF3")
    for _ in range(9):
        wire.send(broken("RAT"))
        assert wire.within(0.05) == framed("00S?COM")


def test_after_the_alarm_the_clock_stands_until_a_valid_packet(bench: Bench) -> None:
    wire = bench.shared("--speed", "10")
    wire.ask_safe("SAF3")
    assert wire.safe() == "00A?T"
    assert wire.within(0.4) == b""
    assert wire.all_safe("", "") == ["00A?T", "00S"]
    assert wire.safe() == "00A?T"


def test_a_change_of_baud_rate_stops_the_clock_until_a_valid_packet(bench: Bench) -> None:
    wire = bench.shared("--speed", "10")
    assert wire.all_safe("SAF3", "*ADR0B9600") == ["00S", "00S"]
    assert wire.within(0.4) == b""
    assert wire.ask_safe("") == "00S"
    assert wire.safe() == "00A?T"


def test_basic_mode_has_no_dead_man(bench: Bench) -> None:
    wire = bench.shared("--speed", "10")
    wire.ask_safe("SAF3")
    wire.send(framed("0 saf 000 "))
    assert wire.basic() == "00S"
    assert wire.within(0.4) == b""


def test_an_unasked_alarm_is_not_cleared_and_consumes_the_next_command(bench: Bench) -> None:
    wire = bench.shared("--syringe", "bd-1", "--speed", "200")
    wire.all_of("DIA4.699", "RAT50.00MH", "VOL0", "CLDINF")
    assert wire.ask_safe("SAF255") == "00S"
    wire.ask_safe("RUN")
    assert wire.safe() == "00A?S"
    wire.send(broken("DIS"))
    assert wire.safe().endswith("?COM")
    assert wire.all_safe("RUN", "STP", "") == ["00A?S", "00S?NA", "00S"]
    wire.send(framed("SAF0"))
    assert wire.basic() == "00S"


def test_an_alarm_answers_a_change_of_mode_which_is_then_repeated(bench: Bench) -> None:
    wire = bench.shared("--speed", "10")
    wire.ask_safe("SAF3")
    assert wire.safe() == "00A?T"
    for answer in ("00A?T", "00S"):
        wire.send(framed("SAF0"))
        assert wire.basic() == answer
