"""A figure as SVG, at one of two widths: a page wide enough for a table, and a telephone.

Colours, fonts and dashes are the style sheet's: everything here has a class.  The same figure is drawn
twice, since text that is scaled with a picture cannot be read on a telephone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from controller.report.figure import Bar, Bars, Curve, Figure, Lane, Limit, Panel
from controller.report.markup import Html, element, short, together
from controller.report.scale import tick_text, ticks, time_step
from controller.report.series import Point, Run, buckets, steps, thinned

LETTER_PX = 6.3
"""About the width of a letter at 12 px; only used to keep words apart."""

ROW = 17.0
STRIP = 18.0
BUCKET_PX = 3.0
"""The width of a stretch whose range and mean a line of noise is drawn by."""

LEADER_PX = 60.0
"""How far the name of a state may stand from it; the key of the page has those that find no room."""

NAME_PX = 11.0
"""The height of the name of a limit: closer than this they are moved apart."""

QUIET = frozenset({"s-preparing", "s-self-test", "s-baseline", "s-discharged"})
"""States in which no drug moves: not named where they are too short for their name."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The page a figure is drawn on; lengths in px of the picture's own coordinates.

    The margin on the right is for the names of limits: nothing is written over a curve.
    """

    name: str
    width: float
    left: float
    right: float
    time_ticks: int
    end_s: float
    hovers: bool

    def x(self, at_s: float) -> float:
        """Where a time is."""
        return self.left + self.plot * min(1.0, max(0.0, at_s / (self.end_s or 1.0)))

    @property
    def plot(self) -> float:
        """The width between the axes."""
        return self.width - self.left - self.right


def wide(end_s: float) -> Sheet:
    """For a screen of a computer, and for paper."""
    return Sheet("wide", 900, 44, 94, 13, end_s, hovers=True)


def narrow(end_s: float) -> Sheet:
    """For a telephone; there is no pointer to hover with."""
    return Sheet("narrow", 330, 32, 56, 5, end_s, hovers=False)


def drawn(figure: Figure, sheet: Sheet) -> Html:
    """The whole picture."""
    parts: list[Html] = []
    y = _strip(figure, sheet, parts)
    for lane in figure.lanes:
        y = _lane(lane, sheet, y, parts)
    for panel in figure.panels:
        y = _panel(panel, figure.states, sheet, y, parts)
    y = _time_axis(sheet, y, parts)
    if sheet.hovers:
        parts += [_hover(bar, sheet, y) for bar in figure.hovers]
    return element(
        "svg",
        parts,
        class_=f"plot {sheet.name}",
        view_box=f"0 0 {short(sheet.width)} {short(y)}",
        role="img",
        aria_label=f"{figure.title}. {figure.summary}",
    )


# --- states and lanes -------------------------------------------------------------------------------


def _strip(figure: Figure, sheet: Sheet, parts: list[Html]) -> float:
    """The states in a row, named inside where there is room and above where there is not."""
    outside = list(_names_above(figure.states, sheet))
    top = ROW if outside else 2.0
    for bar in figure.states:
        first, last = sheet.x(bar.start_s), sheet.x(bar.end_s)
        box = _rect(first, top, last - first, STRIP, f"state {bar.look}", bar.text)
        parts.append(box)
        if _fits(bar.text, last - first):
            parts.append(_text((first + last) / 2, top + 13, bar.text, "in-strip"))
    for bar, x in outside:
        middle = (sheet.x(bar.start_s) + sheet.x(bar.end_s)) / 2
        parts.append(_text(x, 10, bar.text, "above"))
        foot = max(x + 2, min(middle, x + _length(bar.text)))
        parts.append(_line(foot, 12, middle, top + 4, "leader"))
    return top + STRIP + 6


def _names_above(states: Iterable[Bar], sheet: Sheet) -> Iterator[tuple[Bar, float]]:
    """Names that do not fit inside, side by side as near as they can; those without room are left out."""
    free = sheet.left
    for bar in states:
        width = sheet.x(bar.end_s) - sheet.x(bar.start_s)
        if width < 1.0 or bar.look in QUIET or _fits(bar.text, width):
            continue
        length = _length(bar.text)
        x = max(free, sheet.x(bar.start_s) + width / 2 - length / 2)
        if x + length > sheet.width or abs(x + length / 2 - sheet.x(bar.start_s)) > LEADER_PX:
            continue
        free = x + length + 10
        yield bar, x


def _lane(lane: Lane, sheet: Sheet, y: float, parts: list[Html]) -> float:
    if lane.label:
        parts.append(_text(sheet.left, y + 11, lane.label, "title"))
        y += ROW
    if lane.mark and lane.bars:
        parts.append(_text(sheet.left - 5, y + 9, lane.mark, f"mark {lane.bars[0].look}"))
    right = sheet.width - sheet.right
    parts.append(_line(sheet.left, y + 4.5, right, y + 4.5, "grid"))
    for bar in lane.bars:
        first, last = min(sheet.x(bar.start_s), right - 3), sheet.x(bar.end_s)
        parts.append(_rect(first, y, max(3.0, last - first), 9, f"bar {bar.look}", bar.text))
    return y + 14


# --- panels -----------------------------------------------------------------------------------------


def _panel(panel: Panel, states: Iterable[Bar], sheet: Sheet, y: float, parts: list[Html]) -> float:
    y = _legend(panel, sheet, y, parts)
    frame = _Frame(sheet, panel, y)
    parts += [frame.shade(bar) for bar in states]
    for value in ticks(panel.low, panel.high, panel.step):
        at = frame.y(value)
        parts.append(_line(sheet.left, at, sheet.width - sheet.right, at, "grid"))
        parts.append(_text(sheet.left - 5, at + 4, tick_text(value, panel.step), "tick-y"))
    parts += [frame.limit(limit) for limit in panel.limits]
    for mark in panel.marks:
        parts += frame.curve(mark) if isinstance(mark, Curve) else frame.bars(mark)
    parts += frame.limit_names()
    return y + panel.height + 12


def _legend(panel: Panel, sheet: Sheet, y: float, parts: list[Html]) -> float:
    """The title, and what is drawn how; returns where the axes begin."""
    name = f"{panel.title}, {panel.unit}" if panel.unit else panel.title
    parts.append(_text(sheet.left, y + 12, name, "title"))
    x = sheet.left + _length(name) * 1.1 + 18
    if len(panel.marks) > 1:
        for mark in panel.marks:
            wanted = 24 + _length(mark.label)
            if x + wanted > sheet.width:
                x, y = sheet.left, y + ROW - 2
            parts.append(_line(x, y + 8, x + 18, y + 8, f"curve among c{mark.colour}"))
            parts.append(_text(x + 23, y + 12, mark.label, "key"))
            x += wanted + 14
    return y + ROW + 3


@dataclass(frozen=True, slots=True)
class _Frame:
    """The axes of one panel, with their top at ``top``."""

    sheet: Sheet
    panel: Panel
    top: float

    def y(self, value: float) -> float:
        """Where a value is, kept inside the frame."""
        span = self.panel.high - self.panel.low
        part = min(1.0, max(0.0, (value - self.panel.low) / span))
        return self.top + self.panel.height * (1 - part)

    def at(self, point: Point) -> Point:
        """The place of a value at a time."""
        return Point(self.sheet.x(point.x), self.y(point.y))

    def shade(self, bar: Bar) -> Html:
        first, last = self.sheet.x(bar.start_s), self.sheet.x(bar.end_s)
        return _rect(first, self.top, last - first, self.panel.height, f"shade {bar.look}")

    def limit(self, limit: Limit) -> Html:
        at = self.y(limit.value)
        right = self.sheet.width - self.sheet.right
        return _line(self.sheet.left, at, right, at, f"limit {limit.action}")

    def limit_names(self) -> Iterator[Html]:
        """In the margin beside their lines, moved down where two would touch."""
        x = self.sheet.width - self.sheet.right + 5
        free = float("-inf")
        for limit in sorted(self.panel.limits, key=lambda one: -one.value):
            at = max(free, self.y(limit.value) + 3.5)
            name = limit.label if self.sheet.right > _length(limit.label) else limit.brief
            yield _text(x, at, name, f"limit-name {limit.action}")
            free = at + NAME_PX

    def curve(self, curve: Curve) -> list[Html]:
        look = f"curve {'among ' if len(self.panel.marks) > 1 else ''}c{curve.colour}"
        if curve.style == "band":
            return [part for run in curve.runs for part in self._band(run, curve.colour)]
        if curve.style == "steps":
            return self._steps(curve.runs, look)
        return [_path(thinned([self.at(p) for p in run]), look) for run in curve.runs]

    def _steps(self, found: Iterable[Run], look: str) -> list[Html]:
        """Corners, with the height of every step written on it: a low one beside a high one is seen."""
        lines = [steps(run) for run in found]
        heights = self._heights(pair for corners in lines for pair in pairwise(corners))
        return [*(_path([self.at(point) for point in line], look) for line in lines), *heights]

    def _heights(self, pairs: Iterable[tuple[Point, Point]]) -> Iterator[Html]:
        """Over its step, beside it where that is too short, and nowhere where another one stands."""
        taken: list[tuple[float, float, float]] = []
        for first, last in pairs:
            if first.y != last.y or first.y <= 0:
                continue
            text = f"{first.y:.4g} {self.panel.unit}"
            left, right, long = self.at(first), self.at(last), _length(text)
            x = left.x + 4 if long < right.x - left.x else right.x + 5
            x = min(x, self.sheet.width - long)
            above = left.y - 14 >= self.top  # under the title there is no room above the line
            y = left.y + (-5 if above else 12)
            if any(
                abs(y - at) < NAME_PX and x < end + 4 and begin < x + long + 4
                for begin, end, at in taken
            ):
                continue
            taken.append((x, x + long, y))
            yield _text(x, y, text, "height")

    def _band(self, run: Run, colour: int) -> list[Html]:
        found = buckets(run, max(1.0, BUCKET_PX * self.sheet.end_s / self.sheet.plot))
        upper = thinned([self.at(Point(b.x, b.high)) for b in found])
        lower = thinned([self.at(Point(b.x, b.low)) for b in found])
        middle = thinned([self.at(Point(b.x, b.mean)) for b in found])
        return [
            _path([*upper, *reversed(lower)], f"range c{colour}"),
            _path(middle, f"curve c{colour}"),
        ]

    def bars(self, bars: Bars) -> list[Html]:
        found: list[Html] = []
        for at_s, low, high in bars.readings:
            x, bottom, top = self.sheet.x(at_s), self.y(low), self.y(high)
            lines = f"M{short(x - 3)},{short(top)}h6M{short(x)},{short(top)}V{short(bottom)}"
            d = f"{lines}M{short(x - 3)},{short(bottom)}h6"
            found.append(element("path", d=d, class_=f"curve c{bars.colour}"))
        return found


# --- time axis and hover ----------------------------------------------------------------------------


def _time_axis(sheet: Sheet, y: float, parts: list[Html]) -> float:
    """Minutes since the visit began; the unit at the first tick."""
    step = time_step(sheet.end_s, sheet.time_ticks)
    parts.append(_line(sheet.left, y - 8, sheet.width - sheet.right, y - 8, "axis"))
    for at_s in ticks(0, sheet.end_s, step):
        x = sheet.x(at_s)
        parts.append(_line(x, y - 8, x, y - 4, "axis"))
        unit = " min" if at_s == 0 else ""
        name = "tick-x first" if at_s == 0 else "tick-x"
        parts.append(_text(x, y + 8, f"{at_s / 60:g}{unit}", name))
    return y + 14


def _hover(bar: Bar, sheet: Sheet, height: float) -> Html:
    first, last = sheet.x(bar.start_s), sheet.x(bar.end_s)
    return _rect(first, 0, last - first, height, "hover", bar.text)


# --- shapes -----------------------------------------------------------------------------------------


def _rect(x: float, y: float, width: float, height: float, look: str, title: str = "") -> Html:
    told = element("title", title) if title else None
    return element("rect", told, x=x, y=y, width=max(0.0, width), height=height, class_=look)


def _line(x1: float, y1: float, x2: float, y2: float, look: str) -> Html:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=look)


def _text(x: float, y: float, text: str, look: str) -> Html:
    return element("text", text, x=x, y=y, class_=look)


def _path(points: Iterable[Point], look: str) -> Html:
    """A line through the points; a single one becomes a dot."""
    places = [f"{short(point.x)},{short(point.y)}" for point in points]
    if len(places) == 1:
        places.append(places[0])
    return element("path", d="M" + "L".join(places), class_=look) if places else together()


def _length(text: str) -> float:
    return len(text) * LETTER_PX


def _fits(text: str, width: float) -> bool:
    return _length(text) + 8 <= width
