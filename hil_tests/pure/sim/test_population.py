"""Populations: each member is the single patient of his seed, whoever is beside him."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.batch_kinetics import BatchKinetics
from sim.chance import scattered
from sim.drug_models import parameter_set
from sim.patient import Patient
from sim.pharmacokinetics import Kinetics, PatientError
from sim.population import Population, draws_of

RATES_UG_S = {"ketamine": 15.0, "lidocaine": 1500.0, "midazolam": 20.0}
AGE_YEARS = 40.0


def people(drug: str, seed: int, count: int, weight_kg: float = 70.0) -> Population:
    chosen = parameter_set(drug, age_years=AGE_YEARS)
    return Population(chosen, draws_of(seed, count), weight_kg=weight_kg, age_years=AGE_YEARS)


def single(drug: str, seed: int) -> Patient:
    return Patient(
        parameter_set(drug, age_years=AGE_YEARS),
        weight_kg=70,
        age_years=AGE_YEARS,
        height_cm=170,
        draw=random.Random(f"{seed}:patient").random,
    )


def rate(drug: str, second: int) -> float:
    return RATES_UG_S[drug] if second <= 500 else 0.0


@pytest.mark.parametrize("drug", ["ketamine", "lidocaine", "midazolam"])
def test_every_member_is_the_patient_of_his_seed(drug: str) -> None:
    many, ones = people(drug, 20, 12), [single(drug, seed) for seed in range(20, 32)]
    for second in range(1, 1001):
        many.advance_to(float(second), rate(drug, second))
        for one in ones:
            one.advance_to(float(second), rate(drug, second))
        if second % 100 and second != 333:
            continue
        vitals, settled, seen = many.vitals(), many.settled_vitals(), many.effects()
        for index, one in enumerate(ones):
            assert many.drug.plasma_ng_ml[index] == pytest.approx(one.drug.plasma_ng_ml, rel=1e-9)
            sites = many.drug.effects_ng_ml[:, index]
            assert sites == pytest.approx(list(one.drug.effects_ng_ml), rel=1e-9)
            for name, value in one.vitals()._asdict().items():
                assert vitals[name][index] == pytest.approx(value, abs=1e-6), name
            for name, value in one.settled_vitals()._asdict().items():
                assert settled[name][index] == pytest.approx(value, abs=1e-6), name
            for name, values in seen.items():
                assert values[index] == pytest.approx(getattr(one.signs, name), abs=1e-9), name


def test_some_of_the_poisoned_had_a_seizure_and_some_an_arrest_in_that_comparison() -> None:
    many = people("lidocaine", 20, 12)
    stages = []
    for second in range(1, 1001):
        many.advance_to(float(second), rate("lidocaine", second))
        stages.append(many.effects()["toxicity_stage"])
    assert {7.0, 8.0, 9.0} <= set(np.array(stages).ravel())


@given(st.integers(0, 30), st.integers(1, 30))
@settings(max_examples=20)
def test_members_do_not_depend_on_the_batch(first: int, count: int) -> None:
    whole, part = people("ketamine", 0, 61), people("ketamine", first, count)
    for one in (whole, part):
        one.advance_to(60.0, 10_000.0)
        one.advance_to(600.0)
    inside = slice(first, first + count)
    assert part.drug.plasma_ng_ml == pytest.approx(whole.drug.plasma_ng_ml[inside], rel=1e-12)
    assert part.vitals()["hr_bpm"] == pytest.approx(whole.vitals()["hr_bpm"][inside], rel=1e-12)


@pytest.mark.parametrize("dt_s", [0.1, 1.0, 2.0])
def test_nothing_depends_on_how_time_is_cut(dt_s: float) -> None:
    """Concentrations, effects and vital signs, noise included, of one patient and of many."""
    cut, whole = single("ketamine", 5), single("ketamine", 5)
    many = people("ketamine", 5, 3)
    for moment, ug in ((60.0, 10_000.0), (600.0, 0.0)):
        start, steps = cut.now_s, round((moment - cut.now_s) / dt_s)
        for step in range(1, steps + 1):
            cut.advance_to(start + step * dt_s, ug / steps)
            many.advance_to(start + step * dt_s, ug / steps)
        whole.advance_to(moment, ug)
    assert cut.concentrations() == pytest.approx(whole.concentrations(), rel=1e-9)
    assert cut.signs[:2] == pytest.approx(whole.signs[:2], rel=1e-9)
    assert cut.signs[2:] == whole.signs[2:]
    assert list(cut.vitals()) == pytest.approx(list(whole.vitals()), rel=1e-9)
    assert many.drug.plasma_ng_ml[0] == pytest.approx(whole.drug.plasma_ng_ml, rel=1e-9)
    assert many.vitals()["hr_bpm"][0] == pytest.approx(whole.vitals().hr_bpm, rel=1e-9)


def test_moments_between_microseconds_are_those_of_the_single_patient() -> None:
    """Steps are differences of rounded moments, never rounded differences, which would add up."""
    many, one = people("ketamine", 5, 1), single("ketamine", 5)
    for third in range(1, 30_001):
        many.advance_to(third / 3, 5.0)
        one.advance_to(third / 3, 5.0)
    many.advance_to(10_000.0 - 1e-9)  # the same moment once more
    assert many.now_s == one.now_s == 10_000.0
    assert many.drug.plasma_ng_ml[0] == pytest.approx(one.drug.plasma_ng_ml, rel=1e-9)


def test_a_dose_and_a_weight_may_be_one_each() -> None:
    chosen = parameter_set("ketamine", age_years=AGE_YEARS)
    weights = np.array([50.0, 70.0, 130.0])
    many = Population(chosen, draws_of(1, 3), weight_kg=weights, age_years=AGE_YEARS)
    many.advance_to(60.0, weights * 100.0)
    alone = Population(chosen, draws_of(3, 1), weight_kg=130.0, age_years=AGE_YEARS)
    alone.advance_to(60.0, 13_000.0)
    assert many.drug.plasma_ng_ml[2] == pytest.approx(alone.drug.plasma_ng_ml[0], rel=1e-12)


def test_a_batch_of_one_body_is_the_single_body() -> None:
    body = parameter_set("lidocaine", age_years=AGE_YEARS).compartments(
        weight_kg=70, age_years=AGE_YEARS
    )
    batch, one = BatchKinetics(body, 1), Kinetics(body)
    for moving in (batch, one):
        moving.bolus(50.0)
        moving.advance(0.0, 10.0)
        moving.advance(600.0, 100.0)
        moving.advance(3600.0)
    assert batch.plasma_ng_ml[0] == pytest.approx(one.plasma_ng_ml, rel=1e-12)
    assert batch.effects_ng_ml[0, 0] == pytest.approx(one.effects_ng_ml[0], rel=1e-12)


def test_moments_within_one_second_share_its_noise() -> None:
    many = people("ketamine", 1, 2)
    many.advance_to(10.25)
    first = many.vitals()["spo2_pct"]
    many.advance_to(10.5)
    assert many.vitals()["spo2_pct"] == pytest.approx(first, abs=0.01)


def test_the_step_lengths_that_are_kept_are_bounded() -> None:
    many = people("ketamine", 1, 2)
    for second in range(1, 60):
        many.advance_to(many.now_s + second)
    assert len(many.drug._steps) <= 16


@pytest.mark.parametrize(
    ("now_s", "ug"), [(-1.0, 0.0), (math.nan, 0.0), (math.inf, 0.0), (9.0, -1.0), (9.0, math.nan)]
)
def test_bad_time_or_dose_is_refused(now_s: float, ug: float) -> None:
    many = people("ketamine", 1, 2)
    with pytest.raises(PatientError):
        many.advance_to(now_s, ug)
    assert many.now_s == 0.0
    assert not many.drug.plasma_ng_ml.any()


@pytest.mark.parametrize("dt_s", [-1.0, math.nan, math.inf])
def test_a_step_that_is_no_time_is_refused(dt_s: float) -> None:
    with pytest.raises(PatientError, match="not a finite time"):
        people("ketamine", 1, 1).drug.advance(dt_s)


def test_nobody_and_people_out_of_range_are_refused() -> None:
    with pytest.raises(PatientError, match="population 0"):
        people("ketamine", 1, 0)
    with pytest.raises(PatientError, match="weight_kg 30"):
        people("ketamine", 1, 2, weight_kg=30.0)
    chosen = parameter_set("ketamine", age_years=AGE_YEARS)
    with pytest.raises(PatientError, match="weight_kg 170"):
        Population(chosen, draws_of(1, 2), weight_kg=np.array([70.0, 170.0]), age_years=AGE_YEARS)


def test_scattered_bits_are_those_of_the_published_generator() -> None:
    """The first numbers of splitmix64 seeded with 1234567, as its test vectors have them."""
    found = [scattered(1234567, index) for index in (1, 2, 3)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]
