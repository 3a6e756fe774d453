"""Which answer belongs to which request, and what is done when none does."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import (
    BridgeError,
    NoAnswer,
    PumpInAlarm,
)
from firmware_bridge.messages import PumpAlarm
from firmware_bridge.protocols.new_era import NewEra
from firmware_bridge.quantities import Duration, Volume
from hil_tests.pure.firmware_bridge.new_era_double import (
    BD_20,
    LEASE,
    RATE,
    TARGET,
    Double,
    basic,
    play,
    recite,
    safe,
)


def test_an_alarm_met_while_catching_up_refuses_a_start_too(ready: NewEra, pump: Double) -> None:
    pump.lose_answer = lambda _number, text: text == "DIA"

    def strike(_number: int, text: str) -> None:
        if text == "VER":
            pump.alarm = "S"
            pump.at = lambda _n, _t: None

    pump.at = strike
    with pytest.raises(PumpInAlarm, match="DIA: the pump reported alarm occlusion"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert "0RUN" not in pump.heard


def test_a_question_that_is_answered_by_nothing_but_alarms_is_given_up(
    ready: NewEra, pump: Double
) -> None:
    pump.at = lambda _number, _text: setattr(pump, "alarm", "E")
    with pytest.raises(NoAnswer, match="no answer to VER"):
        play(ready.read(), ready, pump)


def test_a_question_that_always_arrives_damaged_is_given_up(ready: NewEra, pump: Double) -> None:
    pump.overrides["DIS"] = "S?COM"
    with pytest.raises(NoAnswer, match="no usable answer to DIS"):
        play(ready.read(), ready, pump)


def test_a_command_damaged_in_basic_mode_is_sent_again(dialect: NewEra, pump: Double) -> None:
    def damage(number: int, text: str) -> None:
        pump.overrides = {text: "S?"} if number % 3 == 1 else {}

    pump.at = damage
    play(dialect.connect(), dialect, pump)
    play(dialect.configure(BD_20), dialect, pump)
    assert pump.settings["TRG"] == "SP"


def test_a_question_lost_three_times_is_given_up_before_the_start(
    ready: NewEra, pump: Double
) -> None:
    pump.lose_answer = lambda _number, text: text == "DIA"
    with pytest.raises(NoAnswer, match="DIA"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert pump.heard.count("0DIA\r") == 3


def test_a_lost_change_of_the_dead_man_time_is_given_up_before_the_start(
    running: NewEra, pump: Double
) -> None:
    pump.status = "S"
    pump.lose_request = lambda _number, text: text == "SAF9"
    with pytest.raises(NoAnswer, match="SAF9"):
        play(running.start(RATE, TARGET, Duration.from_s(9)), running, pump)
    assert pump.settings["SAF"] == "3"


@pytest.mark.parametrize("noise", ["00A", "00AT", "00SI1.2.3W0.000ML", "00SI12345W0.000ML"])
def test_what_only_resembles_an_answer_is_none(running: NewEra, noise: str) -> None:
    script: list[tuple[str, str | bytes | None]] = [("0DIS", noise), ("", "00II0.1W0.000ML")]
    assert recite(running.read(), running, script).infused == Volume.from_ml("0.1")


def test_alarms_not_yet_carried_by_a_reading_can_be_asked_for(running: NewEra) -> None:
    running.receive(safe("05A?S"), 0.0)
    assert running.alarms_heard() is PumpAlarm.NONE
    running.receive(safe("00A?S"), 0.0)
    assert running.alarms_heard() is PumpAlarm.OCCLUSION


def test_a_pump_that_takes_a_mode_change_only_in_basic_framing_gets_it(
    ready: NewEra, pump: Double
) -> None:
    pump.takes_safe_in_basic = False
    play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert pump.settings["SAF"] == "3"
    assert "0SAF3\r" in pump.heard


def test_unprotected_frames_are_ignored_while_the_pump_delivers(running: NewEra) -> None:
    assert list(running.receive(basic("00S"), 0.0)) == []


def test_an_incomplete_answer_has_its_time_and_is_then_discarded(running: NewEra) -> None:
    running.receive(safe("00S")[:4], 2.0)
    assert running.discard_at() == 2.5
    running.discard(2.5)
    assert running.discard_at() is None


@given(st.lists(st.sampled_from(["hear", "lose", "miss", "alarm", "?COM", "noise"]), max_size=80))
def test_whatever_happens_on_the_line_programs_raise_only_bridge_errors_and_run_once(
    fates: list[str],
) -> None:
    pump, dialect = Double(safe_s=3), NewEra()

    def fate(number: int) -> str:
        return fates[number] if number < len(fates) else "hear"

    def at(number: int, text: str) -> None:
        pump.alarm = "S" if fate(number) == "alarm" else ""
        pump.overrides = {text: "S?COM"} if fate(number) == "?COM" else {}
        if fate(number) == "noise":
            dialect.receive(b"\x02\x11\xff00", 0.0)

    pump.at = at
    pump.lose_answer = lambda number, _text: fate(number) == "lose"
    pump.lose_request = lambda number, _text: fate(number) == "miss"
    with contextlib.suppress(BridgeError):
        play(dialect.connect(), dialect, pump)
        play(dialect.configure(BD_20), dialect, pump)
        play(dialect.start(RATE, TARGET, LEASE), dialect, pump)
        assert (pump.status, pump.settings["RAT"]) == ("I", "26.70MH")
    assert sum(text.startswith("0RUN") for text in pump.heard) <= 1
    if pump.status == "I":
        assert pump.settings["VOL"] == "3.000ML"
