"""Stopping a New Era pump for certain, and proving that it stops by itself.

Both end only when the pump's own status and counter say that nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.dialect import Listen, Program
from firmware_bridge.errors import NoAnswer, PumpRefused
from firmware_bridge.messages import PumpAlarm
from firmware_bridge.protocols.new_era_replies import (
    Counters,
    bare,
    is_counters,
    parse_counters,
    parse_reply,
)
from firmware_bridge.protocols.new_era_settings import Settings
from firmware_bridge.protocols.new_era_wire import Wire, describe
from firmware_bridge.quantities import Duration

_ROUNDS = 16
"""Pairs of STP and DIS before giving up: about 5 s against a dead line."""

_TRIES_BEFORE_SILENCE = 3
"""A frame that was cut off swallows what follows as its payload, until the pump hears nothing for 0.5 s
(manual 10.2.3)."""

_SURE_NO_MORE = 9
"""Unanswered tries after which even a mode that was read back is doubted."""

_REPEAT = Duration(100)
"""How long a STOP may stay unanswered before it is sent again."""

_BETWEEN_READINGS = Duration(100)
"""Two readings of a standing counter lie so far apart."""


_STRAYS = 4
"""Frames of no use that the wait for the dead-man's alarm outlives."""


@dataclass(slots=True)
class _Attempt:
    """What the tries so far have shown."""

    within: Duration
    silent: int = 0
    """Unanswered tries in a row."""
    lost: int = 0
    """Unanswered tries in all."""
    hush: Duration = Duration(0)
    standing: Counters | None = None
    last: str = "nothing"


def stop_until_still(wire: Wire) -> Program[Counters]:
    """The pump is stopped: status ``S`` and the same counters in two readings.

    The first STP of a running program only pauses it, a pending alarm consumes one, and on a stopped
    pump it is refused with ``?NA``; so the status decides, not the answers.  Raises `NoAnswer` when
    given up.
    """
    # Shorter than for other requests, unless the clock is stretched and every wait with it.
    attempt = _Attempt(within=_REPEAT if wire.within <= Duration(500) else wire.within)
    first_mode = wire.safe, wire.reader.accept_basic
    for _ in range(_ROUNDS):
        if attempt.standing is None:
            yield from _try(wire, attempt, "STP")
        still = yield from _try(wire, attempt, "DIS")
        if still is not None:
            return still
    wire.safe, wire.reader.accept_basic = first_mode
    raise NoAnswer(wire.port, f"the stop is not confirmed; the pump last said {attempt.last}")


def _try(wire: Wire, attempt: _Attempt, command: str) -> Program[Counters | None]:
    """Send once; the counters if what came is the second reading of a pump standing at them.

    A reading counts whichever try it answers: on a slow line it comes when the next one is out, and it
    was taken after the stop began all the same.
    """
    hush = attempt.hush
    if command == "DIS" and attempt.standing is not None:
        hush = max(hush, _BETWEEN_READINGS)
    attempt.hush = Duration(0)
    reply = yield from wire.request(command, _status_or_counters, within=attempt.within, hush=hush)
    if reply is None:  # a lost reading takes nothing from the one before it
        _unanswered(wire, attempt)
        return None
    attempt.silent = 0
    attempt.last = reply.status + reply.data
    counters = parse_counters(reply.data)
    if reply.status != "S":
        attempt.standing = None
    elif counters is not None:
        if counters == attempt.standing:
            return counters
        attempt.standing = counters
    return None


def _status_or_counters(data: str) -> bool:
    return bare(data) or is_counters(data)


def _unanswered(wire: Wire, attempt: _Attempt) -> None:
    """Count; after three, be silent long enough for the pump to drop a cut-off frame.

    Where the mode is in doubt, or when nothing else helps, go on in the other framing.
    """
    attempt.silent += 1
    attempt.lost += 1
    if attempt.lost >= _TRIES_BEFORE_SILENCE:
        attempt.within = wire.within  # the line may only be slow
    if attempt.silent % _TRIES_BEFORE_SILENCE:
        return
    attempt.hush = wire.hush
    if wire.reader.accept_basic or attempt.silent >= _SURE_NO_MORE:
        wire.safe = not wire.safe
        wire.reader.accept_basic = True


def prove_dead_man(wire: Wire, settings: Settings, seconds: int) -> Program[str]:
    """With the motor stopped, silence raised the time-out alarm and a start was refused because of it.

    The target is set to the smallest volume first, so that even a pump that fails this test delivers
    no more than 0.001 of its volume unit.  Raises `PumpRefused` when the pump fails, and then nothing
    was started or it has been stopped; `NoAnswer`.
    """
    before = yield from stop_until_still(wire)
    yield from settings.write("VOL", "0.001")
    yield from settings.safe_time(seconds)
    wire.take_seen()
    yield from _await_time_out(wire, seconds)
    yield from _expect_refused_start(wire)
    after = yield from stop_until_still(wire)
    if after != before:
        raise PumpRefused("self-test", f"the pump moved from {before.infused} to {after.infused}")
    wire.take_seen()
    return f"alarm after {seconds} s of silence, start refused, stopped at {after.infused}"


def _await_time_out(wire: Wire, seconds: int) -> Program[None]:
    """Silence until the pump raises its time-out by itself."""
    patience = Duration(seconds * 1_000 + max(1_000, 2 * wire.within.ms))
    heard = "nothing"
    for _ in range(_STRAYS):
        frame = yield Listen(patience)
        if frame is None:
            break
        reply = parse_reply(frame.text, frame.raw)
        if reply is not None and PumpAlarm.LEASE_EXPIRED in reply.alarm:
            return
        heard = repr(frame.text)
    raise PumpRefused("self-test", f"no time-out alarm after {seconds} s of silence; heard {heard}")


def _expect_refused_start(wire: Wire) -> Program[None]:
    """A start is answered by the alarm, which the silence did not clear, and so is not executed."""
    reply = yield from wire.request("RUN", bare)
    if reply is not None and PumpAlarm.LEASE_EXPIRED in reply.alarm:
        return
    yield from stop_until_still(wire)
    if reply is None:
        said = "did not answer"
    else:
        said = f"answered with {describe(reply.alarm) if reply.alarm else repr(reply.status)}"
    raise PumpRefused(
        "self-test", f"a start under a pending time-out alarm was not refused: {said}"
    )
