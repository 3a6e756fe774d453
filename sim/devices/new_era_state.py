"""Everything a New Era pump knows, as plain data: what survives power-off and what does not.

`Settings` is the non-volatile memory; the rest of `DeviceState` is gone with the mains, except the
mechanics, which are outside the electronics.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.devices.breakage import Breakage
from sim.devices.new_era_models import Model
from sim.devices.new_era_numbers import RATE_UNITS_NL_H, VOLUME_UNITS_PARTS
from sim.devices.new_era_quirks import Quirks
from sim.mechanics import MechanicsState

PHASES = 41
"""Program phases 1-41."""

INPUT_PINS = (2, 3, 4, 6)
"""Operational trigger, direction, event, program input (NE-1000 manual, DB-9 TTL I/O)."""

SMALL_SYRINGE_UM = 14_000
"""Up to 14.00 mm the default volume unit is uL, above it mL."""

DEFAULT_DIAMETER_UM = 26_590
"""A new pump believes in a BD 60 mL (own choice; no source gives the factory value)."""


@dataclass(slots=True)
class Phase:
    """One line of the pumping program.  Numbers in thousandths of their unit."""

    function: str
    argument: int | None = None
    """Of the function: a phase, a count, a level; of ``PAS``, tenths of a second."""
    trigger: str = ""
    """Of the function ``TRG``."""
    rate: int = 0
    rate_unit: str = "MH"
    rate_stored: int = 0
    """What a power-cycle brings back: a rate changed while running is not kept."""
    volume: int = 0
    direction: str = "INF"

    @property
    def rate_nl_h(self) -> int:
        """The programmed rate; 0 where none was ever set."""
        return int(self.rate * RATE_UNITS_NL_H[self.rate_unit])


@dataclass(slots=True)
class Settings:
    """What the pump keeps in non-volatile memory."""

    address: int
    phases: list[Phase]
    diameter: int = DEFAULT_DIAMETER_UM
    tubing: str = "3/16"
    """What a peristaltic pump believes in, inches; an NE-9000 comes with 3/16 (as a driver says)."""
    volume_unit: str = "ML"
    selected: int = 1
    safe_s: int = 0
    trigger: str = "FT"
    direction_input: int = 0
    """``DIN``: which way an edge on the direction input turns."""
    motor_output: int = 0
    """``ROM``: whether the output for a running motor covers timed pauses."""
    key_beep: int = 0
    alarm_sound: int = 0
    locked: int = 0
    low_noise: int = 0
    power_fail: int = 0
    baud: int = 19_200

    def target_parts(self, phase: Phase) -> int:
        """The phase's target volume, 0 for none."""
        return phase.volume * VOLUME_UNITS_PARTS[self.volume_unit]


@dataclass(slots=True)
class Run:
    """The pumping program in execution."""

    status: str = "S"
    """The letter of the protocol: I W S P T U X."""
    phase: int = 1
    began_parts: int = 0
    """What the motor had moved when this phase began; its target counts from here."""
    target_parts: int = 0
    """What this phase is to move, 0 for no end."""
    withdrawing: bool = False
    turned: bool = False
    """Whether this program has pumped in some direction already, which ``STK`` then keeps."""
    rate_phase: int = 0
    """The last phase that ran with a rate of its own, for one that was never given any; 0 for none."""
    step_nl_h: int = 0
    """By how much ``INC`` and ``DEC`` have changed that rate since."""
    wait_ns: int | None = None
    """End of a timed pause, or what was left of it when the program was paused."""
    paused: str = ""
    """What a paused program was doing: a status letter."""
    loops: list[tuple[int, int]] = field(default_factory=list)
    """Open loops, the innermost last: the phase where it begins, and how often its end was met."""
    trap: int = 0
    """The phase to which an event leads; 0 for no trap."""
    trap_square: bool = False
    """Whether both edges spring the trap."""
    trigger: str = ""
    """What ``TRG`` as a phase has put in the place of the setting."""
    phase_began_ns: int = -1
    """When the program moved on to this phase by itself; -1 for one that a command started."""

    @property
    def running(self) -> bool:
        """The program executes, motor or no motor."""
        return self.status in "IWTUX"


@dataclass(slots=True)
class DeviceState:
    """The whole pump; copying this copies the pump."""

    settings: Settings
    mechanics: MechanicsState
    run: Run = field(default_factory=Run)
    alarms: list[str] = field(default_factory=list)
    """Pending alarm letters, the oldest first; each leaves when it answers a command."""
    infused_zero: int = 0
    """Commanded parts at which the infused counter was last zero."""
    withdrawn_zero: int = 0
    buzzer: int = 0
    beeps: int = 0
    """Short beeps so far."""
    output: int = 0
    inputs: dict[int, int] = field(default_factory=lambda: dict.fromkeys(INPUT_PINS, 1))
    """TTL input levels by pin; an open input is pulled up."""
    safe_due_ns: int | None = None
    ignore_next: bool = False
    buffer: bytearray = field(default_factory=bytearray)
    last_byte_ns: int = 0
    faults: Breakage = field(default_factory=Breakage)


def factory_program(quirks: Quirks, rate_unit: str = "MH") -> list[Phase]:
    """Phase 1 pumps, the others stop; quirk ``phase2_default`` lets phase 2 pump on for ever."""
    phases = [Phase("STP", rate_unit=rate_unit) for _ in range(PHASES)]
    phases[0].function = "RAT"
    if quirks.phase2_default == "continuous":
        phases[1].function = "RAT"
    return phases


def factory_settings(model: Model, quirks: Quirks, address: int = 0) -> Settings:
    """A new pump's."""
    return Settings(address, factory_program(quirks, model.rate_unit))


def default_volume_unit(diameter_um: int) -> str:
    """``UL`` up to 14.00 mm, else ``ML``."""
    return "UL" if diameter_um <= SMALL_SYRINGE_UM else "ML"
