"""An alarm as the dashboards get it: everything its row says, and the side of the limit it is on."""

from __future__ import annotations

import json

import pytest

from controller.alarm_board import AlarmBoard
from controller.alarms import ALARMS
from controller.announcer import alarm_view
from controller.log_format import Stamp
from controller.metrics import EVENT_CODES
from controller.procedure.effects import ClearAlarm, RaiseAlarm
from controller.telemetry import Telemetry

TELEMETRY = Telemetry(device="bench-1", boot="0" * 12, session="S-0001", simulated=True)


def told(raised: RaiseAlarm, *, over: bool = False, seen: bool = False) -> dict[str, object]:
    board = AlarmBoard()
    alarm = board.raise_alarm(raised, 1_000)
    if seen:
        [alarm] = board.acknowledge("", "nurse")
    if over:
        alarm = board.clear(ClearAlarm(raised.alarm_id)) or alarm
    record: dict[str, object] = json.loads(
        TELEMETRY.alarm(Stamp(2_000, 1_000), alarm_view(alarm, 7)).payload
    )
    return record


@pytest.mark.parametrize(
    ("value", "limit", "mdc"),
    [(88.0, 90.0, "MDC_EVT_LO"), (160.0, 150.0, "MDC_EVT_HI"), (None, None, None)],
)
def test_a_value_beyond_its_limit_says_on_which_side(
    value: float | None, limit: float | None, mdc: str | None
) -> None:
    record = told(RaiseAlarm("vitals_hr_bpm", "it is so", value, limit, "bpm"))
    assert record.get("mdc") == mdc
    assert record.get("mdc_code") == (EVENT_CODES[mdc] if mdc else None)
    assert (record["kind"], record["priority"], record["priority_n"]) == (
        "physiological",
        "high",
        3,
    )
    assert record["action"] == "delivery is held"


def test_an_occlusion_carries_its_own_code() -> None:
    record = told(RaiseAlarm("pump_occlusion", "pump alarm: occlusion"))
    assert (record["mdc"], record["mdc_code"]) == ("MDC_EVT_FLUID_LINE_OCCL", 196_940)
    assert record["kind"] == "technical"


@pytest.mark.parametrize(
    ("over", "seen", "state", "inactivation", "phase"),
    [
        (False, False, "active", "enabled", "start"),
        (False, True, "active", "acknowledged", "acknowledged"),
        (True, False, "latched", "enabled", "end"),
        (True, True, "inactive", "acknowledged", "end"),
    ],
)
def test_state_latch_and_acknowledgement_are_told_apart(
    over: bool, seen: bool, state: str, inactivation: str, phase: str
) -> None:
    record = told(RaiseAlarm("link_lost", "unplugged"), over=over, seen=seen)
    assert (record["state"], record["inactivation"], record["phase"]) == (
        state,
        inactivation,
        phase,
    )


@pytest.mark.parametrize("alarm_id", sorted(ALARMS))
def test_every_row_of_the_table_may_be_published(alarm_id: str) -> None:
    record = told(RaiseAlarm(alarm_id, "it is so"))
    assert (record["id"], record["priority"]) == (alarm_id, ALARMS[alarm_id].priority.value)
