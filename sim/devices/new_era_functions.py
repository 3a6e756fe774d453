"""What a phase of a New Era pumping program can be told to do: names, arguments, and how they read.

Answerable for the text after ``FUN``; what a phase does is `sim.devices.new_era_program`.  Names and
arguments as in the manual's command summary (NE-1000 manual 1200-01, appendix B), without ``LPE``,
whose effect no source that was found tells.
"""

from __future__ import annotations

import re

from sim.devices.new_era_numbers import OUT_OF_RANGE, UNKNOWN, Refusal, parse_whole
from sim.devices.new_era_state import PHASES, Phase

TRIGGERS = ("FT", "FH", "F2", "LE", "ST", "T2", "SP", "P2", "RL", "RH", "SL", "SH")
"""``TRG``; what each does is told where it acts, `sim.devices.new_era_inputs`."""
PROGRAM_TRIGGERS = (*TRIGGERS, "ET", "BT")
"""The last two only as a phase: the trigger input, or the Stop key, springs the event trap."""

_FUNCTIONS: dict[str, tuple[int, int] | None] = {
    "RAT": None,
    "FIL": None,
    "INC": None,
    "DEC": None,
    "STP": None,
    "CLD": None,
    "BEP": None,
    "LPS": None,
    "EVR": None,
    "PRI": None,
    "JMP": (1, PHASES),
    "IF": (1, PHASES),
    "EVN": (1, PHASES),
    "EVS": (1, PHASES),
    "LOP": (1, 99),
    "PRL": (0, 99),
    "OUT": (0, 1),
}
"""With the range of a whole argument, where there is one: a phase, a count, a label, a level."""

RATED = frozenset({"RAT", "FIL", "INC", "DEC"})
"""Those that pump."""

_PAUSE_S_MAX = 99
_TENTHS = re.compile(r"([0-9])\.([0-9])")


def parse_function(text: str) -> tuple[str, int | None, str]:
    """Name, whole argument, trigger.  Raises `Refusal`."""
    if text.startswith("PAS"):
        return "PAS", _tenths(text[3:]), ""
    if text.startswith("TRG"):
        if text[3:] not in PROGRAM_TRIGGERS:
            raise Refusal(UNKNOWN)
        return "TRG", None, text[3:]
    name = text[:2] if text.startswith("IF") else text[:3]
    if name not in _FUNCTIONS:
        raise Refusal(UNKNOWN)
    limits, rest = _FUNCTIONS[name], text[len(name) :]
    if limits is not None:
        return name, parse_whole(rest, *limits), ""
    if rest:
        raise Refusal(UNKNOWN)
    return name, None, ""


def format_function(phase: Phase) -> str:
    """What ``FUN`` answers: the name, and its argument as it is sent."""
    name, argument = phase.function, phase.argument
    if argument is None:
        return name + phase.trigger
    if name == "OUT":
        return f"OUT{argument}"
    if name != "PAS":
        return f"{name}{argument:02d}"
    seconds, tenths = divmod(argument, 10)
    return f"PAS{seconds}.{tenths}" if tenths else f"PAS{seconds:02d}"


def _tenths(text: str) -> int:
    """A pause of ``nn`` s, or ``n.n`` s; 0 waits for a trigger."""
    if "." not in text:
        return parse_whole(text, 0, _PAUSE_S_MAX) * 10
    match = _TENTHS.fullmatch(text)
    if match is None:
        number = text.isascii() and text.replace(".", "", 1).isdigit()
        raise Refusal(OUT_OF_RANGE if number else UNKNOWN)
    return int(match[1]) * 10 + int(match[2])
