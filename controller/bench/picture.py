"""The two graphs of a flow test as a picture: the start-up, and the trumpet."""

from __future__ import annotations

from pathlib import Path

from controller.bench.flow import START_UP_MIN, Analysis, flows_ml_h
from controller.bench.recording import Floats
from firmware_bridge.notice import NOTICE


class PictureUnavailable(RuntimeError):
    """What draws pictures is not installed."""


def draw(analysis: Analysis, t_s: Floats, volume_ml: Floats, path: Path, name: str) -> None:
    """Write a PNG; raises `PictureUnavailable`, or `OSError` for a path that cannot be written."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # heavy, optional
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise PictureUnavailable(
            "a picture needs matplotlib: pip install 'infusor[bench]'"
        ) from error
    figure = Figure(figsize=(10, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    start_up, trumpet = figure.subplots(1, 2)
    minutes = (t_s - t_s[0]) / 60.0
    shown = minutes[1:] <= START_UP_MIN
    start_up.plot(minutes[1:][shown], flows_ml_h(t_s, volume_ml)[shown], linewidth=0.8)
    start_up.axhline(
        analysis.rate_ml_h, color="0.3", linestyle="--", linewidth=0.8, label="set rate"
    )
    start_up.legend(frameon=False)
    start_up.set(title="Start-up", xlabel="time (min)", ylabel="flow (mL/h)", ylim=(0, None))
    windows = analysis.windows
    lengths = [window.minutes for window in windows]
    trumpet.plot(lengths, [w.max_pct for w in windows], marker="^", label="largest")
    trumpet.plot(lengths, [w.min_pct for w in windows], marker="v", label="smallest")
    trumpet.axhline(
        analysis.mean_error_pct, color="0.3", linestyle="--", linewidth=0.8, label="mean error"
    )
    trumpet.axhline(0.0, color="0.7", linewidth=0.8)
    title = f"Windows, {analysis.from_min:g} to {analysis.to_min:g} min"
    trumpet.set(title=title, xlabel="length of window (min)", ylabel="mean flow error (%)")
    trumpet.legend(frameon=False)
    figure.suptitle(
        f"{name}: set {analysis.rate_ml_h:g} mL/h, mean {analysis.mean_error_pct:+.2f} %"
    )
    figure.supxlabel(NOTICE, fontsize=7, color="0.3")
    figure.savefig(path, format="png")
