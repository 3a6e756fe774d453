"""Recordings of any maker's software are read; what is none is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.bench.recording import RecordingError, read
from controller.cli.main import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "flow.csv"


def test_a_plain_table_is_read_with_comments_and_a_mark_of_a_spreadsheet(file: Path) -> None:
    file.write_text("\ufeff# pump 3\nt_s,note,mass_g\n0,a,0.00\n\n30,b,0.25\n# late\n60,c,0.51\n")
    found = read(file)
    assert found.t_s.tolist() == [0, 30, 60]
    assert found.amount.tolist() == [0, 0.25, 0.51]
    assert (found.weighed, found.resolution) == (True, 0.01)


def test_names_delimiter_and_decimal_sign_of_another_program(file: Path) -> None:
    file.write_text('"Elapsed";"Vol"\n0,0;0,0\n0,5;12,5\n1,0;25,5\n')
    columns = {"t_min": "Elapsed", "volume_ul": "Vol"}
    found = read(file, columns=columns, delimiter=";", decimal=",")
    assert found.t_s.tolist() == [0, 30, 60]
    assert found.amount.tolist() == pytest.approx([0, 0.0125, 0.0255])
    assert not found.weighed
    assert found.resolution == pytest.approx(1e-4)


def test_a_flow_is_the_mean_since_the_row_before(file: Path) -> None:
    file.write_text("t_s,flow_ml_h\n0,99\n60,6\n180,3\n")
    found = read(file)
    assert found.amount.tolist() == pytest.approx([0.0, 0.1, 0.2])
    assert found.resolution is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a header and at least two samples"),
        ("t_s,mass_g\n0,0\n", "a header and at least two samples"),
        ("t_s,weight\n0,0\n1,1\n", "one amount column is needed, the header has none"),
        ("t_s,mass_g,volume_ml\n0,0,0\n1,1,1\n", "has several: mass_g, volume_ml"),
        ("time,mass_g\n0,0\n1,1\n", "one time column is needed"),
        ("t_s,mass_g\n0,0\n1,nan\n", "line 3: mass_g = 'nan' is not a number"),
        ("t_s,mass_g\n0,0\n1,1e12\n", "line 3: mass_g = '1e12' is not a number"),
        ("t_s,mass_g\n0,0\n1,\n", "line 3: mass_g = '' is not a number"),
        ("t_s,mass_g\n0,0\n1\n", "line 3: mass_g = '' is not a number"),
        ("t_s,mass_g\n# x\n0,0\n2,1\n2,2\n", "line 5: t_s does not go up"),
        ("t_s,mass_g\n0,0\n1,0x1\n", "line 3: mass_g = '0x1'"),
    ],
)
def test_what_is_no_recording_is_refused_with_line_and_value(
    text: str, said: str, file: Path
) -> None:
    file.write_text(text)
    with pytest.raises(RecordingError) as refused:
        read(file)
    assert said in str(refused.value)
    assert str(file) in str(refused.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(file: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        read(file)
    file.write_bytes(b"t_s,mass_g\n\xff\xfe\n")
    with pytest.raises(RecordingError, match="utf-8"):
        read(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_are_a_recording_or_refused(file: Path, data: bytes) -> None:
    file.write_bytes(b"t_s,mass_g\n0,0\n" + data)
    try:
        found = read(file)
    except RecordingError:
        return
    assert len(found.t_s) >= 2
    assert all(abs(value) <= 1e9 for value in (*found.t_s, *found.amount))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rate-ml-h", "nan"), "--rate-ml-h nan: must be digits"),
        (("--rate-ml-h", "5", "--from-min", "90", "--to-min", "60"), "--to-min 60: must be above"),
        (("--rate-ml-h", "5", "--windows", "0"), "--windows 0: must be above 0"),
        (("--rate-ml-h", "5", "--windows", "45"), "--windows 45: longer than the analysed"),
        (("--rate-ml-h", "5", "--columns", "mass_g"), "must be OURS=THEIRS"),
        (("--rate-ml-h", "5", "--columns", "colour=t_s"), "'colour' does not exist"),
        (("--rate-ml-h", "5", "--delimiter", "ab"), "must be one sign"),
        (("--rate-ml-h", "5", "--temperature-c", "90"), "must be 0 to 40"),
        (("--rate-ml-h", "5", "--humidity-pct", "40"), "only together with --temperature-c"),
        (("--rate-ml-h", "5", "--temperature-c", "20", "--density-g-ml", "1"), "one of the two"),
        (("--rate-ml-h", "5", "--png", "/nowhere/x.png"), "--png /nowhere/x.png: No such file"),
        (("--rate-ml-h", "5", "--series", "/nowhere/x"), "--series /nowhere/x: No such file"),
    ],
)
def test_wrong_words_are_one_line_and_nothing_on_stdout(
    words: tuple[str, ...], said: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{t},{t / 1000:.4f}\n" for t in range(0, 1_801, 30))
    file.write_text("t_s,mass_g\n" + rows)
    period = () if "--from-min" in words else ("--from-min", "0", "--to-min", "30")
    assert main(["bench", "analyze", str(file), *period, *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


def test_a_mean_error_beyond_the_limit_is_exit_code_one(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("t_s,volume_ml\n0,0\n3600,5.2\n")
    asked = ["bench", "analyse", str(file), "--rate-ml-h", "5", "--from-min", "0", "--to-min", "60"]
    asked += ["--windows", "none", "--mean-limit-pct"]
    assert main([*asked, "5"]) == 0
    assert main([*asked, "3"]) == 1
    assert "error +4.000 %" in capsys.readouterr().out
