"""What an analysis does with sampling, digits and gaps; it neither guesses nor flatters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.bench.corrections import WATER_G_ML, Correction, water_density_g_ml, z_factor_ml_g
from controller.bench.flow import Analysis, AnalysisError, Question, analyse, resolution_pct
from controller.bench.recording import Recording


def recording(t_s: npt.ArrayLike, volume_ml: npt.ArrayLike) -> Recording:
    times, volumes = (np.asarray(values, np.float64) for values in (t_s, volume_ml))
    return Recording(times, volumes, weighed=False, resolution=None)


def steady(step_s: float, rate_ml_h: float = 5.0, hours: float = 2.0) -> Recording:
    t_s = np.arange(0.0, hours * 3_600.0 + step_s / 2, step_s)
    return recording(t_s, rate_ml_h * t_s / 3_600.0)


def whys(found: Analysis) -> dict[float, str]:
    return {refused.minutes: refused.why for refused in found.refused}


def test_a_window_that_the_sampling_cannot_form_is_refused() -> None:
    found = analyse(steady(120.0), Question(rate_ml_h=5.0))
    assert [window.minutes for window in found.windows] == [2.0]
    assert "samples every 120 s form no such window; they form 4 min and 6 min" in whys(found)[5.0]
    assert "they form 2 min" in whys(found)[1.0]


def test_a_window_longer_than_what_is_analysed_is_refused() -> None:
    found = analyse(steady(30.0), Question(rate_ml_h=5.0, windows_min=(61.0,)))
    assert whys(found) == {61.0: "longer than the analysed 60 min"}


def test_jitter_of_a_logger_still_forms_windows_and_their_true_length_counts() -> None:
    jitter = np.random.default_rng(1).uniform(-0.2, 0.2, 241)
    t_s = np.arange(241) * 30.0 + jitter
    found = analyse(recording(t_s, 5.0 * t_s / 3_600.0), Question(rate_ml_h=5.0))
    assert [window.count for window in found.windows][1:] == [117, 111, 99, 83, 59]
    for window in found.windows:
        assert window.max_pct == pytest.approx(0.0, abs=1e-9)
        assert window.min_pct == pytest.approx(0.0, abs=1e-9)


def test_windows_do_not_reach_over_a_gap_that_leaves_them_without_an_end() -> None:
    t_s = np.delete(np.arange(241) * 30.0, range(150, 160))
    found = analyse(recording(t_s, 5.0 * t_s / 3_600.0), Question(rate_ml_h=5.0))
    assert found.windows[0].count == 119 - 12
    assert found.windows[0].expected == 119
    assert "1 gaps in the sampling, the longest 330 s" in found.warnings
    assert any(warning.startswith("1 min: 107 of 119") for warning in found.warnings)


def test_a_period_that_the_recording_does_not_cover_is_refused() -> None:
    with pytest.raises(AnalysisError, match="covers 0 to 90 min; 60 to 120 min"):
        analyse(steady(30.0, hours=1.5), Question(rate_ml_h=5.0))
    with pytest.raises(AnalysisError, match="0 to 120 min; 200 to 260"):
        analyse(steady(30.0), Question(rate_ml_h=5.0, from_min=200.0, to_min=260.0))


@pytest.mark.parametrize(
    ("resolution_g", "rate", "minutes", "percent"),
    [(0.0001, 1, 1, 0.60), (0.001, 1, 11, 0.55), (0.01, 5, 31, 0.39), (0.01, 25, 2, 1.2)],
)
def test_the_worst_that_a_balance_alone_can_do(
    resolution_g: float, rate: float, minutes: float, percent: float
) -> None:
    step_ml = resolution_g / WATER_G_ML
    assert resolution_pct(step_ml, rate, minutes) == pytest.approx(percent, rel=0.02)


def test_windows_that_the_digits_alone_could_spoil_are_refused() -> None:
    found = analyse(steady(30.0), Question(rate_ml_h=5.0, resolution=0.001))
    assert [window.minutes for window in found.windows] == [2.0, 5.0, 11.0, 19.0, 31.0]
    assert "1.2 %, more than 1 %" in whys(found)[1.0]
    lenient = Question(rate_ml_h=5.0, resolution=0.001, resolution_max_pct=2.0)
    assert not analyse(steady(30.0), lenient).refused


def test_a_falling_amount_is_told_and_not_mended() -> None:
    good = steady(30.0)
    amount = good.amount.copy()
    amount[180:] -= 1.0
    found = analyse(recording(good.t_s, amount), Question(rate_ml_h=5.0))
    assert "the collected amount falls 1 times: a drop, a draught or a reset" in found.warnings
    assert found.windows[0].min_pct < -1_000.0


def test_a_curve_that_is_no_trumpet_stays_none() -> None:
    """Two slow halves around a fast middle: the longest window is not the best one."""
    t_s = np.arange(241) * 30.0
    minute = t_s / 60.0
    fast = np.clip(minute - 80.0, 0.0, 20.0)
    found = analyse(recording(t_s, 5.0 * (minute + fast) / 60.0), Question(rate_ml_h=5.0))
    assert [round(window.max_pct) for window in found.windows] == [100, 100, 100, 100, 100, 65]
    assert min(window.min_pct for window in found.windows[:5]) == pytest.approx(0.0, abs=1e-9)


@given(
    flows=st.lists(st.floats(-20.0, 50.0), min_size=120, max_size=120),
    minutes=st.sampled_from([1.0, 2.0, 5.0, 19.0]),
)
def test_the_extremes_are_those_of_every_window_counted_one_by_one(
    flows: list[float], minutes: float
) -> None:
    t_s = 3_600.0 + np.arange(121) * 30.0
    volume = np.concatenate(([0.0], np.cumsum(np.array(flows) * 30.0 / 3_600.0)))
    found = analyse(recording(t_s, volume), Question(rate_ml_h=5.0, windows_min=(minutes,)))
    samples = int(minutes * 2)
    means = [sum(flows[j : j + samples]) / samples for j in range(120 - samples + 1)]
    [window] = found.windows
    assert window.count == len(means)
    assert window.max_pct == pytest.approx(100 * (max(means) / 5.0 - 1), abs=1e-6)
    assert window.min_pct == pytest.approx(100 * (min(means) / 5.0 - 1), abs=1e-6)


@pytest.mark.parametrize(
    ("t_c", "p_hpa", "z"),
    [(15, 1013.25, 1.00197), (20, 1013.25, 1.00285), (22, 1013.25, 1.00328), (25, 800, 1.00378)],
)
def test_the_z_factor_is_that_of_published_tables(t_c: float, p_hpa: float, z: float) -> None:
    assert z_factor_ml_g(t_c, pressure_hpa=p_hpa) == pytest.approx(z, abs=6e-6)


def test_water_is_densest_at_four_degrees() -> None:
    densest = max(range(41), key=water_density_g_ml)
    assert densest == 4
    assert water_density_g_ml(20.0) == pytest.approx(0.998207, abs=1e-6)


def test_evaporation_is_added_back_to_a_mass_and_not_to_a_volume() -> None:
    t_s = np.array([0.0, 1_800.0, 3_600.0])
    amount = np.array([0.0, 1.0, 2.0])
    lossy = Question(
        rate_ml_h=2.0, from_min=0, to_min=60, windows_min=(), correction=Correction(1.0, 0.5)
    )
    weighed = Recording(t_s, amount, weighed=True, resolution=None)
    assert analyse(weighed, lossy).mean_ml_h == pytest.approx(2.5)
    assert analyse(recording(t_s, amount), lossy).mean_ml_h == pytest.approx(2.0)
