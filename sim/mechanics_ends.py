"""When a segment of `sim.mechanics_real` ends: the first of everything that can end it.

Times are found in closed form wherever there is one; where a straight line meets an exponential there is
none, and the instant is bracketed and halved to the nanosecond.  All are rounded up: what ends the
segment is there by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, exp, isfinite
from typing import TYPE_CHECKING

from sim.line import Spring
from sim.line_flow import Leg, Outlet
from sim.mechanics_make import PARTS_PER_NL
from sim.mechanics_state import End, MechanicsState, RealState, Take
from sim.mechanics_train import Sector

if TYPE_CHECKING:
    from sim.mechanics_real import Works

FAR_NS = 10**17
"""Three years: nothing is looked for beyond."""

STALL_TIMES = 2
"""The motor's force ends at twice the alarm pressure (own choice; no source gives a figure)."""

LONG_TAUS = 40
"""After so many time constants nothing of an exponential is left."""

SAMPLES = 32


def inner_end(
    works: Works,
    state: MechanicsState,
    real: RealState,
    spring: Spring,
    end: Outlet | None,
    sector: Sector | None,
    jump: float,
) -> int | None:
    """When this segment gives way to another without the motor stopping."""
    times = [
        *_of_the_train(works, state, real, sector, jump),
        *_of_the_line(works, state, real, spring, end),
    ]
    waits = [time for time in times if time is not None and time < FAR_NS]
    return state.since_ns + max(1, ceil(min(waits))) if waits else None


def _of_the_train(
    works: Works, state: MechanicsState, real: RealState, sector: Sector | None, jump: float
) -> Iterator[float | None]:
    speed, forward = real.speed, real.speed > 0
    if speed and sector is not None:
        edge = sector.end - real.screw if forward else real.screw - sector.begin
        yield edge / works.screw_speed(state, real)
    match real.take:
        case Take.LOST:
            yield (real.loose if forward else real.loose - works.backlash(state, real)) / speed
        case Take.GAP if speed > real.drift:
            yield real.gap / (speed - real.drift)
        case Take.STUCK:
            yield ((jump if forward else -jump) - real.held) / speed
    if real.drift and real.take is not Take.PUSH and state.content is not None:
        yield state.content / real.drift


def _of_the_line(
    works: Works, state: MechanicsState, real: RealState, spring: Spring, end: Outlet | None
) -> Iterator[float | None]:
    leg = real.leg
    if spring.soft != spring.hard:
        yield leg.time_to(spring.knee_parts)
    if end is not None:
        yield leg.time_to(spring.stored(end.mmhg))
    elif works.line.valve is not None and not (state.occluded or real.upstream):
        opens = works.outlet_mmhg(real) + works.line.valve.opens_mmhg
        yield leg.time_to(spring.stored(opens))
    if real.bubbles:
        first = real.bubbles[0]
        length = works.line.dead_volume_nl * PARTS_PER_NL
        yield _when_delivered(state, leg, first.entered + length + first.parts)


def motor_end(
    works: Works, state: MechanicsState, real: RealState, spring: Spring
) -> tuple[int, End] | None:
    """After how many ns the motor stops, and why; its volume target apart."""
    found = [
        (max(1, ceil(time)), cause)
        for time, cause in _obstacles(works, state, real, spring)
        if time is not None and time < FAR_NS
    ]
    return min(found, key=lambda one: one[0]) if found else None


def _obstacles(
    works: Works, state: MechanicsState, real: RealState, spring: Spring
) -> Iterator[tuple[float | None, End]]:
    speed = real.speed
    if real.take is Take.PUSH and state.content is not None:
        if speed > 0:
            yield state.content / speed, End.EMPTY
        else:
            yield works.room(state) / -speed, End.FULL
    sign = 1 if state.rate_nl_h > 0 else -1
    yield _alarm(works, state, real, spring, sign), End.OCCLUSION
    stall = sign * STALL_TIMES * works.line.alarm_mmhg
    yield real.leg.time_to(spring.stored(stall)), End.STALL
    place = works.line.air_detector_nl
    if place is not None and not real.air_blind and sign > 0:
        for bubble in real.bubbles:
            if bubble.parts >= works.line.air_seen_nl * PARTS_PER_NL:
                at = bubble.entered + place * PARTS_PER_NL
                yield _when_delivered(state, real.leg, at), End.AIR


def _alarm(
    works: Works, state: MechanicsState, real: RealState, spring: Spring, sign: int
) -> float | None:
    """When the sensed pressure reaches its limit, ``sign`` -1 for the pull of a withdrawal."""
    leg, limit = real.leg, works.line.alarm_mmhg
    now = spring.pressure(real.stored)
    ahead = limit - sign * works.sensed_mmhg(state, real, now)
    blind = real.upstream and works.line.sensor == "line"
    drift = sign * real.sensor_mmhg_ns
    if not drift:
        return None if blind else leg.time_to(spring.stored(now + sign * ahead))
    if blind or not leg.tau_ns:
        return ahead / drift if drift > 0 else None
    if leg.is_shut:
        rise = sign * leg.inflow / leg.slope + drift
        return ahead / rise if rise > 0 else None
    swing = abs(leg.settled - leg.start) / leg.slope

    def over(dt: float) -> float:
        return sign * (_held(leg, dt) - leg.start) / leg.slope + drift * dt - ahead

    horizon = LONG_TAUS * leg.tau_ns
    return first_root(over, horizon if drift < 0 else max(horizon, (ahead + swing) / drift))


def _held(leg: Leg, dt: float) -> float:
    if leg.is_shut:
        return leg.start + leg.inflow * dt
    if not leg.tau_ns:
        return float(leg.start)
    return leg.settled + (leg.start - leg.settled) * exp(-dt / leg.tau_ns)


def _when_delivered(state: MechanicsState, leg: Leg, target: int) -> float | None:
    """When so much has left the line in all."""
    ahead = target - state.delivered
    if ahead <= 0 or leg.is_shut:
        return None
    inflow, tau = leg.inflow, leg.tau_ns
    swing = abs(leg.start - leg.settled)
    horizon = (ahead + swing) / inflow + 1 if inflow > 0 else LONG_TAUS * tau
    return first_root(lambda dt: inflow * dt - (_held(leg, dt) - leg.start) - ahead, horizon)


def first_root(over: Callable[[float], float], horizon: float) -> float | None:
    """The first time up to ``horizon`` at which ``over`` is no longer negative, to the nanosecond."""
    if not isfinite(horizon) or horizon <= 0:
        return None
    low = 0.0
    for sample in range(1, SAMPLES + 1):
        high = horizon * sample / SAMPLES
        if over(high) >= 0:
            break
        low = high
    else:
        return None
    while high - low > max(0.5, high * 1e-15):
        middle = (low + high) / 2
        low, high = (low, middle) if over(middle) >= 0 else (middle, high)
    return high
