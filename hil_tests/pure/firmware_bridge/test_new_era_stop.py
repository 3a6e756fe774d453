"""Stopping until it is seen, and proving that the pump stops by itself."""

from __future__ import annotations

import pytest

from firmware_bridge.dialect import Ask
from firmware_bridge.errors import (
    NoAnswer,
    PumpRefused,
)
from firmware_bridge.messages import PumpAlarm, PumpState
from firmware_bridge.protocols.new_era import NewEra
from firmware_bridge.quantities import Duration, Volume
from hil_tests.pure.firmware_bridge.new_era_double import (
    LEASE,
    RATE,
    TARGET,
    Double,
    play,
    prove,
    safe,
    strike_at_run,
)

# --- stopping ---------------------------------------------------------------------------------------


def test_a_stop_goes_through_the_pause_to_a_standstill_seen_twice(
    running: NewEra, pump: Double
) -> None:
    pump.infused = "0.500"
    reading = play(running.stop(), running, pump)
    assert (reading.state, reading.infused) == (PumpState.STOPPED, Volume.from_ml("0.5"))
    assert pump.heard == ["0STP", "0DIS", "0STP", "0DIS", "0DIS"]


def test_a_stop_of_a_stopped_pump_succeeds(ready: NewEra, pump: Double) -> None:
    assert play(ready.stop(), ready, pump).state is PumpState.STOPPED
    assert pump.heard == ["0STP\r", "0DIS\r", "0DIS\r"]


def test_a_stop_at_the_target_says_completed(running: NewEra, pump: Double) -> None:
    pump.infused = "3.000"
    assert play(running.stop(), running, pump).state is PumpState.COMPLETED


def test_a_pending_alarm_consumes_a_stop_and_is_reported(running: NewEra, pump: Double) -> None:
    pump.alarm, pump.status = "S", "S"
    reading = play(running.stop(), running, pump)
    assert (reading.state, reading.alarms) == (PumpState.STOPPED, PumpAlarm.OCCLUSION)


def test_a_stop_waits_until_the_counter_stands(running: NewEra, pump: Double) -> None:
    counts = iter(["0.500", "0.501", "0.501"])

    def creep(_number: int, text: str) -> None:
        if text == "DIS" and pump.status == "S":
            pump.infused = next(counts)

    pump.at = creep
    assert play(running.stop(), running, pump).infused == Volume.from_ml("0.501")


def test_the_two_readings_of_a_standstill_lie_apart(running: NewEra) -> None:
    program = running.stop()
    next(program)
    program.send(running.receive(safe("00S"), 0.0)[0])
    last = program.send(running.receive(safe("00SI0.500W0.000ML"), 0.0)[0])
    assert isinstance(last, Ask)
    assert last.silence_before == Duration(100)


def test_an_unanswered_stop_is_repeated_every_100_ms_and_after_three_tries_the_line_is_silent(
    running: NewEra,
) -> None:
    program = running.stop()
    steps = [next(program)] + [program.send(None) for _ in range(6)]
    asks = [step for step in steps if isinstance(step, Ask)]
    assert [ask.silence_before.ms for ask in asks] == [0, 0, 0, 600, 0, 0, 600]
    assert [ask.within.ms for ask in asks] == [100, 100, 100, 500, 500, 500, 500]
    assert all(ask.frame[0] == 2 for ask in asks)


def test_a_stop_in_doubt_about_the_mode_tries_both(ready: NewEra, pump: Double) -> None:
    pump.settings["SAF"] = "5"  # changed behind our back
    assert play(ready.stop(), ready, pump).state is PumpState.STOPPED


def test_a_stop_survives_a_lossy_line(running: NewEra, pump: Double) -> None:
    pump.lose_answer = lambda number, _text: number % 3 != 2
    pump.lose_request = lambda number, _text: number % 4 == 1
    assert play(running.stop(), running, pump).state is PumpState.STOPPED


def test_a_stop_is_given_up_in_the_end_and_says_what_it_last_heard(
    running: NewEra, pump: Double
) -> None:
    pump.overrides["DIS"] = "II0.500W0.000ML"
    with pytest.raises(NoAnswer, match=r"not confirmed.*II0\.500"):
        play(running.stop(), running, pump)
    pump.lose_answer = lambda _number, _text: True
    with pytest.raises(NoAnswer, match="last said nothing"):
        play(running.stop(), running, pump)


def test_a_stretched_clock_stretches_the_stop_too() -> None:
    dialect = NewEra(reply_within=Duration.from_s(30))
    step = next(dialect.stop())
    assert step.within == Duration.from_s(30)


def test_the_stop_frame_is_in_the_mode_of_the_moment(ready: NewEra, pump: Double) -> None:
    assert ready.stop_frame() == b"0STP\r"
    play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert ready.stop_frame() == bytes.fromhex("02 08 30 53 54 50 b3 f9 03")
    assert next(ready.stop()) == Ask(ready.stop_frame(), Duration(100))


# --- proving the dead-man ---------------------------------------------------------------------------


def test_the_dead_man_is_proved_with_the_motor_stopped(ready: NewEra, pump: Double) -> None:
    pump.infused = "0.300"
    strike_at_run(pump, alarm="T")
    assert prove(ready, pump) == ("alarm after 3 s of silence, start refused, stopped at 0.3 mL")
    assert pump.status == "S"
    assert pump.heard.count("0RUN") == 1
    assert pump.heard.index("0VOL0.001\r") < pump.heard.index("0RUN")
    assert play(ready.read(), ready, pump).alarms == PumpAlarm.NONE


def test_the_silence_is_longer_than_the_dead_man(ready: NewEra, pump: Double) -> None:
    program = ready.prove_dead_man(Duration(2_500))
    step = next(program)
    while isinstance(step, Ask):
        answer = pump.answer(step.frame)
        assert answer is not None
        step = program.send(ready.receive(answer, 0.0)[0])
    assert step.within >= Duration(3_000)
    assert pump.settings["SAF"] == "2"


def test_without_the_alarm_no_start_is_ever_sent(ready: NewEra, pump: Double) -> None:
    with pytest.raises(PumpRefused, match="no time-out alarm after 3 s of silence; heard nothing"):
        play(ready.prove_dead_man(LEASE), ready, pump)
    assert "0RUN" not in pump.heard


def test_another_alarm_is_no_proof(ready: NewEra, pump: Double) -> None:
    with pytest.raises(PumpRefused, match=r"heard '00A\?S'"):
        prove(ready, pump, announced="00A?S")
    assert "0RUN" not in pump.heard


@pytest.mark.parametrize("lost", [False, True])
def test_a_pump_that_starts_under_a_pending_alarm_fails_and_is_stopped(
    ready: NewEra, pump: Double, lost: bool
) -> None:
    pump.lose_answer = lambda _number, text: lost and text == "RUN"
    with pytest.raises(PumpRefused, match="was not refused"):
        prove(ready, pump)
    assert pump.status == "S"


def test_a_pump_that_moved_during_the_proof_fails(ready: NewEra, pump: Double) -> None:
    strike_at_run(pump, alarm="T", infused="0.001")
    with pytest.raises(PumpRefused, match=r"moved from 0 mL to 0\.001 mL"):
        prove(ready, pump)
