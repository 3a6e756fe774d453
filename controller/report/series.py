"""What was measured once a second, thinned to what an eye can see: gaps stay gaps, extremes stay.

A *run* is a stretch of values without a gap.  A line of noise is drawn as its mean with the range
around it, so that no excursion is averaged away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from controller.reading import number_in
from controller.report.story import Moment

GAP_S = 10.0
"""Values further apart than this are not joined: the age at which vitals count as none."""

BEYOND = 1e9
"""No quantity of a visit is as large as this in its unit; such a value is drawn as none."""

TOLERANCE_PX = 0.15
"""How far a thinned line may be from the true one."""


class Point(NamedTuple):
    """A value at a time, or a place on the page."""

    x: float
    y: float


class Bucket(NamedTuple):
    """The values of a short time: its middle, lowest, mean and highest."""

    x: float
    low: float
    mean: float
    high: float


Run = tuple[Point, ...]


def runs(
    samples: Iterable[Moment], key: str, value: Callable[[float], float] = lambda v: v
) -> tuple[Run, ...]:
    """The values under ``key``, broken where one is missing or the samples paused."""
    found: list[Run] = []
    current: list[Point] = []
    for moment in samples:
        here = _plausible(number_in(moment.record, key))
        paused = bool(current) and moment.at_s - current[-1].x > GAP_S
        if current and (here is None or paused):
            found.append(tuple(current))
            current = []
        if here is not None:
            current.append(Point(moment.at_s, value(here)))
    return (*found, tuple(current)) if current else tuple(found)


def _plausible(value: float | None) -> float | None:
    return None if value is None or abs(value) > BEYOND else value


def extent(of: Iterable[Run]) -> tuple[float, float] | None:
    """The lowest and the highest value; None where there is none."""
    values = [point.y for run in of for point in run]
    return (min(values), max(values)) if values else None


def buckets(run: Sequence[Point], width_s: float) -> tuple[Bucket, ...]:
    """The run in stretches of ``width_s``, none lost."""
    groups: dict[int, list[Point]] = {}
    for point in run:
        groups.setdefault(int(point.x / width_s), []).append(point)
    return tuple(
        Bucket(
            sum(p.x for p in group) / len(group),
            min(p.y for p in group),
            sum(p.y for p in group) / len(group),
            max(p.y for p in group),
        )
        for group in groups.values()
    )


def columns(points: Sequence[Point]) -> list[Point]:
    """First, lowest, highest and last of every column of one pixel."""
    kept: list[Point] = []
    start = 0
    for index in range(1, len(points) + 1):
        if index < len(points) and int(points[index].x) == int(points[start].x):
            continue
        group = range(start, index)
        wanted = {
            start,
            min(group, key=lambda i: points[i].y),
            max(group, key=lambda i: points[i].y),
            index - 1,
        }
        kept += [points[i] for i in sorted(wanted)]
        start = index
    return kept


def thinned(points: Sequence[Point]) -> list[Point]:
    """The points without those that a straight line between the others passes within tolerance."""
    candidates = columns(points)
    if len(candidates) < 3:
        return candidates
    keep = {0, len(candidates) - 1}
    stretches = [(0, len(candidates) - 1)]
    while stretches:
        first, last = stretches.pop()
        worst, distance = first, TOLERANCE_PX
        for index in range(first + 1, last):
            off = _off(candidates[index], candidates[first], candidates[last])
            if off > distance:
                worst, distance = index, off
        if worst != first:
            keep.add(worst)
            stretches += [(first, worst), (worst, last)]
    return [candidates[index] for index in sorted(keep)]


def steps(run: Sequence[Point]) -> list[Point]:
    """A run that holds each value until the next one: only where it changes, as corners."""
    corners: list[Point] = []
    for point in run:
        if corners and corners[-1].y != point.y:
            corners += [Point(point.x, corners[-1].y), point]
        elif not corners:
            corners.append(point)
    if run:
        corners.append(run[-1])
    return corners


def _off(point: Point, first: Point, last: Point) -> float:
    """How far above or below the straight line from ``first`` to ``last``."""
    width = last.x - first.x
    if width <= 0:
        return abs(point.y - first.y)
    on_line = first.y + (last.y - first.y) * (point.x - first.x) / width
    return abs(point.y - on_line)
