"""The answers of `infusor sim patient` as text for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from firmware_bridge.notice import NOTICE

HEADINGS = {
    "dissociation_pct": "dissociation %",
    "pain_fall_cm": "pain fall cm",
    "sedation_pct": "sedation %",
    "toxicity_stage": "stage",
    "toxicity": "toxicity",
    "hr_bpm": "HR bpm",
    "sbp_mmhg": "SBP mmHg",
    "dbp_mmhg": "DBP mmHg",
    "map_mmhg": "MAP mmHg",
    "spo2_pct": "SpO2 %",
    "rr_bpm": "RR bpm",
    "etco2_mmhg": "EtCO2 mmHg",
    "tidal_ml": "TV mL",
    "minute_l_min": "MV L/min",
}
DESIGN = (
    "Effects and vital signs are illustrative: which figures are published and which are design choices "
    "is said in sim/data/effects.toml."
)


def single_table(result: Mapping[str, Any]) -> str:
    """The typical patient: concentrations to four digits, then effects and vital signs."""
    times = [f"{time:g}" for time in result["times_s"]]
    levels = {"time s": times, "plasma": _four(result["plasma_ng_ml"])}
    levels |= {site: _four(values) for site, values in result["effect_ng_ml"].items()}
    seen = {"time s": times}
    for key, values in (result["effects"] | result["vitals"]).items():
        seen[HEADINGS[key]] = [_cell(value) for value in values]
    return _page(
        f"{_drug(result)}; concentrations in ng/mL",
        _columns(levels),
        ["", "The typical person:", *_columns(seen), "", *_notes(result)],
    )


def population_table(result: Mapping[str, Any]) -> str:
    """A population: percentiles of concentrations and effects, then means and SDs of vital signs."""
    spreads: dict[str, list[str]] = {key: [] for key in ("time s", "what", "p5", "p50", "p95")}
    means: dict[str, list[str]] = {
        key: []
        for key in ("time s", "what", "mean", "SD", "change", "SD of it", "change %", "SD of it %")
    }
    p50 = result["p50"]
    what: list[tuple[str, tuple[str, ...]]] = [("plasma ng/mL", ("plasma_ng_ml",))]
    what += [(f"{site} ng/mL", ("effect_ng_ml", site)) for site in p50["effect_ng_ml"]]
    what += [(HEADINGS[name], ("effects", name)) for name in p50["effects"]]
    for index, time in enumerate(result["times_s"]):
        for name, path in what:
            values = [_at(result[which], path)[index] for which in ("p5", "p50", "p95")]
            digits = "{:g}".format if path[-1] == "toxicity_stage" else four_digits
            _add(spreads, [f"{time:g}", name, *map(digits, values)])
        for name, figures in result["vitals"].items():
            at = {key: values[index] for key, values in figures.items()}
            cells = [f"{at['mean']:.1f}", f"{at['sd']:.1f}"]
            cells += [_signed(at["change_mean"], 2), f"{at['change_sd']:.2f}"]
            cells += [_signed(at["change_pct_mean"], 1), f"{at['change_pct_sd']:.1f}"]
            _add(means, [f"{time:g}", HEADINGS[name], *cells])
    last = result["seed"] + result["population"] - 1
    who = f"{result['population']} people, the patients of seeds {result['seed']} to {last}"
    note = "change: what the drug does to each person's own value at rest, without noise"
    return _page(
        f"{_drug(result)}; {who}",
        _columns(spreads),
        ["", *_columns(means), "", note, *_notes(result)],
    )


def four_digits(value: float) -> str:
    """Four significant digits without an exponent: 2519, 163.0, 48.23, 0.01250."""
    if value < 1e-6:
        return "0"
    return f"{value:.{max(0, 3 - math.floor(math.log10(value)))}f}"


def _signed(value: float, digits: int) -> str:
    """With its sign, and never a negative nothing."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def _notes(result: Mapping[str, Any]) -> list[str]:
    return [f"Caution: {result['caution']}.", DESIGN] if result["caution"] else [DESIGN]


def _drug(result: Mapping[str, Any]) -> str:
    return (
        f"{result['drug']}, {result['parameter_set']} (sampling: {result['sampling']}), "
        f"{result['weight_kg']:g} kg, {result['age_years']:g} years"
    )


def _page(title: str, first: Sequence[str], rest: Sequence[str]) -> str:
    return "\n".join((title, NOTICE, "", *first, *rest)) + "\n"


def _columns(table: Mapping[str, Sequence[str]]) -> list[str]:
    """Lines with every column as wide as its widest cell; text to the left, numbers to the right."""
    lines = [list(table), *map(list, zip(*table.values(), strict=True))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = {index for index, name in enumerate(table) if name in {"what", "toxicity"}}
    return [
        "  ".join(
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _four(values: Sequence[float]) -> list[str]:
    return [four_digits(value) for value in values]


def _cell(value: float | str) -> str:
    if isinstance(value, str):
        return value.replace("_", " ") or "-"
    return str(value) if isinstance(value, int) else f"{value:.1f}"


def _at(table: Mapping[str, Any], path: Sequence[str]) -> Sequence[float]:
    found: Any = table
    for key in path:
        found = found[key]
    values: Sequence[float] = found
    return values


def _add(table: Mapping[str, list[str]], row: Sequence[str]) -> None:
    for column, cell in zip(table.values(), row, strict=True):
        column.append(cell)
