"""The command table of the New Era protocol: mnemonic to action.

Every action takes the program and the argument text, and returns the data of the answer: nothing for a
set that was obeyed.  An empty argument is a query.  Refusals are raised.  Not answerable for framing,
addresses, alarms or the safe-mode timer, which the device around it owns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from sim.devices.new_era_numbers import (
    IGNORED,
    NOT_NOW,
    OUT_OF_RANGE,
    RATE_UNITS_NL_H,
    UNKNOWN,
    Refusal,
    format_number,
    parse_number,
    parse_whole,
    rate_limits_nl_h,
)
from sim.devices.new_era_program import FUNCTIONS, Program
from sim.devices.new_era_state import PHASES, default_volume_unit

Command = Callable[[Program, str], str]

SMALLEST_DIAMETER_UM = 100
LARGEST_DIAMETER_UM = 80_000
"""0.1-80 mm: the wider of the two ranges that drivers use."""

SAFE_S_MAX = 255
BAUD_RATES = ("300", "1200", "2400", "9600", "19200")
TRIGGERS = ("FT", "FH", "F2", "LE", "ST", "T2", "SP", "P2", "RL", "RH", "SL", "SH")
"""The last four (levels instead of edges) are not in every manual, but hosts know them."""

INPUT_PINS = ("2", "3", "4", "6")
"""Pins with a TTL input; hosts ask for pin 2."""

_RATE = re.compile(r"C?([0-9.]*)(UM|MM|UH|MH)?")
_VOLUME = re.compile(r"([0-9.]*)(UL|ML)?")
_ADDRESS = re.compile(r"([0-9]*)(?:B([0-9]+))?")


@lru_cache(maxsize=256)
def find(text: str) -> tuple[Command, str]:
    """The action and the argument of a command, longest mnemonic first; raises `Refusal` ``?``."""
    for length in (3, 2, 5):
        command = _COMMANDS.get(text[:length])
        if command is not None:
            return command, text[length:]
    raise Refusal(UNKNOWN)


# -- syringe, rate, volume, direction -------------------------------------------------------------


def _number(program: Program, thousandths: int) -> str:
    point = program.quirks.reply_ge_1000 == "trailing_point"
    return format_number(thousandths, point_from_1000=point)


def _parsed(program: Program, text: str) -> int:
    return parse_number(text, cut_decimals=program.quirks.excess_decimals == "cut")


def _diameter(program: Program, argument: str) -> str:
    settings = program.state.settings
    if not argument:
        return _number(program, settings.diameter)
    value = _parsed(program, argument)
    program.require_still()
    if not SMALLEST_DIAMETER_UM <= value <= LARGEST_DIAMETER_UM:
        raise Refusal(OUT_OF_RANGE)
    program.cancel_pause()
    settings.diameter = value
    settings.volume_unit = default_volume_unit(value)
    program.mechanics.fit(value)
    program.clear_counters()
    return ""


def _rate(program: Program, argument: str) -> str:
    run, phase, rated = program.state.run, program.phase, program.rated
    if not argument:
        return _number(program, rated.rate) + rated.rate_unit
    match = _RATE.fullmatch(argument)
    if match is None or argument == "C":
        raise Refusal(UNKNOWN)
    value = _parsed(program, match[1]) if match[1] else rated.rate
    unit = match[2] or rated.rate_unit
    if run.running:
        if run.status == "X" or unit != rated.rate_unit or phase.function != "RAT":
            raise Refusal(NOT_NOW)
        _refuse_at_phase_start(program)
    slowest, fastest = rate_limits_nl_h(program.state.settings.diameter)
    never_set = not (match[1] or phase.rate)
    if not (never_set or slowest <= value * RATE_UNITS_NL_H[unit] <= fastest):
        raise Refusal(OUT_OF_RANGE)
    phase.rate, phase.rate_unit = value, unit
    if run.running:
        program.rate_changed()
    else:
        phase.rate_stored = value
    return ""


def _volume(program: Program, argument: str) -> str:
    settings = program.state.settings
    if not argument:
        return _number(program, program.phase.volume) + settings.volume_unit
    match = _VOLUME.fullmatch(argument)
    if match is None:
        raise Refusal(UNKNOWN)
    number, unit = match[1], match[2]
    if number and unit and program.quirks.vol_combined == "refuse":
        raise Refusal(UNKNOWN)
    value = _parsed(program, number) if number else program.phase.volume
    program.require_still()
    program.cancel_pause()
    program.phase.volume = value
    settings.volume_unit = unit or settings.volume_unit
    return ""


def _direction(program: Program, argument: str) -> str:
    run, phase = program.state.run, program.phase
    if not argument:
        return phase.direction
    if argument not in {"INF", "WDR", "REV", "STK"}:
        raise Refusal(UNKNOWN)
    if run.running:
        if run.status not in "IW" or phase.volume:
            raise Refusal(NOT_NOW)
        _refuse_at_phase_start(program)
    if argument == "REV":
        argument = "INF" if phase.direction == "WDR" else "WDR"
    phase.direction = argument
    if run.running and argument != "STK":
        run.withdrawing = argument == "WDR"
        program.rate_changed()
    return ""


def _refuse_at_phase_start(program: Program) -> None:
    """``?IGN``: the program moved to this phase at this very instant, so it is not clear which was meant."""
    if program.state.run.phase_began_ns == program.mechanics.state.now_ns:
        raise Refusal(IGNORED)


# -- run, stop, counters --------------------------------------------------------------------------


def _run(program: Program, argument: str) -> str:
    program.start(parse_whole(argument, 1, PHASES) if argument else None)
    return ""


def _stop(program: Program, argument: str) -> str:
    _no_argument(argument)
    if not program.state.faults.stop_ignored:
        program.pause_or_stop()
    return ""


def _purge(program: Program, argument: str) -> str:
    _no_argument(argument)
    program.purge()
    return ""


def _dispensed(program: Program, argument: str) -> str:
    _no_argument(argument)
    infused = _number(program, program.counted(withdrawn=False))
    withdrawn = _number(program, program.counted(withdrawn=True))
    return f"I{infused}W{withdrawn}{program.state.settings.volume_unit}"


def _clear_dispensed(program: Program, argument: str) -> str:
    if argument not in {"INF", "WDR"}:
        raise Refusal(UNKNOWN)
    program.require_still()
    program.clear_counter(withdrawn=argument == "WDR")
    return ""


def _no_argument(argument: str) -> None:
    if argument:
        raise Refusal(UNKNOWN)


# -- pumping program ------------------------------------------------------------------------------


def _phase_number(program: Program, argument: str) -> str:
    settings = program.state.settings
    if not argument:
        return f"{settings.selected:02d}"
    value = parse_whole(argument, 1, PHASES)
    program.require_still()
    settings.selected = value
    return ""


def _function(program: Program, argument: str) -> str:
    phase = program.phase
    if not argument:
        return phase.function + ("" if phase.argument is None else f"{phase.argument:02d}")
    name = next((name for name in FUNCTIONS if argument.startswith(name)), None)
    if name is None:
        raise Refusal(UNKNOWN)
    limits, rest = FUNCTIONS[name], argument[len(name) :]
    if limits is None:
        _no_argument(rest)
    value = None if limits is None else parse_whole(rest, *limits)
    program.require_still()
    program.cancel_pause()
    program.phase.function, program.phase.argument = name, value
    return ""


# -- communication --------------------------------------------------------------------------------


def _safe(program: Program, argument: str) -> str:
    settings = program.state.settings
    if not argument:
        return str(settings.safe_s)
    settings.safe_s = parse_whole(argument, 0, SAFE_S_MAX)
    return ""


def _address(program: Program, argument: str) -> str:
    settings = program.state.settings
    if not argument:
        return f"{settings.address:02d}"
    match = _ADDRESS.fullmatch(argument)
    if match is None or not match[1]:
        raise Refusal(UNKNOWN)
    address = parse_whole(match[1], 0, 99)
    baud = match[2]
    if baud is not None and baud not in BAUD_RATES:
        raise Refusal(OUT_OF_RANGE)
    settings.address = address
    settings.baud = settings.baud if baud is None else int(baud)
    return ""


def _reset(program: Program, argument: str) -> str:
    _no_argument(argument)
    program.reset()
    return ""


def _version(program: Program, argument: str) -> str:
    _no_argument(argument)
    return program.version


# -- small switches -------------------------------------------------------------------------------


def _alarm_sound(program: Program, argument: str) -> str:
    if not argument:
        return str(program.state.settings.alarm_sound)
    program.state.settings.alarm_sound = parse_whole(argument, 0, 1)
    return ""


def _low_noise(program: Program, argument: str) -> str:
    """Quiet motor: known from a host only; stored, and without an effect here."""
    if not argument:
        return str(program.state.settings.low_noise)
    program.state.settings.low_noise = parse_whole(argument, 0, 1)
    return ""


def _lockout(program: Program, argument: str) -> str:
    if not argument:
        return str(program.state.settings.locked)
    program.state.settings.locked = parse_whole(argument, 0, 1)
    return ""


def _power_fail(program: Program, argument: str) -> str:
    if not argument:
        return str(program.state.settings.power_fail)
    program.state.settings.power_fail = parse_whole(argument, 0, 1)
    return ""


def _buzzer(program: Program, argument: str) -> str:
    """``BUZ 1`` sounds, ``BUZ 0`` is quiet; ``BUZ 1 n`` beeps n times, which is over at once here."""
    if not argument:
        return str(program.state.buzzer)
    sounding = parse_whole(argument[0], 0, 1)
    if argument[1:]:
        parse_whole(argument[1:], 0, 99)
        sounding = 0
    program.state.buzzer = sounding
    return ""


def _output(program: Program, argument: str) -> str:
    """``OUT 5 1`` or ``OUT 1``: the one TTL output is pin 5."""
    level = argument.removeprefix("5")
    if not level:
        return str(program.state.output)
    program.state.output = parse_whole(level, 0, 1)
    return ""


def _input(program: Program, argument: str) -> str:
    if argument not in INPUT_PINS:
        raise Refusal(OUT_OF_RANGE if argument.isdigit() else UNKNOWN)
    return str(program.state.inputs)


def _trigger(program: Program, argument: str) -> str:
    if not argument:
        return program.state.settings.trigger
    if argument not in TRIGGERS:
        raise Refusal(UNKNOWN)
    program.state.settings.trigger = argument
    return ""


_COMMANDS: dict[str, Command] = {
    "VER": _version,
    "DIA": _diameter,
    "RAT": _rate,
    "VOL": _volume,
    "DIR": _direction,
    "RUN": _run,
    "STP": _stop,
    "PUR": _purge,
    "DIS": _dispensed,
    "CLD": _clear_dispensed,
    "PHN": _phase_number,
    "FUN": _function,
    "SAF": _safe,
    "ADR": _address,
    "RESET": _reset,
    "AL": _alarm_sound,
    "LN": _low_noise,
    "LOC": _lockout,
    "PF": _power_fail,
    "BUZ": _buzzer,
    "OUT": _output,
    "IN": _input,
    "TRG": _trigger,
}
