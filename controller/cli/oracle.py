"""Holds what the controller believes against what the plunger really did, at every report of the pump.

The invariants of ARCHITECTURE.md that can be seen in one rehearsal; each violation names its number, the
moment and both sides.  It watches and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.log_format import Record
from controller.procedure.table import CLOSED
from controller.procedure.visit import MOVED, Status
from controller.replay import replay
from controller.runner import Observer, Runner
from firmware_bridge.messages import PumpState, Snapshot

STROKE_NL = 30
"""What may be moved beyond what was authorised.  The invariant allows one stroke (178 nL in a BD 20 mL); the
simulated target ends on a nanolitre, so less is asked for here."""
AGREE_NL = 10_000
"""Resolution of a New Era counter up to 10 mL: four digits, 0.001 to 0.01 mL."""
FINAL = frozenset({Status.STOPPED, Status.COMPLETED})
"""Where the count of a delivery is final; before that, this report may be the one that makes it so."""


class Truth(Protocol):
    """What the oracle may know about the plunger (`sim.mechanics.Truth`), by shape."""

    @property
    def plunger_nl(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold."""

    invariant: int
    at_s: float
    what: str


class Oracle(Observer):
    """Checks invariants 1 (what is authorised), 2, 3, 5, 7 and 8 against the simulated truth.

    ``since_nl``: where the plunger stood when the visit began; None where it begins now.
    """

    def __init__(self, truth: Callable[[], Truth], *, since_nl: int | None = None) -> None:
        self.violations: list[Violation] = []
        self.checks = 0
        self._truth = truth
        self._start_nl = truth().plunger_nl if since_nl is None else since_nl
        self._still_nl: int | None = None

    def pump_seen(self, runner: Runner, snapshot: Snapshot) -> None:
        if not runner.visit.chart.started:
            return  # an interrupted visit has not taken over its account yet
        self.checks += 1
        moved_nl = self._truth().plunger_nl - self._start_nl
        account = runner.visit.account
        authorised_nl = sum(
            delivery.volume.nl for delivery in account.deliveries if delivery.status in MOVED
        )
        if moved_nl > authorised_nl + STROKE_NL:
            self._found(runner, 1, f"plunger {moved_nl} nL, authorised {authorised_nl} nL")
        self._limit(runner, moved_nl)
        self._still(runner, moved_nl)
        at_rest = snapshot.state in {PumpState.STOPPED, PumpState.COMPLETED}
        if at_rest and account.deliveries and account.deliveries[-1].status in FINAL:
            believed_nl = account.delivered.nl
            if abs(moved_nl - believed_nl) > AGREE_NL and not runner.alarms.active:
                self._found(runner, 5, f"plunger {moved_nl} nL, reported {believed_nl} nL")

    def recorded(self, runner: Runner, kind: str, data: Mapping[str, object]) -> None:
        if kind == "intent":
            self._still_nl = None  # a start that a person has just confirmed
        elif kind == "stop" and data.get("confirmed") is True and self._still_nl is None:
            self._still_nl = self._truth().plunger_nl - self._start_nl

    def _limit(self, runner: Runner, moved_nl: int) -> None:
        plan = runner.visit.plan
        given_ug = moved_nl * plan.concentration.ug_ml // 1_000_000
        hard_ug = min(
            plan.limits.visit_hard.ug, plan.limits.visit_hard_ug_kg * plan.dosing_weight_g // 1_000
        )
        if given_ug > hard_ug:
            self._found(runner, 3, f"{given_ug} ug given, hard limit {hard_ug} ug")

    def _still(self, runner: Runner, moved_nl: int) -> None:
        """After a confirmed stop: no step until a person confirmed a new start."""
        if self._still_nl is not None and moved_nl > self._still_nl:
            self._found(runner, 2, f"plunger moved {moved_nl - self._still_nl} nL after the stop")
            self._still_nl = moved_nl

    def ended(self, runner: Runner, records: Sequence[Record]) -> None:
        """The visit is over: it reached an end state, its log says the same, and the pump stands."""
        self._still(runner, self._truth().plunger_nl - self._start_nl)
        if runner.state not in CLOSED:
            self._found(runner, 7, f"ended in {runner.state}")
        if not runner.log.writable:
            return  # an alarm says that the log ends before the visit does
        replayed = replay(records)
        if replayed.state is not runner.state:
            self._found(runner, 8, f"the log says {replayed.state}, the controller {runner.state}")

    def _found(self, runner: Runner, invariant: int, what: str) -> None:
        at_s = runner.loop.time() - runner.started_at
        self.violations.append(Violation(invariant, round(at_s, 3), what))
