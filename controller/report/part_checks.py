"""What went wrong, what was checked, and what exactly ran: alarms, checklist, self-test, hashes."""

from __future__ import annotations

from collections.abc import Iterator

from controller.reading import answerer, text_in, words
from controller.report import clock
from controller.report.alarms import MARK, AlarmSpan, look_of
from controller.report.markup import Child, Html, element, together
from controller.report.sentences import asked
from controller.report.story import Moment, Story
from controller.report.tables import ABSENT, chip, section, table, two_lines

# --- alarms -----------------------------------------------------------------------------------------


def alarm_part(story: Story, raised: tuple[AlarmSpan, ...]) -> Html:
    """Every alarm with its priority, onset, duration, value and limit."""
    if not raised:
        return section("alarms", "Alarms", element("p", "No alarm was raised.", class_="none"))
    columns = ("Alarm", "Priority", "Onset", "Duration", "Value", "Limit", "Acknowledged")
    rows = [_alarm_row(story, alarm) for alarm in raised]
    return section("alarms", "Alarms", table("In the order in which they began.", columns, rows))


def _alarm_row(story: Story, alarm: AlarmSpan) -> tuple[Child, ...]:
    look = look_of(alarm.priority)
    if alarm.ended_s is None:
        duration = f"to the end, {clock.long(story.end_s - alarm.since_s)}"
    else:
        duration = clock.long(alarm.ended_s - alarm.since_s)
    return (
        two_lines(alarm.text, alarm.action),
        chip(f"{MARK[look]} {alarm.priority}", f"a-{look}"),
        two_lines(clock.at(alarm.since_s), words(story.state_at(alarm.since_s))),
        duration,
        alarm.value or ABSENT,
        alarm.limit or ABSENT,
        ABSENT if alarm.seen_s is None else two_lines(alarm.seen_by, clock.at(alarm.seen_s)),
    )


# --- checks and versions ----------------------------------------------------------------------------


def check_part(story: Story) -> Html:
    """The checklist as it was answered, and what the self-test found."""
    parts = [*_checklist(story), *_self_tests(story)]
    if not parts:
        return together()
    return section("checks", "Checklist and self-test", parts)


def _checklist(story: Story) -> Iterator[Html]:
    rows = [
        (
            asked(m),
            two_lines(text_in(m.record, "choice"), ", ".join(filter(None, _answerer(m)))),
        )
        for m in story.of_kind("checklist")
    ]
    if rows:
        yield table("As it was answered, item by item.", ("Item", "Answer"), rows, look="checklist")


def _answerer(moment: Moment) -> tuple[str, str, str]:
    """In which role, who, and when."""
    return text_in(moment.record, "role"), answerer(moment.record), clock.at(moment.at_s)


def _self_tests(story: Story) -> Iterator[Html]:
    for moment in story.of_kind("self_test"):
        if "findings" not in moment.record:
            continue
        passed = moment.record.get("ok") is True
        findings = [
            element("li", chip(*_found(finding)), " ", finding.partition(": ")[2] or finding)
            for finding in text_in(moment.record, "findings").split("; ")
        ]
        verdict = "passed" if passed else "FAILED"
        yield element(
            "div",
            element("h3", f"Self-test at {clock.at(moment.at_s)}: {verdict}"),
            element("ul", findings, class_="findings"),
        )


def _found(finding: str) -> tuple[str, str]:
    return ("✓ ok", "good") if finding.startswith("ok") else ("■ FAILED", "bad")


def version_part(story: Story) -> Html:
    """What exactly ran: versions, hashes, and where the chain of the log ends."""
    header, seal = story.header, story.seal
    rows: list[tuple[str, str]] = [
        ("infusor", text_in(header, "version")),
        ("Drug library", text_in(header, "library_version")),
        ("Drug library, sha256", text_in(header, "library_sha256")),
        ("Procedure file, sha256", text_in(header, "config_sha256")),
        ("Log file", seal.file),
        ("Records", f"{seal.records}, {'sealed' if seal.sealed else 'not sealed'}"),
        ("End of the hash chain, h", seal.h),
    ]
    shown = [
        (name, element("code", value) if len(value) == 64 else value)
        for name, value in rows
        if value
    ]
    note = (
        "The chain finds damage to the log. It is no proof against the owner of the machine, who could "
        "write it anew."
    )
    return section(
        "versions",
        "Versions and hashes",
        table("What this report was made from.", ("What", "Value"), shown, look="hashes"),
        element("p", note, class_="note"),
    )
