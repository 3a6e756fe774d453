"""Vital signs and pump reports: persistence, staleness, counters, pace, a motor that runs unasked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.alarms import Priority
from controller.procedure.decide import decide
from controller.procedure.effects import Outcome, Record, StartTimer, StopPump
from controller.procedure.events import (
    Failed,
    PumpReported,
    Started,
    TimerFired,
    VitalsArrived,
    VitalsLost,
    vitals_arrived,
)
from controller.procedure.pump_watch import _off_pace
from controller.procedure.table import State
from controller.procedure.visit import Delivery, Kind, Status
from firmware_bridge.messages import PumpAlarm, PumpState
from firmware_bridge.quantities import Mass, Rate, Volume
from hil_tests.pure.controller.visit_driver import GOOD, Stage, snapshot


@pytest.fixture
def stage() -> Stage:
    return Stage().to_infusing()


@pytest.mark.parametrize(
    ("key", "value", "seconds"),
    [
        ("spo2_pct", 89.0, 15),
        ("hr_bpm", 49.0, 5),
        ("hr_bpm", 151.0, 5),
        ("rr_bpm", 9.0, 10),
        ("rr_bpm", 31.0, 10),
        ("nibp_sys_mmhg", 89.0, 0),
        ("nibp_sys_mmhg", 181.0, 0),
        ("nibp_dia_mmhg", 111.0, 0),
    ],
)
def test_a_vital_sign_outside_its_limit_holds_once_it_lasts(
    stage: Stage, key: str, value: float, seconds: int
) -> None:
    assert stage.vitals is not None
    stage.vitals[key] = value
    stage.run(seconds)
    assert stage.at(State.INFUSING)
    stage.run(2)
    assert stage.at(State.HOLDING)
    alarm = stage.alarms[f"vitals_{key}"]
    assert alarm.priority is Priority.HIGH
    assert (alarm.value, alarm.unit) == (value, key.rpartition("_")[2])
    assert alarm.limit is not None


@pytest.mark.parametrize("key", ["spo2_pct", "hr_bpm", "rr_bpm", "nibp_sys_mmhg", "nibp_dia_mmhg"])
def test_a_value_at_its_limit_is_inside(stage: Stage, key: str) -> None:
    low = {"spo2_pct": 94, "hr_bpm": 50, "rr_bpm": 10, "nibp_sys_mmhg": 90, "nibp_dia_mmhg": 110}
    assert stage.vitals is not None
    stage.vitals[key] = float(low[key])
    stage.run(60)
    assert stage.at(State.INFUSING)
    assert not stage.alarms


def test_spo2_below_94_warns_and_does_not_hold(stage: Stage) -> None:
    assert stage.vitals is not None
    stage.vitals["spo2_pct"] = 93.0
    stage.run(60)
    assert stage.at(State.INFUSING)
    assert stage.alarms["vitals_spo2_pct_warn"].priority is Priority.LOW
    stage.vitals["spo2_pct"] = 96.0
    stage.run(2)
    assert not stage.alarms


def test_a_dip_shorter_than_its_persistence_is_forgotten(stage: Stage) -> None:
    assert stage.vitals is not None
    for _ in range(5):
        stage.vitals["spo2_pct"] = 88.0
        stage.run(12)
        stage.vitals["spo2_pct"] = 97.0
        stage.run(5)
    assert stage.at(State.INFUSING)


@pytest.mark.parametrize("key", ["spo2_pct", "hr_bpm", "nibp_sys_mmhg"])
def test_an_invalid_value_is_unsafe_after_ten_seconds(stage: Stage, key: str) -> None:
    assert stage.vitals is not None
    del stage.vitals[key]
    stage.run(10)
    assert stage.at(State.INFUSING)
    stage.run(2)
    assert stage.at(State.HOLDING)
    assert "no valid value" in stage.visit.chart.hold_reason


def test_silence_of_ten_seconds_holds(stage: Stage) -> None:
    stage.vitals = None
    stage.run(9)
    assert stage.at(State.INFUSING)
    stage.run(2)
    assert stage.at(State.HOLDING)
    assert "vitals_stale" in stage.alarms


def test_samples_that_do_not_count_up_are_silence(stage: Stage) -> None:
    stage.vitals = None
    for _ in range(12):
        stage.run(1)
        stage.feed(VitalsArrived(GOOD, stage.seq))
    assert stage.at(State.HOLDING)


def test_a_lost_monitor_holds_at_once_and_may_count_from_the_beginning_later(stage: Stage) -> None:
    stage.feed(VitalsLost())
    assert stage.at(State.HOLDING)
    stage.seq = 0
    stage.run(3)
    assert not stage.alarms
    stage.answer("holding", "resume")
    assert stage.at(State.INFUSING)


def test_a_cuff_reading_older_than_seven_minutes_is_unsafe(stage: Stage) -> None:
    assert stage.vitals is not None
    stage.vitals["nibp_age_s"] = 420.0
    stage.run(5)
    assert stage.at(State.INFUSING)
    stage.vitals["nibp_age_s"] = 421.0
    stage.run(2)
    assert stage.at(State.HOLDING)
    assert "too old" in stage.visit.chart.hold_reason


def test_a_pressure_of_unknown_age_is_unsafe(stage: Stage) -> None:
    assert stage.vitals is not None
    del stage.vitals["nibp_age_s"]
    stage.run(2)
    assert stage.at(State.HOLDING)
    assert "of an unknown age" in stage.visit.chart.hold_reason


def test_recovered_vitals_clear_the_alarm_and_do_not_resume(stage: Stage) -> None:
    assert stage.vitals is not None
    stage.vitals["hr_bpm"] = 160.0
    stage.run(10)
    stage.vitals["hr_bpm"] = 80.0
    stage.run(60)
    assert stage.at(State.HOLDING)
    assert not stage.alarms


def test_a_line_of_the_monitor_yields_only_valid_numbers() -> None:
    event = vitals_arrived(
        {
            "seq": 4,
            "hr_bpm": 70,
            "spo2_pct": 97.0,
            "rr_bpm": float("nan"),
            "nibp_sys_mmhg": "120",
            "nibp_dia_mmhg": True,
            "etco2_mmhg": None,
            "invalid": ["spo2_pct", ["odd"]],
            "signs": {
                "dissociation_pct": 12.5,
                "anxious": False,
                "toxicity": "tinnitus",
                "odd": "a sentence",
            },
        }
    )
    assert event.sample == {"hr_bpm": 70.0}
    assert event.signs == {"dissociation_pct": 12.5, "anxious": False, "toxicity": "tinnitus"}
    assert event.seq == 4


@pytest.mark.parametrize("raw", [{}, {"seq": "x", "invalid": 3, "signs": 4}, {"hr_bpm": []}])
def test_a_line_of_nonsense_is_a_sample_of_nothing(raw: dict[str, object]) -> None:
    event = vitals_arrived(raw)
    assert event.sample == {}
    assert event.seq == -1


# --- the pump ---------------------------------------------------------------------------------------


def test_a_report_that_says_nothing_new_changes_nothing() -> None:
    stage = Stage().to_observing()
    stage.report()
    decision = decide(stage.state, stage.visit, stage.pump.report(), stage.now)
    assert decision.visit is stage.visit
    assert decision.effects == ()


def test_delivered_comes_from_reports_only(stage: Stage) -> None:
    before = stage.infused
    stage.now += 100
    assert stage.infused == before
    stage.report()
    assert stage.infused > before


def test_progress_is_recorded_every_fiftieth_of_a_millilitre(stage: Stage) -> None:
    before = len(stage.records)
    stage.run(600)
    noted = [r for r in stage.records[before:] if r.data.get("what") == "delivered"]
    assert 20 <= len(noted) <= 28


@pytest.mark.parametrize(
    "alarm", [bit for bit in PumpAlarm if bit.name not in {"STOP_UNCONFIRMED", "IDENTITY_CHANGED"}]
)
def test_every_alarm_of_the_pump_stops_delivery(stage: Stage, alarm: PumpAlarm) -> None:
    stage.pump.alarms = alarm
    stage.report()
    expected = State.EMERGENCY_STOPPED if alarm is PumpAlarm.ESTOP_LATCHED else State.HOLDING
    assert stage.at(expected)


@pytest.mark.parametrize("alarm", [PumpAlarm.STOP_UNCONFIRMED, PumpAlarm.IDENTITY_CHANGED])
def test_what_cannot_be_trusted_any_more_is_a_fault(stage: Stage, alarm: PumpAlarm) -> None:
    stage.pump.alarms = alarm
    stage.report()
    assert stage.outcomes == [Outcome.FAULT]


def test_alarms_before_the_self_test_are_its_business() -> None:
    stage = Stage()
    stage.pump.alarms = PumpAlarm.RESET
    stage.feed(stage.pump.report())
    assert not stage.alarms


def test_an_occlusion_alarm_clears_when_the_pump_says_so(stage: Stage) -> None:
    stage.pump.alarms = PumpAlarm.OCCLUSION
    stage.report()
    assert "pump_occlusion" in stage.alarms
    stage.pump.alarms = PumpAlarm.NONE
    stage.report()
    assert "pump_occlusion" not in stage.alarms
    assert "pump_occlusion" not in stage.alarms


def test_a_counter_that_stands_for_a_minute_at_a_tenth_of_a_millilitre_an_hour_is_no_fault(
    stage: Stage,
) -> None:
    slow = stage.visit.account.deliveries[-1]
    slow = replace(
        slow,
        rate=Rate.from_ml_h("0.1"),
        programmed_rate=Rate.from_ml_h("0.1"),
        delivered=Volume(0),
        started_at=0.0,
    )
    for counted, seconds, off in ((0, 60, False), (0, 600, True), (30_000, 60, True)):
        assert _off_pace(slow, Volume(counted), float(seconds), 15.0) is off


@pytest.mark.parametrize("factor", [70, 130])
def test_a_pump_that_runs_too_slow_or_too_fast_is_stopped(stage: Stage, factor: int) -> None:
    stage.pump.speed_pct = factor
    stage.run(300)
    assert stage.at(State.HOLDING)
    assert "delivery_pace" in stage.alarms


def test_more_than_programmed_is_stopped(stage: Stage) -> None:
    stage.run(10)
    stage.feed(PumpReported(snapshot(PumpState.RUNNING, Volume.from_ml(2.6)), 7))
    assert stage.at(State.HOLDING)
    assert "delivery_over" in stage.alarms
    assert stage.visit.account.given(stage.now).visit.mg >= 36


def test_a_report_from_before_the_start_is_not_counted(stage: Stage) -> None:
    old = snapshot(PumpState.COMPLETED, Volume.from_ml(1), age_ms=60_000)
    stage.feed(PumpReported(old, 7))
    assert stage.at(State.INFUSING)
    assert stage.infused < Volume.from_ml(0.1)


def test_a_state_that_is_not_known_counts_for_nothing(stage: Stage) -> None:
    before = stage.visit.account
    stage.feed(PumpReported(snapshot(PumpState.UNKNOWN, Volume.from_ml(2)), 7))
    assert stage.visit.account == before


@pytest.mark.parametrize("state", [State.BASELINE, State.OBSERVING])
def test_a_motor_that_runs_unasked_is_stopped(state: State) -> None:
    stage = Stage()
    (stage.to_baseline if state is State.BASELINE else stage.to_observing)()
    stops = sum(isinstance(e, StopPump) for e in stage.effects)
    stage.now += 1
    infused = stage.visit.account.delivered
    stage.feed(PumpReported(snapshot(PumpState.RUNNING, infused), 7))
    assert sum(isinstance(e, StopPump) for e in stage.effects) == stops + 1
    assert "delivery_unasked" in stage.alarms
    expected = State.HOLDING if state is State.OBSERVING else State.BASELINE
    assert stage.at(expected)
    stage.feed(PumpReported(snapshot(PumpState.STOPPED, infused), 7))
    assert "delivery_unasked" not in stage.alarms


def test_a_report_read_before_the_stop_is_no_motor_that_runs_unasked(stage: Stage) -> None:
    stage.answer("supervise", "hold")
    infused = stage.infused
    stage.feed(PumpReported(snapshot(PumpState.RUNNING, infused, age_ms=500), 7))
    assert "delivery_unasked" not in stage.alarms


def test_what_the_pump_still_reports_after_its_target_is_counted() -> None:
    stage = Stage().to_test_bolus()
    stage.now += 60
    stage.feed(PumpReported(snapshot(PumpState.COMPLETED, Volume.from_ml(0.996)), 7))
    assert stage.at(State.OBSERVING)
    stage.feed(PumpReported(snapshot(PumpState.COMPLETED, Volume.from_ml(1)), 7))
    assert stage.visit.account.required.mg == 10
    assert stage.visit.account.last is not None
    assert stage.visit.account.last.status is Status.COMPLETED


def test_a_counter_that_goes_back_after_the_stop_is_uncertain(stage: Stage) -> None:
    stage.pump.answers_stop = False
    stage.run(100)
    stage.answer("supervise", "hold")
    stage.feed(PumpReported(snapshot(PumpState.STOPPED, Volume(0)), 7))
    assert stage.visit.account.last is not None
    assert stage.visit.account.last.status is Status.UNCERTAIN
    assert "delivery_counter" in stage.alarms
    stage.feed(PumpReported(snapshot(PumpState.STOPPED, Volume(0)), 7))


def test_the_stop_of_the_pump_side_is_the_emergency_stop() -> None:
    stage = Stage().to_observing()
    stage.pump.alarms = PumpAlarm.ESTOP_LATCHED
    stage.report()
    assert stage.outcomes == [Outcome.EMERGENCY_STOPPED]
    stage.report()
    assert stage.outcomes == [Outcome.EMERGENCY_STOPPED]


def test_the_latch_that_a_fault_sets_in_the_bridge_does_not_hide_the_fault(stage: Stage) -> None:
    stage.feed(Failed("a bug"))
    stage.pump.alarms = PumpAlarm.ESTOP_LATCHED
    stage.report()
    assert stage.at(State.FAULT)
    assert stage.outcomes == [Outcome.FAULT]


def test_a_hair_of_time_left_counts_as_none(stage: Stage) -> None:
    heard = stage.visit.vitals.heard_at
    assert heard is not None
    for left in (1e-9, 1e-13):
        decision = decide(
            stage.state, stage.visit, TimerFired("vitals_stale"), max(heard + 10 - left, stage.now)
        )
        started = [e for e in decision.effects if isinstance(e, StartTimer)]
        assert all(timer.seconds > 0.0005 for timer in started)


def test_a_monitor_that_never_spoke_is_announced_in_baseline() -> None:
    stage = Stage()
    stage.vitals = None
    stage.feed(Started())
    stage.run(60)
    assert not stage.alarms
    for _ in stage.plan.checklist:
        stage.answer("checklist", "yes")
    assert stage.at(State.BASELINE)
    assert "vitals_stale" in stage.alarms


def test_nothing_is_estimated_before_a_start() -> None:
    ordered = Delivery(1, Kind.TEST, Mass(10_000), Volume(1_000_000), Rate(60_000_000))
    assert ordered.estimated(5.0) == Volume(0)


def test_records_are_flat_and_carry_no_reserved_key() -> None:
    stage = Stage().to_recovering().discharge()
    reserved = {"v", "ts", "mono", "boot", "seq", "session", "kind", "h"}
    for record in (e for e in stage.effects if isinstance(e, Record)):
        assert not reserved & record.data.keys()
        for value in record.data.values():
            assert value is None or isinstance(value, str | int | float | bool)
