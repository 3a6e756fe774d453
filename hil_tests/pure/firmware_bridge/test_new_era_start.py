"""Starting a delivery: programmed, read back, sent once, and never believed without an answer."""

from __future__ import annotations

import pytest

from firmware_bridge.dialect import Ask
from firmware_bridge.errors import (
    Disconnected,
    ProtocolError,
    PumpInAlarm,
    PumpRefused,
    UncertainDelivery,
)
from firmware_bridge.messages import PumpAlarm, PumpState
from firmware_bridge.protocols.new_era import NewEra
from firmware_bridge.quantities import Duration, Rate, Volume
from hil_tests.pure.firmware_bridge.new_era_double import (
    LEASE,
    RATE,
    TARGET,
    Double,
    play,
)


def test_a_start_programs_reads_back_and_runs_once(ready: NewEra, pump: Double) -> None:
    accepted = play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert (accepted.rate, accepted.volume) == (RATE, TARGET)
    assert pump.status == "I"
    assert pump.settings["SAF"] == "3"
    assert pump.heard == [
        *("0PHN\r", "0DIA\r", "0DIR\r", "0SAF\r", "0SAF3", "0SAF", "0CLDINF", "0DIS"),
        *("0VOL3.000", "0VOL", "0RAT26.70MH", "0RAT", "0RUN"),
    ]


def test_a_second_start_takes_twelve_exchanges_at_most(running: NewEra, pump: Double) -> None:
    pump.status = "S"
    play(running.start(RATE, TARGET, LEASE), running, pump)
    assert len(pump.heard) <= 12
    assert "0SAF3" not in pump.heard


def test_a_bolus_of_one_millilitre_at_sixty_is_said_as_the_manual_says_it(
    ready: NewEra, pump: Double
) -> None:
    play(ready.start(Rate.from_ml_h(60), Volume.from_ml(1), LEASE), ready, pump)
    assert "0VOL1.000" in pump.heard
    assert "0RAT60.00MH" in pump.heard


def test_a_target_in_microlitres_changes_the_unit_first(ready: NewEra, pump: Double) -> None:
    accepted = play(ready.start(RATE, Volume.from_ml("0.5555"), LEASE), ready, pump)
    assert accepted.volume == Volume.from_ml("0.5555")
    assert pump.heard.index("0VOLUL") < pump.heard.index("0VOL555.5")


@pytest.mark.parametrize(
    ("rate", "target", "lease", "reason"),
    [
        (Rate(0), TARGET, LEASE, "rate: 0 mL/h is outside"),
        (Rate.from_ml_h(900), TARGET, LEASE, "rate: 900 mL/h is outside .* 872"),
        (RATE, Volume(0), LEASE, "target: 0 mL cannot be told"),
        (RATE, Volume.from_ml("20.000001"), LEASE, "above the syringe's 20 mL"),
        (RATE, TARGET, Duration(999), "lease: 0.999 s is below"),
    ],
)
def test_what_the_pump_cannot_do_is_refused_without_a_byte(
    ready: NewEra, pump: Double, rate: Rate, target: Volume, lease: Duration, reason: str
) -> None:
    with pytest.raises(PumpRefused, match=reason):
        play(ready.start(rate, target, lease), ready, pump)
    assert pump.heard == []


@pytest.mark.parametrize(
    ("asked", "said", "named"),
    [
        ("RAT", "S26.71MH", "RAT"),
        ("RAT", "S26.60MH", "RAT"),
        ("RAT", "S0.445MM", "RAT"),
        ("VOL", "S3.001ML", "VOL"),
        ("VOL", "S2.990ML", "VOL"),
        ("DIA", "S26.59", "DIA"),
        ("DIR", "SWDR", "DIR"),
        ("PHN", "S03", "PHN"),
        ("SAF", "S9", "SAF"),
        ("DIS", "SI0.001W0.000ML", "start"),
        ("DIS", "PI0.000W0.000ML", "start"),
        ("CLDINF", "S?NA", "CLDINF"),
        ("RUN", "S?NA", "start of 26.7 mL/h"),
        ("RUN", "S?COM", "start of 26.7 mL/h"),
    ],
)
def test_a_read_back_that_differs_is_refused_by_name(
    ready: NewEra, pump: Double, asked: str, said: str, named: str
) -> None:
    pump.overrides[asked] = said
    with pytest.raises(PumpRefused, match=f"^{named}"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert pump.status == "S"
    assert pump.heard.count("0RUN") == (asked == "RUN")


def test_a_read_back_slightly_below_is_accepted_and_returned(ready: NewEra, pump: Double) -> None:
    pump.overrides["RAT"] = "S26.65MH"
    accepted = play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert accepted.rate == Rate.from_ml_h("26.65")


@pytest.mark.parametrize("exchange", range(12))
def test_an_alarm_anywhere_before_the_start_refuses_it(
    ready: NewEra, pump: Double, exchange: int
) -> None:
    def strike(number: int, _text: str) -> None:
        if number == exchange:
            pump.alarm = "S"

    pump.at = strike
    with pytest.raises(PumpInAlarm, match="occlusion"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert "0RUN" not in pump.heard
    reading = play(ready.read(), ready, pump)
    assert (reading.state, reading.alarms) == (PumpState.ALARM, PumpAlarm.OCCLUSION)
    assert play(ready.read(), ready, pump).alarms == PumpAlarm.NONE


@pytest.mark.parametrize("exchange", range(12))
@pytest.mark.parametrize("way", ["request", "answer"])
def test_one_lost_frame_anywhere_before_the_start_changes_nothing(
    ready: NewEra, pump: Double, exchange: int, way: str
) -> None:
    setattr(pump, f"lose_{way}", lambda number, _text: number == exchange)
    accepted = play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert accepted.rate == RATE
    assert pump.settings["RAT"] == "26.70MH"
    assert pump.settings["VOL"] == "3.000ML"
    assert pump.heard.count("0RUN") == 1


@pytest.mark.parametrize("way", ["request", "answer"])
def test_a_start_whose_answer_was_lost_is_uncertain_and_never_repeated(
    ready: NewEra, pump: Double, way: str
) -> None:
    setattr(pump, f"lose_{way}", lambda _number, text: text == "RUN")
    pump.infused_by_run = "0.004"
    expected = "running, 0.004 mL infused" if way == "answer" else "stopped, 0 mL infused"
    with pytest.raises(UncertainDelivery, match=f"start of 26.7 mL/h up to 3 mL .*{expected}"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert pump.heard.count("0RUN") == 1


def test_a_start_whose_answer_was_lost_on_a_dead_line_is_uncertain(
    ready: NewEra, pump: Double
) -> None:
    dead = False

    def lose(_number: int, text: str) -> bool:
        nonlocal dead
        dead = dead or text == "RUN"
        return dead

    pump.lose_answer = lose
    with pytest.raises(UncertainDelivery, match="no answer to VER"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)


def test_a_port_lost_after_the_start_was_sent_is_uncertain(ready: NewEra, pump: Double) -> None:
    program = ready.start(RATE, TARGET, LEASE)
    step = next(program)
    while True:
        assert isinstance(step, Ask)
        if b"RUN" in step.frame:
            break
        answer = pump.answer(step.frame)
        assert answer is not None
        step = program.send(ready.receive(answer, 0.0)[0])
    with pytest.raises(UncertainDelivery):
        program.throw(Disconnected("bench", "unplugged"))


def test_a_port_lost_before_the_start_was_sent_is_only_a_lost_port(ready: NewEra) -> None:
    program = ready.start(RATE, TARGET, LEASE)
    next(program)
    with pytest.raises(Disconnected):
        program.throw(Disconnected("bench", "unplugged"))


def test_an_alarm_instead_of_the_starts_answer_is_a_refusal_while_nothing_was_delivered(
    ready: NewEra, pump: Double
) -> None:
    def strike(_number: int, text: str) -> None:
        if text == "RUN":
            pump.alarm = "T"

    pump.at = strike
    with pytest.raises(PumpInAlarm, match="lease expired"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert pump.heard.count("0RUN") == 1


def test_an_alarm_behind_a_lost_start_answer_is_uncertain_once_something_was_delivered(
    ready: NewEra, pump: Double
) -> None:
    pump.overrides["RUN"] = "A?S"  # the answer was lost; this alarm came by itself a moment later

    def deliver(_number: int, text: str) -> None:
        if text == "RUN":
            pump.infused = "0.002"

    pump.at = deliver
    with pytest.raises(UncertainDelivery, match=r"stopped, 0\.002 mL infused"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)


def test_a_start_that_is_answered_by_withdrawing_is_an_error(ready: NewEra, pump: Double) -> None:
    pump.overrides["RUN"] = "W"
    with pytest.raises(ProtocolError, match="the pump says 'W'"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)
