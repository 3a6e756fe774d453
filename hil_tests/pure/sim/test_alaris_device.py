"""The Alaris device as the protocol page describes it: frames, messages, remote control, time."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.alaris_host import Host, controlled, framed, golden, programmed
from sim.devices.alaris import AlarisPump
from sim.devices.alaris_frames import crc_text, frame
from sim.mechanics import Mount

ML = 1_000_000
GOLDEN = golden()


# -- golden frames ------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", GOLDEN)
def test_a_frame_is_what_the_page_prints(message: str) -> None:
    assert frame(message) == GOLDEN[message] == framed(message)


def test_the_check_value_of_the_checksum() -> None:
    assert crc_text(b"123456789") == b"29B1"


@pytest.mark.parametrize(("serial", "code"), [("8002-51740", b"3CC1"), ("8002-51733", b"9535")])
def test_the_security_code_is_the_checksum_of_the_serial_number(serial: str, code: bytes) -> None:
    assert crc_text(serial.encode()) == code


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("INST_SERIALNO", "INST_SERIALNO^8002-51740"),
        ("COMMS_PROTOCOL", "COMMS_PROTOCOL^Asena Rev 2.1.5"),
        ("COMMS_RESPONSE_MAX", "COMMS_RESPONSE_MAX^4000^ms"),
        ("SYRINGE_STATUS", "SYRINGE_STATUS^BD PLASTIPAK^ 50^CONF"),
        ("INF_RATE_MAX_SYRINGE", "INF_RATE_MAX_SYRINGE^1200.00^ml/h"),
        ("ALARM", "ALARM^AL_NOALM^ ^ "),
        ("REMQUERY^DEACT", "REMQUERY^DEACT^^^^"),
        ("REMOTE_CTRL^ENABLED^3CC1", "REMOTE_CTRL^ENABLED^****^PERMIT^0^ms"),
        ("REMOTE_CTRL^DISABLED", "REMOTE_CTRL^DISABLED^****^PERMIT^0^ms"),
    ],
)
def test_a_printed_question_gets_the_printed_answer(question: str, answer: str) -> None:
    assert Host().send(GOLDEN[question]) == [GOLDEN[answer]]


def test_the_other_recorded_pump_has_its_own_code() -> None:
    host = Host(AlarisPump(serial="8002-51733"))
    assert host.send(GOLDEN["INST_SERIALNO"]) == [GOLDEN["INST_SERIALNO^8002-51733"]]
    assert host.send(GOLDEN["REMOTE_CTRL^ENABLED^9535"]) == [
        GOLDEN["REMOTE_CTRL^ENABLED^****^PERMIT^0^ms"]
    ]
    assert host.send(GOLDEN["REMOTE_CTRL^ENABLED^3CC1"]) == []


def test_the_opening_of_known_hosts_comes_out_byte_for_byte() -> None:
    host = Host()
    for question, answer in (
        ("INST_SERIALNO", "INST_SERIALNO^8002-51740"),
        ("COMMS_RESPONSE_MAX", "COMMS_RESPONSE_MAX^4000^ms"),
        ("COMMS_PROTOCOL", "COMMS_PROTOCOL^Asena Rev 2.1.5"),
        ("REMOTE_CTRL^ENABLED^3CC1", "REMOTE_CTRL^ENABLED^****^PERMIT^0^ms"),
    ):
        assert host.send(GOLDEN[question]) == [GOLDEN[answer]]
    assert host.ask("INF_VTBI") == "INF_VTBI^DEACT^^ml^STOP"
    assert host.send(GOLDEN["INF_RATE^3.50^ml/h"]) == [GOLDEN["INF_RATE^3.50^ml/h"]]
    assert host.send(GOLDEN["INF_RATE^0.1^ml/h"]) == [GOLDEN["INF_RATE^0.10^ml/h"]]
    assert host.send(GOLDEN["INF_VTBI^ACTIV^11.000^ml^STOP"]) == [
        GOLDEN["INF_VTBI^ACTIV^11.000^ml^STOP"]
    ]
    assert host.send(GOLDEN["INF_BOLUS^ENABLED"]) == [GOLDEN["INF_BOLUS^ENABLED"]]
    assert host.send(GOLDEN["INF_VI_CLEAR"]) == [GOLDEN["INF_VI_CLEAR"]]
    assert host.send(GOLDEN["INF_START"]) == [GOLDEN["INF_START"]]
    assert host.send(GOLDEN["INF_STOP"]) == [GOLDEN["INF_STOP"]]
    assert host.send(GOLDEN["REMQUERY^DEACT"]) == [GOLDEN["REMQUERY^DEACT^^^^"]]


def test_a_bolus_by_rate_under_a_vtbi_as_one_host_gives_it() -> None:
    host = controlled()
    host.tell("INF_RATE^12.50^ml/h", "INF_START")
    host.wait(60.0)
    host.tell("INF_VTBI^ACTIV^50.000^ml^STOP", "INF_RATE^600.00^ml/h")
    host.wait(6.0)
    host.tell("INF_VTBI^DEACT", "INF_RATE^12.50^ml/h")
    assert host.pump.truth().plunger_nl == 12_500_000 // 60 + 1 * ML
    assert host.pump.truth().rate_nl_h == 12_500_000


# -- frames -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damaged",
    [
        b"!INF|4962\r",
        b"!INF|4961",
        b"!INF4961\r",
        b"!INF|49611\r",
        b"!inf|4961\r",
        b"INF|4961\r",
        b"!INF_START|38f3\r",
        b"!INF|49\x1b61\r",
        b"!\r",
        b"!|FFFF\r",
        b"\r",
        b"!INF|4961\n",
    ],
)
def test_what_is_damaged_is_not_answered(damaged: bytes) -> None:
    host = Host()
    assert host.send(damaged) == []
    assert host.send(b"\r" + GOLDEN["ALARM"]) != []


def test_escape_aborts_a_frame_and_the_next_one_is_heard() -> None:
    assert Host().send(b"!INF_ST\x1b" + GOLDEN["ALARM"]) == [GOLDEN["ALARM^AL_NOALM^ ^ "]]


def test_a_new_frame_aborts_the_one_before() -> None:
    assert Host().send(b"!INF_ST" + GOLDEN["ALARM"]) == [GOLDEN["ALARM^AL_NOALM^ ^ "]]


def test_a_frame_that_never_ends_is_dropped_and_the_next_one_is_heard() -> None:
    host = Host()
    host.send(b"!" + b"A" * 10_000)
    assert len(host.pump.state.buffer) <= 129
    assert host.send(GOLDEN["ALARM"]) == [GOLDEN["ALARM^AL_NOALM^ ^ "]]


def test_one_bit_wrong_is_never_obeyed() -> None:
    host = programmed()
    good = GOLDEN["INF_START"]
    for index in range(len(good)):
        for bit in range(8):
            bad = bytearray(good)
            bad[index] ^= 1 << bit
            host.send(bytes(bad) + b"\x1b")
    host.wait(1.0)
    assert host.pump.truth().plunger_nl == 0


# -- remote control -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "INF_RATE^3.50^ml/h",
        "INF_VTBI^ACTIV^11.000^ml^STOP",
        "INF_VTBI^DEACT",
        "INF_START",
        "INF_STOP",
        "INF_VI_CLEAR",
        "INF_BOLUS^ENABLED",
    ],
)
def test_without_remote_control_nothing_is_obeyed_and_nothing_is_answered(command: str) -> None:
    assert Host().send(GOLDEN[command]) == []
    assert Host(AlarisPump(model="asena-gh-later")).send(GOLDEN[command]) == []


def test_without_remote_control_everything_can_be_read() -> None:
    host = Host()
    assert host.ask("INF_RATE") == "INF_RATE^0.00^ml/h"
    assert host.ask("INF_VI") == "INF_VI^0.000^ml"
    assert host.status()[:6] == ["INF", "8002-51740", "-", "HLD", "0.00", "ml/h"]


@pytest.mark.parametrize("code", ["9535", "3cc1", "", "****", "3CC10"])
def test_a_wrong_code_is_not_answered_and_enables_nothing(code: str) -> None:
    host = Host()
    assert host.ask(f"REMOTE_CTRL^ENABLED^{code}") is None
    assert host.ask("INF_STOP") is None


def test_later_software_has_no_remote_control() -> None:
    host = Host(AlarisPump(model="asena-gh-later"))
    assert host.ask("REMOTE_CTRL^ENABLED^3CC1") is None
    assert host.ask("REMOTE_CTRL^DISABLED") is None
    assert host.ask("INF_VI") == "INF_VI^0.000^ml"


def test_configuration_is_a_lease_of_its_own_and_gives_no_control() -> None:
    host = Host()
    assert host.send(GOLDEN["REMOTE_CFG^ENABLED^3CC1"]) == [
        framed("REMOTE_CFG^ENABLED^****^PERMIT^0^ms")
    ]
    assert host.ask("INF_STOP") is None
    host.wait(11.0, holding=False)
    assert host.alarm() == "AL_NOALM"
    assert host.send(GOLDEN["REMOTE_CFG^DISABLED"]) == [
        framed("REMOTE_CFG^DISABLED^****^PERMIT^0^ms")
    ]


def test_control_that_is_not_asked_for_again_ends_with_an_alarm_and_the_infusion_with_it() -> None:
    host = programmed()
    host.tell("INF_START")
    host.wait(9.0, holding=False)
    host.status()
    host.ask("INF_VI")
    assert host.pump.next_event(host.now) == 1_010.0
    host.wait(5.0, holding=False)
    assert host.send(GOLDEN["ALARM"]) == [GOLDEN["ALARM^AL_COMTO^ ^ "]]
    assert host.pump.truth().plunger_nl == 26_700_000 * 10 // 3_600
    assert host.status()[2:5] == ["A", "HLD", "0.00"]
    assert host.ask("INF_START") is None
    host.enable()
    assert host.ask("INF_START") is None
    assert host.alarm() == "AL_COMTO"
    host.tell("INF_STOP", "INF_START")
    assert host.alarm() == "AL_NOALM"


def test_asking_again_keeps_control() -> None:
    host = programmed()
    host.tell("INF_START")
    for _ in range(20):
        host.wait(9.99, holding=False)
        host.enable()
    assert host.alarm() == "AL_NOALM"
    assert host.pump.truth().rate_nl_h == 26_700_000


def test_control_that_is_given_back_raises_no_alarm_and_the_infusion_goes_on() -> None:
    host = programmed()
    host.tell("INF_START", "REMOTE_CTRL^DISABLED")
    host.wait(60.0, holding=False)
    assert host.alarm() == "AL_NOALM"
    assert host.pump.truth().rate_nl_h == 26_700_000
    assert host.ask("INF_STOP") is None


# -- rate, volume, VTBI -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "accepted"),
    [
        ("3.50", "3.50"),
        ("0.1", "0.10"),
        ("12.5", "12.50"),
        ("26.709", "26.70"),
        ("1200", "1200.00"),
    ],
)
def test_a_rate_is_answered_with_two_decimals_rounded_down(asked: str, accepted: str) -> None:
    host = controlled()
    assert host.ask(f"INF_RATE^{asked}^ml/h") == f"INF_RATE^{accepted}^ml/h"
    assert host.ask("INF_RATE") == f"INF_RATE^{accepted}^ml/h"


@pytest.mark.parametrize(
    "fields",
    [
        "0.09^ml/h",
        "0^ml/h",
        "1200.01^ml/h",
        "9999999999^ml/h",
        "-1^ml/h",
        "1e2^ml/h",
        "1,5^ml/h",
        "nan^ml/h",
        "5^ml/min",
        "5",
        "^ml/h",
        "5^ml/h^",
        ".^ml/h",
    ],
)
def test_a_rate_that_is_none_is_refused_in_silence_and_nothing_changes(fields: str) -> None:
    host = programmed()
    assert host.ask(f"INF_RATE^{fields}") is None
    assert host.ask("INF_RATE") == "INF_RATE^26.70^ml/h"


@pytest.mark.parametrize(
    ("capacity_ml", "size", "fastest"),
    [(5, "  5", "150.00"), (10, " 10", "300.00"), (30, " 30", "900.00"), (60, " 50", "1200.00")],
)
def test_the_fastest_rate_is_that_of_the_syringe(capacity_ml: int, size: str, fastest: str) -> None:
    host = controlled(mount=Mount(capacity_nl=capacity_ml * ML))
    assert host.ask("SYRINGE_STATUS") == f"SYRINGE_STATUS^BD PLASTIPAK^{size}^CONF"
    assert host.ask("INF_RATE_MAX_SYRINGE") == f"INF_RATE_MAX_SYRINGE^{fastest}^ml/h"
    assert host.ask(f"INF_RATE^{fastest}^ml/h") == f"INF_RATE^{fastest}^ml/h"
    assert host.ask(f"INF_RATE^{float(fastest) + 0.01:.2f}^ml/h") is None


def test_the_rate_changes_while_running_and_the_vtbi_stays() -> None:
    host = programmed()
    host.tell("INF_START")
    host.wait(36.0)
    host.tell("INF_RATE^100.00^ml/h")
    assert host.pump.truth().rate_nl_h == 100 * ML
    host.wait(3_600.0)
    assert host.pump.truth().plunger_nl == 2 * ML


@pytest.mark.parametrize(
    "fields",
    [
        "ACTIV^0.000^ml^STOP",
        "ACTIV^1000.001^ml^STOP",
        "ACTIV^^ml^STOP",
        "ACTIV^1.000^l^STOP",
        "ACTIV^1.000^ml^",
        "ACTIV^1.000^ml",
        "ACTIV^1.000^ml^KVO",
        "ACTIV^-1^ml^STOP",
        "DEACT^",
        "",
    ],
)
def test_a_vtbi_that_is_none_is_refused_in_silence_and_nothing_changes(fields: str) -> None:
    host = programmed()
    assert host.ask(f"INF_VTBI^{fields}") is None
    assert host.ask("INF_VTBI") == "INF_VTBI^ACTIV^2.000^ml^STOP"


def test_a_vtbi_that_is_not_set_has_an_empty_value() -> None:
    host = programmed()
    assert host.ask("INF_VTBI^DEACT") == "INF_VTBI^DEACT^^ml^STOP"
    assert host.ask("INF_VTBI") == "INF_VTBI^DEACT^^ml^STOP"


def test_the_vtbi_ends_the_infusion_exactly_and_says_so() -> None:
    host = programmed()
    host.tell("INF_START")
    assert host.status()[3:5] == ["SET", "26.70"]
    host.wait(2 / 26.7 * 3_600 + 1)
    assert host.pump.truth().plunger_nl == 2 * ML
    assert host.ask("INF_VI") == "INF_VI^2.000^ml"
    assert host.alarm() == "AL_VTBIS"
    assert host.status()[2:5] == ["A", "HLD", "0.00"]


def test_after_the_vtbi_a_start_needs_an_acknowledgement_and_a_new_vtbi() -> None:
    host = programmed()
    host.tell("INF_START")
    host.wait(600.0)
    assert host.ask("INF_START") is None
    host.tell("INF_STOP")
    assert host.alarm() == "AL_NOALM"
    assert host.ask("INF_START") is None
    host.tell("INF_VTBI^ACTIV^1.000^ml^STOP", "INF_START")
    host.wait(600.0)
    assert host.pump.truth().plunger_nl == 3 * ML


def test_a_stop_keeps_what_is_left_of_the_vtbi() -> None:
    host = programmed()
    host.tell("INF_START")
    host.wait(60.0)
    host.tell("INF_STOP")
    stopped = host.pump.truth().plunger_nl
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == stopped == 445_000
    host.tell("INF_START")
    host.wait(600.0)
    assert host.pump.truth().plunger_nl == 2 * ML


def test_starting_twice_and_stopping_twice_is_answered_and_changes_nothing() -> None:
    host = programmed()
    host.tell("INF_STOP", "INF_START", "INF_START")
    host.wait(36.0)
    host.tell("INF_START")
    host.wait(36.0)
    host.tell("INF_STOP", "INF_STOP")
    assert host.pump.truth().plunger_nl == 534_000


def test_nothing_starts_without_a_rate() -> None:
    host = controlled()
    host.tell("INF_VTBI^ACTIV^2.000^ml^STOP")
    assert host.ask("INF_START") is None


def test_clearing_the_counter_touches_neither_the_plunger_nor_the_vtbi() -> None:
    host = programmed()
    host.tell("INF_START")
    host.wait(60.0)
    assert host.ask("INF_VI") == "INF_VI^0.445^ml"
    host.tell("INF_VI_CLEAR")
    assert host.ask("INF_VI") == "INF_VI^0.000^ml"
    host.wait(600.0)
    assert host.ask("INF_VI") == "INF_VI^1.555^ml"
    assert host.pump.truth().plunger_nl == 2 * ML


# -- INF ----------------------------------------------------------------------------------------------


def test_the_status_has_thirteen_fields_after_its_name() -> None:
    host = controlled()
    host.tell("INF_RATE^26.70^ml/h", "INF_START")
    host.wait(999.371)
    fields = host.status()
    assert len(fields) == 14
    assert fields[:9] == ["INF", "8002-51740", "-", "SET", "26.70", "ml/h", "", "7.412", "ml"]
    assert fields[9:13] == ["0.00", "mmHg", "24+", "EVENT"]


@pytest.mark.parametrize(
    ("rate", "vtbi", "left"),
    [
        ("26.70", "2.000", "00:04:29"),
        ("1.00", "24.000", "24+"),
        ("1.00", "23.999", "23:59:56"),
        ("100.00", "1.000", "00:00:36"),
    ],
)
def test_the_time_left_is_that_of_the_vtbi(rate: str, vtbi: str, left: str) -> None:
    host = controlled()
    host.tell(f"INF_RATE^{rate}^ml/h", f"INF_VTBI^ACTIV^{vtbi}^ml^STOP")
    assert host.status()[11] == left


def test_without_a_vtbi_the_time_left_is_that_of_the_syringe() -> None:
    host = controlled(mount=Mount(capacity_nl=50 * ML, loaded_nl=10 * ML))
    host.tell("INF_RATE^10.00^ml/h")
    assert host.status()[11] == "01:00:00"


def test_the_log_moves_with_what_happens() -> None:
    host = programmed()
    entry = int(host.status()[13])
    assert int(host.status()[13]) == entry
    host.tell("INF_START")
    assert int(host.status()[13]) == entry + 1


# -- time ---------------------------------------------------------------------------------------------


def test_an_answer_leaves_after_twenty_milliseconds() -> None:
    host = Host()
    ((delay, _),) = host.pump.feed(GOLDEN["INF"], host.now)
    assert delay == pytest.approx(0.020)


def test_answers_with_the_same_delay_leave_one_after_the_other() -> None:
    host = Host()
    replies = host.pump.feed(GOLDEN["ALARM"] + GOLDEN["INF_VI"], host.now)
    replies += host.pump.feed(GOLDEN["INF_RATE"], host.now)
    delays = [delay for delay, _ in replies]
    assert delays == sorted(set(delays))
    assert [frame[:7] for _, frame in replies] == [b"!ALARM^", b"!INF_VI", b"!INF_RA"]
    host.pump.inject("reply_delay", host.now, delay_ms=1_000)
    ((late, _),) = host.pump.feed(GOLDEN["ALARM"], host.now)
    host.pump.clear("reply_delay", host.now)
    ((after, _),) = host.pump.feed(GOLDEN["ALARM"], host.now)
    assert 1.0 < late < after
