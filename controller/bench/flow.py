"""Flow error of a pump from what it delivered: mean error, trumpet windows, start-up.

    mean error       A    = 100 (Q / r - 1),  Q = dV / dt over the analysed period
    window error     E_j  = 100 ((V_k - V_j) / ((t_k - t_j) r) - 1),  t_k - t_j = P

for every sample ``j`` of the period from which a window of the length ``P`` can be formed: the practice
after IEC 60601-2-24 (50.102; 201.12.1.102) as test tools and pump manuals show it.  A window begins and
ends at samples; nothing is interpolated, smoothed, or clamped, and nothing makes a trumpet of a curve
that is none.  Pure; times in s, volumes in mL, errors in percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controller.bench.corrections import Correction
from controller.bench.recording import Floats, Recording

WINDOWS_MIN = (1.0, 2.0, 5.0, 11.0, 19.0, 31.0)
"""The lengths of the second edition's trumpet curve, in minutes."""
PERIOD_MIN = (60.0, 120.0)
"""The second hour."""
START_UP_MIN = 120.0
RESOLUTION_MAX_PCT = 1.0
"""The worst-case error of the readings in a window, beyond which the window says nothing [design]."""
FIT_PCT = 1.0
"""How far a window's ends may be from its length: clocks of loggers jitter [design]."""
GAP_SAMPLES = 1.5
_SAME_S = 1e-6


class AnalysisError(ValueError):
    """The recording cannot be analysed as asked."""


@dataclass(frozen=True, slots=True)
class Window:
    """The extremes over all windows of one length.

    ``count`` windows were formed of the ``expected`` that gapless sampling would give.
    ``resolution_pct``: the worst that the reading's digits alone can do; ``None`` where unknown.
    """

    minutes: float
    max_pct: float
    min_pct: float
    count: int
    expected: int
    resolution_pct: float | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A window about which this recording says nothing, and why."""

    minutes: float
    why: str


@dataclass(frozen=True, slots=True)
class StartUp:
    """How the flow began; times in minutes from the first sample, ``None`` where it never happened.

    ``lag_ml`` is what is missing at the end of the start-up against the mean flow of the period.
    ``reaches_90_min``: the end of the first sample of at least 90 % of the set rate.
    """

    lag_ml: float
    reaches_90_min: float | None
    reaches_95_min: float | None


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a recording says about a pump set to ``rate_ml_h``."""

    rate_ml_h: float
    from_min: float
    to_min: float
    sampling_s: float
    mean_ml_h: float
    mean_error_pct: float
    windows: tuple[Window, ...]
    refused: tuple[Refused, ...]
    start_up: StartUp
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a recording.  ``resolution`` overrides the one that its digits show (g or mL)."""

    rate_ml_h: float
    from_min: float = PERIOD_MIN[0]
    to_min: float = PERIOD_MIN[1]
    windows_min: tuple[float, ...] = WINDOWS_MIN
    correction: Correction = Correction()
    resolution: float | None = None
    resolution_max_pct: float = RESOLUTION_MAX_PCT


@dataclass(frozen=True, slots=True)
class _Period:
    """The samples from index ``first`` to ``last`` (inclusive) of corrected volumes."""

    t_s: Floats
    volume_ml: Floats
    first: int
    last: int
    sampling_s: float

    @property
    def length_s(self) -> float:
        return float(self.t_s[self.last] - self.t_s[self.first])


def volumes_ml(recording: Recording, correction: Correction) -> Floats:
    """The volume collected until each sample, from 0 at the first, evaporation added back."""
    gained: Floats = recording.amount - recording.amount[0]
    if not recording.weighed:
        return gained
    lost = correction.evaporation_g_h * (recording.t_s - recording.t_s[0]) / 3_600.0
    corrected: Floats = (gained + lost) * correction.ml_g
    return corrected


def flows_ml_h(t_s: Floats, volume_ml: Floats) -> Floats:
    """The mean flow over each sampling interval; the first value belongs to the second sample."""
    return 3_600.0 * np.diff(volume_ml) / np.diff(t_s)


def analyse(recording: Recording, question: Question) -> Analysis:
    """Raises `AnalysisError` where the period is not in the recording."""
    volume = volumes_ml(recording, question.correction)
    period = _period(recording.t_s, volume, question)
    moved = float(volume[period.last] - volume[period.first])
    mean = 3_600.0 * moved / period.length_s
    windows: list[Window] = []
    refused: list[Refused] = []
    for minutes in question.windows_min:
        found = _window(period, minutes, question, _resolution_ml(recording, question))
        if isinstance(found, Window):
            windows.append(found)
        else:
            refused.append(found)
    return Analysis(
        rate_ml_h=question.rate_ml_h,
        from_min=question.from_min,
        to_min=question.to_min,
        sampling_s=period.sampling_s,
        mean_ml_h=mean,
        mean_error_pct=100.0 * (mean / question.rate_ml_h - 1.0),
        windows=tuple(windows),
        refused=tuple(refused),
        start_up=_start_up(recording.t_s, volume, question.rate_ml_h, mean),
        warnings=tuple(_warnings(recording, period, windows)),
    )


def resolution_pct(step_ml: float, rate_ml_h: float, minutes: float) -> float:
    """The worst error of one window that readings in steps of ``step_ml`` can make by themselves."""
    return 100.0 * step_ml * 60.0 / (rate_ml_h * minutes)


# --- the period -------------------------------------------------------------------------------------


def _period(t_s: Floats, volume_ml: Floats, question: Question) -> _Period:
    sampling_s = float(np.median(np.diff(t_s)))
    start, end = 60.0 * question.from_min, 60.0 * question.to_min
    first = int(np.searchsorted(t_s, start - _SAME_S))
    last = int(np.searchsorted(t_s, end + _SAME_S, side="right")) - 1
    covered = last > first and t_s[first] < start + sampling_s and t_s[last] > end - sampling_s
    if not covered:
        raise AnalysisError(
            f"the recording covers {t_s[0] / 60:g} to {t_s[-1] / 60:g} min; "
            f"{question.from_min:g} to {question.to_min:g} min are to be analysed"
        )
    return _Period(t_s, volume_ml, first, last, sampling_s)


# --- windows ----------------------------------------------------------------------------------------


def _window(
    period: _Period, minutes: float, question: Question, resolution_ml: float | None
) -> Window | Refused:
    length = 60.0 * minutes
    if length > period.length_s + _SAME_S:
        return Refused(minutes, f"longer than the analysed {period.length_s / 60:g} min")
    step_pct = None
    if resolution_ml is not None:
        step_pct = resolution_pct(resolution_ml, question.rate_ml_h, minutes)
        if step_pct > question.resolution_max_pct:
            limit = f"more than {question.resolution_max_pct:g} %"
            return Refused(minutes, f"the readings' digits alone make {step_pct:.2g} %, {limit}")
    begins, ends = _pairs(period, length)
    if not begins.size:
        return Refused(minutes, _unformed(period, minutes))
    moved = period.volume_ml[ends] - period.volume_ml[begins]
    lasted = period.t_s[ends] - period.t_s[begins]
    errors = 100.0 * (3_600.0 * moved / (lasted * question.rate_ml_h) - 1.0)
    expected = int((period.length_s - length) / period.sampling_s + _SAME_S) + 1
    return Window(
        minutes, float(errors.max()), float(errors.min()), int(errors.size), expected, step_pct
    )


def _pairs(period: _Period, length_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the samples at which a window of this length begins and ends."""
    t_s = period.t_s[period.first : period.last + 1]
    wanted = t_s + length_s
    after = np.minimum(np.searchsorted(t_s, wanted), t_s.size - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(wanted - t_s[before] < t_s[after] - wanted, before, after)
    apart = np.abs(t_s[nearest] - wanted)
    # Half a sample is the next window already, however long the window is.
    fits = apart <= min(FIT_PCT / 100.0 * length_s, 0.49 * period.sampling_s) + _SAME_S
    (begins,) = np.nonzero(fits)
    return begins + period.first, nearest[fits] + period.first


def _unformed(period: _Period, minutes: float) -> str:
    samples = 60.0 * minutes / period.sampling_s
    below, above = (int(samples) * period.sampling_s, (int(samples) + 1) * period.sampling_s)
    near = " and ".join(f"{s / 60:.3g} min" for s in (below, above) if s > 0)
    return f"samples every {period.sampling_s:g} s form no such window; they form {near}"


def _resolution_ml(recording: Recording, question: Question) -> float | None:
    step = recording.resolution if question.resolution is None else question.resolution
    if step is None:
        return None
    return step * question.correction.ml_g if recording.weighed else step


# --- the beginning ----------------------------------------------------------------------------------


def _start_up(t_s: Floats, volume_ml: Floats, rate_ml_h: float, mean_ml_h: float) -> StartUp:
    last = int(np.searchsorted(t_s, t_s[0] + 60.0 * START_UP_MIN + _SAME_S, side="right")) - 1
    minutes = (t_s[: last + 1] - t_s[0]) / 60.0
    flow = flows_ml_h(t_s[: last + 1], volume_ml[: last + 1])
    lag = mean_ml_h * float(minutes[-1]) / 60.0 - float(volume_ml[last])
    return StartUp(
        lag, _reaches(minutes, flow, 0.90 * rate_ml_h), _reaches(minutes, flow, 0.95 * rate_ml_h)
    )


def _reaches(minutes: Floats, flow_ml_h: Floats, level_ml_h: float) -> float | None:
    (there,) = np.nonzero(flow_ml_h >= level_ml_h)
    return float(minutes[there[0] + 1]) if there.size else None


# --- what to be wary of -----------------------------------------------------------------------------


def _warnings(recording: Recording, period: _Period, windows: Sequence[Window]) -> list[str]:
    found: list[str] = []
    part = slice(period.first, period.last + 1)
    steps = np.diff(recording.t_s[part])
    gaps = int((steps > GAP_SAMPLES * period.sampling_s).sum())
    if gaps:
        longest = float(steps.max())
        found.append(f"{gaps} gaps in the sampling, the longest {longest:g} s")
    falls = int((np.diff(recording.amount[part]) < 0.0).sum())
    if falls:
        found.append(f"the collected amount falls {falls} times: a drop, a draught or a reset")
    found += [
        f"{window.minutes:g} min: {window.count} of {window.expected} windows could be formed"
        for window in windows
        if window.count < window.expected
    ]
    if recording.weighed and windows and all(window.resolution_pct is None for window in windows):
        found.append("the resolution of the balance is unknown: no window was tested against it")
    return found
