"""The commands of an Orchestra base and its modules: two letters to action.

Every action takes who is addressed and the argument, and returns the data of the answer, empty for a
command that was obeyed.  Refusals are raised with their code.  Not answerable for frames, sessions of
the link layer, or for sending.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sim.devices.fresenius_module import (
    FASTEST,
    NL_PER_THOUSANDTH,
    SLOWEST,
    Module,
)
from sim.devices.fresenius_state import BASE, MANUAL, REMOTE, WARNINGS, Doing
from sim.mechanics import PARTS_PER_NL

if TYPE_CHECKING:
    from sim.devices.fresenius import OrchestraPump

UNKNOWN = "01"
WRONG_MODE = "02"
WRONG_STATE = "03"
SYNTAX = "04"
MODE_ACTIVE = "06"
LIMIT = "08"
MODE_CHANGE_NOW = "09"
UNUSED_IDENTIFIER = "0A"
WRONG_IDENTIFIER = "0B"
TOO_LONG = "0C"
BASE_NOT_OPEN = "0D"
UNREACHABLE = "0E"
ALARM_PRESENT = "12"
NO_RATE = "14"
TOO_LITTLE = "15"
CANNOT_EMPTY = "16"
MODULE_NOT_OPEN = "1E"
NOT_ALL_MANUAL = "1F"
NOT_ON_THIS_PORT = "20"
NEW_MODE = "22"
DRUG_NUMBER = "25"

MESSAGE_MAX = 80
IDENTITY_MAX = 20
"""[design]"""

DRUGS = 32
"""Drug numbers 00-1F [design]."""

PRESSURES_MMHG = range(50, 1_001)
"""``PP``: four hexadecimal digits of mmHg [design]; the source shows neither unit nor form."""

TYPES = {True: "ORCHESTRA", False: "DPS"}
"""``LF;b`` of the base and of a module [design]."""

_MESSAGE = re.compile(r"([A-Z]{2})(?:;(.*))?")


class Refusal(Exception):
    """Answered ``I`` and this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


Action = Callable[["OrchestraPump", int, str | None], str]


def obey(pump: OrchestraPump, address: int, message: str) -> str:
    """The data of the answer; raises `Refusal`."""
    if len(message) > MESSAGE_MAX:
        raise Refusal(TOO_LONG)
    if address != BASE and not pump.reachable(address):
        raise Refusal(UNREACHABLE)
    match = _MESSAGE.fullmatch(message)
    if match is None:
        raise Refusal(SYNTAX if message[:2].isalpha() and message[:2].isupper() else UNKNOWN)
    name, argument = match[1], match[2]
    action = (_BASE if address == BASE else _MODULE).get(name)
    if name != "DC" and not pump.state.stations[address].open:
        raise Refusal(BASE_NOT_OPEN if address == BASE else MODULE_NOT_OPEN)
    if action is None:
        raise Refusal(UNKNOWN)
    if name in _REMOTE_ONLY and pump.modules[address].state.mode != REMOTE:
        raise Refusal(WRONG_MODE)
    return action(pump, address, argument)


# -- sessions and modes ---------------------------------------------------------------------------


def _open(pump: OrchestraPump, address: int, argument: str | None) -> str:
    _none(argument)
    if address != BASE and pump.has_base and not pump.state.stations[BASE].open:
        raise Refusal(BASE_NOT_OPEN)
    pump.opened(address)
    return ""


def _close(pump: OrchestraPump, address: int, argument: str | None) -> str:
    """A module whose session is closed is the keypad's again; what it does goes on."""
    _none(argument)
    pump.closed(address)
    return ""


def _mode(pump: OrchestraPump, address: int, argument: str | None) -> str:
    state = pump.modules[address].state
    if argument is None or len(argument) != 1 or argument not in "0123456789":
        raise Refusal(SYNTAX)
    mode = int(argument)
    if mode not in (MANUAL, REMOTE):
        raise Refusal(NEW_MODE)
    if mode == state.mode:
        raise Refusal(MODE_ACTIVE)
    if state.doing in (Doing.BOLUS, Doing.EMPTYING):
        raise Refusal(MODE_CHANGE_NOW)
    state.mode = mode
    return ""


def _reset(pump: OrchestraPump, address: int, argument: str | None) -> str:
    """A module forgets everything but its session; a base closes every session."""
    _none(argument)
    _idle(pump, address)
    if address == BASE:
        pump.closed(BASE)
    else:
        pump.modules[address].reset()
    return ""


def _off(pump: OrchestraPump, address: int, argument: str | None) -> str:
    """Back only after its mains were off."""
    _none(argument)
    _idle(pump, address)
    pump.switch_off(address)
    return ""


def _idle(pump: OrchestraPump, address: int) -> None:
    """A module must be paused; for the base all modules must be in manual mode."""
    if address != BASE:
        if pump.modules[address].state.doing is not Doing.PAUSED:
            raise Refusal(WRONG_STATE)
    elif any(module.state.mode != MANUAL for module in pump.modules.values()):
        raise Refusal(NOT_ALL_MANUAL)


def _silence(pump: OrchestraPump, address: int, argument: str | None) -> str:
    _none(argument)
    if address != BASE:
        pump.modules[address].silence()
    return ""


# -- what is read ---------------------------------------------------------------------------------


def _read(pump: OrchestraPump, address: int, argument: str | None) -> str:
    return _values(argument, lambda name: pump.value(address, name))


def _read_adjusted(pump: OrchestraPump, address: int, argument: str | None) -> str:
    return _values(argument, lambda name: pump.adjusted(address, name))


def _read_fixed(_pump: OrchestraPump, address: int, argument: str | None) -> str:
    return _values(argument, lambda name: TYPES[address == BASE] if name == "b" else None)


def _values(argument: str | None, value: Callable[[str], str | None]) -> str:
    found = []
    for name in _identifiers(argument):
        text = value(name)
        if text is None:
            raise Refusal(UNUSED_IDENTIFIER)
        found.append(name + text)
    return ";".join(found)


def _identifiers(argument: str | None) -> str:
    if not argument:
        raise Refusal(SYNTAX)
    if not (argument.isascii() and argument.isalpha() and argument.islower()):
        raise Refusal(WRONG_IDENTIFIER)
    return argument


def _watch(letter: str) -> Action:
    """Spontaneous messages for these identifiers, besides those asked for before."""

    def watch(pump: OrchestraPump, address: int, argument: str | None) -> str:
        look = pump.value if letter == "E" else pump.adjusted
        names = _identifiers(argument)
        _values(names, lambda name: look(address, name))
        pump.watch(address, letter, names)
        return ""

    return watch


def _unwatch(letter: str) -> Action:
    def unwatch(pump: OrchestraPump, address: int, argument: str | None) -> str:
        _none(argument)
        pump.state.stations[address].watches[letter].end()
        return ""

    return unwatch


# -- pumping --------------------------------------------------------------------------------------


def _rate(pump: OrchestraPump, address: int, argument: str | None) -> str:
    """Sets the rate and launches; without an argument it launches at the rate that was set."""
    module = pump.modules[address]
    state = module.state
    launches = argument is None or pump.quirks.rate_launches == "yes"
    rate = state.rate if argument is None else _number(pump, argument, digits=4)
    if argument is not None and not SLOWEST <= rate <= FASTEST:
        raise Refusal(LIMIT)
    if launches:
        _no_alarm(module)
    if not rate:
        raise Refusal(NO_RATE)
    if launches and (module.limit_left() == 0 or state.doing is Doing.EMPTYING):
        raise Refusal(WRONG_STATE)
    state.rate = rate
    if not launches or state.doing is Doing.BOLUS:
        state.then = Doing.INFUSING if launches else state.then
        module.drive()
    else:
        module.begin(Doing.INFUSING)
    return ""


def _pause(pump: OrchestraPump, address: int, argument: str | None) -> str:
    """A bolus that is interrupted is over."""
    _none(argument)
    if not pump.state.faults.stop_ignored:
        pump.modules[address].begin(Doing.PAUSED)
    return ""


def _bolus(pump: OrchestraPump, address: int, argument: str | None) -> str:
    """A volume of six digits, and if one likes a rate of four, in either order."""
    module = pump.modules[address]
    parts = (argument or "").split(";")
    volumes = [part for part in parts if len(part) == 6]
    rates = [part for part in parts if len(part) == 4]
    if len(volumes) != 1 or len(rates) > 1 or len(parts) != 1 + len(rates):
        raise Refusal(SYNTAX)
    volume_nl = _number(pump, volumes[0], digits=6) * NL_PER_THOUSANDTH
    rate = _number(pump, rates[0], digits=4) if rates else module.state.bolus_rate
    if not SLOWEST <= rate <= FASTEST or not volume_nl:
        raise Refusal(LIMIT)
    _no_alarm(module)
    if module.state.doing in (Doing.BOLUS, Doing.EMPTYING):
        raise Refusal(WRONG_STATE)
    available = module.available()
    if available is not None and volume_nl * PARTS_PER_NL > available:
        raise Refusal(TOO_LITTLE)
    module.state.bolus_rate = rate
    module.bolus(volume_nl)
    return ""


def _empty(pump: OrchestraPump, address: int, argument: str | None) -> str:
    _none(argument)
    module = pump.modules[address]
    _no_alarm(module)
    if not module.mechanics.truth().content_nl:
        raise Refusal(CANNOT_EMPTY)
    if module.limit_left() == 0:
        raise Refusal(WRONG_STATE)
    module.begin(Doing.EMPTYING)
    return ""


def _limit(pump: OrchestraPump, address: int, argument: str | None) -> str:
    volume = _number(pump, argument or "", digits=6)
    pump.modules[address].limit(volume * NL_PER_THOUSANDTH)
    return ""


def _clear_volume(pump: OrchestraPump, address: int, argument: str | None) -> str:
    _none(argument)
    pump.modules[address].clear_volume()
    return ""


def _pressure(pump: OrchestraPump, address: int, argument: str | None) -> str:
    mmhg = _number(pump, argument or "", digits=4)
    if mmhg not in PRESSURES_MMHG:
        raise Refusal(LIMIT)
    pump.modules[address].limit_pressure(mmhg)
    return ""


def _not_here(_pump: OrchestraPump, _address: int, _argument: str | None) -> str:
    """Dynamic pressure: no source shows anything of it."""
    raise Refusal(NOT_ON_THIS_PORT)


def _no_alarm(module: Module) -> None:
    if module.alarms & ~WARNINGS:
        raise Refusal(ALARM_PRESENT)


# -- drug and identity ----------------------------------------------------------------------------


def _set_drug(pump: OrchestraPump, address: int, argument: str | None) -> str:
    if argument is None or re.fullmatch("[0-9A-F]{2}", argument) is None:
        raise Refusal(SYNTAX)
    if int(argument, 16) >= DRUGS:
        raise Refusal(DRUG_NUMBER)
    pump.state.stations[address].drug = argument
    return ""


def _read_drug(pump: OrchestraPump, address: int, argument: str | None) -> str:
    _none(argument)
    return pump.state.stations[address].drug


def _show_drug(_pump: OrchestraPump, _address: int, argument: str | None) -> str:
    """It is on the module's display now, which nobody sees."""
    _none(argument)
    return ""


def _set_identity(pump: OrchestraPump, address: int, argument: str | None) -> str:
    if argument is None:
        raise Refusal(SYNTAX)
    if len(argument) > IDENTITY_MAX:
        raise Refusal(LIMIT)
    pump.state.stations[address].identity = argument
    return ""


def _read_identity(pump: OrchestraPump, address: int, argument: str | None) -> str:
    _none(argument)
    return pump.state.stations[address].identity


# -- tables ---------------------------------------------------------------------------------------

_COMMON: Mapping[str, Action] = {
    "DC": _open,
    "FC": _close,
    "RZ": _reset,
    "OF": _off,
    "SI": _silence,
    "LE": _read,
    "DE": _watch("E"),
    "AE": _unwatch("E"),
    "LM": _read_adjusted,
    "DM": _watch("M"),
    "AM": _unwatch("M"),
    "LF": _read_fixed,
    "EN": _set_identity,
    "LN": _read_identity,
}
_BASE: Mapping[str, Action] = _COMMON
_MODULE: Mapping[str, Action] = {
    **_COMMON,
    "MO": _mode,
    "PR": _rate,
    "PO": _pause,
    "PB": _bolus,
    "PF": _empty,
    "PV": _limit,
    "RV": _clear_volume,
    "PP": _pressure,
    "PS": _not_here,
    "EP": _set_drug,
    "LP": _read_drug,
    "AP": _show_drug,
}
_ACTING = frozenset({"MO", "RZ", "SI", "PR", "PO", "PB", "PF", "PV", "RV", "PP", "EP", "EN", "OF"})
_REMOTE_ONLY = frozenset({"PR", "PO", "PB", "PF", "PV", "PP", "PS"})
"""In manual mode the keypad has these [design]."""


def acts(message: str) -> bool:
    """Whether it is a command that changes what a module does or knows, and no question."""
    return message[:2] in _ACTING


def _none(argument: str | None) -> None:
    if argument is not None:
        raise Refusal(SYNTAX)


def _number(pump: OrchestraPump, text: str, *, digits: int) -> int:
    """Exactly so many digits, hexadecimal or decimal; raises `Refusal`."""
    hexadecimal = pump.quirks.set_argument == "hex"
    if re.fullmatch("[0-9A-Fa-f]*" if hexadecimal else "[0-9]*", text) is None:
        raise Refusal(SYNTAX)
    if len(text) != digits:
        raise Refusal(SYNTAX)
    return int(text, 16 if hexadecimal else 10)
