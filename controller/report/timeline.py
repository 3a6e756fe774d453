"""The visit as it went: states one after the other, and in each what people answered and the pump did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from controller.log_format import Kind
from controller.reading import answerer, text_in, words
from controller.report import clock
from controller.report.alarms import MARK, is_acknowledgement, look_of
from controller.report.markup import Html, element
from controller.report.sentences import sentence
from controller.report.story import Moment, Story
from controller.report.tables import chip, section


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline; ``look`` says who speaks: person, pump, alarm, program."""

    at_s: float
    who: str
    look: str
    text: str


def timeline_part(story: Story) -> Html:
    """Every state as a heading, with what happened in it, in the order of the log."""
    begun: set[object] = {
        m.record.get("delivery_id")
        for m in story.of_kind(Kind.DOSE)
        if m.record.get("what") in {"programmed", "never_started"}
    }
    chapters: list[list[Moment]] = [[]]
    for moment in story.events:
        if moment.kind == Kind.STATE:
            chapters.append([])
        elif _is_told(moment, begun):
            chapters[-1].append(moment)
    first, *others = chapters
    blocks = [_block("before the first state", "", _lines(first))] if first else []
    for span, moments in zip(story.states, others, strict=True):
        length = f"{clock.at(span.start_s)}, {clock.long(span.length_s)}"
        blocks.append(_block(words(span.name), length, _lines(moments), span.name))
    return section("timeline", "Timeline", blocks)


def _block(title: str, length: str, lines: Iterable[Line], state: str = "") -> Html:
    shown = [
        element(
            "li",
            element("time", clock.at(line.at_s)),
            chip(line.who, f"who {line.look}"),
            element("span", line.text),
        )
        for line in lines
    ]
    look = f"s-{state.replace('_', '-')}" if state else None
    heading = element("h3", element("span", title), element("small", length), class_=look)
    return element("div", heading, element("ol", shown) if shown else None, class_="block")


def _lines(moments: Iterable[Moment]) -> Iterator[Line]:
    """One line a record; neighbours of a checklist with one answer, and repetitions, together."""
    for kind, group in groupby(moments, key=_together):
        same = list(group)
        if kind[0] == "checklist" and len(same) > 1:
            yield _checklist(same)
            continue
        for _, equal in groupby(map(_line, same), key=lambda line: (line.who, line.text)):
            yield _once(list(equal))


def _once(lines: list[Line]) -> Line:
    """The first of lines that say the same, and how often it was said."""
    first, last = lines[0], lines[-1]
    if len(lines) == 1:
        return first
    again = f"{first.text} ({len(lines)} times, until {clock.at(last.at_s)})"
    return replace(first, text=again)


def _is_told(moment: Moment, begun: set[object]) -> bool:
    """Not the records that another one says better: states, running counts, intents that came true."""
    record = moment.record
    if moment.kind in {Kind.STATE, Kind.HEADER, Kind.FOOTER}:
        return False
    if moment.kind == "intent":
        return record.get("command_id") not in begun
    if moment.kind == Kind.DOSE:
        if record.get("what") == "delivered":
            return record.get("status") != "running"
        return record.get("what") != "starting" or record.get("delivery_id") not in begun
    return True


def _together(moment: Moment) -> tuple[str, str, str]:
    """Neighbours with the same key may become one line."""
    record = moment.record
    return moment.kind, text_in(record, "choice"), answerer(record)


def _checklist(moments: list[Moment]) -> Line:
    first = moments[0].record
    items = ", ".join(words(text_in(moment.record, "item")) for moment in moments)
    text = f"{len(moments)} items of the checklist answered {text_in(first, 'choice')}: {items}"
    return Line(moments[-1].at_s, answerer(first) or "person", "person", text)


def _line(moment: Moment) -> Line:
    who, look = _who(moment)
    return Line(moment.at_s, who, look, sentence(moment))


def _who(moment: Moment) -> tuple[str, str]:
    if moment.kind == Kind.ALARM and not is_acknowledgement(moment):
        priority = text_in(moment.record, "priority")
        if moment.record.get("active") is False:
            return "alarm over", "program"
        return (
            f"{MARK[look_of(priority)]} {priority}",
            f"a-{look_of(priority)}",
        )
    if moment.kind == Kind.DOSE and moment.record.get("what") in {"programmed", "delivered"}:
        return "pump", "pump"
    if moment.kind in {"stop", "bridge", "bridge_log", "pump", "intent"}:
        return "pump", "pump"
    by = answerer(moment.record)
    return (by, "person") if by else ("program", "program")
