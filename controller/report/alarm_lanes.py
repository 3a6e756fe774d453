"""The alarms of a visit as lanes of a figure: one for each priority, the most urgent on top, none hidden.

Alarms that stand at the same time get rows of their own, so that none covers another.
"""

from __future__ import annotations

from controller.report import clock
from controller.report.alarms import MARK, AlarmSpan, look_of
from controller.report.figure import Bar, Lane

ROWS = 4
"""For one priority; a fifth alarm at the same time shares the last row, and the table has it anyway."""


def alarm_lanes(raised: tuple[AlarmSpan, ...], end_s: float) -> tuple[Lane, ...]:
    """The lanes of every priority that was raised; no alarm, no lane."""
    lanes: list[Lane] = []
    for priority, mark in MARK.items():
        bars = [_bar(alarm, end_s) for alarm in raised if look_of(alarm.priority) == priority]
        for index, row in enumerate(_rows(bars)):
            lanes.append(Lane("" if lanes else "Alarms", tuple(row), "" if index else mark))
    return tuple(lanes)


def _rows(bars: list[Bar]) -> list[list[Bar]]:
    """Each bar in the first row that is free from its start on."""
    rows: list[list[Bar]] = []
    for bar in bars:
        free = next((row for row in rows if row[-1].end_s < bar.start_s), None)
        if free is not None:
            free.append(bar)
        elif len(rows) < ROWS:
            rows.append([bar])
        else:
            rows[-1].append(bar)
    return rows


def _bar(alarm: AlarmSpan, end_s: float) -> Bar:
    look = look_of(alarm.priority)
    ended_s = end_s if alarm.ended_s is None else alarm.ended_s
    text = f"{MARK[look]} {alarm.text}, {clock.at(alarm.since_s)}"
    return Bar(alarm.since_s, ended_s, f"a-{look}", text)
