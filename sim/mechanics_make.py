"""What a pump's drive and the syringe in its holder are made of: plain figures, checked once.

Answerable for geometry: volume per step, per turn, per micrometre of travel.  Not answerable for what
moves when (`sim.mechanics_train`), nor for the line (`sim.line`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, pi

NS_PER_H = 3_600_000_000_000
PARTS_PER_NL = NS_PER_H
"""One nanolitre, in nL*ns/h: the time runs in ns, the rate in nL/h."""


class MakeError(ValueError):
    """No such thing can be built: the message names the figure, its value and its limit."""


def require(name: str, value: float, low: float, high: float) -> None:
    """Raises `MakeError` unless ``value`` is a number in ``low..high``."""
    if not (isfinite(value) and low <= value <= high):
        raise MakeError(f"{name} {value:g}: it is in {low:g}..{high:g}")


@dataclass(frozen=True, slots=True)
class Drive:
    """Stepper and lead screw; the defaults are an ideal NEMA 17 on a 2 mm screw, 200 x 16 microsteps.

    ``eccentric_um``: the screw is off its thread by +-this much once a turn, so that the flow ripples by
    2 pi x eccentric / lead.  ``backlash_um``: travel that is lost at each reversal.  ``slack_nl``: what
    has to be taken up after a syringe was put in, before its plunger moves.  ``jump_nl``: slower than
    ``jump_below_nl_h`` the plunger sticks, and slips by this much.  ``stroked``: it moves by whole
    microsteps instead of evenly.
    """

    lead_um: float = 2_000
    steps_per_turn: int = 200
    microsteps: int = 16
    gear: int = 1
    eccentric_um: float = 0.0
    backlash_um: float = 0.0
    slack_nl: int = 0
    jump_nl: int = 0
    jump_below_nl_h: int = 0
    stroked: bool = False

    def __post_init__(self) -> None:
        """Raises `MakeError`.  An eccentricity beyond lead / 2 pi would turn the pusher round."""
        require("lead_um", self.lead_um, 1, 100_000)
        require("steps_per_turn x microsteps x gear", self.steps, 1, 10**9)
        require("eccentric_um", self.eccentric_um, 0, 0.9 * self.lead_um / (2 * pi))
        require("backlash_um", self.backlash_um, 0, 10_000)
        require("slack_nl", self.slack_nl, 0, 10**8)
        require("jump_nl", self.jump_nl, 0, 10**6)
        require("jump_below_nl_h", self.jump_below_nl_h, 0, 10**12)

    @property
    def steps(self) -> int:
        """Microsteps per turn of the screw."""
        return self.steps_per_turn * self.microsteps * self.gear

    @property
    def is_ideal(self) -> bool:
        """The plunger follows the motor exactly."""
        play = self.eccentric_um or self.backlash_um or self.slack_nl
        return not (play or (self.jump_nl and self.jump_below_nl_h) or self.stroked)

    def stroke_nl(self, diameter_um: int) -> float:
        """The volume of one microstep."""
        return self.turn_nl(diameter_um) / self.steps

    def turn_nl(self, diameter_um: int) -> float:
        """The volume of one turn of the screw."""
        return travel_nl(diameter_um, self.lead_um)


def travel_nl(diameter_um: int, travel_um: float) -> float:
    """The volume of this much travel (1 mm^3 = 1 uL = 1000 nL)."""
    return pi / 4 * (diameter_um / 1_000) ** 2 * travel_um


@dataclass(frozen=True, slots=True)
class Mount:
    """The syringe in the holder.

    ``diameter_um=None``: it always fits what is programmed.  ``capacity_nl=None``: it has no ends.
    """

    diameter_um: int | None = None
    capacity_nl: int | None = None
    loaded_nl: int | None = None

    @property
    def load(self) -> int | None:
        """A fresh syringe's content in parts; ``None`` for one without ends."""
        if self.capacity_nl is None:
            return None
        loaded = self.capacity_nl if self.loaded_nl is None else self.loaded_nl
        return min(loaded, self.capacity_nl) * PARTS_PER_NL
