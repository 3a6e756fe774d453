"""Stopping an Alaris pump for certain, and proving that it does not start without its lease.

The pump does not say whether it runs.  A stop is believed when the pump has echoed it and its counter
stands; or, where it does not echo, when the counter has stood longer than a running pump's would.
"""

from __future__ import annotations

from firmware_bridge.dialect import Listen, Program
from firmware_bridge.errors import NoAnswer, PumpRefused
from firmware_bridge.protocols.alaris_frames import ABORT, encode
from firmware_bridge.protocols.alaris_plan import RATE_MIN
from firmware_bridge.protocols.alaris_replies import (
    COMPLETE,
    Fields,
    Status,
    parse_alarms,
    parse_status,
)
from firmware_bridge.protocols.alaris_settings import Settings
from firmware_bridge.protocols.alaris_wire import Wire, of
from firmware_bridge.protocols.counter_watch import BETWEEN_READINGS_S, STEP, Standstill
from firmware_bridge.quantities import Duration

STOP_FRAME = ABORT + encode("INF_STOP")
"""ESC first: a frame that was cut off would swallow the stop."""

_ROUNDS = 22
"""Stops and readings before giving up: about 10 s, twice the longest time a pump may take to answer."""

_REPEAT = Duration(100)
"""How long a stop may stay unanswered before it is sent again."""

_QUICK_ROUNDS = 3
_CONTROL_EVERY = 3
"""Remote control is asked for again after so many unanswered stops: without it the pump obeys none."""

_BETWEEN = Duration.from_s(BETWEEN_READINGS_S)
_MARGIN = Duration(1_000)


def stop_until_still(wire: Wire) -> Program[Status]:
    """The pump stands; its last status.  Raises `NoAnswer` when given up."""
    still = Standstill()
    quick = (
        _REPEAT if wire.within <= Duration(500) else wire.within
    )  # unless the clock is stretched
    last = "nothing"
    for turn in range(_ROUNDS):
        within = quick if turn < _QUICK_ROUNDS else wire.within
        if not still.confirmed:
            if turn % _CONTROL_EVERY == 1 and wire.code:
                yield from wire.ask_control(within)
            answer = yield from wire.exchange(STOP_FRAME, _about_stopping, within=within)
            _confirm(still, answer)
        hush = _BETWEEN if still.has_reading else Duration(0)
        answer = yield from wire.request("INF", _about_stopping, within=within, hush=hush)
        _confirm(still, answer)
        status = parse_status(answer) if answer is not None else None
        if status is not None:
            last = f"{status.infused} infused"
            if still.seen(status.infused, status.rate, wire.heard_at):
                return status
    raise NoAnswer(wire.port, f"the stop is not confirmed; the pump last said {last}")


def _about_stopping(fields: Fields) -> bool:
    return fields[0] in ("INF_STOP", "INF")


def _confirm(still: Standstill, answer: Fields | None) -> None:
    if answer is not None and answer[0] == "INF_STOP":
        still.confirm()


def prove_dead_man(wire: Wire, settings: Settings) -> Program[str]:
    """With the motor stopped, a silence as long as the pump's lease took control away.

    Shown by its time-out alarm, and by a start that it does not obey.  The target is the smallest volume
    there is, so that even a pump that fails delivers no more than 0.001 mL.
    Raises `PumpRefused` when the pump fails, and then it has been stopped; `NoAnswer`.
    """
    yield from wire.take_control()
    before = yield from stop_until_still(wire)
    yield from settings.set_target(STEP)
    yield from settings.set_rate(RATE_MIN)  # a pump without a rate would refuse the start for that
    yield from _silence(Duration(wire.lease.ms + _MARGIN.ms))
    codes = parse_alarms((yield from wire.query("ALARM", of("ALARM")))) or ()
    for within in (wire.within, wire.slowest):  # one alone may have been lost on its way
        yield from wire.catch_up()
        answer = yield from wire.request("INF_START", of("INF_START"), within=within)
        if answer is not None:
            yield from stop_until_still(wire)
            raise PumpRefused(
                "self-test", f"after {wire.lease} of silence the pump still obeyed a start"
            )
    after = yield from stop_until_still(wire)
    if after.infused != before.infused:
        raise PumpRefused("self-test", f"the pump moved from {before.infused} to {after.infused}")
    seen = " and ".join(code for code in codes if code not in COMPLETE) or "no alarm"
    return f"{seen} after {wire.lease} of silence, start refused, stopped at {after.infused}"


def _silence(span: Duration) -> Program[None]:
    """Nothing is sent for ``span``; answers that come late are dropped."""
    for _ in range(8):
        if (yield Listen(span)) is None:
            return
    raise PumpRefused("self-test", "the pump speaks without being asked")
