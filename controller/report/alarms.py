"""Every alarm of a log: how urgent it was, since when, how long, what raised it, and who saw it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller.log_format import Kind
from controller.reading import number_in, text_in
from controller.report.story import Moment, Story
from controller.wording import number, unit_text

RANK = {"high": 3, "medium": 2, "low": 1}
MARK = {"high": "!!!", "medium": "!!", "low": "!"}


@dataclass(frozen=True, slots=True)
class AlarmSpan:
    """One alarm from its onset to its end; ``ended_s`` None: it held to the end of the log.

    ``seen_by`` acknowledged it at ``seen_s``; empty where nobody did.
    """

    id: str
    priority: str
    text: str
    since_s: float
    ended_s: float | None
    value: str
    limit: str
    action: str
    seen_by: str = ""
    seen_s: float | None = None


def alarms(story: Story) -> tuple[AlarmSpan, ...]:
    """Every alarm, in the order in which they began; one that changes its priority begins again."""
    found: list[AlarmSpan] = []
    latest: dict[str, int] = {}
    for moment in story.of_kind(Kind.ALARM):
        alarm_id = text_in(moment.record, "alarm")
        index = latest.get(alarm_id)
        known = found[index] if index is not None else None
        standing = known is not None and known.ended_s is None
        if is_acknowledgement(moment):
            if known is not None and index is not None:
                by = text_in(moment.record, "by") or "somebody"
                found[index] = replace(known, seen_by=by, seen_s=moment.at_s)
            continue
        active = moment.record.get("active") is True
        new = active and not (known and standing and known.priority == _priority(moment))
        if known is not None and index is not None and standing and (new or not active):
            found[index] = replace(known, ended_s=moment.at_s)
        if new:
            latest[alarm_id] = len(found)
            found.append(_begun(moment))
    return tuple(found)


def is_acknowledgement(moment: Moment) -> bool:
    """Whether this record says that a person has seen an alarm."""
    return text_in(moment.record, "phase") == "acknowledged"


def highest(found: tuple[AlarmSpan, ...]) -> str:
    """The highest priority among them; empty where there is none."""
    return max((a.priority for a in found), key=lambda name: RANK.get(name, 0), default="")


def look_of(priority: str) -> str:
    """The priority it is shown as: a word that is none is shown as the lowest."""
    return priority if priority in MARK else "low"


def _priority(moment: Moment) -> str:
    return text_in(moment.record, "priority")


def _begun(moment: Moment) -> AlarmSpan:
    record = moment.record
    unit = unit_text(text_in(record, "unit"))
    return AlarmSpan(
        id=text_in(record, "alarm"),
        priority=_priority(moment),
        text=text_in(record, "text") or text_in(record, "alarm"),
        since_s=moment.at_s,
        ended_s=None,
        value=_measured(number_in(record, "value"), unit),
        limit=_measured(number_in(record, "limit"), unit),
        action=text_in(record, "action"),
    )


def _measured(value: float | None, unit: str) -> str:
    return "" if value is None else f"{number(value)} {unit}".strip()
