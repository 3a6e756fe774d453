"""What became of the patient: the figures, the vital signs in numbers, the scores before and after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from controller.flat_json import Scalar
from controller.log_format import RESERVED, Record
from controller.reading import number_in, text_in, words
from controller.report import clock
from controller.report.drawing import drawn, narrow, wide
from controller.report.figure import Figure
from controller.report.head import number_of
from controller.report.markup import Child, Html, element, together
from controller.report.plots import limits_of
from controller.report.story import Moment, Story
from controller.report.tables import ABSENT, section, table, two_lines
from controller.wording import quantity, split_unit

LOGS_OWN = RESERVED | {"by"}
VITALS = (
    ("hr_bpm", "Heart rate"),
    ("nibp_sys_mmhg", "Systolic pressure"),
    ("nibp_dia_mmhg", "Diastolic pressure"),
    ("spo2_pct", "Oxygen saturation"),
    ("rr_bpm", "Respiratory rate"),
    ("etco2_mmhg", "End-tidal CO2"),
)


# --- plots ------------------------------------------------------------------------------------------


def plot_part(story: Story, made: Iterable[Figure]) -> Html:
    """Every figure at both widths; the style sheet shows one of them."""
    shown = [
        element(
            "figure",
            element("figcaption", element("h3", figure.title)),
            drawn(figure, wide(figure.end_s)),
            drawn(figure, narrow(figure.end_s)),
            element("p", figure.note, class_="note") if figure.note else None,
            id=f"figure-{figure.id}",
        )
        for figure in made
    ]
    if not shown:
        text = element("p", "The log holds no samples: there is nothing to plot.", class_="none")
        return section("plots", "The visit as pictures", text)
    note = (
        "Minutes since the visit began. Coloured stretches are the states of the procedure. A pale band "
        "around a line is the range of a signal that was measured every second. A gap is a gap in the data. "
        "A solid red line is a limit that holds delivery, a dashed one a limit that warns."
    )
    return section(
        "plots", "The visit as pictures", element("p", note, class_="note"), state_key(story), shown
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
    scored = list(story.of_kind("baseline", "recovery"))
    if not scored and not story.later:
        return together()
    keys = dict.fromkeys(
        key for m in scored for key in m.record if key.endswith(("_0_10", "_0_4", "_0_3", "_ok"))
    )
    parts: list[Html] = []
    if scored:
        columns = ("Asked", *(_score_name(key) for key in keys))
        asked = [list(same) for _, same in groupby(scored, key=lambda m: _entered(m, keys))]
        rows = [(_asked(same), *(_score(same[0], key) for key in keys)) for same in asked]
        parts.append(table("As entered by the person who answered.", columns, rows, look="scores"))
    if story.later:
        told = [(clock.date(number_in(r, "ts")), text_in(r, "by"), _told(r)) for r in story.later]
        caption = "Told after the visit, and kept beside the sealed log."
        parts.append(table(caption, ("When", "By", "What"), told))
    return section("scores", "Pain, mood and recovery, before and after", parts)


def _entered(moment: Moment, keys: Iterable[str]) -> tuple[Scalar | None, ...]:
    """What neighbours must have in common to be one row."""
    return (moment.kind, *(moment.record.get(key) for key in keys))


def _asked(same: Sequence[Moment]) -> Html:
    """When, and how often with the same answer."""
    first, last = same[0], same[-1]
    again = f", {len(same)} times until {clock.at(last.at_s)}" if len(same) > 1 else ""
    return two_lines(words(first.kind).capitalize(), f"{clock.at(first.at_s)}{again}")


def _told(record: Record) -> str:
    """Everything a follow-up says, each value with its unit."""
    facts = (quantity(key, value) for key, value in record.items() if key not in LOGS_OWN)
    return ", ".join(f"{name} {shown}" for name, shown in facts if shown)


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
