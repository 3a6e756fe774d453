"""The drug library: every limit at its boundary, exactly, and what a damaged file does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.library import LibraryError, load_library, parse_library
from controller.limits import (
    NOTHING_GIVEN,
    BolusOrder,
    DrugLimits,
    Given,
    InfusionOrder,
    LoadOrder,
    check,
    duration_findings,
    largest_bolus,
    largest_infusion,
    largest_soft_infusion,
)
from firmware_bridge.quantities import Concentration, Duration, Mass, Rate

LIBRARY = load_library()
KETAMINE = LIBRARY.drugs["ketamine", ""]
TEN = Concentration.from_mg_ml(10)
MINUTE = Duration.from_s(60)
SPAN = Duration.from_min(45)
RAW = (files("controller") / "data" / "drug_library.toml").read_bytes()


def bolus(
    mg: float, seconds: float = 60, weight_g: int = 70_000, before: Given = NOTHING_GIVEN
) -> tuple[list[str], list[str]]:
    order = BolusOrder(Mass.from_mg(mg), Duration.from_s(seconds))
    found = check(KETAMINE, order, weight_g=weight_g, given=before)
    return [str(f) for f in found.soft], [str(f) for f in found.hard]


def infusion(
    mg: float, weight_g: int = 70_000, before: Given = NOTHING_GIVEN
) -> tuple[list[str], list[str]]:
    dose = Mass.from_mg(mg)
    order = InfusionOrder(dose, dose.at(TEN).over(SPAN), TEN)
    found = check(KETAMINE, order, weight_g=weight_g, given=before)
    return [str(f) for f in found.soft], [str(f) for f in found.hard]


def test_the_file_says_what_it_is_not_for() -> None:
    assert b"NEVER FOR PATIENTS" in RAW
    assert LIBRARY.version
    assert len(LIBRARY.sha256) == 64


def test_ten_mg_over_a_minute_exceeds_nothing() -> None:
    assert bolus(10) == ([], [])


@pytest.mark.parametrize(
    ("mg", "seconds", "soft", "hard"),
    [
        (10.001, 60, ["bolus dose 10.001 mg is above 10 mg"], []),
        (10, 59.999, ["bolus duration 59.999 s is below 60 s"], []),
        (10, 30, ["bolus duration 30 s is below 60 s"], []),
        (
            10,
            29.999,
            ["bolus duration 29.999 s is below 60 s"],
            ["bolus duration 29.999 s is below 30 s"],
        ),
        (20, 60, ["bolus dose 20 mg is above 10 mg"], []),
        (
            20.001,
            60,
            ["bolus dose 20.001 mg is above 10 mg"],
            [
                "bolus dose 20.001 mg is above 20 mg",
                "test doses in total 20.001 mg is above 20 mg",
            ],
        ),
    ],
)
def test_bolus_limits_at_their_boundaries(
    mg: float, seconds: float, soft: list[str], hard: list[str]
) -> None:
    assert bolus(mg, seconds) == (soft, hard)


def test_the_bolus_limit_per_kilogram_is_exact() -> None:
    assert bolus(14, weight_g=40_000)[1] == []
    assert bolus(14.001, weight_g=40_000)[1] == ["bolus dose 0.35 mg/kg is above 0.35 mg/kg"]


def test_test_doses_add_up() -> None:
    assert bolus(10, before=Given(test=Mass.from_mg(10)))[1] == []
    assert bolus(10, before=Given(test=Mass.from_mg(10.001)))[1] == [
        "test doses in total 20.001 mg is above 20 mg"
    ]


def test_a_further_dose_within_ten_minutes_is_a_soft_finding() -> None:
    assert bolus(5, before=Given(since_last=Duration.from_min(10)))[0] == []
    assert bolus(5, before=Given(since_last=Duration(599_999)))[0] == [
        "time since the last dose 599.999 s is below 600 s"
    ]


@pytest.mark.parametrize(
    ("mg", "soft", "hard"),
    [
        (26.25, 0, 0),  # 0.5 mg/kg/h for 45 min
        (26.251, 1, 0),
        (35, 1, 0),  # 0.5 mg/kg
        (35.001, 2, 0),
        (52.5, 2, 0),  # 0.75 mg/kg = 1 mg/kg/h
        (52.6, 2, 2),
    ],
)
def test_infusion_limits_at_their_boundaries(mg: float, soft: int, hard: int) -> None:
    found = infusion(mg)
    assert (len(found[0]), len(found[1])) == (soft, hard)


def test_a_heavy_subject_meets_the_absolute_limits() -> None:
    assert infusion(80, weight_g=150_000)[1] == []
    assert infusion(80.001, weight_g=150_000)[1] == [
        "infusion dose 80.001 mg is above 80 mg",
        "dose within 60 min 80.001 mg is above 80 mg",
        "dose of the visit 80.001 mg is above 80 mg",
    ]


def test_hour_and_visit_count_what_was_given_before() -> None:
    before = Given(hour=Mass.from_mg(20), visit=Mass.from_mg(20))
    assert infusion(50, before=before)[1] == []
    assert infusion(50.001, before=before)[1] == [
        "dose within 60 min 1 mg/kg is above 1 mg/kg",
        "dose of the visit 1 mg/kg is above 1 mg/kg",
    ]
    old = Given(hour=Mass(0), visit=Mass.from_mg(20))
    assert infusion(50.001, before=old)[1] == ["dose of the visit 1 mg/kg is above 1 mg/kg"]


def test_a_rate_is_a_limit_of_its_own() -> None:
    order = InfusionOrder(Mass.from_mg(5), Rate.from_ml_h(7.1), TEN)
    found = check(KETAMINE, order, weight_g=70_000, given=NOTHING_GIVEN)
    assert [str(f) for f in found.hard] == ["infusion rate 1.01429 mg/kg/h is above 1 mg/kg/h"]


weights = st.integers(30_000, 200_000)
masses = st.integers(0, 90_000).map(Mass)
givens = st.builds(
    lambda t, extra: Given(t, t + extra, t + extra), st.integers(0, 25_000).map(Mass), masses
)


@given(weights, givens)
def test_the_largest_bolus_is_allowed_and_one_microgram_more_is_not(
    weight_g: int, before: Given
) -> None:
    most = largest_bolus(KETAMINE, weight_g=weight_g, given=before)
    if most > Mass(0):
        assert not check(KETAMINE, BolusOrder(most, MINUTE), weight_g=weight_g, given=before).hard
    more = BolusOrder(most + Mass(1), MINUTE)
    assert check(KETAMINE, more, weight_g=weight_g, given=before).hard


@given(weights, givens)
def test_the_largest_infusion_is_allowed(weight_g: int, before: Given) -> None:
    most = largest_infusion(KETAMINE, weight_g=weight_g, duration=SPAN, given=before)
    if most > Mass(0):
        order = InfusionOrder(most, most.at(TEN).over(SPAN), TEN)
        assert not check(KETAMINE, order, weight_g=weight_g, given=before).hard


@given(weights)
def test_the_largest_soft_infusion_asks_for_nothing(weight_g: int) -> None:
    most = largest_soft_infusion(KETAMINE, weight_g=weight_g, duration=SPAN)
    order = InfusionOrder(most, most.at(TEN).over(SPAN), TEN)
    assert not check(KETAMINE, order, weight_g=weight_g, given=NOTHING_GIVEN).soft


@given(weights, givens, masses)
def test_more_given_before_never_allows_more_now(weight_g: int, before: Given, dose: Mass) -> None:
    order = BolusOrder(dose, MINUTE)
    fresh = check(KETAMINE, order, weight_g=weight_g, given=NOTHING_GIVEN)
    later = check(KETAMINE, order, weight_g=weight_g, given=before)
    assert len(later.hard) >= len(fresh.hard)


@pytest.mark.parametrize(("age", "first", "total"), [(59, 2.5, 5), (60, 1.5, 3.5)])
def test_midazolam_changes_at_sixty(age: int, first: float, total: float) -> None:
    rescue = LIBRARY.rescue("ketamine", age_years=age, weight_kg=70)
    assert (rescue.drug, rescue.key) == ("midazolam", "midazolam_mg")
    assert (rescue.first, rescue.total) == (first, total)
    assert rescue.proposed <= rescue.first


def test_the_step_from_sixty_on_is_the_one_in_the_file() -> None:
    raw = (files("controller") / "data" / "drug_library.toml").read_bytes()
    before, _, band = raw.rpartition(b"step_max = 1.0")
    other = parse_library(before + b"step_max = 0.7" + band)
    assert LIBRARY.rescue("ketamine", age_years=60, weight_kg=70).step == 1.0
    assert other.rescue("ketamine", age_years=60, weight_kg=70).step == 0.7


def test_vitals_limits_are_in_the_library() -> None:
    holds = {v.key: (v.low, v.for_s) for v in KETAMINE.vitals if v.action == "hold"}
    assert holds["spo2_pct"] == (90.0, 15.0)
    assert {v.key for v in KETAMINE.vitals if v.action == "warn"} == {"spo2_pct"}
    assert (KETAMINE.data_age_s_max, KETAMINE.nibp_age_s_max) == (10, 420)


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:700],
        lambda raw: raw.replace(b"dose_mg_hard_max", b"dose_mg_hard_mix"),
        lambda raw: raw.replace(b"low = 90.0", b'low = "x"'),
        lambda raw: raw.replace(b'action = "warn"', b'action = "shrug"'),
        lambda raw: raw.replace(b"= 20.0", b"= -20.0"),
        lambda raw: raw.replace(b"total_max = 5.0", b"total = 5.0"),
        lambda raw: raw.replace(b"= 80.0", b"= nan"),
        lambda _: b"\xff\xfe",
        lambda _: b"",
    ],
)
def test_a_damaged_library_is_refused(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(LibraryError, match="drug library"):
        parse_library(damage(RAW))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_library_or_a_library_error(raw: bytes) -> None:
    with pytest.raises(LibraryError):
        parse_library(raw)


def test_a_narrower_limit_narrows() -> None:
    narrow = replace(KETAMINE, visit_hard=Mass.from_mg(30))
    assert largest_infusion(narrow, weight_g=70_000, duration=SPAN, given=NOTHING_GIVEN).mg == 30


# --- lidocaine ------------------------------------------------------------------------------------

CHRONIC = LIBRARY.drugs["lidocaine", "chronic-pain"]
PERI = LIBRARY.drugs["lidocaine", "peri-operative"]
TWENTY = Concentration.from_mg_ml(20)


def lidocaine(
    mg: float, minutes: float, *, peri: bool = False, before: Given = NOTHING_GIVEN
) -> tuple[list[str], list[str]]:
    dose, span = Mass.from_mg(mg), Duration.from_min(minutes)
    order = InfusionOrder(dose, dose.at(TWENTY).over(span), TWENTY)
    limits = PERI if peri else CHRONIC
    found = check(limits, order, weight_g=70_000, given=before)
    hard = [*found.hard, *duration_findings(limits, dose, span, 70_000)]
    return [str(f) for f in found.soft], [str(f) for f in hard]


def test_three_mg_per_kg_over_half_an_hour_exceeds_nothing() -> None:
    assert lidocaine(210, 30) == ([], [])
    assert lidocaine(210, 29.9)[1] == ["infusion duration 1794 s is below 1800 s"]


def test_four_hours_are_the_longest_infusion_for_chronic_pain() -> None:
    assert lidocaine(210, 240)[1] == []
    assert lidocaine(210, 241)[1] == ["infusion duration 14460 s is above 14400 s"]


def test_five_mg_per_kg_take_forty_minutes_and_a_confirmation() -> None:
    soft, hard = lidocaine(350, 40)
    assert (len(soft), hard) == (2, [])
    assert any("duration" in line for line in lidocaine(350, 39)[1])
    assert lidocaine(350.01, 45)[1][0].startswith("infusion dose 5.0001 mg/kg is above 5 mg/kg")


def test_a_tenfold_entry_error_of_lidocaine_is_refused_by_every_limit_it_breaks() -> None:
    hard = lidocaine(2_100, 45)[1]
    assert any("mg/kg/h" in line for line in hard)
    assert "infusion dose 2100 mg is above 500 mg" in hard
    assert "dose of the visit 2100 mg is above 500 mg" in hard


def test_the_peri_operative_profile_has_no_soft_room_above_its_rate() -> None:
    assert lidocaine(105, 60, peri=True) == ([], [])
    soft, hard = lidocaine(106, 60, peri=True)
    assert hard
    assert "1.5 mg/kg/h" in hard[0]
    order = InfusionOrder(Mass.from_mg(121), Rate.from_ml_h(6.05), TWENTY)
    found = check(PERI, order, weight_g=100_000, given=NOTHING_GIVEN)
    assert [str(f) for f in found.hard] == ["infusion rate 121 mg/h is above 120 mg/h"]
    del soft


def test_what_is_usual_in_one_profile_is_refused_by_the_other() -> None:
    assert lidocaine(210, 45)[1] == []
    assert lidocaine(210, 45, peri=True)[1]


def test_a_load_is_bounded_per_kilogram_and_takes_ten_minutes() -> None:
    def load(mg: float, minutes: float, weight_g: int = 70_000) -> list[str]:
        order = LoadOrder(Mass.from_mg(mg), Duration.from_min(minutes))
        return [str(f) for f in check(PERI, order, weight_g=weight_g, given=NOTHING_GIVEN).hard]

    assert load(105, 10) == []
    assert load(105.1, 10)[0].startswith("loading dose 1.5014 mg/kg is above 1.5 mg/kg")
    assert load(105, 9) == ["loading duration 540 s is below 600 s"]
    assert load(50, 10, weight_g=39_999) == ["weight 39.999 kg is below 40 kg"]


def test_the_load_and_the_first_hour_fit_together_and_no_more() -> None:
    after_load = Given(hour=Mass.from_mg(105), visit=Mass.from_mg(105))
    assert lidocaine(105, 60, peri=True, before=after_load)[1] == []
    assert lidocaine(420, 240, peri=True, before=after_load)[1] == []  # an hour of it counts
    twice = Given(hour=Mass.from_mg(106), visit=Mass.from_mg(106))
    assert lidocaine(105, 60, peri=True, before=twice)[1] == [
        "dose within 60 min 3.0143 mg/kg is above 3 mg/kg"
    ]


@given(weights, givens, st.sampled_from([CHRONIC, PERI]), st.sampled_from([31, 40, 60, 200]))
def test_the_largest_lidocaine_infusion_is_allowed(
    weight_g: int, before: Given, limits: DrugLimits, minutes: int
) -> None:
    span = Duration.from_min(minutes)
    most = largest_infusion(limits, weight_g=weight_g, duration=span, given=before)
    if most > Mass(0) and weight_g >= limits.weight_g_min:
        order = InfusionOrder(most, most.at(TWENTY).over(span), TWENTY)
        assert not check(limits, order, weight_g=weight_g, given=before).hard
        assert not duration_findings(limits, most, span, weight_g)


def test_no_bolus_of_lidocaine_is_ever_allowed() -> None:
    for limits in (CHRONIC, PERI):
        order = BolusOrder(Mass(1_000), Duration.from_s(60))
        assert check(limits, order, weight_g=70_000, given=NOTHING_GIVEN).hard


def test_the_signs_of_toxicity_are_in_the_order_in_which_they_usually_come() -> None:
    assert [sign.severe for sign in CHRONIC.signs] == [False] * 4 + [True] * 4
    assert CHRONIC.signs == PERI.signs
    assert not KETAMINE.signs


def test_lipid_emulsion_goes_by_weight() -> None:
    rescue = LIBRARY.rescue("lidocaine", age_years=40, weight_kg=80)
    assert (rescue.drug, rescue.key) == ("lipid emulsion 20 %", "lipid_ml")
    assert (rescue.first, rescue.total) == (120, 960)
    assert rescue.largest(900, 8) == 60
    assert rescue.largest(959.5, 8) == 0


def test_the_next_midazolam_dose_is_smaller_from_sixty_on() -> None:
    rescue = LIBRARY.rescue("ketamine", age_years=70, weight_kg=70)
    assert [rescue.largest(given_, n) for n, given_ in enumerate((0, 1.5, 2.5, 3.5))] == [
        1.5,
        1.0,
        1.0,
        0.0,
    ]


@pytest.mark.parametrize("age", [59, 60, 64, 65, 80])
def test_what_is_prompted_follows_the_label_at_sixty_whatever_the_body_does_at_sixty_five(
    age: int,
) -> None:
    """Two borders, of two sources: the label's dose is for 60 and over; Albrecht's bodies differ at 65."""
    rescue = LIBRARY.rescue("ketamine", age_years=age, weight_kg=70)
    assert (rescue.first, rescue.total) == ((1.5, 3.5) if age >= 60 else (2.5, 5.0))
