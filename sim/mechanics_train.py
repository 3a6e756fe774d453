"""The screw's own error: where the pusher stands when the screw has turned so far.

An eccentric screw moves its nut by eccentric x sin(angle) too far.  The sine is taken as 32 straight
pieces a turn: exact where they meet, nowhere else off by more than 0.5 % of its amplitude, and every
segment of motion has one speed.  All in whole parts, so that nothing is lost between segments.
"""

from __future__ import annotations

from math import floor, pi, sin, tau
from typing import NamedTuple

from sim.mechanics_make import PARTS_PER_NL, Drive, travel_nl

SECTORS = 32
"""Straight pieces a turn: the error of a chord is (pi / 32)^2 / 2 = 0.48 % of the amplitude."""


class Sector(NamedTuple):
    """One straight piece: screw positions ``begin`` to ``end``, pusher ``low`` to ``high``."""

    begin: int
    end: int
    low: int
    high: int

    @property
    def slope(self) -> float:
        """Pusher's travel per travel of the screw."""
        return (self.high - self.low) / (self.end - self.begin)

    def pusher(self, screw: int) -> int:
        """Where the pusher stands, up to a constant."""
        return self.low + (self.high - self.low) * (screw - self.begin) // (self.end - self.begin)


class Screw(NamedTuple):
    """A screw in a syringe: volumes in parts."""

    turn: float
    amplitude: float
    turns_before: float
    """Its angle, in turns, where the screw position counts from."""

    def sector(self, screw: int, *, forward: bool) -> Sector:
        """The piece that begins, or with ``forward`` False ends, at or around this position."""
        index = floor((screw / self.turn + self.turns_before) * SECTORS)
        while self._edge(index) > screw or (not forward and self._edge(index) == screw):
            index -= 1
        while self._edge(index + 1) < screw or (forward and self._edge(index + 1) == screw):
            index += 1
        begin, end = self._edge(index), self._edge(index + 1)
        return Sector(begin, end, begin + self._error(index), end + self._error(index + 1))

    def pusher(self, screw: int) -> int:
        """Where the pusher stands, up to a constant."""
        return self.sector(screw, forward=True).pusher(screw)

    def _edge(self, index: int) -> int:
        return round((index / SECTORS - self.turns_before) * self.turn)

    def _error(self, index: int) -> int:
        return round(self.amplitude * sin(tau * (index % SECTORS) / SECTORS))


def screw_of(drive: Drive, mounted_um: int, turns_before: float) -> Screw | None:
    """The screw's error in this syringe; ``None`` for a true one."""
    if not drive.eccentric_um:
        return None
    return Screw(
        drive.turn_nl(mounted_um) * PARTS_PER_NL,
        travel_nl(mounted_um, drive.eccentric_um) * PARTS_PER_NL,
        turns_before % 1.0,
    )


def ripple(drive: Drive) -> float:
    """The amplitude of the flow's ripple, as a fraction of the flow: 2 pi x eccentric / lead."""
    return 2 * pi * drive.eccentric_um / drive.lead_um
