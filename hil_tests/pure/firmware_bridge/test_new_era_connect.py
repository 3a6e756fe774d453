"""Meeting a New Era pump, configuring it, and leaving it as it was found."""

from __future__ import annotations

import pytest

from firmware_bridge.dialect import Ask, HostDialect, Syringe
from firmware_bridge.errors import (
    NoAnswer,
    PumpRefused,
)
from firmware_bridge.messages import PumpAlarm, PumpState
from firmware_bridge.protocols.new_era import NewEra
from firmware_bridge.quantities import Duration, Volume
from hil_tests.pure.firmware_bridge.new_era_double import (
    BD_20,
    LEASE,
    RATE,
    TARGET,
    Double,
    play,
)

# --- connecting -------------------------------------------------------------------------------------


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


# --- configuring ------------------------------------------------------------------------------------


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


# --- restoring --------------------------------------------------------------------------------------


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


def test_a_diameter_that_would_clear_the_count_of_a_lost_controller_is_left_and_named(
    ready: NewEra, pump: Double
) -> None:
    kept = pump.settings["DIA"]
    pump.heard.clear()
    report = play(ready.restore(keep_count=True), ready, pump)
    assert pump.settings["DIA"] == kept
    assert not any(text.startswith("0DIA") for text in pump.heard)
    assert any(line.startswith("not DIA ") for line in report)
    assert pump.settings["SAF"] == "0"


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
