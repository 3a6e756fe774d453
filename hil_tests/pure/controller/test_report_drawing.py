"""How the report draws: round axes, thinned lines that lose no extreme, names that do not collide."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.flat_json import Scalar
from controller.report.alarms import alarms
from controller.report.drawing import drawn, narrow, wide
from controller.report.figure import Bar, Curve, Figure, Limit, Panel
from controller.report.markup import element, short, together
from controller.report.plots import figures
from controller.report.scale import rounded, tick_text, ticks, time_step
from controller.report.series import Point, buckets, runs, steps, thinned
from hil_tests.pure.controller.report_logs import FIRST_VISIT, Entry, alarm, sample, state, story

# --- markup -------------------------------------------------------------------------------------------


def test_text_is_escaped_and_markup_is_not_escaped_twice() -> None:
    inner = element("b", "a < b & c")
    assert element("p", inner, " > ", None, [inner]) == (
        "<p><b>a &lt; b &amp; c</b> &gt; <b>a &lt; b &amp; c</b></p>"
    )


def test_an_attribute_cannot_leave_its_quotes() -> None:
    assert element("p", title='"><script>', hidden=False, open=True, aria_label=None) == (
        '<p title="&quot;&gt;&lt;script&gt;" open></p>'
    )


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (-0.01, "0"), (2.25, "2.2"), (10, "10")])
def test_a_coordinate_is_as_short_as_it_gets(value: float, text: str) -> None:
    assert short(value) == text


def test_nothing_is_nothing() -> None:
    assert together(None, [], "") == ""


# --- axes ---------------------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(2, 12))
def test_an_axis_holds_its_values_between_round_ends(low: float, span: float, count: int) -> None:
    first, last, step = rounded(low, low + span, count)
    slack = 1e-6 * (abs(low) + span + 1)
    assert first <= low + slack
    assert last >= low + span - slack
    assert f"{step:.0e}"[0] in "125"
    assert len(ticks(first, last, step)) <= count + 3


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [(40, 20, "40"), (0.5, 0.5, "0.5"), (3, 1, "3"), (0.05, 0.01, "0.05")],
)
def test_a_tick_has_the_decimals_of_its_step(value: float, step: float, text: str) -> None:
    assert tick_text(value, step) == text


@pytest.mark.parametrize(
    ("end_s", "count", "step_s"),
    [(7_697, 13, 600), (7_697, 6, 1_800), (90, 13, 10), (1e9, 6, 200_000_000)],
)
def test_time_is_ticked_in_steps_that_people_count_in(
    end_s: float, count: int, step_s: float
) -> None:
    assert time_step(end_s, count) == pytest.approx(step_s)


# --- series -------------------------------------------------------------------------------------------


def test_a_missing_value_and_a_pause_are_gaps() -> None:
    entries: list[Entry] = [sample(t, hr_bpm=70.0) for t in (0.0, 1.0)]
    entries += [sample(2.0), sample(3.0, hr_bpm=71.0), sample(30.0, hr_bpm=72.0)]
    found = runs(story(entries).samples, "hr_bpm")
    assert [[point.x for point in run] for run in found] == [[0, 1], [3], [30]]


def test_a_flag_a_text_and_a_number_beyond_all_measure_are_no_values() -> None:
    samples = story(
        [sample(0, hr_bpm=True), sample(1, hr_bpm="high"), sample(2, hr_bpm=1e300)]
    ).samples
    assert runs(samples, "hr_bpm") == ()


lines = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=400)


@given(lines, st.floats(0.01, 3))
def test_thinning_keeps_ends_and_extremes(values: list[float], pace: float) -> None:
    points = [Point(index * pace, value) for index, value in enumerate(values)]
    kept = thinned(points)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert max(p.y for p in kept) >= max(values) - 0.16
    assert min(p.y for p in kept) <= min(values) + 0.16
    assert set(kept) <= set(points)
    assert all(one.x <= other.x for one, other in pairwise(kept))


def test_a_straight_line_needs_two_points() -> None:
    assert thinned([Point(x, 2.0 * x) for x in range(500)]) == [Point(0, 0), Point(499, 998)]


def test_a_noise_of_a_second_is_inside_the_range_that_is_drawn() -> None:
    spike = [Point(float(t), 99.0 if t == 55 else 70.0) for t in range(100)]
    found = buckets(spike, 20.0)
    assert [bucket.high for bucket in found] == [70, 70, 99, 70, 70]
    assert found[2].mean == pytest.approx(71.45)


def test_a_rate_is_held_until_it_changes() -> None:
    held = [Point(float(t), 60.0 if t < 3 else 0.0) for t in range(5)]
    assert steps(held) == [Point(0, 60), Point(3, 60), Point(3, 0), Point(4, 0)]


# --- pictures -----------------------------------------------------------------------------------------


def a_figure(*states: Bar, panel: Panel | None = None) -> Figure:
    flat = Curve("rate", ((Point(0, 1), Point(100, 1)),), 1)
    plain = Panel("Rate", "mL/h", (flat,), 0, 2, 1)
    return Figure("f", "Pump", "words", states, 100, (panel or plain,))


def test_a_state_is_named_inside_where_it_fits_and_above_where_it_does_not() -> None:
    long, brief = Bar(0, 90, "s-infusing", "infusing"), Bar(90, 94, "s-holding", "holding")
    svg = drawn(a_figure(long, brief), wide(100))
    assert re.search(r'class="in-strip">infusing<', svg)
    assert re.search(r'class="above">holding<', svg)


def test_names_above_never_overlap() -> None:
    states = [Bar(t, t + 1.0, "s-holding", f"holding {t}") for t in range(30)]
    svg = drawn(a_figure(*states), narrow(100))
    places = [
        (float(x), len(name) * 6.3)
        for x, name in re.findall(r'<text x="([\d.]+)" y="10" class="above">([^<]*)<', svg)
    ]
    assert 2 <= len(places) < 30
    assert all(x + width <= after for (x, width), (after, _) in pairwise(places))
    assert places[-1][0] + places[-1][1] <= 330


def test_only_the_wide_picture_has_places_to_hover_over() -> None:
    told = story(FIRST_VISIT)
    figure = figures(told, alarms(told))[-1]
    assert "Blood pressure 120/80 mmHg" in drawn(figure, wide(figure.end_s))
    assert "Blood pressure 120/80 mmHg" not in drawn(figure, narrow(figure.end_s))


def test_every_coordinate_is_on_the_page() -> None:
    told = story(FIRST_VISIT)
    for figure in figures(told, alarms(told)):
        for sheet in (wide(figure.end_s), narrow(figure.end_s)):
            svg = drawn(figure, sheet)
            xs = [float(x) for x in re.findall(r' (?:x|x1|x2)="(-?[\d.]+)"', svg)]
            assert min(xs) >= 0
            assert max(xs) <= sheet.width


def test_a_value_beyond_its_axis_stays_in_the_frame() -> None:
    wild = Curve("rate", ((Point(0, -50), Point(100, 500)),), 1)
    panel = Panel("Rate", "", (wild,), 0, 2, 1, (Limit(1.0, "hold", "hold > 1", "> 1"),))
    svg = drawn(a_figure(panel=panel), wide(100))
    d = re.search(r'<path d="M([\d.]+),([\d.]+)L([\d.]+),([\d.]+)"', svg)
    assert d is not None
    assert float(d[2]) - float(d[4]) == panel.height


def test_a_low_step_beside_a_high_one_is_written_on() -> None:
    rates: list[Entry] = [
        sample(float(t), rate_ml_h=60.0 if t < 60 else 3.333) for t in range(2_000)
    ]
    figure = figures(story([state(0, "infusing"), *rates]), ())[0]
    heights = re.findall(r'class="height">([^<]*)<', drawn(figure, wide(figure.end_s)))
    assert heights == ["60 mL/h", "3.333 mL/h"]


def test_a_height_that_would_stand_on_another_one_is_left_out() -> None:
    rates: list[Entry] = [
        sample(float(t), rate_ml_h=3.333 if t % 100 < 50 else 0.0) for t in range(2_000)
    ]
    figure = figures(story([state(0, "infusing"), *rates]), ())[0]
    for sheet in (wide(figure.end_s), narrow(figure.end_s)):
        svg = drawn(figure, sheet)
        places = [float(x) for x in re.findall(r'<text x="([\d.]+)" [^>]*class="height"', svg)]
        assert 1 <= len(places) < 20
        assert all(after - before >= len("3.333 mL/h") * 6 for before, after in pairwise(places))
        assert places[-1] + len("3.333 mL/h") * 6 <= sheet.width


def test_an_alarm_is_marked_by_its_priority_in_writing() -> None:
    told = story(
        [state(0, "infusing"), sample(0.0, hr_bpm=70.0), alarm(50, active=True), sample(99.0)]
    )
    figure = figures(told, alarms(told))[-1]
    assert 'class="mark a-high">!!!<' in drawn(figure, wide(figure.end_s))


def test_no_alarm_is_drawn_over_another_one() -> None:
    told = story([
        state(0, "infusing"),
        sample(0.0, hr_bpm=70.0),
        alarm(10, active=True, alarm="a", priority="low"),
        alarm(20, active=True, alarm="b"),
        alarm(30, active=True, alarm="c"),
        alarm(40, active=False, alarm="b"),
        alarm(50, active=True, alarm="b"),
        sample(99.0),
    ])  # fmt: skip
    lanes = figures(told, alarms(told))[-1].lanes
    assert [(lane.label, lane.mark) for lane in lanes] == [
        ("Alarms", "!!!"),
        ("", ""),
        ("", "!"),
    ]
    assert [[(bar.start_s, bar.end_s) for bar in lane.bars] for lane in lanes] == [
        [(20, 40), (50, 99)],
        [(30, 99)],
        [(10, 99)],
    ]


def test_the_names_of_limits_stand_beside_the_plot_and_apart() -> None:
    flat = Curve("rate", ((Point(0, 1), Point(100, 1)),), 1)
    near = (Limit(1.0, "hold", "hold > 1", "> 1"), Limit(1.02, "warn", "warn > 1.02", "> 1.02"))
    svg = drawn(a_figure(panel=Panel("Rate", "", (flat,), 0, 2, 1, near)), wide(100))
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="limit-name (\w+)">', svg)
    assert [look for _, _, look in found] == ["warn", "hold"]
    sheet = wide(100)
    assert all(float(x) > sheet.width - sheet.right for x, _, _ in found)
    assert float(found[1][1]) - float(found[0][1]) >= 11


# --- what is drawn ------------------------------------------------------------------------------------


def titles(*entries: Entry) -> list[str]:
    told = story([state(0, "infusing"), *entries])
    return [panel.title for figure in figures(told, ()) for panel in figure.panels]


def test_an_effect_that_never_was_is_not_drawn() -> None:
    flat = [sample(float(t), dissociation_pct=0.0, pain_fall_cm=t / 10) for t in range(5)]
    assert titles(*flat) == ["Fall in pain"]


def test_pressure_is_drawn_where_there_is_one_and_missed_aloud_where_there_is_none() -> None:
    with_it = [sample(0, pressure_mmhg=80.0), sample(1, pressure_mmhg=90.0)]
    assert titles(*with_it) == ["Line pressure"]
    notes = [
        figures(story([state(0, "infusing"), *entries]), ())[0].note
        for entries in (with_it, [sample(0, rate_ml_h=1.0), sample(1, rate_ml_h=1.0)])
    ]
    assert notes == ["", "The pump told no pressure in the line, so there is none to plot."]


def test_every_drug_has_its_own_axes() -> None:
    values: dict[str, Scalar] = {
        "plasma_ng_ml": 100.0,
        "effect_ng_ml": 50.0,
        "midazolam_plasma_ng_ml": 9.0,
    }
    assert titles((0.0, "sample", values), (1.0, "sample", values)) == [
        "Concentration",
        "Concentration of midazolam",
    ]


def test_a_cuff_that_measures_now_and_then_is_drawn_now_and_then() -> None:
    told = story(FIRST_VISIT)
    vitals = figures(told, ())[-1]
    cuff = next(panel for panel in vitals.panels if panel.title.startswith("Blood"))
    (bars,) = cuff.marks
    assert not isinstance(bars, Curve)
    assert bars.readings == ((100, 80, 120), (400, 80, 120))


def test_a_sign_is_drawn_for_as_long_as_it_was_there() -> None:
    signs: list[Entry] = [sample(0, plasma_ng_ml=1.0, anxious=False, toxicity="")]
    signs += [sample(10, plasma_ng_ml=1.0, anxious=True, toxicity="tinnitus")]
    signs += [sample(20, plasma_ng_ml=1.0, anxious=False, toxicity="twitching"), sample(30)]
    lanes = figures(story([state(0, "infusing"), *signs]), ())[0].lanes
    assert [(lane.label, [(b.start_s, b.end_s, b.text) for b in lane.bars]) for lane in lanes] == [
        ("Anxious", [(10, 20, "anxious")]),
        ("Toxicity", [(10, 20, "tinnitus"), (20, 30, "twitching")]),
    ]


def test_a_log_without_samples_has_no_figures() -> None:
    assert figures(story([state(0, "preparing")]), ()) == ()
