"""The parts of the report between its top and its timeline: doses, plots, vital signs, scores, alarms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller.report import clock
from controller.report.alarms import MARK, AlarmSpan
from controller.report.doses import Amount, Dose, total_mg, total_ml
from controller.report.drawing import drawn, narrow, wide
from controller.report.figure import Figure
from controller.report.head import number_of
from controller.report.markup import Child, Html, element, together
from controller.report.plots import limits_of
from controller.report.reading import number_in, text_in, words
from controller.report.story import Moment, Story
from controller.report.tables import ABSENT, chip, section, table, two_lines
from controller.wording import split_unit

USES = {"test": "Test dose", "further": "Further dose", "infusion": "Infusion"}
STATUSES = {
    "completed": ("✓ completed", "good"),
    "stopped": ("■ stopped early", "open"),
    "uncertain": ("? uncertain", "bad"),
    "never_started": ("✕ never started", "plain"),
}
VITALS = (
    ("hr_bpm", "Heart rate"),
    ("nibp_sys_mmhg", "Systolic pressure"),
    ("nibp_dia_mmhg", "Diastolic pressure"),
    ("spo2_pct", "Oxygen saturation"),
    ("rr_bpm", "Respiratory rate"),
    ("etco2_mmhg", "End-tidal CO2"),
)


# --- doses ------------------------------------------------------------------------------------------


def dose_part(story: Story, given: tuple[Dose, ...]) -> Html:
    """Ordered, programmed, delivered and estimated, side by side and never mixed."""
    if not given:
        return section("doses", "Doses", element("p", "No dose was ordered.", class_="none"))
    conc = number_in(story.header, "concentration_mg_ml")
    rows = [_dose_row(dose, story.end_s, conc) for dose in given]
    estimates = [dose.estimated(story.end_s, conc) for dose in given]
    counted = [dose.delivered for dose in given]
    last: tuple[Child, ...] = ("Total", "", "", _sum(counted), _sum(estimates), "")
    return section(
        "doses",
        "Doses",
        table(
            "Ordered: a person confirmed it. Programmed: the pump accepted it. Delivered: the pump "
            "counted it. Estimated: programmed rate times time, computed for this report as a check.",
            ("Dose", "Ordered", "Programmed", "Delivered", "Estimated", "Ended"),
            rows,
            last=last,
            look="doses",
        ),
    )


def _dose_row(dose: Dose, end_s: float, conc: float | None) -> tuple[Child, ...]:
    begun = dose.ordered_s if dose.started_s is None else dose.started_s
    name = USES.get(dose.use, words(dose.use) or "Dose")
    text, look = STATUSES.get(dose.status, (f"… {words(dose.status)}", "open"))
    ended = f"{clock.at(dose.ended_s)}" if dose.ended_s is not None else ""
    took = f", after {clock.long(dose.ended_s - begun)}" if dose.ended_s is not None else ""
    return (
        two_lines(name, f"from {clock.at(begun)}"),
        _amount(dose.ordered),
        _amount(dose.programmed),
        _amount(dose.delivered),
        _amount(dose.estimated(end_s, conc)),
        together(chip(text, look), element("small", f"{ended}{took}")),
    )


def _amount(amount: Amount | None) -> Html:
    if amount is None:
        return two_lines(ABSENT, "")
    mg = ABSENT if amount.dose_mg is None else f"{amount.dose_mg:.2f} mg"
    volume = "" if amount.volume_ml is None else f"{amount.volume_ml:.3f} mL"
    rate = "" if amount.rate_ml_h is None else f" at {amount.rate_ml_h:.3f} mL/h"
    return two_lines(mg, f"{volume}{rate}")


def _sum(amounts: list[Amount | None]) -> Html:
    return two_lines(f"{total_mg(amounts):.2f} mg", f"{total_ml(amounts):.3f} mL")


def arithmetic_part(story: Story) -> Html:
    """How the infusion followed from the test doses, line by line."""
    lines = list(story.of_kind("arithmetic"))
    if not lines:
        return together()
    shown = [
        element(
            "li",
            element("time", clock.at(moment.at_s)),
            element("span", text_in(moment.record, "line")),
        )
        for moment in lines
    ]
    return section("arithmetic", "Arithmetic", element("ol", shown, class_="lines"))


# --- plots ------------------------------------------------------------------------------------------


def plot_part(story: Story, made: Iterable[Figure]) -> Html:
    """Every figure at both widths; the style sheet shows one of them."""
    shown = [
        element(
            "figure",
            element("figcaption", element("h3", figure.title)),
            drawn(figure, wide(figure.end_s)),
            drawn(figure, narrow(figure.end_s)),
            id=f"figure-{figure.id}",
        )
        for figure in made
    ]
    if not shown:
        text = element("p", "The log holds no samples: there is nothing to plot.", class_="none")
        return section("plots", "The visit as pictures", text)
    note = (
        "Minutes since the visit began. Coloured stretches are the states of the procedure. A pale band "
        "around a line is the range of a signal that was measured every second. A gap is a gap in the data."
    )
    return section(
        "plots", "The visit as pictures", element("p", note, class_="note"), state_key(story), shown
    )


# --- vital signs and scores -------------------------------------------------------------------------


def vital_part(story: Story) -> Html:
    """Each vital sign at baseline, at its extremes, and at the end, beside its limits."""
    rows = [row for key, title in VITALS if (row := _vital_row(story, key, title))]
    if not rows:
        return together()
    columns = ("Vital sign", "Baseline", "Lowest", "Highest", "Last", "Limits", "Without a value")
    return section(
        "vitals",
        "Vital signs in numbers",
        table("Baseline: the mean while the procedure was in that state.", columns, rows),
    )


def _vital_row(story: Story, key: str, title: str) -> tuple[Child, ...]:
    known = [
        (moment, value)
        for moment in story.samples
        if (value := number_in(moment.record, key)) is not None
    ]
    if not known:
        return ()
    base = [value for moment, value in known if moment.record.get("state") == "baseline"]
    low, high = min(known, key=lambda pair: pair[1]), max(known, key=lambda pair: pair[1])
    missing = len(story.samples) - len(known)
    limits = ", ".join(limit.label for limit in limits_of(story, key))
    return (
        two_lines(title, split_unit(key)[1]),
        f"{sum(base) / len(base):.0f}" if base else ABSENT,
        _when(story, *low),
        _when(story, *high),
        number_of(known[-1][1]),
        limits or ABSENT,
        f"{missing} of {len(story.samples)} samples" if missing else "never",
    )


def _when(story: Story, moment: Moment, value: float) -> Html:
    state = words(story.state_at(moment.at_s))
    return two_lines(number_of(value), f"{clock.at(moment.at_s)} {state}")


def score_part(story: Story) -> Html:
    """Scores before and after, and what followed later."""
    found = list(story.of_kind("baseline", "recovery", "discharge", "follow_up", "rescue"))
    scored = [m for m in found if m.kind in {"baseline", "recovery"}]
    if not found:
        return together()
    keys = dict.fromkeys(
        key for m in scored for key in m.record if key.endswith(("_0_10", "_0_4", "_0_3", "_ok"))
    )
    parts: list[Html] = []
    if scored:
        columns = ("Score", *(f"{words(m.kind)}, {clock.at(m.at_s)}" for m in scored))
        rows = [(_score_name(key), *(_score(m, key) for m in scored)) for key in keys]
        parts.append(table("As entered by the person who answered.", columns, rows, look="scores"))
    return section("scores", "Pain, mood and recovery, before and after", parts)


def _score_name(key: str) -> str:
    name, unit = split_unit(key)
    return f"{name.capitalize()} ({unit})" if unit else words(key.removesuffix("_ok")).capitalize()


def _score(moment: Moment, key: str) -> str:
    value = number_in(moment.record, key)
    if value is None:
        return ABSENT
    if key.endswith("_ok"):
        return "yes" if value >= 1 else "no"
    return number_of(value)


# --- alarms -----------------------------------------------------------------------------------------


def alarm_part(story: Story, raised: tuple[AlarmSpan, ...]) -> Html:
    """Every alarm with its priority, onset, duration, value and limit."""
    if not raised:
        return section("alarms", "Alarms", element("p", "No alarm was raised.", class_="none"))
    columns = ("Alarm", "Priority", "Onset", "Duration", "Value", "Limit", "Acknowledged")
    rows = [_alarm_row(story, alarm) for alarm in raised]
    return section("alarms", "Alarms", table("In the order in which they began.", columns, rows))


def _alarm_row(story: Story, alarm: AlarmSpan) -> tuple[Child, ...]:
    if alarm.ended_s is None:
        duration = f"to the end, {clock.long(story.end_s - alarm.since_s)}"
    else:
        duration = clock.long(alarm.ended_s - alarm.since_s)
    return (
        two_lines(alarm.text, alarm.action),
        chip(f"{MARK.get(alarm.priority, '!')} {alarm.priority}", f"a-{_look(alarm.priority)}"),
        two_lines(clock.at(alarm.since_s), words(story.state_at(alarm.since_s))),
        duration,
        alarm.value or ABSENT,
        alarm.limit or ABSENT,
        ABSENT if alarm.seen_s is None else two_lines(alarm.seen_by, clock.at(alarm.seen_s)),
    )


def _look(priority: str) -> str:
    return priority if priority in MARK else "low"


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
            words(text_in(m.record, "item")).capitalize(),
            two_lines(text_in(m.record, "choice"), ", ".join(filter(None, _answerer(m)))),
        )
        for m in story.of_kind("checklist")
    ]
    if rows:
        yield table("As it was answered, item by item.", ("Item", "Answer"), rows, look="checklist")


def _answerer(moment: Moment) -> tuple[str, str, str]:
    """In which role, who, and when."""
    record = moment.record
    return text_in(record, "role"), text_in(record, "by"), clock.at(moment.at_s)


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


def state_key(story: Story) -> Html:
    """Every state in order, with its colour, so that the shortest can be found in the pictures."""
    shown = [
        element(
            "li",
            element("span", words(span.name), class_=f"s-{span.name.replace('_', '-')}"),
            element("small", f"{clock.at(span.start_s)}, {clock.long(span.length_s)}"),
        )
        for span in story.states
    ]
    return element("ol", shown, class_="key") if shown else together()
