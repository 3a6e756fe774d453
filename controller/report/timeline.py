"""The visit as it went: states one after the other, and in each what people answered and the pump did."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from controller.flat_json import Scalar
from controller.log_format import RESERVED, Kind, Record
from controller.report import clock
from controller.report.alarms import MARK, is_acknowledgement
from controller.report.markup import Html, element
from controller.report.part_doses import USES
from controller.report.reading import number_in, text_in, words
from controller.report.story import Moment, Story
from controller.report.tables import chip, section
from controller.wording import number, quantity

TOKEN = re.compile(r"(?P<use>[a-z_]+)-\d+-(?P<nl>\d{1,15})nL-(?P<nl_h>\d{1,15})nL/h")
"""What a confirmation is bound to (`controller.procedure.questions`)."""

FLAGS = ("_ok", "_present", "_given")
"""Endings of the names of scores that are 1 for yes and 0 for no."""


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
    if moment.kind == Kind.ALARM and not is_acknowledgement(moment):
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
    rest = _facts(moment)
    kind = words(moment.kind).capitalize()
    return f"{kind}: {rest}" if rest else kind


def _facts(moment: Moment, *told: str) -> str:
    """Whatever the record says besides ``told``, each value with its unit."""
    known = {*RESERVED, "by", *told}
    found = (_fact(key, value) for key, value in moment.record.items() if key not in known)
    return ", ".join(filter(None, found))


def _fact(key: str, value: Scalar) -> str:
    if key.endswith(FLAGS) and value in {0, 1}:
        value = bool(value)
    name, shown = quantity(key, value)
    return f"{name} {shown}" if shown else ""


def _dose(moment: Moment) -> str:
    record, what = moment.record, words(text_in(moment.record, "what"))
    use = USES.get(text_in(record, "use"), words(text_in(record, "use")).capitalize() or "Dose")
    status = text_in(record, "status")
    ending = f", {words(status)}" if status else ""
    return f"{use} {what}: {_amounts(record)}{ending}"


def _amounts(record: Record) -> str:
    mg, ml = number_in(record, "dose_mg"), number_in(record, "volume_ml")
    rate = number_in(record, "rate_ml_h")
    return " ".join(
        filter(
            None,
            (
                "" if mg is None else f"{mg:.2f} mg",
                "" if ml is None else f"= {ml:.3f} mL",
                "" if rate is None else f"at {rate:.3f} mL/h",
            ),
        )
    )


def _alarm(moment: Moment) -> str:
    record = moment.record
    text = text_in(record, "text") or text_in(record, "alarm")
    if is_acknowledgement(moment):
        return f"Acknowledged: {text}"
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
    return f"Self-test {verdict}, findings below"


def _response(moment: Moment) -> str:
    said = f"Response: {text_in(moment.record, 'response')}"
    return ", ".join(filter(None, (said, _facts(moment, "response"))))


def _confirmed(moment: Moment) -> str:
    """The token is bound to exact values, so they can be read from it."""
    token = text_in(moment.record, "token")
    found = TOKEN.fullmatch(token)
    if found is None:
        return f"Confirmed: {token}"
    use = USES.get(found["use"], words(found["use"]).capitalize())
    ml, ml_h = int(found["nl"]) / 1e6, int(found["nl_h"]) / 1e6
    return f"{use} confirmed: exactly {ml:.3f} mL at {ml_h:.3f} mL/h"


def _bridge(moment: Moment) -> str:
    return ", ".join(
        filter(None, (f"Bridge: {text_in(moment.record, 'what')}", _facts(moment, "what")))
    )


def _pump(moment: Moment) -> str:
    return f"The pump says it is {text_in(moment.record, 'firmware') or 'nameless'}"


def _arithmetic(moment: Moment) -> str:
    return text_in(moment.record, "line")


_SENTENCES: dict[str, Callable[[Moment], str]] = {
    Kind.DOSE: _dose,
    Kind.ALARM: _alarm,
    "self_test": _self_test,
    "response": _response,
    "confirmed": _confirmed,
    "arithmetic": _arithmetic,
    "bridge": _bridge,
    "pump": _pump,
}
