"""The pumping program of a New Era pump: run, pause, stop, purge, phases one after the other, events.

Answerable for the run state and for what the motor is told.  Everything happens at the mechanics' own
instant.  A program that cannot go on ends with the program alarm ``E``: a rate outside the limits, a
loop end without its start, loops nested too deep, phases that follow each other without end in no time.
What levels on the TTL inputs do: `sim.devices.new_era_inputs`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sim.devices.new_era_functions import RATED
from sim.devices.new_era_models import Model
from sim.devices.new_era_numbers import (
    IGNORED,
    NOT_NOW,
    RATE_UNITS_NL_H,
    UNKNOWN,
    VOLUME_UNITS_PARTS,
    Refusal,
    format_number,
    format_pointless,
)
from sim.devices.new_era_quirks import Quirks
from sim.devices.new_era_state import PHASES, DeviceState, Phase, Run, factory_program
from sim.mechanics import End, Mechanics

ALARM_STALL = "S"
ALARM_PROGRAM = "E"
ALARM_PHASE = "O"

LOOPS_MAX = 3
"""Loops nest three deep, as writers of such programs have it."""
_PHASES_IN_NO_TIME_MAX = 20_000
"""[design] More phases than this that take no time are taken for a program without end; two nested
loops of 99 are less."""
_NS_PER_TENTH = 100_000_000
_COUNTER_END = 10_000_000
DIRECTION_PIN, PROGRAM_PIN = 3, 6


@dataclass(slots=True)
class Program:
    """Moves the motor as the program in ``state`` says."""

    state: DeviceState
    mechanics: Mechanics
    quirks: Quirks
    model: Model
    number: Callable[[int], str] = field(init=False)
    """How it writes thousandths."""

    def __post_init__(self) -> None:
        pointed = self.quirks.reply_ge_1000 == "trailing_point"
        self.number = format_number if pointed else format_pointless

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
        if run.status in "IW" and run.rate_phase:
            return self.state.settings.phases[run.rate_phase - 1]
        return phase

    def rate_shown(self) -> tuple[int, str]:
        """Thousandths and unit: of the selected phase, or what the pump goes at."""
        rated, step = self.rated, self.state.run.step_nl_h
        if not step or self.state.run.status not in "IW":
            return rated.rate, rated.rate_unit
        return int(self._rate_nl_h() / RATE_UNITS_NL_H[rated.rate_unit]), rated.rate_unit

    def limits_nl_h(self) -> tuple[float, float]:
        """Slowest and fastest rate with this syringe."""
        return self.model.limits_nl_h(self.state.settings.diameter)

    def require_still(self) -> None:
        """Raises `Refusal` ``?NA`` while the program executes."""
        if self.state.run.running:
            raise Refusal(NOT_NOW)

    def refuse_at_phase_start(self) -> None:
        """Raises ``?IGN``: the program moved to this phase just now, and it is not clear which was meant."""
        if self.state.run.phase_began_ns == self.mechanics.state.now_ns:
            raise Refusal(IGNORED)

    def counted(self) -> tuple[int, int]:
        """Infused and withdrawn, in thousandths of the volume unit, saturated or rolled over."""
        state, mechanics = self.state, self.mechanics
        unit = VOLUME_UNITS_PARTS[state.settings.volume_unit]
        infused = mechanics.infused_parts - state.infused_zero
        withdrawn = mechanics.withdrawn_parts - state.withdrawn_zero
        if state.faults.there:
            counted = state.faults.counted
            infused, withdrawn = counted(infused), counted(withdrawn)
        infused, withdrawn = infused // unit, withdrawn // unit
        if infused < _COUNTER_END and withdrawn < _COUNTER_END:
            return infused, withdrawn
        if self.quirks.dis_overflow == "rollover":
            return infused % _COUNTER_END, withdrawn % _COUNTER_END
        return min(infused, _COUNTER_END - 1_000), min(withdrawn, _COUNTER_END - 1_000)

    # -- what a host, a key or an input can do ----------------------------------------------------

    def start(self, phase: int | None) -> None:
        """Start at ``phase``, or at 1; without a phase a paused program or a user wait goes on instead."""
        run = self.state.run
        if phase is None and run.status == "U" and self.phase.function == "PAS":
            self._enter(run.phase + 1, began_ns=-1)
            return
        self.require_still()
        if phase is None and run.status == "P":
            self._resume()
            return
        self.state.run = Run()
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
            if run.wait_ns is not None:
                run.wait_ns -= self.mechanics.state.now_ns
            run.paused, run.status = run.status, "P"

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
        settings = self.state.settings
        self.end()
        run = self.state.run
        run.withdrawing = self._withdrawing(settings.phases[settings.selected - 1])
        run.status, run.phase = "X", settings.selected
        fastest = int(self.limits_nl_h()[1])
        self.mechanics.start(-fastest if run.withdrawing else fastest)

    def rate_changed(self) -> None:
        """The running phase has a new rate, which holds at once."""
        run = self.state.run
        run.rate_phase, run.step_nl_h = run.phase, 0
        self._drive()

    def turn(self, direction: str) -> None:
        """Another direction for this phase, at once if it is running.  Raises `Refusal`."""
        run, phase = self.state.run, self.phase
        if direction not in {"INF", "WDR", "REV", "STK"}:
            raise Refusal(UNKNOWN)
        if run.running:
            still = direction == "STK" or phase.function == "FIL" or run.status not in "IW"
            if still or phase.volume:
                raise Refusal(NOT_NOW)
            self.refuse_at_phase_start()
        if direction == "REV":
            was = run.withdrawing if run.running else phase.direction == "WDR"
            direction = "INF" if was else "WDR"
        phase.direction = direction
        if run.running:
            run.withdrawing = direction == "WDR"
            self._drive()

    def event(self, to: int | None = None) -> None:
        """Leave the phase for the one of the trap, or for ``to``.  Raises `Refusal` where it cannot."""
        run = self.state.run
        target = run.trap if to is None else to
        if not run.running or run.status == "X" or not target:
            raise Refusal(NOT_NOW)
        if self.quirks.event_trap == "once":
            run.trap = 0
        self.mechanics.stop()
        run.wait_ns = None
        self._enter(target, began_ns=self.mechanics.state.now_ns)

    def choose(self, label: int) -> None:
        """Who stands at the pump answers ``PRI`` with a label.  Raises `Refusal` if nobody asked."""
        run, phases = self.state.run, self.state.settings.phases
        if run.status != "U" or phases[run.phase - 1].function != "PRI":
            raise Refusal(NOT_NOW)
        for number, phase in enumerate(phases, start=1):
            if phase.function == "PRL" and phase.argument == label:
                self._enter(number, began_ns=self.mechanics.state.now_ns)
                return
        self._fail(ALARM_PROGRAM)

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
        settings.phases = factory_program(self.quirks, self.model.rate_unit)
        settings.selected = 1
        settings.safe_s = 0
        settings.address = 0

    # -- what happens by itself -------------------------------------------------------------------

    def motion_ended(self, cause: End) -> None:
        """A target leads to the next phase; every obstacle is a stalled motor to this pump."""
        run = self.state.run
        if cause is not End.TARGET:
            self.end()
            self.raise_alarm(ALARM_STALL)
            return
        filled = self.state.settings.phases[run.phase - 1].function == "FIL"
        if filled and self.quirks.fill_counters == "clear":
            self.clear_counters()
        self._enter(run.phase + 1, began_ns=self.mechanics.state.now_ns)

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
        for _ in range(_PHASES_IN_NO_TIME_MAX):
            if number > PHASES:
                self._fail(ALARM_PHASE)
                return
            phase = self.state.settings.phases[number - 1]
            run.phase, run.phase_began_ns = number, began_ns
            if phase.function in RATED:
                if self._pump(phase):
                    return
                number += 1
            elif phase.function == "STP":
                self.end()
                return
            elif phase.function in {"PAS", "PRI"}:
                self._wait(phase)
                return
            else:
                following = self._pass(phase, number)
                if following == 0:
                    break
                number = following
        self._fail(ALARM_PROGRAM)

    def _pass(self, phase: Phase, number: int) -> int:
        """A phase that takes no time; the number of the following one, 0 if there can be none."""
        run, argument = self.state.run, phase.argument or 0
        match phase.function:
            case "JMP":
                return argument
            case "IF":
                return number + 1 if self.state.inputs[PROGRAM_PIN] else argument
            case "LPS":
                return self._loop_start(number)
            case "LOP":
                return self._loop_end(argument, number)
            case "EVN" | "EVS":
                run.trap, run.trap_square = argument, phase.function == "EVS"
            case "EVR":
                run.trap = 0
            case "TRG":
                run.trigger = phase.trigger
            case "CLD":
                self.clear_counters()
            case "OUT":
                self.state.output = argument
            case "BEP":
                self.state.beeps += 1
        return number + 1  # PRL is nothing but a place

    def _loop_start(self, number: int) -> int:
        """A loop opens; one that was left by a jump and is met again begins anew."""
        loops = self.state.run.loops
        starts = [start for start, _ in loops]
        if number in starts:
            del loops[starts.index(number) :]
        if len(loops) == LOOPS_MAX:
            return 0
        loops.append((number, 0))
        return number + 1

    def _loop_end(self, count: int, number: int) -> int:
        """Back to the start as often as it says, then on."""
        loops = self.state.run.loops
        if not loops:
            if self.quirks.loop_without_start == "error":
                return 0
            loops.append((0, 0))
        start, passed = loops.pop()
        passed += 1
        passes = count if self.quirks.loop_count == "passes" else count + 1
        if passed >= passes:
            return number + 1
        loops.append((start, passed))
        return start + 1

    def _wait(self, phase: Phase) -> None:
        """For so long; or, with no time or for a choice, until somebody says so."""
        run = self.state.run
        self.mechanics.stop()
        if phase.function == "PAS" and phase.argument:
            run.status = "T"
            run.wait_ns = self.mechanics.state.now_ns + phase.argument * _NS_PER_TENTH
        else:
            run.status = "U"

    def _pump(self, phase: Phase) -> bool:
        """A phase that pumps begins; False for a fill of what nothing is missing from."""
        run = self.state.run
        if phase.function in {"INC", "DEC"}:
            step = phase.rate_nl_h if phase.function == "INC" else -phase.rate_nl_h
            if run.rate_phase:
                run.step_nl_h += step
            else:  # from standing still: up to its own rate, or to less than nothing
                run.rate_phase, run.step_nl_h = run.phase, step - phase.rate_nl_h
        elif phase.rate or not run.rate_phase:
            run.rate_phase, run.step_nl_h = run.phase, 0
        if phase.function == "FIL":
            missing = self._dispensed()
            if missing == 0:
                return False
            run.withdrawing, run.target_parts = missing > 0, abs(missing)
        else:
            run.withdrawing = self._withdrawing(phase)
            run.target_parts = self.state.settings.target_parts(phase)
        run.turned = True
        run.began_parts = self.mechanics.moved_parts
        self._drive()
        return True

    def _dispensed(self) -> int:
        """By how much the syringe is emptier than at the last clearing of the counters, in parts."""
        infused = self.mechanics.infused_parts - self.state.infused_zero
        return infused - (self.mechanics.withdrawn_parts - self.state.withdrawn_zero)

    def _rate_nl_h(self) -> int:
        run = self.state.run
        return self.state.settings.phases[run.rate_phase - 1].rate_nl_h + run.step_nl_h

    def _drive(self) -> None:
        """The motor runs this phase, for what its target leaves."""
        run = self.state.run
        run.status = "W" if run.withdrawing else "I"
        rate = self._rate_nl_h()
        slowest, fastest = self.limits_nl_h()
        if not slowest <= rate <= fastest:
            self._fail(ALARM_PROGRAM)
            return
        moved = self.mechanics.moved_parts - run.began_parts
        left = max(0, run.target_parts - moved) if run.target_parts else None
        self.mechanics.start(-rate if run.withdrawing else rate, left)

    def _resume(self) -> None:
        """Go on with the rest of the paused phase."""
        run = self.state.run
        run.phase_began_ns = -1
        if run.paused in "TU":
            run.status = run.paused
            if run.wait_ns is not None:
                run.wait_ns += self.mechanics.state.now_ns
            return
        phase = self.state.settings.phases[run.phase - 1]
        if phase.function != "FIL":
            run.withdrawing = self._withdrawing(phase)
        self._drive()

    def _withdrawing(self, phase: Phase) -> bool:
        """``STK`` keeps the direction of whatever ran before; at first, what the direction input says."""
        run = self.state.run
        if phase.direction != "STK":
            return phase.direction == "WDR"
        if run.turned:
            return run.withdrawing
        return self.state.inputs[DIRECTION_PIN] != self.state.settings.direction_input

    def _fail(self, letter: str) -> None:
        self.end()
        self.raise_alarm(letter)
