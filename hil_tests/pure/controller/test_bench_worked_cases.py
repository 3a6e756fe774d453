"""Worked cases whose answers are known in closed form, through the command line as a user gives them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.cli.main import main

WATER = 0.998
MINUTES = [step / 2 for step in range(241)]
WINDOWS = ("1", "2", "5", "11", "19", "31")
NEAR_PCT = 1e-4


def recorded(folder: Path, volume_ml: Callable[[float], float]) -> Path:
    """Two hours of a balance under a pump, every 30 s."""
    path = folder / "flow.csv"
    rows = [f"{minute * 60!r},{volume_ml(minute) * WATER!r}" for minute in MINUTES]
    path.write_text("\n".join(["# made from an exact integral", "t_s,mass_g", *rows]) + "\n")
    return path


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """The one JSON object of ``infusor bench`` with these words."""
    capsys.readouterr()
    assert main(["bench", *words, "--json"]) == 0
    out, _ = capsys.readouterr()
    return json.loads(out)


@dataclass(frozen=True)
class Case:
    rate_ml_h: float
    volume_ml: Callable[[float], float]
    mean_pct: float
    largest_pct: Sequence[float]
    smallest_pct: Sequence[float]


def _late_but_fast(t: float) -> float:
    return 0.0 if t < 10 else (t - 10) * 5 * 1.02 / 60


def _ripple(t: float) -> float:
    return 5 / 60 * (t + 0.1 * 10 / math.tau * (1 - math.cos(math.tau * t / 10)))


def _square(t: float) -> float:
    return 5 / 60 * (t + 0.04 * min(max(t - 60, 0), 30) - 0.04 * max(t - 90, 0))


def _ramp(t: float) -> float:
    late = max(t - 60, 0)
    return 2 / 60 * (t - 0.03 * late + 0.06 * late * late / 120)


def _strokes(t: float) -> float:
    return 0.0125 * max(0, math.floor((t - 0.1) / 0.75 + 1e-9) + 1)


def _stall(t: float) -> float:
    return 6 / 60 * (80 if 80 < t <= 83 else t)


def _slow_start(t: float) -> float:
    late = max(t - 6, 0)
    return 1 / 60 * (late - 4 * (1 - math.exp(-late / 4)))


def _still_missing_pct(window_min: float) -> float:
    """What the slow start still lacks in the first window of the second hour."""
    return 400 / window_min * (math.exp(-54 / 4) - math.exp(-(54 + window_min) / 4))


def mirrored(*percents: float) -> tuple[Sequence[float], Sequence[float]]:
    return percents, [-percent for percent in percents]


CASES = {
    "no flow for ten minutes, then two percent fast": Case(5, _late_but_fast, 2, [2] * 6, [2] * 6),
    "a ripple of ten minutes": Case(
        5, _ripple, 0, *mirrored(9.836316, 9.354893, 6.366198, 0.894211, 0.517701, 0.317301)
    ),
    "fast for half an hour, then slow": Case(5, _square, 0, *mirrored(4, 4, 4, 4, 4, 3.741935)),
    "an error that rises": Case(2, _ramp, 0, *mirrored(2.95, 2.90, 2.75, 2.45, 2.05, 1.45)),
    "strokes": Case(
        1,
        _strokes,
        0,
        [50, 12.5, 5, 2.272727, 2.631579, 1.612903],
        [-25, -25, -10, -4.545455, -1.315789, -0.806452],
    ),
    "a stall that is caught up": Case(
        6,
        _stall,
        0,
        [300, 150, 60, 27.272727, 15.789474, 9.677419],
        [-100, -100, -60, -27.272727, -15.789474, 0],
    ),
    "a slow start": Case(
        1,
        _slow_start,
        -9.1e-6,
        [0] * 6,
        [-_still_missing_pct(p) for p in (1, 2, 5, 11, 19, 31)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_of_known_answer_is_answered_to_a_ten_thousandth_of_a_percent(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    path = recorded(tmp_path, case.volume_ml)
    found = told(capsys, "analyse", str(path), "--rate-ml-h", f"{case.rate_ml_h:g}")
    assert found["mean_error_pct"] == pytest.approx(case.mean_pct, abs=NEAR_PCT)
    assert list(found["windows"]) == list(WINDOWS)
    windows = found["windows"].values()
    assert [w["max_pct"] for w in windows] == pytest.approx(case.largest_pct, abs=NEAR_PCT)
    assert [w["min_pct"] for w in windows] == pytest.approx(case.smallest_pct, abs=NEAR_PCT)
    assert [w["count"] for w in windows] == [119, 117, 111, 99, 83, 59]


def test_a_slow_start_shows_its_lag_and_when_it_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, series = recorded(tmp_path, _slow_start), tmp_path / "series.csv"
    found = told(capsys, "analyse", str(path), "--rate-ml-h", "1", "--series", str(series))[
        "start_up"
    ]
    assert found["lag_ml"] == pytest.approx(0.166667, abs=1e-6)
    assert (found["reaches_90_min"], found["reaches_95_min"]) == (15.5, 18.5)
    rows = csv.DictReader(series.read_text().splitlines())
    flows = {float(row["t_s"]) / 60: row["flow_ml_h"] for row in rows}
    assert [float(flows[t]) for t in (6.5, 10.0, 20.0)] == pytest.approx(
        [0.059975, 0.608139, 0.967834], abs=1e-5
    )


@pytest.mark.parametrize(
    ("options", "volume_ml"),
    [
        ((), 4.959920),
        (("--evaporation-g-h", "0.04"), 5.0),
        (("--evaporation-g-h", "0.04", "--temperature-c", "22"), 5.006367),
    ],
)
def test_evaporation_and_buoyancy_are_added_back(
    options: Sequence[str],
    volume_ml: float,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "hour.csv"
    path.write_text("t_s,mass_g\n0,0\n3600,4.950\n")
    whole = ("--from-min", "0", "--to-min", "60", "--windows", "none")
    found = told(capsys, "analyse", str(path), "--rate-ml-h", "5", *whole, *options)
    assert found["mean_ml_h"] == pytest.approx(volume_ml, abs=5e-7)


@pytest.mark.parametrize(
    ("compliance", "rise", "rate", "minutes", "bolus_ml"),
    [
        ("2.0", "500", "5", 12.0, 1.0),
        ("2.0", "500", "1", 60.0, 1.0),
        ("2.0", "300", "20", 1.8, 0.6),
        ("2.8", "500", "0.5", 168.0, 1.4),
    ],
)
def test_a_closed_line_is_predicted_as_a_spring(
    compliance: str,
    rise: str,
    rate: str,
    minutes: float,
    bolus_ml: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = told(
        capsys,
        "predict",
        *("--compliance-ul-mmhg", compliance),
        *("--rise-mmhg", rise),
        *("--rate-ml-h", rate),
    )
    assert found["time_to_alarm_min"] == pytest.approx(minutes)
    assert found["bolus_ml"] == pytest.approx(bolus_ml)
