"""The alarm board and its table: which alarm is active, which is latched, and who has seen it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.alarm_board import RANK, Alarm, AlarmBoard
from controller.alarms import ALARMS, FIRST_SET, Priority
from controller.metrics import EVENT_CODES
from controller.procedure.effects import AcknowledgeAlarm, ClearAlarm, RaiseAlarm

SPO2 = RaiseAlarm("vitals_spo2_pct", "SpO2 88 %", 88.0, 90.0, "pct")
REFUSED = RaiseAlarm("delivery_refused", "the pump said no")
WARN = RaiseAlarm("vitals_spo2_pct_warn", "SpO2 93 %", 93.0, 94.0, "pct")


@pytest.fixture
def board() -> AlarmBoard:
    return AlarmBoard()


def test_an_alarm_that_is_raised_is_active_with_its_value_and_limit(board: AlarmBoard) -> None:
    alarm = board.raise_alarm(SPO2, 1_000)
    assert alarm == Alarm("vitals_spo2_pct", "SpO2 88 %", 88.0, 90.0, "pct", 1_000, active=True)
    assert (alarm.state, alarm.phase, alarm.inactivation) == ("active", "start", "enabled")
    assert board.active == [alarm]
    assert alarm.rank == 3


def test_an_empty_board_lists_nothing(board: AlarmBoard) -> None:
    assert (board.listed(), board.active) == ([], [])


def test_an_alarm_raised_again_keeps_its_onset_and_takes_the_new_value(board: AlarmBoard) -> None:
    board.raise_alarm(SPO2, 1_000)
    worse = RaiseAlarm("vitals_spo2_pct", "SpO2 84 %", 84.0, 90.0, "pct")
    alarm = board.raise_alarm(worse, 5_000)
    assert (alarm.onset_ms, alarm.value, alarm.phase) == (1_000, 84.0, "update")
    assert len(board.listed()) == 1


def test_a_high_alarm_whose_condition_is_gone_stays_latched_until_somebody_has_seen_it(
    board: AlarmBoard,
) -> None:
    board.raise_alarm(SPO2, 1_000)
    over = board.clear(ClearAlarm(SPO2.alarm_id))
    assert over is not None
    assert (over.active, over.state, over.phase) == (False, "latched", "end")
    assert board.listed() == [over]
    assert board.active == []
    [seen] = board.acknowledge("", "nurse")
    assert (seen.state, seen.phase, seen.by) == ("inactive", "acknowledged", "nurse")
    assert board.listed() == []


def test_acknowledging_silences_and_does_not_end_what_still_holds(board: AlarmBoard) -> None:
    board.raise_alarm(SPO2, 1_000)
    [seen] = board.acknowledge(SPO2.alarm_id, "nurse")
    assert (seen.state, seen.inactivation) == ("active", "acknowledged")
    assert board.acknowledge("", "nurse") == []
    over = board.clear(ClearAlarm(SPO2.alarm_id))
    assert over is not None
    assert over.state == "inactive"


def test_an_alarm_that_comes_back_must_be_seen_anew(board: AlarmBoard) -> None:
    board.raise_alarm(SPO2, 1_000)
    board.acknowledge("", "nurse")
    board.clear(ClearAlarm(SPO2.alarm_id))
    again = board.raise_alarm(SPO2, 9_000)
    assert (again.onset_ms, again.acknowledged, again.phase) == (9_000, False, "start")
    assert board.raised_ever == [SPO2.alarm_id]


def test_an_alarm_that_does_not_latch_ends_with_its_condition(board: AlarmBoard) -> None:
    board.raise_alarm(WARN, 1_000)
    over = board.clear(ClearAlarm(WARN.alarm_id))
    assert over is not None
    assert over.state == "inactive"
    assert board.listed() == []


def test_ending_what_is_not_active_is_nothing_to_tell(board: AlarmBoard) -> None:
    assert board.changed(ClearAlarm(SPO2.alarm_id), 0) == []
    board.raise_alarm(SPO2, 1_000)
    assert len(board.changed(ClearAlarm(SPO2.alarm_id), 0)) == 1
    assert board.changed(ClearAlarm(SPO2.alarm_id), 0) == []


def test_naming_another_alarm_acknowledges_nothing(board: AlarmBoard) -> None:
    board.raise_alarm(SPO2, 1_000)
    assert board.changed(AcknowledgeAlarm(REFUSED.alarm_id, "nurse"), 0) == []


def test_active_comes_before_latched_then_high_before_low_then_old_before_new(
    board: AlarmBoard,
) -> None:
    board.raise_alarm(WARN, 1_000)
    board.raise_alarm(REFUSED, 2_000)
    board.raise_alarm(SPO2, 3_000)
    board.raise_alarm(RaiseAlarm("vitals_stale", "no vitals"), 2_500)
    board.raise_alarm(RaiseAlarm("fault", "a bug"), 500)
    board.clear(ClearAlarm("fault"))
    assert [alarm.id for alarm in board.listed()] == [
        "vitals_stale",
        SPO2.alarm_id,
        REFUSED.alarm_id,
        WARN.alarm_id,
        "fault",
    ]


@given(
    st.lists(st.tuples(st.sampled_from(["raise", "clear", "ack"]), st.sampled_from(sorted(ALARMS))))
)
def test_no_high_alarm_ever_leaves_the_board_unseen(steps: list[tuple[str, str]]) -> None:
    board = AlarmBoard()
    unseen: set[str] = set()
    for now, (verb, alarm_id) in enumerate(steps):
        if verb == "raise":
            board.raise_alarm(RaiseAlarm(alarm_id, "it is so"), now)
            unseen.add(alarm_id)
        elif verb == "clear":
            board.clear(ClearAlarm(alarm_id))
        else:
            unseen -= {alarm.id for alarm in board.acknowledge(alarm_id, "nurse")}
        high = {i for i in unseen if ALARMS[i].priority is Priority.HIGH}
        on_board = {alarm.id for alarm in board.listed() if not alarm.acknowledged}
        assert high <= on_board | {a.id for a in board.listed() if a.acknowledged}
        assert all(a.rank <= board.active[0].rank for a in board.active)


# --- the table ------------------------------------------------------------------------------------


def test_every_row_has_an_id_that_may_become_a_topic_and_a_fixed_priority() -> None:
    for alarm_id, row in ALARMS.items():
        assert row.id == alarm_id
        assert re.fullmatch(r"[a-z0-9_]{1,48}", alarm_id)
        assert row.priority in RANK
        assert row.title
        assert row.action


def test_every_high_alarm_latches() -> None:
    assert all(row.latching for row in ALARMS.values() if row.priority is Priority.HIGH)


def test_every_refid_is_one_of_the_code_table() -> None:
    assert {row.mdc for row in ALARMS.values() if row.mdc} <= set(EVENT_CODES)


def test_the_first_set_names_rows_of_the_table() -> None:
    for name, ids in FIRST_SET.items():
        assert ids, name
        assert set(ids) <= set(ALARMS), name
