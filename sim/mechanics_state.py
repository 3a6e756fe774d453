"""What the mechanics know, as plain data for snapshots, and what they tell.

`MechanicsState` is all there is for an ideal drive on one spring; `RealState` is there only when
something real has to be carried along (slack, ripple, flow, bubbles, a loose syringe).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from sim.line_air import Bubble
from sim.line_flow import Leg
from sim.mechanics_housing import Housing


class End(Enum):
    """Why a segment ended by itself."""

    TARGET = "target"
    EMPTY = "empty"
    FULL = "full"
    OCCLUSION = "occlusion"
    STALL = "stall"
    AIR = "air"


@dataclass(frozen=True, slots=True)
class MotionEnd:
    """The motor stopped by itself at ``at_ns``."""

    cause: End
    at_ns: int


class Truth(NamedTuple):
    """What really happened, up to the last `Mechanics.advance`; never visible on the wire."""

    plunger_nl: int
    """Net displacement of the plunger, infusing positive; always ``delivered_nl + stored_nl``."""
    delivered_nl: int
    """What left the line towards the patient, released boluses included."""
    stored_nl: int
    """Held back by the elastic line; negative when it holds less than at rest."""
    pressure_mmhg: float
    """In the syringe; 0 is the pressure of the room."""
    rate_nl_h: int
    """The plunger's speed at this instant; 0 when it does not move."""
    steps: int
    """Microsteps made in either direction since the device was built."""
    content_nl: int | None
    """What is left in the syringe; ``None`` for one without ends."""
    released_nl: int
    """Sum of the boluses that cleared occlusions let go."""


class Take(Enum):
    """What the pusher's travel does in this segment."""

    NOTHING = "nothing"
    LOST = "lost motion after a reversal"
    GAP = "a gap between pusher and plunger"
    STUCK = "a plunger that sticks"
    PUSH = "the plunger moves"


@dataclass(slots=True)
class RealState:
    """What an ideal drive on one spring does not have.  Volumes in parts, since the device was built."""

    # drive train
    screw: int = 0
    """True travel of the screw since the diameter was last fitted, signed."""
    turns: float = 0.0
    """Turns of the screw before that."""
    loose: int = 0
    """Backlash that a forward motion has still to take up."""
    backlash_um: float = 0.0
    gap: int = 0
    """Between the pusher and the plunger: slack, or what a loose plunger ran ahead."""
    held: int = 0
    """What a sticking plunger is behind the pusher, signed."""
    loss_ppm: int = 0
    free_nl_h: int = 0
    # line
    stored: int = 0
    valve_open: bool = False
    upstream: bool = False
    height_cm: float = 0.0
    bubbles: list[Bubble] = field(default_factory=list)
    air_out: int = 0
    air_blind: bool = False
    sensor_mmhg: float = 0.0
    sensor_mmhg_ns: float = 0.0
    sensor_since_ns: int = 0
    # the segment that runs
    take: Take = Take.NOTHING
    speed: float = 0.0
    """Of the pusher, parts per ns, signed."""
    drift: int = 0
    """Of the plunger by itself, parts per ns."""
    leg: Leg = Leg(0, 0.0, 0.0, float("inf"), 1.0)
    inner_ns: int | None = None
    """When this segment gives way to another without the motor stopping."""


@dataclass(slots=True)
class MechanicsState:
    """Everything that `Mechanics` knows, for snapshots."""

    now_ns: int = 0
    since_ns: int = 0
    rate_nl_h: int = 0  # commanded, signed
    limit: int | None = None  # commanded parts this segment may move
    reach: int | None = None  # commanded parts after which it ends by itself
    end_ns: int | None = None
    cause: End = End.TARGET
    infused: int = 0  # commanded parts, ever
    withdrawn: int = 0
    plunger: int = 0  # true parts, signed
    delivered: int = 0
    peak: int = 0  # the most that was ever delivered
    content: int | None = None
    released: int = 0
    travelled: int = 0  # true parts in either direction, since the diameter was last fitted
    steps_before: int = 0
    occluded: bool = False
    blocked: bool = False
    programmed_um: int = 1
    mounted_um: int = 1
    swapped_um: int | None = None  # a syringe that somebody put in instead
    stroke_nl: float = 1.0  # of the mounted syringe
    housing: Housing = field(default_factory=Housing)
    real: RealState | None = None
