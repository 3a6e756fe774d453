"""What goes wrong with an Orchestra: alarms, power, faults by name; switches; going back to a snapshot."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.fresenius_host import (
    ACK,
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
from sim.devices.fresenius_quirks import Quirks
from sim.devices.fresenius_state import Alarm
from sim.devices.kinds import PumpOptions, device_kind
from sim.devices.quirks import QuirkError, parse_quirks, quirk_values
from sim.faults.parameters import FaultError
from sim.mechanics import Line, Mount

ML = 1_000_000
GOLDEN = golden()


def test_an_occlusion_raises_its_alarm_and_only_that_module_stops() -> None:
    host = opened(line=Line(compliance_nl_mmhg=1_000, alarm_mmhg=500))
    host.tell("2DC", "2MO;2", "2PR;0258", "1PR;0258")
    host.pump.inject("downstream_occlusion", host.now)
    host.wait(29.0)
    assert host.ask("1LE;a") == "1C;a0000"
    host.wait(2.0)
    assert host.ask("1LE;a") == "1C;a0001"
    assert host.pump.truth().plunger_nl == 500_000
    assert host.pump.truth_of(2).rate_nl_h == 60 * ML


def test_a_pressure_limit_brings_the_alarm_forward_and_survives_a_snapshot() -> None:
    host = opened(line=Line(compliance_nl_mmhg=1_000, alarm_mmhg=500))
    host.tell("1PP;00C8", "1PR;0258")
    host.pump.inject("downstream_occlusion", host.now)
    snapshot, now = host.pump.snapshot(), host.now
    host.tell("1PP;01F4")
    host.pump.restore(snapshot)
    host.now = now
    host.wait(13.0)
    assert host.ask("1LE;a") == "1C;a0001"
    assert host.pump.truth().pressure_mmhg == pytest.approx(200)


def test_a_pressure_limit_holds_with_an_elastic_line_too() -> None:
    line = Line(compliance_nl_mmhg=1_000, alarm_mmhg=500, resistance_mmhg_min_ul=0.01)
    host = opened(line=line)
    host.tell("1PP;00C8", "1PR;0258")
    host.pump.inject("downstream_occlusion", host.now)
    host.wait(16.0)
    assert host.ask("1LE;a") == "1C;a0001"
    assert host.pump.mechanics.sensed_mmhg() == pytest.approx(200, abs=2)


def test_a_blocked_motor_is_an_error_too() -> None:
    host = programmed()
    host.pump.inject("motor_stall", host.now)
    host.wait(1.0)
    assert host.ask("1LE;ae") == "1C;a0008;e0001"


def test_an_empty_syringe_stops_the_module() -> None:
    host = opened(mount=Mount(capacity_nl=50 * ML, loaded_nl=1 * ML))
    host.tell("1PR;0258")
    host.wait(61.0)
    assert host.ask("1LE;ar") == "1C;a0002;r0003E8"


@pytest.mark.parametrize("alarm", [Alarm.SYRINGE, Alarm.DRIVE])
def test_a_cause_that_stays_cannot_be_silenced(alarm: Alarm) -> None:
    host = programmed()
    host.pump.modules[1].began(alarm)
    host.tell("1SI")
    assert host.ask("1PR;0032") == "1I;12"
    host.pump.modules[1].ended(alarm)
    host.tell("1PR;0032")


@pytest.mark.parametrize("alarm", [Alarm.BATTERY_LOW, Alarm.MAINS])
def test_a_warning_stops_nothing(alarm: Alarm) -> None:
    host = programmed()
    host.pump.modules[1].began(alarm)
    assert host.ask("1LE;da") == f"1C;d010B;a{alarm:04X}"
    host.tell("1PR;0032")


def test_after_a_power_cycle_nothing_is_open_nothing_is_counted_and_no_rate_is_set() -> None:
    host = programmed()
    host.wait(60.0)
    assert host.pump.power_cycle(host.now) == []
    assert host.ask("1LE;d") == "1I;1E"
    host.tell("0DC", "1DC", "1MO;2")
    assert host.ask("1LE;dr") == "1C;d0000;r000000"
    assert host.ask("1PR") == "1I;14"
    assert host.pump.truth().plunger_nl == 445_000


def test_without_power_nothing_is_heard_and_nothing_is_said() -> None:
    host = programmed()
    host.pump.inject("power_loss", host.now)
    assert host.send(GOLDEN["0DC"]) == b""
    assert host.wait(60.0) == b""
    assert host.pump.truth().plunger_nl == 0
    host.pump.clear("power_loss", host.now)
    host.tell("0DC")


def test_a_mute_rack_obeys() -> None:
    host = opened()
    host.pump.inject("mute", host.now)
    assert host.send(framed("1PR;0258")) == b""
    assert host.wait(4.0) == b""
    host.pump.clear("mute", host.now)
    assert host.ask("1LE;d") == "1C;d0258"


def test_lost_frames_in_either_direction() -> None:
    host = opened()
    host.pump.inject("frame_drop", host.now, direction="to_pump", for_commands=1)
    assert host.send(framed("1PR;0258")) == b""
    assert host.ask("1LE;d") == "1C;d0000"
    host.pump.inject("frame_drop", host.now, direction="from_pump", for_commands=1)
    assert host.send(framed("1PR;0258")) == ACK
    assert host.ask("1LE;d") == "1C;d0258"


def test_late_answers_keep_their_order() -> None:
    pump = opened().pump
    pump.inject("reply_delay", 1_000.0, delay_ms=100)
    replies = pump.feed(GOLDEN["1LE;d"] + GOLDEN["0LE;b"], 1_000.0)
    delays = [delay for delay, _ in replies]
    assert delays == sorted(set(delays))
    assert delays[0] == pytest.approx(0.1)
    assert [piece[:2] for _, piece in replies] == [ACK, b"\x021", ACK, b"\x020"]


def test_an_ignored_stop_is_answered() -> None:
    host = programmed()
    host.pump.inject("stop_ignored", host.now)
    host.tell("1PO")
    assert host.pump.truth().rate_nl_h == 26_700_000


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(FaultError):
        Host().pump.inject("coffee", 1_000.0)


def test_whoever_breaks_the_rack_hears_the_name_of_each_command_first() -> None:
    host, heard = opened(), list[str]()
    host.pump.on_command = heard.append
    host.ask("1PR;0258")
    host.ask("0LE;b")
    host.send(framed("1E") + b"\x021PO00\x03")
    assert heard == ["PR", "LE"]


@pytest.mark.parametrize("kind", ["power_loss", "frame_drop"])
def test_what_breaks_on_a_command_breaks_before_it_is_obeyed(kind: str) -> None:
    host = opened()
    parameters = {"direction": "to_pump"} if kind == "frame_drop" else {}

    def breaks(_command: str) -> None:
        host.pump.inject(kind, host.now, **parameters)

    host.pump.on_command = breaks
    assert host.send(framed("1PR;0258")) == b""
    host.wait(1.0, alive=False)
    assert host.pump.truth().plunger_nl == 0


def test_a_snapshot_can_be_gone_back_to_more_than_once() -> None:
    host = programmed()
    host.tell("1DE;r")
    host.wait(30.0)
    host.send(b"\x021P")
    before, now, seen = host.pump.snapshot(), host.now, []
    for _ in range(2):
        host.pump.restore(before)
        host.now = now
        host.events.clear()
        assert texts(host.send(b"O2F\x03")) == ["1C"]
        host.tell("1PR;0032")
        host.wait(30.0)
        seen.append((host.pump.truth(), list(host.events)))
    assert seen[0] == seen[1]
    assert host.pump.snapshot() != before


# -- switches -----------------------------------------------------------------------------------------


def test_the_defaults_are_the_first_positions() -> None:
    assert parse_quirks(Quirks, []) == Quirks()
    for name, positions in quirk_values(Quirks).items():
        assert str(getattr(Quirks(), name)) == positions[0]
        for position in positions:
            assert str(getattr(parse_quirks(Quirks, [f"{name}={position}"]), name)) == position


def test_enq_period_ms() -> None:
    assert opened("enq_period_ms=250").wait(1.0) == ENQ * 4
    assert opened("enq_period_ms=0").wait(60.0) == b""


def test_set_argument() -> None:
    host = opened("set_argument=decimal")
    host.tell("1PV;002000", "1PR;0600")
    assert host.ask("1LE;d") == "1C;d0258"
    assert host.ask("1PR;003C") == "1I;04"
    host.tell("1PO", "1PB;000500;6000")
    assert host.ask("1LM;ks") == "1C;k1770;s0001F4"
    host.wait(600.0)
    assert host.pump.truth().plunger_nl == 500_000


def test_rate_launches() -> None:
    host = opened("rate_launches=no")
    host.tell("1PR;0258")
    assert host.ask("1LE;d") == "1C;d0000"
    assert host.ask("1LM;d") == "1C;d0258"
    host.tell("1PR")
    assert host.ask("1LE;d") == "1C;d0258"
    host.tell("1PR;04B0")
    assert host.ask("1LE;d") == "1C;d04B0"


def test_limit_counts() -> None:
    for position, volume in (("since_set", 3 * ML), ("since_reset", 2 * ML)):
        host = opened(f"limit_counts={position}")
        host.tell("1PR;0258")
        host.wait(60.0)
        host.tell("1PV;0007D0")
        host.wait(600.0)
        assert host.pump.truth().plunger_nl == volume


def test_a_limit_that_has_been_passed_already_stops_at_once() -> None:
    host = opened("limit_counts=since_reset")
    host.tell("1PR;0258")
    host.wait(60.0)
    host.tell("1PV;0001F4")
    assert host.ask("1LE;da") == "1C;d0000;a0004"
    assert host.pump.truth().plunger_nl == ML


def test_rate_when_paused() -> None:
    for position, rate in (("zero", "0000"), ("set", "010B")):
        host = programmed(f"rate_when_paused={position}")
        host.tell("1PO")
        assert host.ask("1LE;d") == f"1C;d{rate}"


def test_host_lost() -> None:
    for position, rate_nl_h, answer in (
        ("continue", 26_700_000, "1I;1E"),
        ("stop", 0, "1I;1E"),
        ("ignore", 26_700_000, "1C;d010B"),
    ):
        host = programmed(f"host_lost={position}")
        host.wait(20.0, alive=False)
        assert host.pump.truth().rate_nl_h == rate_nl_h
        assert host.ask("1LE;d") == answer
    stopped = programmed("host_lost=stop")
    stopped.wait(20.0, alive=False)
    stopped.tell("0DC", "1DC")
    assert stopped.ask("1LE;a") == "1C;a0080"


def test_unacknowledged() -> None:
    for position, naks in (("nak", 1), ("ignore", 0)):
        host = Host(OrchestraPump(quirks=parse_quirks(Quirks, [f"unacknowledged={position}"])))
        host.send(GOLDEN["0DC"])
        assert host.wait(5.0, alive=False).count(NAK + b"5") == naks


def test_on_nak() -> None:
    for position, again in (("repeat", GOLDEN["0C"]), ("ignore", b"")):
        host = Host(OrchestraPump(quirks=parse_quirks(Quirks, [f"on_nak={position}"])))
        host.send(GOLDEN["0DC"])
        assert host.send(NAK + b"2") == again


def test_unechoed() -> None:
    for position, times in (("repeat", 2), ("forget", 0)):
        host = opened(f"unechoed={position}")
        host.send(framed("1DE;a"))
        assert len(texts(host.wait(4.5, alive=False))) == times


def test_it_can_be_asked_for_by_name() -> None:
    kind = device_kind("fresenius")
    pump = kind.make(PumpOptions(model="orchestra", address=3))
    assert isinstance(pump, OrchestraPump)
    assert pump.address == 3
    for name, positions in kind.quirks.items():
        for position in positions:
            kind.make(PumpOptions(model=kind.models[0], quirks=(f"{name}={position}",)))
    only_third = kind.make(PumpOptions(model="orchestra", quirks=("modules=4",)))
    assert isinstance(only_third, OrchestraPump)
    assert only_third.address == 3
    with pytest.raises(QuirkError, match="module 2; it has 3"):
        kind.make(PumpOptions(model="orchestra", address=2, quirks=("modules=4",)))
