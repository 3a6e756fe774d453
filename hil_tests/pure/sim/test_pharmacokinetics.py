"""Checkpoints of published parameter sets, two independent calculations beside ours, and cut time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.drug_models import Factors, models_of, parameter_set, parameter_sets
from sim.pharmacokinetics import (
    Compartments,
    EffectSite,
    Kinetics,
    PatientError,
    matrix_exponential,
)

Segment = tuple[float, float, float]
"""From (min), to (min), dose in mg given evenly; from == to is an instantaneous bolus."""


def body(drug: str, model: str, weight_kg: float = 70.0, age_years: float = 40.0) -> Compartments:
    return parameter_set(drug, model, age_years=age_years).compartments(
        weight_kg=weight_kg, age_years=age_years
    )


def rate_at(segments: Sequence[Segment], start: float, end: float) -> float:
    return sum(mg / (b - a) for a, b, mg in segments if b > a and a <= start and end <= b)


def run(
    compartments: Compartments, segments: Sequence[Segment], times_min: Sequence[float]
) -> list[tuple[float, float]]:
    """(Cp, Ce of the first site) at each time, by one exact step from change to change."""
    kinetics = Kinetics(compartments)
    moments = sorted({0.0, *times_min, *(x for a, b, _ in segments for x in (a, b))})
    seen: dict[float, tuple[float, float]] = {}
    for index, moment in enumerate(moments):
        for a, b, mg in segments:
            if a == b == moment:
                kinetics.bolus(mg)
        seen[moment] = (kinetics.plasma_ng_ml, kinetics.effects_ng_ml[0])
        if index + 1 < len(moments):
            end = moments[index + 1]
            dose = rate_at(segments, moment, end) * (end - moment)
            kinetics.advance((end - moment) * 60.0, dose)
    return [seen[time] for time in times_min]


def solved(
    compartments: Compartments, segments: Sequence[Segment], times_min: Sequence[float]
) -> list[tuple[float, float]]:
    """The same by an adaptive solver on equations written down here, sharing nothing with ours."""
    integrate = pytest.importorskip("scipy.integrate")
    c, ke0 = compartments, compartments.sites[0].ke0_min

    def slope(_: float, y: Sequence[float], rate: float) -> list[float]:
        out = c.cl_l_min * y[0] + c.q2_l_min * (y[0] - y[1]) + c.q3_l_min * (y[0] - y[2])
        return [
            (rate * 1000.0 - out) / c.v1_l,
            c.q2_l_min * (y[0] - y[1]) / c.v2_l,
            c.q3_l_min * (y[0] - y[2]) / c.v3_l,
            ke0 * (y[0] - y[3]),
        ]

    moments = sorted({0.0, *times_min, *(x for a, b, _ in segments for x in (a, b))})
    y = [0.0] * 4
    seen: dict[float, tuple[float, float]] = {}
    for index, moment in enumerate(moments):
        y[0] += sum(mg * 1000.0 / c.v1_l for a, b, mg in segments if a == b == moment)
        seen[moment] = (y[0], y[3])
        if index + 1 < len(moments):
            end = moments[index + 1]
            rate = rate_at(segments, moment, end)
            answer = integrate.solve_ivp(
                slope, (moment, end), y, method="DOP853", rtol=1e-12, atol=1e-12, args=(rate,)
            )
            y = list(answer.y[:, -1])
    return [seen[time] for time in times_min]


# (id, body, segments, times in min, Cp, Ce) as printed, four digits each, ng/mL.
CHECKPOINTS = [
    (
        "P1",
        body("ketamine", "kamp2020"),
        [(0, 1, 10)],
        [1, 2, 5, 10, 20],
        [360.1, 291.9, 163.0, 76.71, 38.87],
        [51.26, 122.5, 175.0, 117.7, 48.23],
    ),
    (
        "P2",
        body("ketamine", "kamp2020"),
        [(0, 40, 35)],
        [10, 20, 40, 60, 120],
        [154.5, 198.3, 253.1, 95.86, 49.91],
        [122.4, 184.8, 245.0, 103.1, 51.32],
    ),
    (
        "P3",
        body("ketamine", "kamp2020", weight_kg=100),
        [(0, 45, 40)],
        [15, 45, 60, 90],
        [135.5, 198.8, 85.75, 57.87],
        [120.5, 193.2, 96.09, 60.00],
    ),
    (
        "P4",
        body("ketamine", "domino1984"),
        [(0, 0, 10)],
        [1, 5, 30],
        [507.9, 79.28, 16.97],
        [507.7, 139.5, 17.54],
    ),
    (
        "P5",
        body("lidocaine", "foong2025"),
        [(0, 10, 105), (10, 70, 105)],
        [10, 40, 70, 100],
        [2519, 1551, 1687, 1023],
        [2222, 1544, 1680, 1041],
    ),
    (
        "P6",
        body("lidocaine", "foong2025"),
        [(0, 40, 350)],
        [20, 40, 60, 120],
        [3110, 4511, 2501, 1332],
        [2964, 4407, 2564, 1354],
    ),
    (
        "P7",
        body("midazolam", "albrecht1999"),
        [(0, 2, 2)],
        [2, 5, 10, 30, 60],
        [190.9, 86.08, 37.30, 20.26, 14.00],
        [21.36, 51.02, 51.93, 26.14, 15.78],
    ),
    (
        "P8",
        body("ketamine", "kamp2020"),
        [(0, 1, 10), (10, 11, 10), (15, 35, 25 * 20 / 45)],
        [10, 15, 35, 45, 60],
        [76.71, 212.0, 188.7, 100.5, 76.38],
        [117.7, 245.4, 186.2, 117.7, 80.40],
    ),
]
NAMES = [one[0] for one in CHECKPOINTS]


def agrees(found: float, printed: float) -> bool:
    """To 1e-4 relative, or within half a unit of the fourth printed digit."""
    half_unit = 0.5 * 10.0 ** (math.floor(math.log10(printed)) - 3)
    return abs(found - printed) <= max(1e-4 * printed, half_unit * (1 + 1e-9))


@pytest.mark.parametrize(
    ("compartments", "segments", "times", "plasma", "effect"),
    [one[1:] for one in CHECKPOINTS],
    ids=NAMES,
)
def test_a_published_set_meets_its_checkpoint(
    compartments: Compartments,
    segments: list[Segment],
    times: list[float],
    plasma: list[float],
    effect: list[float],
) -> None:
    for (cp, ce), cp_printed, ce_printed in zip(
        run(compartments, segments, times), plasma, effect, strict=True
    ):
        assert agrees(cp, cp_printed), (cp, cp_printed)
        assert agrees(ce, ce_printed), (ce, ce_printed)


@pytest.mark.parametrize(
    ("compartments", "segments", "times"), [one[1:4] for one in CHECKPOINTS], ids=NAMES
)
def test_an_adaptive_solver_finds_the_same(
    compartments: Compartments, segments: list[Segment], times: list[float]
) -> None:
    ours = run(compartments, segments, times)
    theirs = solved(compartments, segments, times)
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-8)


@pytest.mark.parametrize("dt_min", [1e-6, 1 / 60, 1.0, 60.0, 10_000.0])
def test_the_matrix_exponential_agrees_with_an_independent_one(dt_min: float) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    a, b = body("ketamine", "domino1984").system()
    matrix = [[x * dt_min for x in (*row, extra)] for row, extra in zip(a, b, strict=True)]
    matrix.append([0.0] * len(matrix[0]))
    theirs = linalg.expm(matrix)
    for row, other in zip(matrix_exponential(matrix), theirs, strict=True):
        assert row == pytest.approx(list(other), rel=1e-9, abs=1e-12)


def test_nothing_for_no_time_is_the_identity() -> None:
    assert matrix_exponential([[0.0, 0.0], [0.0, 0.0]]) == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("dt_s", [0.1, 1.0, 2.0])
def test_the_answer_does_not_depend_on_how_time_is_cut(dt_s: float) -> None:
    cut, jump = Kinetics(body("ketamine", "kamp2020")), Kinetics(body("ketamine", "kamp2020"))
    steps = round(600 / dt_s)
    for _ in range(steps):
        cut.advance(dt_s, 10.0 / steps)
    for _ in range(steps):
        cut.advance(dt_s)
    jump.advance(600.0, 10.0)
    jump.advance(600.0)
    assert cut.plasma_ng_ml == pytest.approx(jump.plasma_ng_ml, rel=1e-9)
    assert list(cut.effects_ng_ml) == pytest.approx(list(jump.effects_ng_ml), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 400_000), min_size=1, max_size=8))
def test_any_cuts_of_an_idle_time_are_one_jump(parts_ms: list[int]) -> None:
    cut, jump = (
        Kinetics(body("midazolam", "albrecht1999")),
        Kinetics(body("midazolam", "albrecht1999")),
    )
    for one in (cut, jump):
        one.bolus(2.0)
    for part in parts_ms:
        cut.advance(part / 1000)
    jump.advance(sum(parts_ms) / 1000)
    assert cut.plasma_ng_ml == pytest.approx(jump.plasma_ng_ml, rel=1e-9)
    assert cut.effect_ng_ml("effect") == pytest.approx(jump.effect_ng_ml("effect"), rel=1e-9)


def test_without_clearance_no_drug_is_lost() -> None:
    closed = Compartments(10.0, 20.0, 30.0, 0.0, 2.0, 1.0, (EffectSite("effect", 0.5),))
    kinetics = Kinetics(closed)
    kinetics.bolus(3.0)
    for _ in range(50):
        kinetics.advance(7.0, 0.1)
    assert kinetics.amount_mg() == pytest.approx(8.0, rel=1e-12)
    kinetics.advance(1e7)
    assert kinetics.plasma_ng_ml == pytest.approx(8.0 / 60.0 * 1000, rel=1e-6)


def test_two_compartments_are_three_without_a_flow_to_the_third() -> None:
    two = Compartments(10.0, 20.0, 1.0, 0.5, 2.0, 0.0, ())
    kinetics = Kinetics(two)
    kinetics.bolus(10.0)
    kinetics.advance(600.0)
    # The two-exponential solution, written out.
    k10, k12, k21 = 0.05, 0.2, 0.1
    root = math.sqrt((k10 + k12 + k21) ** 2 - 4 * k10 * k21)
    fast, slow = ((k10 + k12 + k21) + root) / 2, ((k10 + k12 + k21) - root) / 2
    share = (fast - k21) / (fast - slow)
    expected = 1000 * (share * math.exp(-fast * 10) + (1 - share) * math.exp(-slow * 10))
    assert kinetics.plasma_ng_ml == pytest.approx(expected, rel=1e-10)
    assert list(kinetics.effects_ng_ml) == []


def test_a_dose_over_no_time_is_a_bolus() -> None:
    evenly, at_once = Kinetics(body("ketamine", "kamp2020")), Kinetics(body("ketamine", "kamp2020"))
    evenly.advance(0.0, 10.0)
    at_once.bolus(10.0)
    assert evenly.plasma_ng_ml == at_once.plasma_ng_ml == pytest.approx(400.0)


@pytest.mark.parametrize("dt_s", [-1.0, math.nan, math.inf, 1e-12])
def test_a_step_that_is_no_time_is_refused(dt_s: float) -> None:
    with pytest.raises(PatientError, match="step"):
        Kinetics(body("ketamine", "kamp2020")).advance(dt_s)


@pytest.mark.parametrize("dose_mg", [-0.001, math.nan, math.inf])
def test_a_dose_that_is_no_amount_is_refused_and_changes_nothing(dose_mg: float) -> None:
    kinetics = Kinetics(body("ketamine", "kamp2020"))
    with pytest.raises(PatientError, match="dose"):
        kinetics.advance(1.0, dose_mg)
    with pytest.raises(PatientError, match="dose"):
        kinetics.bolus(dose_mg)
    assert kinetics.plasma_ng_ml == 0.0


def test_an_effect_site_that_is_not_there_is_named_with_those_that_are() -> None:
    kinetics = Kinetics(body("ketamine", "kamp2020"))
    with pytest.raises(PatientError, match="'effect': there are cardiovascular, psychedelic"):
        kinetics.effect_ng_ml("effect")


def test_the_kept_step_lengths_are_bounded() -> None:
    kinetics = Kinetics(body("ketamine", "kamp2020"))
    kinetics.bolus(10.0)
    for index in range(200):
        kinetics.advance(1.0 + index / 1000)
    assert len(kinetics._steps) <= 64


def test_the_ketamine_sites_have_their_half_lives() -> None:
    half_lives = {
        site.name: math.log(2) / site.ke0_min for site in body("ketamine", "kamp2020").sites
    }
    assert half_lives == pytest.approx(
        {"cardiovascular": 2.28, "psychedelic": 6.1, "analgesic": 11.8}
    )


@pytest.mark.parametrize(
    ("segment", "site", "peak_ng_ml", "at_min"),
    [
        ((0.0, 1.0, 10.0), "psychedelic", 107.8, 7.5),
        ((0.0, 40.0, 35.0), "psychedelic", 228.6, 41.0),
        ((0.0, 1.0, 10.0), "analgesic", 72.1, 10.5),
        ((0.0, 40.0, 35.0), "analgesic", 196.9, 42.0),
    ],
)
def test_each_site_peaks_when_and_where_it_should(
    segment: Segment, site: str, peak_ng_ml: float, at_min: float
) -> None:
    kinetics = Kinetics(body("ketamine", "kamp2020"))
    _, end, dose = segment
    seen: list[tuple[float, float]] = []
    for second in range(1, 3600):
        kinetics.advance(1.0, dose / (end * 60) if second <= end * 60 else 0.0)
        seen.append((kinetics.effect_ng_ml(site), second / 60))
    peak, when = max(seen)
    assert peak == pytest.approx(peak_ng_ml, rel=5e-4)
    assert when == pytest.approx(at_min, abs=0.5)


def test_ten_mg_are_within_a_tenth_of_the_measured_level_at_two_minutes() -> None:
    ((plasma, _),) = run(body("ketamine", "kamp2020"), [(0, 1, 10)], [2.0])
    assert plasma == pytest.approx(296.0, rel=0.10)


def test_volumes_scale_with_weight_and_flows_with_its_power() -> None:
    light, heavy = body("ketamine", "kamp2020", 50), body("ketamine", "kamp2020", 100)
    assert heavy.v2_l / light.v2_l == pytest.approx(2.0)
    assert heavy.q3_l_min / light.q3_l_min == pytest.approx(2.0**0.75)


def test_midazolam_is_not_scaled_and_its_age_picks_the_set() -> None:
    young, old = (
        body("midazolam", "albrecht1999", 50, 64.9),
        body("midazolam", "albrecht1999", 50, 65),
    )
    assert (young.v1_l, old.v1_l) == (7.9, 8.5)
    assert young.v2_l == pytest.approx(25.02, abs=0.005)
    assert young.v3_l == pytest.approx(61.87, abs=0.005)


def test_a_persons_factors_multiply_each_parameter() -> None:
    chosen = parameter_set("ketamine", age_years=40)
    own = chosen.compartments(
        weight_kg=70, age_years=40, factors=Factors(cl=2, v1=3, v2=4, v3=5, q2=6, q3=7)
    )
    assert (own.v1_l, own.v2_l, own.v3_l) == pytest.approx((75, 224, 785))
    assert (own.cl_l_min, own.q2_l_min, own.q3_l_min) == pytest.approx(
        (2 * 84 / 60, 6 * 161 / 60, 7 * 79 / 60)
    )


@pytest.mark.parametrize(
    ("weight_kg", "age_years", "named"),
    [(39.9, 40, "weight_kg 39.9"), (160.1, 40, "weight_kg 160.1"), (math.nan, 40, "weight_kg nan")],
)
def test_a_weight_outside_the_range_is_refused(
    weight_kg: float, age_years: float, named: str
) -> None:
    with pytest.raises(PatientError, match=f"{named}.*from 40 to 160"):
        body("ketamine", "kamp2020", weight_kg, age_years)


@pytest.mark.parametrize("age_years", [17.9, 91.0, math.nan])
def test_an_age_outside_the_range_is_refused(age_years: float) -> None:
    with pytest.raises(PatientError, match="from 18 to below 91"):
        parameter_set("midazolam", age_years=age_years)
    with pytest.raises(PatientError, match="age_years"):
        parameter_sets()[0].check(weight_kg=70, age_years=age_years)


def test_unknown_drugs_and_models_are_named_with_the_known_ones() -> None:
    assert models_of("ketamine") == ("kamp2020", "domino1984")
    with pytest.raises(PatientError, match="'propofol': there are ketamine, lidocaine, midazolam"):
        models_of("propofol")
    with pytest.raises(PatientError, match="'foong2025': for ketamine there are kamp2020"):
        parameter_set("ketamine", "foong2025", age_years=40)


def test_every_set_says_where_it_comes_from() -> None:
    for one in parameter_sets():
        assert one.source
        assert one.sampling
        assert one.mark in {"confirmed", "secondary", "design"}


def test_a_matrix_that_is_not_finite_is_not_summed_for_ever() -> None:
    assert math.isnan(matrix_exponential([[math.nan]])[0][0])
