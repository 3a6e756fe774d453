"""The picture of a visit: drawn from log records alone, whatever they lack."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from math import isnan
from pathlib import Path

import pytest

from controller.plot import PlotUnavailable, _series, draw

PNG = b"\x89PNG\r\n\x1a\n"


def sample(t_s: float, state: str, **values: float) -> dict[str, object]:
    return {"kind": "sample", "t_s": t_s, "state": state, **values}


VISIT: list[Mapping[str, object]] = [
    {"kind": "header", "device": "bench-1"},
    sample(0, "baseline", rate_ml_h=0, delivered_ml=0, hr_bpm=72, spo2_pct=98, plasma_ng_ml=0),
    sample(60, "test_bolus", rate_ml_h=60, delivered_ml=0, hr_bpm=74, plasma_ng_ml=10),
    {"kind": "alarm", "t_s": 70.0},
    sample(120, "observing", rate_ml_h=0, delivered_ml=1, hr_bpm=80, plasma_ng_ml=210),
    sample(720, "infusing", rate_ml_h=26.7, delivered_ml=1, plasma_ng_ml=60),
    sample(3_420, "recovering", rate_ml_h=0, delivered_ml=21, hr_bpm=76, plasma_ng_ml=150),
    sample(4_000, "recovering", rate_ml_h=0, delivered_ml=21, hr_bpm=75, plasma_ng_ml=120),
]


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(VISIT, id="a visit"),
        pytest.param([], id="nothing"),
        pytest.param([{"kind": "header"}], id="no sample"),
        pytest.param([sample(0, "preparing")], id="one sample without values"),
        pytest.param([sample(5, "a state of a later version", hr_bpm=72)], id="unknown state"),
        pytest.param([{"kind": "sample", "state": "holding", "hr_bpm": 72}], id="no time"),
        pytest.param([sample(0, "infusing"), sample(9, "infusing")], id="one state"),
    ],
)
def test_whatever_was_recorded_is_drawn_as_a_png(
    records: list[Mapping[str, object]], tmp_path: Path
) -> None:
    target = tmp_path / "visit.png"
    draw(iter(records), target, "S-0001")
    assert target.read_bytes().startswith(PNG)


def test_the_file_is_the_one_that_was_asked_for_and_a_png_whatever_its_name(tmp_path: Path) -> None:
    draw(VISIT, tmp_path / "visit.picture", "S-0001")
    assert [file.name for file in tmp_path.iterdir()] == ["visit.picture"]
    assert (tmp_path / "visit.picture").read_bytes().startswith(PNG)


def test_a_gap_in_the_data_is_a_gap_in_the_line() -> None:
    times, values = _series([row for row in VISIT if row["kind"] == "sample"], "hr_bpm")
    assert times == [0, 1, 2, 12, 57, pytest.approx(66.67, abs=0.01)]
    assert [value for value in values if not isnan(value)] == [72, 74, 80, 76, 75]
    assert isnan(values[3])


def test_a_folder_that_is_not_there_is_an_error_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        draw(VISIT, tmp_path / "absent" / "visit.png", "S-0001")


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PlotUnavailable, match=r"infusor\[demo\]"):
        draw(VISIT, tmp_path / "visit.png", "S-0001")
    assert list(tmp_path.iterdir()) == []
