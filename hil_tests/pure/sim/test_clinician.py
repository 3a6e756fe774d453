"""The simulated clinician: patient enough, honest, and never stuck."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.clinician import Clinician, Reply

WELL = {
    "nibp_sys_mmhg": 122.0,
    "nibp_dia_mmhg": 77.0,
    "hr_bpm": 70.0,
    "rr_bpm": 14.0,
    "spo2_pct": 98.0,
}
CALM = {
    "dissociation_pct": 0.0,
    "pain_fall_cm": 0.0,
    "anxious": False,
    "sedated": False,
    "rousable": True,
}
ALL_KINDS = [
    "checklist",
    "baseline_scores",
    "confirm",
    "response",
    "supervise",
    "signs",
    "holding",
    "infusion_dose",
    "rescue_drug",
    "recovery_scores",
    "discharge",
]
SCORES = {"pain_0_10": {"min": 0.0, "max": 10.0}, "mood_0_10": {"min": 0.0, "max": 10.0}}
RECOVERY = SCORES | {
    "sedation_0_4": {"min": 0.0, "max": 4.0},
    "nausea_0_3": {"min": 0.0, "max": 3.0},
    "walking_ok": {"min": 0.0, "max": 1.0},
}


def clinician(seed: int = 1) -> Clinician:
    return Clinician(random.Random(f"{seed}:people").random)


def sample(vitals: dict[str, float] | None = None, /, **signs: float | bool) -> dict[str, Any]:
    return {**WELL, **(vitals or {}), "signs": CALM | signs}


def question(kind: str, **known: Any) -> dict[str, Any]:
    return {"kind": kind, "state": "observing", "sample": sample(), "in_state_s": 0.0} | known


def response(in_state_s: float, **signs: float | bool) -> dict[str, Any]:
    return question(
        "response",
        choices=("anxiety", "analgesia", "dissociation", "nothing"),
        values={"dose_mg": {"unit": "mg", "min": 5.0, "max": 10.0, "needed_for": ("nothing",)}},
        in_state_s=in_state_s,
        sample=sample(**signs),
    )


def said(reply: Reply) -> dict[str, Any]:
    assert reply.answer is not None
    return reply.answer


@pytest.mark.parametrize("in_state_s", [0.0, 300.0, 599.9])
def test_no_response_is_given_before_the_observation_is_over(in_state_s: float) -> None:
    delay, answer = clinician().reply(response(in_state_s, dissociation_pct=80.0))
    assert answer is None
    assert 0 < delay <= 15
    assert in_state_s + delay <= max(600.0, in_state_s + 15)


def test_the_last_look_falls_on_the_end_of_the_observation() -> None:
    assert clinician().reply(response(595.0)) == (5.0, None)


@pytest.mark.parametrize(
    ("signs", "choice"),
    [
        ({}, "nothing"),
        ({"dissociation_pct": 39.9, "pain_fall_cm": 1.49}, "nothing"),
        ({"pain_fall_cm": 1.5}, "analgesia"),
        ({"pain_fall_cm": 5.0, "dissociation_pct": 40.0}, "dissociation"),
    ],
)
def test_the_response_is_what_the_patient_showed(signs: dict[str, float], choice: str) -> None:
    delay, answer = clinician().reply(response(600.0, **signs))
    assert answer is not None
    assert answer["choice"] == choice
    assert 0 < delay < 10
    assert ("dose_mg" in answer["values"]) is (choice == "nothing")


def test_a_peak_seen_earlier_counts() -> None:
    one = clinician()
    one.see(sample(dissociation_pct=45.0))
    one.reply(response(400.0, pain_fall_cm=2.0))
    assert said(one.reply(response(600.0, dissociation_pct=20.0)))["choice"] == "dissociation"


def test_anxiety_is_answered_at_once_and_stays_the_answer() -> None:
    one = clinician()
    delay, answer = one.reply(response(120.0, anxious=True))
    assert answer == {"choice": "anxiety", "values": {}}
    assert delay <= 20
    assert said(one.reply(response(140.0)))["choice"] == "anxiety"


def test_somebody_whom_nobody_sees_is_not_judged() -> None:
    blind = response(2000.0) | {"sample": WELL}
    assert clinician().reply(blind).answer is None
    assert clinician().reply(blind | {"sample": None}).answer is None


@given(st.integers(0, 500), st.floats(5.0, 10.0))
def test_a_further_dose_is_inside_the_limits_offered(seed: int, highest: float) -> None:
    asked = response(600.0)
    asked["values"]["dose_mg"]["max"] = highest
    dose = said(clinician(seed).reply(asked))["values"]["dose_mg"]
    assert 5.0 <= dose <= highest


def test_every_further_dose_between_five_and_ten_is_chosen_by_somebody() -> None:
    doses = {said(clinician(s).reply(response(600.0)))["values"]["dose_mg"] for s in range(40)}
    assert doses == {5.0, 7.5, 10.0}


def test_a_checklist_is_answered_yes_and_scores_are_scores() -> None:
    one = clinician()
    assert said(one.reply(question("checklist", choices=("yes", "no")))) == {
        "choice": "yes",
        "values": {},
    }
    scores = said(one.reply(question("baseline_scores", values=SCORES)))
    assert scores["choice"] == ""
    assert all(0 <= score <= 10 and score == int(score) for score in scores["values"].values())


def test_a_confirmation_is_given_beyond_a_soft_limit_too() -> None:
    asked = question("confirm", state="infusing", choices=("confirm", "refuse"), soft=("rate",))
    assert said(clinician().reply(asked)) == {"choice": "confirm", "values": {}}


def test_no_further_dose_is_confirmed_for_somebody_who_is_anxious() -> None:
    upset = question("confirm", state="titrating", sample=sample(anxious=True))
    assert said(clinician().reply(upset))["choice"] == "refuse"


def test_an_infusion_that_goes_well_is_only_watched() -> None:
    asked = question("supervise", choices=("hold", "estop", "anxiety", "abort"))
    assert clinician().reply(asked) == (15.0, None)


@pytest.mark.parametrize(
    ("signs", "choice"), [({"anxious": True}, "anxiety"), ({"rousable": False}, "hold")]
)
def test_an_infusion_that_goes_badly_is_interrupted(signs: dict[str, bool], choice: str) -> None:
    delay, answer = clinician().reply(question("supervise", sample=sample(**signs)))
    assert answer == {"choice": choice, "values": {}}
    assert delay <= 20


HOLDING = ("resume", "recover", "anxiety", "abort")


def test_a_hold_ends_with_resume_when_the_vitals_are_back() -> None:
    one = clinician()
    high = question("holding", choices=HOLDING, sample=sample({"nibp_sys_mmhg": 185.0}))
    assert one.reply(high) == (15.0, None)
    assert said(one.reply(question("holding", choices=HOLDING)))["choice"] == "resume"


@pytest.mark.parametrize("signal", sorted(WELL))
def test_nobody_resumes_on_a_vital_sign_that_is_missing(signal: str) -> None:
    partial = sample()
    del partial[signal]
    assert clinician().reply(question("holding", choices=HOLDING, sample=partial)).answer is None


def test_a_hold_that_lasts_ends_in_recovery() -> None:
    waiting = question("holding", choices=("recover", "anxiety", "abort"), in_state_s=599.0)
    assert clinician().reply(waiting).answer is None
    waiting["in_state_s"] = 600.0
    assert said(clinician().reply(waiting))["choice"] == "recover"
    assert said(clinician().reply(waiting | {"choices": ("anxiety", "abort")}))["choice"] == "abort"


def test_after_a_crash_and_after_three_resumes_nobody_resumes() -> None:
    crashed = question("holding", choices=HOLDING, reason="interrupted")
    assert said(clinician().reply(crashed))["choice"] == "recover"
    one = clinician()
    choices = [said(one.reply(question("holding", choices=HOLDING)))["choice"] for _ in range(4)]
    assert choices == ["resume", "resume", "resume", "recover"]


def test_somebody_anxious_is_not_resumed() -> None:
    asked = question("holding", choices=HOLDING, sample=sample(anxious=True))
    assert said(clinician().reply(asked))["choice"] == "anxiety"


@pytest.mark.parametrize(
    ("proposed", "lowest", "highest", "dose"),
    [
        (25.0, 1.0, 60.0, 25.0),
        (25.0, 1.0, 20.3, 20.0),
        (None, 1.0, 20.3, 20.0),
        (5.0, 8.0, 9.9, 9.5),
    ],
)
def test_an_infusion_dose_is_the_proposed_one_or_the_highest_allowed(
    proposed: float | None, lowest: float, highest: float, dose: float
) -> None:
    asked = question(
        "infusion_dose",
        values={"dose_mg": {"min": lowest, "max": highest}},
        proposed=None if proposed is None else {"choice": "", "values": {"dose_mg": proposed}},
    )
    assert said(clinician().reply(asked)) == {"choice": "", "values": {"dose_mg": dose}}


def test_rescue_gives_midazolam_within_its_limits_and_takes_its_time() -> None:
    asked = question(
        "rescue_drug",
        choices=("given", "declined"),
        values={"midazolam_mg": {"min": 0.5, "max": 2.5}},
    )
    delay, answer = clinician().reply(asked)
    assert answer == {"choice": "given", "values": {"midazolam_mg": 1.0}}
    assert delay >= 120
    asked["proposed"] = {"choice": "given", "values": {"midazolam_mg": 9.0}}
    assert said(clinician().reply(asked))["values"] == {"midazolam_mg": 2.5}
    assert said(clinician().reply(asked | {"choices": ("declined",)}))["choice"] == "declined"


def rescue(*choices: str, **known: Any) -> dict[str, Any]:
    values = {"midazolam_mg": {"min": 0.5, "max": 2.5}}
    return question("rescue_drug", choices=choices, values=values, **known)


def test_a_further_rescue_dose_is_given_only_while_the_first_is_not_enough() -> None:
    still, calm = sample(anxious=True), sample()
    again = said(clinician().reply(rescue("enough", "given", sample=still)))
    assert again == {"choice": "given", "values": {"midazolam_mg": 1.0}}
    assert said(clinician().reply(rescue("enough", "given", sample=calm)))["choice"] == "enough"
    assert said(clinician().reply(rescue("enough", sample=still)))["choice"] == "enough"


def test_lipid_emulsion_is_given_in_the_amount_that_is_allowed() -> None:
    asked = question(
        "rescue_drug",
        choices=("given", "declined"),
        values={"lipid_ml": {"min": 1.0, "max": 105.0}},
        sample=toxic("seizure"),
    )
    assert said(clinician().reply(asked)) == {"choice": "given", "values": {"lipid_ml": 105.0}}


SIGNS = ("none", "tinnitus", "twitching", "seizure")


@pytest.mark.parametrize(
    ("shown", "named"),
    [
        ({}, "none"),
        ({"toxicity": ""}, "none"),
        ({"toxicity": "tinnitus"}, "tinnitus"),
        ({"toxicity": "cardiovascular"}, "seizure"),  # not on this list: the worst that is
    ],
)
def test_the_sign_that_is_named_is_the_one_that_shows(shown: dict[str, str], named: str) -> None:
    asked = question("signs", choices=SIGNS, sample={**WELL, "signs": CALM | shown})
    delay, answer = clinician().reply(asked)
    assert answer == {"choice": named, "values": {}}
    assert delay <= 15


def test_nobody_says_none_about_a_patient_whom_nobody_sees() -> None:
    assert clinician().reply(question("signs", choices=SIGNS, sample=WELL)).answer is None


def toxic(word: str) -> dict[str, Any]:
    return {**WELL, "signs": CALM | {"toxicity": word}}


@pytest.mark.parametrize(
    ("word", "choice"), [("tinnitus", "hold"), ("twitching", "toxicity"), ("seizure", "toxicity")]
)
def test_an_early_sign_is_held_and_a_severe_one_called_by_its_name(word: str, choice: str) -> None:
    offered = ("hold", "estop", "toxicity", "abort")
    asked = question("supervise", choices=offered, sample=toxic(word))
    assert said(clinician().reply(asked))["choice"] == choice


def test_nobody_resumes_after_a_sign_of_toxicity_even_when_it_has_passed() -> None:
    one = clinician()
    one.see(toxic("metallic_taste"))
    offered = ("resume", "recover", "toxicity", "abort")
    assert said(one.reply(question("holding", choices=offered)))["choice"] == "recover"
    worse = question("holding", choices=offered, sample=toxic("seizure"))
    assert said(one.reply(worse))["choice"] == "toxicity"


def test_nobody_with_a_sign_of_toxicity_gets_more_nor_goes_home() -> None:
    asked = question("confirm", choices=("confirm", "refuse"), sample=toxic("tinnitus"))
    assert said(clinician().reply(asked))["choice"] == "refuse"
    leaving = question("discharge", choices=("discharge", "not_yet"), sample=toxic("tinnitus"))
    assert clinician().reply(leaving) == (300.0, None)


def test_recovery_is_scored_after_an_hour_with_the_relief_that_was_seen() -> None:
    one = clinician()
    before = said(one.reply(question("baseline_scores", values=SCORES)))["values"]
    one.see(sample(pain_fall_cm=3.2))
    asked = question("recovery_scores", state="recovering", values=RECOVERY)
    assert one.reply(asked) == (3600.0, None)
    after = said(one.reply(asked | {"in_state_s": 3600.0}))["values"]
    assert after["pain_0_10"] == before["pain_0_10"] - 3
    assert after["mood_0_10"] >= before["mood_0_10"]
    assert (after["walking_ok"], after["sedation_0_4"]) == (1.0, 0.0)


@pytest.mark.parametrize("signs", [{"sedated": True}, {"dissociation_pct": 25.0}])
def test_somebody_unfit_is_said_to_be_and_is_not_discharged(signs: dict[str, float | bool]) -> None:
    unfit = sample(**signs)
    asked = question("recovery_scores", values=RECOVERY, in_state_s=3700.0, sample=unfit)
    scores = said(clinician().reply(asked))["values"]
    sedation = 2.0 if "sedated" in signs else 0.0  # far away is not drowsy
    assert (scores["walking_ok"], scores["sedation_0_4"]) == (0.0, sedation)
    leaving = question("discharge", choices=("discharge", "not_yet"), sample=unfit)
    assert clinician().reply(leaving) == (300.0, None)


def test_somebody_who_cannot_be_roused_is_scored_so() -> None:
    deep = sample(sedated=True, rousable=False)
    asked = question("recovery_scores", values=RECOVERY, in_state_s=3700.0, sample=deep)
    assert said(clinician().reply(asked))["values"]["sedation_0_4"] == 4.0


def test_nobody_hands_over_a_patient_whom_time_alone_will_mend() -> None:
    asked = question("supervise", state="recovering", choices=("abort",), sample=toxic("tinnitus"))
    assert clinician().reply(asked | {"in_state_s": 21_599.0}) == (15.0, None)
    late = said(clinician().reply(asked | {"in_state_s": 21_600.0}))
    assert late["choice"] == "abort"  # something else keeps the patient here


def test_somebody_fit_goes_home_with_an_escort_and_instructions() -> None:
    asked = question(
        "discharge",
        choices=("discharge", "not_yet"),
        values={
            "escort_present": {"min": 0.0, "max": 1.0},
            "instructions_given": {"min": 0.0, "max": 1.0},
        },
    )
    assert said(clinician().reply(asked)) == {
        "choice": "discharge",
        "values": {"escort_present": 1.0, "instructions_given": 1.0},
    }


def test_a_kind_of_question_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="'small_talk': there are checklist"):
        clinician().reply(question("small_talk"))


@given(st.integers(0, 1000), st.sampled_from(ALL_KINDS), st.floats(0.0, 20_000.0))
def test_every_kind_is_answered_or_looked_at_again_later(
    seed: int, kind: str, in_state_s: float
) -> None:
    delay, _ = clinician(seed).reply(question(kind, in_state_s=in_state_s))
    assert 0 < delay <= 3600


def test_the_same_seed_is_the_same_clinician() -> None:
    def day(seed: int) -> list[Reply]:
        one = clinician(seed)
        return [one.reply(question(kind, in_state_s=5000.0, values=RECOVERY)) for kind in ALL_KINDS]

    assert day(3) == day(3)
    assert day(3) != day(4)
