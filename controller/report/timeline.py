"""The visit as it went: states one after the other, and in each what people answered and the pump did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from controller.log_format import RESERVED, Kind
from controller.report import clock
from controller.report.alarms import MARK
from controller.report.body import USES, other_facts
from controller.report.markup import Html, element
from controller.report.reading import number_in, text_in, words
from controller.report.story import Moment, Story
from controller.report.tables import chip, section
from controller.wording import number


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline; ``look`` says who speaks: person, pump, alarm, program."""

    at_s: float
    who: str
    look: str
    text: str


def timeline_part(story: Story) -> Html:
    """Every state as a heading, with what happened in it."""
    spoken = list(_lines(story))
    blocks: list[Html] = []
    before = [line for line in spoken if not story.states or line.at_s < story.states[0].start_s]
    if before:
        blocks.append(_block("Before the first state", "", before))
    for index, span in enumerate(story.states):
        following = story.states[index + 1].start_s if index + 1 < len(story.states) else None
        inside = [
            line
            for line in spoken
            if span.start_s <= line.at_s and (following is None or line.at_s < following)
        ]
        length = f"{clock.at(span.start_s)}, {clock.long(span.length_s)}"
        blocks.append(_block(words(span.name), length, inside, span.name))
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


def _lines(story: Story) -> Iterator[Line]:
    """Every record that says something, equal neighbours of a checklist together."""
    begun: set[object] = {
        m.record.get("delivery_id")
        for m in story.of_kind(Kind.DOSE)
        if m.record.get("what") in {"programmed", "never_started"}
    }
    wanted = [moment for moment in story.events if _is_told(moment, begun)]
    for kind, group in groupby(wanted, key=_together):
        moments = list(group)
        if kind[0] == "checklist" and len(moments) > 1:
            yield _checklist(moments)
        else:
            yield from map(_line, moments)


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
    return moment.kind, text_in(record, "choice"), text_in(record, "by")


def _checklist(moments: list[Moment]) -> Line:
    first = moments[0].record
    items = ", ".join(words(text_in(moment.record, "item")) for moment in moments)
    text = f"{len(moments)} items of the checklist answered {text_in(first, 'choice')}: {items}"
    return Line(moments[-1].at_s, text_in(first, "by") or "person", "person", text)


def _line(moment: Moment) -> Line:
    who, look = _who(moment)
    say = _SENTENCES.get(moment.kind)
    return Line(moment.at_s, who, look, say(moment) if say else _plain(moment))


def _who(moment: Moment) -> tuple[str, str]:
    if moment.kind == Kind.ALARM:
        priority = text_in(moment.record, "priority")
        if moment.record.get("active") is False:
            return "alarm over", "program"
        return (
            f"{MARK.get(priority, '!')} {priority}",
            f"a-{priority if priority in MARK else 'low'}",
        )
    if moment.kind == Kind.DOSE and moment.record.get("what") in {"programmed", "delivered"}:
        return "pump", "pump"
    if moment.kind in {"stop", "bridge", "pump", "intent"}:
        return "pump", "pump"
    by = text_in(moment.record, "by")
    return (by, "person") if by else ("program", "program")


# --- sentences --------------------------------------------------------------------------------------


def _plain(moment: Moment) -> str:
    """The kind, and everything the record says: for kinds that have no sentence of their own."""
    rest = other_facts(moment, *RESERVED, "by")
    kind = words(moment.kind).capitalize()
    return f"{kind}: {rest}" if rest else kind


def _dose(moment: Moment) -> str:
    record, what = moment.record, words(text_in(moment.record, "what"))
    use = USES.get(text_in(record, "use"), text_in(record, "use")).lower()
    status = text_in(record, "status")
    amounts = other_facts(moment, *RESERVED, "what", "use", "delivery_id", "status")
    ending = f" ({words(status)})" if status else ""
    return f"{what.capitalize()}, {use}: {amounts}{ending}"


def _alarm(moment: Moment) -> str:
    record = moment.record
    text = text_in(record, "text") or text_in(record, "alarm")
    unit = text_in(record, "unit")
    found = [
        f"{key} {number(value)} {unit}".strip()
        for key in ("value", "limit")
        if (value := number_in(record, key)) is not None
    ]
    return f"{text} ({', '.join(found)})" if found and record.get("active") is not False else text


def _self_test(moment: Moment) -> str:
    if "step" in moment.record:
        return f"Self-test: {text_in(moment.record, 'step')}"
    verdict = "passed" if moment.record.get("ok") is True else "FAILED"
    return f"Self-test {verdict} (findings below)"


def _response(moment: Moment) -> str:
    rest = other_facts(moment, *RESERVED, "by", "response")
    text = f"Response: {text_in(moment.record, 'response')}"
    return f"{text}, {rest}" if rest else text


def _confirmed(moment: Moment) -> str:
    return f"Confirmed: {text_in(moment.record, 'token')}"


def _arithmetic(moment: Moment) -> str:
    return text_in(moment.record, "line")


_SENTENCES: dict[str, Callable[[Moment], str]] = {
    Kind.DOSE: _dose,
    Kind.ALARM: _alarm,
    "self_test": _self_test,
    "response": _response,
    "confirmed": _confirmed,
    "arithmetic": _arithmetic,
}
