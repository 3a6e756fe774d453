"""What a bench prints: tables whose rows put the ratio first, then ours and the floor with their spread.

Milliseconds belong to one machine and one moment; the ratio to something measured in the same run is what
can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median, quantiles

QUARTILES_FROM = 4


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several rounds and their quartiles; of two or three rounds, the outermost."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises `statistics.StatisticsError` when there is no value."""
        if len(values) < QUARTILES_FROM:
            return cls(median(values), min(values), max(values))
        low, middle, high = quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high)

    def __str__(self) -> str:
        return f"{_figure(self.median)} ({_figure(self.low)}..{_figure(self.high)})"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.  ``ratio`` is ours over the floor of the same round, ours and floor in ``unit``."""

    what: str
    ratio: Spread
    ours: Spread
    floor: Spread
    unit: str
    also: str = ""

    @classmethod
    def of(
        cls,
        what: str,
        ours: Sequence[float],
        floor: Sequence[float],
        unit: str,
        also: str = "",
    ) -> Row:
        """From the figures of each round.  A floor too small to be seen makes the ratio infinite.

        Dividing within a round, not between medians, takes a load that comes and goes out of the ratio.
        """
        ratios = [
            mine / theirs if theirs else float("inf")
            for mine, theirs in zip(ours, floor, strict=True)
        ]
        return cls(what, Spread.of(ratios), Spread.of(ours), Spread.of(floor), unit, also)


@dataclass(frozen=True, slots=True)
class Table:
    """One question of the bench, answered.  ``floor`` says what it is held against."""

    key: str
    title: str
    floor: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """The table for a person."""
        cells = [
            (str(row.ratio), str(row.ours), str(row.floor), row.unit, row.what, row.also)
            for row in self.rows
        ]
        head = ("ratio", "ours", "floor", "unit", "what", "")
        widths = [max(len(line[i]) for line in (head, *cells)) for i in range(len(head))]
        lines = [f"{self.key}: {self.title}", f"  floor: {self.floor}"]
        for line in (head, *cells):
            padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            lines.append(("  " + "  ".join(padded)).rstrip())
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines) + "\n"

    def as_json(self) -> dict[str, object]:
        """The table for a machine."""
        return {
            "key": self.key,
            "title": self.title,
            "floor": self.floor,
            "rows": [
                {
                    "what": row.what,
                    "ratio": _spread(row.ratio) if isfinite(row.ratio.high) else None,
                    "ours": _spread(row.ours),
                    "floor": _spread(row.floor),
                    "unit": row.unit,
                    "also": row.also,
                }
                for row in self.rows
            ],
            "notes": list(self.notes),
        }


def _spread(spread: Spread) -> dict[str, float]:
    return {"median": spread.median, "low": spread.low, "high": spread.high}


def _figure(value: float) -> str:
    """Three digits that mean something, or whole numbers with separators."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
