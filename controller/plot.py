"""One picture of a visit, drawn from its log alone: pump, drug in the body, vitals, states.

Drawn after the pump has stopped.  Needs matplotlib (the extra ``demo``); raises `PlotUnavailable` where
it is not installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING

from firmware_bridge.notice import NOTICE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

Row = Mapping[str, object]

SHADES = {
    "test_bolus": "#fde2b3",
    "titrating": "#fde2b3",
    "observing": "#e7eef7",
    "infusing": "#d3ecd2",
    "holding": "#f7c9c9",
    "rescue": "#f2b8e0",
    "recovering": "#eeeeee",
}
NAMED_FRACTION = 0.06
"""A state is named in the picture when it takes at least this part of the visit."""
VITALS = (
    ("hr_bpm", "HR (bpm)", "#c44"),
    ("nibp_sys_mmhg", "SBP (mmHg)", "#48a"),
    ("nibp_dia_mmhg", "DBP (mmHg)", "#8bc"),
    ("spo2_pct", "SpO2 (%)", "#2a7"),
    ("rr_bpm", "RR (/min)", "#a6a"),
)
CONCENTRATIONS = (
    ("plasma_ng_ml", "plasma", "#555"),
    ("effect_psychedelic_ng_ml", "psychedelic site", "#a3a"),
    ("effect_analgesic_ng_ml", "analgesic site", "#2a7"),
    ("effect_cardiovascular_ng_ml", "cardiovascular site", "#c44"),
)


class PlotUnavailable(RuntimeError):
    """matplotlib is not installed."""


def draw(records: Iterable[Row], target: Path, title: str) -> None:
    """Write the picture of these log records to ``target`` (PNG).  Raises `PlotUnavailable`, `OSError`."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, and an extra
    except ImportError as error:
        raise PlotUnavailable("no plot: install infusor[demo]") from error
    rows = [row for row in records if row.get("kind") == "sample"]
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1, 1.4))
    _pump(axes[0], rows)
    _lines(axes[1], rows, CONCENTRATIONS, "ng/mL")
    _lines(axes[2], rows, VITALS, "")
    for axis in axes:
        _states(axis, rows, named=axis is axes[0])
        axis.grid(visible=True, alpha=0.25)
    axes[2].set_xlabel("time (min)")
    figure.suptitle(f"{title}\n{NOTICE}", fontsize=11)
    figure.savefig(target, dpi=110, format="png")


def _series(rows: list[Row], key: str) -> tuple[list[float], list[float]]:
    """Minutes and values; where there is no value stands NaN, so that a gap in the data is drawn as one."""
    times: list[float] = []
    values: list[float] = []
    for row in rows:
        t, value = row.get("t_s"), row.get(key)
        if isinstance(t, int | float):
            times.append(t / 60)
            values.append(float(value) if isinstance(value, int | float) else nan)
    return times, values


def _pump(axis: Axes, rows: list[Row]) -> None:
    axis.plot(*_series(rows, "rate_ml_h"), color="#b60", lw=1.2, label="rate (mL/h)")
    axis.set_ylabel("mL/h")
    volume = axis.twinx()
    volume.plot(*_series(rows, "delivered_ml"), color="#06c", lw=1.4, label="delivered (mL)")
    volume.set_ylabel("mL")
    for scale in (axis, volume):
        scale.margins(y=0.16)  # room for the names of the states
    handles = [*axis.get_lines(), *volume.get_lines()]
    _legend(axis, handles)


def _lines(
    axis: Axes, rows: list[Row], wanted: tuple[tuple[str, str, str], ...], unit: str
) -> None:
    for key, label, colour in wanted:
        times, values = _series(rows, key)
        if not all(map(isnan, values)):
            # The dots show values that stand alone between two gaps.
            axis.plot(times, values, color=colour, lw=1.1, marker=".", ms=1.0, label=label)
    if axis.get_lines():
        _legend(axis, axis.get_lines())
    axis.set_ylabel(unit)


def _legend(axis: Axes, handles: Sequence[Line2D]) -> None:
    """Above the axes, where it hides no line."""
    axis.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(handles),
        fontsize=8,
        frameon=False,
        borderaxespad=0.1,
    )


def _states(axis: Axes, rows: list[Row], *, named: bool) -> None:
    """Shade each stretch of time by the state it was spent in, and name the longer ones."""
    whole = _minutes(rows[-1]) if rows else 0.0
    start = 0
    for index in range(1, len(rows) + 1):
        if index < len(rows) and rows[index].get("state") == rows[start].get("state"):
            continue
        state = str(rows[start].get("state"))
        first, last = _minutes(rows[start]), _minutes(rows[min(index, len(rows) - 1)])
        if state in SHADES:
            axis.axvspan(first, last, color=SHADES[state], lw=0, zorder=0)
        if named and last - first > NAMED_FRACTION * whole:
            axis.annotate(
                state.replace("_", " "),
                ((first + last) / 2, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, -11),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color="#444",
            )
        start = index


def _minutes(row: Row) -> float:
    t = row.get("t_s")
    return t / 60 if isinstance(t, int | float) else 0.0
