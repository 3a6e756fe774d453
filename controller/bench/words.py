"""An analysis as people read it in a terminal, and as programs read it in JSON."""

from __future__ import annotations

from collections.abc import Mapping

from controller.bench.flow import Analysis, Window, flows_ml_h
from controller.bench.recording import Floats, Recording


def as_json(analysis: Analysis) -> Mapping[str, object]:
    """The published keys; a window's length in minutes is its key, written plainly."""
    return {
        "rate_ml_h": analysis.rate_ml_h,
        "from_min": analysis.from_min,
        "to_min": analysis.to_min,
        "sampling_s": analysis.sampling_s,
        "mean_ml_h": analysis.mean_ml_h,
        "mean_error_pct": analysis.mean_error_pct,
        "windows": {
            f"{window.minutes:g}": {
                "max_pct": window.max_pct,
                "min_pct": window.min_pct,
                "count": window.count,
            }
            for window in analysis.windows
        },
        "resolution_pct": {
            f"{window.minutes:g}": window.resolution_pct for window in analysis.windows
        },
        "refused": {f"{refused.minutes:g}": refused.why for refused in analysis.refused},
        "start_up": {
            "lag_ml": analysis.start_up.lag_ml,
            "reaches_90_min": analysis.start_up.reaches_90_min,
            "reaches_95_min": analysis.start_up.reaches_95_min,
        },
        "warnings": list(analysis.warnings),
    }


def series(recording: Recording, volume_ml: Floats) -> str:
    """The recording as CSV with what was made of it; the flow is the mean since the row before."""
    flow = ["", *(f"{value:.6f}" for value in flows_ml_h(recording.t_s, volume_ml).tolist())]
    mass = [f"{value:.6f}" if recording.weighed else "" for value in recording.amount.tolist()]
    rows = zip(recording.t_s.tolist(), mass, volume_ml.tolist(), flow, strict=True)
    body = "".join(f"{t_s:.3f},{m},{ml:.6f},{q}\n" for t_s, m, ml, q in rows)
    return f"t_s,mass_g,volume_ml,flow_ml_h\n{body}"


def as_text(analysis: Analysis, name: str) -> str:
    """A short table."""
    span = f"{analysis.from_min:g} to {analysis.to_min:g} min"
    lines = [
        f"{name}, set to {analysis.rate_ml_h:g} mL/h, {span}, a sample every {analysis.sampling_s:g} s",
        f"mean flow   {analysis.mean_ml_h:.4f} mL/h   error {_signed(analysis.mean_error_pct)} %",
        "",
        "window min   max %     min %     windows   readings alone %",
        *(_row(window) for window in analysis.windows),
        *(f"{refused.minutes:>10g}   refused: {refused.why}" for refused in analysis.refused),
        "",
        _start_up(analysis),
    ]
    return "\n".join([*lines, *(f"warning: {warning}" for warning in analysis.warnings)]) + "\n"


def _row(window: Window) -> str:
    alone = "unknown" if window.resolution_pct is None else f"{window.resolution_pct:.2g}"
    return (
        f"{window.minutes:>10g}   {_signed(window.max_pct):>8}  {_signed(window.min_pct):>8}  "
        f"{window.count:>7d}   {alone}"
    )


def _signed(percent: float) -> str:
    """Three decimals with their sign; a zero has none."""
    rounded = round(percent, 3)
    return f"{rounded:+.3f}" if rounded else "0.000"


def _start_up(analysis: Analysis) -> str:
    begun = analysis.start_up
    return (
        f"start-up    lag {begun.lag_ml:.4f} mL, 90 % reached {_at(begun.reaches_90_min)}, "
        f"95 % {_at(begun.reaches_95_min)}"
    )


def _at(minutes: float | None) -> str:
    return "never" if minutes is None else f"after {minutes:g} min"
