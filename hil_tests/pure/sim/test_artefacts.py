"""What goes wrong at the sensors and on the way, one kind at a time, and what that must not change."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from sim.artefacts import KINDS
from sim.chance import Draw
from sim.drug_models import parameter_set
from sim.monitor import SIGNALS, Monitor
from sim.patient import Patient
from sim.person import Person

Sample = Mapping[str, Any]


class Ward:
    """A patient and his monitor, a second at a time."""

    def __init__(self, seed: int | None = 3, *kinds: str) -> None:
        def draw(name: str) -> Draw:
            return (lambda: 0.0) if seed is None else random.Random(f"{seed}:{name}").random

        self.patient = Patient(
            parameter_set("ketamine", age_years=40),
            weight_kg=70,
            age_years=40,
            height_cm=170,
            draw=draw("patient"),
            person=Person() if seed is None else None,
        )
        self.monitor = Monitor(self.patient, draw("patient/monitor"))
        for kind in kinds:
            self.monitor.artefacts.switch_on(kind)
        self.now = -1

    def watch(self, seconds: int) -> list[Sample]:
        """What arrives in the next so many seconds."""
        arrived: list[Sample] = []
        for _ in range(seconds):
            self.now += 1
            self.patient.advance_to(float(self.now))
            arrived += self.monitor.samples(float(self.now))
        return arrived


def values(samples: list[Sample], key: str) -> list[Any]:
    return [sample.get(key) for sample in samples]


def test_none_is_on_until_somebody_switches_it_on() -> None:
    one = Ward()
    assert not one.monitor.artefacts.on
    samples = one.watch(700)
    assert values(samples, "seq") == list(range(1, 701))
    assert not any(sample["invalid"] for sample in samples)


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("lead_off", {"hr_bpm"}),
        ("probe_off", {"spo2_pct"}),
        ("line_off", {"etco2_mmhg"}),
        ("cuff_off", {"nibp_sys_mmhg", "nibp_dia_mmhg"}),
    ],
)
def test_a_sensor_that_is_off_makes_its_values_invalid_until_it_is_on(
    kind: str, gone: set[str]
) -> None:
    one = Ward()
    one.watch(20)
    one.monitor.artefacts.switch_on(kind)
    for sample in one.watch(20):
        assert set(sample["invalid"]) == gone
        assert not gone & sample.keys()
        assert ("nibp_age_s" in sample) is (kind != "cuff_off")
    one.monitor.artefacts.switch_off(kind)
    back = one.watch(1)[0]
    assert back["invalid"] == []
    assert set(SIGNALS) <= back.keys()


def test_motion_makes_saturation_low_and_noisy_in_bouts() -> None:
    true = values(Ward().watch(1200), "spo2_pct")
    shown = values(Ward(3, "motion").watch(1200), "spo2_pct")
    low = [a - b for a, b in zip(true, shown, strict=True)]
    assert 5 < max(low) < 15
    assert sum(drop < 0.05 for drop in low) > 400  # between the bouts it is right again
    assert min(low) > -0.05


def test_a_finger_with_too_little_blood_has_no_saturation_in_bouts() -> None:
    samples = Ward(3, "low_perfusion").watch(1200)
    gone = [sample for sample in samples if "spo2_pct" not in sample]
    assert 100 < len(gone) < 900
    assert all(sample["invalid"] == ["spo2_pct"] for sample in gone)
    true = values(Ward().watch(1200), "spo2_pct")
    there = [b - a["spo2_pct"] for a, b in zip(samples, true, strict=True) if a not in gone]
    assert max(map(abs, there)) < 2.0  # what is shown is right, from the first second on


def test_electrosurgery_makes_nonsense_of_the_pulse_in_bursts() -> None:
    true = values(Ward().watch(600), "hr_bpm")
    shown = values(Ward(3, "electrosurgery").watch(600), "hr_bpm")
    wrong = [second for second in range(600) if abs(true[second] - shown[second]) > 1]
    assert 20 < len(wrong) < 300
    assert all(30 <= shown[second] <= 240 for second in wrong)


def test_double_counting_doubles_the_pulse() -> None:
    true = values(Ward().watch(30), "hr_bpm")
    shown = values(Ward(3, "double_counting").watch(30), "hr_bpm")
    assert shown == pytest.approx([2 * pulse for pulse in true], abs=0.11)


def test_mouth_breathing_dilutes_carbon_dioxide() -> None:
    true = values(Ward().watch(60), "etco2_mmhg")
    shown = values(Ward(3, "mouth_breathing").watch(60), "etco2_mmhg")
    assert all(0.5 * a < b < 0.8 * a for a, b in zip(true, shown, strict=True))


def test_a_cuff_that_fails_tries_once_more_and_then_says_nothing() -> None:
    one = Ward()
    one.watch(300)
    one.monitor.artefacts.switch_on("cuff_failure")
    samples = one.watch(60)  # the moments 300 to 359; an attempt at 300 and one at 330
    assert values(samples[:30], "nibp_age_s") == list(range(300, 330))
    assert all("nibp_sys_mmhg" in sample["invalid"] for sample in samples[30:])
    one.monitor.artefacts.switch_off("cuff_failure")
    later = one.watch(300)
    ready = [sample["t_s"] for sample in later if sample.get("nibp_age_s") == 0]
    assert ready == [600.0]


def test_a_cuff_that_fails_once_reads_at_the_second_attempt() -> None:
    one = Ward()
    one.watch(300)
    one.monitor.artefacts.switch_on("cuff_failure")
    one.watch(10)
    one.monitor.artefacts.switch_off("cuff_failure")
    samples = one.watch(30)
    assert not any(sample["invalid"] for sample in samples)
    assert [sample["t_s"] for sample in samples if sample["nibp_age_s"] == 0] == [330.0]


def test_a_failure_shifts_no_later_reading() -> None:
    def late_readings(*kinds: str) -> list[Any]:
        one = Ward(3, *kinds)
        one.watch(310)
        one.monitor.artefacts.switch_off("cuff_failure")
        return values(one.watch(700), "nibp_sys_mmhg")[300:]

    assert late_readings("cuff_failure") == late_readings()


def test_a_cuff_on_the_arm_of_the_oximeter_takes_its_pulse_while_it_presses() -> None:
    samples = Ward(3, "cuff_on_spo2_arm").watch(660)
    gone = [sample["t_s"] for sample in samples if "spo2_pct" not in sample]
    assert gone == [float(second) for second in (*range(270, 300), *range(570, 600))]
    assert all(sample["invalid"] == ["spo2_pct"] for sample in samples if sample["t_s"] in gone)


def test_a_flat_line_keeps_its_values_while_time_goes_on() -> None:
    one = Ward()
    last = one.watch(50)[-1]
    one.monitor.artefacts.switch_on("flat_lined")
    flat = one.watch(20)
    assert {sample["hr_bpm"] for sample in flat} == {last["hr_bpm"]}
    assert values(flat, "seq") == list(range(51, 71))
    one.monitor.artefacts.switch_off("flat_lined")
    assert len({sample["hr_bpm"] for sample in one.watch(20)}) > 5


def test_a_frozen_monitor_sends_its_last_message_again_and_again() -> None:
    one = Ward()
    last = one.watch(50)[-1]
    one.monitor.artefacts.switch_on("frozen")
    assert one.watch(10) == [last] * 10
    one.monitor.artefacts.switch_off("frozen")
    assert one.watch(1)[0]["seq"] == 61


def test_late_messages_carry_the_time_they_were_made_at() -> None:
    one = Ward(3, "late")
    samples = one.watch(40)
    assert values(samples, "t_s") == [float(second) for second in range(25)]  # 15 s late
    one.monitor.artefacts.switch_off("late")
    assert values(one.watch(1), "seq") == list(range(26, 42))  # all at once, in order


def test_duplicates_come_twice_and_pairs_change_places() -> None:
    assert values(Ward(3, "duplicated").watch(3), "seq") == [1, 1, 2, 2, 3, 3]
    assert values(Ward(3, "out_of_order").watch(6), "seq") == [2, 1, 4, 3, 6, 5]
    one = Ward(3, "out_of_order")
    assert values(one.watch(3), "seq") == [2, 1]
    one.monitor.artefacts.switch_off("out_of_order")
    assert values(one.watch(2), "seq") == [3, 4, 5]  # what was held back is not lost


@pytest.mark.parametrize("kind", KINDS)
def test_no_artefact_shifts_a_draw_of_the_patient_or_of_the_monitor(kind: str) -> None:
    plain, disturbed = Ward(), Ward(3, kind)
    plain.watch(650)
    disturbed.watch(650)
    disturbed.monitor.artefacts.switch_off(kind)
    plain.watch(20)  # what was averaged or held back is over
    disturbed.watch(20)
    after, before = disturbed.watch(10), plain.watch(10)
    differing = {"nibp_age_s", "nibp_sys_mmhg", "nibp_dia_mmhg"} if kind == "cuff_off" else set()
    for a, b in zip(after, before, strict=True):
        same = [key for key in b if key not in differing and not _cuff_missing(kind, key)]
        assert {key: a[key] for key in same} == {key: b[key] for key in same}
    assert disturbed.patient.vitals() == plain.patient.vitals()


def _cuff_missing(kind: str, key: str) -> bool:
    return kind == "cuff_failure" and (key.startswith("nibp") or key == "invalid")


@pytest.mark.parametrize("kind", ["motion", "low_perfusion", "electrosurgery", "mouth_breathing"])
def test_the_same_seed_is_disturbed_in_the_same_way(kind: str) -> None:
    assert Ward(3, kind).watch(200) == Ward(3, kind).watch(200)
    assert Ward(3, kind).watch(200) != Ward(4, kind).watch(200)


def test_a_kind_there_is_not_is_named_with_those_there_are() -> None:
    artefacts = Ward().monitor.artefacts
    for move in (artefacts.switch_on, artefacts.switch_off):
        with pytest.raises(ValueError, match="'gremlins': there are lead_off, probe_off"):
            move("gremlins")
