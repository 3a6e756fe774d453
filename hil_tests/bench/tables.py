"""What a bench prints: tables whose rows put the ratio first, then ours and the floor with their spread.

Milliseconds belong to one machine and one moment; the ratio to something measured in the same run is what
can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several rounds, and their lowest and highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises `statistics.StatisticsError` when there is no value."""
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{_figure(self.median)} ({_figure(self.low)}..{_figure(self.high)})"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.  ``ratio`` is ours over the floor, in ``unit``, unless the table says otherwise."""

    what: str
    ours: Spread
    floor: Spread
    unit: str
    also: str = ""

    @property
    def ratio(self) -> float:
        """How many times the floor; infinite where the floor was too small to be seen."""
        return self.ours.median / self.floor.median if self.floor.median else float("inf")


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
            (f"{row.ratio:.2f}", str(row.ours), str(row.floor), row.unit, row.what, row.also)
            for row in self.rows
        ]
        head = ("ratio", "ours", "floor", "unit", "what", "")
        widths = [max(len(line[i]) for line in (head, *cells)) for i in range(len(head))]
        lines = [f"{self.key}: {self.title}", f"  floor: {self.floor}"]
        for line in (head, *cells):
            ratio = line[0].rjust(widths[0])
            rest = [cell.ljust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
            lines.append(("  " + "  ".join((ratio, *rest))).rstrip())
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
                    "ratio": row.ratio if row.floor.median else None,
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
