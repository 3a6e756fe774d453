"""The Orchestra as the protocol page describes it: frames, link layer, sessions, commands, modules."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.fresenius_host import (
    ACK,
    DC4,
    ENQ,
    NAK,
    Host,
    framed,
    golden,
    opened,
    programmed,
    texts,
)
from sim.devices.fresenius import OrchestraPump
from sim.devices.fresenius_frames import frame
from sim.mechanics import Mount

ML = 1_000_000
GOLDEN = golden()


# -- golden frames ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", GOLDEN)
def test_a_frame_is_what_the_page_prints(text: str) -> None:
    assert frame(text) == GOLDEN[text] == framed(text)


def test_the_first_frames_of_a_known_host_come_out_byte_for_byte() -> None:
    host = Host()
    assert host.send(GOLDEN["0DC"]) == ACK + GOLDEN["0C"]
    assert host.send(ACK + GOLDEN["0LE;b"]) == ACK + framed("0C;b1F")
    assert host.send(ACK + GOLDEN["1LE;d"]) == ACK + GOLDEN["1I;1E"]
    assert host.send(ACK + GOLDEN["1DC"]) == ACK + framed("1C")
    assert host.send(ACK + GOLDEN["1MO;2"]) == ACK + framed("1C")
    assert host.send(ACK + framed("1PR;0032")) == ACK + framed("1C")
    assert host.send(ACK + GOLDEN["1LE;d"]) == ACK + GOLDEN["1C;d0032"]
    assert host.send(ACK + GOLDEN["1LE;r"]) == ACK + framed("1C;r000000")
    assert host.send(ACK + GOLDEN["1PO"]) == ACK + framed("1C")
    assert host.send(ACK) == b""


def test_a_module_of_its_own_is_spoken_to_without_an_address() -> None:
    host = Host(OrchestraPump(model="module"))
    assert host.ask("LE;d") == "I;1E"
    host.tell("DC", "MO;2", "PR;0032")
    assert host.ask("LE;d") == "C;d0032"
    assert host.send(framed("1LE;d")) == NAK + b"4"


# -- link layer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x020DC49\x03", b"2"),
        (b"\x020DC4G\x03", b"2"),
        (b"\x020DD48\x03", b"2"),
        (b"\x026DC42\x03", b"4"),
        (framed("DC"), b"4"),
        (framed("9DC"), b"4"),
        (b"\x02\x03", b"7"),
        (b"\x0248\x03", b"7"),
        (b"\x02" + b"0" * 200 + b"\x03", b"7"),
        (b"\x020D\x01C48\x03", b"8"),
        (b"\x020D\x15C48\x03", b"8"),
        (b"\x020D\xc3C48\x03", b"1"),
    ],
)
def test_a_damaged_frame_is_refused_with_its_error_byte(data: bytes, error: bytes) -> None:
    host = Host()
    assert host.send(data) == NAK + error
    assert not host.pump.state.stations[0].open
    assert host.send(GOLDEN["0DC"]) == ACK + GOLDEN["0C"]


def test_signs_may_come_in_the_middle_of_a_frame() -> None:
    assert Host().send(b"\x020D\x14C\x0648\x03") == ACK + GOLDEN["0C"]


def test_a_new_frame_drops_the_one_before() -> None:
    assert Host().send(b"\x020D" + GOLDEN["0DC"]) == ACK + GOLDEN["0C"]


def test_one_bit_wrong_is_never_obeyed() -> None:
    host = opened()
    good = framed("1PR;0032")
    for index in range(len(good)):
        for bit in range(8):
            bad = bytearray(good)
            bad[index] ^= 1 << bit
            host.send(bytes(bad) + b"\x02\x03")
    assert host.ask("1LM;d") == "1C;d0000"


def test_a_reply_that_is_refused_is_sent_again_three_times_in_all() -> None:
    host = Host()
    host.send(GOLDEN["0DC"])
    assert host.send(NAK + b"2") == GOLDEN["0C"]
    assert host.send(NAK + b"2") == GOLDEN["0C"]
    assert host.send(NAK + b"2") == b""


def test_a_reply_that_nobody_acknowledges_is_answered_with_an_error_after_a_second() -> None:
    host = Host()
    host.send(GOLDEN["0DC"])
    assert host.wait(0.999, alive=False) == b""
    assert NAK + b"5" in host.wait(0.002, alive=False)
    host.send(GOLDEN["0DC"] + ACK)
    assert NAK not in host.wait(5.0, alive=False)


def test_the_base_asks_every_second_whether_the_host_is_there() -> None:
    host = Host()
    assert host.wait(10.0) == b""
    host.tell("0DC")
    assert host.wait(10.0) == ENQ * 10
    host.tell("0FC")
    assert host.wait(10.0) == b""


def test_a_host_that_stays_silent_is_gone_after_five_questions_and_the_infusion_goes_on() -> None:
    host = programmed()
    assert host.wait(5.5, alive=False) == ENQ * 5
    assert host.wait(60.0, alive=False) == b""
    assert host.pump.truth().rate_nl_h == 26_700_000
    assert host.ask("1LE;d") == "1I;1E"
    assert host.ask("0LE;b") == "0I;0D"
    host.tell("0DC", "1DC")
    assert host.ask("1LE;dm") == "1C;d010B;m01"


def test_one_answer_in_five_keeps_the_sessions() -> None:
    host = programmed()
    for _ in range(10):
        host.wait(5.0, alive=False)
        host.send(DC4)
    assert host.ask("1LE;d") == "1C;d010B"


# -- sessions, modes, codes ---------------------------------------------------------------------------


def test_a_module_needs_the_base() -> None:
    host = Host()
    assert host.ask("1DC") == "1I;0D"
    assert host.ask("1LE;d") == "1I;1E"
    assert host.ask("0LE;b") == "0I;0D"


def test_a_module_that_is_not_there_cannot_be_reached() -> None:
    host = opened("modules=5")
    assert host.ask("0LE;bi") == "0C;b05;i02"
    assert host.ask("2DC") == "2I;0E"
    host.tell("3DC")


def test_opening_again_is_no_mistake() -> None:
    opened().tell("0DC", "1DC")


def test_closing_the_base_closes_the_modules() -> None:
    host = opened()
    host.tell("0FC")
    assert host.ask("1LE;d") == "1I;1E"


def test_closing_a_module_gives_it_back_to_the_keypad_and_it_goes_on() -> None:
    host = programmed()
    host.tell("1FC", "1DC")
    assert host.ask("1LE;dm") == "1C;d010B;m01"
    assert host.ask("1PO") == "1I;02"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("1XX", "01"),
        ("1", "01"),
        ("1le;d", "01"),
        ("0PO", "01"),
        ("1LE", "04"),
        ("1LE;", "04"),
        ("1LEd", "04"),
        ("1PO;1", "04"),
        ("1LE;D", "0B"),
        ("1LE;1", "0B"),
        ("1LE;z", "0A"),
        ("1LE;b", "0A"),
        ("0LE;d", "0A"),
        ("1LM;a", "0A"),
        ("1LF;c", "0A"),
        ("1DE;z", "0A"),
        ("1EN;" + "x" * 21, "08"),
        ("1EN;" + "x" * 78, "0C"),
        ("1MO;2", "06"),
        ("1MO;3", "22"),
        ("1MO", "04"),
        ("1MO;x", "04"),
        ("1EP;20", "25"),
        ("1EP;x", "04"),
        ("1PR", "14"),
        ("1PR;0000", "08"),
        ("1PR;2EE1", "08"),
        ("1PR;32", "04"),
        ("1PR;003G", "04"),
        ("1PR;00032", "04"),
        ("1PB;000000", "08"),
        ("1PB;00", "04"),
        ("1PB;000001;000001", "04"),
        ("1PB;000001;0032;0032", "04"),
        ("1PB", "04"),
        ("1PV;7D0", "04"),
        ("1PV", "04"),
        ("1PF", "16"),
        ("1PP;0000", "08"),
        ("1PP", "04"),
        ("1PS", "20"),
        ("0RZ", "1F"),
        ("0OF", "1F"),
    ],
)
def test_what_is_wrong_is_refused_with_its_code(command: str, code: str) -> None:
    host = opened()
    assert host.ask(command) == f"{command[0]}I;{code}"
    host.wait(10.0)
    assert host.pump.truth().plunger_nl == 0


@pytest.mark.parametrize("command", ["1PR;0032", "1PO", "1PB;000100", "1PF", "1PV;0007D0"])
def test_in_manual_mode_the_keypad_has_the_pump(command: str) -> None:
    host = opened()
    host.tell("1MO;1")
    assert host.ask(command) == "1I;02"


def test_reading_fixed_things_drug_and_identity() -> None:
    host = opened()
    assert host.ask("0LF;b") == "0C;bORCHESTRA"
    assert host.ask("1LF;b") == "1C;bDPS"
    host.tell("1EP;0A", "1AP", "1EN;BED 7")
    assert host.ask("1LP") == "1C;0A"
    assert host.ask("1LN") == "1C;BED 7"


def test_a_module_that_was_switched_off_is_gone_until_its_mains_were_off() -> None:
    host = opened()
    host.tell("1OF")
    assert host.ask("0LE;b") == "0C;b1E"
    assert host.ask("1DC") == "1I;0E"
    host.pump.power_cycle(host.now)
    host.tell("0DC", "1DC")


def test_a_base_that_was_switched_off_hears_nothing() -> None:
    host = opened()
    host.tell("1MO;1", "0OF")
    assert host.send(GOLDEN["0DC"]) == b""
    assert host.wait(10.0, alive=False) == b""
    host.pump.power_cycle(host.now)
    host.tell("0DC")


# -- pumping ------------------------------------------------------------------------------------------


def test_a_rate_launches_and_a_pause_stops() -> None:
    host = opened()
    host.tell("1PR;0258")
    host.wait(60.0)
    assert host.ask("1LE;dr") == "1C;d0258;r0003E8"
    host.tell("1PO")
    host.wait(60.0)
    assert host.ask("1LE;dr") == "1C;d0000;r0003E8"
    assert host.ask("1LM;d") == "1C;d0258"
    host.tell("1PR")
    assert host.ask("1LE;d") == "1C;d0258"
    assert host.pump.truth().plunger_nl == ML


def test_the_rate_changes_while_running() -> None:
    host = opened()
    host.tell("1PR;0258")
    host.wait(30.0)
    host.tell("1PR;04B0")
    host.wait(30.0)
    assert host.pump.truth().plunger_nl == 1_500_000


def test_the_volume_limit_stops_exactly_and_raises_an_alarm() -> None:
    host = programmed()
    host.wait(600.0)
    assert host.pump.truth().plunger_nl == 2 * ML
    assert host.ask("1LE;adr") == "1C;a0004;d0000;r0007D0"
    assert host.ask("1PR;0032") == "1I;12"
    assert host.ask("1PB;000001") == "1I;12"
    host.tell("1SI")
    assert host.ask("1LE;a") == "1C;a0000"
    assert host.ask("1PR;0032") == "1I;03"
    host.tell("1PV;0003E8", "1PR;0258")
    host.wait(600.0)
    assert host.pump.truth().plunger_nl == 3 * ML


def test_a_limit_of_zero_is_none() -> None:
    host = programmed()
    host.tell("1PV;000000")
    host.wait(600.0)
    assert host.pump.truth().rate_nl_h == 26_700_000


@pytest.mark.parametrize("arguments", ["0001F4;1770", "1770;0001F4"])
def test_a_bolus_is_given_exactly_and_then_it_goes_on_as_before(arguments: str) -> None:
    host = opened()
    host.tell("1PR;0258", f"1PB;{arguments}")
    assert host.ask("1LE;dks") == "1C;d1770;k1770;s0001F4"
    assert host.ask("1PB;000001") == "1I;03"
    assert host.ask("1MO;1") == "1I;09"
    host.wait(3.0)
    assert host.pump.truth().plunger_nl == 500_000
    assert host.ask("1LE;d") == "1C;d0258"
    paused = opened()
    paused.tell(f"1PB;{arguments}")
    paused.wait(60.0)
    assert paused.pump.truth().plunger_nl == 500_000
    assert paused.ask("1LE;da") == "1C;d0000;a0000"


def test_a_bolus_ends_at_the_volume_limit_at_the_latest() -> None:
    host = opened()
    host.tell("1PV;0001F4")
    assert host.ask("1PB;0001F5") == "1I;15"
    host.tell("1PB;0001F4")
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == 500_000
    assert host.ask("1LE;a") == "1C;a0004"


def test_a_volume_limit_that_is_set_during_a_bolus_ends_it() -> None:
    host = opened()
    host.tell("1PB;0003E8", "1PV;0001F4")
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == 500_000
    assert host.ask("1LE;da") == "1C;d0000;a0004"


def test_a_bolus_needs_so_much_in_the_syringe() -> None:
    host = opened(mount=Mount(capacity_nl=50 * ML, loaded_nl=1 * ML))
    assert host.ask("1PB;0003E9") == "1I;15"
    host.tell("1PB;0003E8")


def test_emptying_ends_with_an_empty_syringe() -> None:
    host = opened(mount=Mount(capacity_nl=50 * ML, loaded_nl=2 * ML))
    host.tell("1PF")
    assert host.ask("1PR;0032") == "1I;03"
    assert host.ask("1RZ") == "1I;03"
    host.wait(60.0)
    assert host.pump.truth().plunger_nl == 2 * ML
    assert host.ask("1LE;a") == "1C;a0002"
    host.tell("1SI")
    assert host.ask("1PF") == "1I;16"


def test_a_reset_forgets_rate_limit_and_volume_and_gives_the_keypad_back() -> None:
    host = programmed()
    host.wait(60.0)
    host.tell("1PO", "1RZ")
    assert host.ask("1LE;drm") == "1C;d0000;r000000;m01"
    host.tell("1MO;2")
    assert host.ask("1PR") == "1I;14"


def test_modules_pump_for_themselves() -> None:
    host = opened()
    host.tell("2DC", "2MO;2", "5DC", "5MO;2", "1PR;0258", "2PR;04B0")
    host.wait(60.0)
    host.tell("2PO")
    host.wait(60.0)
    assert [host.pump.truth_of(module).plunger_nl for module in range(1, 6)] == [
        2 * ML,
        2 * ML,
        0,
        0,
        0,
    ]
    assert host.pump.truth() == host.pump.truth_of(1)
    assert host.ask("2LE;r") == "2C;r0007D0"
    assert host.ask("5PR") == "5I;14"


# -- spontaneous messages -----------------------------------------------------------------------------


def test_what_was_asked_for_is_told_when_it_changes_and_the_volume_once_a_second() -> None:
    host = opened()
    host.tell("1DE;dar")
    assert host.events == ["1E;d0000;a0000;r000000"]
    host.events.clear()
    host.tell("1PR;0258")
    assert host.events == ["1E;d0258"]
    host.events.clear()
    host.wait(2.9)
    assert host.events == ["1E;r000010", "1E;r000021"]
    host.tell("1AE")
    host.events.clear()
    host.wait(10.0)
    assert host.events == []


def test_an_alarm_comes_by_itself() -> None:
    host = programmed()
    host.tell("1DE;a")
    host.events.clear()
    host.wait(600.0)
    assert host.events == ["1E;a0004"]


def test_adjusted_values_come_as_m_messages() -> None:
    host = opened()
    host.tell("1DM;dk")
    assert host.events == ["1M;d0000;k07D0"]
    host.events.clear()
    host.tell("1PR;0258", "1PO")
    assert host.events == ["1M;d0258"]
    host.tell("1AM", "1PR;0032")
    assert host.events == ["1M;d0258"]


def test_a_spontaneous_message_is_repeated_until_it_is_echoed() -> None:
    host = opened()
    heard = host.send(framed("1DE;a"))
    assert texts(heard) == ["1C", "1E;a0000"]
    host.send(ACK + ACK)
    assert texts(host.wait(1.0, alive=False)) == ["1E;a0000"]
    assert host.send(ACK + framed("1E")) == ACK
    assert texts(host.wait(1.5, alive=False)) == []


def test_a_message_that_is_never_echoed_is_given_up_after_three() -> None:
    host = opened()
    host.send(framed("1DE;a"))
    assert texts(host.wait(4.5, alive=False)) == ["1E;a0000"] * 2


def test_until_the_echo_nothing_else_is_told_and_then_only_what_holds() -> None:
    host = opened()
    host.send(framed("1DE;d") + ACK)
    for rate in ("0032", "0064"):
        heard = host.send(framed(f"1PR;{rate}") + ACK)
        assert texts(heard) == ["1C"]
    assert texts(host.send(framed("1E"))) == ["1E;d0064"]


def test_an_echo_that_nobody_waits_for_is_acknowledged() -> None:
    assert opened().send(framed("1E") + framed("0M")) == ACK + ACK
