"""Stopping a Harvard pump for certain: it ends only when its own status and counter stand still.

``status`` is understood on every screen of the pump, also where the volumes of a quick start are not, and
counts in the direction in which the plunger moves, whichever that is.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.dialect import Program
from firmware_bridge.errors import NoAnswer
from firmware_bridge.messages import PumpState
from firmware_bridge.protocols.harvard_replies import (
    STATES,
    Reply,
    Status,
    bare,
    is_status,
    parse_status,
)
from firmware_bridge.protocols.harvard_wire import Wire
from firmware_bridge.quantities import Duration

_ROUNDS = 16
"""Pairs of ``stp`` and ``status`` before giving up: about 5 s against a dead line."""

_PATIENT_AFTER = 3
"""Unanswered tries after which the line counts as slow and not as deaf."""

_REPEAT = Duration(150)
"""How long a STOP may stay unanswered before it is sent again: an answer without XON takes 100 ms."""

_BETWEEN_READINGS = Duration(100)
"""Two readings of a standing counter lie so far apart."""


@dataclass(slots=True)
class _Attempt:
    """What the tries so far have shown."""

    within: Duration
    lost: int = 0
    standing: Status | None = None
    last: str = "nothing"


def moves(reply: Reply, status: Status | None) -> bool:
    """Whether prompt or flags say that the plunger moves; either is enough."""
    return STATES[reply.prompt] is PumpState.RUNNING or (status is not None and status.moving)


def stop_until_still(wire: Wire) -> Program[tuple[Reply, Status]]:
    """The pump is stopped: it says so twice, with the same volume.  Raises `NoAnswer` when given up.

    The acknowledgement of ``stp`` is a bare prompt like any other, and is not believed.
    """
    # Shorter than for other requests, unless the clock is stretched and every wait with it.
    attempt = _Attempt(within=_REPEAT if wire.within <= Duration(500) else wire.within)
    for _ in range(_ROUNDS):
        if attempt.standing is None:
            yield from _try(wire, attempt, "stp")
        still = yield from _try(wire, attempt, "status")
        if still is not None:
            return still
    raise NoAnswer(wire.port, f"the stop is not confirmed; the pump last said {attempt.last}")


def _try(wire: Wire, attempt: _Attempt, command: str) -> Program[tuple[Reply, Status] | None]:
    """Send once; the status if what came is the second reading of a pump that stands.

    A reading counts whichever try it answers: on a slow line it comes when the next one is out, and it
    was taken after the stop began all the same.
    """
    hush = _BETWEEN_READINGS if command == "status" and attempt.standing else Duration(0)
    reply = yield from wire.request(
        command, _bare_or_status, within=attempt.within, hush=hush, any_echo=True
    )
    if reply is None:  # a lost reading takes nothing from the one before it
        attempt.lost += 1
        if attempt.lost >= _PATIENT_AFTER:
            attempt.within = wire.within
        return None
    attempt.last = " ".join((*reply.lines, reply.prompt))
    status = parse_status(reply.line)
    if moves(reply, status):
        attempt.standing = None
    elif status is not None:
        before = attempt.standing
        if before is not None and before.volume_fl == status.volume_fl:
            return reply, status
        attempt.standing = status
    return None


def _bare_or_status(reply: Reply) -> bool:
    return bare(reply) or is_status(reply)
