"""The figures of a visit: pump, drug in the body and what it does, vital signs with their limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller.reading import number_in, words
from controller.report import clock
from controller.report.alarm_lanes import alarm_lanes
from controller.report.alarms import AlarmSpan
from controller.report.figure import Bar, Bars, Curve, Figure, Lane, Limit, Panel
from controller.report.scale import rounded
from controller.report.series import Run, extent, runs
from controller.report.story import Moment, Story
from controller.wording import number, split_unit

HOVERS = 96
"""How many places of a figure tell their values to a pointer."""

VITALS = (
    ("hr_bpm", "Heart rate", 1),
    ("nibp", "Blood pressure, systolic to diastolic", 2),
    ("spo2_pct", "Oxygen saturation", 3),
    ("rr_bpm", "Respiratory rate", 5),
    ("etco2_mmhg", "End-tidal CO2", 4),
)
PUMP = (
    ("rate_ml_h", "Rate", 4, 1.0, "steps"),
    ("delivered_ml", "Volume delivered", 1, 0.5, "line"),
    ("pressure_mmhg", "Line pressure", 5, 50.0, "band"),
)
EFFECTS = (
    ("dissociation_pct", "Dissociation", 2, 20.0, "line"),
    ("pain_fall_cm", "Fall in pain", 3, 1.0, "line"),
    ("toxicity_stage", "Stage of toxicity", 5, 4.0, "steps"),
)
"""Key, name, colour, the least that the axis reaches up to (a flat line must not look like a mountain)."""
SIGNS = ("anxious", "sedated", "toxicity")
SITES = "_ng_ml"
NO_PRESSURE = "The pump told no pressure in the line, so there is none to plot."
LIMITS = (("hold", "below"), ("hold", "above"), ("warn", "below"), ("warn", "above"))


def figures(story: Story, raised: tuple[AlarmSpan, ...]) -> tuple[Figure, ...]:
    """Every figure for which the log has something to show."""
    if not story.samples:
        return ()
    frame = _Frame(story, raised)
    pump = [_measured(story, *row) for row in PUMP]
    body = [*_concentrations(story), *(_effect(story, *row) for row in EFFECTS)]
    vitals = [_vital(story, *row) for row in VITALS]
    wanted = (
        ("pump", "Pump", pump, (), "" if pump[-1] else NO_PRESSURE),
        ("body", "Drug in the body, and its effects", body, tuple(_signs(story)), ""),
        ("vitals", "Vital signs", vitals, (), ""),
    )
    made = (
        frame.figure(name, title, [panel for panel in panels if panel], lanes, note)
        for name, title, panels, lanes, note in wanted
    )
    return tuple(figure for figure in made if figure.panels)


class _Frame:
    """What all figures share: states, alarms, time."""

    def __init__(self, story: Story, raised: tuple[AlarmSpan, ...]) -> None:
        self._story = story
        self._states = tuple(
            Bar(s.start_s, s.end_s, f"s-{s.name.replace('_', '-')}", words(s.name))
            for s in story.states
            if s.length_s > 0
        )
        self._alarms = alarm_lanes(raised, story.end_s)

    def figure(
        self, name: str, title: str, panels: list[Panel], lanes: tuple[Lane, ...], note: str
    ) -> Figure:
        return Figure(
            id=name,
            title=title,
            summary=" ".join(_summary(panel) for panel in panels),
            states=self._states,
            end_s=self._story.end_s,
            panels=tuple(panels),
            lanes=(*self._alarms, *lanes),
            note=note,
            hovers=tuple(_hovers(self._story, panels)),
        )


# --- panels -----------------------------------------------------------------------------------------


def _effect(
    story: Story, key: str, title: str, colour: int, top: float, style: str
) -> Panel | None:
    """An effect that this drug never had is not shown."""
    reach = extent(runs(story.samples, key))
    return None if reach in (None, (0.0, 0.0)) else _measured(story, key, title, colour, top, style)


def _measured(
    story: Story, key: str, title: str, colour: int, top: float, style: str
) -> Panel | None:
    found = runs(story.samples, key)
    reach = extent(found)
    if reach is None:
        return None
    low, high, step = rounded(min(0.0, reach[0]), max(reach[1], top), 4)
    curve = Curve(title, found, colour, style)
    return Panel(title, split_unit(key)[1], (curve,), low, high, step, height=90)


def _concentrations(story: Story) -> Iterator[Panel]:
    """One panel for each drug: plasma and effect sites of one are on the same axes."""
    keys = dict.fromkeys(
        key
        for moment in (story.samples[0], story.samples[-1])
        for key in moment.record
        if key.endswith(SITES)
    )
    drugs: dict[str, list[str]] = {}
    for key in keys:
        drugs.setdefault(_drug_of(key), []).append(key)
    for drug, sites in drugs.items():
        curves = [
            Curve(_site(key, drug), runs(story.samples, key), colour)
            for colour, key in enumerate(sites[:6], start=1)
        ]
        reach = extent(run for curve in curves for run in curve.runs)
        if reach is None or (drug and reach[1] <= 0):
            continue
        low, high, step = rounded(0.0, max(reach[1], 1e-3), 5)
        title = f"Concentration of {drug}" if drug else "Concentration"
        yield Panel(title, "ng/mL", tuple(curves), low, high, step, height=140)


def _drug_of(key: str) -> str:
    """The drug a key names before the site; empty for the drug of the visit."""
    return next(
        (key.split(f"{site}", 1)[0].rstrip("_") for site in ("plasma", "effect") if site in key), ""
    )


def _site(key: str, drug: str) -> str:
    site = key.removesuffix(SITES).removeprefix(f"{drug}_" if drug else "")
    return words(site.removeprefix("effect_") or site)


def _vital(story: Story, key: str, title: str, colour: int) -> Panel | None:
    if key == "nibp":
        return _cuff(story, title, colour)
    found = runs(story.samples, key)
    limits = tuple(limits_of(story, key))
    reach = _reach(found, limits)
    if reach is None:
        return None
    low, high, step = rounded(*reach, 4)
    curve = Curve(title, found, colour, "band")
    return Panel(title, split_unit(key)[1], (curve,), low, high, step, limits, height=100)


def _cuff(story: Story, title: str, colour: int) -> Panel | None:
    readings = tuple(_readings(story.samples))
    if not readings:
        return None
    limits = (
        *limits_of(story, "nibp_sys_mmhg", "sys "),
        *limits_of(story, "nibp_dia_mmhg", "dia "),
    )
    values = [value for _, low, high in readings for value in (low, high)]
    ends = [*values, *(limit.value for limit in limits)]
    low, high, step = rounded(min(ends), max(ends), 4)
    bars = Bars("systolic to diastolic", readings, colour)
    return Panel(title, "mmHg", (bars,), low, high, step, limits, height=110)


def _readings(samples: Iterable[Moment]) -> Iterator[tuple[float, float, float]]:
    """Each inflation of the cuff once: its age begins anew, or its values change."""
    last: tuple[float, float] | None = None
    age_before = -1.0
    for moment in samples:
        high = number_in(moment.record, "nibp_sys_mmhg")
        low = number_in(moment.record, "nibp_dia_mmhg")
        age = number_in(moment.record, "nibp_age_s") or 0.0
        if high is None or low is None:
            last = None
            continue
        if last != (low, high) or age < age_before:
            yield max(0.0, moment.at_s - age), low, high
        last, age_before = (low, high), age


def limits_of(story: Story, key: str, whose: str = "") -> Iterator[Limit]:
    """The limits that the log's first record gives for this vital sign."""
    for action, side in LIMITS:
        value = number_in(story.header, f"{action}_{side}_{key}")
        if value is not None:
            beyond = f"{'>' if side == 'above' else '<'} {number(value)}"
            yield Limit(value, action, f"{whose}{action} {beyond}", f"{whose}{beyond}")


def _reach(found: tuple[Run, ...], limits: tuple[Limit, ...]) -> tuple[float, float] | None:
    """Values and limits together, so that the distance between them is seen."""
    measured = extent(found)
    if measured is None:
        return None
    ends = [*measured, *(limit.value for limit in limits)]
    return min(ends), max(ends)


# --- lanes and words --------------------------------------------------------------------------------


def _signs(story: Story) -> Iterator[Lane]:
    """Signs that come and go, for as long as they were there."""
    for key in SIGNS:
        bars = tuple(_stretches(story.samples, key))
        if bars:
            yield Lane(words(key).capitalize(), bars)


def _stretches(samples: tuple[Moment, ...], key: str) -> Iterator[Bar]:
    shown, since, last = "", 0.0, 0.0
    for moment in samples:
        value = moment.record.get(key)
        now = value if isinstance(value, str) else (key if value is True else "")
        if now != shown:
            if shown:
                yield Bar(since, moment.at_s, "sign", words(shown))
            shown, since = now, moment.at_s
        last = moment.at_s
    if shown:
        yield Bar(since, last, "sign", words(shown))


def _summary(panel: Panel) -> str:
    """The panel in words, for whoever cannot see it."""
    told = []
    for mark in panel.marks:
        if isinstance(mark, Curve):
            reach = extent(mark.runs)
            values = reach or (0.0, 0.0)
        else:
            values = min(r[1] for r in mark.readings), max(r[2] for r in mark.readings)
        told.append(f"{mark.label} from {values[0]:.4g} to {values[1]:.4g}")
    unit = f" ({panel.unit})" if panel.unit else ""
    limits = ", ".join(limit.label for limit in panel.limits)
    ending = f"; limits: {limits}" if limits else ""
    return f"{panel.title}{unit}: {', '.join(told)}{ending}."


def _hovers(story: Story, panels: list[Panel]) -> Iterator[Bar]:
    """What a pointer is told at places spread over the visit: time, state and the values there."""
    width_s = story.end_s / HOVERS
    if width_s <= 0:
        return
    middle: dict[int, Moment] = {}
    for moment in story.samples:
        middle.setdefault(min(HOVERS - 1, int(moment.at_s / width_s)), moment)
    wanted = {mark.label for panel in panels for mark in panel.marks}
    for index, moment in middle.items():
        lines = [f"{clock.at(moment.at_s)} {words(story.state_at(moment.at_s))}"]
        lines += _values(moment, wanted)
        yield Bar(index * width_s, (index + 1) * width_s, "hover", " · ".join(lines))


def _values(moment: Moment, wanted: set[str]) -> Iterator[str]:
    rows = [(key, title) for key, title, *_ in (*PUMP, *EFFECTS, *VITALS)]
    rows += [(key, _site(key, _drug_of(key))) for key in moment.record if key.endswith(SITES)]
    for key, title in rows:
        value = number_in(moment.record, key)
        if value is not None and title in wanted:
            yield f"{title} {value:.4g} {split_unit(key)[1]}".rstrip()
    high = number_in(moment.record, "nibp_sys_mmhg")
    low = number_in(moment.record, "nibp_dia_mmhg")
    if high is not None and low is not None and "systolic to diastolic" in wanted:
        yield f"Blood pressure {high:.4g}/{low:.4g} mmHg"
