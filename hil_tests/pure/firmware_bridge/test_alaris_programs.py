"""Driving an Alaris pump: lease, read-backs, late answers, alarms, stops; against a scripted pump."""

from __future__ import annotations

import pytest

from firmware_bridge.dialect import Syringe
from firmware_bridge.dialects import make_dialect, parse_pump_url
from firmware_bridge.errors import (
    ConfigurationError,
    Disconnected,
    NoAnswer,
    ProtocolError,
    PumpInAlarm,
    PumpRefused,
    UncertainDelivery,
)
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.protocols.alaris import Alaris
from firmware_bridge.quantities import Duration, Rate, Volume
from hil_tests.pure.firmware_bridge.alaris_double import BD_50, LEASE, RATE, TARGET, Double, framed
from hil_tests.pure.firmware_bridge.line_bench import LineBench

KEEP_ALIVES = ["REMOTE_CTRL^ENABLED^3CC1", "REMOTE_CFG^ENABLED^3CC1"]


class Bench(LineBench):
    """An Alaris on the bench, connected where a test begins with that."""

    def __init__(self) -> None:
        self.double = Double()
        self.alaris = Alaris(port="bench")
        super().__init__(self.alaris, self.double)


@pytest.fixture
def fresh() -> Bench:
    return Bench()


@pytest.fixture
def ready(fresh: Bench) -> Bench:
    fresh.do(fresh.alaris.connect())
    fresh.do(fresh.alaris.configure(BD_50))
    fresh.double.heard.clear()
    return fresh


@pytest.fixture
def running(ready: Bench) -> Bench:
    ready.do(ready.alaris.start(RATE, TARGET, LEASE))
    ready.double.heard.clear()
    return ready


# --- connecting ---------------------------------------------------------------------------------------


def test_the_first_word_is_a_stop_that_ends_half_a_frame(fresh: Bench) -> None:
    identity = fresh.do(fresh.alaris.connect())
    assert fresh.sent[0][1] == b"\x1b!INF_STOP|CD57\r" == fresh.alaris.stop_frame()
    assert (identity.model, identity.firmware) == ("Alaris Asena", "Rev 2.1.5")
    assert identity.serial_number == "8002-51740"
    assert fresh.double.controlled_until == {"REMOTE_CTRL": -1.0, "REMOTE_CFG": -1.0}


def test_it_is_a_clinical_pump_with_a_dead_man_target_and_pressure(fresh: Bench) -> None:
    for capability in (
        Capability.CLINICAL,
        Capability.DEAD_MAN,
        Capability.VOLUME_TARGET,
        Capability.PRESSURE,
    ):
        assert capability in fresh.alaris.capabilities


def test_a_running_pump_found_is_stopped_under_control(fresh: Bench) -> None:
    fresh.double.running, fresh.double.left = True, 5.0
    fresh.do(fresh.alaris.connect())
    assert not fresh.double.running


def test_nobody_there_says_what_to_check(fresh: Bench) -> None:
    fresh.double.lose_request = lambda _text: True
    with pytest.raises(NoAnswer, match=r"38400 8N1"):
        fresh.do(fresh.alaris.connect())


def test_a_pump_that_gives_no_control_is_named(fresh: Bench) -> None:
    fresh.double.permits = False
    with pytest.raises(PumpRefused, match=r"does not give control away: .*DENY"):
        fresh.do(fresh.alaris.connect())


@pytest.mark.parametrize("echo", [False, True])
def test_control_is_given_back_whichever_way_the_pump_answers(fresh: Bench, echo: bool) -> None:
    fresh.double.echo_disabled = echo
    fresh.do(fresh.alaris.connect())
    assert fresh.double.heard[-2:] == ["REMOTE_CFG^DISABLED", "REMOTE_CTRL^DISABLED"]


def test_the_lease_is_fixed_and_said(fresh: Bench) -> None:
    fresh.do(fresh.alaris.connect())
    limits = fresh.do(fresh.alaris.configure(BD_50))
    assert limits.lease_min == limits.lease_max == Duration.from_s(10)
    assert (limits.rate_min, limits.rate_max) == (Rate.from_ml_h("0.1"), Rate.from_ml_h(1_200))
    assert limits.volume_step == Volume.from_ml("0.001")


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        ("BD PLASTIPAK^ 20^CONF", "50 mL was asked for, at the pump 20 mL is confirmed"),
        ("BD PLASTIPAK^ 50^NOCONF", "none is confirmed"),
        ("^^", "none is confirmed"),
    ],
)
def test_another_syringe_than_the_one_meant_is_refused(
    fresh: Bench, shown: str, sentence: str
) -> None:
    fresh.do(fresh.alaris.connect())
    fresh.double.syringe = shown
    with pytest.raises(PumpRefused, match=sentence):
        fresh.do(fresh.alaris.configure(BD_50))


# --- starting -----------------------------------------------------------------------------------------


def test_a_start_programs_and_reads_back_everything_and_starts_once(ready: Bench) -> None:
    accepted = ready.do(ready.alaris.start(RATE, TARGET, LEASE))
    assert (accepted.rate, accepted.volume) == (RATE, TARGET)
    assert ready.double.heard == [
        *KEEP_ALIVES,
        *("ALARM", "SYRINGE_STATUS", "INF_VI_CLEAR", "INF_VI"),
        *("INF_VTBI^ACTIV^3.000^ml^STOP", "INF_VTBI", "INF_RATE^26.70^ml/h", "INF_RATE"),
        *("INF", "INF_START"),
    ]
    assert ready.double.running


def test_rate_and_target_are_rounded_down(ready: Bench) -> None:
    rate, target = Rate.from_ml_h("133.339"), Volume.from_ml("3.3339")
    accepted = ready.do(ready.alaris.start(rate, target, LEASE))
    assert accepted.rate == Rate.from_ml_h("133.33")
    assert accepted.volume == Volume.from_ml("3.333")


@pytest.mark.parametrize(
    ("rate", "target", "lease_s", "sentence"),
    [
        ("1200.01", "3", 10, "outside 0.1 mL/h to 1200 mL/h"),
        ("0.09", "3", 10, "outside 0.1"),
        ("0.109", "3", 10, "cannot be told"),
        ("26.7", "50.001", 10, "above the syringe's 50 mL"),
        ("26.7", "0.0009", 10, "cannot be told"),
        ("26.7", "3", 9, "9 s is below the pump's own dead-man, which is fixed at 10 s"),
    ],
)
def test_what_the_pump_cannot_do_is_refused_before_a_byte_is_sent(
    ready: Bench, rate: str, target: str, lease_s: int, sentence: str
) -> None:
    with pytest.raises(PumpRefused, match=sentence):
        ready.do(
            ready.alaris.start(
                Rate.from_ml_h(rate), Volume.from_ml(target), Duration.from_s(lease_s)
            )
        )
    assert ready.double.heard == []


def test_an_unconfigured_pump_is_not_started(fresh: Bench) -> None:
    with pytest.raises(PumpRefused, match="no syringe has been configured"):
        fresh.do(fresh.alaris.start(RATE, TARGET, LEASE))


def test_an_alarm_forbids_a_start_and_a_reached_target_does_not(ready: Bench) -> None:
    ready.double.alarms = ["AL_VTBIS", "AL_OCCLU"]
    with pytest.raises(PumpInAlarm, match="AL_OCCLU"):
        ready.do(ready.alaris.start(RATE, TARGET, LEASE))
    ready.double.alarms = ["AL_VTBIS"]
    ready.do(ready.alaris.start(RATE, TARGET, LEASE))


@pytest.mark.parametrize(
    ("setting", "sentence"), [("INF_RATE^26.70^ml/h", "INF_RATE"), ("INF_VTBI^ACTIV", "INF_VTBI")]
)
def test_a_setting_that_the_pump_did_not_take_forbids_the_start(
    ready: Bench, setting: str, sentence: str
) -> None:
    def at(text: str) -> None:
        if text.startswith(setting):
            ready.double.rate, ready.double.left = 99.0, 99.0
            ready.double.controlled_until["REMOTE_CTRL"] = -1.0

    ready.double.at = at
    with pytest.raises((PumpRefused, NoAnswer), match=sentence):
        ready.do(ready.alaris.start(RATE, TARGET, LEASE))
    assert "INF_START" not in ready.double.heard


def test_a_counter_that_moves_forbids_the_start(ready: Bench) -> None:
    def at(text: str) -> None:
        if text == "INF_RATE^26.70^ml/h":
            ready.double.infused = 0.004

    ready.double.at = at
    with pytest.raises(PumpRefused, match=r"reads 0\.004 mL and not 0 mL: it moves"):
        ready.do(ready.alaris.start(RATE, TARGET, LEASE))
    assert "INF_START" not in ready.double.heard


@pytest.mark.parametrize("way", ["lose_request", "lose_answer"])
def test_a_start_without_answer_is_uncertain_and_never_repeated(ready: Bench, way: str) -> None:
    setattr(ready.double, way, lambda text: text == "INF_START")
    with pytest.raises(UncertainDelivery, match=r"start of 26\.7 mL/h up to 3 mL"):
        ready.do(ready.alaris.start(RATE, TARGET, LEASE))
    assert ready.double.heard.count("INF_START") == 1


def test_a_port_lost_around_the_start_is_uncertain_only_once_it_was_sent(ready: Bench) -> None:
    lost = Disconnected("bench", "unplugged")
    program = ready.alaris.start(RATE, TARGET, LEASE)
    assert ready.cut(program, lost, after=b"INF_RATE|") is lost
    ready.sent.clear()
    error = ready.cut(ready.alaris.start(RATE, TARGET, LEASE), lost, after=b"INF_START")
    assert isinstance(error, UncertainDelivery)


# --- answers that come late ---------------------------------------------------------------------------


def test_a_pump_as_slow_as_it_may_be_is_driven_and_keeps_its_lease(fresh: Bench) -> None:
    fresh.double.delay_s = lambda _text: 3.9
    fresh.do(fresh.alaris.connect())
    fresh.do(fresh.alaris.configure(BD_50))
    # One at a time, a pump this slow cannot answer every renewal; the ones that count come in time.
    fresh.double.delay_s = lambda _text: 0.9
    fresh.do(fresh.alaris.start(RATE, TARGET, LEASE))
    for _ in range(20):
        fresh.wait(1.0)
        assert fresh.do(fresh.alaris.read()).state is PumpState.RUNNING


def test_a_late_keep_alives_answer_is_never_a_rate(running: Bench) -> None:
    running.double.delay_s = lambda text: 1.2 if text.startswith("REMOTE") else 0.02
    running.wait(1.0)
    assert running.do(running.alaris.read()).state is PumpState.RUNNING
    assert running.do(running.alaris.set_rate(Rate.from_ml_h(30))) == Rate.from_ml_h(30)


def test_an_old_answer_is_not_taken_for_a_new_settings(running: Bench) -> None:
    # The answer to an earlier question comes just when the pump does not take the new rate.
    running.double.delay_s = lambda text: 1.0 if text == "INF_RATE" else 0.02
    assert running.do(running.alaris.set_rate(Rate.from_ml_h(30))) == Rate.from_ml_h(30)
    running.double.delay_s = lambda _text: 0.02
    running.double.heard.clear()
    assert running.do(running.alaris.set_rate(Rate.from_ml_h(20))) == Rate.from_ml_h(20)
    assert running.double.heard[0] in ("COMMS_PROTOCOL", "COMMS_RESPONSE_MAX")


def test_a_lost_request_is_sent_again_after_half_a_second_with_esc_first(running: Bench) -> None:
    lost = iter([True])
    running.double.lose_request = lambda text: text == "INF" and next(lost, False)
    running.sent.clear()
    running.wait(0.5)
    assert running.do(running.alaris.read()).state is PumpState.RUNNING
    (first, plain), (second, again) = [item for item in running.sent if b"!INF|" in item[1]]
    assert again == b"\x1b" + plain
    assert second - first == pytest.approx(0.5)


def test_a_damaged_answer_is_dropped_and_asked_for_again(running: Bench) -> None:
    running.says(framed("INF_RATE^99.00^ml/h").replace(b"99", b"98"))
    assert running.do(running.alaris.set_rate(Rate.from_ml_h(30))) == Rate.from_ml_h(30)


# --- the lease ----------------------------------------------------------------------------------------


def test_a_reading_renews_the_lease_once_each_and_nothing_else_does(running: Bench) -> None:
    running.wait(1.0)
    running.do(running.alaris.read())
    assert running.double.heard == [*KEEP_ALIVES, "INF"]
    running.double.heard.clear()
    running.do(running.alaris.set_rate(Rate.from_ml_h(30)))
    running.do(running.alaris.pause())
    assert not any("ENABLED" in text for text in running.double.heard)


def test_a_keep_alive_without_answer_is_not_repeated(running: Bench) -> None:
    running.double.lose_answer = lambda text: text.startswith("REMOTE")
    running.wait(1.0)
    assert running.do(running.alaris.read()).state is PumpState.RUNNING
    assert running.double.heard.count(KEEP_ALIVES[0]) == 1


def test_without_renewals_the_pump_stops_by_itself_and_says_so(running: Bench) -> None:
    running.wait(30.0)
    reading = running.do(running.alaris.read())
    assert reading.alarms in (PumpAlarm.LEASE_EXPIRED, PumpAlarm.NONE)
    assert reading.infused <= Volume(26_700_000 * 10 // 3_600)


def test_a_lease_that_ran_out_is_an_alarm(running: Bench) -> None:
    running.double.permits = False
    running.wait(11.0)
    reading = running.do(running.alaris.read())
    assert reading.alarms == PumpAlarm.LEASE_EXPIRED
    assert reading.state is not PumpState.COMPLETED
    assert reading.words == "AL_COMTO"


def test_at_rest_nothing_is_renewed_and_the_old_rate_is_back(running: Bench) -> None:
    running.do(running.alaris.stop())
    running.do(running.alaris.relax())
    assert running.double.rate == 3.5
    running.double.heard.clear()
    running.do(running.alaris.read())
    running.do(running.alaris.relax())
    assert running.double.heard == ["INF"]


def test_the_dead_man_is_proved_by_a_start_that_is_not_obeyed(ready: Bench) -> None:
    before = ready.double.infused
    seen = ready.do(ready.alaris.prove_dead_man(LEASE))
    assert "after 10 s of silence, start refused" in seen
    assert ready.double.infused == before
    gaps = [
        later - earlier
        for (earlier, _), (later, _) in zip(ready.sent, ready.sent[1:], strict=False)
    ]
    assert max(gaps) >= 11.0


def test_a_pump_whose_lease_does_not_run_out_fails_the_proof(ready: Bench) -> None:
    ready.double.lease_s = 600.0
    with pytest.raises(PumpRefused, match="still obeyed a start"):
        ready.do(ready.alaris.prove_dead_man(LEASE))
    assert not ready.double.running
    assert ready.double.infused <= 0.001


def test_the_proof_needs_a_lease_as_long_as_the_pumps(ready: Bench) -> None:
    with pytest.raises(PumpRefused, match="fixed at 10 s"):
        ready.do(ready.alaris.prove_dead_man(Duration.from_s(3)))


# --- while it runs ------------------------------------------------------------------------------------


def test_pressure_and_volume_are_read(running: Bench) -> None:
    running.wait(9.0)
    reading = running.do(running.alaris.read())
    assert reading.pressure_pa == 2387
    assert reading.infused == Volume.from_ml("0.067")


def test_a_reached_target_is_completed_and_no_alarm(running: Bench) -> None:
    running.double.left = 0.010
    running.double.target = 3.0
    running.double.infused = 2.990
    running.wait(3.0)
    reading = running.do(running.alaris.read())
    assert (reading.state, reading.alarms) == (PumpState.COMPLETED, PumpAlarm.NONE)
    assert reading.infused == TARGET


def test_a_target_reached_too_early_is_an_alarm(running: Bench) -> None:
    running.double.left = 0.010
    running.wait(3.0)
    reading = running.do(running.alaris.read())
    assert reading.alarms == PumpAlarm.INTERNAL_FAULT
    assert reading.words == "AL_VTBIS"


@pytest.mark.parametrize("code", ["AL_VTBIC", "AL_VTBIK", "AL_EOIKV"])
def test_a_pump_that_goes_on_behind_its_target_is_running_and_in_alarm(
    running: Bench, code: str
) -> None:
    running.double.alarms = [code]
    reading = running.do(running.alaris.read())
    assert reading.state is PumpState.RUNNING
    assert reading.alarms


def test_two_alarms_at_once_are_both_told(running: Bench) -> None:
    running.double.running = False
    running.double.alarms = ["AL_OCCLU", "AL_NEVER_HEARD_OF"]
    running.do(running.alaris.read())
    reading = running.do(running.alaris.read())
    assert reading.state is PumpState.ALARM
    assert reading.alarms == PumpAlarm.OCCLUSION | PumpAlarm.INTERNAL_FAULT
    assert reading.words == "AL_OCCLU AL_NEVER_HEARD_OF"


def test_a_stop_at_the_keypad_is_noticed_by_the_counter(running: Bench) -> None:
    running.wait(2.0)
    running.do(running.alaris.read())
    running.double.running = False
    states = []
    for _ in range(4):
        running.wait(1.0)
        states.append(running.do(running.alaris.read()).state)
    assert states[0] is PumpState.RUNNING
    assert states[-1] is PumpState.STOPPED


def test_a_motor_that_does_not_turn_is_not_called_running(running: Bench) -> None:
    running.double.stuck = True
    for _ in range(4):
        running.wait(1.0)
        reading = running.do(running.alaris.read())
    assert reading.state is PumpState.STOPPED


def test_a_start_at_the_keypad_is_running_though_nobody_ordered_it(running: Bench) -> None:
    running.do(running.alaris.stop())
    running.do(running.alaris.relax())
    running.double.running = True
    running.wait(5.0)
    assert running.do(running.alaris.read()).state is PumpState.RUNNING


def test_a_counter_that_went_back_is_a_reset(running: Bench) -> None:
    running.wait(5.0)
    running.do(running.alaris.read())
    running.double.power_cycle()
    assert PumpAlarm.RESET in running.do(running.alaris.read()).alarms


def test_a_rate_changed_at_the_pump_is_an_alarm(running: Bench) -> None:
    running.double.rate = 30.0
    running.wait(1.0)
    running.do(running.alaris.read())
    running.wait(1.0)
    reading = running.do(running.alaris.read())
    assert (reading.state, reading.alarms) == (PumpState.RUNNING, PumpAlarm.INTERNAL_FAULT)
    assert reading.words == "rate 30 mL/h"


def test_a_reached_target_that_wants_a_stop_before_the_next_start_gets_one(ready: Bench) -> None:
    ready.double.alarms = ["AL_VTBIS"]
    ready.do(ready.alaris.start(RATE, TARGET, LEASE))
    assert ready.double.heard.index("INF_STOP") < ready.double.heard.index("INF_START")


def test_a_flag_that_is_no_code_is_asked_about(running: Bench) -> None:
    running.double.flag = "A"
    running.double.running, running.double.alarms = False, ["AL_OCCLU"]
    running.do(running.alaris.read())
    reading = running.do(running.alaris.read())
    assert (reading.alarms, reading.words) == (PumpAlarm.OCCLUSION, "AL_OCCLU")
    running.double.alarms = []
    assert running.do(running.alaris.stop()).words == "A"


def test_a_rate_is_changed_while_running_rounded_down_and_read_back(running: Bench) -> None:
    assert running.do(running.alaris.set_rate(Rate.from_ml_h("30.009"))) == Rate.from_ml_h(30)
    assert running.double.rate == 30.0
    assert running.double.heard == ["INF_RATE^30.00^ml/h", "INF_RATE"]


def test_a_rate_that_the_pump_did_not_take_is_refused_or_stops(running: Bench) -> None:
    def keep(text: str) -> None:
        if text == "INF_RATE":
            running.double.rate = 26.7

    running.double.at = keep
    with pytest.raises(PumpRefused, match=r"still reads back 26\.7 mL/h"):
        running.do(running.alaris.set_rate(Rate.from_ml_h(30)))

    def another(text: str) -> None:
        if text == "INF_RATE":
            running.double.rate = 40.0

    running.double.at = another
    with pytest.raises(ProtocolError, match="the pump took 40 mL/h"):
        running.do(running.alaris.set_rate(Rate.from_ml_h(30)))


def test_a_rate_without_answer_is_uncertain(running: Bench) -> None:
    running.double.lose_request = lambda _text: True
    with pytest.raises(UncertainDelivery):
        running.do(running.alaris.set_rate(Rate.from_ml_h(30)))


def test_no_rate_is_changed_where_nothing_runs(ready: Bench) -> None:
    with pytest.raises(PumpRefused, match="nothing runs"):
        ready.do(ready.alaris.set_rate(Rate.from_ml_h(30)))


# --- pausing and stopping -----------------------------------------------------------------------------


def test_a_paused_delivery_goes_on_with_what_is_left(running: Bench) -> None:
    running.wait(10.0 - 0.5)
    assert running.do(running.alaris.pause()).state is PumpState.PAUSED
    running.do(running.alaris.relax())
    assert running.do(running.alaris.read()).state is PumpState.PAUSED
    held = Volume(round(running.double.shown() * 1e6))
    running.double.heard.clear()
    reading = running.do(running.alaris.resume(LEASE))
    assert reading.state is PumpState.RUNNING
    assert running.double.target == pytest.approx((TARGET - held).ml - 0.001)
    assert running.double.rate == 26.7
    assert running.double.heard.count("INF_START") == 1
    assert "INF_VI_CLEAR" not in running.double.heard
    for _ in range(500):
        running.wait(1.0)
        reading = running.do(running.alaris.read())
        if reading.state is not PumpState.RUNNING:
            break
    assert (reading.state, reading.alarms) == (PumpState.COMPLETED, PumpAlarm.NONE)
    assert running.double.infused <= 3.0 + 1e-9


def test_nothing_is_resumed_that_was_not_paused(running: Bench) -> None:
    with pytest.raises(PumpRefused, match="nothing is paused"):
        running.do(running.alaris.resume(LEASE))


def test_an_ended_delivery_is_not_paused(running: Bench) -> None:
    running.double.running, running.double.alarms = False, ["AL_OCCLU"]
    running.do(running.alaris.read())
    running.double.heard.clear()
    assert running.do(running.alaris.pause()).state is PumpState.ALARM
    assert "INF_STOP" not in running.double.heard


def test_a_stop_is_confirmed_quickly_by_echo_and_standing_counter(running: Bench) -> None:
    running.wait(5.0)
    begun = running.now
    reading = running.do(running.alaris.stop())
    assert (reading.state, reading.alarms) == (PumpState.STOPPED, PumpAlarm.NONE)
    assert running.now - begun < 0.3
    assert not any("ENABLED" in text for text in running.double.heard)


def test_a_stop_under_a_lost_lease_takes_control_first_and_gives_it_back(ready: Bench) -> None:
    ready.double.running, ready.double.left = True, 5.0
    ready.do(ready.alaris.stop())
    assert not ready.double.running
    assert ready.double.heard[-1] == "REMOTE_CTRL^DISABLED"


def test_a_stop_without_echo_is_believed_only_after_a_long_standstill(running: Bench) -> None:
    running.do(running.alaris.set_rate(Rate.from_ml_h(2)))
    running.double.echoes_stop = False
    begun = running.now
    running.do(running.alaris.stop())
    assert running.now - begun > 2 * 3600 / 2_000  # two digits of 0.001 mL at 2 mL/h


def test_a_stop_that_is_not_obeyed_is_not_confirmed(running: Bench) -> None:
    running.double.lose_request = lambda text: text == "INF_STOP"
    with pytest.raises(NoAnswer, match=r"the stop is not confirmed; .* infused"):
        running.do(running.alaris.stop())


def test_a_stop_on_a_pump_as_slow_as_it_may_be_is_confirmed_in_one_go(running: Bench) -> None:
    running.double.delay_s = lambda _text: 3.9
    running.double._ready_at = 0.0
    assert running.do(running.alaris.stop()).state is PumpState.STOPPED


def test_a_dead_line_gives_a_stop_up(running: Bench) -> None:
    running.double.lose_request = lambda _text: True
    begun = running.now
    with pytest.raises(NoAnswer):
        running.do(running.alaris.stop())
    assert running.now - begun < 25.0
    assert running.double.heard.count("INF_STOP") == 22


# --- leaving ------------------------------------------------------------------------------------------


def test_what_was_changed_is_put_back_and_named(running: Bench) -> None:
    running.do(running.alaris.stop())
    report = running.do(running.alaris.restore())
    assert report == ["INF_RATE 3.50", "INF_VTBI ACTIV 11.000 ml STOP"]
    assert (running.double.rate, running.double.target) == (3.5, 11.0)
    assert not running.double.in_control(running.now)


def test_a_pump_without_rate_or_target_is_left_slow_and_without_target() -> None:
    bench = Bench()
    bench.double.rate, bench.double.target, bench.double.target_state = 0.0, None, "DEACT"
    bench.do(bench.alaris.connect())
    bench.do(bench.alaris.configure(BD_50))
    bench.do(bench.alaris.start(RATE, TARGET, LEASE))
    bench.do(bench.alaris.stop())
    assert bench.do(bench.alaris.restore()) == ["INF_RATE 0.10", "INF_VTBI DEACT"]
    assert bench.double.rate == 0.1


def test_nothing_is_put_back_where_nothing_was_changed(ready: Bench) -> None:
    assert ready.do(ready.alaris.restore()) == []
    assert ready.double.heard == ["INF"]


def test_a_moving_pump_is_not_touched_on_leaving(running: Bench) -> None:
    with pytest.raises(PumpRefused, match="not stopped"):
        running.do(running.alaris.restore())


def test_what_an_unfinished_session_left_is_not_kept() -> None:
    bench = Bench()
    bench.double.rate = 1_200.0
    bench.do(bench.alaris.connect())
    bench.alaris.disown()
    assert bench.do(bench.alaris.restore()) == ["INF_RATE 0.10"]
    assert bench.double.rate == 0.1


def test_a_rate_that_cannot_be_put_back_is_said(running: Bench) -> None:
    running.do(running.alaris.stop())

    def at(text: str) -> None:
        if text == "INF_RATE":
            running.double.rate = 26.7

    running.double.at = at
    assert "could not be put back: it reads 26.70" in running.do(running.alaris.restore())[0]


def test_the_same_pump_met_again_keeps_what_was_found_first(running: Bench) -> None:
    running.do(running.alaris.connect())
    running.do(running.alaris.configure(BD_50))
    running.do(running.alaris.restore())
    assert running.double.rate == 3.5


# --- the pump URL -------------------------------------------------------------------------------------


def test_a_pump_url_may_name_the_pumps_own_time_out() -> None:
    url = parse_pump_url("alaris:/dev/ttyUSB0?lease_s=7")
    assert (url.baud, url.bytesize, url.parity, url.stopbits) == (38_400, 8, "N", 1)
    bench = LineBench(make_dialect(url), Double())
    bench.do(bench.dialect.connect())
    assert bench.do(bench.dialect.configure(BD_50)).lease_min == Duration.from_s(7)


@pytest.mark.parametrize(
    "query", ["lease_s=5", "lease_s=x", "lease_s=61", "address=1", "baud=9600"]
)
def test_a_url_with_what_the_pump_does_not_have_is_refused(query: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_pump_url(f"alaris:x?{query}")


def test_a_syringe_of_another_size_needs_configuring_anew(ready: Bench) -> None:
    with pytest.raises(PumpRefused):
        ready.do(ready.alaris.configure(Syringe(19_050, Volume.from_ml(20))))
    with pytest.raises(PumpRefused, match="no syringe"):
        ready.do(ready.alaris.start(RATE, TARGET, LEASE))
