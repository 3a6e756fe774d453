"""States and transitions of a visit, held as data: the one owner of what is legal where.

`TABLE` says which trigger leads from which state to which.  Nothing here decides when a trigger
fires (`decide`) and nothing here acts (the runner).  `machine` hands the table to `transitions`, the
documentation draws it, and a test walks every cell of it.

Theory in a few lines.  Before any drug: preparing, self_test, baseline; "no" aborts.  With drug: a
test bolus is observed; "nothing" allows one more dose (titrating), a useful response leads to the
infusion.  A drug without a test dose goes from baseline to its load, where it has one, or straight to
the infusion; toxicity is to it what anxiety is to the other.  Whatever worries anybody leads to holding, from where only a person goes on.  Anxiety, or
toxicity, leads to rescue, which never returns to a state that delivers.  Recovery leads home.  Emergency stop is
reachable from everywhere and left by nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where a visit stands."""

    PREPARING = "preparing"
    SELF_TEST = "self_test"
    BASELINE = "baseline"
    TEST_BOLUS = "test_bolus"
    OBSERVING = "observing"
    TITRATING = "titrating"
    INFUSING = "infusing"
    HOLDING = "holding"
    RESCUE = "rescue"
    RECOVERING = "recovering"
    DISCHARGED = "discharged"
    ABORTED = "aborted"
    EMERGENCY_STOPPED = "emergency_stopped"
    FAULT = "fault"
    LOADING = "loading"  # last, so that the numbers of the others on dashboards stay what they were


class Trigger(StrEnum):
    """What moves a visit from one state to the next; the name says what happened."""

    CHECKLIST_DONE = "checklist_done"
    SELF_TEST_PASSED = "self_test_passed"
    BASELINE_DONE = "baseline_done"
    LOAD_CONFIRMED = "load_confirmed"
    NO_TEST_DOSE = "no_test_dose"
    TARGET_REACHED = "target_reached"
    FURTHER_DOSE_CHOSEN = "further_dose_chosen"
    NOT_CONFIRMED = "not_confirmed"
    LIMIT_USED_UP = "limit_used_up"
    RESPONSE_FOUND = "response_found"
    VOLUME_DELIVERED = "volume_delivered"
    TIME_CEILING_REACHED = "time_ceiling_reached"
    HOLD = "hold"
    INTERRUPTED = "interrupted"
    RESUME_SELF_TEST = "resume_self_test"
    RESUME_OBSERVING = "resume_observing"
    RESUME_INFUSING = "resume_infusing"
    RECOVER = "recover"
    ANXIETY = "anxiety"
    TOXICITY = "toxicity"
    RESCUE_RECORDED = "rescue_recorded"
    DISCHARGE = "discharge"
    ABORT = "abort"
    EMERGENCY_STOP = "emergency_stop"
    FAIL = "fail"


CLOSED = frozenset({State.DISCHARGED, State.ABORTED, State.EMERGENCY_STOPPED, State.FAULT})
"""Ends of a visit.  Only an emergency stop or a fault may still follow a discharge or an abort."""

DELIVERING = frozenset({State.TEST_BOLUS, State.TITRATING, State.INFUSING, State.LOADING})
"""The only states from which a command that moves drug is sent."""

WATCHED = DELIVERING | {State.OBSERVING}
"""States that go to holding as soon as vitals, link or pump leave their limits."""


def _edges() -> dict[tuple[State, Trigger], State]:
    s, t = State, Trigger
    edges = {
        (s.PREPARING, t.CHECKLIST_DONE): s.SELF_TEST,
        (s.PREPARING, t.INTERRUPTED): s.HOLDING,
        (s.SELF_TEST, t.SELF_TEST_PASSED): s.BASELINE,
        (s.BASELINE, t.BASELINE_DONE): s.TEST_BOLUS,
        (s.BASELINE, t.LOAD_CONFIRMED): s.LOADING,
        (s.BASELINE, t.NO_TEST_DOSE): s.INFUSING,
        (s.LOADING, t.TARGET_REACHED): s.INFUSING,
        (s.TEST_BOLUS, t.TARGET_REACHED): s.OBSERVING,
        (s.OBSERVING, t.FURTHER_DOSE_CHOSEN): s.TITRATING,
        (s.OBSERVING, t.LIMIT_USED_UP): s.RECOVERING,
        (s.OBSERVING, t.RESPONSE_FOUND): s.INFUSING,
        (s.TITRATING, t.TARGET_REACHED): s.OBSERVING,
        (s.TITRATING, t.NOT_CONFIRMED): s.OBSERVING,
        (s.INFUSING, t.VOLUME_DELIVERED): s.RECOVERING,
        (s.INFUSING, t.TIME_CEILING_REACHED): s.RECOVERING,
        (s.HOLDING, t.RESUME_SELF_TEST): s.SELF_TEST,
        (s.HOLDING, t.RESUME_OBSERVING): s.OBSERVING,
        (s.HOLDING, t.RESUME_INFUSING): s.INFUSING,
        (s.HOLDING, t.RECOVER): s.RECOVERING,
        (s.HOLDING, t.ANXIETY): s.RESCUE,
        (s.RESCUE, t.RESCUE_RECORDED): s.RECOVERING,
        (s.RECOVERING, t.DISCHARGE): s.DISCHARGED,
    }
    edges.update({(state, t.HOLD): s.HOLDING for state in s if state in WATCHED})
    with_test_dose = (s.TEST_BOLUS, s.OBSERVING, s.TITRATING, s.INFUSING)
    edges.update({(state, t.ANXIETY): s.RESCUE for state in with_test_dose})
    with_signs = (s.LOADING, s.INFUSING, s.HOLDING, s.RECOVERING)
    edges.update({(state, t.TOXICITY): s.RESCUE for state in with_signs})
    edges.update({(state, t.ABORT): s.ABORTED for state in s if state not in CLOSED})
    latched = {s.EMERGENCY_STOPPED, s.FAULT}
    edges.update({(state, t.FAIL): s.FAULT for state in s if state not in latched})
    stopped = s.EMERGENCY_STOPPED
    edges.update({(state, t.EMERGENCY_STOP): stopped for state in s if state is not stopped})
    return edges


TABLE: Mapping[tuple[State, Trigger], State] = MappingProxyType(_edges())
"""(state, trigger) -> state.  A pair that is not in here is not legal.

One table for every drug: which of its ways a visit takes depends on the plan (`decide_*`).
"""
