"""The TTL inputs of a New Era pump: triggers, direction, event traps, and what a program reads."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hil_tests.pure.sim.new_era_host import Host, awake, packet, safe
from sim.devices.new_era_quirks import Quirks
from sim.devices.quirks import parse_quirks
from sim.faults.parameters import FaultError

FALL, RISE = 0, 1


def ready(*settings: str, **options: object) -> Host:
    """A pump that goes at 60 mL/h without end once it is started."""
    host = awake(parse_quirks(Quirks, settings), **options)
    host.tell("RAT60MH")
    return host


def seen(host: Host, pin: int, levels: Sequence[int]) -> str:
    """The status after each level at that pin."""
    letters = ""
    for level in levels:
        assert host.pump.ttl(pin, level, host.now) == []
        host.wait(0.01)
        letters += host.ask("")[2]
    return letters


# -- the operational trigger --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "statuses"),
    [
        ("FT", "IIPPI"),
        ("FH", "IPIPI"),
        ("F2", "SIIPP"),
        ("LE", "SIPIP"),
        ("ST", "IIIII"),
        ("T2", "SIIII"),
        ("RL", "IIIII"),
        ("RH", "SIIII"),
    ],
)
def test_a_trigger_starts_and_stops_at_its_edges(trigger: str, statuses: str) -> None:
    host = ready()
    host.tell(f"TRG{trigger}")
    assert seen(host, 2, [FALL, RISE, FALL, RISE, FALL]) == statuses


@pytest.mark.parametrize(
    ("trigger", "statuses"), [("SP", "PP"), ("P2", "IP"), ("SL", "PP"), ("SH", "IP")]
)
def test_a_trigger_that_only_stops_does_so_once(trigger: str, statuses: str) -> None:
    host = ready()
    host.tell(f"TRG{trigger}", "RUN")
    assert seen(host, 2, [FALL, RISE]) == statuses
    assert seen(host, 2, [FALL, RISE]) == "PP"


def test_a_level_that_stays_is_no_edge_and_can_be_asked_for() -> None:
    host = ready()
    assert seen(host, 2, [FALL, FALL]) == "II"
    assert [host.ask("IN2"), host.ask("IN3"), host.ask("IN6")] == ["00I0", "00I1", "00I1"]


def test_nothing_starts_while_an_alarm_is_pending() -> None:
    host = ready()
    host.pump.power_cycle(host.now)
    assert host.pump.ttl(2, FALL, host.now) == []
    assert host.pump.status == "S"
    assert host.ask("") == "00A?R"


def test_a_trigger_ends_a_wait_for_it() -> None:
    host = ready()
    host.tell("FUNPAS0", "PHN2", "FUNRAT", "RAT60MH", "RUN")
    assert host.ask("") == "00U"
    assert seen(host, 2, [FALL]) == "I"


def test_a_program_may_choose_its_trigger_until_it_ends() -> None:
    host = ready()
    host.tell("FUNTRGLE", "PHN2", "FUNRAT", "RAT60MH", "RUN")
    assert host.ask("TRG") == "00IFT"
    assert seen(host, 2, [FALL, RISE]) == "PI"
    host.tell("STP", "STP")
    host.tell("PHN1", "FUNRAT", "RUN")
    assert seen(host, 2, [FALL, RISE]) == "PP"


def test_a_pump_that_ignores_stops_ignores_those_of_the_input() -> None:
    host = ready()
    host.tell("TRGSP", "RUN")
    host.pump.inject("stop_ignored", host.now)
    assert seen(host, 2, [FALL]) == "I"


def test_a_start_that_cannot_go_on_is_announced_in_safe_mode() -> None:
    host = safe()
    assert host.pump.ttl(2, FALL, host.now) == [(0.0, packet("00A?E"))]
    host.pump.power_off()
    assert host.pump.ttl(2, RISE, host.now) == []


@pytest.mark.parametrize(("pin", "level"), [(1, 0), (5, 0), (2, 2), (9, 1)])
def test_a_pin_that_is_no_input_is_refused(pin: int, level: int) -> None:
    with pytest.raises(ValueError, match=f"pin {pin}, level {level}"):
        awake().pump.ttl(pin, level, 2_000.0)


# -- direction ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("setting", "falling", "rising"), [("0", "I", "W"), ("1", "W", "I")])
def test_the_direction_input_turns_a_running_pump(setting: str, falling: str, rising: str) -> None:
    host = ready()
    host.tell(f"DIN{setting}", "RUN")
    host.wait(1.0)
    assert seen(host, 3, [FALL, RISE, FALL]) == falling + rising + falling
    host.tell("STP", "STP")
    assert host.ask("DIR") == ("00SINF" if falling == "I" else "00SWDR")


def test_the_direction_input_leaves_a_phase_with_a_target_alone() -> None:
    host = ready()
    host.tell("VOL1", "RUN")
    host.wait(1.0)
    assert seen(host, 3, [FALL, RISE]) == "II"


@pytest.mark.parametrize(
    ("setting", "level", "status"), [("0", 0, "I"), ("0", 1, "W"), ("1", 0, "W"), ("1", 1, "I")]
)
def test_a_sticky_first_phase_goes_where_the_input_points(
    setting: str, level: int, status: str
) -> None:
    host = ready()
    host.pump.ttl(3, level, host.now)
    host.tell(f"DIN{setting}", "DIRSTK")
    assert host.ask("RUN") == f"00{status}"


# -- events -------------------------------------------------------------------------------------------


def trapped(function: str, *settings: str) -> Host:
    """Phase 1 sets the trap, 2 pumps, 3 stops; the trap leads to 4, which withdraws."""
    host = ready(*settings)
    host.tell(f"FUN{function}", "PHN2", "FUNRAT", "RAT60MH", "PHN4", "FUNRAT", "RAT60MH", "DIRWDR")
    host.tell("RUN")
    return host


def test_an_event_leads_to_the_phase_of_its_trap_at_once() -> None:
    host = trapped("EVN04")
    host.wait(60.0)
    host.pump.ttl(4, FALL, host.now)
    host.wait(30.0)
    assert host.ask("DIS") == "00WI1.000W0.500ML"


@pytest.mark.parametrize(("position", "status"), [("once", "I"), ("stays", "T")])
def test_a_sprung_trap_is_gone_or_stays(position: str, status: str) -> None:
    host = ready(f"event_trap={position}")
    host.tell("FUNEVN03", "PHN2", "FUNRAT", "RAT60MH", "PHN3", "FUNPAS01")
    host.tell("PHN4", "FUNRAT", "RAT60MH", "RUN")
    host.pump.ttl(4, FALL, host.now)
    assert host.ask("") == "00T"
    host.wait(1.0)
    host.pump.ttl(4, RISE, host.now)
    assert host.ask("") == "00I"
    host.pump.ttl(4, FALL, host.now)
    assert host.ask("") == f"00{status}"


def test_a_trap_springs_at_a_falling_edge_and_a_square_one_at_both() -> None:
    for function, status in (("EVN04", "I"), ("EVS04", "W")):
        host = awake()
        host.tell("RAT60MH")
        host.pump.ttl(4, FALL, host.now)
        host.tell(f"FUN{function}", "PHN2", "FUNRAT", "RAT60MH")
        host.tell("PHN4", "FUNRAT", "RAT60MH", "DIRWDR", "RUN")
        assert seen(host, 4, [RISE]) == status


def test_a_trap_can_be_taken_away_and_no_program_inherits_one() -> None:
    host = ready()
    host.tell("FUNEVN04", "PHN2", "FUNEVR", "PHN3", "FUNRAT", "RAT60MH", "RUN")
    assert seen(host, 4, [FALL, RISE]) == "II"
    host = trapped("EVN04")
    host.tell("STP", "STP", "RUN2")
    assert seen(host, 4, [FALL]) == "I"


def test_an_event_ends_a_timed_pause_and_passes_by_a_paused_program() -> None:
    host = ready()
    host.tell("FUNEVN04", "PHN2", "FUNPAS99", "PHN4", "FUNRAT", "RAT60MH", "RUN")
    host.tell("STP")
    assert seen(host, 4, [FALL, RISE]) == "PP"
    assert host.ask("RUN") == "00T"
    assert seen(host, 4, [FALL]) == "I"
    host.wait(200.0)
    assert host.ask("") == "00I"


def test_a_host_can_make_an_event_with_the_trap_or_with_a_phase() -> None:
    host = trapped("EVN04")
    assert host.ask("RUN E") == "00W"
    assert host.ask("RUN E") == "00W?NA"
    assert [host.ask("RUN E 2"), host.ask("RUN E 42"), host.ask("RUN EX")] == [
        "00I",
        "00I?OOR",
        "00I?",
    ]


def test_the_trigger_input_and_the_stop_key_can_be_made_events() -> None:
    for trigger in ("ET", "BT"):
        host = ready()
        host.tell("FUNEVN04", "PHN2", f"FUNTRG{trigger}", "PHN3", "FUNRAT", "RAT60MH")
        host.tell("PHN4", "FUNRAT", "RAT60MH", "DIRWDR", "RUN")
        host.pump.ttl(2, FALL, host.now)
        assert host.ask("") == ("00W" if trigger == "ET" else "00I")
        host.pump.inject("keypad_stop", host.now)
        assert host.ask("") == ("00P" if trigger == "ET" else "00W")


# -- what a program reads; keys -----------------------------------------------------------------------


@pytest.mark.parametrize(("level", "status"), [(FALL, "W"), (RISE, "I")])
def test_a_program_goes_by_the_level_of_its_input(level: int, status: str) -> None:
    host = ready()
    host.pump.ttl(6, level, host.now)
    host.tell("FUNIF03", "PHN2", "FUNRAT", "RAT60MH", "PHN3", "FUNRAT", "RAT60MH", "DIRWDR")
    assert host.ask("RUN") == f"00{status}"


def test_levels_belong_to_the_world_and_stay_over_a_power_cycle_and_in_a_snapshot() -> None:
    host = ready()
    host.pump.ttl(6, FALL, host.now)
    kept = host.pump.snapshot()
    host.pump.power_cycle(host.now)
    assert [host.ask(""), host.ask("IN6")] == ["00A?R", "00S0"]
    host.pump.ttl(6, RISE, host.now)
    host.pump.restore(kept)
    assert host.ask("IN6") == "00S0"


def test_a_model_without_keys_has_none_to_press() -> None:
    host = ready(model="ne-500")
    host.tell("RUN")
    with pytest.raises(FaultError, match="NE500 has no keys"):
        host.pump.inject("keypad_stop", host.now)
    assert host.ask("") == "00I"


def test_a_key_can_set_the_rate_of_a_peristaltic_pump() -> None:
    host = awake(model="ne-9000")
    host.tell("RAT1MM", "RUN")
    host.pump.inject("keypad_rate", host.now, rate_ml_h=120)
    assert host.ask("RAT") == "00I2.000MM"
