"""The TTL inputs of a New Era pump: what a change of level at each pin makes the program do.

Pin 2 starts and stops as ``TRG`` says, pin 3 turns the direction as ``DIN`` says, pin 4 springs the
event trap, pin 6 is only read by ``IF``.  Pins and edges as in the manual's table of the DB-9 connector
(NE-1000 manual 1200-01, TTL I/O).  [design] The triggers by level (``RL RH SL SH``) act when the level
is reached, not again and again while it lasts.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.devices.new_era_numbers import Refusal
from sim.devices.new_era_program import DIRECTION_PIN, Program
from sim.devices.new_era_state import INPUT_PINS

TRIGGER_PIN, EVENT_PIN = 2, 4


def _start(program: Program) -> None:
    if not program.state.alarms:  # nothing starts before an alarm was acknowledged
        program.start(None)


def _stop(program: Program) -> None:
    if program.state.run.running and not program.state.faults.stop_ignored:
        program.pause_or_stop()


def _start_or_stop(program: Program) -> None:
    running = program.state.run.running and program.state.run.status != "U"
    (_stop if running else _start)(program)


def _nothing(_: Program) -> None:
    """This edge means nothing in this mode."""


Action = Callable[[Program], None]
_EDGES: dict[str, tuple[Action, Action]] = {
    "FT": (_start_or_stop, _nothing),
    "FH": (_start, _stop),
    "F2": (_nothing, _start_or_stop),
    "LE": (_stop, _start),
    "ST": (_start, _nothing),
    "T2": (_nothing, _start),
    "SP": (_stop, _nothing),
    "P2": (_nothing, _stop),
    "RL": (_start, _nothing),
    "RH": (_nothing, _start),
    "SL": (_stop, _nothing),
    "SH": (_nothing, _stop),
    "ET": (Program.event, _nothing),
    "BT": (_nothing, _nothing),
}
"""What a falling and what a rising edge of pin 2 does."""


def level_changed(program: Program, pin: int, level: int) -> None:
    """The level at this pin is ``level`` now.  What the pump cannot do now it leaves undone."""
    if pin not in INPUT_PINS or level not in (0, 1):
        raise ValueError(
            f"pin {pin}, level {level}: an input is one of {INPUT_PINS}, a level 0 or 1"
        )
    inputs, run = program.state.inputs, program.state.run
    if inputs[pin] == level:
        return
    inputs[pin] = level
    try:
        if pin == TRIGGER_PIN:
            _EDGES[run.trigger or program.state.settings.trigger][level](program)
        elif pin == DIRECTION_PIN:
            withdraw = level != program.state.settings.direction_input
            program.turn("WDR" if withdraw else "INF")
        elif pin == EVENT_PIN and run.trap and (run.trap_square or level == 0):
            program.event()
    except Refusal:
        return
