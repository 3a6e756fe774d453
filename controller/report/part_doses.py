"""The doses of a visit, their four amounts side by side, and the arithmetic behind them."""

from __future__ import annotations

from controller.reading import number_in, text_in, words
from controller.report import clock
from controller.report.doses import Amount, Dose, total_mg, total_ml
from controller.report.markup import Child, Html, element, together
from controller.report.story import Moment, Story
from controller.report.tables import ABSENT, chip, section, table, two_lines
from controller.wording import quantity

AMOUNTS = ("_mg", "_ml", "_ml_min", "_mg_min")
USES = {
    "test": "Test dose",
    "further": "Further dose",
    "load": "Loading dose",
    "infusion": "Infusion",
}
STATUSES = {
    "completed": ("✓ completed", "good"),
    "stopped": ("■ stopped early", "open"),
    "uncertain": ("? uncertain", "bad"),
    "never_started": ("✕ never started", "plain"),
}


def dose_part(story: Story, given: tuple[Dose, ...]) -> Html:
    """Ordered, programmed, delivered and estimated, side by side and never mixed."""
    by_hand = _by_hand(story)
    if not given:
        none = element("p", "No dose was ordered.", class_="none")
        return section("doses", "Doses", none, by_hand)
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
        by_hand,
    )


def _by_hand(story: Story) -> Html | None:
    """What a person gave and entered: the pump had no part in it."""
    rows = [
        (
            text_in(m.record, "drug").capitalize() or "Rescue drug",
            text_in(m.record, "choice"),
            _entered(m) or ABSENT,
            two_lines(text_in(m.record, "by"), clock.at(m.at_s)),
        )
        for m in story.of_kind("rescue")
    ]
    if not rows:
        return None
    caption = "Given by the clinician, by hand, and entered here; the pump had no part in it."
    return table(caption, ("Drug", "Answer", "Entered", "By"), rows)


def _entered(moment: Moment) -> str:
    """Every amount in the record, with its unit."""
    amounts = [
        quantity(key, value)
        for key, value in moment.record.items()
        if key.endswith(AMOUNTS) and number_in(moment.record, key) is not None
    ]
    return ", ".join(f"{name} {shown}" for name, shown in amounts)


def _dose_row(dose: Dose, end_s: float, conc: float | None) -> tuple[Child, ...]:
    begun = dose.ordered_s if dose.started_s is None else dose.started_s
    name = USES.get(dose.use, words(dose.use) or "Dose")
    text, look = STATUSES.get(dose.status, (f"… last seen {words(dose.status)}", "open"))
    ended = f"{clock.at(dose.ended_s)}" if dose.ended_s is not None else ""
    took = f", after {clock.long(dose.ended_s - begun)}" if dose.ended_s is not None else ""
    return (
        two_lines(name, f"from {clock.at(begun)}"),
        _amount(dose.ordered),
        _amount(dose.programmed),
        _amount(dose.delivered),
        _amount(dose.estimated(end_s, conc), "at most " if dose.status == "uncertain" else ""),
        together(chip(text, look), element("small", f"{ended}{took}")),
    )


def _amount(amount: Amount | None, bound: str = "") -> Html:
    """``bound`` says which way it may be off: nobody saw when an uncertain dose ended."""
    if amount is None:
        return two_lines(ABSENT, "")
    mg = ABSENT if amount.dose_mg is None else f"{bound}{amount.dose_mg:.2f} mg"
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
