"""One visit from its first event to a sealed log: puts the parts together, waits, and closes in order.

The parts are given (which bridge, which clock, which operator); this is the same for real, scaled and
virtual time.  Closing goes from the pump outwards: the bridge lets go of the pump, which stops it; the
dashboards are told how the visit ended; the log is sealed with that same account and closed.  Whoever
opened broker, bridge process and world tears them down after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from controller.announcer import Announcer
from controller.event_log import EventLog
from controller.library import load_library
from controller.log_writer import CLOSE_S, LogWriteFailed
from controller.outbox import Outbox
from controller.plan import Plan
from controller.procedure import events as told
from controller.procedure.effects import Outcome
from controller.procedure.machine import Procedure
from controller.procedure.visit import Bounds, Kind, Recovered, Visit, begin
from controller.pump_hand import Pace, PumpHand
from controller.runner import Observer, Operator, Runner
from controller.self_test import SelfTest, pump_name
from firmware_bridge.clock import speed_of
from firmware_bridge.latch import Latch
from firmware_bridge.messages import Snapshot
from firmware_bridge.protocols.pumplink_host import HostSession
from firmware_bridge.transports.base import Transport

FIRST_REPORT_S = 30.0
"""How long an interrupted visit waits for the pump's own count before it opens without one."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a visit needs and does not make itself."""

    plan: Plan
    log: EventLog
    open_bridge: Callable[[], Awaitable[Transport]]
    new_session: Callable[[], HostSession]
    operator: Operator
    latch: Latch
    pace: Pace
    bounds: Bounds
    wall_ms: Callable[[], int]
    durable: bool
    announcer: Announcer | None = None
    observers: tuple[Observer, ...] = ()
    recovered: Recovered | None = None
    declared: str = ""
    """Who has said that a clinical pump is connected to nobody."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a visit went; the keys of ``--json`` (see `as_json`)."""

    session: str
    outcome: Outcome
    final_state: str
    drug: str
    response: str
    required_dose_mg: float
    infusion_dose_mg: float
    delivered_mg: float
    delivered_ml: float
    duration_s: float
    alarms: tuple[str, ...]
    stop_confirmed: bool | None
    warnings: tuple[str, ...] = field(default=())
    log_sealed: bool = True

    @property
    def good(self) -> bool:
        """Whether the visit ended as a visit should, and its log proves it: exit code 0."""
        return self.log_sealed and self.outcome in {Outcome.COMPLETED, Outcome.RESCUED}

    def as_json(self) -> dict[str, object]:
        """Plain numbers and text, the unit last in the key."""
        return {
            "session": self.session,
            "outcome": self.outcome.value,
            "final_state": self.final_state,
            "drug": self.drug,
            "response": self.response,
            "required_dose_mg": self.required_dose_mg,
            "infusion_dose_mg": self.infusion_dose_mg,
            "delivered_mg": self.delivered_mg,
            "delivered_ml": self.delivered_ml,
            "duration_s": round(self.duration_s, 3),
            "alarms": list(self.alarms),
            "stop_confirmed": self.stop_confirmed,
            "warnings": list(self.warnings),
        }


class Conductor:
    """Holds the runner of one visit; `runner` exists once `start` has returned."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.runner: Runner

    async def start(self) -> Runner:
        """Say hello to the bridge and begin.  Raises `BridgeError` when there is no bridge to be had."""
        parts = self._parts
        hand = PumpHand(
            open_bridge=parts.open_bridge,
            new_session=parts.new_session,
            pace=parts.pace,
            self_test=SelfTest(
                library_sha256=parts.plan.library_sha256,
                library_now=lambda: load_library().sha256,
                data_age_s_max=parts.bounds.data_age_s,
                declared=parts.declared,
            ),
        )
        observers = (parts.announcer,) if parts.announcer else ()
        self.runner = Runner(
            visit=begin(parts.plan, parts.bounds),
            machine=Procedure(),
            hand=hand,
            log=parts.log,
            outbox=Outbox(parts.log, durable=parts.durable),
            operator=parts.operator,
            latch=parts.latch,
            wall_ms=parts.wall_ms,
            observers=(*observers, *parts.observers),
        )
        await hand.connect()
        if parts.recovered is None:
            self.runner.post(told.Started())
        else:
            self.runner.spawn(self._interrupted(parts.recovered), "open an interrupted visit")
        return self.runner

    async def finish(self) -> Report:
        """Wait for the end of the visit, then let go of everything in order."""
        runner, parts = self.runner, self._parts
        outcome = await runner.finished
        runner.hand.close()
        runner.close()
        runner.warnings.extend(parts.operator.close())
        report = summary(runner, outcome)
        if parts.announcer is not None:
            parts.announcer.farewell(runner)
        parts.log.seal(_footer(report))
        problem = await self._committed()
        parts.log.close()
        if problem:
            runner.warnings.append(f"the session log could not be sealed: {problem}")
        return replace(report, warnings=tuple(runner.warnings), log_sealed=not problem)

    async def _committed(self) -> str:
        """Why the log is not on the disk within `CLOSE_S`; empty when it is."""
        try:
            async with asyncio.timeout(CLOSE_S * speed_of(self.runner.loop)):
                await self._parts.log.commit()
        except LogWriteFailed as failure:
            return str(failure)
        except TimeoutError:
            return f"the disk did not answer within {CLOSE_S:g} s"
        return ""

    async def _interrupted(self, recovered: Recovered) -> None:
        """Open in holding, once the bridge has stopped the pump and read what it delivered."""
        seen: asyncio.Future[Snapshot] = self.runner.loop.create_future()
        watch = _FirstReport(seen)
        self.runner.observers.append(watch)
        snapshot: Snapshot | None = None
        try:
            async with asyncio.timeout(FIRST_REPORT_S):
                snapshot = await seen
        except TimeoutError:
            pass  # the visit opens all the same, with the count unknown
        finally:
            self.runner.observers.remove(watch)
        identity = self.runner.hand.identity
        same: bool | None = None
        if identity is not None and recovered.pump:
            same = pump_name(identity) == recovered.pump
        self.runner.post(told.Interrupted(recovered, snapshot, same))


class _FirstReport(Observer):
    def __init__(self, seen: asyncio.Future[Snapshot]) -> None:
        self._seen = seen

    def pump_seen(self, runner: Runner, snapshot: Snapshot) -> None:
        if not self._seen.done():
            self._seen.set_result(snapshot)


def summary(runner: Runner, outcome: Outcome) -> Report:
    """What the visit came to, from its own account."""
    visit: Visit = runner.visit
    account = visit.account
    infused = [d for d in account.deliveries if d.kind is Kind.INFUSION]
    stopped = runner.latched
    return Report(
        session=runner.log.session,
        outcome=outcome,
        final_state=runner.state.value,
        drug=visit.plan.drug,
        response=visit.chart.response,
        required_dose_mg=account.required.mg,
        infusion_dose_mg=sum(d.mass.ug for d in infused[:1]) / 1_000,
        delivered_mg=account.delivered.mass_at(account.concentration).mg,
        delivered_ml=account.delivered.ml,
        duration_s=runner.loop.time() - runner.started_at,
        alarms=tuple(runner.alarms.raised_ever),
        stop_confirmed=(runner.hand.stop_confirmed_s is not None) if stopped else None,
        warnings=tuple(runner.warnings),
    )


def _footer(report: Report) -> dict[str, str | int | float | bool]:
    """The report as flat data; the session's id is in every record already."""
    flat: dict[str, str | int | float | bool] = {}
    for key, value in report.as_json().items():
        if isinstance(value, list):
            flat[key] = ", ".join(str(item) for item in value)
        elif isinstance(value, str | int | float) and key != "session":
            flat[key] = value
    return flat
