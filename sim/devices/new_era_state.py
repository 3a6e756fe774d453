"""Everything a New Era pump knows, as plain data: what survives power-off and what does not.

`Settings` is the non-volatile memory; the rest of `DeviceState` is gone with the mains, except the
mechanics, which are outside the electronics.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.devices.breakage import Breakage
from sim.devices.new_era_numbers import RATE_UNITS_NL_H, VOLUME_UNITS_NL
from sim.devices.new_era_quirks import Quirks
from sim.mechanics import PARTS_PER_NL, MechanicsState

PHASES = 41
"""Program phases 1-41."""

SMALL_SYRINGE_UM = 14_000
"""Up to 14.00 mm the default volume unit is uL, above it mL."""

DEFAULT_DIAMETER_UM = 26_590
"""A new pump believes in a BD 60 mL (own choice; no source gives the factory value)."""


@dataclass(slots=True)
class Phase:
    """One line of the pumping program.  Numbers in thousandths of their unit."""

    function: str
    argument: int | None = None
    rate: int = 0
    rate_unit: str = "MH"
    rate_stored: int = 0
    """What a power-cycle brings back: a rate changed while running is not kept."""
    volume: int = 0
    direction: str = "INF"

    @property
    def rate_nl_h(self) -> int:
        """The programmed rate; 0 where none was ever set."""
        return self.rate * RATE_UNITS_NL_H[self.rate_unit]


@dataclass(slots=True)
class Settings:
    """What the pump keeps in non-volatile memory."""

    address: int
    phases: list[Phase]
    diameter: int = DEFAULT_DIAMETER_UM
    volume_unit: str = "ML"
    selected: int = 1
    safe_s: int = 0
    trigger: str = "FT"
    alarm_sound: int = 0
    locked: int = 0
    low_noise: int = 0
    power_fail: int = 0
    baud: int = 19_200

    def target_parts(self, phase: Phase) -> int:
        """The phase's target volume, 0 for none."""
        return phase.volume * VOLUME_UNITS_NL[self.volume_unit] * PARTS_PER_NL


@dataclass(slots=True)
class Run:
    """The pumping program in execution."""

    status: str = "S"
    """The letter of the protocol: I W S P T U X."""
    phase: int = 1
    began_parts: int = 0
    """What the motor had moved when this phase began; its target counts from here."""
    withdrawing: bool = False
    rate_phase: int = 0
    """The last phase that ran with a rate of its own, for one that was never given any; 0 for none."""
    wait_ns: int | None = None
    """End of a timed pause, or what was left of it when the program was paused."""
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
    output: int = 0
    inputs: int = 1
    """TTL input level; an open input is pulled up."""
    safe_due_ns: int | None = None
    ignore_next: bool = False
    buffer: bytearray = field(default_factory=bytearray)
    last_byte_ns: int = 0
    faults: Breakage = field(default_factory=Breakage)


def factory_program(quirks: Quirks) -> list[Phase]:
    """Phase 1 pumps, the others stop; quirk ``phase2_default`` lets phase 2 pump on for ever."""
    phases = [Phase("RAT"), *(Phase("STP") for _ in range(PHASES - 1))]
    if quirks.phase2_default == "continuous":
        phases[1].function = "RAT"
    return phases


def default_volume_unit(diameter_um: int) -> str:
    """``UL`` up to 14.00 mm, else ``ML``."""
    return "UL" if diameter_um <= SMALL_SYRINGE_UM else "ML"
