"""Pump, line, patient and monitor under one clock, so that the patient gets what the plunger really moved.

Once a second the world looks at the pump, lets the patient live that second, and sends one line of
vitals.  With a real pump there is no plunger to look at: the volume it *reports* is fed in, and every
sample says so.  Not answerable for bytes to and from the pump (`sim.serve`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import msgspec

from sim.monitor import Monitor
from sim.patient import Patient

PERIOD_S = 1.0
FACT_BYTES_MAX = 4096
_NL_UG_ML_PER_UG = 1_000_000.0

Plunger = Callable[[float], int]
"""The volume in nL that has reached the patient by the moment given (s, loop time)."""


class World:
    """One patient on one line.  ``send`` takes each line of vitals; `hear` takes what comes back."""

    def __init__(
        self,
        *,
        patient: Patient,
        monitor: Monitor,
        concentration_ug_ml: int,
        send: Callable[[bytes], None],
        plunger: Plunger | None,
    ) -> None:
        """``plunger`` None: a real pump, whose reported volume is heard as ``reported_nl``."""
        self.patient = patient
        self.monitor = monitor
        self.noise = 0
        self._concentration_ug_ml = concentration_ug_ml
        self._send = send
        self._plunger = plunger
        self._reported_nl = 0
        self._given_nl = 0
        self._rest = b""
        self._handle: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._next_s = 0.0

    def start(self) -> None:
        """Send the first sample now, and one every second from then on."""
        self._next_s = self._loop.time()
        self._second()

    def stop(self) -> None:
        """Send no more.  Idempotent."""
        if self._handle is not None:
            self._handle.cancel()

    def hear(self, data: bytes) -> None:
        """Facts that a simulated patient cannot see for himself, one JSON object a line; noise is counted."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._fact(line)
        if len(self._rest) > FACT_BYTES_MAX:
            self._rest = b""
            self.noise += 1

    def _second(self) -> None:
        now = self._loop.time()
        self._live_until(now)
        for sample in self.monitor.samples(now):
            if self._plunger is None:
                sample["fed_by"] = "reported volume"
            self._send(_ENCODE(sample) + b"\n")
        # Never two samples at once to catch up: a scaled loop that was late just goes on from now.
        self._next_s = max(self._next_s + PERIOD_S, now)
        self._handle = self._loop.call_at(self._next_s, self._second)

    def _live_until(self, now: float) -> None:
        reached_nl = self._reported_nl if self._plunger is None else self._plunger(now)
        new_nl = max(0, reached_nl - self._given_nl)
        self._given_nl += new_nl
        # Tenths of a second: a loop that is a little late must not need a new matrix for every step.
        moment = max(round(now, 1), self.patient.now_s)
        self.patient.advance_to(moment, new_nl * self._concentration_ug_ml / _NL_UG_ML_PER_UG)

    def _fact(self, line: bytes) -> None:
        try:
            fact = json.loads(line)
            reported, midazolam = fact.get("reported_nl"), fact.get("midazolam_mg")
            if reported is not None:
                self._reported_nl = max(self._reported_nl, int(reported))
            if midazolam is not None:
                self._live_until(self._loop.time())
                self.patient.give_midazolam(float(midazolam))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            self.noise += 1


_ENCODE = msgspec.json.Encoder().encode
