"""Everything an Orchestra base and its modules know, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntFlag
from typing import Literal

from sim.devices.breakage import Breakage
from sim.devices.fresenius_frames import Receiver
from sim.mechanics import MechanicsState

BASE = 0
MODULES = range(1, 6)

MANUAL, REMOTE = 1, 2

BOLUS_TENTHS = 2_000
"""200.0 mL/h, the bolus rate until ``PB`` gives another [design]."""


class Doing(Enum):
    """What a module does."""

    PAUSED = "paused"
    INFUSING = "infusing"
    BOLUS = "bolus"
    EMPTYING = "emptying"


class Alarm(IntFlag):
    """Bits of the alarm variable ``a`` [design]; no source tells them."""

    OCCLUSION = 1
    END = 2
    LIMIT_REACHED = 4
    DRIVE = 8
    SYRINGE = 16
    BATTERY_LOW = 32
    MAINS = 64
    HOST_LOST = 128


WARNINGS = Alarm.BATTERY_LOW | Alarm.MAINS
"""These stop nothing."""


@dataclass(slots=True)
class Watch:
    """Spontaneous messages of one kind from one address."""

    letter: Literal["E", "M"]
    ids: str = ""
    told: dict[str, str] = field(default_factory=dict)
    """Identifier -> the value last sent."""
    text: str = ""
    """The message that waits for its echo."""
    due_ns: int | None = None
    tries: int = 0

    def end(self) -> None:
        """Nothing more is sent."""
        self.ids, self.text, self.due_ns = "", "", None
        self.told.clear()


def _watches() -> dict[str, Watch]:
    return {"E": Watch("E"), "M": Watch("M")}


@dataclass(slots=True)
class ModuleState:
    """One syringe module.  Rates in tenths of mL/h; 0 where none was set."""

    mechanics: MechanicsState
    doing: Doing = Doing.PAUSED
    then: Doing = Doing.PAUSED
    """What follows a bolus."""
    mode: int = MANUAL
    rate: int = 0
    bolus_rate: int = BOLUS_TENTHS
    bolus_nl: int = 0
    bolus_from: int = 0
    """Commanded parts when the bolus began."""
    limit_nl: int = 0
    """0: none."""
    limit_from: int = 0
    zero: int = 0
    """Commanded parts at which the infused volume was last zero."""
    latched: Alarm = Alarm(0)
    standing: Alarm = Alarm(0)
    pressure_mmhg: int | None = None
    """The occlusion limit set by ``PP``; ``None``: the line's own."""
    switched_off: bool = False


@dataclass(slots=True)
class Station:
    """What the base keeps about one address, itself included."""

    open: bool = False
    drug: str = "00"
    identity: str = ""
    watches: dict[str, Watch] = field(default_factory=_watches)

    def close(self) -> None:
        """The session is over."""
        self.open = False
        for watch in self.watches.values():
            watch.end()


@dataclass(slots=True)
class Waiting:
    """A frame that was sent and not yet acknowledged."""

    frame: bytes
    due_ns: int
    tries: int = 1


@dataclass(slots=True)
class OrchestraState:
    """The whole rack; copying this copies it."""

    modules: dict[int, ModuleState]
    stations: dict[int, Station]
    receiver: Receiver = field(default_factory=Receiver)
    waiting: list[Waiting] = field(default_factory=list)
    """The oldest first."""
    enq_due_ns: int | None = None
    enq_unanswered: int = 0
    tick_due_ns: int | None = None
    """When values that change all the time are looked at again."""
    switched_off: bool = False
    now_ns: int = 0
    leaves_ns: int = 0
    faults: Breakage = field(default_factory=Breakage)
