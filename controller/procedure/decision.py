"""What `decide` returns."""

from __future__ import annotations

from dataclasses import dataclass

from controller.procedure.effects import Effect
from controller.procedure.table import Trigger
from controller.procedure.visit import Visit


@dataclass(frozen=True, slots=True)
class Decision:
    """The visit afterwards, the trigger to fire (if any), and what to do, in this order.

    The runner takes over ``visit``, fires ``trigger``, carries out ``effects``, and then, if a trigger
    was fired, at once feeds `Entered`.
    """

    visit: Visit
    trigger: Trigger | None = None
    effects: tuple[Effect, ...] = ()
