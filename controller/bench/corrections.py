"""From a balance's reading to a volume of water: buoyancy, density and evaporation.

    V = (dm + e dt) Z          Z = (1 - rho_a / rho_b) / (rho_w - rho_a)

``Z`` turns an apparent mass in air into millilitres, as in ISO 8655-6; with a density given instead,
``Z`` is its reciprocal and buoyancy is neglected.  Sources stand at each formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

WATER_G_ML = 0.998
"""Water at 20 degrees C; the figure used throughout in flow tests after IEC 60601-2-24."""

WEIGHTS_G_ML = 8.0
"""Conventional density of the weights with which balances are adjusted (OIML R 111-1)."""

TEMPERATURE_C = (0.0, 40.0)
PRESSURE_HPA = (600.0, 1_100.0)
HUMIDITY_PCT = (0.0, 100.0)
"""Where the formulae below hold, and a laboratory is."""


@dataclass(frozen=True, slots=True)
class Correction:
    """How a mass becomes a volume.

    ``ml_g``: millilitres for each gram read.  ``evaporation_g_h``: what the beaker loses meanwhile.
    """

    ml_g: float = 1.0 / WATER_G_ML
    evaporation_g_h: float = 0.0


def water_density_g_ml(temperature_c: float) -> float:
    """Of pure, air-free water (Tanaka 2001, doi 10.1088/0026-1394/38/4/3)."""
    t = temperature_c
    return 0.999974950 * (1.0 - (t - 3.983035) ** 2 * (t + 301.797) / (522_528.9 * (t + 69.34881)))


def air_density_g_ml(temperature_c: float, pressure_hpa: float, humidity_pct: float) -> float:
    """Of moist air: the short form of the CIPM formula (OIML R 111-1, annex E)."""
    t = temperature_c
    dry = 0.34848 * pressure_hpa
    return (dry - 0.009 * humidity_pct * exp(0.061 * t)) / (273.15 + t) / 1_000.0


def z_factor_ml_g(
    temperature_c: float, *, pressure_hpa: float = 1013.25, humidity_pct: float = 50.0
) -> float:
    """Millilitres of water for each gram that a balance in air shows (ISO 8655-6)."""
    air = air_density_g_ml(temperature_c, pressure_hpa, humidity_pct)
    return (1.0 - air / WEIGHTS_G_ML) / (water_density_g_ml(temperature_c) - air)
