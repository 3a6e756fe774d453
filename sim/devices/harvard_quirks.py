"""Behaviours of Elite, PHD Ultra and Legato pumps that nobody could confirm, each a named switch.

The first position of each is the default, unless a model has another (`sim.devices.harvard_models`).  What
a switch does is told where it acts; how it is asked for, in `sim.devices.quirks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Quirks:
    """One position per switch; the first value of each is the default."""

    address0_prefix: Literal["none", "00", "when_addressed"] = "none"
    """At address 0 answers carry no digits, always ``00``, or ``00`` where the host sent digits: hosts of
    Elite and PHD Ultra pumps that send ``00`` insist on it, those that send none die of it."""
    profile: Literal["legato", "elite", "phd_ultra"] = "legato"
    """Texts of ``ver``, ``version``, ``addr`` and ``syrmanu``, and the form of ``status``."""
    status_form: Literal["profile", "cycles", "milliseconds", "seconds"] = "profile"
    """The time in ``status``: cycles or milliseconds with six flags, seconds with five; by default
    cycles for ``elite``, seconds for ``phd_ultra``, milliseconds for ``legato``."""
    nvram_word: Literal["both", "off"] = "both"
    """``nvram none`` and ``off``, or only ``off``: older firmware answers ``Argument error: none``."""
    limit_switches: Literal["no", "yes"] = "no"
    """The ends of the syringe are stalls, or limit switches with prompts ``>*`` and ``<*``."""
    target_counts: Literal["since_clear", "since_run"] = "since_clear"
    """The target is compared with the volume (or time) since the last clear, or since the start."""
    poll_default: Literal["off", "on"] = "off"
    """Poll mode after power-up."""
    unasked_prompts: Literal["target", "all", "none"] = "target"
    """With poll off the pump sends a prompt by itself at the target, at every stop of its own, or never."""
    ramp_end: Literal["target", "hold"] = "target"
    """At its end a ramp stops with ``T*`` (``cttime`` clears a ramp, so its time is a target), or goes on."""
    target_while_running: Literal["accept", "refuse"] = "accept"
    """A target set while running holds at once, or is a command error."""
    rate_unit: Literal["minute", "as_set"] = "minute"
    """Rates are answered per minute, or with the time in which they were set."""
    mode_texts: Literal["long", "short"] = "long"
    """``poll`` and ``echo`` are answered ``Polling mode is ON``, or ``ON``."""
    port: Literal["usb", "rs232"] = "usb"
    """A line without an address is for every pump (USB), or for the pump at address 0 (RS-232)."""
