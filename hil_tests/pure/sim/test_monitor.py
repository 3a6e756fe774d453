"""The monitor: what a controller gets once a second, and what it must never get."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from sim.drug_models import parameter_set
from sim.monitor import SIGNALS, Monitor
from sim.patient import Patient
from sim.person import Person

Sample = Mapping[str, Any]


def ward(seed: int | None = None, person: Person | None = None) -> tuple[Patient, Monitor]:
    """A patient and a monitor; without a seed nothing is noisy."""

    def draw(name: str) -> Any:
        return (lambda: 0.0) if seed is None else random.Random(f"{seed}:{name}").random

    patient = Patient(
        parameter_set("ketamine", age_years=40),
        weight_kg=70,
        age_years=40,
        height_cm=170,
        draw=draw("patient"),
        person=Person() if seed is None else person,
    )
    return patient, Monitor(patient, draw("patient/monitor"))


def watch(patient: Patient, monitor: Monitor, until_s: int, ug_per_s: float = 0.0) -> list[Sample]:
    """A sample every second from the patient's now (included) to ``until_s``."""
    first = round(patient.now_s)
    samples: list[Sample] = [monitor.sample(float(first))]
    for second in range(first + 1, until_s + 1):
        patient.advance_to(float(second), ug_per_s)
        samples.append(monitor.sample(float(second)))
    return samples


def test_a_sample_has_the_agreed_shape_and_survives_json() -> None:
    patient, monitor = ward()
    (sample,) = watch(patient, monitor, 0)
    assert sample == {
        "t_s": 0.0,
        "seq": 1,
        "hr_bpm": 70.0,
        "spo2_pct": 98.0,
        "nibp_sys_mmhg": 122.0,
        "nibp_dia_mmhg": 77.0,
        "nibp_age_s": 0.0,
        "rr_bpm": 14.0,
        "etco2_mmhg": 38.0,
        "signs": {
            "dissociation_pct": 0.0,
            "pain_fall_cm": 0.0,
            "anxious": False,
            "sedated": False,
            "rousable": True,
        },
        "model": {
            "plasma_ng_ml": 0.0,
            "effect_cardiovascular_ng_ml": 0.0,
            "effect_psychedelic_ng_ml": 0.0,
            "effect_analgesic_ng_ml": 0.0,
        },
        "invalid": [],
    }
    assert json.loads(json.dumps(sample)) == sample


def test_numbers_and_times_go_up_one_by_one() -> None:
    samples = watch(*ward(1), 10)
    assert [sample["seq"] for sample in samples] == list(range(1, 12))
    assert [sample["t_s"] for sample in samples] == [float(second) for second in range(11)]


def test_the_cuff_reads_at_once_then_every_five_minutes_and_grows_stale_between() -> None:
    samples = watch(*ward(4), 700)
    assert [s["t_s"] for s in samples if s["nibp_age_s"] == 0] == [0, 300, 600]
    assert [samples[k]["nibp_age_s"] for k in (1, 299, 301, 700)] == [1, 299, 1, 100]
    assert len({s["nibp_sys_mmhg"] for s in samples[:300]}) == 1


def test_the_cuff_keeps_its_cycle_when_samples_were_missed() -> None:
    patient, monitor = ward()
    watch(patient, monitor, 0)
    ages = []
    for moment in (1000.0, 1199.0, 1200.0):
        patient.advance_to(moment)
        ages.append(monitor.sample(moment)["nibp_age_s"])
    assert ages == [0.0, 199.0, 0.0]


def test_the_cuff_follows_a_rise_only_with_its_next_reading() -> None:
    patient, monitor = ward()
    samples = watch(patient, monitor, 310, ug_per_s=100.0)
    assert samples[299]["nibp_sys_mmhg"] == 122.0
    assert samples[300]["nibp_sys_mmhg"] > 128.0


def test_a_cuff_is_off_by_its_bias_and_by_each_reading() -> None:
    errors = []
    for seed in range(300):
        patient, monitor = ward(seed)
        sample = monitor.sample(0.0)
        errors.append(sample["nibp_sys_mmhg"] - patient.vitals().sbp_mmhg)
        assert sample["nibp_dia_mmhg"] <= sample["nibp_sys_mmhg"]
    mean = sum(errors) / len(errors)
    sd = (sum((error - mean) ** 2 for error in errors) / len(errors)) ** 0.5
    assert abs(mean) < 1.0  # accuracy standard: at most 5, and SD at most 8
    assert sd == pytest.approx(5.0, abs=0.7)


def test_saturation_is_the_mean_of_the_last_twelve_seconds() -> None:
    patient, monitor = ward(6)
    true = [patient.vitals().spo2_pct]
    shown = [monitor.sample(0.0)["spo2_pct"]]
    for second in range(1, 40):
        patient.advance_to(float(second))
        true.append(patient.vitals().spo2_pct)
        shown.append(monitor.sample(float(second))["spo2_pct"])
    assert shown[30] == pytest.approx(sum(true[19:31]) / 12, abs=0.051)
    assert shown[0] == pytest.approx(true[0], abs=0.051)


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_sensor_that_is_off_is_absent_and_named_never_zero_nor_old(signal: str) -> None:
    patient, monitor = ward(2)
    watch(patient, monitor, 5)
    monitor.detach(signal)
    gone = {"nibp_sys_mmhg", "nibp_dia_mmhg"} if signal.startswith("nibp") else {signal}
    for sample in watch(patient, monitor, 20)[1:]:
        assert not gone & sample.keys()
        assert sample["invalid"] == sorted(gone)
        assert (set(SIGNALS) - gone) <= sample.keys()
        assert ("nibp_age_s" in sample) is not signal.startswith("nibp")
    monitor.attach(signal)
    patient.advance_to(21.0)
    back = monitor.sample(21.0)
    assert back["invalid"] == []
    assert set(SIGNALS) <= back.keys()
    if signal.startswith("nibp"):
        assert back["nibp_age_s"] == 0.0


def test_saturation_starts_afresh_when_the_probe_is_on_again() -> None:
    patient, monitor = ward(2)
    watch(patient, monitor, 5)
    monitor.detach("spo2_pct")
    monitor.attach("spo2_pct")
    patient.advance_to(6.0)
    assert monitor.sample(6.0)["spo2_pct"] == pytest.approx(patient.vitals().spo2_pct, abs=0.051)


def test_a_signal_this_monitor_does_not_have_is_named_with_those_it_has() -> None:
    _, monitor = ward()
    for move in (monitor.detach, monitor.attach):
        with pytest.raises(ValueError, match="'bis': there are hr_bpm, spo2_pct"):
            move("bis")


@pytest.mark.parametrize("interval_s", [0.0, -1.0, float("nan")])
def test_a_cuff_interval_that_is_no_time_is_refused(interval_s: float) -> None:
    patient, _ = ward()
    with pytest.raises(ValueError, match="nibp_interval_s"):
        Monitor(patient, lambda: 0.0, nibp_interval_s=interval_s)


def test_signs_and_concentrations_come_with_the_sample() -> None:
    patient, monitor = ward()
    patient.advance_to(60.0, 10_000)
    patient.advance_to(480.0)
    patient.give_midazolam(2.0, over_s=0)
    patient.advance_to(540.0)
    sample = monitor.sample(540.0)
    assert 0 < sample["signs"]["dissociation_pct"] < 33
    assert sample["signs"]["pain_fall_cm"] == pytest.approx(0.019 * 71.0, abs=0.03)
    assert sample["model"]["midazolam_effect_ng_ml"] > 10
    assert sample["model"]["plasma_ng_ml"] == round(patient.drug.plasma_ng_ml, 2)


def test_the_same_seed_gives_the_same_samples() -> None:
    assert watch(*ward(9), 400) == watch(*ward(9), 400)
    assert watch(*ward(9), 5) != watch(*ward(10), 5)


def test_what_happens_to_the_monitor_does_not_happen_to_the_patient() -> None:
    patient, monitor = ward(9)
    untouched, other = ward(9)
    watch(patient, monitor, 100)
    monitor.detach("nibp_sys_mmhg")
    watch(patient, monitor, 700)
    watch(untouched, other, 700)
    assert patient.vitals() == untouched.vitals()
