"""True vital signs from a person, concentrations, a crisis and unrest.

Arithmetic only, no comparison, so that arrays of people serve as well as numbers: one patient and a
population are the same formulae.  Minute volume is always tidal volume times respiratory rate.
"""

from __future__ import annotations

from typing import NamedTuple

from sim.breathing import Drive, Gases, positive
from sim.effects import Haemodynamics
from sim.person import Person
from sim.toxicity import Crisis, Distress
from sim.unrest import Unrest


class Vitals(NamedTuple):
    """True vital signs at one moment, before any sensor."""

    hr_bpm: float
    sbp_mmhg: float
    dbp_mmhg: float
    map_mmhg: float
    spo2_pct: float
    rr_bpm: float
    etco2_mmhg: float
    tidal_ml: float
    minute_l_min: float


class Laws(NamedTuple):
    """The formulae that hold for people of one age."""

    haemodynamics: Haemodynamics
    of_age: float
    drive: Drive
    gases: Gases
    crisis: Crisis


class Levels(NamedTuple):
    """Concentrations (ng/mL) of the drugs where each acts on vital signs."""

    ketamine: float = 0.0
    midazolam: float = 0.0


def vital_signs(
    laws: Laws, person: Person, levels: Levels, distress: Distress, unrest: Unrest
) -> Vitals:
    """What is true of this person at this moment."""
    rest, crisis, rise = person.rest, laws.crisis, laws.haemodynamics
    much = laws.of_age * person.haemodynamics
    pulse = rest.hr_bpm * (1.0 + much * rise.hr.at(levels.ketamine))
    sbp = rest.sbp_mmhg * (1.0 + much * rise.sbp.at(levels.ketamine))
    mean = rest.map_mmhg * (1.0 + much * rise.map.at(levels.ketamine))
    left = 1.0 - distress.depression
    pressed = left * (1.0 + crisis.pressure_surge * distress.surge)
    sbp, mean = sbp * pressed, mean * pressed
    pulse = pulse * left * (1.0 + crisis.hr_surge * distress.surge)
    rr, tidal, etco2, spo2 = _breaths(laws, person, levels.midazolam, distress, unrest)
    alive = distress.alive
    return Vitals(
        hr_bpm=alive * positive(pulse + unrest.hr_bpm),
        sbp_mmhg=alive * positive(sbp + unrest.pressure_mmhg),
        dbp_mmhg=alive * positive(0.5 * (3.0 * mean - sbp) + unrest.pressure_mmhg),
        map_mmhg=alive * positive(mean + unrest.pressure_mmhg),
        spo2_pct=spo2,
        rr_bpm=rr,
        etco2_mmhg=etco2,
        tidal_ml=tidal,
        minute_l_min=tidal * rr / 1000.0,
    )


def _breaths(
    laws: Laws, person: Person, midazolam_ng_ml: float, distress: Distress, unrest: Unrest
) -> tuple[float, float, float, float]:
    """Respiratory rate, tidal volume, displayed EtCO2 and arterial saturation.

    The gases follow the ventilation without its unrest: a breath more or less changes no blood gas.
    """
    rest, drive, gases = person.rest, laws.drive, laws.gases
    depth = drive.tidal(midazolam_ng_ml, person.tidal_fall)
    often = drive.rate(midazolam_ng_ml, person.rate_rise)
    carbon_dioxide = gases.carbon_dioxide(depth * often)
    fallen = gases.saturation_pct(1.0) - gases.saturation_pct(carbon_dioxide)
    spo2 = positive(rest.spo2_pct + unrest.spo2_pct - fallen - distress.desaturation_pct)
    shown = rest.etco2_mmhg * gases.displayed(carbon_dioxide, depth) + unrest.etco2_mmhg
    return (
        positive(rest.rr_bpm + unrest.rr_bpm) * often * distress.breathing,
        rest.tidal_ml * depth * distress.breathing,
        shown * distress.breathing,
        0.5 * (spo2 + 100.0 - abs(spo2 - 100.0)),  # at most 100
    )
