"""Alarms that the procedure raises: what is left in the syringe, who has seen what, and ids of the table."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import controller.procedure
from controller.alarms import ALARMS, Priority
from controller.procedure.events import AlarmAcknowledged, EmergencyStopRequested
from controller.procedure.table import State
from controller.procedure.visit import begin
from firmware_bridge.messages import PumpAlarm
from firmware_bridge.quantities import Volume
from hil_tests.pure.controller.visit_driver import LIBRARY, Stage


def with_only(ml: float) -> Stage:
    stage = Stage()
    syringe = replace(stage.plan.syringe, loaded=Volume.from_ml(ml))
    stage.plan = replace(stage.plan, syringe=syringe)
    stage.visit = begin(stage.plan)
    return stage


def test_the_last_tenth_of_the_syringe_is_told_and_goes_on() -> None:
    stage = with_only(3.8).to_infusing()
    stage.run(2_000)
    assert not stage.alarms
    stage.run(690)
    assert stage.alarms["near_empty"].priority is Priority.MEDIUM
    assert stage.alarms["near_empty"].limit == pytest.approx(0.38)
    stage.run(30, until=State.RECOVERING)
    assert stage.at(State.RECOVERING)
    assert stage.alarms.keys() == {"near_empty"}


def test_an_empty_syringe_is_a_high_alarm_in_the_place_of_the_other() -> None:
    stage = with_only(3.5).to_infusing()
    stage.run(2_730)
    assert stage.alarm_history == ["near_empty", "empty"]
    assert stage.alarms.keys() == {"empty"}
    assert "3.5 mL loaded" in stage.alarms["empty"].text


def test_a_full_syringe_says_nothing_in_a_whole_visit() -> None:
    stage = Stage().to_recovering().discharge()
    assert not stage.alarm_history


def test_an_acknowledgement_needs_a_name_and_an_alarm_of_the_table() -> None:
    stage = Stage().to_infusing()
    stage.feed(AlarmAcknowledged(""))
    assert "named role" in stage.why_refused()
    stage.feed(AlarmAcknowledged("nurse", "no_such"))
    assert "no alarm 'no_such'" in stage.why_refused()
    assert not stage.acknowledged
    stage.feed(AlarmAcknowledged("nurse", "link_lost"))
    stage.feed(AlarmAcknowledged("nurse"))
    assert [(a.alarm_id, a.by) for a in stage.acknowledged] == [
        ("link_lost", "nurse"),
        ("", "nurse"),
    ]


def test_acknowledging_resumes_nothing_and_clears_nothing() -> None:
    stage = Stage().to_infusing()
    stage.pump.alarms = PumpAlarm.OCCLUSION
    stage.report()
    stage.feed(AlarmAcknowledged("nurse"))
    stage.run(5)
    assert stage.at(State.HOLDING)
    assert "pump_occlusion" in stage.alarms


def test_alarms_can_be_acknowledged_after_the_stop() -> None:
    stage = Stage().to_infusing()
    stage.feed(EmergencyStopRequested("nurse"))
    stage.feed(AlarmAcknowledged("nurse"))
    assert stage.acknowledged


def test_every_alarm_that_the_procedure_names_has_a_row() -> None:
    named = re.compile(r"(?:raise|clear)_alarm\(\s*\"(\w+)\"|_stop_for\(draft, \"(\w+)\"")
    found = {
        name
        for file in Path(controller.procedure.__path__[0]).glob("*.py")
        for pair in named.findall(file.read_text())
        for name in pair
        if name
    }
    assert len(found) > 20
    assert found <= set(ALARMS)


def test_every_pump_alarm_and_every_limit_of_the_library_has_a_row() -> None:
    assert {f"pump_{(bit.name or '').lower()}" for bit in PumpAlarm} <= set(ALARMS)
    for limits in LIBRARY.drugs.values():
        assert {limit.alarm_id for limit in limits.vitals} <= set(ALARMS)
    for drug in LIBRARY.names:
        rescue = LIBRARY.rescue(drug, age_years=40, weight_kg=70)
        assert {limit.alarm_id for limit in rescue.vitals} <= set(ALARMS)
