"""Every alarm of a log: how urgent it was, since when, how long, and the value that raised it."""

from __future__ import annotations

from dataclasses import dataclass

from controller.log_format import Kind
from controller.report.reading import number_in, text_in
from controller.report.story import Moment, Story
from controller.wording import number

RANK = {"high": 3, "medium": 2, "low": 1}
MARK = {"high": "!!!", "medium": "!!", "low": "!"}


@dataclass(frozen=True, slots=True)
class AlarmSpan:
    """One alarm from its onset to its end; ``ended_s`` None: it held to the end of the log."""

    id: str
    priority: str
    text: str
    since_s: float
    ended_s: float | None
    value: str
    limit: str


def alarms(story: Story) -> tuple[AlarmSpan, ...]:
    """Every alarm, in the order in which they began."""
    open_since: dict[str, Moment] = {}
    found: list[AlarmSpan] = []
    for moment in story.of_kind(Kind.ALARM):
        alarm_id = text_in(moment.record, "alarm")
        if moment.record.get("active") is True:
            first = open_since.get(alarm_id)
            if first is not None and first.record.get("priority") == moment.record.get("priority"):
                continue
            if first is not None:  # it became more or less urgent: another stretch begins
                found.append(_span(first, moment.at_s))
            open_since[alarm_id] = moment
        elif alarm_id in open_since:
            found.append(_span(open_since.pop(alarm_id), moment.at_s))
    found += [_span(first, None) for first in open_since.values()]
    return tuple(sorted(found, key=lambda alarm: alarm.since_s))


def highest(found: tuple[AlarmSpan, ...]) -> str:
    """The highest priority among them; empty where there is none."""
    return max((a.priority for a in found), key=lambda name: RANK.get(name, 0), default="")


def _span(first: Moment, ended_s: float | None) -> AlarmSpan:
    record = first.record
    unit = text_in(record, "unit")
    return AlarmSpan(
        id=text_in(record, "alarm"),
        priority=text_in(record, "priority"),
        text=text_in(record, "text") or text_in(record, "alarm"),
        since_s=first.at_s,
        ended_s=ended_s,
        value=_measured(number_in(record, "value"), unit),
        limit=_measured(number_in(record, "limit"), unit),
    )


def _measured(value: float | None, unit: str) -> str:
    return "" if value is None else f"{number(value)} {unit}".strip()
