"""`infusor sim patient`: the checkpoints from the command line, and one clear line for bad input."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.drug_models import parameter_set
from sim.patient_command import add_arguments, run
from sim.patient_doses import Dose, parsed_dose, parsed_times
from sim.patient_figures import concentrations
from sim.patient_table import four_digits
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
    assert len({len(line) for line in lines[3:6]}) == 1
    assert lines[8].startswith("time s  dissociation %  pain fall cm  HR bpm  SBP mmHg")
    assert lines[9].split()[:5] == ["60", "6.4", "0.2", "70.9", "125.5"]
    assert "which figures are published and which are design choices" in lines[-1]


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
    for seen in ("effects", "vitals"):
        for name, values in results[0][seen].items():
            assert values == pytest.approx(results[1][seen][name], rel=1e-9), name


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
        ("--weight-kg", "seventy", "--weight-kg 'seventy': not a number from 40 to 160"),
        ("--weight-kg", "nan", "--weight-kg 'nan': not a number from 40 to 160"),
        ("--weight-kg", "7_0", "--weight-kg '7_0': not a number from 40 to 160"),
        ("--weight-kg", "300", "--weight-kg '300': not a number from 40 to 160"),
        ("--weight-kg", "-5", "--weight-kg '-5': not a number from 40 to 160"),
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
        ("--population", "0", "--population '0': not a whole number from 1 to 100000"),
        ("--population", "many", "--population 'many': not a whole number"),
        ("--population", "1e3", "--population '1e3': not a whole number"),
        ("--population", "100001", "--population '100001': not a whole number from 1 to 100000"),
        ("--seed", "1", "--seed '1': goes with --population"),
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


def test_people_times_moments_are_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    times = ",".join(str(second) for second in range(1, 102))
    assert kamp(*ONE_BOLUS, "--at", times, "--population", "10000") == 2
    assert "people times the 101 moments" in capsys.readouterr().err


def population(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert command("--weight-kg", "70", "--json", *words) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


INFUSION = ("--drug", "ketamine", "--dose", "35 mg over 40 min at 0 s", "--at", "0,2400")


def test_noise_is_no_part_of_what_the_drug_changes(capsys: pytest.CaptureFixture[str]) -> None:
    vitals = population(capsys, *INFUSION, "--population", "4000")["vitals"]
    for vital in vitals.values():
        assert vital["change_mean"][0] == vital["change_sd"][0] == 0.0
    assert vitals["sbp_mmhg"]["mean"][0] == pytest.approx(122, abs=0.7)


def test_midazolam_changes_breathing_by_as_different_amounts_as_published(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """2 mg, within 15 min, SDs: MV 5.9 %, TV 4.5 %, RR 4.7 %."""
    words = ("--drug", "midazolam", "--dose", "2 mg over 2 min at 0 s", "--at", "600")
    vitals = population(capsys, *words, "--population", "1000")["vitals"]
    for vital, sd in (("minute_l_min", 5.9), ("tidal_ml", 4.5), ("rr_bpm", 4.7)):
        assert vitals[vital]["change_pct_sd"][0] == pytest.approx(sd, rel=0.25)


def test_from_65_years_on_breathing_falls_more_and_is_not_made_up_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--drug", "midazolam", "--dose", "2 mg over 2 min at 0 s", "--at", "600")
    young, old = (
        population(capsys, *words, "--population", "500", "--age-years", age)["vitals"]
        for age in ("64", "65")
    )
    assert old["minute_l_min"]["change_pct_mean"][0] < -20
    assert young["minute_l_min"]["change_pct_mean"][0] > -16
    assert old["rr_bpm"]["change_pct_mean"][0] == pytest.approx(0.0, abs=0.1)
    assert old["spo2_pct"]["change_mean"][0] < young["spo2_pct"]["change_mean"][0] < 0
    assert young["etco2_mmhg"]["change_mean"][0] < 0  # shallow breaths, though PaCO2 has risen


def test_a_population_is_the_same_whatever_its_parts_and_another_with_another_seed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = population(capsys, *INFUSION, "--population", "50", "--seed", "3")
    monkeypatch.setattr("sim.patient_figures.CHUNK", 7)
    parts = population(capsys, *INFUSION, "--population", "50", "--seed", "3")
    other = population(capsys, *INFUSION, "--population", "50", "--seed", "53")
    for which in ("p5", "p50", "p95"):
        assert whole[which]["plasma_ng_ml"] == pytest.approx(parts[which]["plasma_ng_ml"])
        assert whole[which] != other[which]
    assert whole["vitals"]["hr_bpm"]["sd"] == pytest.approx(parts["vitals"]["hr_bpm"]["sd"])


def test_a_population_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--drug", "lidocaine", "--dose", "350 mg over 40 min at 0 s", "--at", "60,2400")
    assert command("--weight-kg", "70", *words, "--population", "20", "--seed", "5") == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert "20 people, the patients of seeds 5 to 24" in lines[0]
    assert lines[3].split() == ["time", "s", "what", "p5", "p50", "p95"]
    assert any(line.split()[:2] == ["2400", "stage"] for line in lines)
    assert any(line.split()[1:3] == ["SBP", "mmHg"] for line in lines)
    assert "Caution: concentrations during an infusion are over-predicted" in out
    assert "-0.00" not in out


def test_a_terminal_shows_how_far_a_population_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    found = population(capsys, *INFUSION, "--population", "3")
    assert found["population"] == 3


def test_a_poisoning_comes_out_stage_by_stage(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--drug", "lidocaine", "--dose", "700 mg over 10 min at 0 s", "--at", "200,400,660")
    found = population(capsys, *words)
    assert found["effects"]["toxicity"] == ["light_headedness", "seizure", "cardiovascular"]
    assert found["effects"]["toxicity_stage"] == [4, 7, 8]
    assert found["vitals"]["rr_bpm"] == [14.0, 0.0, 0.0]
    assert found["vitals"]["hr_bpm"][1] > 100


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


def test_a_single_patient_loads_no_array_library() -> None:
    code = (
        "import sys, sim.patient_command, sim.world_process\n"
        "assert not {'numpy', 'rich'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
