"""Everything an Elite, PHD Ultra or Legato knows, as plain data: what survives power-off and what does not.

`Settings` is the non-volatile memory; the rest of `DeviceState` is gone with the mains, except the
mechanics, which are outside the electronics.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from sim.devices.breakage import Breakage
from sim.mechanics import MechanicsState


@dataclass(slots=True)
class Rate:
    """A programmed rate, exact, with the time unit in which it was set."""

    nl_h: Fraction = Fraction(60_000_000)  # 1 mL/min in a new pump [design]
    base: str = "m"


@dataclass(frozen=True, slots=True)
class Ramp:
    """A rate that changes steadily from ``start`` to ``end`` (nL/h)."""

    start: Fraction
    end: Fraction
    duration_ns: int


@dataclass(slots=True)
class Settings:
    """What the pump keeps in non-volatile memory."""

    address: int
    diameter: int = 144_300  # tenths of a micrometre; the factory value is our own choice
    syringe_fl: int = 10 * 10**12
    maker: str = "Custom"
    mode: str = "iw"
    force: int = 50
    dim: int = 80
    foot_switch: str = "fall"
    baud: int = 115_200
    infuse: Rate = field(default_factory=Rate)
    """The rates that a power-cycle brings back."""
    withdraw: Rate = field(default_factory=Rate)


@dataclass(slots=True)
class Motion:
    """The run in progress, or the last one.

    ``prompt``: ``:`` idle, ``>``, ``<``, ``T*`` target, ``*`` stalled, ``>*`` and ``<*`` limit switch.
    The motor's speed is a row of straight pieces: ``profile_ns`` and ``profile_parts`` are where the
    profile of this rate or ramp began, ``piece_ns`` where the next piece does, ``until_ns`` where time ends it.
    """

    prompt: str = ":"
    withdrawing: bool = False
    start: Fraction = Fraction(0)
    end: Fraction = Fraction(0)
    ramp_ns: int = 0
    profile_ns: int = 0
    profile_parts: int = 0
    piece_ns: int | None = None
    until_ns: int | None = None
    since_ns: int = 0
    """From when on this run counts as time not yet in the counters."""
    began_parts: int = 0
    began_time_ns: int = 0
    """Volume and time counters at the start of this run, for targets that count from there."""

    @property
    def running(self) -> bool:
        """The motor is meant to turn."""
        return self.prompt in {">", "<"}


@dataclass(slots=True)
class DeviceState:
    """The whole pump; copying this copies the pump."""

    settings: Settings
    mechanics: MechanicsState
    motion: Motion = field(default_factory=Motion)
    infuse: Rate = field(default_factory=Rate)
    withdraw: Rate = field(default_factory=Rate)
    infuse_ramp: Ramp | None = None
    withdraw_ramp: Ramp | None = None
    target_fl: int | None = None
    target_ns: int | None = None
    infused_zero: int = 0
    """Commanded parts at which the infused counter was last zero."""
    withdrawn_zero: int = 0
    infused_ns: int = 0
    """Running time up to the last start."""
    withdrawn_ns: int = 0
    poll: str = "off"
    echo: bool = False
    nvram: bool = True
    trigger_high: bool = False
    output_high: bool = False
    clock_s: int = 0
    """Seconds from 1 January 2000 to when the pump's time was 0."""
    buffer: bytearray = field(default_factory=bytearray)
    faults: Breakage = field(default_factory=Breakage)
