"""What goes wrong with an Alaris pump: alarms, power, faults by name; switches; going back to a snapshot."""

from __future__ import annotations

import pytest

from hil_tests.pure.sim.alaris_host import Host, controlled, framed, golden, programmed
from sim.devices.alaris import AlarisPump
from sim.devices.alaris_quirks import Quirks
from sim.devices.alaris_state import ALARMS
from sim.devices.kinds import PumpOptions, device_kind
from sim.devices.quirks import QuirkError, parse_quirks, quirk_values
from sim.faults.parameters import FaultError
from sim.mechanics import Drive, Line, Mount

ML = 1_000_000
GOLDEN = golden()


def in_syringe(loaded_ml: float, *quirks: str) -> Host:
    """A pump at 60 mL/h without a VTBI, with this much in a 50 mL syringe."""
    host = controlled(*quirks, mount=Mount(capacity_nl=50 * ML, loaded_nl=round(loaded_ml * ML)))
    host.tell("INF_RATE^60.00^ml/h")
    return host


# -- alarms that physics raises -----------------------------------------------------------------------


def test_an_occlusion_raises_the_pressure_then_the_alarm_and_stops_the_pump() -> None:
    host = controlled(line=Line(compliance_nl_mmhg=1_000, alarm_mmhg=500))
    host.tell("INF_RATE^60.00^ml/h", "INF_START")
    host.pump.inject("downstream_occlusion", host.now)
    host.wait(15.0)
    assert host.status()[9:11] == ["250.00", "mmHg"]
    assert host.alarm() == "AL_NOALM"
    host.wait(16.0)
    assert host.send(GOLDEN["ALARM"]) == [GOLDEN["ALARM^AL_OCCLU^ ^ "]]
    assert host.status()[2:5] == ["A", "HLD", "0.00"]
    assert host.status()[9] == "500.00"
    assert host.pump.truth().delivered_nl == 0


def test_the_pressure_told_is_what_the_sensor_shows() -> None:
    host = programmed()
    host.pump.mechanics.sensor_error(offset_mmhg=17.91)
    assert host.status()[9:11] == ["17.91", "mmHg"]


def test_with_slack_and_an_elastic_line_the_vtbi_is_still_what_the_motor_makes() -> None:
    line, drive = Line(resistance_mmhg_min_ul=0.05), Drive(slack_nl=100_000)
    host = programmed(line=line, drive=drive, mount=Mount(capacity_nl=50 * ML, loaded_nl=10 * ML))
    host.tell("INF_START")
    host.wait(600.0)
    assert host.alarm() == "AL_VTBIS"
    assert host.ask("INF_VI") == "INF_VI^2.000^ml"
    assert 1_800_000 < host.pump.truth().plunger_nl < 2_000_000


def test_an_occlusion_that_is_still_there_alarms_again() -> None:
    host = controlled()
    host.tell("INF_RATE^600.00^ml/h", "INF_START")
    host.pump.inject("downstream_occlusion", host.now)
    host.wait(10.0)
    assert host.ask("INF_START") is None
    host.tell("INF_STOP", "INF_START")
    host.wait(1.0)
    assert host.alarm() == "AL_OCCLU"
    host.pump.clear("downstream_occlusion", host.now)
    host.tell("INF_STOP", "INF_START")
    host.wait(1.0)
    assert host.alarm() == "AL_NOALM"


def test_a_blocked_motor_is_a_disengaged_drive() -> None:
    host = programmed()
    host.tell("INF_START")
    host.pump.inject("motor_stall", host.now)
    host.wait(1.0)
    assert host.alarm() == "AL_DRDIS"
    assert host.pump.truth().plunger_nl == 0


def test_an_empty_syringe_warns_five_minutes_before_and_stops_at_its_end() -> None:
    host = in_syringe(6.0)
    host.tell("INF_START")
    host.wait(59.0)
    assert host.alarm() == "AL_NOALM"
    host.wait(2.0)
    assert host.alarm() == "AL_NEOIN"
    assert host.status()[2:4] == ["A", "SET"]
    host.wait(300.0)
    assert host.alarm() == "AL_EOIST"
    assert host.pump.truth().plunger_nl == 6 * ML
    assert host.ask("INF_START") is None


def test_the_warning_comes_at_once_with_little_left_and_later_after_a_slower_rate() -> None:
    host = in_syringe(1.0)
    host.tell("INF_START")
    host.wait(0.1)
    assert host.alarm() == "AL_NEOIN"
    host.tell("INF_STOP", "INF_RATE^6.00^ml/h", "INF_START")
    host.wait(290.0)
    assert host.alarm() == "AL_NOALM"
    host.wait(20.0)
    assert host.alarm() == "AL_NEOIN"


def test_a_warning_does_not_stand_in_the_way_of_a_start() -> None:
    host = in_syringe(1.0)
    host.tell("INF_START")
    host.wait(1.0)
    host.pump.infusion.hold()
    assert host.alarm() == "AL_NEOIN"
    assert host.ask("INF_START") == "INF_START"


# -- alarms that stand --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["AL_FAULT", "AL_EMBAT", "AL_DRDIS", "AL_SYRCO"])
def test_a_cause_that_stays_stops_the_pump_and_cannot_be_acknowledged(code: str) -> None:
    host = programmed()
    host.tell("INF_START")
    host.wait(10.0)
    host.pump.infusion.began(code)
    assert host.alarm() == code
    stopped = host.pump.truth().plunger_nl
    host.tell("INF_STOP")
    assert host.alarm() == code
    assert host.ask("INF_START") is None
    host.wait(10.0)
    assert host.pump.truth().plunger_nl == stopped
    host.pump.infusion.ended(code)
    assert host.alarm() == "AL_NOALM"
    host.tell("INF_START")


@pytest.mark.parametrize("code", ["AL_LWBAT", "AL_ACDIS", "AL_LBTAC", "AL_CALLB"])
def test_a_warning_stays_and_the_pump_goes_on(code: str) -> None:
    host = programmed()
    host.tell("INF_START")
    host.pump.infusion.began(code)
    host.wait(10.0)
    assert host.alarm() == code
    assert host.pump.truth().rate_nl_h == 26_700_000


def test_of_several_alarms_the_gravest_is_told() -> None:
    host = programmed()
    for code in reversed(list(ALARMS)):
        host.pump.infusion.began(code)
        assert host.alarm() == code


def test_an_unconfirmed_syringe_shows_in_its_status() -> None:
    host = Host()
    host.pump.infusion.began("AL_SYRCO")
    assert host.ask("SYRINGE_STATUS") == "SYRINGE_STATUS^BD PLASTIPAK^ 50^UNCONF"


# -- power and faults ---------------------------------------------------------------------------------


def test_after_a_power_cycle_counter_and_control_are_gone_and_the_rate_is_not() -> None:
    host = programmed()
    host.tell("INF_START")
    host.wait(60.0)
    assert host.pump.power_cycle(host.now) == []
    assert host.ask("INF_VI") == "INF_VI^0.000^ml"
    assert host.ask("INF_RATE") == "INF_RATE^26.70^ml/h"
    assert host.ask("INF_STOP") is None
    host.wait(60.0, holding=False)
    assert host.alarm() == "AL_NOALM"
    assert host.pump.truth().plunger_nl == 445_000


def test_without_power_nothing_is_heard() -> None:
    host = programmed()
    host.tell("INF_START")
    host.pump.inject("power_loss", host.now)
    assert host.ask("INF") is None
    host.wait(60.0)
    host.pump.clear("power_loss", host.now)
    assert host.status()[3] == "HLD"
    assert host.pump.truth().plunger_nl == 0


def test_a_mute_pump_obeys() -> None:
    host = programmed()
    host.pump.inject("mute", host.now)
    assert host.ask("INF_START") is None
    host.wait(10.0)
    host.pump.clear("mute", host.now)
    assert host.status()[3] == "SET"


def test_lost_frames_in_either_direction() -> None:
    host = programmed()
    host.pump.inject("frame_drop", host.now, direction="to_pump", for_commands=1)
    assert host.ask("INF_START") is None
    assert host.status()[3] == "HLD"
    host.pump.inject("frame_drop", host.now, direction="from_pump", for_commands=1)
    assert host.ask("INF_START") is None
    assert host.status()[3] == "SET"


def test_an_ignored_stop_is_answered() -> None:
    host = programmed()
    host.tell("INF_START")
    host.pump.inject("stop_ignored", host.now)
    host.tell("INF_STOP")
    assert host.pump.truth().rate_nl_h == 26_700_000


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(FaultError):
        Host().pump.inject("coffee", 1_000.0)


def test_whoever_breaks_the_pump_hears_the_name_of_each_command_first() -> None:
    host, heard = programmed(), list[str]()
    host.pump.on_command = heard.append
    host.ask("INF")
    host.ask("INF_RATE^3.50^ml/h")
    host.send(b"!INF|0000\r")
    assert heard == ["INF", "INF_RATE", ""]


@pytest.mark.parametrize("kind", ["power_loss", "frame_drop"])
def test_what_breaks_on_a_command_breaks_before_it_is_obeyed(kind: str) -> None:
    host = programmed()
    parameters = {"direction": "to_pump"} if kind == "frame_drop" else {}

    def breaks(_command: str) -> None:
        host.pump.inject(kind, host.now, **parameters)

    host.pump.on_command = breaks
    assert host.ask("INF_START") is None
    host.wait(1.0, holding=False)
    assert host.pump.truth().plunger_nl == 0


def test_a_snapshot_can_be_gone_back_to_more_than_once() -> None:
    host = programmed()
    host.tell("INF_START")
    host.wait(30.0)
    host.send(b"!INF_ST")
    before, now = host.pump.snapshot(), host.now
    seen = []
    for _ in range(2):
        host.pump.restore(before)
        host.now = now
        assert host.send(b"OP|CD57\r") == [GOLDEN["INF_STOP"]]
        host.tell("INF_START")
        host.wait(600.0)
        seen.append((host.pump.truth(), host.status()))
    assert seen[0] == seen[1]
    assert host.pump.snapshot() != before


# -- switches -----------------------------------------------------------------------------------------


def test_the_defaults_are_the_first_positions() -> None:
    assert parse_quirks(Quirks, []) == Quirks()
    for name, positions in quirk_values(Quirks).items():
        assert str(getattr(Quirks(), name)) == positions[0]
        for position in positions:
            assert str(getattr(parse_quirks(Quirks, [f"{name}={position}"]), name)) == position


@pytest.mark.parametrize("setting", ["lease_ms=5000", "lease_ms=x", "lease_ms=", "lease_ms=600001"])
def test_a_number_outside_its_range_is_refused_with_the_range(setting: str) -> None:
    with pytest.raises(QuirkError, match=r"lease_ms.*5001\.\.600000"):
        parse_quirks(Quirks, [setting])


def test_disable_reply() -> None:
    assert Host().send(GOLDEN["REMOTE_CTRL^DISABLED"]) == [
        GOLDEN["REMOTE_CTRL^DISABLED^****^PERMIT^0^ms"]
    ]
    assert controlled("disable_reply=echo").send(GOLDEN["REMOTE_CTRL^DISABLED"]) == [
        GOLDEN["REMOTE_CTRL^DISABLED"]
    ]
    assert controlled("disable_reply=echo").send(GOLDEN["REMOTE_CFG^DISABLED"]) == [
        GOLDEN["REMOTE_CFG^DISABLED"]
    ]


@pytest.mark.parametrize("message", ["COFFEE^1", "INF_RATE^9999^ml/h", "REMOTE_CTRL", "INF^1", "^"])
def test_unknown_message(message: str) -> None:
    assert controlled().send(framed(message)) == []
    assert controlled("unknown_message=echo").send(framed(message)) == [framed(message)]


@pytest.mark.parametrize("lease_ms", [5_001, 10_000, 600_000])
def test_lease_ms(lease_ms: int) -> None:
    host = controlled(f"lease_ms={lease_ms}")
    host.wait(lease_ms / 1_000 - 0.001, holding=False)
    assert host.alarm() == "AL_NOALM"
    host.wait(0.002, holding=False)
    assert host.alarm() == "AL_COMTO"


@pytest.mark.parametrize("delay_ms", [0, 20, 4_000])
def test_reply_delay_ms(delay_ms: int) -> None:
    pump = controlled(f"reply_delay_ms={delay_ms}").pump
    pump.advance(1_010.0)
    ((delay, _),) = pump.feed(GOLDEN["INF"], 1_010.0)
    assert delay == pytest.approx(delay_ms / 1_000)


def test_lease_lost() -> None:
    stopping, going_on = programmed(), programmed("lease_lost=continue")
    for host in (stopping, going_on):
        host.tell("INF_START")
        host.wait(20.0, holding=False)
        assert host.alarm() == "AL_COMTO"
    assert stopping.pump.truth().rate_nl_h == 0
    assert going_on.pump.truth().rate_nl_h == 26_700_000


def test_stop_without_remote() -> None:
    for position, answer in (("refused", None), ("obeyed", "INF_STOP")):
        host = programmed(f"stop_without_remote={position}")
        host.tell("INF_START", "REMOTE_CTRL^DISABLED")
        assert host.ask("INF_STOP") == answer
        assert host.pump.truth().rate_nl_h == (0 if answer else 26_700_000)
        assert host.ask("INF_START") is None


def test_start_with_alarm() -> None:
    for position, answer in (("refused", None), ("acknowledges", "INF_START")):
        host = programmed(f"start_with_alarm={position}")
        host.pump.infusion.happened("AL_OCCLU")
        assert host.ask("INF_START") == answer
        assert host.alarm() == ("AL_NOALM" if answer else "AL_OCCLU")


def test_inf_when_stopped() -> None:
    assert programmed().status()[3:5] == ["HLD", "0.00"]
    assert programmed("inf_when_stopped=set").status()[3:5] == ["SET", "26.70"]


def test_vtbi_query() -> None:
    for position, value in (("set", "2.000"), ("remaining", "1.555")):
        host = programmed(f"vtbi_query={position}")
        host.tell("INF_START")
        host.wait(60.0)
        assert host.ask("INF_VTBI") == f"INF_VTBI^ACTIV^{value}^ml^STOP"


def test_vtbi_after_end() -> None:
    spent, deactivated = programmed(), programmed("vtbi_after_end=deactivated")
    for host in (spent, deactivated):
        host.tell("INF_START")
        host.wait(600.0)
        host.tell("INF_STOP")
    assert spent.ask("INF_VTBI") == "INF_VTBI^ACTIV^2.000^ml^STOP"
    assert spent.ask("INF_START") is None
    assert deactivated.ask("INF_VTBI") == "INF_VTBI^DEACT^^ml^STOP"
    assert deactivated.ask("INF_START") == "INF_START"


@pytest.mark.parametrize(
    ("end", "code", "mode", "rate_nl_h"),
    [("KVO", "AL_VTBIK", "KVO", ML), ("CONT", "AL_VTBIC", "SET", 60 * ML)],
)
def test_vtbi_end_actions(end: str, code: str, mode: str, rate_nl_h: int) -> None:
    message = f"INF_VTBI^ACTIV^1.000^ml^{end}"
    assert controlled().ask(message) is None
    host = controlled("vtbi_end_actions=all")
    host.tell("INF_RATE^60.00^ml/h", message, "INF_START")
    host.wait(61.0)
    assert host.alarm() == code
    assert host.status()[3] == mode
    assert host.pump.truth().rate_nl_h == rate_nl_h
    assert host.pump.truth().plunger_nl >= ML


def test_bolus() -> None:
    assert controlled().ask("INF_BOLUS^ENABLED") == "INF_BOLUS^ENABLED"
    assert controlled().ask("INF_BOLUS^DISABLED") is None
    assert controlled("bolus=silent").ask("INF_BOLUS^ENABLED") is None


def test_excess_decimals() -> None:
    assert controlled().ask("INF_RATE^26.705^ml/h") == "INF_RATE^26.70^ml/h"
    assert controlled("excess_decimals=refuse").ask("INF_RATE^26.705^ml/h") is None
    assert controlled("excess_decimals=refuse").ask("INF_RATE^26.70^ml/h") is not None


def test_power_on() -> None:
    kept, cleared = programmed(), programmed("power_on=clear")
    for host in (kept, cleared):
        host.pump.power_cycle(host.now)
    assert kept.ask("INF_RATE") == "INF_RATE^26.70^ml/h"
    assert kept.ask("INF_VTBI") == "INF_VTBI^ACTIV^2.000^ml^STOP"
    assert cleared.ask("INF_RATE") == "INF_RATE^0.00^ml/h"
    assert cleared.ask("INF_VTBI") == "INF_VTBI^DEACT^^ml^STOP"


def test_it_can_be_asked_for_by_name() -> None:
    kind = device_kind("alaris")
    pump = kind.make(PumpOptions(model=kind.models[0], quirks=("lease_ms=7000",)))
    assert isinstance(pump, AlarisPump)
    assert pump.quirks.lease_ms == 7_000
    for name, positions in kind.quirks.items():
        for position in positions:
            kind.make(PumpOptions(model=kind.models[0], quirks=(f"{name}={position}",)))
