"""The line between a simulated pump and a port: two directions, clean until they are told otherwise.

Answerable for the timers of `sim.fault_pipe` and for what each fault kind of the line does to it.  A
clean line costs one test of a flag in each direction.  Not answerable for ports (`sim.ports`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sim.fault_pipe import FaultPipe, Wear
from sim.faults.kinds import accept, find
from sim.faults.line_kinds import BOTH, ROOM
from sim.faults.parameters import FaultError, FaultValue

if TYPE_CHECKING:
    from random import Random

BITS_PER_BYTE = 10
"""A start bit, eight of data, a stop bit."""

Land = Callable[[bytes], None]


class Worn(NamedTuple):
    """What was wrong with a line at one moment."""

    to_pump: Wear
    to_host: Wear
    echo: bool


class _Chance:
    """A stream of its own, made when it is first asked: most lines stay clean, and never do."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._stream: Random | None = None

    def random(self) -> float:
        """The next value in [0, 1)."""
        if self._stream is None:
            from random import Random  # noqa: PLC0415  # a pump on clean lines is up sooner

            self._stream = Random(self._seed)  # noqa: S311  # a simulation, not a secret
        return self._stream.random()


class _Direction:
    """A pipe on the loop: what is due goes to ``land``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: _Chance, land: Land) -> None:
        self.pipe = FaultPipe(chance)
        self.land = land
        self.straight = True
        """Nothing is wrong with it and nothing under way: what goes in may land at once."""
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def put(self, data: bytes) -> None:
        if self.straight:
            self.land(data)
            return
        self.pipe.put(data, self._loop.time())
        self.deliver()

    def deliver(self) -> None:
        """Hand on what is due, and come again for what is not."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for piece in self.pipe.due(self._loop.time()):
            self.land(piece)
        due = self.pipe.next_due()
        if due is not None:
            self._timer = self._loop.call_at(due, self.deliver)
        self.straight = self.pipe.idle

    def close(self) -> None:
        self.pipe.flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Wire:
    """Both directions.  ``seed``: of the line's chances; the same seed hurts the same bytes."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, to_pump: Land, to_host: Land, seed: int = 0
    ) -> None:
        self._to_pump = _Direction(loop, _Chance(f"{seed}:to_pump"), to_pump)
        self._to_host = _Direction(loop, _Chance(f"{seed}:from_pump"), to_host)
        self._echo = False

    def end_at(self, to_host: Land) -> None:
        """What comes out towards the host goes there from now on."""
        self._to_host.land = to_host

    def from_host(self, data: bytes) -> None:
        """The host has sent this."""
        if self._echo:
            self._to_host.put(data)
        line = self._to_pump
        if line.straight:
            line.land(data)
        else:
            line.put(data)

    def from_pump(self, frame: bytes) -> None:
        """The pump has sent this."""
        line = self._to_host
        if line.straight:
            line.land(frame)
        else:
            line.put(frame)

    def cut(self) -> None:
        """The cable is out: what was under way is gone; what is wrong with the line stays."""
        self._to_pump.close()
        self._to_host.close()

    def worn(self) -> Worn:
        """What is wrong with it now."""
        return Worn(replace(self._to_pump.pipe.wear), replace(self._to_host.pipe.wear), self._echo)

    def restore(self, worn: Worn) -> None:
        """It is as bad as it was then, and nothing is under way."""
        self.cut()
        self._echo = worn.echo
        for direction, wear in ((self._to_pump, worn.to_pump), (self._to_host, worn.to_host)):
            direction.pipe.wear = replace(wear)
            direction.deliver()

    def inject(self, kind: str, parameters: Mapping[str, FaultValue]) -> None:
        """The fault is there; raises `FaultError` for a kind that is none of the line's own."""
        accepted = accept(kind, parameters)
        if kind == "echo":
            self._echo = True
            return
        for direction in self._chosen(accepted.get("direction", BOTH)):
            if kind == "line_break":
                direction.put(bytes(int(accepted["count"])))
            else:
                _WAYS[kind](direction.pipe.wear, accepted)
            direction.deliver()

    def clear(self, kind: str | None) -> None:
        """The fault, or every one, is gone; raises `FaultError` for a kind that is none of the line's."""
        if kind is not None and find(kind).room != ROOM:
            raise FaultError(f"fault {kind} is none of the line")
        if kind in (None, "echo"):
            self._echo = False
        fresh = Wear()
        for direction in (self._to_pump, self._to_host):
            for name in _FIELDS.get(kind, ()) if kind is not None else Wear.__slots__:
                setattr(direction.pipe.wear, name, getattr(fresh, name))
            direction.deliver()

    def _chosen(self, name: FaultValue) -> tuple[_Direction, ...]:
        if name == BOTH:
            return self._to_pump, self._to_host
        return (self._to_pump,) if name == "to_pump" else (self._to_host,)


Way = Callable[[Wear, Mapping[str, FaultValue]], None]


def _sets(field: str, parameter: str, scale: float = 1.0) -> Way:
    def do(wear: Wear, parameters: Mapping[str, FaultValue]) -> None:
        setattr(wear, field, float(parameters[parameter]) * scale)

    return do


def _raises(field: str) -> Way:
    def do(wear: Wear, _: Mapping[str, FaultValue]) -> None:
        setattr(wear, field, True)

    return do


def _late(wear: Wear, parameters: Mapping[str, FaultValue]) -> None:
    wear.delay_s = float(parameters["delay_ms"]) / 1_000
    wear.jitter_s = float(parameters["jitter_ms"]) / 1_000


def _slow(wear: Wear, parameters: Mapping[str, FaultValue]) -> None:
    wear.byte_s = BITS_PER_BYTE / float(parameters["baud"])


_WAYS: Mapping[str, Way] = {
    "byte_drop": _sets("byte_drop", "probability"),
    "byte_duplicate": _sets("byte_duplicate", "probability"),
    "bit_flip": _sets("bit_flip", "probability"),
    "garbage": _sets("garbage", "probability"),
    "frame_duplicate": _sets("frame_duplicate", "probability"),
    "split": _sets("split_gap_s", "gap_ms", 1e-3),
    "merge": _sets("hold_s", "hold_ms", 1e-3),
    "delay": _late,
    "slow_line": _slow,
    "stall": _raises("stalled"),
    "half_open": _raises("dead"),
    "baud_mismatch": _raises("garbled"),
}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "byte_drop": ("byte_drop",),
    "byte_duplicate": ("byte_duplicate",),
    "bit_flip": ("bit_flip",),
    "garbage": ("garbage",),
    "frame_duplicate": ("frame_duplicate",),
    "split": ("split_gap_s",),
    "merge": ("hold_s",),
    "delay": ("delay_s", "jitter_s"),
    "slow_line": ("byte_s",),
    "stall": ("stalled",),
    "half_open": ("dead",),
    "baud_mismatch": ("garbled",),
}
"""What a kind has changed, and its clearing puts back."""
