"""How far the present phase has come: what the terminal's bar, the dashboards and the page show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.procedure.table import State
from firmware_bridge.messages import PumpState

if TYPE_CHECKING:
    from controller.runner import Runner


_SINCE_DOSE = frozenset({State.OBSERVING, State.RECOVERING})


@dataclass(frozen=True, slots=True)
class Phase:
    """Seconds in the state, or since the last dose where that counts; ``planned_s`` is None where the state has no planned end."""

    elapsed_s: float
    planned_s: float | None

    @property
    def left_s(self) -> float | None:
        """Seconds until the planned end, never negative."""
        return None if self.planned_s is None else max(0.0, self.planned_s - self.elapsed_s)


def phase_of(runner: Runner) -> Phase:
    """The present phase of a visit."""
    now = runner.loop.time()
    elapsed = now - runner.entered_at
    times = runner.visit.plan.times
    planned = {
        State.BASELINE: times.baseline_vitals_s,
    }.get(runner.state)
    if runner.state in _SINCE_DOSE:
        elapsed = now - _last_dose_at(runner)
        watched = times.observing_s_min, times.recovering_s_min
        planned = watched[runner.state is State.RECOVERING]
    if runner.state in {State.TEST_BOLUS, State.TITRATING, State.INFUSING}:
        planned = _delivery_s(runner, elapsed)
    return Phase(elapsed, planned)


def _last_dose_at(runner: Runner) -> float:
    """From when observation and recovery are counted; entering the state again begins nothing anew."""
    visit = runner.visit
    ends = [visit.account.last_end()]
    if runner.state is State.RECOVERING:
        ends.append(visit.chart.rescue_at)
    return max((at for at in ends if at is not None), default=runner.entered_at)


def _delivery_s(runner: Runner, elapsed: float) -> float | None:
    """Time in the state so far plus what is left of the volume at this rate."""
    snapshot = runner.hand.snapshot
    if snapshot is None or snapshot.state is not PumpState.RUNNING or not snapshot.rate.nl_h:
        return None
    return elapsed + snapshot.rate.time_for(snapshot.remaining).s
