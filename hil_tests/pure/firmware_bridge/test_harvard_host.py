"""What the Harvard host says to a pump, and what it believes of the answers."""

from __future__ import annotations

import pytest

from firmware_bridge.dialect import Ask, Frame, Step, Syringe
from firmware_bridge.errors import BeyondPump, NoAnswer, PumpRefused, UncertainDelivery
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.protocols.harvard import Harvard
from firmware_bridge.quantities import Rate, Volume
from hil_tests.pure.firmware_bridge.harvard_double import (
    BD_20,
    LEASE,
    RATE,
    TARGET,
    Double,
    heard,
    play,
    recite,
    run,
)


@pytest.fixture
def pump() -> Double:
    return Double()


@pytest.fixture
def dialect() -> Harvard:
    return Harvard(port="bench")


@pytest.fixture
def ready(dialect: Harvard, pump: Double) -> Harvard:
    """Connected, configured, nothing started."""
    play(dialect.connect(), dialect, pump)
    play(dialect.configure(BD_20), dialect, pump)
    pump.heard.clear()
    return dialect


@pytest.fixture
def running(ready: Harvard, pump: Double) -> Harvard:
    play(ready.start(RATE, TARGET, LEASE), ready, pump)
    pump.heard.clear()
    return ready


def delivered(pump: Double, ml: str) -> None:
    pump.infused_fl = Volume.from_ml(ml).nl * 10**6


# --- opening ------------------------------------------------------------------------------------------


def test_the_first_bytes_are_a_stop_and_polling_is_switched_on() -> None:
    dialect = Harvard()
    assert dialect.stop_frame() == b"@stp\r"
    status = b"\n0 0 0 i...I.\r\n:"
    opening: list[tuple[bytes, bytes | None]] = [
        (b"@stp\r", b"\n:"),
        (b"@stp\r", b"\n:"),
        (b"@status\r", status),
        (b"@status\r", status),
        (b"@version\r", b"\nFirmware:      v3.0.6\r\nSerial number: D101754\r\n:"),
        (b"@ver\r", b"\n11 ELITE I/W Single 3.0.4\r\n:"),
        (b"@poll\r", b"\nPolling mode is OFF\r\n:"),
        (b"@poll on\r", b"\n:\x11"),
        (b"@poll\r", b"\nPolling mode is ON\r\n:\x11"),
        (b"@echo\r", b"\nEcho is OFF\r\n:\x11"),
        (b"@load\r", b"\nQuick Start - Infuse/Withdraw (qs iw)\r\n:\x11"),
        (b"@diameter\r", b"\n7.2620 mm\r\n:\x11"),
        (b"@svolume\r", b"\n8.6284 ml\r\n:\x11"),
        (b"@irate\r", b"\n199.49 ul/min\r\n:\x11"),
        (b"@tvolume\r", b"\nTarget volume not set\r\n:\x11"),
        (b"@ttime\r", b"\nTarget time not set\r\n:\x11"),
        (b"@echo\r", b"\nEcho is OFF\r\n:\x11"),
    ]
    identity = recite(dialect.connect(), dialect, opening)
    assert (identity.model, identity.firmware) == ("11 ELITE I/W Single", "3.0.6")
    assert identity.serial_number == "D101754"


def test_a_silent_port_says_what_to_check(dialect: Harvard) -> None:
    with pytest.raises(NoAnswer, match="check power, cable, baud rate, address and command set"):
        run(dialect.connect(), lambda _step: [])


def test_a_pump_at_another_address_is_named() -> None:
    dialect = Harvard(address=3)

    def other(_step: Step) -> list[Frame]:
        return heard(dialect, b"\n07:\x11")

    with pytest.raises(NoAnswer, match="address 7 answered instead of 3"):
        run(dialect.connect(), other)


def test_another_command_set_is_refused(dialect: Harvard, pump: Double) -> None:
    pump.version = None
    with pytest.raises(PumpRefused, match=r"not the Pump 11 Elite command set: .*Unknown command"):
        play(dialect.connect(), dialect, pump)


@pytest.mark.parametrize("address", [1, 7, 42, 99])
def test_every_line_carries_the_address(address: int) -> None:
    pump, dialect = Double(address=address), Harvard(address=address)
    play(dialect.connect(), dialect, pump)
    play(dialect.configure(BD_20), dialect, pump)
    play(dialect.start(RATE, TARGET, LEASE), dialect, pump)
    assert play(dialect.read(), dialect, pump).state is PumpState.RUNNING
    assert dialect.stop_frame() == f"{address:02d}@stp\r".encode()


@pytest.mark.parametrize(
    ("prefix0", "poll", "flags6", "echo"),
    [(True, "OFF", True, "OFF"), (False, "ON", False, "OFF"), (True, "ON", True, "ON")],
)
def test_what_real_pumps_differ_in_does_not_matter(
    prefix0: bool,
    poll: str,
    flags6: bool,
    echo: str,
) -> None:
    pump, dialect = Double(prefix0=prefix0, poll=poll), Harvard()
    pump.flags6, pump.echo = flags6, echo
    play(dialect.connect(), dialect, pump)
    play(dialect.configure(BD_20), dialect, pump)
    play(dialect.start(RATE, TARGET, LEASE), dialect, pump)
    pump.prompt = "T*"
    delivered(pump, "3")
    assert play(dialect.read(), dialect, pump).state is PumpState.COMPLETED
    play(dialect.stop(), dialect, pump)
    report = play(dialect.restore(), dialect, pump)
    assert (pump.echo, pump.poll) == (echo, poll)
    assert ("echo on" in report, "poll off" in report) == (echo == "ON", poll == "OFF")


# --- before a start -----------------------------------------------------------------------------------


def test_the_memory_is_spared_by_the_word_that_the_firmware_knows(
    dialect: Harvard, pump: Double
) -> None:
    pump.nvram_words = ["off"]
    play(dialect.connect(), dialect, pump)
    play(dialect.configure(BD_20), dialect, pump)
    sent = [text for text in pump.heard if text.startswith("nvram")]
    assert sent[0] == "nvram none"
    assert sent[-1] == "nvram off"


def test_the_limits_are_what_the_pump_says_of_this_syringe(dialect: Harvard, pump: Double) -> None:
    play(dialect.connect(), dialect, pump)
    limits = play(dialect.configure(BD_20), dialect, pump)
    assert (limits.rate_min, limits.rate_max) == (Rate(1_503), Rate(1_560_210_000))
    assert pump.settings["diameter"] == "19.0500 mm"
    assert pump.settings["svolume"] == "20 ml"


def test_a_method_gives_way_to_a_quick_start(dialect: Harvard, pump: Double) -> None:
    pump.mode = "Method 3"
    play(dialect.connect(), dialect, pump)
    play(dialect.configure(BD_20), dialect, pump)
    assert "load qs i" in pump.heard
    report = play(dialect.restore(), dialect, pump)
    assert "not the method that was loaded, which cannot be named" in report


def test_a_diameter_that_is_not_taken_is_refused(dialect: Harvard, pump: Double) -> None:
    play(dialect.connect(), dialect, pump)
    pump.overrides["diameter 19.050"] = ["Argument error: 19.050", "   Out of range"]
    with pytest.raises(PumpRefused, match=r"Argument error: 19\.050 Out of range"):
        play(dialect.configure(BD_20), dialect, pump)


def test_a_diameter_beyond_the_family_is_refused_unsent(dialect: Harvard, pump: Double) -> None:
    with pytest.raises(BeyondPump, match=r"60\.0 mm is outside"):
        play(dialect.configure(Syringe(60_000, Volume.from_ml(20))), dialect, pump)
    assert pump.heard == []


# --- a start ------------------------------------------------------------------------------------------


def test_a_start_clears_sets_reads_back_and_only_then_runs(ready: Harvard, pump: Double) -> None:
    accepted = play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert (accepted.rate, accepted.volume) == (RATE, TARGET)
    assert pump.heard == [
        *("status", "diameter", "civolume"),
        *("ttime", "cttime", "ttime"),
        *("ctvolume", "tvolume 3 ml", "tvolume"),
        *("irate 445 ul/min", "irate", "iramp", "ivolume", "irun"),
    ]


def test_what_cannot_be_said_exactly_is_less(ready: Harvard, pump: Double) -> None:
    accepted = play(
        ready.start(Rate.from_ml_h(100), Volume.from_ml("3.33333399"), LEASE), ready, pump
    )
    assert accepted.rate == Rate.from_ml_h("99.9996")
    assert accepted.volume == Volume.from_ml("3.33333")


@pytest.mark.parametrize(
    ("name", "reads_back"),
    [
        ("irate", "445.001 ul/min"),
        ("irate", "44.5 ul/min"),
        ("irate", "445 nl/min"),
        ("tvolume", "3.00001 ml"),
        ("tvolume", "2.9 ml"),
        ("tvolume", "Target volume not set"),
        ("diameter", "19.0000 mm"),
        ("ttime", "30 seconds"),
        ("iramp", "110 ul/min to 417 ul/min in 7.036 seconds"),
        ("ivolume", "1 ul"),
    ],
)
def test_nothing_runs_when_the_pump_reads_back_anything_else(
    ready: Harvard, pump: Double, name: str, reads_back: str
) -> None:
    pump.overrides[name] = [reads_back]
    with pytest.raises(PumpRefused):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert "irun" not in pump.heard


@pytest.mark.parametrize(
    ("rate", "target", "why"),
    [
        ("1600", "1", "outside 0.001503 mL/h to 1560.21 mL/h"),
        ("60", "20.000001", "above the syringe's 20 mL"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(
    ready: Harvard, pump: Double, rate: str, target: str, why: str
) -> None:
    with pytest.raises(BeyondPump, match=why):
        play(ready.start(Rate.from_ml_h(rate), Volume.from_ml(target), LEASE), ready, pump)
    assert pump.heard == []


def test_a_start_whose_answer_is_lost_is_uncertain_and_never_sent_again(
    ready: Harvard, pump: Double
) -> None:
    pump.lose_answer = lambda _n, text: text == "irun"
    with pytest.raises(UncertainDelivery, match="running"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert pump.heard.count("irun") == 1


def test_a_start_that_the_pump_refuses_started_nothing(ready: Harvard, pump: Double) -> None:
    pump.refuses["irun"] = "Target volume already reached"
    with pytest.raises(PumpRefused, match="already reached"):
        play(ready.start(RATE, TARGET, LEASE), ready, pump)
    assert pump.heard.count("irun") == 1


def test_accepted_is_not_running(ready: Harvard, pump: Double) -> None:
    def answer(step: Step) -> list[Frame]:
        said = pump.answer(step.frame) if isinstance(step, Ask) else None
        if pump.heard[-1] == "irun":
            pump.prompt, said = ":", b"\n:\x11"
        return heard(ready, said)

    with pytest.raises(UncertainDelivery, match="stopped"):
        run(ready.start(RATE, TARGET, LEASE), answer)


# --- readings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "ml", "state", "alarms"),
    [
        (">", "1.5", PumpState.RUNNING, PumpAlarm.NONE),
        (":", "1.5", PumpState.STOPPED, PumpAlarm.NONE),
        ("T*", "3", PumpState.COMPLETED, PumpAlarm.NONE),
        ("T*", "2.9999", PumpState.COMPLETED, PumpAlarm.NONE),
        ("T*", "1.5", PumpState.STOPPED, PumpAlarm.NONE),  # somebody else's target
        ("*", "1.5", PumpState.ALARM, PumpAlarm.OCCLUSION),
        (">*", "1.5", PumpState.ALARM, PumpAlarm.EMPTY),
        ("<", "1.5", PumpState.RUNNING, PumpAlarm.INTERNAL_FAULT),
    ],
)
def test_what_a_prompt_means(
    running: Harvard, pump: Double, prompt: str, ml: str, state: PumpState, alarms: PumpAlarm
) -> None:
    pump.prompt = prompt
    delivered(pump, ml)
    reading = play(running.read(), running, pump)
    assert (reading.state, reading.alarms) == (state, alarms)
    assert reading.infused == Volume.from_ml(ml)


def test_a_reading_of_a_running_pump_is_one_exchange(running: Harvard, pump: Double) -> None:
    play(running.read(), running, pump)
    assert pump.heard == ["status"]


def test_a_target_reached_is_a_state_and_no_error(ready: Harvard, pump: Double) -> None:
    pump.prompt = "T*"  # left over from somebody
    assert play(ready.read(), ready, pump).state is PumpState.STOPPED
    assert play(ready.configure(BD_20), ready, pump).rate_max == Rate(1_560_210_000)


def test_a_rate_changed_at_the_keypad_is_an_alarm_in_words(running: Harvard, pump: Double) -> None:
    pump.rate_shown_fl_s = 2 * 7_416_666_666
    reading = play(running.read(), running, pump)
    assert reading.alarms == PumpAlarm.INTERNAL_FAULT
    assert "instead of 26.7 mL/h" in reading.words


def test_a_counter_that_goes_back_is_a_reset_and_loses_nothing(
    running: Harvard, pump: Double
) -> None:
    delivered(pump, "1.5")
    play(running.read(), running, pump)
    pump.prompt = ":"
    delivered(pump, "0")
    reading = play(running.read(), running, pump)
    assert reading.alarms == PumpAlarm.RESET
    assert reading.infused == Volume.from_ml("1.5")


def test_a_pump_that_forgot_to_poll_was_reset(running: Harvard, pump: Double) -> None:
    pump.poll, pump.prompt = "OFF", ":"
    assert play(running.read(), running, pump).alarms == PumpAlarm.RESET


def test_a_lost_xon_is_no_reset(running: Harvard, pump: Double) -> None:
    def answer(step: Step) -> list[Frame]:
        assert isinstance(step, Ask)
        said = pump.answer(step.frame)
        assert said is not None
        return heard(running, said.removesuffix(b"\x11") if b"status" in step.frame else said)

    assert run(running.read(), answer).alarms == PumpAlarm.NONE
    assert pump.heard == ["status", "poll"]


def test_a_late_answer_is_never_taken_for_another(running: Harvard, pump: Double) -> None:
    """The first ``status`` is answered only after the wait; its answer comes before the next one's."""
    old = pump.answer(b"@status\r")
    delivered(pump, "1")
    waiting = iter([None, old])

    def answer(step: Step) -> list[Frame]:
        late = next(waiting, b"")
        if late is None or not isinstance(step, Ask):
            return []
        return heard(running, (late or b"") + (pump.answer(step.frame) or b""))

    with pytest.raises(NoAnswer):
        run(running.read(), answer)
    assert run(running.read(), answer).infused == Volume.from_ml(1)


# --- changing, pausing, stopping ------------------------------------------------------------------------


def test_a_rate_is_changed_and_read_back(running: Harvard, pump: Double) -> None:
    assert play(running.set_rate(Rate.from_ml_h(100)), running, pump) == Rate.from_ml_h("99.9996")
    assert play(running.read(), running, pump).alarms == PumpAlarm.NONE


def test_a_rate_that_is_not_taken_is_refused(running: Harvard, pump: Double) -> None:
    pump.overrides["irate 1 ml/min"] = ["Argument error: 1", "   Out of range"]
    with pytest.raises(PumpRefused, match="Out of range"):
        play(running.set_rate(Rate.from_ml_h(60)), running, pump)


def test_the_rest_after_a_pause_does_not_depend_on_what_the_target_counts(
    running: Harvard, pump: Double
) -> None:
    delivered(pump, "1.25")
    assert play(running.pause(), running, pump).state is PumpState.PAUSED
    assert play(running.read(), running, pump).state is PumpState.PAUSED
    pump.heard.clear()
    resumed = play(running.resume(LEASE), running, pump)
    assert (resumed.state, resumed.infused) == (PumpState.RUNNING, Volume.from_ml("1.25"))
    assert "civolume" in pump.heard
    assert pump.settings["tvolume"] == "1.75 ml"
    pump.prompt = "T*"
    delivered(pump, "1.75")
    ended = play(running.read(), running, pump)
    assert (ended.state, ended.infused) == (PumpState.COMPLETED, TARGET)


def test_a_stop_is_repeated_until_the_counter_stands(running: Harvard, pump: Double) -> None:
    pump.lose_request = lambda number, text: text == "stp" and number < 4
    stopped = play(running.stop(), running, pump)
    assert stopped.state is PumpState.STOPPED
    assert pump.heard[-2:] == ["status", "status"]
    assert pump.heard.count("stp") > 2


def test_a_counter_that_moves_is_no_standstill(running: Harvard, pump: Double) -> None:
    pump.flags6 = True

    def creeps(_number: int, text: str) -> None:
        if text == "status":
            pump.infused_fl += 10**6

    pump.at = creeps
    with pytest.raises(NoAnswer, match="the stop is not confirmed"):
        play(running.stop(), running, pump)


def test_a_stop_does_not_depend_on_the_screen(running: Harvard, pump: Double) -> None:
    pump.refuses["ivolume"] = "Only in quick start"
    pump.direction = "W"
    assert play(running.stop(), running, pump).state is PumpState.STOPPED


# --- leaving ------------------------------------------------------------------------------------------


def test_what_was_found_is_put_back(running: Harvard, pump: Double) -> None:
    play(running.stop(), running, pump)
    report = play(running.restore(), running, pump)
    assert pump.settings == Double().settings
    assert pump.poll == "OFF"
    assert any(line.startswith("not nvram") for line in report)


def test_the_count_may_be_kept(running: Harvard, pump: Double) -> None:
    play(running.stop(), running, pump)
    report = play(running.restore(keep_count=True), running, pump)
    assert pump.settings["diameter"] == "19.0500 mm"
    assert "not diameter 7.2620, which might clear the count" in report


def test_a_session_that_was_left_leaves_no_polling_and_no_target() -> None:
    pump, dialect = Double(poll="ON"), Harvard()
    play(dialect.connect(), dialect, pump)
    dialect.disown()
    play(dialect.restore(), dialect, pump)
    assert pump.poll == "OFF"
    assert pump.settings["tvolume"] == "Target volume not set"
    assert pump.settings["ttime"] == "Target time not set"


def test_there_is_no_dead_man_and_it_says_so(ready: Harvard, pump: Double) -> None:
    assert Capability.DEAD_MAN not in ready.capabilities
    with pytest.raises(PumpRefused, match="bounded by target"):
        play(ready.prove_dead_man(LEASE), ready, pump)
    assert play(ready.relax(), ready, pump) is None
    assert pump.heard == []


@pytest.mark.parametrize("before", [b"\xffq1", b"noise\r", b"@ivolume\r", b"@poll on\r"])
def test_an_answer_behind_noise_or_behind_the_echo_of_another_question_is_not_taken(
    running: Harvard, pump: Double, before: bytes
) -> None:
    def answer(step: Step) -> list[Frame]:
        if not isinstance(step, Ask):
            return []
        said = pump.answer(step.frame)
        assert said is not None
        return heard(running, before + said)

    with pytest.raises(NoAnswer):
        run(running.read(), answer)


def test_an_answer_behind_the_echo_of_its_own_question_is(running: Harvard, pump: Double) -> None:
    pump.echo = "ON"
    assert play(running.read(), running, pump).state is PumpState.RUNNING
