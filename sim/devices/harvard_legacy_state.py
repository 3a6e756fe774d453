"""Everything an older Harvard pump knows, as plain data, and how its motor follows it.

`Settings` is the non-volatile memory; the rest of `DeviceState` is gone with the mains, except the
mechanics, which are outside the electronics.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.devices.breakage import Breakage
from sim.devices.harvard_legacy_numbers import NOT_NOW, RATE_UNITS_NL_H, Refusal, rate_limits_nl_h
from sim.devices.harvard_legacy_quirks import Quirks
from sim.mechanics import PARTS_PER_NL, End, Mechanics, MechanicsState

STOPPED, INTERRUPTED, STALLED, TARGET = ":", "*", "*", "*T"
INFUSING, WITHDRAWING = ">", "<"


@dataclass(slots=True)
class Rate:
    """A programmed rate in thousandths of its unit; 0 for none."""

    value: int = 0
    unit: str = "MH"

    @property
    def nl_h(self) -> int:
        """The rate in nL/h."""
        return self.value * RATE_UNITS_NL_H[self.unit]


@dataclass(slots=True)
class Settings:
    """What the pump keeps in non-volatile memory."""

    address: int
    diameter: int = 14_430  # um; the factory value is our own choice
    rate: Rate = field(default_factory=Rate)
    refill: Rate = field(default_factory=Rate)
    """0: the same as ``rate``."""
    auto_fill: bool = False


@dataclass(slots=True)
class DeviceState:
    """The whole pump; copying this copies the pump."""

    settings: Settings
    mechanics: MechanicsState
    prompt: str = STOPPED
    withdrawing: bool = False
    volume_mode: bool = False
    target_nl: int = 0
    """0 for none."""
    unfinished: bool = False
    """A run was stopped before its target, and goes on with the next start."""
    began_parts: int = 0
    """The counter of this direction when the run that the target counts began."""
    infused_zero: int = 0
    withdrawn_zero: int = 0
    sent_ns: int = 0
    """When the last answer has left."""
    buffer: bytearray = field(default_factory=bytearray)
    faults: Breakage = field(default_factory=Breakage)

    @property
    def running(self) -> bool:
        """The motor is meant to turn."""
        return self.prompt in {INFUSING, WITHDRAWING}


@dataclass(slots=True)
class Motor:
    """Moves the plunger as ``state`` says."""

    state: DeviceState
    mechanics: Mechanics
    quirks: Quirks

    def counted_parts(self, *, withdrawing: bool) -> int:
        """A volume counter."""
        if withdrawing:
            return self.mechanics.withdrawn_parts - self.state.withdrawn_zero
        return self.mechanics.infused_parts - self.state.infused_zero

    def start(self, *, withdrawing: bool) -> None:
        """Run in this direction; a running pump turns round.  Raises `Refusal`."""
        state = self.state
        if state.running and state.withdrawing == withdrawing:
            if self.quirks.run_when_running == "na":
                raise Refusal(NOT_NOW)
            return
        if not self._speed(withdrawing=withdrawing):
            raise Refusal(NOT_NOW)
        counted = self.counted_parts(withdrawing=withdrawing)
        if not state.unfinished or state.withdrawing != withdrawing:
            state.began_parts = counted
        self.mechanics.stop()
        state.withdrawing, state.unfinished = withdrawing, False
        state.prompt = WITHDRAWING if withdrawing else INFUSING
        if self._left() == 0:
            self._reached()
        else:
            self.drive()

    def drive(self) -> None:
        """The running motor follows what is programmed now."""
        if self.state.running:
            speed = self._speed(withdrawing=self.state.withdrawing)
            self.mechanics.start(-speed if self.state.withdrawing else speed, self._left())

    def stop(self) -> None:
        """By command.  Raises `Refusal`."""
        state = self.state
        if not state.running:
            if self.quirks.stop_when_stopped == "na":
                raise Refusal(NOT_NOW)
            return
        self.halt(INTERRUPTED if self.quirks.stop_prompt == "interrupted" else STOPPED)
        state.unfinished = True

    def halt(self, prompt: str) -> None:
        """The motor stands still, and ``prompt`` says why."""
        self.mechanics.stop()
        self.state.prompt = prompt

    def clear(self, *, withdrawn_only: bool) -> None:
        """Volume counters are zero; what was interrupted is over."""
        state = self.state
        state.withdrawn_zero = self.mechanics.withdrawn_parts
        if not withdrawn_only:
            state.infused_zero = self.mechanics.infused_parts
        state.unfinished, state.began_parts = False, 0
        if state.running:
            self.drive()
        else:
            state.prompt = STOPPED

    def motion_ended(self, cause: End) -> None:
        """The target, or an obstacle, which is a stall to this pump."""
        if cause is End.TARGET:
            self._reached()
        else:
            self.halt(STALLED)
            self.state.unfinished = True

    def _reached(self) -> None:
        prompts = {"stopped": STOPPED, "interrupted": INTERRUPTED, "target": TARGET}
        self.halt(prompts[self.quirks.target_prompt])

    def _speed(self, *, withdrawing: bool) -> int:
        """The programmed speed in nL/h, 0 for none or one that this syringe cannot have."""
        settings = self.state.settings
        nl_h = settings.refill.nl_h if withdrawing else 0
        nl_h = nl_h or settings.rate.nl_h
        slowest, fastest = rate_limits_nl_h(settings.diameter)
        return nl_h if slowest <= nl_h <= fastest else 0

    def _left(self) -> int | None:
        """Parts that the target leaves; ``None`` without one."""
        state = self.state
        if not (state.volume_mode and state.target_nl):
            return None
        counted = self.counted_parts(withdrawing=state.withdrawing)
        if self.quirks.target_counts == "since_start":
            counted -= state.began_parts
        return max(0, state.target_nl * PARTS_PER_NL - counted)
