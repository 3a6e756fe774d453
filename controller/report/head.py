"""The top of the report: what this is, how it ended, whether the log can be believed, what it came to."""

from __future__ import annotations

from collections.abc import Iterator

from controller.reading import number_in, text_in, words
from controller.report import clock
from controller.report.alarms import AlarmSpan, highest
from controller.report.doses import Dose, total_mg, total_ml
from controller.report.markup import Child, Html, element, together
from controller.report.story import Seal, Story
from controller.report.tables import facts, section, two_lines
from controller.wording import number
from firmware_bridge.notice import NOTICE

OUTCOMES = {
    "completed": ("✓", "good"),
    "rescued": ("◆", "rescued"),
    "aborted": ("■", "bad"),
    "emergency_stopped": ("■", "bad"),
    "fault": ("■", "bad"),
}

SAME_MG = 0.005
"""Half of the last digit shown."""


def banner() -> Html:
    """The notice, over everything."""
    first, _, rest = NOTICE.partition(". ")
    return element(
        "div", element("strong", first.upper()), element("span", rest), class_="banner", role="note"
    )


def title_of(story: Story) -> str:
    """The procedure as people say it."""
    name = words(text_in(story.header, "procedure"))
    return name.capitalize() if name else "Visit"


def head(story: Story) -> Html:
    """Title, outcome, and the verdict on the log."""
    header = story.header
    ids = (text_in(header, "session"), text_in(header, "device"))
    began = clock.date(number_in(header, "ts"))
    known = [element("span", part) for part in (*ids, began, clock.long(story.end_s)) if part]
    simulated = "simulated" if header.get("simulated") is True else "real pump on a bench"
    return element(
        "header",
        element("p", f"Report of a visit · {simulated}", class_="kicker"),
        element("div", element("h1", title_of(story)), _outcome(story), class_="title"),
        element("p", known, class_="ids"),
        _verdict(story.seal),
    )


def _outcome(story: Story) -> Html:
    outcome = story.outcome
    if not outcome:
        return element("span", "… not finished", class_="outcome open")
    sign, look = OUTCOMES.get(outcome, ("?", "open"))
    return element("span", f"{sign} {words(outcome)}", class_=f"outcome {look}")


def _verdict(seal: Seal) -> Html:
    if not seal.intact:
        where = f"LOG DAMAGED at record {seal.records}: {seal.reason or 'it is empty'}."
        text = f"{where} Everything here comes from the {seal.records} records before that."
        return element("p", text, class_="verdict bad", role="alert")
    count = f"{seal.records} records, hash chain intact"
    if not seal.sealed:
        text = (
            f"Unfinished log: {count}, but no seal. The session had not ended when this report was "
            "made, or it ended without a last word. What happened afterwards is not in here."
        )
        return element("p", text, class_="verdict open")
    return element("p", f"Log verified: {count} and sealed.", class_="verdict good")


def tiles(story: Story, given: tuple[Dose, ...], raised: tuple[AlarmSpan, ...]) -> Html:
    """What the visit came to, in a few large numbers."""
    shown = [
        element("div", element("dt", name), element("dd", value), class_="tile")
        for name, value in _tiles(story, given, raised)
    ]
    return element("dl", shown, class_="tiles")


def _tiles(
    story: Story, given: tuple[Dose, ...], raised: tuple[AlarmSpan, ...]
) -> Iterator[tuple[str, Child]]:
    yield f"{text_in(story.header, 'drug')} delivered".strip(), _delivered(story, given)
    tests = [dose for dose in given if dose.use != "infusion"]
    if tests:
        count = f"in {len(tests)} test doses" if len(tests) > 1 else "one test dose"
        yield "required dose", two_lines(f"{total_mg(d.delivered for d in tests):.2f} mg", count)
    response = list(story.of_kind("response"))
    if response:
        last = response[-1]
        yield (
            "response",
            two_lines(text_in(last.record, "response") or "?", f"at {clock.at(last.at_s)}"),
        )
    for key, name in (("pain_0_10", "pain"), ("mood_0_10", "mood")):
        before, after = _scores(story, key)
        if before or after:
            yield (
                f"{name}, 0 to 10",
                two_lines(f"{before or '?'} → {after or '?'}", "before → after"),
            )
    if raised:
        text = f"highest: {highest(raised)}"
        yield "alarms", two_lines(str(len(raised)), text)
    else:
        yield "alarms", two_lines("none", "")


def _delivered(story: Story, given: tuple[Dose, ...]) -> Html:
    """The last word of the program on what the pump counted; the sum of the records where there is none."""
    counted = [dose.delivered for dose in given]
    mg, ml = total_mg(counted), total_ml(counted)
    final = next((m.record for m in story.of_kind("finished")), story.footer)
    last_mg, last_ml = number_in(final, "delivered_mg"), number_in(final, "delivered_ml")
    if last_mg is None or last_ml is None:
        return two_lines(f"{mg:.2f} mg", f"{ml:.3f} mL, by the pump's count")
    if abs(last_mg - mg) < SAME_MG:
        return two_lines(f"{last_mg:.2f} mg", f"{last_ml:.3f} mL, by the pump's count")
    return two_lines(f"{last_mg:.2f} mg", f"{last_ml:.3f} mL at the end; {mg:.2f} mg in the table")


def _scores(story: Story, key: str) -> tuple[str, str]:
    """The first score before and the last one after."""
    before = [number_in(m.record, key) for m in story.of_kind("baseline")]
    after = [number_in(m.record, key) for m in story.of_kind("recovery")]
    return (
        next((number_of(v) for v in before if v is not None), ""),
        next((number_of(v) for v in reversed(after) if v is not None), ""),
    )


def number_of(value: float) -> str:
    """Without a decimal that says nothing."""
    return number(int(value) if value == int(value) else value)


def about(story: Story) -> Html:
    """Subject, drug, syringe, pump and run."""
    columns = (
        ("Subject of the bench", _subject(story)),
        ("Drug and syringe", _drug(story)),
        ("Pump", _pump(story)),
        ("Run", _run(story)),
    )
    cards = [
        element("div", element("h3", name), facts(pairs), class_="card") for name, pairs in columns
    ]
    return section("about", "Who, what, with what", element("div", cards, class_="cards"))


def _with_unit(story: Story, key: str, unit: str) -> str:
    value = number_in(story.header, key)
    return "" if value is None else f"{number_of(value)} {unit}"


def _subject(story: Story) -> list[tuple[str, Child]]:
    return [
        ("Weight", _with_unit(story, "weight_kg", "kg")),
        ("Age", _with_unit(story, "age_years", "years")),
        ("Height", _with_unit(story, "height_cm", "cm")),
    ]


def _drug(story: Story) -> list[tuple[str, Child]]:
    diameter = _with_unit(story, "syringe_diameter_mm", "mm")
    syringe = text_in(story.header, "syringe")
    return [
        ("Drug", text_in(story.header, "drug")),
        ("Profile", words(text_in(story.header, "profile"))),
        ("Concentration", _with_unit(story, "concentration_mg_ml", "mg/mL")),
        ("Syringe", f"{syringe}, {diameter} inside" if syringe and diameter else syringe),
        ("Loaded", _with_unit(story, "loaded_ml", "mL")),
    ]


def _pump(story: Story) -> list[tuple[str, Child]]:
    shown = [m.record for m in story.of_kind("pump")]
    names = dict.fromkeys(text_in(record, "firmware") for record in shown)
    serials = dict.fromkeys(text_in(record, "serial_number") for record in shown)
    return [
        ("Identity", ", ".join(filter(None, names)) or "never seen"),
        ("Serial number", ", ".join(filter(None, serials)) or "not told by this pump"),
        ("Port", text_in(story.header, "pump")),
        ("Device", text_in(story.header, "device")),
    ]


def _run(story: Story) -> list[tuple[str, Child]]:
    simulated = story.header.get("simulated")
    speed = number_in(story.header, "speed")
    times = f", {number_of(speed)} times as fast" if speed is not None and speed != 1 else ""
    engine = text_in(story.header, "clock")
    return [
        ("Procedure", text_in(story.header, "procedure")),
        ("Simulated", {True: "yes", False: "no"}.get(simulated is True, "")),
        ("Clock", f"{engine}{times}" if engine else ""),
        ("Seed", _with_unit(story, "seed", "").strip()),
        ("Began", clock.date(number_in(story.header, "ts"))),
    ]


def why_it_ended(story: Story) -> Html:
    """The reason that the log gives for the end, and what the program warned of."""
    reason = next((text_in(m.record, "reason") for m in story.of_kind("finished")), "")
    warnings = text_in(story.footer, "warnings")
    told = [("Reason of the end", reason), ("Warnings", warnings)]
    if not reason and not warnings:
        return together()
    return element("div", facts(told), class_="card note")
