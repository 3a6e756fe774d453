"""The command table of the New Era protocol: mnemonic to action.

Every action takes the program and the argument text, and returns the data of the answer: nothing for a
set that was obeyed.  An empty argument is a query.  Refusals are raised.  Not answerable for framing,
addresses, alarms or the safe-mode timer, which the device around it owns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from sim.devices.new_era_functions import TRIGGERS, format_function, parse_function
from sim.devices.new_era_numbers import (
    NOT_NOW,
    OUT_OF_RANGE,
    RATE_UNITS_NL_H,
    UNKNOWN,
    Refusal,
    parse_number,
    parse_whole,
)
from sim.devices.new_era_program import Program
from sim.devices.new_era_state import INPUT_PINS, PHASES, default_volume_unit

Command = Callable[[Program, str], str]

SMALLEST_DIAMETER_UM = 100
LARGEST_DIAMETER_UM = 80_000
"""0.1-80 mm: the wider of the two ranges that drivers use."""

SAFE_S_MAX = 255
BAUD_RATES = ("300", "1200", "2400", "9600", "19200")
_UM_PER_INCH = 25_400
_PINS = frozenset(str(pin) for pin in INPUT_PINS)
_RATE = re.compile(r"([CI]?)([0-9.]*)([A-Z]{2})?")
_VOLUME = re.compile(r"([0-9.]*)([A-Z]{2})?")
_FRACTION = re.compile(r"([0-9]{1,2})/([0-9]{1,2})")
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


def _parsed(program: Program, text: str) -> int:
    if program.quirks.excess_decimals == "cut":
        return parse_number(text)
    return parse_number(text, cut_decimals=False)


def _diameter(program: Program, argument: str) -> str:
    if program.model.has_tubing:
        return _tubing(program, argument)
    settings = program.state.settings
    if not argument:
        return program.number(settings.diameter)
    value = _parsed(program, argument)
    program.require_still()
    if not SMALLEST_DIAMETER_UM <= value <= LARGEST_DIAMETER_UM:
        raise Refusal(OUT_OF_RANGE)
    _fit(program, value)
    settings.volume_unit = default_volume_unit(value)
    return ""


def _tubing(program: Program, argument: str) -> str:
    """The inner diameter of a tubing: a fraction of an inch, less than one."""
    settings = program.state.settings
    if not argument:
        return settings.tubing
    match = _FRACTION.fullmatch(argument)
    if match is None:
        raise Refusal(UNKNOWN)
    program.require_still()
    above, below = int(match[1]), int(match[2])
    if not 0 < above < below:
        raise Refusal(OUT_OF_RANGE)
    _fit(program, max(1, above * _UM_PER_INCH // below))
    settings.tubing = f"{above}/{below}"
    return ""


def _fit(program: Program, diameter_um: int) -> None:
    program.cancel_pause()
    program.state.settings.diameter = diameter_um
    program.mechanics.fit(diameter_um)
    program.clear_counters()


def _rate(program: Program, argument: str) -> str:
    """A prefix ``C`` or ``I``, which some hosts send, changes nothing here."""
    if not argument:
        value, unit = program.rate_shown()
        return program.number(value) + unit
    run, phase = program.state.run, program.phase
    running = run.running
    rated = program.rated if running else phase
    number, unit = _rate_texts(argument)
    unit = unit or rated.rate_unit
    if unit not in program.model.rate_units:
        raise Refusal(UNKNOWN)
    value = _parsed(program, number) if number else rated.rate
    if running:
        if run.status not in "IW" or unit != rated.rate_unit or phase.function != "RAT":
            raise Refusal(NOT_NOW)
        program.refuse_at_phase_start()
    slowest, fastest = program.limits_nl_h()
    never_set = not (number or phase.rate)
    if not (never_set or slowest <= value * RATE_UNITS_NL_H[unit] <= fastest):
        raise Refusal(OUT_OF_RANGE)
    phase.rate, phase.rate_unit = value, unit
    if running:
        program.rate_changed()
    else:
        phase.rate_stored = value
    return ""


@lru_cache(maxsize=256)
def _rate_texts(argument: str) -> tuple[str, str]:
    """Number and unit, either of which may be missing."""
    match = _RATE.fullmatch(argument)
    if match is None or argument == match[1]:
        raise Refusal(UNKNOWN)
    return match[2], match[3] or ""


def _volume(program: Program, argument: str) -> str:
    settings = program.state.settings
    if not argument:
        return program.number(program.phase.volume) + settings.volume_unit
    match = _VOLUME.fullmatch(argument)
    if match is None:
        raise Refusal(UNKNOWN)
    number, unit = match[1], match[2]
    if unit and unit not in program.model.volume_units:
        raise Refusal(UNKNOWN)
    if number and unit and program.quirks.vol_combined == "refuse":
        raise Refusal(UNKNOWN)
    value = _parsed(program, number) if number else program.phase.volume
    program.require_still()
    program.cancel_pause()
    program.phase.volume = value
    settings.volume_unit = unit or settings.volume_unit
    return ""


def _direction(program: Program, argument: str) -> str:
    if not argument:
        return program.phase.direction
    program.turn(argument)
    return ""


# -- run, stop, counters --------------------------------------------------------------------------


def _run(program: Program, argument: str) -> str:
    """``RUN``, ``RUN 7``; ``RUN E`` and ``RUN E 7`` are an event, with its phase or the trap's."""
    if argument.startswith("E"):
        program.event(parse_whole(argument[1:], 1, PHASES) if argument[1:] else None)
        return ""
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
    infused, withdrawn = program.counted()
    number = program.number
    return f"I{number(infused)}W{number(withdrawn)}{program.state.settings.volume_unit}"


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
        return format_function(phase)
    name, value, trigger = parse_function(argument)
    program.require_still()
    program.cancel_pause()
    phase.function, phase.argument, phase.trigger = name, value, trigger
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
    return program.model.version


# -- small switches -------------------------------------------------------------------------------


def _switch(name: str) -> Command:
    """0 or 1, kept in the setting of that name."""

    def command(program: Program, argument: str) -> str:
        if not argument:
            return str(getattr(program.state.settings, name))
        setattr(program.state.settings, name, parse_whole(argument, 0, 1))
        return ""

    return command


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
    if argument not in _PINS:
        raise Refusal(OUT_OF_RANGE if argument.isdigit() else UNKNOWN)
    return str(program.state.inputs[int(argument)])


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
    "AL": _switch("alarm_sound"),
    "BP": _switch("key_beep"),
    "DIN": _switch("direction_input"),
    "LN": _switch("low_noise"),
    "LOC": _switch("locked"),
    "PF": _switch("power_fail"),
    "ROM": _switch("motor_output"),
    "BUZ": _buzzer,
    "OUT": _output,
    "IN": _input,
    "TRG": _trigger,
}

MNEMONICS = tuple(_COMMANDS)
"""Every command there is."""
