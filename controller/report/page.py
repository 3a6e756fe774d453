"""The report as one HTML page: no script, nothing from outside, readable on a telephone and on paper."""

from __future__ import annotations

from controller.reading import text_in
from controller.report.alarms import alarms
from controller.report.doses import doses
from controller.report.head import about, banner, head, tiles, title_of, why_it_ended
from controller.report.markup import Html, element
from controller.report.part_checks import alarm_part, check_part, version_part
from controller.report.part_doses import arithmetic_part, dose_part
from controller.report.part_patient import plot_part, score_part, vital_part
from controller.report.plots import figures
from controller.report.story import Story
from controller.report.timeline import timeline_part
from firmware_bridge.notice import NOTICE

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Whatever a log may smuggle in: this page loads nothing and runs nothing."""


def page(story: Story, style: str) -> str:
    """The whole page; ``style`` is the style sheet (our own, so it is written as it is)."""
    given, raised = doses(story), alarms(story)
    session = text_in(story.header, "session")
    meta = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("title", f"{title_of(story)} {session}: bench and simulation only"),
        element("style", Html(style)),
    ]
    main = element(
        "main",
        head(story),
        why_it_ended(story),
        tiles(story, given, raised),
        about(story),
        dose_part(story, given),
        arithmetic_part(story),
        plot_part(story, figures(story, raised)),
        vital_part(story),
        score_part(story),
        alarm_part(story, raised),
        timeline_part(story),
        check_part(story),
        version_part(story),
    )
    body = element("body", banner(), main, element("footer", NOTICE))
    return f"<!DOCTYPE html>\n{element('html', element('head', meta), body, lang='en')}\n"
