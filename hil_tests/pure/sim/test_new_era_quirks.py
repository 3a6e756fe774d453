"""Every unconfirmed behaviour of New Era pumps as a switch, in both positions."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.new_era_host import Host, awake, packet, programmed
from sim.devices.new_era import NewEraPump
from sim.devices.new_era_quirks import Quirks
from sim.devices.quirks import QuirkError, parse_quirks, quirk_values


def fresh(*settings: str) -> Host:
    return Host(NewEraPump(quirks=parse_quirks(Quirks, settings)))


def test_the_defaults_are_the_first_positions() -> None:
    assert parse_quirks(Quirks, []) == Quirks()
    for name, positions in quirk_values(Quirks).items():
        assert getattr(Quirks(), name) == positions[0]
        for position in positions:
            assert getattr(parse_quirks(Quirks, [f"{name}={position}"]), name) == position


def test_the_last_setting_of_a_switch_wins() -> None:
    assert parse_quirks(Quirks, ["power_on=clean", "power_on=alarm_R"]) == Quirks()


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("power_on", "NAME=VALUE"),
        ("colour=blue", "colour.*power_on"),
        ("power_on=maybe", "maybe.*alarm_R, ignore_first_command, clean"),
        ("", "NAME=VALUE"),
    ],
)
def test_a_wrong_switch_is_refused_with_what_is_possible(setting: str, named: str) -> None:
    with pytest.raises(QuirkError, match=named):
        parse_quirks(Quirks, [setting])


def test_power_on() -> None:
    assert fresh().ask("VER") == "00A?R"
    assert fresh("power_on=clean").ask("VER") == "00SNE1000V3.928"
    ignoring = fresh("power_on=ignore_first_command")
    assert ignoring.send(b"VER\r") == []
    assert ignoring.ask("VER") == "00SNE1000V3.928"


def test_power_on_without_an_alarm_announces_none_in_safe_mode() -> None:
    host = fresh("power_on=clean")
    host.send(b"SAF5\r")
    assert host.pump.power_cycle(host.now) == []
    assert host.ask_safe("0") == packet("00S")


@pytest.mark.parametrize(("position", "text"), [("trailing_point", "1500."), ("no_point", "1500")])
def test_reply_ge_1000(position: str, text: str) -> None:
    host = awake(parse_quirks(Quirks, [f"reply_ge_1000={position}"]))
    host.tell("RAT1500UM", "VOL999.9")
    assert host.ask("RAT") == f"00S{text}UM"
    assert host.ask("VOL") == "00S999.9ML"


@pytest.mark.parametrize(("position", "answer"), [("na", "00S?NA"), ("ok", "00S")])
def test_stp_when_stopped(position: str, answer: str) -> None:
    assert awake(parse_quirks(Quirks, [f"stp_when_stopped={position}"])).ask("STP") == answer


def test_saf_reply_mode() -> None:
    new, old = awake(), awake(parse_quirks(Quirks, ["saf_reply_mode=old"]))
    assert new.send(packet("0SAF5")) == [packet("00S")]
    assert old.send(packet("0SAF5")) == [b"\x0200S\x03"]
    assert new.send(packet("0SAF0")) == [b"\x0200S\x03"]
    assert old.send(packet("0SAF0")) == [packet("00S")]


def test_saf_alarm_framing() -> None:
    assert fresh().send(packet("0SAF5")) == [packet("00A?R")]
    assert fresh("saf_alarm_framing=current").send(packet("0SAF5")) == [b"\x0200A?R\x03"]
    for position, answer in (("requested", b"\x0200A?T\x03"), ("current", packet("00A?T"))):
        host = awake(parse_quirks(Quirks, [f"saf_alarm_framing={position}"]))
        host.send(packet("0SAF5"))
        host.wait(5.0)
        assert host.send(packet("0SAF0")) == [answer]


@pytest.mark.parametrize(("position", "times_out"), [("no", True), ("yes", False)])
def test_com_resets_saf_timer(position: str, times_out: bool) -> None:
    host = awake(parse_quirks(Quirks, [f"com_resets_saf_timer={position}"]))
    host.send(packet("0SAF5"))
    host.wait(3.0)
    assert host.send(packet("0")[:-1] + b"\x04") == [packet("00S?COM")]
    assert (host.wait(2.5) == [packet("00A?T")]) == times_out


def test_an_alarm_that_is_still_pending_is_not_pending_twice() -> None:
    host = awake(parse_quirks(Quirks, ["com_resets_saf_timer=yes"]))
    host.send(packet("0SAF5"))
    host.wait(5.0)
    host.send(packet("0")[:-1] + b"\x04")
    assert host.wait(5.0) == []
    assert host.pump.alarms == ("T",)


@pytest.mark.parametrize(("position", "count"), [("saturate", "9999."), ("rollover", "6.000")])
def test_dis_overflow(position: str, count: str) -> None:
    host = programmed(parse_quirks(Quirks, [f"dis_overflow={position}"]))
    host.tell("VOL10.00", "RAT300MH", "RUN")
    host.wait(200.0)
    host.tell("VOL0.006", "RUN")
    host.wait(200.0)
    host.tell("VOLUL")
    assert host.ask("DIS") == f"00SI{count}W0.000UL"


def test_phase2_default() -> None:
    for position, status in (("stop", "00S"), ("continuous", "00I")):
        host = programmed(parse_quirks(Quirks, [f"phase2_default={position}"]))
        host.tell("VOL1", "RUN")
        host.wait(3_600.0)
        assert host.ask("") == status
    assert host.pump.truth().plunger_nl == pytest.approx(26_700_000, abs=1)
    host.tell("STP", "STP", "PHN2", "FUNSTP", "RUN")
    host.wait(3_600.0)
    assert host.ask("") == "00S"


@pytest.mark.parametrize(("position", "rate"), [("all", "7.000MH"), ("first", "5.000MH")])
def test_burst_same_address(position: str, rate: str) -> None:
    host = awake(parse_quirks(Quirks, [f"burst_same_address={position}"]))
    host.send(b"0 RAT 5 MH * 1 RAT 6 MH * 0 RAT 7 MH *\r")
    assert host.ask("RAT") == f"00S{rate}"


@pytest.mark.parametrize(("position", "answer"), [("accept", "00S"), ("refuse", "00S?")])
def test_vol_combined(position: str, answer: str) -> None:
    host = awake(parse_quirks(Quirks, [f"vol_combined={position}"]))
    assert host.ask("VOL 1 ML") == answer
    host.tell("VOL 2", "VOL ML")


@pytest.mark.parametrize(("position", "answer"), [("cut", "00S"), ("refuse", "00S?OOR")])
def test_excess_decimals(position: str, answer: str) -> None:
    host = awake(parse_quirks(Quirks, [f"excess_decimals={position}"]))
    for command in ("VOL26.700", "RAT26.700MH", "DIA14.567", "VOL0012.3"):
        assert host.ask(command) == answer
    host.tell("VOL26.70")


@pytest.mark.parametrize(("position", "text"), [("2", "05S"), ("1", "5S")])
def test_reply_address_digits(position: str, text: str) -> None:
    host = Host(
        NewEraPump(address=5, quirks=parse_quirks(Quirks, [f"reply_address_digits={position}"]))
    )
    host.send(b"5\r")
    assert host.ask("5") == text
    host.ask("*ADR12")
    assert host.ask("12") == "12S"
