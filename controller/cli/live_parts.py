"""The parts of a live visit that depend on its options: bounds for the speed, log, publisher, keyboard."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from controller import event_log
from controller.cli.keyboard import Keyboard
from controller.cli.outcome import Unreachable, Usage
from controller.cli.prompt import PromptOperator
from controller.cli.screen import Screen
from controller.event_log import EventLog, Header, LogDamaged
from controller.log_facts import visit_facts
from controller.log_format import Record, Stamp
from controller.log_storage import FileStorage, LogBusy
from controller.mqtt_url import Broker, MqttAddress, Off
from controller.plan import Plan
from controller.procedure.table import CLOSED
from controller.procedure.visit import Bounds, Recovered
from controller.publisher import NullPublisher, OnStop, Publisher
from controller.pump_hand import Pace
from controller.replay import ReplayError, replay
from controller.runner import Operator, Runner
from controller.telemetry import Telemetry
from controller.vitals_replay import Recording
from firmware_bridge.clock import WALL_FLOOR_S, at_least_wall, fresh_boot_id, wall_ms
from firmware_bridge.protocols.pumplink_timing import Timing
from firmware_bridge.quantities import Duration

GO_ON = "go on with that one, or move the log away to begin anew"


@dataclass(frozen=True, slots=True)
class LiveSpec:
    """A live visit as it was asked for, everything checked."""

    plan: Plan
    device: str
    pump: str
    simulated_pump: bool
    operator: Operator
    replay: Recording | None
    mqtt: MqttAddress
    speed: float
    seed: int
    log_dir: Path
    warnings: tuple[str, ...] = ()
    declared: str = ""
    """Who has said that a clinical pump is connected to nobody."""

    @property
    def typed(self) -> bool:
        """Whether a person answers, in the time of the wall clock."""
        return isinstance(self.operator, PromptOperator)

    def attach(
        self,
        loop: asyncio.AbstractEventLoop,
        screen: Screen,
        runner: Runner,
        stack: AsyncExitStack,
    ) -> None:
        """Give the keyboard to the person, where one answers the questions."""
        if isinstance(self.operator, PromptOperator):
            prompt = self.operator

            def typed(text: str) -> None:
                prompt.typing(text)
                screen.typed(text)

            prompt.speak_through(screen.hint)
            prompt.attach(runner, interactive=os.isatty(sys.stdin.fileno()))
            stdin = sys.stdin.fileno()
            stack.enter_context(Keyboard(loop, prompt.line, typed, stdin, on_end=prompt.ended))


# --- time -------------------------------------------------------------------------------------------


def pace_at(speed: float) -> Pace:
    """The pace of lease and stops at this speed; none shorter than 250 ms of wall time."""
    usual = Pace()
    return Pace(
        lease=Duration.from_s(at_least_wall(usual.lease.s, speed)),
        renew_s=usual.renew_s,
        idle_s=usual.idle_s,
        reopen_s=at_least_wall(usual.reopen_s, speed),
        stop_alarm_s=at_least_wall(usual.stop_alarm_s, speed),
        stop_give_up_s=usual.stop_give_up_s * speed,  # wall time: that is what a pump needs
    )


def bounds_at(speed: float, plan: Plan, *, typed: bool = False) -> Bounds:
    """The procedure's waiting times at this speed; ``typed``: a person reads and types on the wall clock."""
    usual = Bounds(data_age_s=plan.limits.data_age_s_max)
    command_s = usual.command_s * speed  # a command is wire time, which does not scale
    stop_s = usual.stop_s * speed
    # On resuming the syringe is told, the dead-man is tripped and recovers, and the stop settles.
    self_test_s = 3 * pace_at(speed).lease.s + command_s + stop_s
    return Bounds(
        data_age_s=at_least_wall(usual.data_age_s, speed),
        command_s=command_s,
        stop_s=stop_s,
        slack_s=at_least_wall(usual.slack_s, speed),
        # People who are simulated act in the loop's time.
        confirm_s=usual.confirm_s * max(1.0, speed)
        if typed
        else at_least_wall(usual.confirm_s, speed),
        resume_s=max(usual.resume_s, self_test_s),
    )


def unhurried(plan: Plan, speed: float) -> Plan:
    """The plan for a person who types: what waits for an answer waits as long by the wall clock.

    What the patient needs (observation, infusion, recovery) and how often is asked stay in the time of
    the visit.
    """
    if speed <= 1:
        return plan
    times = plan.times
    return replace(
        plan,
        times=replace(
            times,
            before_drug_s_max=times.before_drug_s_max * speed,
            observing_answer_s=times.observing_answer_s * speed,
            holding_answer_s=times.holding_answer_s * speed,
            signs_answer_s=times.signs_answer_s * speed,
        ),
    )


def timing_at(speed: float) -> Timing:
    """How long the link to the bridge waits at this speed."""
    usual = Timing()
    return Timing(
        answer_s=at_least_wall(usual.answer_s, speed),
        estop_repeat_s=at_least_wall(usual.estop_repeat_s, speed),
    )


def stretched(speed: float, *, typed: bool = False) -> tuple[str, ...]:
    """A sentence for every bound that scaled time stretches; they are no evidence for a requirement."""
    if speed == 1:
        return ()
    floor_s = WALL_FLOOR_S * speed
    usual, bounds, timing = Pace(), Bounds(), Timing()
    names = {
        "lease and dead-man": usual.lease.s,
        "answer of the bridge": timing.answer_s,
        "age of vitals": bounds.data_age_s,
        "time to confirm": bounds.confirm_s,
        "stop alarm": usual.stop_alarm_s,
    }
    if typed:
        del names["time to confirm"]
    long = [
        f"{name} {value:g} -> {floor_s:g} s" for name, value in names.items() if value < floor_s
    ]
    head = f"scaled time, {speed:g} times the wall clock"
    said = f"{head}; stretched to 250 ms of wall time: {', '.join(long) or 'nothing'}"
    return (f"{said}; who types answers by the wall clock" if typed else said,)


class Clock:
    """The time of records and messages: wall-clock label, and loop milliseconds since it was made."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._began = loop.time()

    def stamp(self) -> Stamp:
        return Stamp(wall_ms(self._loop), round((self._loop.time() - self._began) * 1_000))


# --- the log ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class LogListeners:
    """Who hears of the log; filled in as the parts come to life.  Called from the writer's thread."""

    advanced: Callable[[], None] = lambda: None
    failed: Callable[[OSError], None] = lambda _error: None

    def on_written(self) -> None:
        """Records have become readable."""
        self.advanced()

    def on_failure(self, error: OSError) -> None:
        """The log cannot be written."""
        self.failed(error)


def opened_log(
    spec: LiveSpec, clock: Clock, listeners: LogListeners
) -> tuple[EventLog, Path, Recovered | None]:
    """A new log; or the unfinished one of this device, with what it says.  Raises `Usage`."""
    boot = f"{fresh_boot_id():08x}{os.getpid() & 0xFFFF:04x}"
    for unfinished in event_log.open_sessions(spec.log_dir, spec.device):
        log, records = _continued(unfinished.path, spec.device, clock, boot, listeners)
        try:
            found = replay(records)
        except ReplayError as error:
            log.close()
            raise Usage(f"{unfinished.path}: {error}; move it away to begin anew") from error
        if found.state not in CLOSED:
            other = _other_visit(records[0], spec)
            if other:
                log.close()
                raise Usage(f"{unfinished.path}: an unfinished visit with {other}; {GO_ON}")
            return log, unfinished.path, found.recovered
        log.seal({"outcome": found.outcome, "final_state": found.state.value})
        log.close()
    session, path = event_log.next_session(spec.log_dir, spec.device)
    try:
        storage = event_log.create_file(path)
    except OSError as error:
        raise Usage(f"--log-dir {spec.log_dir}: {error.strerror or error}") from error
    header = Header(
        version("infusor"),
        spec.device,
        spec.plan.name,
        spec.plan.procedure_sha256,
        simulated=True,
        extra={
            "clock": "real" if spec.speed == 1 else "scaled",
            "seed": spec.seed,
            "speed": spec.speed,
            "pump": spec.pump,
            **visit_facts(spec.plan),
        },
    )
    log = EventLog.create(
        storage,
        header,
        session=session,
        boot=boot,
        stamp=clock.stamp,
        on_failure=listeners.on_failure,
        on_written=listeners.on_written,
    )
    return log, path, None


def interrupted_notice(path: Path, recovered: Recovered) -> str:
    """What a person must know first when an unfinished visit is taken up again."""
    return (
        f"taking up the unfinished visit of {path}, whose controller ended in {recovered.state}: "
        "the pump has been stopped, and nothing goes on before the question in holding is answered"
    )


def _other_visit(header: Record, spec: LiveSpec) -> str:
    """In what the unfinished visit differs from the one asked for; empty if in nothing."""
    plan = spec.plan
    asked = {
        "procedure": plan.name,
        "pump": spec.pump,
        **visit_facts(plan),
        "config_sha256": plan.procedure_sha256,
    }
    return ", ".join(
        f"{key} {header.get(key)} where {value} is asked for"
        for key, value in asked.items()
        if header.get(key) != value
    )


def _continued(
    path: Path, device: str, clock: Clock, boot: str, listeners: LogListeners
) -> tuple[EventLog, tuple[Record, ...]]:
    try:
        return EventLog.recover(
            FileStorage(path, existing=True),
            boot=boot,
            stamp=clock.stamp,
            on_failure=listeners.on_failure,
            on_written=listeners.on_written,
        )
    except LogBusy as error:
        raise Unreachable(f"{device} is in use: another process writes {path}") from error
    except (LogDamaged, OSError) as error:
        raise Usage(f"{path}: {error}; move it away to begin anew") from error


# --- telemetry ----------------------------------------------------------------------------------------


def publisher_for(
    spec: LiveSpec,
    telemetry: Telemetry,
    log: EventLog,
    on_estop: OnStop,
    on_odd: Callable[[str], None],
) -> Publisher:
    """The way to the dashboards that was asked for.

    A broker of somebody's gets each event once over any number of restarts: how far it has come is kept
    beside the log.  An embedded one begins empty every time.
    """
    if isinstance(spec.mqtt, Off):
        return NullPublisher()
    from controller.mqtt import MqttPublisher  # noqa: PLC0415 - MQTT loads only where it is used

    cursor = Path(log.name).with_suffix(".cursor") if isinstance(spec.mqtt, Broker) else None
    return MqttPublisher(spec.mqtt, telemetry, on_estop=on_estop, on_odd=on_odd, cursor_path=cursor)
