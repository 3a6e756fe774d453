"""500 simulated first visits: every branch occurs, and what is published is met."""

from __future__ import annotations

from collections import Counter

import pytest

from hil_tests.bench import first_visits, patient_cost
from sim.effects import RESPONSES


def test_all_four_branches_occur_and_the_figures_are_printed_beside_the_published_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    visits = [first_visits.first_visit(seed) for seed in range(1, 501)]
    rises = first_visits.rises_of(1, 500)
    page = first_visits.report(visits, rises)
    with capsys.disabled():
        print(f"\n{page}")
    for which in ("first", "response"):
        assert set(Counter(getattr(visit, which) for visit in visits)) == set(RESPONSES)
    assert 10.40 <= rises.sbp_mmhg <= 14.82
    assert 6.89 <= rises.dbp_mmhg <= 10.09
    assert 0.55 <= rises.hr_bpm <= 7.63
    assert first_visits.typical_at_2_min() == pytest.approx(296, rel=0.10)
    assert rises.plasma_at_2_min_ng_ml == pytest.approx(296, rel=0.30)
    for visit in visits:
        assert visit.test_mg <= 20
        assert (visit.infusion_mg > 0) is (visit.response in ("dissociation", "analgesia"))
        assert visit.infusion_mg <= 50
    assert "illustrative" in page
    assert "bench and simulation only" in page


def test_the_cost_of_a_patient_is_measured_beside_a_plain_loop(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is low enough is for `make bench`, on a quiet machine."""
    for measure in ("plain_us", "patient_us", "population_us", "drawing_us"):
        few = {"population_us": (5, 5), "drawing_us": (5,)}.get(measure, (50,))
        found = getattr(patient_cost, measure)(*few)
        assert 0 < found < 100_000
        monkeypatch.setattr(patient_cost, measure, lambda *_, found=found, **__: found)
    assert patient_cost.main() == 0
    assert "x plain" in capsys.readouterr().out
