"""What those who work for a runner need of it: the hand on the pump, and the self-test.

The runner knows them, and they know it by this face alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

from controller.event_log import EventLog
from controller.outbox import Outbox
from controller.procedure.effects import Scalar
from controller.procedure.events import Event
from controller.procedure.visit import Visit
from firmware_bridge.latch import Latch
from firmware_bridge.messages import Snapshot


class RunnerFace(Protocol):
    """See `controller.runner.Runner`, whose docstrings these are."""

    loop: asyncio.AbstractEventLoop
    visit: Visit
    log: EventLog
    outbox: Outbox
    latch: Latch

    @property
    def latched(self) -> bool:
        """Whether the pump is to stand for good."""

    @property
    def backlog(self) -> int:
        """How many events wait."""

    def post(self, event: Event) -> None:
        """Queue an event."""

    def record(self, kind: str, data: Mapping[str, Scalar]) -> int:
        """Append to the session log; returns the record's ``seq``."""

    def pump_reported(self, snapshot: Snapshot, boot_id: int) -> None:
        """The pump gave an account of itself."""

    def give_up_stopping(self) -> None:
        """The pump never showed that it stands."""

    def spawn_even_if_stopped(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Own a task that serves the stop itself."""
