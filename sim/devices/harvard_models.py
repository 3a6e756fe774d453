"""Elite, PHD Ultra and Legato pumps that can be asked for: names, versions, and which switches differ.

``metrics`` are the lines of that command; those of the Elite are as users of a real one wrote them down.
Plunger speeds and rate limits are the Elite's for all of them: the other makers' tables are not at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

_ELITE_METRICS = (
    "Pump type          Pump 11",
    "Pump type string   11 ELITE I/W Single",
    "Display type       Sharp",
    "Steps per rev      400",
    "Gear ratio         1:1",
    "Pulley ratio       2.4:1",
    "Lead screw         24 threads per inch",
    "Microstepping      16 microsteps per step",
    "Low speed limit    27 seconds",
    "High speed limit   26 microseconds",
    "Motor polarity     Reverse",
    "Min syringe size   0.1 mm",
    "Max syringe size   33 mm",
    "Min raw force %    20%",
    "Max raw force %    80%",
    "Encoder            100 lines",
    "Direction          Infuse/withdraw",
    "Programmable       Yes",
    "Limit switches     No",
    "Command set        None",
)


def _metrics(pump: str, largest_mm: int) -> tuple[str, ...]:
    return (
        f"Pump type          {pump}",
        f"Pump type string   {pump}",
        "Min syringe size   0.1 mm",
        f"Max syringe size   {largest_mm} mm",
        "Direction          Infuse/withdraw",
    )


@dataclass(frozen=True, slots=True)
class Model:
    """One model.  ``quirks`` are ``NAME=VALUE`` texts that the user's own follow."""

    short: str
    """The answer to ``ver``, without the firmware."""
    firmware: str
    serial: str
    metrics: tuple[str, ...]
    largest_mm: int
    profile: str
    quirks: tuple[str, ...] = ()


MODELS = {
    "legato-100": Model("Legato 100", "3.0.6", "D101754", _metrics("Legato 100", 45), 45, "legato"),
    "legato-110": Model(
        "Legato 110",
        "3.0.6",
        "D101754",
        _metrics("Legato 110", 45),
        45,
        "legato",
        ("mode_texts=short", "rate_unit=as_set"),
    ),
    "11-elite": Model(
        "11 ELITE I/W Single",
        "3.0.4",
        "D102030",
        _ELITE_METRICS,
        33,
        "elite",
        ("profile=elite", "address0_prefix=when_addressed"),
    ),
    "phd-ultra": Model(
        "PHD ULTRA",
        "3.0.5",
        "D401460",
        _metrics("PHD ULTRA", 45),
        45,
        "phd_ultra",
        ("profile=phd_ultra", "address0_prefix=when_addressed"),
    ),
}
"""Name -> model, the first the default.  A Legato 110 is what one host that reads its ``poll`` and its
rates back expects; where hosts of Elite and PHD Ultra send an address, they want it back."""


def identity(model: str, profile: str) -> Model:
    """The model, or, under the profile of another family, the first model of that."""
    if MODELS[model].profile == profile:
        return MODELS[model]
    return next(other for other in MODELS.values() if other.profile == profile)
