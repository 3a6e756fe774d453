"""The command table of Elite, PHD Ultra and Legato pumps: what moves, counts and measures.

Every action takes the pump's panel and the arguments, and returns the text lines of the answer: none for a
set that was obeyed.  Refusals are raised.  Not answerable for framing, addresses or prompts; what only
concerns the pump's electronics is in `sim.devices.harvard_system`.

Names may be cut to their first four letters and are case-insensitive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sim.devices.base import NS_PER_S
from sim.devices.harvard_models import Model
from sim.devices.harvard_numbers import (
    ArgumentRefused,
    duration_ns,
    format_duration,
    format_mm,
    format_rate,
    format_seconds,
    format_volume,
    number,
    rate_limits_nl_h,
    rate_nl_h,
    significant,
    time_base,
    volume_fl,
    whole,
)
from sim.devices.harvard_quirks import Quirks
from sim.devices.harvard_run import IDLE, CommandRefused, Runner
from sim.devices.harvard_state import DeviceState, Ramp, Rate
from sim.devices.harvard_syringes import find as find_makers
from sim.devices.harvard_syringes import makers

SMALLEST_DIAMETER = 1_000
"""0.1 mm, in tenths of a micrometre."""

LARGEST_VOLUME_FL = 10**15
"""Targets and syringes hold less than 1 L: a Legato 100 refused 2 L (where it begins to is our choice)."""

LONGEST_TIME_NS = 99 * 3_600 * NS_PER_S + 3_599 * NS_PER_S
"""99:59:59."""

OUT_OF_RANGE = "Out of range"
RUNNING = "Not available while running"


@dataclass(slots=True)
class Panel:
    """What commands work on."""

    state: DeviceState
    runner: Runner
    quirks: Quirks
    model: Model

    def require_still(self) -> None:
        """Raises `CommandRefused` while the pump runs."""
        if self.state.motion.running:
            raise CommandRefused(RUNNING)


Arguments = Sequence[str]
Lines = Sequence[str]
Command = Callable[[Panel, Arguments], Lines]

NOTHING: Lines = ()


def expect(arguments: Arguments, count: int) -> None:
    """Raises `ArgumentRefused` for one that is missing or too many."""
    if len(arguments) < count:
        raise ArgumentRefused("", "Missing argument")
    if len(arguments) > count:
        raise ArgumentRefused(arguments[count], "Unknown argument")


# -- syringe ----------------------------------------------------------------------------------------


def _diameter(panel: Panel, arguments: Arguments) -> Lines:
    settings = panel.state.settings
    if not arguments:
        return (f"{format_mm(settings.diameter)} mm",)
    if len(arguments) > 1 and arguments[1].lower() == "mm":
        arguments = (arguments[0], *arguments[2:])
    expect(arguments, 1)
    value = int(number(arguments[0]) * 10_000)
    panel.require_still()
    if not SMALLEST_DIAMETER <= value <= panel.model.largest_mm * 10_000:
        raise ArgumentRefused(arguments[0], OUT_OF_RANGE)
    settings.maker = "Custom"
    _fit(panel, value)
    return NOTHING


def _fit(panel: Panel, diameter: int) -> None:
    panel.state.settings.diameter = diameter
    panel.runner.mechanics.fit(round(diameter / 10))


def _syringe_volume(panel: Panel, arguments: Arguments) -> Lines:
    settings = panel.state.settings
    if not arguments:
        return (format_volume(settings.syringe_fl),)
    expect(arguments, 2)
    value = volume_fl(*arguments)
    panel.require_still()
    if not 0 < value <= LARGEST_VOLUME_FL:
        raise ArgumentRefused(arguments[0], OUT_OF_RANGE)
    settings.syringe_fl = value
    return NOTHING


def _manufacturer(panel: Panel, arguments: Arguments) -> Lines:
    if not arguments:
        return (_syringe_text(panel),)
    if arguments[0] == "?":
        expect(arguments, 1)
        return tuple(f"{maker.code}  {maker.name}" for maker in makers().values())
    found = find_makers(arguments[0])
    if not found:
        raise ArgumentRefused(arguments[0], "Unknown manufacturer")
    if list(arguments[1:]) == ["?"]:
        volumes = sorted({volume for maker in found for volume in maker.barrels})
        return tuple(format_volume(volume) for volume in volumes)
    expect(arguments, 3)
    volume = volume_fl(arguments[1], arguments[2])
    panel.require_still()
    for maker in found:
        if volume in maker.barrels:
            panel.state.settings.maker = maker.name
            panel.state.settings.syringe_fl = volume
            _fit(panel, maker.barrels[volume])
            return NOTHING
    raise ArgumentRefused(arguments[1], "Unknown syringe")


def _syringe_text(panel: Panel) -> str:
    """The Legato also tells the volume."""
    settings = panel.state.settings
    parts = [settings.maker, f"{significant(settings.diameter, 10_000)} mm"]
    if panel.quirks.profile == "legato":
        parts.insert(1, format_volume(settings.syringe_fl))
    return ", ".join(parts)


# -- rates ------------------------------------------------------------------------------------------


def _rate(panel: Panel, arguments: Arguments, *, withdrawing: bool) -> Lines:
    rate = panel.runner.rate(withdrawing=withdrawing)
    slowest, fastest = rate_limits_nl_h(panel.state.settings.diameter)
    word = arguments[0].lower() if len(arguments) == 1 else ""
    if not arguments:
        base = rate.base if panel.quirks.rate_unit == "as_set" else "m"
        return (format_rate(rate.nl_h, base),)
    if word == "lim":
        return (f"{format_rate(slowest)} to {format_rate(fastest)}",)
    if word in {"max", "min"}:
        wanted, base = (fastest if word == "max" else slowest), "m"
    else:
        expect(arguments, 2)
        wanted, base = rate_nl_h(*arguments), time_base(arguments[1])
    if not slowest <= wanted <= fastest:
        raise ArgumentRefused(arguments[0], OUT_OF_RANGE)
    rate.nl_h, rate.base = wanted, base
    if panel.state.nvram:
        kept = panel.state.settings.withdraw if withdrawing else panel.state.settings.infuse
        kept.nl_h, kept.base = wanted, base
    _set_ramp(panel, None, withdrawing=withdrawing)
    motion = panel.state.motion
    if motion.running and motion.withdrawing == withdrawing:
        panel.runner.profile()
    return NOTHING


def _set_ramp(panel: Panel, ramp: Ramp | None, *, withdrawing: bool) -> None:
    if withdrawing:
        panel.state.withdraw_ramp = ramp
    else:
        panel.state.infuse_ramp = ramp


def _current_rate(panel: Panel, arguments: Arguments) -> Lines:
    expect(arguments, 0)
    motion = panel.state.motion
    if not motion.running:
        raise CommandRefused("Pump is not running")
    verb = "Withdrawing" if motion.withdrawing else "Infusing"
    return (f"{verb} at {format_rate(panel.runner.speed())}",)


def _ramp(panel: Panel, arguments: Arguments, *, withdrawing: bool) -> Lines:
    if not arguments:
        ramp = panel.runner.ramp(withdrawing=withdrawing)
        if ramp is None:
            return ("Ramp not set up.",)
        seconds = format_seconds(ramp.duration_ns)
        return (f"{format_rate(ramp.start)} to {format_rate(ramp.end)} in {seconds}",)
    expect(arguments, 5)
    start, end = rate_nl_h(*arguments[:2]), rate_nl_h(*arguments[2:4])
    duration = duration_ns(arguments[4])
    panel.require_still()
    slowest, fastest = rate_limits_nl_h(panel.state.settings.diameter)
    for value, text in ((start, arguments[0]), (end, arguments[2])):
        if not slowest <= value <= fastest:
            raise ArgumentRefused(text, OUT_OF_RANGE)
    if not 0 < duration <= LONGEST_TIME_NS:
        raise ArgumentRefused(arguments[4], OUT_OF_RANGE)
    _set_ramp(panel, Ramp(start, end, duration), withdrawing=withdrawing)
    return NOTHING


# -- volumes and times ------------------------------------------------------------------------------


def _volume(panel: Panel, arguments: Arguments, *, withdrawing: bool) -> Lines:
    expect(arguments, 0)
    return (format_volume(panel.runner.volume_fl(withdrawing=withdrawing)),)


def _time(panel: Panel, arguments: Arguments, *, withdrawing: bool) -> Lines:
    expect(arguments, 0)
    return (format_duration(panel.runner.time_ns(withdrawing=withdrawing)),)


def _clear_volumes(panel: Panel, arguments: Arguments, *, directions: str) -> Lines:
    expect(arguments, 0)
    for direction in directions:
        panel.runner.clear_volume(withdrawing=direction == "w")
    panel.runner.forget()
    return NOTHING


def _clear_times(panel: Panel, arguments: Arguments, *, directions: str) -> Lines:
    expect(arguments, 0)
    for direction in directions:
        panel.runner.clear_time(withdrawing=direction == "w")
    panel.runner.forget()
    return NOTHING


def _target_volume(panel: Panel, arguments: Arguments) -> Lines:
    state = panel.state
    if not arguments:
        target = state.target_fl
        return ("Target volume not set" if target is None else format_volume(target),)
    expect(arguments, 2)
    value = volume_fl(*arguments)
    if not 0 < value <= LARGEST_VOLUME_FL:
        raise ArgumentRefused(arguments[0], "Target volume out of range")
    _require_settable(panel)
    state.target_fl = value
    panel.runner.retarget()
    return NOTHING


def _target_time(panel: Panel, arguments: Arguments) -> Lines:
    state = panel.state
    if not arguments:
        target = state.target_ns
        return ("Target time not set" if target is None else format_duration(target),)
    expect(arguments, 1)
    value = duration_ns(arguments[0])
    if not 0 < value <= LONGEST_TIME_NS:
        raise ArgumentRefused(arguments[0], "Target time out of range")
    _require_settable(panel)
    state.target_ns = value
    panel.runner.retarget()
    return NOTHING


def _require_settable(panel: Panel) -> None:
    if panel.quirks.target_while_running == "refuse":
        panel.require_still()


def _clear_target_volume(panel: Panel, arguments: Arguments) -> Lines:
    expect(arguments, 0)
    panel.state.target_fl = None
    panel.runner.retarget()
    panel.runner.forget()
    return NOTHING


def _clear_target_time(panel: Panel, arguments: Arguments) -> Lines:
    """Clears ramps as well: recorded."""
    expect(arguments, 0)
    state = panel.state
    state.target_ns = None
    ramped = panel.runner.ramp(withdrawing=state.motion.withdrawing) is not None
    state.infuse_ramp = state.withdraw_ramp = None
    if state.motion.running and ramped:
        panel.runner.profile()
    else:
        panel.runner.retarget()
    panel.runner.forget()
    return NOTHING


# -- run and stop -----------------------------------------------------------------------------------


def _run(panel: Panel, arguments: Arguments, *, withdrawing: bool) -> Lines:
    expect(arguments, 0)
    panel.runner.start(withdrawing=withdrawing)
    return NOTHING


def _run_key(panel: Panel, arguments: Arguments) -> Lines:
    """The run key: the direction of the mode, or the last one where the mode has both."""
    mode = panel.state.settings.mode
    withdrawing = panel.state.motion.withdrawing if len(mode) > 1 else mode == "w"
    return _run(panel, arguments, withdrawing=withdrawing)


def _run_reversed(panel: Panel, arguments: Arguments) -> Lines:
    return _run(panel, arguments, withdrawing=not panel.state.motion.withdrawing)


def _stop(panel: Panel, arguments: Arguments) -> Lines:
    expect(arguments, 0)
    panel.runner.halt(IDLE)
    return NOTHING


def _force(panel: Panel, arguments: Arguments) -> Lines:
    if not arguments:
        return (f"{panel.state.settings.force}%",)
    expect(arguments, 1)
    panel.state.settings.force = whole(arguments[0], 1, 100, OUT_OF_RANGE)
    return NOTHING


STOPS = frozenset({"stp", "stop"})

MOTION_COMMANDS: Mapping[str, Command] = {
    "diameter": _diameter,
    "svolume": _syringe_volume,
    "syrmanu": _manufacturer,
    "force": _force,
    "irate": partial(_rate, withdrawing=False),
    "wrate": partial(_rate, withdrawing=True),
    "crate": _current_rate,
    "iramp": partial(_ramp, withdrawing=False),
    "wramp": partial(_ramp, withdrawing=True),
    "ivolume": partial(_volume, withdrawing=False),
    "wvolume": partial(_volume, withdrawing=True),
    "civolume": partial(_clear_volumes, directions="i"),
    "cwvolume": partial(_clear_volumes, directions="w"),
    "cvolume": partial(_clear_volumes, directions="iw"),
    "tvolume": _target_volume,
    "ctvolume": _clear_target_volume,
    "itime": partial(_time, withdrawing=False),
    "wtime": partial(_time, withdrawing=True),
    "citime": partial(_clear_times, directions="i"),
    "cwtime": partial(_clear_times, directions="w"),
    "ctime": partial(_clear_times, directions="iw"),
    "ttime": _target_time,
    "cttime": _clear_target_time,
    "irun": partial(_run, withdrawing=False),
    "wrun": partial(_run, withdrawing=True),
    "run": _run_key,
    "rrun": _run_reversed,
    "stp": _stop,
    "stop": _stop,
}
"""Name -> action."""


def kept_rate(rate: Rate) -> Rate:
    """A copy, for what power-up takes out of the non-volatile memory."""
    return Rate(rate.nl_h, rate.base)
