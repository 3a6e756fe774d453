"""Behaviours of the older Harvard pumps that nobody could confirm, each a named switch.

The first position of each is the default, unless a model has another (`sim.devices.harvard_legacy_models`).
What a switch does is told where it acts; how it is asked for, in `sim.devices.quirks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Quirks:
    """One position per switch; the first value of each is the default."""

    address_digits: Literal["2", "1"] = "2"
    """Addresses below 10 are answered as ``05`` or as ``5``."""
    out_of_range: Literal["code", "words"] = "code"
    """``OOR``, or ``Out of range``."""
    stop_prompt: Literal["stopped", "interrupted"] = "stopped"
    """After a stop by command: ``:``, or ``*`` until the next start or clear."""
    target_prompt: Literal["stopped", "interrupted", "target"] = "stopped"
    """After the target: ``:``, ``*``, or ``*T``."""
    stop_when_stopped: Literal["ok", "na"] = "ok"
    """``STP`` on a stopped pump."""
    run_when_running: Literal["ok", "na"] = "ok"
    """``RUN`` on a running pump."""
    rev_when_stopped: Literal["toggle", "run"] = "toggle"
    """``REV`` on a stopped pump changes the direction, or also starts."""
    volume_unit: Literal["ml", "ul", "of_rate"] = "ml"
    """``VOL``, ``DEL``, ``TGT`` and ``TAR`` are in mL, in uL, or in the volume of the rate's unit; in the last
    case so is ``MLT``, which is in mL otherwise.  A host of a Pump 11, which sets its rates in uL/min, found
    uL in ``MLT``, and mL in that of a PHD2000."""
    target_counts: Literal["since_start", "since_clear"] = "since_start"
    """The target counts from a fresh start (a run that was interrupted goes on), or from the last clear."""
    line: Literal["9600", "instant"] = "9600"
    """An answer takes the time that question and answer need at 9600 baud, 8N2, or none.  Hosts that end a
    wait when two volumes in a row are equal rely on the pump being no faster."""
