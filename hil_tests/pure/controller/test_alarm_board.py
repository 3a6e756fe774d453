"""The alarm board: which alarm is active, which was, and which comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.alarm_board import Alarm, AlarmBoard
from controller.procedure.effects import ClearAlarm, Priority, RaiseAlarm

SPO2 = RaiseAlarm("spo2.low", Priority.HIGH, "SpO2 88 %", 88.0, 90.0, "%")
LINK = RaiseAlarm("link.lost", Priority.MEDIUM, "the pump does not answer")
LATE = RaiseAlarm("log.slow", Priority.LOW, "the disk is slow")


@pytest.fixture
def board() -> AlarmBoard:
    return AlarmBoard()


def test_an_alarm_that_is_raised_is_active_with_its_value_and_limit(board: AlarmBoard) -> None:
    alarm = board.raise_alarm(SPO2, 1_000)
    assert alarm == Alarm(
        "spo2.low", Priority.HIGH, "SpO2 88 %", 88.0, 90.0, "%", 1_000, active=True
    )
    assert board.active == [alarm]
    assert alarm.rank == 3


def test_an_empty_board_lists_nothing(board: AlarmBoard) -> None:
    assert (board.listed(), board.active) == ([], [])


def test_an_alarm_raised_again_keeps_its_onset_and_takes_the_new_value(board: AlarmBoard) -> None:
    board.raise_alarm(SPO2, 1_000)
    worse = RaiseAlarm("spo2.low", Priority.HIGH, "SpO2 84 %", 84.0, 90.0, "%")
    alarm = board.raise_alarm(worse, 5_000)
    assert (alarm.onset_ms, alarm.value, len(board.listed())) == (1_000, 84.0, 1)


def test_an_alarm_that_is_over_stays_on_the_board_and_is_not_active(board: AlarmBoard) -> None:
    board.raise_alarm(SPO2, 1_000)
    over = board.clear(ClearAlarm("spo2.low"))
    assert over is not None
    assert (over.active, over.onset_ms, over.text) == (False, 1_000, "SpO2 88 %")
    assert board.listed() == [over]
    assert board.active == []


def test_ending_what_is_not_active_is_nothing_to_tell(board: AlarmBoard) -> None:
    assert board.clear(ClearAlarm("spo2.low")) is None
    board.raise_alarm(SPO2, 1_000)
    board.clear(ClearAlarm("spo2.low"))
    assert board.clear(ClearAlarm("spo2.low")) is None


def test_an_alarm_that_comes_back_begins_anew_and_is_counted_once(board: AlarmBoard) -> None:
    board.raise_alarm(SPO2, 1_000)
    board.clear(ClearAlarm("spo2.low"))
    again = board.raise_alarm(SPO2, 9_000)
    assert (again.active, again.onset_ms) == (True, 9_000)
    assert board.raised_ever == ["spo2.low"]


def test_active_comes_before_over_high_before_low_and_old_before_new(board: AlarmBoard) -> None:
    other = RaiseAlarm("hr.high", Priority.HIGH, "HR 150")
    for at_ms, effect in enumerate((LATE, LINK, other, SPO2)):
        board.raise_alarm(effect, at_ms)
    board.clear(ClearAlarm("hr.high"))
    assert [alarm.id for alarm in board.listed()] == [
        "spo2.low",
        "link.lost",
        "log.slow",
        "hr.high",
    ]
    assert [alarm.id for alarm in board.active] == ["spo2.low", "link.lost", "log.slow"]
    board.clear(ClearAlarm("spo2.low"))
    assert [alarm.rank for alarm in board.active] == [2, 1]


IDS = st.sampled_from(["a", "b", "c"])
CHANGES = st.lists(st.tuples(IDS, st.sampled_from([*Priority, None])), max_size=20)


@given(CHANGES)
def test_nothing_that_was_raised_ever_leaves_the_board(
    changes: list[tuple[str, Priority | None]],
) -> None:
    board, active = AlarmBoard(), dict[str, Priority]()
    for at_ms, (alarm_id, priority) in enumerate(changes):
        if priority is None:
            assert (board.clear(ClearAlarm(alarm_id)) is None) == (alarm_id not in active)
            active.pop(alarm_id, None)
        else:
            board.raise_alarm(RaiseAlarm(alarm_id, priority, ""), at_ms)
            active[alarm_id] = priority
    assert {alarm.id: alarm.priority for alarm in board.active} == active
    assert {alarm.id for alarm in board.listed()} == set(board.raised_ever)
