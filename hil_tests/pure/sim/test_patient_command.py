"""`infusor sim patient`: the checkpoints from the command line, and one clear line for bad input."""

from __future__ import annotations

import argparse
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.drug_models import parameter_set
from sim.patient_command import (
    Dose,
    add_arguments,
    concentrations,
    four_digits,
    parsed_dose,
    parsed_times,
    run,
)
from sim.pharmacokinetics import PatientError

ONE_BOLUS = ("--dose", "10 mg over 60 s at 0 s")


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(words))


def kamp(*words: str) -> int:
    return command("--drug", "ketamine", "--model", "kamp2020", "--weight-kg", "70", *words)


def test_the_first_checkpoint_comes_out_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert kamp(*ONE_BOLUS, "--at", "60,120,300,600,1200", "--json") == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["times_s"] == [60, 120, 300, 600, 1200]
    printed = [f"{value:.4g}" for value in result["plasma_ng_ml"]]
    assert printed == ["360.1", "291.9", "163", "76.71", "38.87"]
    assert set(result["effect_ng_ml"]) == {"cardiovascular", "psychedelic", "analgesic"}
    site = [f"{value:.4g}" for value in result["effect_ng_ml"]["cardiovascular"]]
    assert site == ["51.26", "122.5", "175", "117.7", "48.23"]
    assert "Bench and simulation only" in err


def test_people_get_a_table_that_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert kamp(*ONE_BOLUS, "--at", "60,1200") == 0
    out, err = capsys.readouterr()
    assert not err
    lines = out.splitlines()
    assert lines[0].startswith("ketamine, kamp2020 (sampling: arterial), 70 kg, 40 years")
    assert lines[1] == "Bench and simulation only. Never a pump connected to a person."
    assert lines[3].split() == ["time", "s", "plasma", "cardiovascular", "psychedelic", "analgesic"]
    assert lines[4].split() == ["60", "360.1", "51.26", "20.39", "10.74"]
    assert len({len(line) for line in lines[3:]}) == 1


@pytest.mark.parametrize(
    ("drug", "doses", "time_s", "plasma", "site", "effect"),
    [
        (
            "ketamine --model domino1984",
            ["10 mg at 0 s"],
            60,
            "507.9",
            "effect",
            "507.7",
        ),
        (
            "lidocaine",
            ["105 mg over 10 min at 0 s", "105 mg over 1 h at 600 s"],
            4200,
            "1687",
            "effect",
            "1680",
        ),
        (
            "midazolam",
            ["2 mg over 2 min at 0 s"],
            300,
            "86.08",
            "effect",
            "51.02",
        ),
        (
            "ketamine",
            [
                "10 mg over 60 s at 0 s",
                "10 mg over 60 s at 10 min",
                "11.11111111111111 mg over 20 min at 15 min",
            ],
            3600,
            "76.38",
            "cardiovascular",
            "80.4",
        ),
    ],
    ids=["P4", "P5", "P7", "P8"],
)
def test_the_other_drugs_and_several_doses(
    drug: str,
    doses: list[str],
    time_s: int,
    plasma: str,
    site: str,
    effect: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--drug", *drug.split(), *(f"--dose={dose}" for dose in doses)]
    assert command(*words, "--weight-kg", "70", "--at", str(time_s), "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert f"{result['plasma_ng_ml'][0]:.4g}" == plasma
    assert f"{result['effect_ng_ml'][site][0]:.4g}" == effect


def test_age_picks_the_set_of_midazolam(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--drug", "midazolam", "--weight-kg", "70", "--dose", "2 mg at 0 s", "--at", "60")
    names = []
    for age in ("64", "65"):
        assert command(*words, "--age-years", age, "--json") == 0
        names.append(json.loads(capsys.readouterr().out)["parameter_set"])
    assert names == ["albrecht1999 under 65", "albrecht1999 65 and over"]


@pytest.mark.parametrize("step_s", ["0.1", "1", "2", "7"])
def test_the_step_does_not_change_the_answer(
    step_s: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = []
    for extra in ((), ("--step-s", step_s)):
        assert kamp(*ONE_BOLUS, "--at", "90,600", "--json", *extra) == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[0]["plasma_ng_ml"] == pytest.approx(results[1]["plasma_ng_ml"], rel=1e-9)
    for site, values in results[0]["effect_ng_ml"].items():
        assert values == pytest.approx(results[1]["effect_ng_ml"][site], rel=1e-9)


def test_times_before_during_and_at_the_moment_of_a_dose() -> None:
    body = parameter_set("ketamine", age_years=40).compartments(weight_kg=70, age_years=40)
    doses = [Dose(10.0, 100.0, 100.0)]
    plasma, _ = concentrations(body, doses, [0.0, 99.0, 100.0, 101.0])
    assert plasma[:2] == [0.0, 0.0]
    assert plasma[2] == pytest.approx(400.0)
    assert 380 < plasma[3] < 400


GOOD = {"--drug": "ketamine", "--weight-kg": "70", "--dose": "10 mg at 0 s", "--at": "60"}


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("--drug", "propofol", "drug 'propofol': there are ketamine, lidocaine, midazolam"),
        ("--model", "foong2025", "model 'foong2025': for ketamine there are kamp2020, domino1984"),
        ("--weight-kg", "seventy", "--weight-kg 'seventy': not a number from 0"),
        ("--weight-kg", "nan", "--weight-kg 'nan': not a number from 0"),
        ("--weight-kg", "7_0", "--weight-kg '7_0': not a number from 0"),
        ("--weight-kg", "300", "weight_kg 300: kamp2020 .* from 40 to 160"),
        ("--age-years", "8", "age_years 8: kamp2020 stands for ages from 18 to below 91"),
        ("--dose", "10 at 0 s", "--dose '10 at 0 s': write it like"),
        ("--dose", "10 mg", "--dose '10 mg': write it like"),
        ("--dose", "10 ug at 0 s", "--dose '10 ug at 0 s': write it like"),
        ("--dose", "10 mg over 60 at 0 s", "--dose '10 mg over 60 at 0 s': write it like"),
        ("--dose", "ten mg at 0 s", "--dose 'ten mg at 0 s': 'ten': not a number from 0"),
        ("--dose", "nan mg at 0 s", "'nan': not a number from 0"),
        ("--dose", "inf mg at 0 s", "'inf': not a number from 0"),
        ("--dose", "-5 mg at 0 s", "'-5': not a number from 0 to 100000"),
        ("--dose", "5 mg at 0 days", "unit 'days' is none of s, min, h"),
        ("--dose", "5 mg at -1 s", "'-1': not a number from 0"),
        ("--dose", "5 mg over 0 s at 0 s", "over 0 s; leave out 'over'"),
        ("--dose", "5 mg over 5000000 h at 0 s", "'5000000': not a number from 0"),
        ("--at", "60,sixty", "--at 'sixty': not a number from 0"),
        ("--at", "60,60", "--at: 60 does not come after 60"),
        ("--at", "120,60", "--at: 60 does not come after 120"),
        ("--at", "60,60.0000000001", "--at: 60 does not come after 60"),
        ("--at", "-1", "--at '-1': not a number from 0"),
        ("--at", "", "--at '': not a number from 0"),
        ("--at", ",".join(["1"] * 10_001), "--at: 10001 times are more than 10000"),
        ("--step-s", "0", "--step-s 0: 60 s are to be at most 1000000 steps"),
        ("--step-s", "1e-5", "--step-s 1e-05: 60 s are to be at most 1000000 steps"),
        ("--step-s", "nan", "--step-s 'nan': not a number from 0"),
        ("--population", "100", "--population, --seed: populations are not part of this version"),
        ("--seed", "1", "--population, --seed: populations are not part of this version"),
    ],
)
def test_bad_input_is_one_line_that_names_it_and_exit_code_two(
    option: str, value: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"{name}={text}" for name, text in (GOOD | {option: value}).items()]
    assert command(*words) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    assert err.startswith("infusor sim patient: ")
    assert re.search(line, err), err


@given(st.text(max_size=40))
def test_any_text_is_a_dose_or_one_refusal(text: str) -> None:
    for parse in (parsed_dose, parsed_times):
        try:
            parse(text)
        except PatientError:
            continue


@given(st.integers(1, 99_999), st.integers(1, 9_999), st.integers(0, 9_999))
def test_a_dose_in_words_means_what_it_says(mg: int, over: int, at: int) -> None:
    assert parsed_dose(f"{mg} mg over {over} s at {at} s") == Dose(mg, at, at + over)
    assert parsed_dose(f" {mg}  mg at {at}.0 s ") == Dose(mg, at, at)


@pytest.mark.parametrize(
    ("value", "text"),
    [(2519.4, "2519"), (163.04, "163.0"), (48.228, "48.23"), (0.0125, "0.01250"), (0.0, "0")],
)
def test_four_digits_are_shown_without_an_exponent(value: float, text: str) -> None:
    assert four_digits(value) == text
