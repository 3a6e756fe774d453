"""How values are worded for people: the unit beside the number, nothing hidden in a text.

Keys carry their unit, so every value can be shown with it.  One rule for doses, wherever they are told:
milligrams have two decimals at least, as in the report.
"""

from __future__ import annotations

from controller.flat_json import Scalar
from controller.plain_text import spelt_out

# The longest ending comes first: rate_ml_h is a rate, not a time in hours.
UNITS = (
    ("_ug_kg_min", "µg/kg/min"),
    ("_mg_min", "mg/min"),
    ("_mg_kg", "mg/kg"),
    ("_mg_ml", "mg/mL"),
    ("_ng_ml", "ng/mL"),
    ("_ml_h", "mL/h"),
    ("_mmhg", "mmHg"),
    ("_years", "years"),
    ("_bytes", "bytes"),
    ("_0_10", "of 10"),
    ("_0_4", "of 4"),
    ("_0_3", "of 3"),
    ("_bpm", "/min"),
    ("_pct", "%"),
    ("_min", "min"),
    ("_ml", "mL"),
    ("_mg", "mg"),
    ("_kg", "kg"),
    ("_cm", "cm"),
    ("_mm", "mm"),
    ("_ms", "ms"),
    ("_pa", "Pa"),
    ("_c", "°C"),
    ("_h", "h"),
    ("_s", "s"),
)


def split_unit(key: str) -> tuple[str, str]:
    """The name in words, and the unit that the key ends in ("" where there is none)."""
    for ending, unit in UNITS:
        if key.endswith(ending):
            return key.removesuffix(ending).replace("_", " "), unit
    return key.replace("_", " "), ""


def unit_text(unit: str) -> str:
    """A unit as it stands in a key, as people write it: ``pct`` is "%"; any other text as it is."""
    return split_unit(f"_{unit}")[1] or unit


def quantity(key: str, value: Scalar) -> tuple[str, str]:
    """The name in words and the value with its unit."""
    if isinstance(value, bool):
        return key.replace("_", " "), "yes" if value else "no"
    if isinstance(value, int | float):
        name, unit = split_unit(key)
        text = dose_text(value) if unit == "mg" else number(value)
        return name, f"{text} {unit}" if unit else text
    return key.replace("_", " "), spelt_out(value)


def dose_text(value: float) -> str:
    """Milligrams: two decimals, and more where the value has them."""
    text = number(float(value))
    decimals = len(text.partition(".")[2])
    return text if decimals >= 2 or "e" in text else f"{value:.2f}"


def number(value: float) -> str:
    """At most six significant digits, never in powers of ten below a million."""
    return str(value) if isinstance(value, int) else f"{value:.6g}"
