"""One picture of a visit, drawn from its log alone: pump, drug in the body, vitals, states.

Drawn after the pump has stopped.  Needs matplotlib (the extra ``demo``); raises `PlotUnavailable` where
it is not installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from controller.log_format import NOTICE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
        _states(axis, rows)
        axis.grid(visible=True, alpha=0.25)
    axes[2].set_xlabel("time (min)")
    figure.suptitle(f"{title}\n{NOTICE}", fontsize=11)
    figure.savefig(target, dpi=110)


def _series(rows: list[Row], key: str) -> tuple[list[float], list[float]]:
    """Minutes and values where there is a value; a gap in the data stays a gap in the list."""
    times: list[float] = []
    values: list[float] = []
    for row in rows:
        t, value = row.get("t_s"), row.get(key)
        if isinstance(t, int | float) and isinstance(value, int | float):
            times.append(t / 60)
            values.append(float(value))
    return times, values


def _pump(axis: Axes, rows: list[Row]) -> None:
    axis.plot(*_series(rows, "rate_ml_h"), color="#b60", lw=1.2, label="rate (mL/h)")
    axis.set_ylabel("mL/h")
    volume = axis.twinx()
    volume.plot(*_series(rows, "delivered_ml"), color="#06c", lw=1.4, label="delivered (mL)")
    volume.set_ylabel("mL")
    handles = [*axis.get_lines(), *volume.get_lines()]
    axis.legend(handles=handles, loc="upper right", fontsize=8)


def _lines(
    axis: Axes, rows: list[Row], wanted: tuple[tuple[str, str, str], ...], unit: str
) -> None:
    for key, label, colour in wanted:
        times, values = _series(rows, key)
        if times:
            axis.plot(times, values, color=colour, lw=1.1, label=label)
    if axis.get_lines():
        axis.legend(loc="upper right", fontsize=8, ncols=3)
    axis.set_ylabel(unit)


def _states(axis: Axes, rows: list[Row]) -> None:
    """Shade each stretch of time by the state it was spent in."""
    start = 0
    for index in range(1, len(rows) + 1):
        if index == len(rows) or rows[index].get("state") != rows[start].get("state"):
            shade = SHADES.get(str(rows[start].get("state")))
            first, last = rows[start].get("t_s"), rows[min(index, len(rows) - 1)].get("t_s")
            if shade and isinstance(first, int | float) and isinstance(last, int | float):
                axis.axvspan(first / 60, last / 60, color=shade, lw=0, zorder=0)
            start = index
