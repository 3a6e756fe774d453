"""A small synchronous stage for the procedure: it fires triggers, owns timers, and plays pump and monitor.

Time moves in jumps to the next timer, or second by second where pump and monitor report.  It knows no
rule of the procedure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from controller.library import load_library
from controller.plan import Plan, load_plan
from controller.procedure.decide import decide
from controller.procedure.effects import (
    AcknowledgeAlarm,
    AcknowledgeAlarms,
    ArmGate,
    Ask,
    CancelTimer,
    ClearAlarm,
    Configure,
    DisarmGate,
    Effect,
    Finish,
    Outcome,
    RaiseAlarm,
    Record,
    Refuse,
    RunSelfTest,
    StartBolus,
    StartInfusion,
    StartTimer,
    StopPump,
    Withdraw,
)
from controller.procedure.events import (
    Answered,
    CommandEnded,
    Entered,
    Event,
    PumpReported,
    SelfTestEnded,
    Started,
    StopConfirmed,
    StopUnconfirmed,
    TimerFired,
    VitalsArrived,
)
from controller.procedure.machine import Procedure
from controller.procedure.questions import Question, answer_to
from controller.procedure.table import State
from controller.procedure.visit import Kind, Visit, begin
from firmware_bridge.messages import Code, Ending, PumpAlarm, PumpState, Result, Snapshot
from firmware_bridge.quantities import Duration, Rate, Volume

GOOD = {
    "hr_bpm": 72.0,
    "spo2_pct": 98.0,
    "rr_bpm": 14.0,
    "nibp_sys_mmhg": 122.0,
    "nibp_dia_mmhg": 77.0,
    "nibp_age_s": 60.0,
    "etco2_mmhg": 38.0,
}
LIBRARY = load_library()


def shipped_plan(name: str = "ketamine-first-visit") -> Plan:
    return load_plan(name, LIBRARY)


def snapshot(
    state: PumpState = PumpState.STOPPED,
    infused: Volume = Volume(0),
    alarms: PumpAlarm = PumpAlarm.NONE,
    age_ms: int = 0,
) -> Snapshot:
    return Snapshot(Duration(0), state, Rate(0), infused, Volume(0), 0, alarms, Duration(age_ms))


@dataclass
class FakePump:
    """Delivers what it accepted, at the rate it accepted, as exactly as integers allow."""

    state: PumpState = PumpState.STOPPED
    rate: Rate = Rate(0)
    target: Volume = Volume(0)
    infused: Volume = Volume(0)
    alarms: PumpAlarm = PumpAlarm.NONE
    started_at: float = 0.0
    boot_id: int = 7
    starts: list[StartBolus | StartInfusion] = field(default_factory=list)
    endings: dict[str, Ending] = field(default_factory=dict)
    answers_stop: bool = True
    fails_stop: bool = False
    accepted_rate_pct: int = 100
    clears_alarms: bool = True
    speed_pct: int = 100

    def start(self, effect: StartBolus | StartInfusion, now: float) -> Result:
        self.starts.append(effect)
        self.rate = Rate(-(-effect.rate.nl_h * self.accepted_rate_pct // 100))
        self.target, self.infused = effect.volume, Volume(0)
        self.state, self.started_at = PumpState.RUNNING, now
        return Result(effect.command_id, Ending.ACCEPTED, Code.OK, self.rate, self.target)

    def advance(self, now: float) -> None:
        if self.state is PumpState.RUNNING:
            span = Duration(max(0, int((now - self.started_at) * 10 * self.speed_pct)))
            self.infused = min(self.rate.times(span), self.target)
            if self.infused >= self.target:
                self.state = PumpState.COMPLETED

    def report(self) -> PumpReported:
        return PumpReported(snapshot(self.state, self.infused, self.alarms), self.boot_id)


class Stage:
    """One visit on the stage."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan or shipped_plan()
        self.machine = Procedure()
        self.visit: Visit = begin(self.plan)
        self.now = 1_000.0
        self.pump = FakePump()
        self.vitals: dict[str, float] | None = dict(GOOD)
        self.timers: dict[str, float] = {}
        self.questions: dict[int, Question] = {}
        self.alarms: dict[str, RaiseAlarm] = {}
        self.alarm_history: list[str] = []
        self.acknowledged: list[AcknowledgeAlarm] = []
        self.records: list[Record] = []
        self.refused: list[Refuse] = []
        self.effects: list[Effect] = []
        self.outcomes: list[Outcome] = []
        self.path: list[State] = [State.PREPARING]
        self.self_test_ok = True
        self.self_tests = 0
        self.seq = 0

    @property
    def state(self) -> State:
        return self.machine.state

    def at(self, state: State) -> bool:
        """Whether the visit stands there now (a call, because an attribute would be taken as fixed)."""
        return self.machine.state is state

    # --- feeding ---

    def feed(self, event: Event) -> None:
        """One event, and all that follows from it at once."""
        events: list[Event] = [event]
        while events:
            decision = decide(self.state, self.visit, events.pop(0), self.now)
            self.visit = decision.visit
            previous = None
            if decision.trigger is not None:
                previous = self.machine.fire(decision.trigger)
                self.path.append(self.state)
            answers = [a for effect in decision.effects for a in self._carry_out(effect)]
            if previous is not None:
                events.insert(0, Entered(previous))
            events.extend(answers)

    def _carry_out(self, effect: Effect) -> list[Event]:  # noqa: C901  (one arm per effect)
        self.effects.append(effect)
        match effect:
            case StartTimer():
                self.timers[effect.name] = self.now + effect.seconds
            case CancelTimer():
                del self.timers[effect.name]
            case Ask():
                self.questions[effect.question.id] = effect.question
            case Withdraw():
                del self.questions[effect.question_id]
            case Refuse():
                self.refused.append(effect)
            case RaiseAlarm():
                assert effect.alarm_id not in self.alarms
                self.alarms[effect.alarm_id] = effect
                self.alarm_history.append(effect.alarm_id)
            case ClearAlarm():
                del self.alarms[effect.alarm_id]
            case AcknowledgeAlarm():
                self.acknowledged.append(effect)
            case Record():
                self.records.append(effect)
            case RunSelfTest():
                self.self_tests += 1
                return [SelfTestEnded(ok=self.self_test_ok, findings=("seen",))]
            case Finish():
                self.outcomes.append(effect.outcome)
            case AcknowledgeAlarms():
                if self.pump.clears_alarms:
                    self.pump.alarms &= ~effect.alarms
            case StopPump():
                return self._stop()
            case Configure() | ArmGate() | DisarmGate() | StartBolus() | StartInfusion():
                return self._command(effect)
        return []

    def _stop(self) -> list[Event]:
        self.pump.advance(self.now)
        if self.pump.fails_stop:
            return [StopUnconfirmed("it still turns")]
        if self.pump.state is PumpState.RUNNING:
            self.pump.state = PumpState.STOPPED
        return [StopConfirmed()] if self.pump.answers_stop else []

    def _command(
        self, effect: Configure | ArmGate | DisarmGate | StartBolus | StartInfusion
    ) -> list[Event]:
        what = type(effect).__name__
        ending = self.pump.endings.get(what)
        if ending is Ending.IN_PROGRESS:  # here: no answer at all
            return []
        if ending is Ending.REFUSED or (ending is Ending.UNCERTAIN):
            result = Result(
                effect.command_id, ending, Code.WRONG_STATE, Rate(0), Volume(0), "said no"
            )
        elif isinstance(effect, StartBolus | StartInfusion):
            result = self.pump.start(effect, self.now)
        else:
            result = Result(effect.command_id, Ending.DONE, Code.OK, Rate(0), Volume(0))
        return [CommandEnded(result, what)]

    # --- time ---

    def run(self, seconds: float, *, until: State | None = None) -> None:
        """Let time pass, with reports each second, stopping early on entering ``until``."""
        end = self.now + seconds
        while self.now < end and not (until is not None and self.state is until):
            second = min(end, float(int(self.now) + 1))
            due = [(at, name) for name, at in self.timers.items() if at <= second]
            if due:
                at, name = min(due)
                self.now = max(self.now, at)
                del self.timers[name]
                self.feed(TimerFired(name))
                continue
            self.now = second
            self.report()

    def report(self) -> None:
        """One second's news from pump and monitor."""
        self.pump.advance(self.now)
        self.feed(self.pump.report())
        if self.vitals is not None:
            self.seq += 1
            self.feed(VitalsArrived(dict(self.vitals), self.seq))

    # --- people ---

    def ask(self, kind: str) -> Question:
        found = [q for q in self.questions.values() if q.kind == kind]
        assert found, (
            f"{kind} is not asked in {self.state}: {[q.kind for q in self.questions.values()]}"
        )
        return found[-1]

    def asked(self, kind: str) -> bool:
        return any(q.kind == kind for q in self.questions.values())

    def answer(self, kind: str, choice: str = "", **values: float) -> None:
        self.say(self.ask(kind), choice, values)

    def say(
        self, question: Question, choice: str, values: Mapping[str, float], by: str = "nurse"
    ) -> None:
        reply = answer_to(question, choice, values)
        self.feed(Answered(question.id, reply.choice, reply.values, by, reply.token))

    def agree(self, kind: str) -> None:
        """Yes, as proposed."""
        question = self.ask(kind)
        assert question.proposed is not None
        self.say(question, question.proposed.choice, question.proposed.values)

    # --- ways to a state ---

    def to_self_test(self) -> Stage:
        self.feed(Started())
        for _ in self.plan.checklist:
            self.answer("checklist", "yes")
        return self

    def to_baseline(self) -> Stage:
        return self.to_self_test()

    def to_confirm(self) -> Stage:
        self.to_baseline()
        self.agree("baseline_scores")
        self.run(130)
        return self

    def to_test_bolus(self) -> Stage:
        self.to_confirm()
        self.agree("confirm")
        assert self.state is State.TEST_BOLUS
        return self

    def to_observing(self) -> Stage:
        self.to_test_bolus()
        self.run(70, until=State.OBSERVING)
        assert self.state is State.OBSERVING
        return self

    def respond(self, response: str, **values: float) -> Stage:
        self.run(600)
        self.answer("response", response, **values)
        return self

    def to_infusing(self) -> Stage:
        self.to_observing().respond("dissociation")
        self.agree("confirm")
        self.run(2)
        assert self.state is State.INFUSING
        return self

    def to_loading(self) -> Stage:
        self.to_confirm()
        self.agree("confirm")
        assert self.state is State.LOADING
        return self

    def to_infusing_at_once(self) -> Stage:
        """For a plan without a test dose; its load, if it has one, is given before."""
        if self.plan.load is not None:
            self.to_loading().no_signs(700, until=State.INFUSING)
        else:
            self.to_confirm()
        assert self.state is State.INFUSING
        self.agree("confirm")
        self.run(2)
        return self

    def no_signs(self, seconds: float, *, until: State | None = None) -> Stage:
        """Let time pass while somebody answers that there are no signs of toxicity."""
        end = self.now + seconds
        while self.now < end and not (until is not None and self.state is until):
            if self.asked("signs"):
                self.answer("signs", "none")
            self.run(min(30.0, end - self.now), until=until)
        return self

    def to_recovering(self) -> Stage:
        self.to_infusing()
        self.run(2_710, until=State.RECOVERING)
        assert self.state is State.RECOVERING
        return self

    def discharge(self) -> Stage:
        self.run(3_610)
        self.agree("recovery_scores")
        self.agree("discharge")
        return self

    def why_refused(self) -> str:
        refusals = [r for r in self.records if r.kind == "refused"]
        return str(refusals[-1].data["why"])

    @property
    def infused(self) -> Volume:
        """What the pump reported of the infusion."""
        parts = (d for d in self.visit.account.deliveries if d.kind is Kind.INFUSION)
        return Volume(sum(d.delivered.nl for d in parts))

    def heavy(self, weight_g: int) -> None:
        """The same plan for another weight (before the visit begins)."""
        subject = replace(self.plan.subject, weight_g=weight_g)
        self.plan = replace(self.plan, subject=subject)
        self.visit = begin(self.plan)
