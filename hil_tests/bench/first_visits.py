"""500 simulated first ketamine visits, beside the published figures that the patient was made from.

How often each branch occurs is illustrative: clinical frequencies are not published.  The visits are those
of `hil_tests.bench.first_visit`.

    python -m hil_tests.bench.first_visits [VISITS]

Bench and simulation only.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from statistics import fmean, median, stdev
from typing import NamedTuple

from firmware_bridge.notice import NOTICE
from hil_tests.bench.first_visit import (
    PROCEDURE,
    Rises,
    Visit,
    first_visit,
    plan,
    rises_of,
    typical_at_2_min,
)
from sim.effects import RESPONSES, effects


class Row(NamedTuple):
    """A simulated figure, the published one, what kind of a figure it is (`KINDS`), and of what."""

    simulated: str
    published: str
    kind: str
    what: str


KINDS = {
    "fitted": "the model is made to meet the published figure",
    "check": "published, and not used to make the model",
    "procedure": "follows from the doses of the shipped procedure",
    "design": "our choice; no clinical figure is published, so it is illustrative",
}


def report(visits: Sequence[Visit], rises: Rises) -> str:
    """Simulated figures beside published ones, each with what it is."""
    head = Row("simulated", "published", "kind", "what")
    rows = [head, *_drug_rows(rises), *_branch_rows(visits), *_dose_rows(visits)]
    widths = [max(len(row[index]) for row in rows) for index in range(3)]
    lines = [
        f"{row.simulated:>{widths[0]}}  {row.published:{widths[1]}}  {row.kind:{widths[2]}}  {row.what}"
        for row in rows
    ]
    return "\n".join(
        (
            f"{len(visits)} simulated first visits ({PROCEDURE}, the patients of seeds 1 to {len(visits)})",
            NOTICE,
            "",
            *lines,
            "",
            *(f"{kind}: {meaning}" for kind, meaning in KINDS.items()),
            "(a) Vankawala 2021, n = 2252, 10.3389/fpsyt.2021.549080   (b) PMC9118341, table 6",
            "(c) Zarate 2006, quoted in PMC6020109: venous; arterial above venous is expected (Henthorn 2018)",
            "(d) Riva-Posse 2018, 684 infusions, at 30 min   (e) Szarmach 2020: back within 1.5 h",
            "(f) Bowdle 1998, 10.1097/00000542-199801000-00015   (g) Anesthesiology 2012;117:353",
            "(h) Ketalar label, emergence reactions",
            "",
        )
    )


def _drug_rows(rises: Rises) -> list[Row]:
    """Concentrations, haemodynamics and effects of published doses."""
    figures, infusion = effects(), "0.5 mg/kg over 40 min"
    felt, relief = figures.dissociation.slope * 200, figures.pain_fall.slope * 100
    return [
        Row(
            f"{rises.sbp_mmhg:+.2f} mmHg",
            "+12.61 (10.40 to 14.82)",
            "fitted",
            f"SBP, {infusion} (a)",
        ),
        Row(
            f"{rises.dbp_mmhg:+.2f} mmHg", "+8.49 (6.89 to 10.09)", "fitted", f"DBP, {infusion} (a)"
        ),
        Row(f"{rises.hr_bpm:+.2f} bpm", "+4.09 (0.55 to 7.63)", "fitted", f"HR, {infusion} (a)"),
        Row(
            f"{rises.sbp_mmhg:+.2f} mmHg",
            "+3.28",
            "check",
            "SBP, another series: smaller rises (d)",
        ),
        Row(
            f"{rises.sbp_90_min_later_mmhg:+.2f} mmHg",
            "0",
            "check",
            "SBP 1.5 h after the end: nearly back at rest (e)",
        ),
        Row(
            f"{typical_at_2_min():.0f} ng/mL",
            "296",
            "check",
            "plasma 2 min after 10 mg over 60 s began, typical person of 70 kg (b)",
        ),
        Row(
            f"{rises.plasma_at_2_min_ng_ml:.0f} ng/mL",
            "296",
            "check",
            "the same in these people of 78 kg on average, geometric mean (b)",
        ),
        Row(
            f"{rises.plasma_gsd:.2f}",
            "1.71",
            "check",
            "its geometric SD: our spread is smaller (b)",
        ),
        Row(f"{rises.plasma_at_40_min_ng_ml:.0f} ng/mL", "185", "check", f"plasma, {infusion} (c)"),
        Row(f"{felt:.0f} %", "37 to 89", "fitted", "dissociation at a steady 200 ng/mL (f)"),
        Row(
            f"{relief:.1f} cm",
            "3.8, S-ketamine",
            "design",
            "pain fall at 100 ng/mL: half of it (g)",
        ),
    ]


def _branch_rows(visits: Sequence[Visit]) -> list[Row]:
    """How often each response occurs."""
    count = len(visits)
    rows = []
    for which, when in (("first", "the first test dose"), ("response", "all test doses")):
        counted = Counter(getattr(visit, which) for visit in visits)
        for name in RESPONSES:
            published = "about 12 % (h)" if name == "anxiety" else "not published"
            rows.append(
                Row(
                    f"{100 * counted[name] / count:.0f} %",
                    published,
                    "design",
                    f"{name} after {when}",
                )
            )
    return rows


def _dose_rows(visits: Sequence[Visit]) -> list[Row]:
    """What was given, and the highest pressure."""
    orders = plan()
    infused = [visit for visit in visits if visit.infusion_mg]
    rescued = [visit.midazolam_mg for visit in visits if visit.midazolam_mg]
    per_kg = [visit.infusion_mg / visit.weight_kg for visit in infused]
    lowest, highest = (
        mg / 1e3 for mg in (orders.test_bolus.dose.ug, orders.limits.test_total_hard.ug)
    )
    rows = [
        Row(
            f"{fmean(v.test_mg for v in visits):.1f} mg",
            f"{lowest:g} to {highest:g}",
            "procedure",
            "test doses in all, mean",
        ),
        *(
            Row(
                f"{sum(v.test_mg == mg for v in visits)}",
                "",
                "procedure",
                f"visits with {mg:g} mg in all",
            )
            for mg in sorted({visit.test_mg for visit in visits})
        ),
    ]
    if infused:
        peaks = [visit.peak_mmhg for visit in infused]
        rows += [
            Row(
                f"{median(v.infusion_mg for v in infused):.1f} mg",
                f"{orders.infusion.k_milli / 1e3:g} x required",
                "procedure",
                f"infusion in {len(infused)} visits, median",
            ),
            Row(
                f"{fmean(per_kg):.2f} mg/kg",
                "0.5",
                "check",
                "the same, mean; the usual dose of studies (a)",
            ),
            Row(
                f"{fmean(peaks):+.1f} mmHg",
                "+12.61 at 0.5 mg/kg",
                "check",
                f"highest rise of SBP in those infused, mean; SD {_sd(peaks):.1f} (a)",
            ),
        ]
    if rescued:
        rows += [
            Row(
                f"{100 * len(rescued) / len(visits):.0f} %",
                "about 12 % (h)",
                "design",
                "anxiety at any time, the infusion included",
            ),
            Row(
                f"{fmean(rescued):.1f} mg",
                f"at most {orders.rescue.total:g}",
                "design",
                f"midazolam in {len(rescued)} visits, mean; how far it calms is our choice",
            ),
        ]
    return rows


def _sd(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hil_tests.bench.first_visits")
    parser.add_argument("visits", nargs="?", type=int, default=500, help="how many (default 500)")
    count = parser.parse_args().visits
    if count < 1:
        parser.error(f"visits {count}: at least 1")
    sys.stdout.write(
        report([first_visit(seed) for seed in range(1, count + 1)], rises_of(1, count))
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
