"""The Harvard device as the protocol page describes it: lines, addresses, prompts, errors, settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil_tests.pure.sim.harvard_host import Host, made, pump_of
from sim.devices.harvard_frames import LINE_MAX
from sim.devices.harvard_models import MODELS

VECTORS = Path(__file__).parents[2] / "vectors" / "harvard_device.txt"


def vectors() -> list[tuple[bytes, bytes]]:
    """The recorded exchanges: what the host sent, what the pump answered."""
    rows = [
        line.split(" | ", 1)
        for line in VECTORS.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    return [
        (
            question.rstrip().encode().decode("unicode_escape").encode("latin-1"),
            answer.strip().encode().decode("unicode_escape").encode("latin-1"),
        )
        for question, answer in rows
    ]


def test_the_recorded_session_of_a_legato_comes_out_byte_for_byte() -> None:
    host = made()
    for question, answer in vectors():
        assert host.send(question) == answer, question


def test_the_recorded_volume_is_counted_while_running() -> None:
    host = made()
    host.say("poll on")
    host.tell("irate 1 ml/min", "irun")
    host.wait(0.1014140)
    assert host.send(b"@ivolume\r\n") == b"\n1.69023 ul\r\n>\x11"


# -- lines and addresses ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelling",
    [
        b"irate\r",
        b"irate\r\n",
        b"IRATE\r",
        b"irat\r",
        b"@irate\r",
        b"  irate  \r",
        b"0irate\r",
        b"00irate\r",
        b"00:irate\r",
        b"@0irate\r",
        b"0@irate\r",
        b"\x00\x11ira\x13te\r",
        b"irate \r\n",
    ],
)
def test_the_ways_in_which_hosts_spell_a_line_do_not_matter(spelling: bytes) -> None:
    assert made().send(spelling) == b"\n1 ml/min\r\n:"


@pytest.mark.parametrize("spelling", [b"12irat\r", b"12:irat 2 ml/min\r", b"@12irate\r"])
def test_an_addressed_pump_puts_its_address_in_front(spelling: bytes) -> None:
    answer = made(address=12).send(spelling)
    assert answer in {b"\n12:1 ml/min\r\n12:", b"\n12:"}


def test_on_usb_the_address_may_be_left_out_and_on_a_chain_it_means_pump_0() -> None:
    assert made(address=12).send(b"ttime\r") == b"\n12:Target time not set\r\n12:"
    assert made("port=rs232", address=12).send(b"ttime\r") == b""
    assert made("port=rs232").send(b"ttime\r") == b"\nTarget time not set\r\n:"


@pytest.mark.parametrize("address", [0, 7, 99])
def test_a_pump_is_silent_on_the_lines_of_others(address: int) -> None:
    host = made(address=address)
    assert host.send(b"5irun\r") == b""
    assert host.pump.next_event(host.now) is None


def test_an_empty_line_is_answered_by_the_prompt_alone() -> None:
    assert made().send(b"\r\n") == b"\n:"
    assert made(address=3).send(b"\r\n") == b"\n03:"
    assert made(address=3).send(b"03\r\n") == b"\n03:"


def test_every_prompt_of_an_addressed_pump_has_no_colon_of_its_own() -> None:
    host = made(address=2)
    host.say("tvolume 1 ml")
    assert host.say("irun") == b"\n02>"
    assert host.wait(60.0) == b"\n02T*"
    assert host.say("stp") == b"\n02:"
    assert host.say("wrun") == b"\n02<"


def test_a_new_address_holds_for_the_prompt_of_its_own_answer_on() -> None:
    host = made()
    assert host.say("addr 41") == b"\nPump address set to 41\r\n41:"
    assert host.say("addr") == b"\n41:Pump address is 41\r\n41:"
    assert host.say("addr 100") == (
        b"\n41:Argument error: 100\r\n41:   Address out of range\r\n41:"
    )


def test_a_line_without_an_end_is_bounded_and_no_part_of_it_is_obeyed() -> None:
    host = made()
    host.send(b"irun" * 500)
    assert len(pump_of(host).state.buffer) <= LINE_MAX + 1
    assert host.send(b"\r") == b"\nCommand error:\r\n   Unknown command\r\n:"
    assert host.send(b"irun\r") == b"\n>"


def test_poll_mode_marks_the_end_of_every_answer_and_silences_the_pump() -> None:
    host = made()
    assert host.say("poll") == b"\nPolling mode is OFF\r\n:"
    assert host.say("poll ON") == b"\n:\x11"
    host.say("tvolume 1 ml")
    assert host.say("irun") == b"\n>\x11"
    assert host.wait(60.0) == b""
    assert host.say("poll") == b"\nPolling mode is ON\r\nT*\x11"
    assert host.say("poll off") == b"\nT*"
    assert host.say("poll REMOTE") == b"\nT*\x11"


def test_echo_gives_every_byte_back_before_the_answer() -> None:
    host = made()
    assert host.say("echo") == b"\nEcho is OFF\r\n:"
    assert host.say("echo on") == b"\n:"
    assert host.send(b"ec") == b"ec"
    assert host.send(b"ho\r\n") == b"ho\r\nEcho is ON\r\n:\n"
    assert host.send(b"echo off\r") == b"echo off\r\n:"
    assert host.send(b"ver\r") == b"\nLegato 100 3.0.6\r\n:"


# -- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "argument", "why"),
    [
        ("irate 0 ml/min", "0", "Out of range"),
        ("irate 99 ml/min", "99", "Out of range"),
        ("irate -1 ml/min", "-1", "Invalid number"),
        ("irate nan ml/min", "nan", "Invalid number"),
        ("irate 1e3 ul/min", "1e3", "Invalid number"),
        ("irate 1,5 ml/min", "1,5", "Invalid number"),
        ("irate 5 gal/min", "gal/min", "Unknown units"),
        ("irate 5", "", "Missing argument"),
        ("irate 5 ml/min now", "now", "Unknown argument"),
        ("diameter 0", "0", "Out of range"),
        ("diameter 50", "50", "Out of range"),
        ("tvolume 0 ml", "0", "Target volume out of range"),
        ("tvolume 5", "", "Missing argument"),
        ("ttime 0", "0", "Target time out of range"),
        ("ttime 100:00:00", "100:00:00", "Invalid number"),
        ("ttime 400000", "400000", "Target time out of range"),
        ("iramp 1 ml/min 2 ml/min 0", "0", "Out of range"),
        ("iramp 1 ml/min 99 ml/min 5", "99", "Out of range"),
        ("force 0", "0", "Out of range"),
        ("force 101", "101", "Out of range"),
        ("dim 101", "101", "Out of range"),
        ("baud 1200", "1200", "Unknown baud rate"),
        ("syrmanu xyz 5 ml", "xyz", "Unknown manufacturer"),
        ("load qs x", "x", "Unknown argument"),
        ("load mymethod", "mymethod", "Unknown method"),
        ("time 13/01/23 10:00:00", "13/01/23", "Invalid date"),
        ("time 02/29/23 10:00:00", "02/29/23", "Invalid date"),
        ("time 02/28/23 24:00:00", "24:00:00", "Invalid time"),
        ("poll maybe", "maybe", "Unknown argument"),
        ("svolume 0 ml", "0", "Out of range"),
    ],
)
def test_a_bad_argument_is_named_and_explained_and_changes_nothing(
    command: str, argument: str, why: str
) -> None:
    host = made()
    host.wait(0.0)
    before = pump_of(host).snapshot()
    expected = f"\nArgument error: {argument}\r\n   {why}\r\n:"
    assert host.say(command).decode() == expected
    assert pump_of(host).state == before


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("xyzzy", "Unknown command"),
        ("ira", "Unknown command"),
        ("iratee", "Unknown command"),
        ("irun3", "Unknown command"),
        ("crate", "Pump is not running"),
    ],
)
def test_what_is_unknown_or_not_possible_now_is_a_command_error(command: str, why: str) -> None:
    assert made().say(command).decode() == f"\nCommand error:\r\n   {why}\r\n:"


def test_errors_of_an_addressed_pump_carry_the_address_on_every_line() -> None:
    assert made(address=7).say("xyzzy") == b"\n07:Command error:\r\n07:   Unknown command\r\n07:"


@pytest.mark.parametrize(
    "command",
    ["diameter 10", "svolume 5 ml", "syrmanu bdp 10 ml", "load qs i", "iramp 1 m/m 2 m/m 5"],
)
def test_the_syringe_and_the_mode_cannot_change_while_running(command: str) -> None:
    host = made()
    host.say("irun")
    expected = b"\nCommand error:\r\n   Not available while running\r\n>"
    assert host.say(command) == expected


def test_an_explanation_never_gives_back_more_than_eighty_characters() -> None:
    answer = made().say("force " + "9" * 200).decode()
    assert answer == f"\nArgument error: {'9' * 80}\r\n   Out of range\r\n:"


# -- numbers and units ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("set_to", "shown"),
    [
        ("1 ml/min", "1 ml/min"),
        ("60 ml/h", "1 ml/min"),
        ("60 m/h", "1 ml/min"),
        ("0.1 ml/s", "6 ml/min"),
        ("5 ml/hr", "83.3333 ul/min"),
        ("10 u/m", "10 ul/min"),
        ("100 nl/sec", "6 ul/min"),
        ("1.23456789 ml/min", "1.23456 ml/min"),
        ("999.9999 ul/min", "999.999 ul/min"),
        ("10.000000000000000 m/m", "10 ml/min"),
        (".5 ML/MIN", "500 ul/min"),
        ("max", "26.0035 ml/min"),
        ("min", "25.0404 nl/min"),
        ("26.0035 ml/min", "26.0035 ml/min"),
        ("0.0000250404 m/m", "25.0404 nl/min"),
        ("500000000 pl/min", "500 ul/min"),
    ],
)
def test_a_rate_is_answered_in_long_units_with_six_digits_cut_off(set_to: str, shown: str) -> None:
    host = made()
    host.tell(f"irate {set_to}")
    assert host.ask("irate") == shown


@pytest.mark.parametrize(
    ("set_to", "shown"),
    [
        ("10.000000000000000 m", "10 ml"),
        ("0.5 uL", "500 nl"),
        ("1 pl", "1 pl"),
        ("0.001 l", "1 ml"),
        ("1234567 n", "1.23456 ml"),
        ("300 ml", "300 ml"),
    ],
)
def test_a_volume_is_answered_in_the_unit_that_makes_it_at_least_one(
    set_to: str, shown: str
) -> None:
    host = made()
    host.tell(f"tvolume {set_to}")
    assert host.ask("tvolume") == shown


@pytest.mark.parametrize(
    ("diameter", "slowest", "fastest"),
    [
        (5.151, 3.191, 3.313),
        (8.585, 8.863, 9.204),
        (11.99, 17.29, 17.95),
        (14.43, 25.03, 25.99),
        (19.05, 43.64, 45.32),
        (21.59, 56.05, 58.21),
        (26.59, 85.05, 88.32),
    ],
)
def test_rate_limits_are_those_of_the_printed_table(
    diameter: float, slowest: float, fastest: float
) -> None:
    host = made()
    host.tell(f"diameter {diameter}")
    low, high = host.ask("irate lim").split(" to ")
    assert low.endswith(" nl/min")
    assert high.endswith(" ml/min")
    assert float(low.split()[0]) == pytest.approx(slowest, rel=1e-3)
    assert float(high.split()[0]) == pytest.approx(fastest, rel=1e-3)


@pytest.mark.parametrize(
    ("set_to", "shown"),
    [("30", "30 seconds"), ("59.5", "59.5 seconds"), ("60", "00:01:00"), ("99:59:59", "99:59:59")],
)
def test_times_are_seconds_below_a_minute_and_a_clock_above(set_to: str, shown: str) -> None:
    host = made()
    host.tell(f"ttime {set_to}")
    assert host.ask("ttime") == shown


def test_a_rate_that_a_new_syringe_cannot_have_stops_the_next_start() -> None:
    host = made()
    host.tell("irate 20 ml/min", "diameter 1")
    assert host.say("irun") == b"\nCommand error:\r\n   Rate out of range for this syringe\r\n:"


# -- syringes ---------------------------------------------------------------------------------------


def test_the_syringe_table_is_listed_by_maker_and_by_volume() -> None:
    host = made()
    listed = host.say("syrmanu ?").decode()
    assert "\nbdp  Becton Dickinson, Plasti-pak\r" in listed
    assert host.say("syrm bdp ?").decode().count("ml\r") == 8
    host.tell("syrm ter 60 ml")
    assert host.ask("syrmanu") == "Terumo, 60 ml, 29.7 mm"
    assert host.ask("svolume") == "60 ml"
    assert host.ask("diameter") == "29.7000 mm"


@pytest.mark.parametrize(
    "code",
    [
        "air",
        "bdg",
        "bdp",
        "cad",
        "ham",
        "has",
        "hos",
        "nat",
        "nip",
        "sge",
        "smp",
        "ter",
        "top",
        "hm1",
        "hm2",
        "hm3",
    ],
)
def test_every_code_of_the_manual_has_syringes_that_can_be_set(code: str) -> None:
    host = made()
    sizes = [
        line for line in host.say(f"syrmanu {code} ?").decode().splitlines() if line.endswith("l")
    ]
    assert sizes
    for size in sizes:
        answer = host.say(f"syrmanu {code} {size}")
        assert answer == b"\n:", (code, size, answer)


def test_a_diameter_set_by_hand_makes_the_syringe_a_custom_one() -> None:
    host = made()
    host.tell("syrmanu hos 20 ml", "diameter 14.57 mm")
    assert host.ask("syrmanu") == "Custom, 20 ml, 14.57 mm"
    elite = made(model="11-elite")
    elite.tell("syrmanu hos 20 ml")
    assert elite.ask("syrmanu") == "Hoshi, 20.45 mm"


# -- electronics ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_every_model_answers_who_it_is(model: str) -> None:
    host = made(model=model)
    assert host.ask("ver") == f"{MODELS[model].short} {MODELS[model].firmware}"
    assert f"Firmware:      v{MODELS[model].firmware}\r" in host.say("version").decode()
    assert f"Max syringe size   {MODELS[model].largest_mm} mm\r" in host.say("metrics").decode()


def test_an_elite_says_what_hosts_look_for() -> None:
    host = made(model="11-elite")
    assert host.ask("VER") == "11 ELITE I/W Single 3.0.4"
    lines = host.say("version").decode().split("\r\n")
    assert [line.split(":")[0].strip() for line in lines[:3]] == [
        "Firmware",
        "RTOS",
        "Pump address",
    ]
    assert host.say("addr 4") == b"\nPump address is 4\r\n04:"


def test_the_clock_goes_on_across_midnight_and_leap_days() -> None:
    host = made()
    assert host.ask("time 02/28/24 23:59:59") == "02/28/24 11:59:59 PM"
    host.wait(2.0)
    assert host.ask("time") == "02/29/24 12:00:01 AM"
    assert host.ask("time 12/31/23 12:00:00") == "12/31/23 12:00:00 PM"
    host.wait(86_400.0)
    assert host.ask("time") == "01/01/24 12:00:00 PM"


@pytest.mark.parametrize(
    ("setting", "question", "answer"),
    [
        ("dim 15", "dim", "Backlight is set to 15%"),
        ("baud 9600", "baud", "9600 baud"),
        ("force 050", "force", "50%"),
        ("ftswitch rise", "ftswitch", "Active high"),
        ("ftswitch mom", "ftsw", "Momentary"),
        ("load qs wi", "load", "Quick Start - Infuse/Withdraw (qs iw)"),
        ("nvram none", "nvram", "NVRAM is OFF"),
        ("nvram on", "nvram", "NVRAM is ON"),
        ("output 1 high", "input", "The trigger input is low."),
    ],
)
def test_small_settings_are_kept(setting: str, question: str, answer: str) -> None:
    host = made()
    host.tell(setting)
    assert host.ask(question) == answer


def test_a_mode_of_one_direction_refuses_the_other() -> None:
    host = made()
    host.tell("load qs w")
    refused = b"\nCommand error:\r\n   Not available in this mode\r\n:"
    assert host.say("irun") == refused
    assert host.tell("run") == "<"
    host.tell("stp", "load qs i")
    assert host.say("wrun") == refused
    assert host.tell("run") == ">"


# -- power and faults -------------------------------------------------------------------------------


def test_after_a_power_cycle_counters_and_targets_are_gone_and_settings_are_kept() -> None:
    host = made(address=3)
    host.say("poll on")
    host.say("diameter 10")
    host.say("irate 3 ml/min")
    host.say("tvolume 5 ml")
    host.say("irun")
    host.wait(10.0)
    assert host.pump.power_cycle(host.now) == []
    assert host.say("ivolume") == b"\n03:0 ul\r\n03:"
    assert host.say("tvolume") == b"\n03:Target volume not set\r\n03:"
    assert host.say("irate") == b"\n03:3 ml/min\r\n03:"
    assert host.say("diameter") == b"\n03:10.0000 mm\r\n03:"
    assert host.pump.truth().delivered_nl == 500_000


def test_without_nvram_a_power_cycle_brings_the_old_rate_back() -> None:
    host = made()
    host.tell("irate 2 ml/min", "nvram none", "irate 3 ml/min")
    host.pump.power_cycle(host.now)
    assert host.ask("irate") == "2 ml/min"


def test_without_power_nothing_is_heard_and_nothing_is_said() -> None:
    host = made()
    host.tell("irun")
    host.pump.inject("power_loss", host.now)
    assert host.say("ver") == b""
    host.wait(10.0)
    host.pump.clear("power_loss", host.now)
    assert host.pump.truth().plunger_nl == 0
    assert host.ask("ivolume") == "0 ul"


def test_faults_of_the_protocol_keep_answers_and_commands_away() -> None:
    host = made()
    host.pump.inject("mute", host.now)
    assert host.say("irun") == b""
    host.pump.clear("mute", host.now)
    assert host.say("") == b"\n>"
    host.pump.inject("frame_drop", host.now, direction="to_pump", for_commands=1)
    assert host.say("stp") == b""
    assert host.say("") == b"\n>"
    host.pump.inject("stop_ignored", host.now)
    assert host.say("stp") == b"\n:"
    host.wait(6.0)
    assert host.pump.truth().plunger_nl == 100_000
    host.pump.clear(None, host.now)
    assert host.say("stp") == b"\n:"
    host.pump.inject("reply_delay", host.now, delay_ms=300)
    assert host.pump.feed(b"\r", host.now) == [(0.3, b"\n:")]


def test_a_snapshot_is_the_whole_pump() -> None:
    host = made()
    host.tell("iramp 1 ml/min 5 ml/min 10", "irun")
    host.wait(3.3)
    kept = pump_of(host).snapshot()
    host.wait(3.0)
    expected = host.pump.truth()
    pump_of(host).restore(kept)
    again = Host(host.pump, host.now - 3.0)
    again.wait(3.0)
    assert again.pump.truth() == expected


def test_whoever_listens_is_told_each_command_before_it_is_obeyed() -> None:
    host = made()
    heard: list[str] = []

    def listen(command: str) -> None:
        heard.append(command)
        if command == "irun":
            pump_of(host).faults.drop_to_pump = 1

    host.pump.on_command = listen
    host.say("IRATE 1 ml/min")
    assert host.say("irun") == b""
    host.say("5stp")
    host.say("")
    assert heard == ["irate", "irun", ""]
    assert pump_of(host).prompt == ":"
