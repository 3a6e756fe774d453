"""500 simulated first visits: every branch occurs, and what is published is met; what a patient costs."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from hil_tests.bench import patient
from hil_tests.bench.first_visit import Visit, first_visit, rises_of, typical_at_2_min
from hil_tests.bench.first_visits import KINDS, main, report
from hil_tests.bench.timing import Effort
from sim.effects import RESPONSES


@pytest.fixture(scope="module")
def visits() -> list[Visit]:
    return [first_visit(seed) for seed in range(1, 501)]


def test_all_four_branches_occur(visits: list[Visit]) -> None:
    for which in ("first", "response"):
        assert set(Counter(getattr(visit, which) for visit in visits)) == set(RESPONSES)


def test_doses_are_those_of_the_procedure(visits: list[Visit]) -> None:
    for visit in visits:
        assert visit.test_mg in (10, 15, 20)
        assert (visit.test_mg == 10) is (visit.first != "nothing")
        infused = visit.response in ("dissociation", "analgesia")
        assert visit.infusion_mg == (2.5 * visit.test_mg if infused else 0.0)
        assert visit.midazolam_mg <= 5
        if visit.response == "anxiety":
            assert visit.midazolam_mg >= 1


def test_what_is_published_is_met_and_printed_beside_what_was_simulated(
    visits: list[Visit], capsys: pytest.CaptureFixture[str]
) -> None:
    rises = rises_of(1, 500)
    page = report(visits, rises)
    with capsys.disabled():
        print(f"\n{page}")
    assert 10.40 <= rises.sbp_mmhg <= 14.82
    assert 6.89 <= rises.dbp_mmhg <= 10.09
    assert 0.55 <= rises.hr_bpm <= 7.63
    assert typical_at_2_min() == pytest.approx(296, rel=0.10)
    assert rises.plasma_at_2_min_ng_ml == pytest.approx(296, rel=0.30)
    assert "Bench and simulation only" in page
    lines = page.splitlines()
    for name in RESPONSES:
        (line,) = [line for line in lines if line.endswith(f"{name} after all test doses")]
        assert " design " in line
    kinds = {line.split()[0].rstrip(":") for line in lines if line.split(":")[0] in KINDS}
    assert kinds == set(KINDS)
    assert "so it is illustrative" in page


def test_a_single_visit_has_a_page_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["first_visits", "1"])
    assert main() == 0
    assert "1 simulated first visits" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["first_visits", "0"])
    with pytest.raises(SystemExit, match="2"):
        main()


def test_the_cost_of_a_patient_is_measured_beside_a_plain_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether it is low enough is for `make bench`, on a quiet machine."""
    monkeypatch.setattr(patient, "PEOPLE", 8)
    for make, limit in ((patient.patient, "15 us"), (patient.population, "1 us")):
        table = make(Effort(quick=True))
        assert all(row.ratio.median > 0 for row in table.rows)
        assert any(row.also.startswith(f"at most {limit}: ") for row in table.rows)


@pytest.mark.parametrize(("us", "said"), [([15.0], "kept"), ([14.0, 16.0, 17.0], "NOT KEPT")])
def test_a_promise_is_kept_by_the_median(us: list[float], said: str) -> None:
    assert patient.kept(us, 15.0) == f"at most 15 us: {said}"
