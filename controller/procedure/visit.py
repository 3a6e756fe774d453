"""Everything a visit knows, as frozen data: plan, chart, dose account, vitals, pump, open questions.

Four amounts of drug are kept apart and never stand in for each other: *ordered* (a person confirmed
it), *programmed* (the pump accepted it), *delivered* (the pump reported it) and *estimated* (computed
here from rate and time).  Only `decide` makes new visits from old ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from controller.limits import Given
from controller.plan import Plan
from controller.procedure.questions import Question
from controller.procedure.table import State
from firmware_bridge.messages import PumpAlarm
from firmware_bridge.quantities import Concentration, Duration, Mass, Rate, Volume

HOUR_S = 3_600.0


class Kind(StrEnum):
    """What a delivery is for."""

    TEST = "test"
    FURTHER = "further"
    INFUSION = "infusion"
    LOAD = "load"


class Status(StrEnum):
    """How far a delivery has come."""

    ORDERED = "ordered"  # confirmed; no start has been sent
    NEVER_STARTED = "never_started"  # refused, or given up before a start was sent
    STARTING = "starting"  # the start was sent, its answer is open
    RUNNING = "running"
    STOPPING = "stopping"  # stop was sent; the final count is open
    STOPPED = "stopped"  # ended early, the count is final
    COMPLETED = "completed"
    UNCERTAIN = "uncertain"  # what the pump did is not known: all of it must be assumed


OPEN = frozenset({Status.ORDERED, Status.STARTING, Status.RUNNING})
MOVED = frozenset(Status) - {Status.ORDERED, Status.NEVER_STARTED}


TESTS = frozenset({Kind.TEST, Kind.FURTHER})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One start of the pump: what was ordered, programmed and delivered.  Times in s, loop time."""

    id: int
    kind: Kind
    mass: Mass
    volume: Volume
    rate: Rate
    status: Status = Status.ORDERED
    programmed_volume: Volume | None = None
    programmed_rate: Rate | None = None
    delivered: Volume = Volume(0)
    recorded: Volume = Volume(0)
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def counted(self) -> Volume:
        """The volume that must be assumed given or committed: the delivered one once that is final."""
        if self.status is Status.NEVER_STARTED:
            return Volume(0)
        if self.status is Status.STOPPED:
            return self.delivered
        if self.status is Status.COMPLETED:
            return max(self.programmed_volume or self.volume, self.delivered)
        return max(self.volume, self.delivered)

    def estimated(self, now: float) -> Volume:
        """What rate and time say was delivered by ``now``; never more than programmed."""
        if self.started_at is None or self.programmed_rate is None:
            return Volume(0)
        until = now if self.ended_at is None else self.ended_at
        span = Duration(max(0, int((until - self.started_at) * 1_000)))
        return min(self.programmed_rate.times(span), self.programmed_volume or self.volume)

    def motor_s(self, now: float) -> float:
        """Seconds for which the motor has been on, as far as is known."""
        if self.started_at is None:
            # Taken over after a crash: the volume that must be assumed took at least this long.
            moved = self.status in MOVED and self.rate.nl_h > 0
            return self.rate.time_for(self.counted).s if moved else 0.0
        return (now if self.ended_at is None else self.ended_at) - self.started_at


@dataclass(frozen=True, slots=True)
class Account:
    """All deliveries of a visit, in order, at one concentration."""

    concentration: Concentration
    deliveries: tuple[Delivery, ...] = ()

    @property
    def last(self) -> Delivery | None:
        return self.deliveries[-1] if self.deliveries else None

    def by_id(self, delivery_id: int) -> Delivery | None:
        return next((d for d in self.deliveries if d.id == delivery_id), None)

    @property
    def any_started(self) -> bool:
        """Whether a start ever left, whatever came of it."""
        return any(d.status in MOVED for d in self.deliveries)

    @property
    def required(self) -> Mass:
        """The required dose: the sum of the test doses delivered."""
        return self._mass(d.delivered for d in self.deliveries if d.kind in TESTS)

    @property
    def delivered(self) -> Volume:
        return _sum(d.delivered for d in self.deliveries)

    @property
    def infusion_counted(self) -> Volume:
        return _sum(d.counted for d in self.deliveries if d.kind is Kind.INFUSION)

    @property
    def volume_counted(self) -> Volume:
        return _sum(d.counted for d in self.deliveries)

    def last_end(self) -> float | None:
        """When the last delivery that may have moved drug ended; None if there was none."""
        ends = [d.ended_at for d in self.deliveries if d.status in MOVED]
        return max((end for end in ends if end is not None), default=None)

    def given(self, now: float) -> Given:
        """What limits must count on top: everything committed, in this hour and in this visit."""
        recent = [d for d in self.deliveries if d.ended_at is None or now - d.ended_at < HOUR_S]
        last = self.last_end()
        return Given(
            test=self._mass(d.counted for d in self.deliveries if d.kind in TESTS),
            hour=self._mass(d.counted for d in recent),
            visit=self._mass(d.counted for d in self.deliveries),
            since_last=None if last is None else Duration(max(0, int((now - last) * 1_000))),
        )

    def motor_s(self, now: float) -> float:
        """Seconds of motor-on time of the infusion so far."""
        return sum(d.motor_s(now) for d in self.deliveries if d.kind is Kind.INFUSION)

    def _mass(self, volumes: Iterable[Volume]) -> Mass:
        return _sum(volumes).mass_at(self.concentration)


def _sum(volumes: Iterable[Volume]) -> Volume:
    return Volume(sum(v.nl for v in volumes))


def uncounted(deliveries: tuple[Delivery, ...]) -> tuple[Delivery, ...]:
    """The same where another pump answers now: its counter says nothing of the last delivery."""
    return tuple(replace(d, programmed_volume=None) for d in deliveries)


@dataclass(frozen=True, slots=True)
class Chart:
    """What people said and did, and why the visit stands where it stands.

    ``rescue_total`` is in the unit of the plan's rescue drug; ``sign`` is the last sign of toxicity that
    was seen and not taken back; ``ruled_dose`` is what the infusion rule came to.
    """

    started: bool = False
    finished: bool = False
    checked: int = 0
    baseline: Mapping[str, float] | None = None
    response: str = ""
    response_at: float | None = None
    further_dose: Mass | None = None
    infusion_dose: Mass | None = None
    proposal: Delivery | None = None
    hold_reason: str = ""
    hold_origin: State | None = None
    resuming: bool = False
    acknowledged: bool = False
    log_failed: bool = False
    interrupted: bool = False
    disagreement: str = ""
    rescued: bool = False
    rescue_drug: str = ""
    rescue_doses: int = 0
    rescue_total: float = 0.0
    rescue_at: float | None = None
    sign: str = ""
    sign_asked_at: float | None = None
    ruled_dose: Mass | None = None
    recovery: Mapping[str, float] | None = None
    not_discharged: str = ""
    end_reason: str = ""


@dataclass(frozen=True, slots=True)
class VitalsWatch:
    """The last sample, when it was heard, what is outside its limits since when.

    ``outside`` pairs the index of a limit with the time since which it is exceeded; ``good_since``
    is None while anything is outside or missing.
    """

    sample: Mapping[str, float] = field(default_factory=dict)
    signs: Mapping[str, float | bool | str] = field(default_factory=dict)
    seq: int = -1
    heard_at: float | None = None
    outside: tuple[tuple[int, float], ...] = ()
    good_since: float | None = None
    stale: bool = True


@dataclass(frozen=True, slots=True)
class PumpWatch:
    """What is known of bridge and pump.  ``boot_id`` 0 means: not heard of yet."""

    link_up: bool = True
    boot_id: int = 0
    tested_boot_id: int | None = None
    testing: bool = False
    alarms: PumpAlarm = PumpAlarm.NONE
    stopping: bool = False
    stopped_at: float | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """A command whose answer is open."""

    command_id: int
    what: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """Waiting times in seconds that depend on the engine, not on the procedure.

    Whoever runs the visit in scaled time stretches them, so that none is shorter than 250 ms of wall
    time.  ``slack_s`` is how far a report may lag behind the motor; ``confirm_s`` how long a confirmation
    may be given after it was asked for; ``resume_s`` how long resuming may wait for acknowledgement,
    self-test and the settled count [design].
    """

    data_age_s: float = 10.0
    command_s: float = 10.0
    stop_s: float = 10.0
    slack_s: float = 15.0
    confirm_s: float = 30.0
    resume_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit at one moment."""

    plan: Plan
    account: Account
    bounds: Bounds = Bounds()
    chart: Chart = Chart()
    vitals: VitalsWatch = VitalsWatch()
    pump: PumpWatch = PumpWatch()
    entered_at: float = 0.0
    questions: tuple[Question, ...] = ()
    deadlines: Mapping[str, float] = field(default_factory=dict)
    alarms: frozenset[str] = frozenset()
    pending: Pending | None = None
    next_id: int = 1

    def with_news(
        self, *, account: Account | None = None, vitals: VitalsWatch | None = None
    ) -> Visit:
        """`dataclasses.replace` for what changes every second, at a third of its cost."""
        return Visit(
            self.plan,
            account or self.account,
            self.bounds,
            self.chart,
            vitals or self.vitals,
            self.pump,
            self.entered_at,
            self.questions,
            self.deadlines,
            self.alarms,
            self.pending,
            self.next_id,
        )

    def question(self, kind: str) -> Question | None:
        """The open question of this kind."""
        return next((q for q in self.questions if q.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the session log says about a visit whose controller died.

    ``checked`` counts the items of the checklist answered with yes; ``pump`` names the pump that passed
    the last self-test, empty if none did.
    """

    state: State
    hold_origin: State | None
    deliveries: tuple[Delivery, ...]
    checked: int = 0
    pump: str = ""
    infusion_dose: Mass | None = None
    response: str = ""
    rescued: bool = False
    rescue_doses: int = 0
    rescue_total: float = 0.0
    sign: str = ""
    baseline: Mapping[str, float] | None = None
    next_id: int = 1


def begin(plan: Plan, bounds: Bounds | None = None) -> Visit:
    """A visit before its first event, in the state `State.PREPARING`."""
    chosen = bounds or Bounds(data_age_s=plan.limits.data_age_s_max)
    return Visit(plan=plan, account=Account(plan.concentration), bounds=chosen)
