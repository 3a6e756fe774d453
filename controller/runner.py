"""The one asyncio runner of a visit: a queue of events in, effects out, and the way to stop.

What decides is `controller.procedure.decide`, a pure function; what is legal is the machine built from
the table; this shell feeds the first, moves the second and carries out the effects.  It owns every
timer and every long task.  Events are taken one at a time by one consumer, which never waits: there is
nothing in here that a cancellation could tear.

An emergency stop does not go through the queue.  `stop_now` is synchronous: it latches and writes STOP
before anything else happens, from any thread or signal handler; the book-keeping follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from typing import Any, Protocol

from controller.alarm_board import Alarm, AlarmBoard
from controller.event_log import EventLog
from controller.event_queue import EventQueue
from controller.outbox import Outbox
from controller.procedure import effects as do
from controller.procedure import events as told
from controller.procedure.decide import Decision, decide
from controller.procedure.machine import Procedure
from controller.procedure.questions import Answer, Question
from controller.procedure.table import State
from controller.procedure.visit import Visit
from controller.pump_hand import PumpHand
from controller.timers import Timers
from firmware_bridge.latch import Latch
from firmware_bridge.messages import Snapshot

ESTOP = "estop"
"""The choice, in whatever question, that is an emergency stop."""

ODD_STOP = "remote_stop_odd"
"""The alarm for a remote stop that was left behind by somebody, or whose body makes no sense."""

LATCHED_STATES = frozenset({State.EMERGENCY_STOPPED, State.FAULT})

SETTLE_EVENTS = (
    told.Entered,
    told.EmergencyStopRequested,
    told.StopConfirmed,
    told.StopUnconfirmed,
    told.PumpReported,
    told.CommandEnded,
    told.LinkLost,
    told.LinkRestored,
    told.Failed,
    told.TimerFired,
    told.AlarmAcknowledged,
)
"""What still matters after a stop: the stop itself, what was started, and whether the pump stands still."""


class Observer:
    """Somebody who wants to know: telemetry, the terminal, a test.  Every method may be left alone.

    One that raises is told nothing more, and the report says so; the visit goes on without it.
    """

    def state_changed(self, runner: Runner, previous: State) -> None:
        """The machine moved."""

    def pump_seen(self, runner: Runner, snapshot: Snapshot) -> None:
        """The pump gave an account of itself."""

    def vitals_seen(
        self, runner: Runner, vitals: told.VitalsArrived, raw: Mapping[str, object]
    ) -> None:
        """The monitor sent a line: what of it is valid, and the whole of it."""

    def alarm_changed(self, runner: Runner, alarm: Alarm) -> None:
        """An alarm was raised or acknowledged, or its condition ended."""

    def question_changed(self, runner: Runner) -> None:
        """A question was asked, answered, refused or withdrawn."""

    def recorded(self, runner: Runner, kind: str, data: Mapping[str, do.Scalar]) -> None:
        """A record went into the session log."""


class Operator(Protocol):
    """Whoever answers questions: a person at a terminal, a script, a simulated clinician."""

    def ask(self, question: Question, runner: Runner) -> None:
        """The question is open.  Answers come through `Runner.answer`, at any time."""

    def refused(self, question: Question, why: str, runner: Runner) -> None:
        """The last answer to it was not taken; it is still open."""

    def closed(self, question_id: int) -> None:
        """The question is no longer open, answered or not."""

    def close(self) -> Sequence[str]:
        """The visit is over; returns what a person should know about what was never used."""


class Runner:
    """Runs one visit from its first event to its end; see `finished`."""

    def __init__(
        self,
        *,
        visit: Visit,
        machine: Procedure,
        hand: PumpHand,
        log: EventLog,
        outbox: Outbox,
        operator: Operator,
        latch: Latch,
        wall_ms: Callable[[], int],
        observers: Sequence[Observer] = (),
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.visit = visit
        self.machine = machine
        self.hand = hand
        self.log = log
        self.outbox = outbox
        self.operator = operator
        self.latch = latch
        self.alarms = AlarmBoard()
        self.observers = list(observers)
        self.questions: dict[int, Question] = {}
        self.vitals: Mapping[str, object] = {}
        self.vitals_at: float | None = None
        self.started_at = self.loop.time()
        self.entered_at = self.started_at
        self.outcome: do.Outcome | None = None
        self.warnings: list[str] = []
        self.finished: asyncio.Future[do.Outcome] = self.loop.create_future()
        self.wall_ms = wall_ms
        self._timers = Timers(self.loop, lambda name: self.post(told.TimerFired(name)))
        self._events = EventQueue(
            self.loop,
            self._take,
            # nothing is decided between a stop and its books, which go on from there
            waits=lambda: self._stopped and not self._stop_told,
            over=self.finished.done,
            caught_up=hand.consumer_is_idle,
        )
        self._deciding = False
        self._stopped = False
        self._stop_told = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        hand.attach(self)
        outbox.attach(self._fail)

    # --- what others may do -----------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The reported state.  After a stop it is `emergency_stopped`, whatever else still runs."""
        return State.EMERGENCY_STOPPED if self._stopped else self.machine.state

    @property
    def stopped(self) -> bool:
        """Whether an emergency stop has been given."""
        return self._stopped

    @property
    def latched(self) -> bool:
        """Whether the pump is to stand for good: an emergency stop was given, or the visit failed."""
        return self._stopped or self.machine.state in LATCHED_STATES

    def post(self, event: told.Event) -> None:
        """Queue an event.  From the loop's own thread only."""
        self._events.put(event)

    def stop_now(self, by: str) -> None:
        """Emergency stop, from the loop's own thread: latch, write STOP, and only then keep books.

        Idempotent in what it starts; every call writes STOP again.  Pressed from within a decision, by
        an operator who is just being asked, the books wait until that decision has been carried out.
        """
        self._write_stop(by)
        if self._deciding:
            self.loop.call_soon(self._after_stop, by)
        else:
            self._after_stop(by)

    def stop_from_anywhere(self, by: str) -> None:
        """Emergency stop from another thread or a signal handler; the books follow on the loop."""
        self._write_stop(by)
        self.loop.call_soon_threadsafe(self._after_stop, by)

    def _write_stop(self, by: str) -> None:
        if not self.finished.done():  # a visit that is over has the end that it has
            self._stopped = True
        self.latch.set(f"emergency stop by {by}")
        self.hand.estop()

    def answer(self, question_id: int, answer: Answer, by: str) -> None:
        """Somebody answers an open question; a refusal comes back through `Operator.refused`.

        "estop" is no answer that waits for its turn or is weighed: it stops.
        """
        if answer.choice == ESTOP:
            self.stop_now(by)
            return
        self.post(
            told.Answered(question_id, answer.choice, answer.values, by=by, token=answer.token)
        )

    def acknowledge(self, by: str, alarm_id: str = "") -> None:
        """Somebody has seen this alarm, or with an empty id all that stand.  It ends no condition."""
        self.post(told.AlarmAcknowledged(by, alarm_id))

    def vitals_arrived(self, raw: Mapping[str, object]) -> None:
        """The monitor sent a line.  What decides gets it first, then everybody who wants to know."""
        if self.finished.done():
            return
        event = told.vitals_arrived(raw)
        self.vitals, self.vitals_at = raw, self.loop.time()
        self.post(event)
        self._tell(lambda observer: observer.vitals_seen(self, event, raw))

    def note_odd(self, what: str) -> None:
        """A remote stop was not as it should be: kept, and told as an alarm of low priority.

        It decides nothing: whether it stopped the pump or not has happened by now.
        """
        if self.finished.done():
            return
        self.record("odd", {"what": what})
        if ODD_STOP not in self.alarms.raised_ever:  # once: who sends many must not fill the board
            effect = do.RaiseAlarm(ODD_STOP, what)
            self._alarm(self.alarms.raise_alarm(effect, self.wall_ms()))

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Own a long task.  If it raises, the visit fails (and the pump is stopped)."""
        # A clean context: a task must not inherit what the consumer is in the middle of.
        task = self.loop.create_task(work, name=name, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def spawn_even_if_stopped(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Own a task that serves the stop itself, and that a stop therefore does not cancel."""
        task = self.loop.create_task(work, name=name, context=Context())
        self._serving.add(task)
        task.add_done_callback(self._task_done)

    def pump_reported(self, snapshot: Snapshot, boot_id: int) -> None:
        """The pump gave an account of itself."""
        if self.finished.done():
            return
        self._tell(lambda observer: observer.pump_seen(self, snapshot))
        self.post(told.PumpReported(snapshot, boot_id))

    def give_up_stopping(self) -> None:
        """The pump never showed that it stands: the visit ends, and says so."""
        self._finish(self._latched_outcome())
        self.record("stop_never_confirmed", {})

    def close(self) -> None:
        """Cancel timers and tasks (not waiting for them to obey).  The pump is not this one's to stop."""
        self._timers.cancel_all()
        for task in self._tasks | self._serving:
            task.cancel()
        self.outbox.close()

    # --- the one consumer ---------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """How many events wait; the lease is renewed only by a consumer that has caught up."""
        return len(self._events)

    def _take(self, event: told.Event) -> None:
        if self._stopped and not isinstance(event, SETTLE_EVENTS):
            return
        if isinstance(event, told.StopConfirmed | told.StopUnconfirmed) and self._is_outdated(
            event
        ):
            return
        outermost, self._deciding = not self._deciding, True
        try:
            self._apply(decide(self.machine.state, self.visit, event, self.loop.time()))
        except Exception as error:  # noqa: BLE001 - the one catch-all: whatever broke, the pump stops
            why = f"internal error: {type(error).__name__}: {error}"
            self._fail(why, hopeless=isinstance(event, told.Failed))
        finally:
            self._deciding = not outermost

    def _is_outdated(self, event: told.StopConfirmed | told.StopUnconfirmed) -> bool:
        """Whether it tells of an earlier stop than the emergency stop or fault that stands now."""
        if not self.latched:
            return False
        if isinstance(event, told.StopConfirmed):
            return self.hand.stop_confirmed_s is None
        return not self.hand.stop_is_late

    def _apply(self, decision: Decision) -> None:
        self.visit = decision.visit
        previous = self.machine.state
        if decision.trigger is not None:
            self.machine.fire(decision.trigger)
            self.entered_at = self.loop.time()
        for effect in decision.effects:
            self._carry_out(effect)
        if decision.trigger is not None:
            self._moved(previous)

    def _moved(self, previous: State) -> None:
        state = self.machine.state
        if state is State.FAULT:
            # A fault stops by the same two paths and leaves the same latch as an emergency stop.
            self.latch.set("fault")
            self.hand.estop()
            self.latch.save()
            self.hand.repeat_stop_until_confirmed()
        elif state is State.EMERGENCY_STOPPED and not self._stop_told:
            # Decided in its turn, from an event in the queue, so nothing has been written yet.
            self._write_stop("decision")
            self._stand_down()
            self.hand.repeat_stop_until_confirmed()
        self._tell(lambda observer: observer.state_changed(self, previous))
        self._take(told.Entered(previous))

    def _fail(self, why: str, *, hopeless: bool = False) -> None:
        """Stop the pump and fail the visit; ``hopeless``: what fails is the failing itself."""
        self.hand.estop()
        self.latch.set(why)
        if hopeless or self.machine.state in LATCHED_STATES:
            # No way of stopping is left but the bridge's own, which begins when it is let go of.
            self.latch.save()
            self.warnings.append(why)
            self._finish(self._latched_outcome())
            return
        self._events.put_first(told.Failed(why))

    def _latched_outcome(self) -> do.Outcome:
        failed = self.machine.state is State.FAULT or not self._stopped
        return do.Outcome.FAULT if failed else do.Outcome.EMERGENCY_STOPPED

    # --- after a stop -------------------------------------------------------------------------------

    def _after_stop(self, by: str) -> None:
        """Book-keeping of a stop that is already on the wire; on the loop's thread, once."""
        if self._stop_told:
            return
        if self.finished.done():
            self.latch.save()
            return
        try:
            self._stand_down()
            self._take(told.EmergencyStopRequested(by))
        finally:
            self.hand.repeat_stop_until_confirmed()
            self._events.go_on()

    def _stand_down(self) -> None:
        """Nothing that was under way or waiting goes on, but what belongs to stopping and recording."""
        self._stop_told = True
        self.outbox.void_all("emergency stop")
        for task in self._tasks:
            task.cancel()  # not awaited: whether they obey does not matter any more
        self._events.keep_only(SETTLE_EVENTS)
        problem = self.latch.save()
        if problem:
            self.record("latch_not_written", {"why": problem})

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._serving.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self._stopped:
            self._fail(f"{task.get_name()}: {type(error).__name__}: {error}")

    # --- effects ------------------------------------------------------------------------------------

    def _carry_out(self, effect: do.Effect) -> None:
        match effect:
            case do.Record(kind, data):
                self.record(kind, data)
            case do.StartTimer(name, seconds):
                self._timers.start(name, seconds)
            case do.CancelTimer(name):
                self._timers.cancel(name)
            case do.Ask(question):
                self._ask(question)
            case do.Withdraw(question_id):
                self._close_question(question_id)
            case do.Refuse(question_id, why):
                self._refuse(question_id, why)
            case do.RaiseAlarm() | do.ClearAlarm() | do.AcknowledgeAlarm():
                for alarm in self.alarms.changed(effect, self.wall_ms()):
                    self._alarm(alarm)
            case do.Finish(outcome):
                self._finish(outcome)
            case _:
                self.hand.carry_out(effect)

    def record(self, kind: str, data: Mapping[str, do.Scalar]) -> int:
        """Append to the session log; returns the record's ``seq``, to wait for where it is an intent.

        Behind the footer nothing is appended, and nobody is told of it.
        """
        if self.log.sealed:
            return self.log.last_seq
        known = {key: value for key, value in data.items() if value is not None}
        seq = self.log.append(kind, known, sync=kind != "sample")
        self._tell(lambda observer: observer.recorded(self, kind, data))
        return seq

    def _ask(self, question: Question) -> None:
        self.questions[question.id] = question
        self.operator.ask(question, self)  # first, so that who shows it can ask whoever answers it
        self._questions_changed()

    def _close_question(self, question_id: int) -> None:
        if self.questions.pop(question_id, None) is not None:
            self.operator.closed(question_id)
            self._questions_changed()

    def _refuse(self, question_id: int, why: str) -> None:
        question = self.questions.get(question_id)
        if question is not None:
            self.operator.refused(question, why, self)
            self._questions_changed()

    def _questions_changed(self) -> None:
        self._tell(lambda observer: observer.question_changed(self))

    def _tell(self, news: Callable[[Observer], None]) -> None:
        for observer in tuple(self.observers):
            try:
                news(observer)
            except Exception as error:  # noqa: BLE001 - who only wants to know must not end a visit
                if observer in self.observers:  # being told may have told it again
                    self.observers.remove(observer)
                    self.warnings.append(
                        f"{type(observer).__name__} was told nothing more: {error!r}"
                    )

    def _alarm(self, alarm: Alarm) -> None:
        self.record("alarm", alarm.record())
        self._tell(lambda observer: observer.alarm_changed(self, alarm))

    def _finish(self, outcome: do.Outcome) -> None:
        if not self.finished.done():
            self.outcome = outcome
            self._timers.cancel_all()
            self.hand.quiet()
            self.finished.set_result(outcome)
