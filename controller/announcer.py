"""Tells the dashboards: turns what a visit does into telemetry, and hands it to a publisher.

An observer like any other; a publisher that is slow, or dead, changes nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from controller.alarm_board import Alarm
from controller.alarms import ALARMS
from controller.log_format import Stamp
from controller.phase import phase_of
from controller.procedure.events import VitalsArrived, concentrations
from controller.procedure.table import State
from controller.procedure.visit import OPEN, Account
from controller.publisher import Publisher
from controller.runner import Observer, Runner
from controller.samples import measures_pressure
from controller.telemetry import Telemetry
from controller.telemetry_views import (
    AlarmKind,
    AlarmState,
    AlarmView,
    Inactivation,
    MetaView,
    Phase,
    Priority,
    PumpSample,
    SessionView,
)
from firmware_bridge.messages import PumpAlarm, PumpState, Snapshot
from firmware_bridge.quantities import Rate

DIAG_S = 5.0
"""Between two messages about the health of links and queues, while pump or monitor are heard."""

STATE_NUMBER = {state: number for number, state in enumerate(State)}


class Announcer(Observer):
    """Publishes pump, vitals, model, session, alarms and the health of the links of one visit."""

    def __init__(
        self,
        telemetry: Telemetry,
        publisher: Publisher,
        stamp: Callable[[], Stamp],
        *,
        procedure: str,
        drug: str,
        pump: str,
        version: str,
    ) -> None:
        self._telemetry = telemetry
        self._publisher = publisher
        self._stamp = stamp
        self._procedure = procedure
        self._drug = drug
        self._pump = pump
        self._version = version
        self._alarms: dict[str, AlarmView] = {}
        self._pump_sample: tuple[Snapshot, Account, PumpSample] | None = None
        self._met = False
        self._diag_at = float("-inf")

    def state_changed(self, runner: Runner, previous: State) -> None:
        self.session(runner)

    def session(self, runner: Runner) -> None:
        """Publish where the visit stands."""
        state = runner.state
        view = SessionView(
            state=state.value,
            state_n=STATE_NUMBER[state],
            step=state.value,
            elapsed_s=runner.loop.time() - runner.started_at,
            remaining_s=phase_of(runner).left_s,
            dose=runner.visit.account.delivered.mass_at(runner.visit.account.concentration),
            procedure=self._procedure,
            drug=self._drug,
            outcome=runner.outcome.value if runner.outcome else "",
        )
        self._publisher.publish(self._telemetry.session(self._stamp(), runner.log.last_seq, view))

    def pump_seen(self, runner: Runner, snapshot: Snapshot) -> None:
        if not self._met:
            self._met = True
            self.introduce(runner)
            self.session(runner)  # retained: whoever comes before the first change of state sees it
        self._tell_pump(runner, snapshot, self._stamp())
        self._tell_health(runner)

    def _tell_health(self, runner: Runner) -> None:
        """How old the pump's data are, how much waits, and what was lost on the way to dashboards."""
        now = runner.loop.time()
        if now < self._diag_at + DIAG_S:
            return
        self._diag_at = now
        values: dict[str, int] = {
            "queue_n": runner.backlog,
            "dropped_n": self._publisher.dropped,
        }
        snapshot = runner.hand.snapshot
        if snapshot is not None:
            values["link_ok"] = int(PumpAlarm.LINK_LOST not in snapshot.alarms)
            values["pump_age_ms"] = snapshot.age.ms
        stamp, eseq = self._stamp(), runner.log.last_seq
        self._publisher.publish(self._telemetry.diag(stamp, eseq, values))

    def _tell_pump(self, runner: Runner, snapshot: Snapshot, stamp: Stamp) -> None:
        """The sample is made anew only where it may have become another one."""
        account = runner.visit.account
        known = self._pump_sample
        if known is None or snapshot is not known[0] or account is not known[1]:
            sample = pump_sample(snapshot, account, self._drug, pressure=measures_pressure(runner))
            known = self._pump_sample = (snapshot, account, sample)
        self._publisher.publish(self._telemetry.pump(stamp, runner.log.last_seq, known[2]))

    def introduce(self, runner: Runner) -> None:
        """Publish who speaks, about which pump."""
        identity = runner.hand.identity
        view = MetaView(
            version=self._version,
            procedure=self._procedure,
            pump=self._pump,
            firmware=identity.firmware if identity else "",
            serial_number=identity.serial_number if identity else "",
        )
        self._publisher.publish(self._telemetry.meta(self._stamp(), runner.log.last_seq, view))

    def vitals_seen(self, runner: Runner, vitals: VitalsArrived, raw: Mapping[str, object]) -> None:
        stamp, eseq = self._stamp(), runner.log.last_seq
        self._publisher.publish(self._telemetry.vitals(stamp, eseq, vitals.sample))
        model = concentrations(raw)
        if model:
            self._publisher.publish(self._telemetry.model(stamp, eseq, model))
        snapshot = runner.hand.snapshot
        if snapshot is not None and snapshot.state is not PumpState.RUNNING:
            # While the pump delivers, its own reports set the pace; at rest this keeps it at 1 Hz.
            self._tell_pump(runner, snapshot, stamp)
        self._tell_health(runner)

    def alarm_changed(self, runner: Runner, alarm: Alarm) -> None:
        view = alarm_view(alarm, runner.log.last_seq)
        self._alarms[alarm.id] = view
        stamp = self._stamp()
        self._publisher.publish(self._telemetry.alarm(stamp, view))
        self._publisher.publish(
            self._telemetry.alarm_summary(stamp, runner.log.last_seq, self._alarms.values())
        )

    def farewell(self, runner: Runner) -> None:
        """The session is over: its last state, and no alarm left on the broker."""
        self.session(runner)
        for alarm_id in self._alarms:
            self._publisher.publish(self._telemetry.alarm_gone(alarm_id))
        self._alarms.clear()
        self._publisher.publish(
            self._telemetry.alarm_summary(self._stamp(), runner.log.last_seq, ())
        )


def alarm_view(alarm: Alarm, seq: int) -> AlarmView:
    """The alarm as dashboards get it; ``seq`` is that of the record that tells of it."""
    row = ALARMS[alarm.id]
    return AlarmView(
        id=alarm.id,
        kind=AlarmKind(row.kind.value),
        priority=Priority(alarm.rank),
        phase=Phase(alarm.phase),
        state=AlarmState(alarm.state),
        text=alarm.text,
        onset_ts_ms=alarm.onset_ms,
        seq=seq,
        inactivation=Inactivation(alarm.inactivation),
        value=alarm.value,
        limit=alarm.limit,
        unit=alarm.unit,
        mdc=row.mdc or _side(alarm),
        action=row.action,
    )


def _side(alarm: Alarm) -> str:
    """The REFID of a value beyond its limit; nothing where there is no such number."""
    if alarm.value is None or alarm.limit is None:
        return ""
    return "MDC_EVT_LO" if alarm.value < alarm.limit else "MDC_EVT_HI"


def pump_sample(snapshot: Snapshot, account: Account, drug: str, *, pressure: bool) -> PumpSample:
    """The snapshot as dashboards get it; ``pressure`` says whether this pump can measure it."""
    last = account.last
    running = last is not None and last.status in OPEN
    return PumpSample(
        state=snapshot.state,
        drug=drug,
        concentration=account.concentration,
        rate_set=last.rate if last is not None and running else Rate(0),
        rate=snapshot.rate,
        volume=snapshot.infused,
        vtbi=last.volume if last is not None else None,
        pressure_pa=snapshot.pressure_pa if pressure else None,
        link=PumpAlarm.LINK_LOST not in snapshot.alarms,
    )
