"""Stopping a Fresenius module for certain.

The pump does not say whether it runs.  A stop is believed when the pump has accepted it and its counter
stands; or, where it refuses, when the counter has stood longer than a running pump's would.
"""

from __future__ import annotations

from collections.abc import Callable

from firmware_bridge.dialect import Program
from firmware_bridge.errors import NoAnswer
from firmware_bridge.protocols.counter_watch import BETWEEN_READINGS_S, Standstill
from firmware_bridge.protocols.fresenius_replies import (
    NOT_OPEN,
    RATE_STEP,
    VOLUME_STEP,
    WRONG_STATE,
    Reply,
    variable,
)
from firmware_bridge.protocols.fresenius_wire import Wire
from firmware_bridge.quantities import Duration, Rate, Volume

_ROUNDS = 60
"""Stops and readings before giving up: about 10 s with a pump that answers and does not stop."""

_SILENT_ROUNDS = 8
"""Unanswered ones before giving up: about 10 s against a dead line."""

_REPEAT = Duration(200)
"""How long a stop may stay unanswered before it is sent again."""

_QUICK_ROUNDS = 3
_BETWEEN = Duration.from_s(BETWEEN_READINGS_S)


def stop_until_still(wire: Wire, open_again: Callable[[], Program[None]]) -> Program[Volume]:
    """The pump stands; what its counter shows.  Raises `NoAnswer` when given up.

    ``open_again`` is run where the pump says that it was never opened, and then obeys nothing.
    """
    still = Standstill()
    # Where an answer of the past may still come, the first that looks like ours may be that one; the
    # pump answers in order, so what follows a reading is not.
    trusted = not wire.unsettled
    quick = _REPEAT if wire.within <= Duration(1_000) else wire.within  # the clock may be stretched
    last = "nothing"
    rate: Rate | None = None
    silent = 0
    for _ in range(_ROUNDS):
        if silent == _SILENT_ROUNDS:
            break
        within = quick if silent < _QUICK_ROUNDS else wire.within
        if not still.confirmed:
            stopped = yield from wire.request("PO", _done, sends=1, within=within)
            if stopped is not None and stopped.error in NOT_OPEN:
                silent += 1
                yield from open_again()
                continue
            if stopped is not None and trusted and stopped.error in ("", WRONG_STATE):
                still.confirm()
            elif stopped is not None and trusted:  # refused: only its counter can tell
                rate = yield from _rate(wire, within)
        hush = _BETWEEN if still.has_reading else Duration(0)
        reading = yield from wire.request("LE;r", _counter, sends=1, within=within, hush=hush)
        value = None if reading is None else variable(reading.data, "r")
        if value is None:
            silent += 1
            continue
        trusted = True
        infused = Volume(value * VOLUME_STEP)
        last = f"{infused} infused"
        stands = still.seen(infused, rate or Rate(0), wire.heard_at)
        if stands and (still.confirmed or rate is not None):
            return infused
    raise NoAnswer(wire.port, f"the stop is not confirmed; the pump last said {last}")


def _rate(wire: Wire, within: Duration) -> Program[Rate | None]:
    """What the pump says it runs at, if it answers."""
    reply = yield from wire.request("LE;d", _speed, sends=1, within=within)
    value = None if reply is None else variable(reply.data, "d")
    return None if value is None else Rate(value * RATE_STEP)


def _done(reply: Reply) -> bool:
    return not reply.data


def _counter(reply: Reply) -> bool:
    return variable(reply.data, "r") is not None


def _speed(reply: Reply) -> bool:
    return variable(reply.data, "d") is not None
