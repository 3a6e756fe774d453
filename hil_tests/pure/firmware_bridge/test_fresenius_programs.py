"""Driving a Fresenius module: opening, limit before start, link layer, alarms, stops; a scripted pump."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
from firmware_bridge.protocols.fresenius import Fresenius
from firmware_bridge.protocols.fresenius_replies import SetArgument
from firmware_bridge.quantities import Rate, Volume
from hil_tests.pure.firmware_bridge.fresenius_double import (
    BD_50,
    LEASE,
    RATE,
    TARGET,
    Double,
    framed,
)
from hil_tests.pure.firmware_bridge.line_bench import LineBench

START = "1PR;010B"  # 26.7 mL/h in tenths


class Bench(LineBench):
    """A Fresenius module on the bench."""

    def __init__(self, *, address: int = 1, numbers: SetArgument = SetArgument.HEX) -> None:
        self.double = Double(address=address, decimal=numbers is SetArgument.DECIMAL)
        self.host = Fresenius(port="bench", address=address, set_argument=numbers)
        super().__init__(self.host, self.double)


@pytest.fixture
def fresh() -> Bench:
    return Bench()


@pytest.fixture
def ready(fresh: Bench) -> Bench:
    fresh.do(fresh.host.connect())
    fresh.do(fresh.host.configure(BD_50))
    fresh.double.heard.clear()
    return fresh


@pytest.fixture
def running(ready: Bench) -> Bench:
    ready.do(ready.host.start(RATE, TARGET, LEASE))
    ready.double.heard.clear()
    return ready


def once(text: str) -> Callable[[str], bool]:
    """True for the first ``text`` only."""
    first = iter([True])
    return lambda heard: heard == text and next(first, False)


# --- connecting ---------------------------------------------------------------------------------------


def test_the_first_word_is_a_stop_and_then_base_and_module_are_opened(fresh: Bench) -> None:
    identity = fresh.do(fresh.host.connect())
    assert fresh.sent[0][1] == b"\x021PO2F\x03" == fresh.host.stop_frame()
    assert fresh.double.heard == [
        *("1PO", "0DC", "1DC", "1MO;2", "1DE;a"),
        *("1PO", "1LE;r", "1LE;r", "1LF;b", "1LN"),
    ]
    assert (identity.model, identity.serial_number) == ("Fresenius DPS", "SN123")


def test_it_is_a_clinical_pump_without_a_dead_man(fresh: Bench) -> None:
    assert Capability.CLINICAL in fresh.host.capabilities
    assert Capability.VOLUME_TARGET in fresh.host.capabilities
    assert Capability.DEAD_MAN not in fresh.host.capabilities
    with pytest.raises(PumpRefused, match="no source says"):
        fresh.do(fresh.host.prove_dead_man(LEASE))
    assert fresh.sent == []


@pytest.mark.parametrize("address", [1, 5])
def test_a_module_is_driven_at_its_address(address: int) -> None:
    bench = Bench(address=address)
    bench.do(bench.host.connect())
    assert bench.double.heard[0] == f"{address}PO"
    assert {text[0] for text in bench.double.heard} == {"0", str(address)}


@pytest.mark.parametrize("address", [0, 6])
def test_the_base_is_no_pump(address: int) -> None:
    with pytest.raises(ValueError, match="outside 1 to 5"):
        Fresenius(address=address)


def test_a_running_pump_found_is_stopped(fresh: Bench) -> None:
    fresh.double.open, fresh.double.remote = {0: True, 1: True}, True
    fresh.double.running, fresh.double.rate = True, 500
    fresh.do(fresh.host.connect())
    assert not fresh.double.running


def test_nobody_there_says_what_to_check(fresh: Bench) -> None:
    fresh.double.lose_request = lambda _text: True
    with pytest.raises(NoAnswer, match=r"module 1 .*19200 7E1"):
        fresh.do(fresh.host.connect())


def test_a_pump_that_does_not_authorise_remote_control_is_named(fresh: Bench) -> None:
    fresh.double.refuses = {"MO;2": "05"}
    with pytest.raises(PumpRefused, match="I;05: mode not authorised"):
        fresh.do(fresh.host.connect())


def test_a_module_that_is_not_there_is_named(fresh: Bench) -> None:
    fresh.double.refuses = {"DC": "0E", "MO": "0E"}
    with pytest.raises(PumpRefused, match="I;0E: the module cannot be reached"):
        fresh.do(fresh.host.connect())


# --- starting -----------------------------------------------------------------------------------------


def test_the_limit_is_set_before_the_start_and_the_rate_read_back_after_it(ready: Bench) -> None:
    accepted = ready.do(ready.host.start(RATE, TARGET, LEASE))
    assert (accepted.rate, accepted.volume) == (RATE, TARGET)
    assert ready.double.heard == ["1LE;a", "1LE;a", "1RV", "1PV;000BB8", "1LE;r", START, "1LE;d"]
    assert ready.double.running


def test_rate_and_target_are_rounded_down(ready: Bench) -> None:
    accepted = ready.do(ready.host.start(Rate.from_ml_h("133.39"), Volume.from_ml("3.3339"), LEASE))
    assert accepted.rate == Rate.from_ml_h("133.3")
    assert accepted.volume == Volume.from_ml("3.333")


@pytest.mark.parametrize(
    ("rate", "target", "sentence"),
    [
        ("4295", "3", r"outside 0\.1 mL/h to 4294\.967295 mL/h"),
        ("0.09", "3", r"outside 0\.1"),
        ("1.19", "3", "cannot be told"),
        ("26.7", "50.001", "above the syringe's 50 mL"),
        ("26.7", "0.0009", "cannot be told"),
    ],
)
def test_what_the_pump_cannot_be_told_is_refused_before_a_byte_is_sent(
    ready: Bench, rate: str, target: str, sentence: str
) -> None:
    with pytest.raises(PumpRefused, match=sentence):
        ready.do(ready.host.start(Rate.from_ml_h(rate), Volume.from_ml(target), LEASE))
    assert ready.double.heard == []


def test_an_unconfigured_pump_is_not_started(fresh: Bench) -> None:
    with pytest.raises(PumpRefused, match="no syringe"):
        fresh.do(fresh.host.start(RATE, TARGET, LEASE))


@pytest.mark.parametrize(
    ("message", "code", "sentence"),
    [
        ("PV", "08", "I;08: beyond a limit"),
        ("RV", "02", "I;02: not in this mode"),
        ("PR", "14", "I;14: no rate set"),
        ("PR", "7F", "an unknown error"),
    ],
)
def test_a_refusal_is_a_refusal_in_words(
    ready: Bench, message: str, code: str, sentence: str
) -> None:
    ready.double.refuses = {message: code}
    with pytest.raises(PumpRefused, match=sentence):
        ready.do(ready.host.start(RATE, TARGET, LEASE))
    assert not ready.double.running


def test_an_alarm_forbids_the_start_by_its_number(ready: Bench) -> None:
    ready.double.alarm = 0x0404
    with pytest.raises(PumpInAlarm, match="alarm a0404"):
        ready.do(ready.host.start(RATE, TARGET, LEASE))
    assert START not in ready.double.heard
    ready.double.alarm, ready.double.refuses = 0, {"PR": "12"}
    with pytest.raises(PumpInAlarm, match="an alarm is present"):
        ready.do(ready.host.start(RATE, TARGET, LEASE))


def test_a_target_reached_before_is_silenced_and_does_not_forbid_the_next_start(
    ready: Bench,
) -> None:
    ready.double.alarm = ready.double.alarm_at_limit
    ready.do(ready.host.start(RATE, TARGET, LEASE))
    assert "1SI" in ready.double.heard


@pytest.mark.parametrize("way", ["lose_request", "lose_answer", "lose_ack"])
def test_a_start_without_answer_is_uncertain_and_never_repeated(ready: Bench, way: str) -> None:
    setattr(ready.double, way, lambda text: text == START)
    with pytest.raises(UncertainDelivery, match=r"start of 26\.7 mL/h up to 3 mL"):
        ready.do(ready.host.start(RATE, TARGET, LEASE))
    assert ready.double.heard.count(START) == 1


def test_a_start_that_did_not_reach_the_pump_whole_is_sent_once_more(ready: Bench) -> None:
    ready.double.nak = once(START)
    ready.do(ready.host.start(RATE, TARGET, LEASE))
    assert ready.double.heard.count(START) == 2
    assert ready.double.running


def test_a_pump_that_takes_numbers_the_other_way_is_noticed(ready: Bench) -> None:
    ready.double.decimal = True
    with pytest.raises(ProtocolError, match=r"the pump shows 6\.4 mL/h"):
        ready.do(ready.host.start(Rate.from_ml_h(10), Volume.from_ml("4.096"), LEASE))


def test_a_pump_that_takes_decimal_numbers_is_driven_in_them() -> None:
    bench = Bench(numbers=SetArgument.DECIMAL)
    bench.do(bench.host.connect())
    assert bench.do(bench.host.configure(BD_50)).rate_max == Rate.from_ml_h("999.9")
    bench.do(bench.host.start(RATE, TARGET, LEASE))
    assert "1PR;0267" in bench.double.heard
    assert (bench.double.rate, bench.double.limit) == (267, 3.0)


def test_a_port_lost_around_the_start_is_uncertain_only_once_it_was_sent(ready: Bench) -> None:
    lost = Disconnected("bench", "unplugged")
    assert ready.cut(ready.host.start(RATE, TARGET, LEASE), lost, after=b"1PV") is lost
    ready.sent.clear()
    error = ready.cut(ready.host.start(RATE, TARGET, LEASE), lost, after=b"1PR")
    assert isinstance(error, UncertainDelivery)


def test_a_start_whose_rate_cannot_be_read_back_is_uncertain(ready: Bench) -> None:
    ready.double.lose_request = lambda text: text in ("1LE;d", "0LE;i")
    with pytest.raises(UncertainDelivery, match="and then"):
        ready.do(ready.host.start(RATE, TARGET, LEASE))


def test_a_counter_that_does_not_clear_forbids_the_start(ready: Bench) -> None:
    def at(text: str) -> None:
        if text == "1LE;r":
            ready.double.infused = 0.5

    ready.double.at = at
    with pytest.raises(PumpRefused, match=r"was cleared and reads 0\.5 mL"):
        ready.do(ready.host.start(RATE, TARGET, LEASE))
    assert START not in ready.double.heard


# --- the link layer -----------------------------------------------------------------------------------


def test_enq_is_answered_by_dc4_with_or_without_a_program(running: Bench) -> None:
    running.sent.clear()
    running.says(b"\x05")
    running.wait(0.5)
    assert [data for _, data in running.sent] == [b"\x14"]
    running.says(b"\x05", 0.01)
    running.do(running.host.read())
    assert running.double.signals.count(b"\x14") == 2


def test_what_the_pump_says_by_itself_does_not_answer_a_question(running: Bench) -> None:
    running.says(framed("1M;d010B"), 0.01)
    reading = running.do(running.host.read())
    assert reading.state is PumpState.RUNNING
    assert "1M" in running.double.heard
    assert running.double.signals.count(b"\x06") >= 4


def test_a_damaged_answer_is_asked_for_by_nak_and_comes_again(running: Bench) -> None:
    running.double.damage = once("1LE;r")
    begun = running.now
    assert running.do(running.host.read()).state is PumpState.RUNNING
    assert b"\x152" in running.double.signals
    assert running.double.heard == ["1LE;r", "1LE;a", "1LE;d"]
    assert running.now - begun < 0.5


def test_a_refused_frame_is_sent_again_at_once(running: Bench) -> None:
    running.double.nak = once("1LE;r")
    begun = running.now
    running.do(running.host.read())
    assert running.double.heard[:2] == ["1LE;r", "1LE;r"]
    assert running.now - begun < 0.5


def test_a_lost_request_is_sent_once_more_after_a_second(running: Bench) -> None:
    running.double.lose_request = once("1LE;r")
    running.sent.clear()
    running.do(running.host.read())
    first, second = [at for at, data in running.sent if b"1LE;r" in data]
    assert second - first == pytest.approx(1.0)


def test_an_answer_without_acknowledgement_is_an_old_one(ready: Bench) -> None:
    # The pump repeats the answer to the counter's clearing while the limit is on its way, and lost.
    def at(text: str) -> None:
        if text.startswith("1PV"):
            ready.says(framed("1C"), 0.01)

    ready.double.at = at
    ready.double.lose_request = once("1PV;000BB8")
    ready.do(ready.host.start(RATE, TARGET, LEASE))
    assert ready.double.heard.count("1PV;000BB8") == 2
    assert ready.double.limit == 3.0


def test_after_a_silence_the_base_is_asked_before_anything_is_believed(running: Bench) -> None:
    running.double.delay_s = lambda text: 2.5 if text == "1LE;r" else 0.02
    running.do(running.host.read())
    assert "0LE;i" in running.double.heard


def test_a_refusal_that_may_be_about_an_echo_is_not_taken_for_the_requests(
    running: Bench,
) -> None:
    running.says(framed("1M;d010B") + b"\x152", 0.005)
    assert running.do(running.host.read()).state is PumpState.RUNNING
    assert running.double.heard.count("1LE;r") == 1


# --- while it runs ------------------------------------------------------------------------------------


def test_a_reading_asks_for_counter_alarm_and_rate(running: Bench) -> None:
    running.wait(9.0)
    reading = running.do(running.host.read())
    assert (reading.state, reading.infused) == (PumpState.RUNNING, Volume.from_ml("0.067"))
    assert running.double.heard == ["1LE;r", "1LE;a", "1LE;d"]


def test_a_reached_target_is_completed_and_no_alarm(running: Bench) -> None:
    running.wait(450.0)
    reading = running.do(running.host.read())
    assert (reading.state, reading.alarms) == (PumpState.COMPLETED, PumpAlarm.NONE)
    assert (reading.infused, reading.words) == (TARGET, "")
    assert running.do(running.host.stop()).state is PumpState.COMPLETED


def test_an_alarm_told_by_itself_is_heard_at_once_and_kept_for_the_reading(running: Bench) -> None:
    running.wait(5.0)
    running.do(running.host.read())
    running.double.running, running.double.alarm = False, 0x0001
    running.says(framed("1E;a0001"))
    running.wait(0.1)
    assert [frame.text for frame in running.unsolicited] == ["1E;a0001"]
    assert running.host.alarms_heard() == PumpAlarm.INTERNAL_FAULT
    assert "1E" in running.double.heard
    reading = running.do(running.host.stop())
    assert (reading.alarms, reading.words) == (PumpAlarm.INTERNAL_FAULT, "1E;a0001")
    assert running.host.alarms_heard() == PumpAlarm.NONE


def test_an_alarm_that_may_be_the_reached_target_waits_for_the_counter(running: Bench) -> None:
    running.wait(400.0)
    running.do(running.host.read())
    running.wait(10.0)
    running.says(framed("1E;a0010"))
    running.wait(0.1)
    assert running.host.alarms_heard() == PumpAlarm.NONE
    reading = running.do(running.host.read())
    assert (reading.state, reading.alarms) == (PumpState.COMPLETED, PumpAlarm.NONE)


def test_an_alarm_variable_is_an_alarm_with_its_raw_value(running: Bench) -> None:
    running.double.running, running.double.alarm = False, 0x0404
    running.do(running.host.read())
    reading = running.do(running.host.read())
    assert reading.state is PumpState.ALARM
    assert (reading.alarms, reading.words) == (PumpAlarm.INTERNAL_FAULT, "a0404")


def test_a_pump_that_was_reset_is_opened_again_and_the_reset_told(running: Bench) -> None:
    running.wait(5.0)
    running.double.power_cycle()
    reading = running.do(running.host.read())
    assert PumpAlarm.RESET in reading.alarms
    assert running.double.open == {0: True, 1: True}
    assert running.double.remote
    assert not running.double.running


def test_a_start_on_a_pump_that_was_reset_is_refused(ready: Bench) -> None:
    ready.double.power_cycle()
    with pytest.raises(PumpInAlarm, match="reset"):
        ready.do(ready.host.start(RATE, TARGET, LEASE))
    assert START not in ready.double.heard
    assert ready.do(ready.host.read()).alarms == PumpAlarm.RESET
    ready.do(ready.host.start(RATE, TARGET, LEASE))


def test_a_reset_behind_a_lost_port_is_told_by_the_next_reading(running: Bench) -> None:
    running.double.power_cycle()
    running.do(running.host.connect())
    assert running.do(running.host.stop()).alarms == PumpAlarm.RESET


def test_a_motor_that_does_not_turn_is_not_called_running(running: Bench) -> None:
    running.double.stuck = True
    for _ in range(4):
        running.wait(1.0)
        reading = running.do(running.host.read())
    assert reading.state is PumpState.STOPPED


def test_a_rate_changed_at_the_pump_is_an_alarm(running: Bench) -> None:
    running.wait(1.0)
    running.do(running.host.read())
    running.double.rate = 300
    running.wait(1.0)
    reading = running.do(running.host.read())
    assert (reading.state, reading.alarms) == (PumpState.RUNNING, PumpAlarm.INTERNAL_FAULT)
    assert reading.words == "rate 30 mL/h"


def test_a_rate_is_changed_while_running_rounded_down_and_read_back(running: Bench) -> None:
    assert running.do(running.host.set_rate(Rate.from_ml_h("30.05"))) == Rate.from_ml_h(30)
    assert running.double.rate == 300
    assert running.double.limit == 3.0


def test_a_rate_that_may_not_be_changed_while_running_is_refused(running: Bench) -> None:
    running.double.refuses = {"PR": "03"}
    with pytest.raises(PumpRefused, match="I;03: not in this state"):
        running.do(running.host.set_rate(Rate.from_ml_h(30)))


def test_a_rate_without_answer_is_uncertain(running: Bench) -> None:
    running.double.lose_answer = lambda text: text.startswith("1PR")
    with pytest.raises(UncertainDelivery):
        running.do(running.host.set_rate(Rate.from_ml_h(30)))


def test_a_delivery_that_has_ended_gets_no_new_rate(running: Bench) -> None:
    running.wait(450.0)
    with pytest.raises(PumpRefused, match="COMPLETED, not RUNNING"):
        running.do(running.host.set_rate(Rate.from_ml_h(30)))
    assert not running.double.running


# --- pausing and stopping -----------------------------------------------------------------------------


def test_a_paused_delivery_goes_on_with_what_is_left_and_no_more(running: Bench) -> None:
    running.wait(9.0)
    paused = running.do(running.host.pause())
    assert paused.state is PumpState.PAUSED
    assert running.do(running.host.read()).state is PumpState.PAUSED
    delivered = running.double.infused
    reading = running.do(running.host.resume(LEASE))
    assert reading.state is PumpState.RUNNING
    assert reading.infused >= paused.infused
    running.wait(600.0)
    reading = running.do(running.host.read())
    assert (reading.state, reading.alarms) == (PumpState.COMPLETED, PumpAlarm.NONE)
    assert delivered + running.double.infused <= 3.0 + 1e-9
    assert reading.infused == Volume.from_ml("2.999")


def test_nothing_is_resumed_that_was_not_paused(running: Bench) -> None:
    with pytest.raises(PumpRefused, match="nothing is paused"):
        running.do(running.host.resume(LEASE))


def test_an_ended_delivery_is_not_paused(running: Bench) -> None:
    running.wait(450.0)
    assert running.do(running.host.pause()).state is PumpState.COMPLETED
    assert "1PO" not in running.double.heard


def test_a_stop_is_confirmed_quickly(running: Bench) -> None:
    running.wait(5.0)
    begun = running.now
    reading = running.do(running.host.stop())
    assert (reading.state, reading.alarms) == (PumpState.STOPPED, PumpAlarm.NONE)
    assert running.now - begun < 0.3


def test_a_stop_while_another_answer_is_out_is_not_confirmed_by_that_one(running: Bench) -> None:
    # The answer to PR comes when PO is out, and PO was lost.
    lost = Disconnected("bench", "a stop came first")
    running.double.delay_s = lambda text: 0.1 if text.startswith("1PR") else 0.02
    running.do(running.host.set_rate(Rate.from_ml_h("0.1")))
    program = running.host.set_rate(Rate.from_ml_h("0.2"))
    running.sent.clear()
    running.cut(program, lost, after=b"1PR")
    running.double.lose_request = once("1PO")
    running.do(running.host.stop())
    assert not running.double.running


def test_a_stop_on_a_pump_that_was_reset_opens_it_again(running: Bench) -> None:
    running.double.power_cycle()
    reading = running.do(running.host.stop())
    assert reading.state is PumpState.STOPPED
    assert reading.alarms == PumpAlarm.RESET


def test_a_stop_that_is_refused_is_believed_only_after_a_long_standstill(running: Bench) -> None:
    running.do(running.host.set_rate(Rate.from_ml_h(5)))
    running.double.refuses = {"PO": "12"}
    running.double.stuck = True
    begun = running.now
    running.do(running.host.stop())
    assert running.now - begun > 2 * 3600 / 5_000  # two digits of 0.001 mL at 5 mL/h


def test_a_stop_that_is_refused_by_a_moving_pump_is_not_confirmed(running: Bench) -> None:
    running.double.refuses = {"PO": "02"}
    with pytest.raises(NoAnswer, match="the stop is not confirmed"):
        running.do(running.host.stop())


def test_a_stop_that_never_arrives_is_not_confirmed_by_a_slow_counter(running: Bench) -> None:
    running.do(running.host.set_rate(Rate.from_ml_h("0.1")))
    running.double.lose_request = lambda text: text == "1PO"
    with pytest.raises(NoAnswer, match="the stop is not confirmed"):
        running.do(running.host.stop())


def test_a_dead_line_gives_a_stop_up(running: Bench) -> None:
    running.double.lose_request = lambda _text: True
    begun = running.now
    with pytest.raises(NoAnswer, match="last said nothing"):
        running.do(running.host.stop())
    assert running.now - begun < 15.0
    assert running.double.heard.count("1PO") == 8


# --- leaving ------------------------------------------------------------------------------------------


def test_the_pump_is_closed_and_what_stays_is_said(running: Bench) -> None:
    running.do(running.host.stop())
    assert running.do(running.host.restore()) == [
        *("AE", "MO;1", "FC", "FC of the base"),
        "not PV, which cannot be read: the volume limit stays",
    ]
    assert running.double.open == {0: False, 1: False}
    assert not running.double.remote
    assert running.double.spontaneous == ""


def test_a_base_that_was_open_already_stays_open(fresh: Bench) -> None:
    fresh.double.open = {0: True, 1: False}
    fresh.double.refuses = {}
    original = fresh.double._answer

    def answer(address: int, message: str) -> str | None:
        return "I;24" if (address, message) == (0, "DC") else original(address, message)

    fresh.double._answer = answer  # type: ignore[method-assign]  # one answer of another base
    fresh.do(fresh.host.connect())
    assert "FC of the base" not in fresh.do(fresh.host.restore())
    assert fresh.double.open[0]


def test_a_moving_pump_is_not_closed(running: Bench) -> None:
    with pytest.raises(PumpRefused, match="not stopped"):
        running.do(running.host.restore())


def test_leaving_without_a_start_says_nothing_of_a_limit(ready: Bench) -> None:
    ready.host.disown()
    ready.do(ready.host.relax())
    assert ready.do(ready.host.restore()) == ["AE", "MO;1", "FC", "FC of the base"]


# --- the pump URL -------------------------------------------------------------------------------------


def test_a_pump_url_means_seven_bits_even_parity_and_the_first_module() -> None:
    url = parse_pump_url("fresenius:/dev/ttyUSB0")
    assert (url.baud, url.bytesize, url.parity, url.stopbits) == (19_200, 7, "E", 1)
    assert url.address == 1
    url = parse_pump_url("fresenius:/dev/ttyUSB0?address=3&set_argument=decimal")
    bench = LineBench(make_dialect(url), Double(address=3))
    bench.do(bench.dialect.connect())
    assert bench.do(bench.dialect.configure(BD_50)).rate_max == Rate.from_ml_h("999.9")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("address=0", "address 0 is below 1"),
        ("address=6", "address 6 is above 5"),
        ("set_argument=octal", r"set_argument 'octal' is not hex\|decimal"),
        ("lease_s=6", "there are baud, address, set_argument"),
        ("baud=9600", "is not one of 19200"),
    ],
)
def test_a_url_with_what_the_pump_does_not_have_is_refused(query: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        parse_pump_url(f"fresenius:x?{query}")
