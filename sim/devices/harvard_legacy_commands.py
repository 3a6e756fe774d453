"""The command table of the older Harvard pumps: three letters, a ``W`` for the other direction, a number.

Every action takes the panel and the argument, and returns the value of the answer: ``None`` for a set that
was obeyed.  Refusals are raised.  Not answerable for framing, addresses or prompts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from sim.devices.harvard_legacy_models import VERSION_LENGTH, Model
from sim.devices.harvard_legacy_numbers import (
    NOT_NOW,
    OUT_OF_RANGE,
    RATE_TEXTS,
    RATE_UNITS_NL_H,
    SYNTAX,
    VOLUME_UNITS_NL,
    Refusal,
    parse,
    rate_limits_nl_h,
    write,
)
from sim.devices.harvard_legacy_quirks import Quirks
from sim.devices.harvard_legacy_state import DeviceState, Motor, Rate
from sim.mechanics import PARTS_PER_NL

SMALLEST_UM, LARGEST_UM = 100, 50_000
"""Diameters of 0.1-50 mm."""

_RATE = re.compile(r"([0-9.]+)(UM|MM|UH|MH)")


@dataclass(slots=True)
class Panel:
    """What commands work on."""

    state: DeviceState
    motor: Motor
    quirks: Quirks
    model: Model

    @property
    def volume_unit(self) -> str:
        """In which volumes are answered and targets are set."""
        how = self.quirks.volume_unit
        return self.state.settings.rate.unit[0] + "L" if how == "of_rate" else how.upper()

    def require_still(self) -> None:
        """Raises `Refusal` ``NA`` while the pump runs."""
        if self.state.running:
            raise Refusal(NOT_NOW)


Command = Callable[[Panel, str], str | None]


@lru_cache(maxsize=256)
def find(text: str) -> tuple[str, Command, str]:
    """Name, action and argument of a command, the longest name first.  Raises `Refusal` ``?``."""
    for length in (4, 3, 2):
        name = text[:length]
        if name in _COMMANDS:
            return name, _COMMANDS[name], text[length:]
    raise Refusal(SYNTAX)


def mnemonic(text: str) -> str:
    """The name of a command; empty for a poll, or for noise."""
    try:
        return find(text)[0]
    except Refusal:
        return ""


def acts(name: str, argument: str) -> bool:
    """Whether this is a command that changes something, and no question."""
    return bool(argument) or name in _ACTIONS


_ACTIONS = frozenset({"RUN", "RUNW", "REV", "STP", "CLV", "CLD", "CLVW", "CLT", "CLTW"})
"""Commands without an argument that are no questions."""


def _no_argument(argument: str) -> None:
    if argument:
        raise Refusal(SYNTAX)


def value_field(number: str) -> str:
    """A bare number in eight characters: with CR LF and prompt the answer has the 15 that hosts read."""
    return f"{number:>7} "


# -- syringe and rate -------------------------------------------------------------------------------


def _set_diameter(panel: Panel, argument: str) -> None:
    value = parse(argument)
    panel.require_still()
    if not SMALLEST_UM <= value <= LARGEST_UM:
        raise Refusal(OUT_OF_RANGE)
    panel.state.settings.diameter = value
    panel.motor.mechanics.fit(value)


def _diameter(panel: Panel, argument: str) -> str | None:
    if argument:
        _set_diameter(panel, argument)
        return None
    return value_field(write(panel.state.settings.diameter))


def _rate(panel: Panel, argument: str, *, refill: bool) -> str | None:
    settings = panel.state.settings
    rate = settings.refill if refill else settings.rate
    if not argument:
        shown = rate if rate.value else settings.rate
        return f"{write(shown.value):>6} {RATE_TEXTS[shown.unit]}"
    match = _RATE.fullmatch(argument)
    if match is None:
        raise Refusal(SYNTAX)
    _accept(panel, rate, match[1], match[2])
    return None


def _rate_in(panel: Panel, argument: str, *, unit: str, refill: bool) -> None:
    settings = panel.state.settings
    _accept(panel, settings.refill if refill else settings.rate, argument, unit)


def _accept(panel: Panel, rate: Rate, number: str, unit: str) -> None:
    value = parse(number)
    slowest, fastest = rate_limits_nl_h(panel.state.settings.diameter)
    if not slowest <= value * RATE_UNITS_NL_H[unit] <= fastest:
        raise Refusal(OUT_OF_RANGE)
    rate.value, rate.unit = value, unit
    panel.motor.drive()


# -- volumes ----------------------------------------------------------------------------------------


def _volume(panel: Panel, argument: str, *, withdrawn: bool | None = None) -> str:
    """``VOL`` and ``DEL`` tell what was moved in the direction in which the pump runs or ran."""
    _no_argument(argument)
    withdrawing = panel.state.withdrawing if withdrawn is None else withdrawn
    counted = panel.motor.counted_parts(withdrawing=withdrawing)
    nl = panel.state.faults.counted(counted) // PARTS_PER_NL
    return value_field(write(nl // VOLUME_UNITS_NL[panel.volume_unit]))


def _clear_volume(panel: Panel, argument: str, *, withdrawn_only: bool) -> None:
    _no_argument(argument)
    panel.motor.clear(withdrawn_only=withdrawn_only)


def _target(panel: Panel, argument: str) -> str | None:
    """``TGT`` has no say in the mode."""
    unit = panel.volume_unit
    if not argument:
        return value_field(write(panel.state.target_nl // VOLUME_UNITS_NL[unit]))
    panel.require_still()
    panel.state.target_nl = parse(argument) * VOLUME_UNITS_NL[unit]
    panel.state.unfinished = False
    return None


def _target_in(panel: Panel, argument: str, *, unit: str) -> None:
    """A target by which the pump stops from now on."""
    value = parse(argument)
    panel.require_still()
    if unit == "ML" and panel.quirks.volume_unit == "of_rate":
        unit = panel.volume_unit
    panel.state.target_nl = value * VOLUME_UNITS_NL[unit]
    panel.state.volume_mode = bool(value)
    panel.state.unfinished = False


def _clear_target(panel: Panel, argument: str) -> None:
    _no_argument(argument)
    panel.state.target_nl, panel.state.volume_mode = 0, False
    panel.motor.drive()


def _mode(panel: Panel, argument: str) -> str | None:
    if not argument:
        return "VOLUME" if panel.state.volume_mode else "PUMP"
    if argument not in {"PMP", "VLM", "VOL"}:
        raise Refusal(SYNTAX)
    panel.require_still()
    panel.state.volume_mode = argument != "PMP"
    return None


# -- motion -----------------------------------------------------------------------------------------


def _direction(panel: Panel, argument: str) -> str | None:
    state = panel.state
    if not argument:
        return "REFILL" if state.withdrawing else "INFUSE"
    if argument not in {"INF", "REF", "REV"}:
        raise Refusal(SYNTAX)
    withdrawing = argument == "REF" or (argument == "REV" and not state.withdrawing)
    _turn(panel, withdrawing=withdrawing, start=False)
    return None


def _turn(panel: Panel, *, withdrawing: bool, start: bool) -> None:
    """The other direction; a running pump turns round at once."""
    state = panel.state
    if state.withdrawing == withdrawing and not start:
        return
    if state.running or start:
        panel.motor.start(withdrawing=withdrawing)
    else:
        state.withdrawing, state.unfinished = withdrawing, False


def _run(panel: Panel, argument: str) -> None:
    _no_argument(argument)
    panel.motor.start(withdrawing=panel.state.withdrawing)


def _run_withdrawing(panel: Panel, argument: str) -> None:
    _no_argument(argument)
    panel.motor.start(withdrawing=True)


def _reverse(panel: Panel, argument: str) -> None:
    _no_argument(argument)
    start = panel.quirks.rev_when_stopped == "run"
    _turn(panel, withdrawing=not panel.state.withdrawing, start=start)


def _stop(panel: Panel, argument: str) -> None:
    _no_argument(argument)
    panel.motor.stop()


def _auto_fill(panel: Panel, argument: str) -> str | None:
    """Known from hosts only; stored, and without an effect here."""
    settings = panel.state.settings
    if not argument:
        return "ON" if settings.auto_fill else "OFF"
    if argument not in {"ON", "OFF"}:
        raise Refusal(SYNTAX)
    settings.auto_fill = argument == "ON"
    return None


def _version(panel: Panel, argument: str) -> str:
    _no_argument(argument)
    return panel.model.version.ljust(VERSION_LENGTH)


STOP = "STP"

_COMMANDS: Mapping[str, Command] = {
    "MMD": _set_diameter,
    "DIA": _diameter,
    "ULM": partial(_rate_in, unit="UM", refill=False),
    "MLM": partial(_rate_in, unit="MM", refill=False),
    "ULH": partial(_rate_in, unit="UH", refill=False),
    "MLH": partial(_rate_in, unit="MH", refill=False),
    "ULMW": partial(_rate_in, unit="UM", refill=True),
    "MLMW": partial(_rate_in, unit="MM", refill=True),
    "ULHW": partial(_rate_in, unit="UH", refill=True),
    "MLHW": partial(_rate_in, unit="MH", refill=True),
    "RAT": partial(_rate, refill=False),
    "RATW": partial(_rate, refill=True),
    "RFR": partial(_rate, refill=True),
    "VOL": _volume,
    "DEL": _volume,
    "VOLW": partial(_volume, withdrawn=True),
    "CLV": partial(_clear_volume, withdrawn_only=False),
    "CLD": partial(_clear_volume, withdrawn_only=False),
    "CLVW": partial(_clear_volume, withdrawn_only=True),
    "TGT": _target,
    "TAR": _target,
    "MLT": partial(_target_in, unit="ML"),
    "ULT": partial(_target_in, unit="UL"),
    "MLTW": partial(_target_in, unit="ML"),
    "ULTW": partial(_target_in, unit="UL"),
    "CLT": _clear_target,
    "CLTW": _clear_target,
    "MOD": _mode,
    "DIR": _direction,
    "RUN": _run,
    "RUNW": _run_withdrawing,
    "REV": _reverse,
    "STP": _stop,
    "AF": _auto_fill,
    "VER": _version,
}
