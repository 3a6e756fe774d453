"""Vitals recordings: checked whole before anything starts, and played as a monitor would send them."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.procedure.events import vitals_arrived
from controller.vitals_replay import COLUMNS, Recording, RecordingError, read_recording

HEADER = ",".join(COLUMNS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "visit.csv"


def read(file: Path, *lines: str) -> Recording:
    file.write_text("\n".join((HEADER, *lines)), encoding="utf-8")
    return read_recording(file)


def test_a_row_is_a_sample_and_an_empty_cell_is_no_value(file: Path) -> None:
    recording = read(file, "0,72,98,120,80,14,38", "1, 72.5 ,,,,.5e1,")
    assert recording.samples == (
        {
            "t_s": 0,
            "hr_bpm": 72,
            "spo2_pct": 98,
            "nibp_sys_mmhg": 120,
            "nibp_dia_mmhg": 80,
            "rr_bpm": 14,
            "etco2_mmhg": 38,
        },
        {"t_s": 1, "hr_bpm": 72.5, "rr_bpm": 5},
    )


def test_comments_and_empty_lines_are_left_out(file: Path) -> None:
    recording = read(file, "# the cuff slipped here, at 12,5", "", "0,72,,,,,", "  # end")
    assert len(recording.samples) == 1


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_and_a_byte_order_mark_are_read(file: Path, end: str) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + end.join((HEADER, "0,72,,,,,", "1,73,,,,,")).encode())
    assert len(read_recording(file).samples) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0,72,98", "line 3: 3 cells instead of 7"),
        ("0,72,,,,,,", "line 3: 8 cells instead of 7"),
        (",72,,,,,", "line 3: t_s is empty"),
        ("0,fast,,,,,", "line 3: hr_bpm = 'fast' is not a number >= 0"),
        ("0,-1,,,,,", "line 3: hr_bpm = '-1' is not a number >= 0"),
        ("0,nan,,,,,", "line 3: hr_bpm = 'nan' is not a number >= 0"),
        ("0,inf,,,,,", "line 3: hr_bpm = 'inf' is not a number >= 0"),
        ("0,1e999,,,,,", "line 3: hr_bpm = '1e999' is not a number >= 0"),
        ("0,7_2,,,,,", "line 3: hr_bpm = '7_2' is not a number >= 0"),
        ("0,٧٢,,,,,", "line 3: hr_bpm = '٧٢' is not a number >= 0"),
        ('0,"72,5",,,,,', "line 3: hr_bpm = '72,5' is not a number >= 0"),
    ],
)
def test_a_wrong_row_is_named_with_file_line_and_value(file: Path, line: str, said: str) -> None:
    with pytest.raises(RecordingError) as refused:
        read(file, "# a comment counts as a line", line)
    assert str(refused.value) == f"{file}, {said}"


@pytest.mark.parametrize("times", [("0", "0"), ("5", "4.9")])
def test_time_goes_up_from_row_to_row(file: Path, times: tuple[str, str]) -> None:
    with pytest.raises(RecordingError, match="line 3: t_s does not go up"):
        read(file, *(f"{t},72,,,,," for t in times))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the header must be t_s,hr_bpm"),
        (b"t_s,hr\n0,72\n", "the header must be t_s,hr_bpm"),
        (HEADER.encode(), "no samples"),
        (b"\xff\xfe", "is not text in UTF-8"),
        (HEADER.encode() + b"\n0," + b"7" * 200_000, "field larger than field limit"),
    ],
)
def test_a_file_that_is_no_recording_is_refused_by_name(
    file: Path, content: bytes, said: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(RecordingError, match=said) as refused:
        read_recording(file)
    assert str(file) in str(refused.value)


def test_a_file_that_is_not_there_is_refused_by_name(file: Path) -> None:
    with pytest.raises(RecordingError, match=r"visit\.csv"):
        read_recording(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_a_recording_or_the_one_error(
    file: Path, content: bytes, headed: bool
) -> None:
    file.write_bytes((HEADER.encode() + b"\n" if headed else b"") + content)
    try:
        recording = read_recording(file)
    except RecordingError:
        return
    assert recording.samples
    assert all(isfinite(v) and v >= 0 for sample in recording.samples for v in sample.values())


def test_between_two_cuff_readings_the_last_one_is_shown_with_its_age(file: Path) -> None:
    played = read(
        file, "0,72,,,,,", "1,72,,120,80,,", "2,72,,,,,", "4.5,72,,118,,,", "9,72,,125,82,,"
    ).with_cuff_age()
    assert [line["seq"] for line in played] == [0, 1, 2, 3, 4]
    assert "nibp_age_s" not in played[0]
    assert [line.get("nibp_age_s") for line in played[1:]] == [0, 1, 3.5, 0]
    assert [line.get("nibp_sys_mmhg") for line in played[1:]] == [120, 120, 120, 125]
    assert [line.get("nibp_dia_mmhg") for line in played[1:]] == [80, 80, 80, 82]


def test_what_is_played_is_what_a_visit_can_be_shown(file: Path) -> None:
    (line,) = read(file, "3,72,98,120,80,14,38").with_cuff_age()
    event = vitals_arrived(line)
    assert event.seq == 0
    assert event.sample["hr_bpm"] == 72
