"""The simulated patient: what ten milligrams do, who is who, and what must not shift a draw."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.chance import Draw, Normals
from sim.drug_models import parameter_set
from sim.effects import effects
from sim.patient import Patient, Signs
from sim.person import Person, drawn_person
from sim.pharmacokinetics import PatientError

TYPICAL = Person()


def still() -> float:
    """A stream whose normal numbers are all 0: no noise, and a typical person."""
    return 0.0


def stream(seed: int) -> Draw:
    return random.Random(f"{seed}:patient").random


def patient(
    draw: Draw = still,
    person: Person | None = TYPICAL,
    *,
    model: str = "kamp2020",
    weight_kg: float = 70.0,
    age_years: float = 40.0,
    height_cm: float = 170.0,
) -> Patient:
    chosen = parameter_set("ketamine", model, age_years=age_years)
    return Patient(
        chosen,
        weight_kg=weight_kg,
        age_years=age_years,
        height_cm=height_cm,
        draw=draw,
        person=person,
    )


def give(one: Patient, dose_mg: float, over_s: int, then_s: int, step_s: int = 1) -> None:
    """``dose_mg`` evenly over ``over_s``, then nothing for ``then_s``."""
    start = round(one.now_s)
    for second in range(step_s, over_s + 1, step_s):
        one.advance_to(float(start + second), dose_mg * 1000 * step_s / over_s)
    for second in range(step_s, then_s + 1, step_s):
        one.advance_to(float(start + over_s + second))


def test_ten_mg_relieve_the_typical_persons_pain_a_little_and_are_felt_a_little() -> None:
    one = patient()
    give(one, 10, 60, 840)
    assert one.dissociation_peak_pct == pytest.approx(0.315 * 107.8, abs=0.05)
    assert one.pain_fall_peak_cm == pytest.approx(0.019 * 72.1, abs=0.01)
    assert one.response == "nothing"
    assert one.received_ug == pytest.approx(10_000)


@pytest.mark.parametrize(
    ("person", "response"),
    [
        (replace(TYPICAL, pain_fall=1.2), "analgesia"),
        (replace(TYPICAL, dissociation=1.3), "dissociation"),
        (replace(TYPICAL, dissociation=1.3, pain_fall=1.2), "dissociation"),
        (replace(TYPICAL, dissociation=1.3, pain_fall=1.2, anxiety_draw=0.05), "anxiety"),
        (replace(TYPICAL, anxiety_draw=0.05), "anxiety"),
        (TYPICAL, "nothing"),
    ],
)
def test_the_response_is_the_first_that_applies(person: Person, response: str) -> None:
    one = patient(person=person)
    give(one, 10, 60, 840)
    assert one.response == response


@pytest.mark.parametrize(
    ("anxious", "dissociation", "pain", "response"),
    [
        (False, 39.999, 1.499, "nothing"),
        (False, 39.999, 1.5, "analgesia"),
        (False, 40.0, 9.0, "dissociation"),
        (True, 40.0, 9.0, "anxiety"),
        (True, 0.0, 0.0, "anxiety"),
    ],
)
def test_the_classification_at_its_boundaries(
    anxious: bool, dissociation: float, pain: float, response: str
) -> None:
    found = effects().response(anxious=anxious, dissociation_pct=dissociation, pain_fall_cm=pain)
    assert found == response


def test_effects_stop_at_their_caps_and_anxiety_at_one_half() -> None:
    one = patient(person=replace(TYPICAL, anxiety_draw=0.4999))
    give(one, 200, 60, 900)
    assert one.dissociation_peak_pct == 100.0
    assert one.pain_fall_peak_cm == 10.0
    assert not one.events_s.keys() & {"anxiety"}  # 0.12 * 100/40 = 0.30 at the cap of dissociation
    assert effects().anxiety.propensity(1000.0, 40.0) == 0.5


def test_what_happened_stays_recorded_when_it_has_passed() -> None:
    one = patient(person=replace(TYPICAL, dissociation=1.3, anxiety_draw=0.05))
    give(one, 10, 60, 7200, step_s=10)
    assert one.signs.dissociation_pct < 40
    assert not one.signs.anxious
    assert one.response == "anxiety"
    assert 60 < one.events_s["anxiety"] < one.events_s["dissociation"] < 600


def test_midazolam_calms_as_its_formula_says() -> None:
    calm, restless = (
        patient(person=replace(TYPICAL, dissociation=1.3, anxiety_draw=0.1)) for _ in "ab"
    )
    for one in (calm, restless):
        give(one, 10, 60, 400)
        assert one.signs.anxious
    calm.give_midazolam(2.0)
    assert calm.midazolam.effects_ng_ml[0] == 0.0  # it is in the vein, not yet where it acts
    for one in (calm, restless):
        one.advance_to(760.0)
    m = calm.concentrations()["midazolam_effect_ng_ml"]
    assert m == pytest.approx(53, abs=4)
    left = 1 - m / (m + 29.7)
    assert calm.signs.dissociation_pct == pytest.approx(left * restless.signs.dissociation_pct)
    assert not calm.signs.anxious
    assert calm.signs.sedated
    assert calm.signs.rousable
    assert not restless.signs.sedated
    assert "midazolam_effect_ng_ml" not in restless.concentrations()


def test_midazolam_lessens_the_propensity_to_anxiety_once_and_not_twice() -> None:
    """The propensity is that of the dissociation there would be without midazolam, times what is left."""
    seen: dict[float, bool] = {}
    for off in (0.98, 1.02):
        restless = patient(person=replace(TYPICAL, dissociation=1.3))
        calm = patient(person=replace(TYPICAL, dissociation=1.3))
        for one in (restless, calm):
            give(one, 10, 60, 400)
        calm.give_midazolam(2.0)
        for one in (restless, calm):
            one.advance_to(760.0)
        m = calm.concentrations()["midazolam_effect_ng_ml"]
        propensity = (1 - m / (m + 29.7)) * 0.12 * restless.signs.dissociation_pct / 40
        calm.person = replace(calm.person, anxiety_draw=off * propensity)
        calm.advance_to(760.0)
        seen[off] = calm.signs.anxious
    assert seen == {0.98: True, 1.02: False}


@pytest.mark.parametrize(("age_years", "sedated"), [(40, False), (70, True)])
def test_a_small_dose_of_midazolam_sedates_the_old_only(age_years: float, sedated: bool) -> None:
    one = patient(age_years=age_years)
    one.give_midazolam(1.0)
    one.advance_to(480.0)
    assert one.signs.sedated is sedated


def test_a_huge_dose_of_midazolam_leaves_nobody_rousable() -> None:
    one = patient()
    one.give_midazolam(20.0)
    one.advance_to(420.0)
    asleep = one.signs._replace(sedation_pct=0.0)
    assert asleep == Signs(0.0, 0.0, anxious=False, sedated=True, rousable=False)
    assert one.signs.sedation_pct > 90


def test_half_a_mg_per_kg_raises_pressure_and_pulse_as_fitted() -> None:
    one = patient()
    rest = one.vitals()
    assert (rest.sbp_mmhg, rest.map_mmhg, rest.dbp_mmhg) == (122, 92, 77)
    give(one, 35, 2400, 0)
    at_40_min = one.vitals()
    assert at_40_min.sbp_mmhg - rest.sbp_mmhg == pytest.approx(12.6, abs=0.05)
    assert at_40_min.map_mmhg - rest.map_mmhg == pytest.approx(9.88, abs=0.05)
    assert at_40_min.dbp_mmhg - rest.dbp_mmhg == pytest.approx(8.5, abs=0.05)
    rise = effects().haemodynamics.hr.at(one.concentrations()["effect_cardiovascular_ng_ml"]) * 70
    assert rise == pytest.approx(4.09, abs=0.05)
    assert at_40_min.hr_bpm - 70 == pytest.approx(rise, abs=1.26)  # and the respiratory swing


def test_the_second_anchor_of_the_fit_is_met() -> None:
    high = effects().haemodynamics
    assert high.sbp.at(2467) == pytest.approx(0.280, abs=0.0005)
    assert high.map.at(2467) == pytest.approx(0.280, abs=0.0005)
    assert high.hr.at(2467) == pytest.approx(0.330, abs=0.0005)


def test_mean_rises_over_people_are_the_published_ones() -> None:
    """0.5 mg/kg over 40 min, n = 400: inside the confidence intervals of the meta-analysis."""
    rises = []
    for seed in range(400):
        one = patient(stream(seed), None)
        one.advance_to(2400.0, 35_000)
        site = one.concentrations()["effect_cardiovascular_ng_ml"]
        high, factor = effects().haemodynamics, one.person.haemodynamics
        sbp, mean = 122 * factor * high.sbp.at(site), 92 * factor * high.map.at(site)
        rises.append((sbp, (3 * mean - sbp) / 2, 70 * factor * high.hr.at(site)))
    sbp, dbp, pulse = (sum(column) / len(rises) for column in zip(*rises, strict=True))
    assert 10.40 <= sbp <= 14.82
    assert 6.89 <= dbp <= 10.09
    assert 0.55 <= pulse <= 7.63


def test_the_frequencies_of_the_responses_are_printed_as_illustrative(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Clinical frequencies are not published; a wide band only says that every branch is walked."""
    counts: Counter[str] = Counter()
    for seed in range(300):
        weights = Normals(random.Random(f"{seed}:test").random)
        weight_kg = max(45.0, min(130.0, 78.0 + 15.0 * weights()))
        one = patient(stream(seed), None, weight_kg=weight_kg)
        give(one, 10, 60, 900, step_s=30)
        counts[one.response] += 1
    shares = {name: round(100 * count / 300) for name, count in counts.items()}
    with capsys.disabled():
        print(f"\nafter 10 mg (illustrative, not clinical): {shares}")
    expected = {"anxiety": 11, "dissociation": 23, "analgesia": 21, "nothing": 45}
    for name, share in expected.items():
        assert abs(shares[name] - share) < 10, (name, shares)


def test_the_same_seed_is_the_same_patient_and_another_seed_another() -> None:
    def life(seed: int) -> list[object]:
        one = patient(stream(seed), None)
        give(one, 10, 60, 120)
        return [one.person, one.signs, one.vitals(), one.concentrations()]

    assert life(7) == life(7)
    assert life(7) != life(8)


def test_the_first_draws_of_a_seed_are_the_stored_ones() -> None:
    """Tells a changed stream or order of draws from a changed model."""
    person = drawn_person(stream(7))
    assert person.anxiety_draw == random.Random("7:patient").random()
    normals = Normals(random.Random("7:patient").random)
    stored = [0.31313041114521317, 0.013980110970177088, -0.09361090095792149]
    assert [normals() for _ in range(3)] == pytest.approx(stored, abs=1e-12)


def test_what_is_done_to_a_patient_does_not_change_who_it_is_nor_the_noise() -> None:
    left_alone, treated = patient(stream(3), None), patient(stream(3), None)
    give(left_alone, 0, 60, 540)
    for tenth in range(1, 6001):  # ten times as often, with drugs
        treated.advance_to(tenth / 10, 10.0)
    treated.give_midazolam(2.0)
    assert treated.person == left_alone.person
    assert treated.vitals().spo2_pct == left_alone.vitals().spo2_pct
    assert treated.vitals().etco2_mmhg == left_alone.vitals().etco2_mmhg


def test_a_given_person_does_not_shift_the_noise() -> None:
    resting = replace(drawn_person(stream(5)), drug=TYPICAL.drug, dissociation=2.0)
    drawn, given_person = patient(stream(5), None), patient(stream(5), resting)
    assert drawn.vitals() == given_person.vitals()


def test_draws_in_another_stream_shift_nothing() -> None:
    people = random.Random("3:people")
    quiet, noisy = patient(stream(3), None), patient(stream(3), None)
    for second in range(1, 100):
        quiet.advance_to(float(second))
        people.random()
        noisy.advance_to(float(second))
    assert quiet.vitals() == noisy.vitals()


def test_noise_has_the_spread_and_the_memory_it_should() -> None:
    one = patient(stream(11))
    values = []
    for second in range(1, 20_001):
        one.advance_to(float(second))
        values.append(one.vitals().sbp_mmhg - 122)
    mean = sum(values) / len(values)
    sd = math.sqrt(sum((x - mean) ** 2 for x in values) / len(values))
    lag = sum(a * b for a, b in zip(values, values[30:], strict=False)) / len(values) / sd**2
    assert mean == pytest.approx(0, abs=0.4)
    assert sd == pytest.approx(3.0, abs=0.3)
    assert lag == pytest.approx(math.exp(-1), abs=0.12)


def test_vitals_stay_plausible_for_everybody() -> None:
    for seed in range(40):
        one = patient(stream(seed), None)
        give(one, 25, 2700, 600, step_s=60)
        seen = one.vitals()
        assert 50 < seen.hr_bpm < 150
        assert 90 < seen.sbp_mmhg < 180
        assert seen.dbp_mmhg < seen.map_mmhg < seen.sbp_mmhg
        assert 94 < seen.spo2_pct <= 100
        assert 10 < seen.rr_bpm < 30


def test_a_model_with_one_effect_site_drives_everything_with_it() -> None:
    one = patient(model="domino1984")
    give(one, 10, 60, 60)
    level = one.concentrations()["effect_ng_ml"]
    assert one.signs.dissociation_pct == pytest.approx(min(100, 0.315 * level))
    assert one.signs.pain_fall_cm == pytest.approx(0.019 * level)


@given(st.lists(st.floats(0.001, 300.0), min_size=1, max_size=6))
def test_concentrations_do_not_depend_on_the_moments_asked_for(parts_s: list[float]) -> None:
    asked_often, asked_once = patient(), patient()
    for one in (asked_often, asked_once):
        one.advance_to(60.0, 10_000)
    now = 60.0
    for part in parts_s:
        now += part
        asked_often.advance_to(now)
    asked_once.advance_to(now)
    assert asked_often.concentrations() == pytest.approx(asked_once.concentrations(), rel=1e-8)


def test_ragged_moments_do_not_make_new_step_lengths() -> None:
    one = patient()
    for second in range(1, 2000):
        one.advance_to(second + 0.1234567891)
    assert len(one.drug._steps) <= 4


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"weight_kg": 12.0}, "weight_kg 12"),
        ({"weight_kg": 161.0}, "weight_kg 161"),
        ({"age_years": 8.0}, "age_years 8"),
        ({"age_years": 99.0}, "age_years 99"),
        ({"height_cm": 17.0}, "height_cm 17"),
        ({"height_cm": math.nan}, "height_cm nan"),
    ],
)
def test_a_subject_outside_the_ranges_is_refused_by_name(
    change: dict[str, float], named: str
) -> None:
    subject = {"weight_kg": 70.0, "age_years": 40.0, "height_cm": 170.0} | change
    chosen = parameter_set("ketamine", age_years=40)
    with pytest.raises(PatientError, match=named):
        Patient(
            chosen,
            weight_kg=subject["weight_kg"],
            age_years=subject["age_years"],
            height_cm=subject["height_cm"],
            draw=still,
        )


@pytest.mark.parametrize(
    ("now_s", "ug"), [(-1.0, 0.0), (math.nan, 0.0), (math.inf, 0.0), (9.0, -1.0), (9.0, math.nan)]
)
def test_bad_time_or_dose_is_refused_and_changes_nothing(now_s: float, ug: float) -> None:
    one = patient()
    with pytest.raises(PatientError):
        one.advance_to(now_s, ug)
    assert (one.now_s, one.received_ug, one.drug.plasma_ng_ml) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("mg", [0.0, -1.0, math.nan, math.inf])
def test_midazolam_that_is_no_amount_is_refused(mg: float) -> None:
    with pytest.raises(PatientError, match="midazolam"):
        patient().give_midazolam(mg)


def test_log_normal_factors_have_the_median_or_the_mean_of_one_and_are_clipped() -> None:
    normals = Normals(random.Random("1:test").random)
    medians = sorted(normals.factor(0.6) for _ in range(4001))
    means = [normals.factor(0.6, mean_is_one=True) for _ in range(8000)]
    assert medians[2000] == pytest.approx(1.0, abs=0.05)
    assert sum(means) / len(means) == pytest.approx(1.0, abs=0.04)
    sigma = math.sqrt(math.log1p(0.36))
    assert math.exp(-3 * sigma) <= medians[0]
    assert medians[-1] <= math.exp(3 * sigma)
    extreme = Normals(iter([1 - 2**-53, 0.0]).__next__)
    assert extreme.factor(0.6) == pytest.approx(math.exp(3 * sigma))
