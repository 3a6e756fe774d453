"""The command table of Elite, PHD Ultra and Legato pumps: the electronics, and how the pump tells its state.

As `sim.devices.harvard_commands`, for address, line settings, clock, display, inputs, versions and ``status``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from sim.devices.base import NS_PER_S
from sim.devices.harvard_commands import (
    MOTION_COMMANDS,
    NOTHING,
    OUT_OF_RANGE,
    Arguments,
    Command,
    Lines,
    Panel,
    expect,
)
from sim.devices.harvard_numbers import FL_PER_NL, ArgumentRefused, whole
from sim.devices.harvard_run import TARGET, CommandRefused

CYCLES_PER_MS = 56_000
"""An Elite counts time in cycles of 1/56 000 000 s, a millisecond at a time."""

BAUD_RATES = (9600, 19200, 38400, 57600, 115200, 128000, 230400, 256000, 460800, 921600)

MODES = {"i": "Infuse Only", "w": "Withdraw Only", "iw": "Infuse/Withdraw"}

FOOT_SWITCH = {"mom": "Momentary", "rise": "Active high", "fall": "Active low"}

_DATE = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{2})")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})")
_SHORTEST = 4
_DAY_S = 86_400


@lru_cache(maxsize=256)
def find(word: str) -> tuple[str, Command]:
    """The command of this name, or cut to four letters or more.  Raises `CommandRefused`."""
    name = word.lower()
    if name in _COMMANDS:
        return name, _COMMANDS[name]
    if len(name) >= _SHORTEST:
        for full, command in _COMMANDS.items():
            if full.startswith(name):
                return full, command
    raise CommandRefused("Unknown command")


def acts(name: str, arguments: Arguments) -> bool:
    """Whether this is a command that changes something, and no question."""
    return bool(arguments) or name in _ACTIONS


_ACTIONS = frozenset(
    {
        *("irun", "wrun", "run", "rrun", "stp", "stop"),
        *("civolume", "cwvolume", "cvolume", "ctvolume"),
        *("citime", "cwtime", "ctime", "cttime"),
    }
)
"""Commands without an argument that are no questions."""

# -- the line ---------------------------------------------------------------------------------------


def _address(panel: Panel, arguments: Arguments) -> Lines:
    settings = panel.state.settings
    if not arguments:
        return (f"Pump address is {settings.address}",)
    expect(arguments, 1)
    settings.address = whole(arguments[0], 0, 99, "Address out of range")
    verb = "set to" if panel.quirks.profile == "legato" else "is"
    return (f"Pump address {verb} {settings.address}",)


def _baud(panel: Panel, arguments: Arguments) -> Lines:
    if not arguments:
        return (f"{panel.state.settings.baud} baud",)
    expect(arguments, 1)
    value = whole(arguments[0], 0, max(BAUD_RATES), OUT_OF_RANGE)
    if value not in BAUD_RATES:
        raise ArgumentRefused(arguments[0], "Unknown baud rate")
    panel.state.settings.baud = value
    return NOTHING


def _poll(panel: Panel, arguments: Arguments) -> Lines:
    """``remote`` is sent by some hosts; it is poll mode."""
    if not arguments:
        return (_mode_text(panel, "Polling mode", on=panel.state.poll != "off"),)
    word = _choice(arguments, ("on", "off", "remote"))
    panel.state.poll = word
    return NOTHING


def _echo(panel: Panel, arguments: Arguments) -> Lines:
    if not arguments:
        return (_mode_text(panel, "Echo", on=panel.state.echo),)
    panel.state.echo = _choice(arguments, ("on", "off")) == "on"
    return NOTHING


def _mode_text(panel: Panel, what: str, *, on: bool) -> str:
    word = "ON" if on else "OFF"
    return word if panel.quirks.mode_texts == "short" else f"{what} is {word}"


def _choice(arguments: Arguments, words: tuple[str, ...]) -> str:
    expect(arguments, 1)
    word = arguments[0].lower()
    if word not in words:
        raise ArgumentRefused(arguments[0], "Unknown argument")
    return word


def _nvram(panel: Panel, arguments: Arguments) -> Lines:
    """Whether rates are written to memory that wears out; after power-up they are."""
    if not arguments:
        return (_mode_text(panel, "NVRAM", on=panel.state.nvram),)
    words = ("on", "off") if panel.quirks.nvram_word == "off" else ("on", "off", "none")
    panel.state.nvram = _choice(arguments, words) == "on"
    return NOTHING


# -- display, clock, inputs -------------------------------------------------------------------------


def _dim(panel: Panel, arguments: Arguments) -> Lines:
    if not arguments:
        return (f"Backlight is set to {panel.state.settings.dim}%",)
    expect(arguments, 1)
    panel.state.settings.dim = whole(arguments[0], 0, 100, OUT_OF_RANGE)
    return NOTHING


def _clock(panel: Panel, arguments: Arguments) -> Lines:
    """``mm/dd/yy hh:mm:ss``; setting it is answered as asking for it."""
    state = panel.state
    if arguments:
        expect(arguments, 2)
        date, clock = _DATE.fullmatch(arguments[0]), _CLOCK.fullmatch(arguments[1])
        if date is None:
            raise ArgumentRefused(arguments[0], "Invalid date")
        if clock is None:
            raise ArgumentRefused(arguments[1], "Invalid time")
        month, day, year = (int(part) for part in date.groups())
        hour, minute, second = (int(part) for part in clock.groups())
        if not (1 <= month <= 12 and 1 <= day <= _month_days(2000 + year, month)):
            raise ArgumentRefused(arguments[0], "Invalid date")
        if hour > 23 or minute > 59 or second > 59:
            raise ArgumentRefused(arguments[1], "Invalid time")
        set_to = _days(2000 + year, month, day) * _DAY_S + hour * 3_600 + minute * 60 + second
        state.clock_s = set_to - state.mechanics.now_ns // NS_PER_S
    return (_clock_text(state.clock_s + state.mechanics.now_ns // NS_PER_S),)


def _clock_text(seconds: int) -> str:
    days, rest = divmod(seconds, _DAY_S)
    year = 2000
    while days >= _days(year + 1, 1, 1) - _days(year, 1, 1):
        days -= _days(year + 1, 1, 1) - _days(year, 1, 1)
        year += 1
    month = 1
    while days >= _month_days(year, month):
        days -= _month_days(year, month)
        month += 1
    hour, minute = rest // 3_600, rest // 60 % 60
    half = "AM" if hour < 12 else "PM"
    clock = f"{hour % 12 or 12}:{minute:02d}:{rest % 60:02d} {half}"
    return f"{month:02d}/{days + 1:02d}/{year % 100:02d} {clock}"


def _month_days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 else 28  # 2000-2099: every fourth year
    return 30 if month in {4, 6, 9, 11} else 31


def _days(year: int, month: int, day: int) -> int:
    """Days since 1 January 2000."""
    past = year - 2000
    before = past * 365 + (past + 3) // 4
    return before + sum(_month_days(year, m) for m in range(1, month)) + day - 1


def _foot_switch(panel: Panel, arguments: Arguments) -> Lines:
    settings = panel.state.settings
    if not arguments:
        return (FOOT_SWITCH[settings.foot_switch],)
    settings.foot_switch = _choice(arguments, tuple(FOOT_SWITCH))
    return NOTHING


def _input(panel: Panel, arguments: Arguments) -> Lines:
    if arguments:
        expect(arguments, 1)
        whole(arguments[0], 1, 1, OUT_OF_RANGE)
    level = "high" if panel.state.trigger_high else "low"
    return (f"The trigger input is {level}.",)


def _output(panel: Panel, arguments: Arguments) -> Lines:
    expect(arguments, 2)
    whole(arguments[0], 1, 1, OUT_OF_RANGE)
    panel.state.output_high = _choice(arguments[1:], ("high", "low")) == "high"
    return NOTHING


# -- who it is, and how it is -----------------------------------------------------------------------


def _short_version(panel: Panel, arguments: Arguments) -> Lines:
    expect(arguments, 0)
    return (f"{panel.model.short} {panel.model.firmware}",)


def _version(panel: Panel, arguments: Arguments) -> Lines:
    expect(arguments, 0)
    firmware = f"Firmware:      v{panel.model.firmware}"
    address = f"Pump address:  {panel.state.settings.address}"
    if panel.quirks.profile == "elite":
        return (firmware, "RTOS:          FreeRTOS v5.1.1 (ARM Cortex-M3)", address)
    return (firmware, address, f"Serial number: {panel.model.serial}")


def _metrics(panel: Panel, arguments: Arguments) -> Lines:
    expect(arguments, 0)
    return panel.model.metrics


def _load(panel: Panel, arguments: Arguments) -> Lines:
    """The configuration: Quick Start in one direction or both; stored methods are not part of this."""
    if not arguments:
        mode = panel.state.settings.mode
        return (f"Quick Start - {MODES[mode]} (qs {mode})",)
    panel.require_still()
    if arguments[0].lower() != "qs":
        raise ArgumentRefused(arguments[0], "Unknown method")
    expect(arguments, 2)
    word = _choice(arguments[1:], (*MODES, "wi"))
    panel.state.settings.mode = "iw" if word == "wi" else word
    panel.runner.halt(":")
    return NOTHING


def _status(panel: Panel, arguments: Arguments) -> Lines:
    """``rate time volume flags`` of the current direction: fL/s, the model's time, fL."""
    expect(arguments, 0)
    motion, runner = panel.state.motion, panel.runner
    form: str = panel.quirks.status_form
    if form == "profile":
        form = _PROFILE_FORMS[panel.quirks.profile]
    ms = runner.time_ns(withdrawing=motion.withdrawing) // 1_000_000
    times = {"cycles": ms * CYCLES_PER_MS, "milliseconds": ms, "seconds": ms // 1_000}
    speed = runner.speed()
    rate = speed.numerator * FL_PER_NL // (speed.denominator * 3_600)
    volume = runner.volume_fl(withdrawing=motion.withdrawing)
    flags = _flags(panel)
    return (f"{rate} {times[form]} {volume} {flags[:5] if form == 'seconds' else flags}",)


_PROFILE_FORMS = {"elite": "cycles", "phd_ultra": "seconds", "legato": "milliseconds"}


def _flags(panel: Panel) -> str:
    """Direction (large: running), limit switch, stall, trigger input, direction port, target."""
    motion = panel.state.motion
    direction = "w" if motion.withdrawing else "i"
    limit = {">*": "I", "<*": "W"}.get(motion.prompt, ".")
    return "".join(
        (
            direction.upper() if motion.running else direction,
            limit,
            "S" if motion.prompt == "*" else ".",
            "T" if panel.state.trigger_high else ".",
            "I",
            "T" if motion.prompt == TARGET else ".",
        )
    )


_COMMANDS: Mapping[str, Command] = {
    **MOTION_COMMANDS,
    "address": _address,
    "baud": _baud,
    "poll": _poll,
    "echo": _echo,
    "nvram": _nvram,
    "dim": _dim,
    "ver": _short_version,
    "version": _version,
    "metrics": _metrics,
    "time": _clock,
    "load": _load,
    "ftswitch": _foot_switch,
    "input": _input,
    "output": _output,
    "status": _status,
}
