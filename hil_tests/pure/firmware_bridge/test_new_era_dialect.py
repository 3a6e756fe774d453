"""The New Era dialect's programs: what goes over the wire for each operation, whatever comes back."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialect import Ask, HostDialect, Listen, Syringe
from firmware_bridge.errors import (
    BridgeError,
    Disconnected,
    NoAnswer,
    ProtocolError,
    PumpInAlarm,
    PumpRefused,
    UncertainDelivery,
)
from firmware_bridge.messages import PumpAlarm, PumpState
from firmware_bridge.protocols.new_era import NewEra
from firmware_bridge.quantities import Duration, Rate, Volume
from hil_tests.pure.firmware_bridge.new_era_double import Double, basic, play, recite, safe

BD_20 = Syringe(19_050, Volume.from_ml(20))
RATE = Rate.from_ml_h("26.7")
TARGET = Volume.from_ml("3")
LEASE = Duration.from_s(3)


@pytest.fixture
def dialect() -> NewEra:
    return NewEra(port="bench")


@pytest.fixture
def pump() -> Double:
    return Double()


@pytest.fixture
def ready(dialect: NewEra, pump: Double) -> NewEra:
    """Connected, configured, nothing started."""
    play(dialect.connect(), dialect, pump)
    play(dialect.configure(BD_20), dialect, pump)
    pump.heard.clear()
    return dialect


@pytest.fixture
def running(ready: NewEra, pump: Double) -> NewEra:
    play(ready.start(RATE, TARGET, LEASE), ready, pump)
    pump.heard.clear()
    return ready


# --- connecting -----------------------------------------------------------------------------------


def test_the_first_bytes_are_a_stop_that_is_understood_in_either_mode(dialect: NewEra) -> None:
    step = next(dialect.connect())
    assert isinstance(step, Ask)
    assert step.frame == bytes.fromhex("02 08 30 53 54 50 b3 f9 03")


@pytest.mark.parametrize("safe_s", [0, 2, 255])
def test_connecting_works_whichever_mode_the_pump_was_left_in(safe_s: int, dialect: NewEra) -> None:
    pump = Double(safe_s=safe_s)
    identity = play(dialect.connect(), dialect, pump)
    assert (identity.model, identity.firmware, identity.raw) == ("NE-1000", "3.928", "NE1000V3.928")
    assert pump.heard[-1].endswith("\r") is (safe_s == 0)


def test_connecting_to_a_pump_that_wants_basic_framing_in_basic_mode(dialect: NewEra) -> None:
    pump = Double()
    pump.takes_safe_in_basic = False
    play(dialect.connect(), dialect, pump)
    assert pump.heard[:2] == ["0STP", "0STP\r"]


def test_a_reset_alarm_at_power_up_is_acknowledged_and_kept_apart(dialect: NewEra) -> None:
    pump = Double(alarm="R")
    play(dialect.connect(), dialect, pump)
    assert dialect.alarms_at_connect is PumpAlarm.RESET
    reading = play(dialect.read(), dialect, pump)
    assert (reading.state, reading.alarms) == (PumpState.STOPPED, PumpAlarm.NONE)


def test_the_first_command_after_power_up_may_be_ignored(dialect: NewEra, pump: Double) -> None:
    pump.lose_request = lambda number, _text: number == 0
    assert play(dialect.connect(), dialect, pump).model == "NE-1000"


def test_connecting_stops_a_running_pump_first(dialect: NewEra, pump: Double) -> None:
    pump.status = "I"
    play(dialect.connect(), dialect, pump)
    assert pump.status == "S"
    assert [text.strip() for text in pump.heard[:3]] == ["0STP", "0STP", "0DIS"]


def test_connecting_writes_nothing_but_stops(dialect: NewEra, pump: Double) -> None:
    found = dict(pump.settings)
    play(dialect.connect(), dialect, pump)
    assert pump.settings == found
    assert {text.strip() for text in pump.heard} <= {
        f"0{word}"
        for word in "STP DIS VER SAF DIA PHN TRG PF FUN DIR VOL RAT".split()  # noqa: SIM905  a list
    }


def test_a_dead_line_says_what_to_check(dialect: NewEra, pump: Double) -> None:
    pump.lose_request = lambda _number, _text: True
    with pytest.raises(NoAnswer, match=r"bench: .*address 0.*baud rate"):
        play(dialect.connect(), dialect, pump)
    assert [text.strip() for text in pump.heard] == ["0STP"] * 6


def test_an_unknown_model_is_kept_raw_and_is_not_fatal(dialect: NewEra, pump: Double) -> None:
    pump.overrides["VER"] = "SOMV1"
    identity = play(dialect.connect(), dialect, pump)
    assert (identity.model, identity.firmware, identity.raw) == ("OMV1", "", "OMV1")


def test_a_firmware_upgrade_letter_is_not_part_of_the_model(dialect: NewEra, pump: Double) -> None:
    pump.overrides["VER"] = "SNE1000X2V3.61"
    identity = play(dialect.connect(), dialect, pump)
    assert (identity.model, identity.firmware) == ("NE-1000", "3.61")


def test_a_pump_without_a_safe_mode_is_refused(dialect: NewEra, pump: Double) -> None:
    pump.overrides["SAF"] = "S?"
    with pytest.raises(PumpRefused, match=r"SAF: .*does not know"):
        play(dialect.connect(), dialect, pump)


def test_two_digit_addresses_are_asked_and_checked() -> None:
    dialect, pump = NewEra(address=13), Double(address=13)
    play(dialect.connect(), dialect, pump)
    assert pump.heard[0] == "13STP"
    with pytest.raises(NoAnswer):
        play(NewEra(address=5).connect(), NewEra(address=5), pump)


def test_an_address_beyond_two_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="address 100"):
        NewEra(address=100)


def test_the_dialect_is_what_the_link_expects(dialect: NewEra) -> None:
    seam: HostDialect = dialect
    assert seam.name == "new-era"


# --- configuring ----------------------------------------------------------------------------------


def test_configuring_programs_everything_that_must_hold_before_a_start(
    dialect: NewEra, pump: Double
) -> None:
    play(dialect.connect(), dialect, pump)
    limits = play(dialect.configure(BD_20), dialect, pump)
    assert pump.settings["DIA"] == "19.05"
    assert pump.settings["DIR"] == "INF"
    assert pump.settings["PF"] == "0"
    assert pump.settings["TRG"] == "SP"
    assert pump.functions == {1: "RAT", 2: "STP"}
    assert pump.phase == 1
    assert limits.rate_max.ml_h == pytest.approx(872.3, rel=1e-3)
    assert (limits.lease_min, limits.lease_max) == (Duration(1_000), Duration(255_000))
    assert limits.volume_step == Volume(10_000)


def test_what_is_right_already_is_not_written_again(ready: NewEra, pump: Double) -> None:
    play(ready.configure(BD_20), ready, pump)
    written = {text for text in pump.heard if text.strip()[-1].isdigit() or "STP" in text}
    assert written == {"0PHN2\r", "0PHN1\r"}


def test_a_stop_only_trigger_is_left_as_it_is(dialect: NewEra, pump: Double) -> None:
    pump.settings["TRG"] = "P2"
    play(dialect.connect(), dialect, pump)
    play(dialect.configure(BD_20), dialect, pump)
    assert pump.settings["TRG"] == "P2"


def test_a_value_that_is_not_taken_is_refused_by_name(dialect: NewEra, pump: Double) -> None:
    play(dialect.connect(), dialect, pump)
    pump.overrides["TRG"] = "SFT"
    with pytest.raises(PumpRefused, match="TRG: asked for SP, the pump reads back FT"):
        play(dialect.configure(BD_20), dialect, pump)
    with pytest.raises(PumpRefused, match="no syringe"):
        play(dialect.start(RATE, TARGET, LEASE), dialect, pump)


def test_a_running_pump_is_not_configured(ready: NewEra, pump: Double) -> None:
    pump.status = "I"
    with pytest.raises(PumpRefused, match="not stopped; it says 'I'"):
        play(ready.configure(BD_20), ready, pump)
    assert pump.heard == ["0DIS\r"]


def test_an_impossible_diameter_is_refused_without_a_byte(ready: NewEra, pump: Double) -> None:
    with pytest.raises(PumpRefused, match=r"syringe diameter: 0.05 mm is outside"):
        play(ready.configure(Syringe(50, Volume.from_ml(1))), ready, pump)
    assert pump.heard == []


# --- starting -------------------------------------------------------------------------------------


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


# --- changing the rate ----------------------------------------------------------------------------


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


# --- reading --------------------------------------------------------------------------------------


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


# --- pausing and resuming -------------------------------------------------------------------------


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


# --- stopping -------------------------------------------------------------------------------------


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


# --- proving the dead-man -------------------------------------------------------------------------


def prove(dialect: NewEra, pump: Double, *, announced: str = "00A?T") -> str:
    """Run the self-test against a pump that breaks the silence by ``announced``."""
    program = dialect.prove_dead_man(LEASE)
    said: bytes | None = b""
    step = next(program)
    try:
        while True:
            said = safe(announced) if isinstance(step, Listen) else pump.answer(step.frame)
            step = program.send(None if said is None else dialect.receive(said, 0.0)[0])
    except StopIteration as stop:
        return str(stop.value)


def strike_at_run(pump: Double, **changes: str) -> None:
    """When RUN arrives, these of the pump's attributes change first."""

    def at(_number: int, text: str) -> None:
        if text == "RUN":
            for name, value in changes.items():
                setattr(pump, name, value)

    pump.at = at


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


# --- restoring ------------------------------------------------------------------------------------


@pytest.mark.parametrize("safe_s", [0, 7])
def test_everything_is_put_back_as_it_was_found(dialect: NewEra, safe_s: int) -> None:
    pump = Double(safe_s=safe_s)
    found, functions = dict(pump.settings), dict(pump.functions)
    play(dialect.connect(), dialect, pump)
    play(dialect.configure(BD_20), dialect, pump)
    play(dialect.start(RATE, Volume.from_ml("0.5555"), LEASE), dialect, pump)
    play(dialect.stop(), dialect, pump)
    report = play(dialect.restore(), dialect, pump)
    assert pump.settings == found
    assert pump.functions == functions
    assert pump.phase == 1
    assert f"SAF {safe_s}" in report
    assert "DIA 26.59" in report


def test_a_pump_left_in_another_phase_finds_it_again(dialect: NewEra, pump: Double) -> None:
    pump.phase = 4
    pump.functions[4] = "PAS10"
    play(dialect.connect(), dialect, pump)
    play(dialect.configure(BD_20), dialect, pump)
    play(dialect.start(RATE, TARGET, LEASE), dialect, pump)
    play(dialect.stop(), dialect, pump)
    play(dialect.restore(), dialect, pump)
    assert (pump.phase, pump.functions[4]) == (4, "PAS10")
    assert pump.settings["VOL"] == "5.000ML"


def test_a_pump_met_again_is_restored_to_what_was_found_first(
    running: NewEra, pump: Double
) -> None:
    pump.alarm, pump.status = "R", "S"
    play(running.connect(), running, pump)
    assert play(running.read(), running, pump).alarms == PumpAlarm.RESET
    play(running.restore(), running, pump)
    assert (pump.settings["SAF"], pump.settings["DIA"]) == ("0", "26.59")


def test_another_pump_on_the_same_port_is_recorded_anew(running: NewEra, pump: Double) -> None:
    pump.overrides["VER"] = "SNE1600V3.100"
    play(running.connect(), running, pump)
    assert play(running.restore(), running, pump) == []


def test_nothing_changed_means_nothing_restored(dialect: NewEra, pump: Double) -> None:
    play(dialect.connect(), dialect, pump)
    pump.heard.clear()
    assert play(dialect.restore(), dialect, pump) == []
    assert pump.heard == ["0DIS\r"]


def test_a_setting_that_cannot_be_put_back_is_reported_and_the_rest_goes_on(
    ready: NewEra, pump: Double
) -> None:
    pump.overrides["TRGFT"] = "S?NA"
    report = play(ready.restore(), ready, pump)
    assert any(line.startswith("TRG FT could not be put back: ?NA") for line in report)
    assert pump.settings["PF"] == "1"


def test_a_setting_the_model_does_not_have_is_left_out(dialect: NewEra, pump: Double) -> None:
    pump.overrides["TRG"] = "S?"
    play(dialect.connect(), dialect, pump)
    with pytest.raises(PumpRefused, match="TRG"):
        play(dialect.configure(BD_20), dialect, pump)


def test_a_running_pump_is_not_restored(running: NewEra, pump: Double) -> None:
    with pytest.raises(PumpRefused, match="restore: the pump is not stopped"):
        play(running.restore(), running, pump)


def test_an_alarm_pending_from_idleness_does_not_keep_a_pump_from_being_restored(
    running: NewEra, pump: Double
) -> None:
    pump.status, pump.alarm = "S", "T"
    play(running.restore(), running, pump)
    assert pump.settings["SAF"] == "0"


def test_restoring_on_a_dead_line_says_so(ready: NewEra, pump: Double) -> None:
    pump.lose_answer = lambda _number, _text: True
    with pytest.raises(NoAnswer):
        play(ready.restore(), ready, pump)


# --- the wire -------------------------------------------------------------------------------------


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


def test_a_question_lost_twice_is_given_up_before_the_start(ready: NewEra, pump: Double) -> None:
    pump.lose_answer = lambda _number, text: text == "DIA"
    with pytest.raises(NoAnswer, match="DIA"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert pump.heard.count("0DIA\r") == 2


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
