"""A delivery under way: reading it, changing its rate, pausing and resuming it."""

from __future__ import annotations

import pytest

from firmware_bridge.errors import (
    NoAnswer,
    ProtocolError,
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
    recite,
    safe,
)

# --- changing the rate ------------------------------------------------------------------------------


def test_a_running_rate_is_changed_without_naming_the_unit(running: NewEra, pump: Double) -> None:
    assert play(running.set_rate(Rate.from_ml_h(20)), running, pump) == Rate.from_ml_h(20)
    assert pump.heard == ["0RAT", "0RAT20.00", "0RAT"]
    assert pump.settings["RAT"] == "20.00MH"


def test_a_rate_that_the_running_unit_cannot_say_is_refused_without_a_byte(
    ready: NewEra, pump: Double
) -> None:
    play(ready.start(Rate.from_ml_h("133.333"), TARGET, LEASE), ready, pump)
    pump.heard.clear()
    with pytest.raises(PumpRefused, match="cannot be told"):
        play(ready.set_rate(Rate.from_ml_h("0.05")), ready, pump)
    assert pump.heard == []


def test_a_rate_is_not_changed_before_a_start_nor_after_the_end(
    ready: NewEra, pump: Double
) -> None:
    with pytest.raises(PumpRefused, match="nothing was started"):
        play(ready.set_rate(RATE), ready, pump)
    play(ready.start(RATE, TARGET, LEASE), ready, pump)
    pump.status = "S"
    with pytest.raises(PumpRefused, match="not infusing; it says 'S'"):
        play(ready.set_rate(RATE), ready, pump)


@pytest.mark.parametrize("way", ["request", "answer"])
def test_a_lost_rate_change_is_settled_by_reading_the_rate(
    running: NewEra, pump: Double, way: str
) -> None:
    setattr(pump, f"lose_{way}", lambda _number, text: text == "RAT20.00")
    if way == "answer":
        assert play(running.set_rate(Rate.from_ml_h(20)), running, pump) == Rate.from_ml_h(20)
    else:
        with pytest.raises(PumpRefused, match=r"still reads back 26.70MH"):
            play(running.set_rate(Rate.from_ml_h(20)), running, pump)
    assert pump.heard.count("0RAT20.00") == 1


def test_a_rate_change_on_a_dead_line_is_uncertain(running: NewEra, pump: Double) -> None:
    pump.lose_answer = lambda number, _text: number > 0
    with pytest.raises(UncertainDelivery, match="change of the rate to 20 mL/h"):
        play(running.set_rate(Rate.from_ml_h(20)), running, pump)


def test_another_rate_than_the_one_sent_is_an_error(running: NewEra, pump: Double) -> None:
    def meddle(_number: int, text: str) -> None:
        if text == "RAT20.00":
            pump.overrides["RAT"] = "I30.00MH"

    pump.at = meddle
    with pytest.raises(ProtocolError, match="took another"):
        play(running.set_rate(Rate.from_ml_h(20)), running, pump)


def test_a_refused_rate_change_says_why(running: NewEra, pump: Double) -> None:
    pump.overrides["RAT20.00"] = "I?OOR"
    with pytest.raises(PumpRefused, match=r"\?OOR: out of the pump's range"):
        play(running.set_rate(Rate.from_ml_h(20)), running, pump)


# --- reading ----------------------------------------------------------------------------------------


def test_a_reading_is_one_exchange(running: NewEra, pump: Double) -> None:
    pump.infused = "0.056"
    reading = play(running.read(), running, pump)
    assert (reading.state, reading.infused) == (PumpState.RUNNING, Volume.from_ml("0.056"))
    assert pump.heard == ["0DIS"]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("I", PumpState.RUNNING),
        ("W", PumpState.RUNNING),
        ("X", PumpState.RUNNING),
        ("P", PumpState.PAUSED),
        ("S", PumpState.STOPPED),
        ("T", PumpState.UNKNOWN),
        ("U", PumpState.UNKNOWN),
    ],
)
def test_every_status_letter_has_a_meaning(
    running: NewEra, pump: Double, status: str, state: PumpState
) -> None:
    pump.status = status
    assert play(running.read(), running, pump).state is state


def test_a_stop_at_the_target_is_completed_and_short_of_it_is_not(
    running: NewEra, pump: Double
) -> None:
    pump.status, pump.infused = "S", "2.999"
    assert play(running.read(), running, pump).state is PumpState.STOPPED
    pump.infused = "3.000"
    assert play(running.read(), running, pump).state is PumpState.COMPLETED


def test_completion_is_measured_by_the_quantised_target(ready: NewEra, pump: Double) -> None:
    play(ready.start(RATE, Volume.from_ml("3.3333"), LEASE), ready, pump)
    pump.status, pump.infused = "S", "3.333"
    assert play(ready.read(), ready, pump).state is PumpState.COMPLETED


def test_a_pump_found_at_yesterdays_target_has_not_completed_anything(
    ready: NewEra, pump: Double
) -> None:
    pump.infused = "5.000"
    assert play(ready.read(), ready, pump).state is PumpState.STOPPED


@pytest.mark.parametrize(
    ("letter", "alarm"),
    [
        ("R", PumpAlarm.RESET),
        ("S", PumpAlarm.OCCLUSION),
        ("T", PumpAlarm.LEASE_EXPIRED),
        ("E", PumpAlarm.INTERNAL_FAULT),
        ("O", PumpAlarm.INTERNAL_FAULT),
        ("Z", PumpAlarm.INTERNAL_FAULT),
    ],
)
def test_an_alarm_is_read_with_the_volume_behind_it(
    running: NewEra, pump: Double, letter: str, alarm: PumpAlarm
) -> None:
    pump.status, pump.infused, pump.alarm = "S", "1.250", letter
    reading = play(running.read(), running, pump)
    assert (reading.state, reading.alarms) == (PumpState.ALARM, alarm)
    assert reading.infused == Volume.from_ml("1.25")


def test_an_alarm_announced_unasked_is_in_the_next_reading(running: NewEra, pump: Double) -> None:
    running.receive(safe("00A?T"), 1.0)
    pump.status = "S"
    assert play(running.read(), running, pump).alarms == PumpAlarm.LEASE_EXPIRED


def test_a_pump_that_runs_in_spite_of_an_alarm_is_shown_running(
    running: NewEra, pump: Double
) -> None:
    pump.alarm = "R"
    reading = play(running.read(), running, pump)
    assert (reading.state, reading.alarms) == (PumpState.RUNNING, PumpAlarm.RESET)


def test_a_silence_is_reported_and_not_repaired(running: NewEra, pump: Double) -> None:
    pump.lose_answer = lambda _number, _text: True
    with pytest.raises(NoAnswer, match="DIS"):
        play(running.read(), running, pump)
    assert pump.heard == ["0DIS"]


def test_a_late_answer_is_never_taken_for_the_next_one(running: NewEra) -> None:
    with pytest.raises(NoAnswer):
        recite(running.read(), running, [("0DIS", None)])
    reading = recite(
        running.read(),
        running,
        [
            ("0VER", "00II0.100W0.000ML"),  # late, from before
            ("", "00INE1000V3.928"),
            ("0DIS", "00II0.200W0.000ML"),
        ],
    )
    assert reading.infused == Volume.from_ml("0.2")


def test_an_alarm_that_crossed_the_question_leaves_no_answer_behind(running: NewEra) -> None:
    reading = recite(
        running.read(),
        running,
        [
            ("0DIS", "00A?S"),  # said by itself, as the question was on its way
            ("0VER", "00A?S"),  # the answer to the question, which acknowledges
            ("0VER", "00SNE1000V3.928"),  # the answer to the first VER
            ("0DIS", "00SNE1000V3.928"),  # the answer to the second: dropped
            ("", "00SI0.100W0.000ML"),
        ],
    )
    assert (reading.alarms, reading.infused) == (PumpAlarm.OCCLUSION, Volume.from_ml("0.1"))


@pytest.mark.parametrize("stray", ["05II9.999W0.000ML", "00I", "00S26.70MH", "0DIS", "hello"])
def test_a_frame_that_cannot_be_the_answer_is_skipped(running: NewEra, stray: str) -> None:
    reading = recite(running.read(), running, [("0DIS", stray), ("", "00II0.100W0.000ML")])
    assert reading.infused == Volume.from_ml("0.1")


def test_a_babbling_line_is_a_silence(running: NewEra) -> None:
    with pytest.raises(NoAnswer):
        recite(running.read(), running, [("0DIS", "00S"), *[("", "00S")] * 4])


def test_a_damaged_question_is_asked_again(running: NewEra) -> None:
    script: list[tuple[str, str | bytes | None]] = [
        ("0DIS", "00I?COM"),
        ("0DIS", "00II0.100W0.000ML"),
    ]
    assert recite(running.read(), running, script).state is PumpState.RUNNING


# --- pausing and resuming ---------------------------------------------------------------------------


def test_a_pause_sends_one_stop_and_keeps_the_program(running: NewEra, pump: Double) -> None:
    assert play(running.pause(), running, pump).state is PumpState.PAUSED
    assert pump.heard.count("0STP") == 1


@pytest.mark.parametrize("way", ["request", "answer"])
def test_a_pause_whose_answer_was_lost_does_not_cancel_the_program(
    running: NewEra, pump: Double, way: str
) -> None:
    lost: list[str] = []

    def lose(_number: int, text: str) -> bool:
        if text == "STP" and not lost:
            lost.append(text)
            return True
        return False

    setattr(pump, f"lose_{way}", lose)
    assert play(running.pause(), running, pump).state is PumpState.PAUSED


def test_a_pump_that_will_not_pause_is_an_error(running: NewEra, pump: Double) -> None:
    pump.overrides["STP"] = "I?NA"
    with pytest.raises(ProtocolError, match="does not pause"):
        play(running.pause(), running, pump)


def test_resuming_goes_on_with_the_rest(running: NewEra, pump: Double) -> None:
    play(running.pause(), running, pump)
    pump.infused = pump.infused_by_run = "1.000"
    reading = play(running.resume(Duration.from_s(2)), running, pump)
    assert (reading.state, reading.infused) == (PumpState.RUNNING, Volume.from_ml(1))
    assert pump.settings["SAF"] == "2"


def test_resuming_what_is_not_paused_is_refused(running: NewEra, pump: Double) -> None:
    with pytest.raises(PumpRefused, match="not paused; it says 'I'"):
        play(running.resume(LEASE), running, pump)
    assert "0RUN" not in pump.heard


def test_resuming_without_a_start_is_refused(ready: NewEra, pump: Double) -> None:
    with pytest.raises(PumpRefused, match="nothing was started"):
        play(ready.resume(LEASE), ready, pump)
