"""Older Harvard pumps that can be asked for, and which switches differ.

A version has ten characters: hosts read 17 bytes for it.  The texts themselves are our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Model:
    """One model.  ``quirks`` are ``NAME=VALUE`` texts that the user's own follow."""

    version: str
    quirks: tuple[str, ...] = ()


MODELS = {
    "11-plus": Model("11PLUSV1.3", quirks=("volume_unit=of_rate",)),
    "22": Model("22V2.0"),
    "44": Model("44V2.0"),
    "phd2000": Model(
        "PHD2000V15",
        quirks=("address_digits=1", "stop_prompt=interrupted", "run_when_running=na"),
    ),
    "microliter": Model("MICROV1.00", quirks=("volume_unit=ul", "target_prompt=target")),
}
"""Name -> model, the first the default.  One digit of address and ``*`` after a stop on the PHD2000, and
the unit of volumes on the 11 Plus, are what hosts of real ones found."""
