"""Lidocaine: symptoms in order, rising after the pump has stopped, a seizure, and who skips what."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from sim.drug_models import parameter_set
from sim.effects import effects
from sim.monitor import Monitor
from sim.patient import Patient
from sim.person import Person, drawn_person
from sim.toxicity import SIGNS

STAGES = [stage.name for stage in effects().toxicity.stages]
TYPICAL = Person()


def patient(person: Person = TYPICAL, draw: random.Random | None = None) -> Patient:
    return Patient(
        parameter_set("lidocaine", age_years=40),
        weight_kg=70,
        age_years=40,
        height_cm=170,
        draw=draw.random if draw else lambda: 0.0,
        person=person if draw is None else None,
    )


def give(one: Patient, mg: float, over_s: int, until_s: int) -> list[int]:
    """``mg`` evenly over ``over_s``, then nothing; the stage at every second."""
    stages = []
    for second in range(1, until_s + 1):
        one.advance_to(float(second), mg * 1000 / over_s if second <= over_s else 0.0)
        stages.append(one.signs.toxicity_stage)
    return stages


def test_the_usual_infusion_relieves_pain_and_may_warn_but_harms_nobody() -> None:
    one = patient()
    stages = give(one, 210, 2700, 5400)
    assert 1.0 < one.pain_fall_peak_cm < 3.0
    assert max(stages) == 0
    assert one.signs.rousable
    assert one.settled_vitals() == patient().settled_vitals()


def test_a_tenfold_dose_brings_symptoms_in_order() -> None:
    one = patient()
    stages = give(one, 2100, 2700, 2700)
    seen = list(one.events_s)
    assert [name for name in seen if name in STAGES] == STAGES[: one.signs.toxicity_stage]
    assert one.events_s["perioral_numbness"] < one.events_s["slurred_speech"] < 700
    assert one.events_s["twitching"] < one.events_s["seizure"] < one.events_s["cardiovascular"]
    assert stages == sorted(stages)  # while it flows, nothing gets better


@pytest.mark.parametrize(
    ("stopped_at", "worst"), [("perioral_numbness", "slurred_speech"), ("twitching", "seizure")]
)
def test_a_tenfold_load_goes_on_rising_after_somebody_has_stopped_the_pump(
    stopped_at: str, worst: str
) -> None:
    """1.5 mg/kg over 10 min entered as 15 mg/kg, without limits; stopped at a sign."""
    one, second = patient(), 0
    while one.signs.toxicity != stopped_at:
        second += 1
        one.advance_to(float(second), 1050.0 * 1000 / 600)
        assert second < 600
    plasma, stages = one.drug.plasma_ng_ml, [one.signs.toxicity_stage]
    for later in range(second + 1, second + 301):
        one.advance_to(float(later))
        stages.append(one.signs.toxicity_stage)
    assert one.drug.plasma_ng_ml < plasma
    assert stages[0] < max(stages)
    rising = stages[: stages.index(max(stages)) + 1]
    assert rising == sorted(rising)
    assert [name for name in one.events_s if name in STAGES] == STAGES[: max(stages)]
    assert STAGES[max(stages) - 1] == worst
    assert one.events_s[worst] > second


def test_symptoms_go_on_rising_after_the_pump_has_stopped() -> None:
    one = patient()
    give(one, 400, 200, 200)
    at_stop, plasma = one.signs.toxicity_stage, one.drug.plasma_ng_ml
    reached = []
    for second in range(201, 321):
        one.advance_to(float(second))
        reached.append(one.signs.toxicity_stage)
    assert one.drug.plasma_ng_ml < plasma
    assert at_stop < max(reached)
    assert {name for name, at_s in one.events_s.items() if at_s > 200} == {"twitching", "seizure"}


def test_a_seizure_is_a_surge_then_apnoea_and_a_fall_of_saturation_that_comes_late() -> None:
    one = patient()
    give(one, 520, 300, 300)
    rest = patient().settled_vitals()
    second = 300
    while "seizure" not in one.events_s:
        second += 1
        one.advance_to(float(second))
        assert second < 500
    onset = round(one.events_s["seizure"])
    one.advance_to(onset + 30.0)
    seizing = one.settled_vitals()
    assert seizing.hr_bpm == pytest.approx(1.5 * rest.hr_bpm)
    assert seizing.sbp_mmhg == pytest.approx(1.35 * rest.sbp_mmhg)
    assert (seizing.rr_bpm, seizing.minute_l_min, seizing.spo2_pct) == (0.0, 0.0, rest.spo2_pct)
    assert not one.signs.rousable
    assert one.signs.toxicity == "seizure"
    one.advance_to(onset + 149.0)
    apnoeic = one.settled_vitals()
    assert apnoeic.rr_bpm == 0.0
    assert apnoeic.spo2_pct < 60
    assert apnoeic.hr_bpm == pytest.approx(rest.hr_bpm, rel=0.02)
    for later in range(onset + 150, onset + 1500):
        one.advance_to(float(later))
    back = one.settled_vitals()
    assert one.signs._asdict()["rousable"]
    assert back.rr_bpm == rest.rr_bpm
    assert back.spo2_pct == pytest.approx(rest.spo2_pct, abs=0.1)
    assert "seizure" in one.events_s  # it stays recorded


def test_a_seizure_lasts_its_time_even_where_the_drug_has_gone() -> None:
    one = patient()
    give(one, 390, 200, 200)
    second = 200
    while not one.events_s.get("seizure") and second < 400:
        second += 1
        one.advance_to(float(second))
    one.advance_to(one.events_s["seizure"] + 85.0)
    assert one.drug.effects_ng_ml[0] < 10_000
    assert one.signs.toxicity == "seizure"
    one.advance_to(one.events_s["seizure"] + 95.0)
    assert one.signs.toxicity == "twitching"
    assert not one.signs.rousable


def test_breathing_is_not_back_before_the_drug_is() -> None:
    one = patient()
    give(one, 900, 300, 900)
    since = 900 - one.events_s["seizure"]
    assert since > 300
    assert one.drug.effects_ng_ml[0] > 8000
    assert one.settled_vitals().rr_bpm == 0.0


def test_more_still_depresses_the_circulation_and_then_stops_it_for_good() -> None:
    one = patient()
    pulses = []
    for second in range(1, 1201):
        one.advance_to(float(second), 1_500.0)
        pulses.append(one.settled_vitals().hr_bpm)
    collapse = round(one.events_s["cardiovascular"])
    assert 70.0 < pulses[collapse - 2] < 75.0  # the surge of the seizure is nearly over
    arrest = round(one.events_s["arrest"])
    assert 25 < pulses[arrest - 2] < 32  # 60 % are lost before it
    assert set(pulses[arrest - 1 :]) == {0.0}
    for hour in range(1, 5):
        one.advance_to(1200.0 + 3600 * hour)
    assert one.settled_vitals().sbp_mmhg == 0.0
    assert one.signs.toxicity == "cardiovascular"
    assert one.signs.toxicity_stage == len(STAGES)


def test_a_monitor_names_what_it_cannot_measure_on_somebody_without_pulse_or_breath() -> None:
    one = patient()
    monitor = Monitor(one, lambda: 0.0)
    shown = monitor.sample(0.0)
    assert (shown["signs"]["toxicity"], shown["signs"]["toxicity_stage"]) == ("", 0)
    give(one, 520, 300, 400)
    apnoeic = monitor.sample(400.0)
    assert apnoeic["rr_bpm"] == 0.0
    assert apnoeic["invalid"] == ["etco2_mmhg"]
    for second in range(401, 1201):
        one.advance_to(float(second), 3000.0)
    arrested = monitor.sample(1200.0)
    assert arrested["hr_bpm"] == 0.0
    assert arrested["signs"]["toxicity"] == "cardiovascular"
    assert {"spo2_pct", "etco2_mmhg"} <= set(arrested["invalid"])
    later = [monitor.sample(1200.0 + wait) for wait in (1.0, 31.0)]
    assert "nibp_sys_mmhg" in later[-1]["invalid"]  # one attempt and one more have failed


def test_a_person_may_skip_early_stages_but_no_late_one() -> None:
    skips = [drawn_person(random.Random(f"{seed}:patient").random).skipped for seed in range(300)]
    skipped = {name for one in skips for name in one}
    assert skipped == set(STAGES[:6])
    assert sum(not one for one in skips) > 60  # 0.85 ** 6 of people skip none
    one = patient(replace(TYPICAL, skipped=frozenset(STAGES[:6])))
    give(one, 520, 300, 400)
    assert [name for name in one.events_s if name in STAGES] == ["seizure"]


def test_thresholds_differ_between_people_by_a_fifth() -> None:
    onset = {}
    for factor in (0.8, 1.0, 1.2):
        one = patient(replace(TYPICAL, toxicity=factor))
        give(one, 500, 600, 700)
        onset[factor] = one.events_s["perioral_numbness"]
    assert onset[0.8] < onset[1.0] < onset[1.2]
    people = [drawn_person(random.Random(f"{seed}:patient").random) for seed in range(600)]
    factors = sorted(one.toxicity for one in people)
    assert factors[300] == pytest.approx(1.0, abs=0.03)
    assert factors[504] == pytest.approx(1.22, abs=0.05)  # one SD up


def test_every_stage_has_a_sign_that_a_person_can_name() -> None:
    assert [*SIGNS, "arrest"] == STAGES
    thresholds = [stage.from_ng_ml for stage in effects().toxicity.stages]
    assert thresholds == sorted(thresholds)
    assert effects().toxicity.threshold("seizure") == 10_000
