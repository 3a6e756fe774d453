"""Breathing under midazolam: volumes that agree, gases that follow, and the old who fall further."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.breathing import clamped, positive
from sim.drug_models import parameter_set
from sim.effects import effects
from sim.patient import Patient
from sim.person import Person
from sim.pharmacokinetics import PatientError
from sim.vital_signs import Vitals


def patient(age_years: float = 40.0, drug: str = "ketamine") -> Patient:
    return Patient(
        parameter_set(drug, age_years=age_years),
        weight_kg=70,
        age_years=age_years,
        height_cm=170,
        draw=lambda: 0.0,
        person=Person(),
    )


def after(mg: float, *, age_years: float = 40.0, minutes: float = 8.0) -> Vitals:
    one = patient(age_years)
    one.give_midazolam(mg)
    one.advance_to(minutes * 60)
    return one.settled_vitals()


REST = Vitals(70, 122, 77, 92, 98, 14, 38, 500, 7)


@pytest.mark.parametrize("minutes", [5, 8, 10, 15])
def test_two_mg_make_breaths_shallower_and_more_frequent_as_published(minutes: float) -> None:
    found = after(2.0, minutes=minutes)
    changes = [
        100 * (a / b - 1)
        for a, b in zip(
            (found.minute_l_min, found.tidal_ml, found.rr_bpm),
            (REST.minute_l_min, REST.tidal_ml, REST.rr_bpm),
            strict=True,
        )
    ]
    for change, (mean, sd) in zip(changes, ((-14.3, 5.9), (-22.3, 4.5), (10.3, 4.7)), strict=True):
        assert change == pytest.approx(mean, abs=sd)


def test_at_65_the_fall_is_larger_and_no_faster_breath_makes_up_for_it() -> None:
    young, old = after(2.0, age_years=64.0), after(2.0, age_years=65.0)
    assert old.minute_l_min < young.minute_l_min < REST.minute_l_min
    assert old.rr_bpm == pytest.approx(REST.rr_bpm, abs=0.01)
    assert young.rr_bpm > REST.rr_bpm
    assert old.spo2_pct < young.spo2_pct


def test_saturation_falls_with_dose_while_the_displayed_carbon_dioxide_need_not_rise() -> None:
    small, large = after(3.5), after(14.0)  # 0.05 and 0.2 mg/kg
    assert REST.spo2_pct - 1.5 < small.spo2_pct < REST.spo2_pct - 0.5
    assert large.spo2_pct < REST.spo2_pct - 2.0
    assert REST.etco2_mmhg - 2 < small.etco2_mmhg < REST.etco2_mmhg


def test_far_too_much_stops_breathing() -> None:
    found = after(80.0)
    assert found.rr_bpm < 3
    assert found.minute_l_min < 1.0
    assert found.spo2_pct < 60


@given(st.floats(0.1, 100.0), st.floats(0.0, 3600.0), st.sampled_from([20.0, 64.0, 65.0, 90.0]))
def test_minute_volume_is_always_tidal_volume_times_rate(
    mg: float, at_s: float, age_years: float
) -> None:
    one = patient(age_years)
    one.give_midazolam(mg)
    one.advance_to(at_s)
    for seen in (one.vitals(), one.settled_vitals()):
        assert seen.minute_l_min == pytest.approx(seen.tidal_ml * seen.rr_bpm / 1000)
        assert 0 <= seen.spo2_pct <= 100
        assert seen.rr_bpm >= 0


def test_the_clinician_injects_over_two_minutes_however_time_is_cut() -> None:
    whole, cut, late = patient(), patient(), patient()
    for one in (whole, cut):
        one.give_midazolam(2.0)
    whole.advance_to(300.0)
    for tenth in range(7, 3000, 7):
        cut.advance_to(tenth / 10)
    cut.advance_to(300.0)
    levels = whole.concentrations()
    assert levels["midazolam_plasma_ng_ml"] == pytest.approx(86.08, abs=0.005)  # P7
    assert levels["midazolam_effect_ng_ml"] == pytest.approx(51.02, abs=0.005)
    assert cut.concentrations() == pytest.approx(levels, rel=1e-9)
    late.advance_to(1000.0)
    late.give_midazolam(2.0)
    late.advance_to(1300.0)
    assert late.concentrations()["midazolam_effect_ng_ml"] == pytest.approx(
        levels["midazolam_effect_ng_ml"]
    )


def test_two_injections_may_overlap_and_a_line_may_run_beside_them() -> None:
    one = patient()
    one.give_midazolam(1.0)
    one.advance_to(60.0, 5000.0)
    one.give_midazolam(1.0)
    one.advance_to(60.0, 1000.0)  # and a bolus in the line in between
    one.advance_to(900.0, 0.0)
    assert one.midazolam.amount_mg() == pytest.approx(
        _left_of(1.0, 900.0) + _left_of(1.0, 840.0), rel=1e-9
    )
    alone = patient()
    alone.advance_to(60.0, 5000.0)
    alone.advance_to(60.0, 1000.0)
    alone.advance_to(900.0)
    assert one.drug.plasma_ng_ml == pytest.approx(alone.drug.plasma_ng_ml, rel=1e-9)


def _left_of(mg: float, after_s: float) -> float:
    one = patient()
    one.give_midazolam(mg)
    one.advance_to(after_s)
    return one.midazolam.amount_mg()


def test_midazolam_in_the_line_and_by_hand_add_up() -> None:
    line, hand = patient(drug="midazolam"), patient(drug="midazolam")
    line.advance_to(120.0, 2000.0)
    hand.give_midazolam(2.0)
    hand.advance_to(120.0)
    assert line.drug.plasma_ng_ml == pytest.approx(hand.drug.plasma_ng_ml)
    assert line.concentrations().keys() == {"plasma_ng_ml", "effect_ng_ml"}
    assert line.signs.sedation_pct > 0


@pytest.mark.parametrize("over_s", [-1.0, float("nan"), float("inf")])
def test_an_injection_over_no_time_that_is_one_is_refused(over_s: float) -> None:
    one = patient()
    with pytest.raises(PatientError, match="midazolam over"):
        one.give_midazolam(1.0, over_s=over_s)
    one.advance_to(60.0)
    assert one.midazolam.plasma_ng_ml == 0.0


def test_the_saturation_curve_meets_known_points() -> None:
    """Severinghaus 1979: half saturated at 26.9 mmHg, 75 % at 40, about 97 % at 90."""
    gases = effects().gases

    def at(po2_mmhg: float) -> float:
        return 100 / (1 + gases.saturation_a / (po2_mmhg**3 + gases.saturation_b * po2_mmhg))

    assert at(26.9) == pytest.approx(50, abs=0.5)
    assert at(40) == pytest.approx(75, abs=0.5)
    assert at(90) == pytest.approx(97, abs=0.5)
    assert gases.saturation_pct(1.0) == pytest.approx(at(149.7 - 50 - 12))
    assert gases.saturation_pct(5.0) > 0


@given(st.floats(-1e6, 1e6))
def test_arithmetic_stands_in_for_comparison(x: float) -> None:
    assert positive(x) == max(x, 0.0)
    assert clamped(x) == pytest.approx(min(1.0, max(0.0, x)), abs=1e-9)


def test_at_sixty_the_body_is_still_that_of_the_young_and_at_65_it_is_not() -> None:
    """The label's lower dose from 60 on is a matter of the drug library; the patient changes at 65."""
    assert after(2.0, age_years=59.0) == after(2.0, age_years=60.0) == after(2.0, age_years=64.0)
    assert parameter_set("midazolam", age_years=64.9).name == "albrecht1999 under 65"
    assert parameter_set("midazolam", age_years=65).name == "albrecht1999 65 and over"
