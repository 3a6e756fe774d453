"""What a figure of the report is made of: panels of curves over the same time, and lanes above them.

Only data; `drawing` makes SVG of it, at whatever width.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.report.series import Run


@dataclass(frozen=True, slots=True)
class Curve:
    """One quantity over time.  ``style``: "line", "band" (mean within its range) or "steps"."""

    label: str
    runs: tuple[Run, ...]
    colour: int
    style: str = "line"


@dataclass(frozen=True, slots=True)
class Bars:
    """Readings that come one at a time, each a low and a high value: a cuff."""

    label: str
    readings: tuple[tuple[float, float, float], ...]
    colour: int


@dataclass(frozen=True, slots=True)
class Limit:
    """A line that a value should not cross.  ``action``: what follows, "hold" or "warn".

    ``brief`` is its name where there is no room for ``label``.
    """

    value: float
    action: str
    label: str
    brief: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes; the range and step of the value axis are round."""

    title: str
    unit: str
    marks: tuple[Curve | Bars, ...]
    low: float
    high: float
    step: float
    limits: tuple[Limit, ...] = ()
    height: float = 110


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a lane; ``look`` is its class, ``text`` is told to a pointer."""

    start_s: float
    end_s: float
    look: str
    text: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of bars under its name; without one it goes on from the lane above.

    ``mark`` stands in the margin before it, so that nothing is written over a bar.
    """

    label: str
    bars: tuple[Bar, ...]
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture over the whole visit; ``summary`` says in words what is to be seen in it.

    ``note`` says what is missing from it.
    """

    id: str
    title: str
    summary: str
    states: tuple[Bar, ...]
    end_s: float
    panels: tuple[Panel, ...] = ()
    lanes: tuple[Lane, ...] = ()
    hovers: tuple[Bar, ...] = ()
    note: str = ""
