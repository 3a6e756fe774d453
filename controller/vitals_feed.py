"""Plays a vitals recording into a visit at the pace of the loop."""

from __future__ import annotations

import asyncio

from controller.procedure import events as told
from controller.runner import Runner
from controller.vitals_replay import Recording


class Replay:
    """Hands every sample to the runner at its time; after the last one the monitor is gone."""

    def __init__(
        self, recording: Recording, runner: Runner, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._runner = runner
        self._loop = loop
        self._lines = iter(recording.with_cuff_age())
        self._began = loop.time() - float(recording.samples[0]["t_s"])
        self._handle: asyncio.TimerHandle | None = None
        self._next()

    def close(self) -> None:
        """Play no more.  Idempotent."""
        if self._handle is not None:
            self._handle.cancel()

    def _next(self) -> None:
        line = next(self._lines, None)
        if line is None:
            self._runner.post(told.VitalsLost())
            return
        at_s = line["t_s"]
        due = self._began + (at_s if isinstance(at_s, float) else 0.0)
        self._handle = self._loop.call_at(due, self._play, line)

    def _play(self, line: dict[str, object]) -> None:
        self._runner.vitals_arrived(line)
        self._next()
