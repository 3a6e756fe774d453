"""The pumping program of a New Era pump: run, pause, stop, purge, and what follows a phase.

Answerable for the run state and for what the motor is told.  Everything happens at the mechanics' own
instant.  Phases that are executed: ``RAT STP PAS JMP CLD BEP OUT``.  The others of `FUNCTIONS` can be
stored and read back; a program that reaches one ends with the program alarm ``E``, as it does with a
rate outside the limits.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.devices.base import NS_PER_S
from sim.devices.new_era_numbers import (
    NOT_NOW,
    VOLUME_UNITS_NL,
    Refusal,
    rate_limits_nl_h,
)
from sim.devices.new_era_quirks import Quirks
from sim.devices.new_era_state import PHASES, DeviceState, Phase, factory_program
from sim.mechanics import PARTS_PER_NL, End, Mechanics

FUNCTIONS: dict[str, tuple[int, int] | None] = {
    "RAT": None,
    "STP": None,
    "FIL": None,
    "INC": None,
    "DEC": None,
    "CLD": None,
    "BEP": None,
    "LPS": None,
    "EVR": None,
    "PAS": (1, 99),
    "JMP": (1, PHASES),
    "LOP": (1, 99),
    "IF": (1, PHASES),
    "EVN": (1, PHASES),
    "EVS": (1, PHASES),
    "OUT": (0, 1),
}
"""Phase functions with the range of their argument (s for PAS, a phase, a count, a level)."""

ALARM_STALL = "S"
ALARM_PROGRAM = "E"
ALARM_PHASE = "O"


@dataclass(slots=True)
class Program:
    """Moves the motor as the program in ``state`` says."""

    state: DeviceState
    mechanics: Mechanics
    quirks: Quirks
    version: str
    """The answer to ``VER``."""

    # -- what is looked at ------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """The phase that settings refer to: the running one while running, else the selected one."""
        run = self.state.run
        number = run.phase if run.running else self.state.settings.selected
        return self.state.settings.phases[number - 1]

    @property
    def rated(self) -> Phase:
        """The phase whose rate holds: a running one that was never given any goes on at the last."""
        run, phase = self.state.run, self.phase
        if run.status in "IW" and not phase.rate and run.rate_phase:
            return self.state.settings.phases[run.rate_phase - 1]
        return phase

    def require_still(self) -> None:
        """Raises `Refusal` ``?NA`` while the program executes."""
        if self.state.run.running:
            raise Refusal(NOT_NOW)

    def counted(self, *, withdrawn: bool) -> int:
        """A volume counter in thousandths of the volume unit, saturated or rolled over."""
        if withdrawn:
            parts = self.mechanics.withdrawn_parts - self.state.withdrawn_zero
        else:
            parts = self.mechanics.infused_parts - self.state.infused_zero
        unit = VOLUME_UNITS_NL[self.state.settings.volume_unit]
        value = self.state.faults.counted(parts) // PARTS_PER_NL // unit
        if self.quirks.dis_overflow == "rollover":
            return value % 10_000_000
        return min(value, 9_999_000)

    # -- what a host or a key can do --------------------------------------------------------------

    def start(self, phase: int | None) -> None:
        """Start at ``phase``, or at 1; without a phase a paused program goes on instead."""
        run = self.state.run
        self.require_still()
        if phase is None and run.status == "P":
            self._resume()
            return
        run.rate_phase = 0
        self._enter(1 if phase is None else phase, began_ns=-1)

    def pause_or_stop(self) -> None:
        """Pause what runs, stop what is paused; a purge just stops."""
        run = self.state.run
        if run.status == "S":
            if self.quirks.stp_when_stopped == "na":
                raise Refusal(NOT_NOW)
        elif run.status in "PX":
            self.end()
        else:
            self.mechanics.stop()
            if run.status == "T" and run.wait_ns is not None:
                run.wait_ns -= self.mechanics.state.now_ns
            run.status = "P"

    def end(self) -> None:
        """The program is over; nothing remains to be continued."""
        self.mechanics.stop()
        self.state.run.status = "S"
        self.state.run.wait_ns = None

    def cancel_pause(self) -> None:
        """A paused program whose volume, function or syringe changed cannot go on as it was."""
        if self.state.run.status == "P":
            self.end()

    def purge(self) -> None:
        """Pump at the fastest rate, in the selected direction, until stopped."""
        self.require_still()
        run, settings = self.state.run, self.state.settings
        run.withdrawing = self._withdrawing(settings.phases[settings.selected - 1])
        self.end()
        run.status, run.phase = "X", settings.selected
        fastest = int(rate_limits_nl_h(settings.diameter)[1])
        self.mechanics.start(-fastest if run.withdrawing else fastest)

    def rate_changed(self) -> None:
        """The running phase has a new rate or direction, which holds at once."""
        self._drive(self.phase)

    def clear_counter(self, *, withdrawn: bool) -> None:
        """The counter is zero; what the plunger did stays done."""
        if withdrawn:
            self.state.withdrawn_zero = self.mechanics.withdrawn_parts
        else:
            self.state.infused_zero = self.mechanics.infused_parts

    def clear_counters(self) -> None:
        """Both counters are zero."""
        self.clear_counter(withdrawn=False)
        self.clear_counter(withdrawn=True)

    def reset(self) -> None:
        """``*RESET``: factory program, basic mode, address 0."""
        settings = self.state.settings
        self.end()
        self.clear_counters()
        settings.phases = factory_program(self.quirks)
        settings.selected = 1
        settings.safe_s = 0
        settings.address = 0

    # -- what happens by itself -------------------------------------------------------------------

    def motion_ended(self, cause: End) -> None:
        """A target leads to the next phase; every obstacle is a stalled motor to this pump."""
        run = self.state.run
        if cause is End.TARGET:
            self._enter(run.phase + 1, began_ns=self.mechanics.state.now_ns)
            return
        self.end()
        self.raise_alarm(ALARM_STALL)

    def wait_ended(self) -> None:
        """A timed pause is over."""
        run = self.state.run
        run.wait_ns = None
        self._enter(run.phase + 1, began_ns=self.mechanics.state.now_ns)

    def raise_alarm(self, letter: str) -> None:
        """The alarm is pending until it has answered a command; the same one is pending once."""
        if letter not in self.state.alarms:
            self.state.alarms.append(letter)

    # -- phases -----------------------------------------------------------------------------------

    def _enter(self, number: int, *, began_ns: int) -> None:
        """Execute phases from ``number`` on, up to one that takes time or ends the program."""
        run = self.state.run
        for _ in range(PHASES + 1):
            if number > PHASES:
                self._fail(ALARM_PHASE)
                return
            phase = self.state.settings.phases[number - 1]
            run.phase, run.phase_began_ns = number, began_ns
            if phase.function in {"RAT", "PAS", "STP"}:
                self._occupy(phase)
                return
            following = self._pass(phase, number)
            if following is None:
                self._fail(ALARM_PROGRAM)
                return
            number = following
        self._fail(ALARM_PROGRAM)  # it jumps in a circle in no time

    def _occupy(self, phase: Phase) -> None:
        """A phase that lasts, or the one that ends the program."""
        run = self.state.run
        if phase.function == "STP":
            self.end()
        elif phase.function == "PAS":
            self.mechanics.stop()
            run.status = "T"
            run.wait_ns = self.mechanics.state.now_ns + (phase.argument or 0) * NS_PER_S
        else:
            run.withdrawing = self._withdrawing(phase)
            run.began_parts = self.mechanics.moved_parts
            self._drive(phase)

    def _pass(self, phase: Phase, number: int) -> int | None:
        """A phase that takes no time; the number of the following one, ``None`` if not executed here."""
        match phase.function:
            case "JMP":
                return phase.argument
            case "CLD":
                self.clear_counters()
            case "OUT":
                self.state.output = phase.argument or 0
            case "BEP":
                self.state.buzzer = 1
            case _:
                return None
        return number + 1

    def _drive(self, phase: Phase) -> None:
        """The motor runs this rate phase, for what its target leaves."""
        run, settings = self.state.run, self.state.settings
        run.status = "W" if run.withdrawing else "I"
        run.rate_phase = run.phase if phase.rate else run.rate_phase
        rate = self.rated.rate_nl_h
        slowest, fastest = rate_limits_nl_h(settings.diameter)
        if not slowest <= rate <= fastest:
            self._fail(ALARM_PROGRAM)
            return
        target = settings.target_parts(phase)
        moved = self.mechanics.moved_parts - run.began_parts
        left = max(0, target - moved) if target else None
        self.mechanics.start(-rate if run.withdrawing else rate, left)

    def _resume(self) -> None:
        """Go on with the rest of the paused phase."""
        run = self.state.run
        phase = self.state.settings.phases[run.phase - 1]
        run.phase_began_ns = -1
        if run.wait_ns is not None:
            run.status = "T"
            run.wait_ns += self.mechanics.state.now_ns
            return
        run.withdrawing = self._withdrawing(phase)
        self._drive(phase)

    def _withdrawing(self, phase: Phase) -> bool:
        """``STK`` keeps the direction of whatever ran before."""
        if phase.direction == "STK":
            return self.state.run.withdrawing
        return phase.direction == "WDR"

    def _fail(self, letter: str) -> None:
        self.end()
        self.raise_alarm(letter)
