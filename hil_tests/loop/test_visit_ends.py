"""How a visit ends when something goes wrong at the very end of it: its log, its stop, its exit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from controller import conduct
from controller import runner as runner_module
from controller.cli.clinicians import Script
from controller.cli.rehearsal import Rehearsed, Stage
from controller.log_format import Record, verify
from controller.log_writer import CLOSE_S, LogWriteFailed
from controller.operators import parse_script
from controller.procedure import effects as do
from controller.procedure import events as told
from controller.procedure.table import State
from controller.runner import Observer, Runner
from firmware_bridge.messages import Snapshot
from hil_tests.loop.estop_rig import PLAN, VISIT_S, WAYS
from sim.virtual_loop import run_virtual

STANDS_S = 30.0
"""How long a stop is tried for."""


@dataclass(slots=True)
class Ending(Observer):
    """A short visit that somebody does something to ``after_s`` into ``state``."""

    state: State
    do: Callable[[Ending], None]
    after_s: float = 5.0
    stage: Stage = field(init=False)
    runner: Runner = field(init=False)
    begun_at: float = -1.0
    done_at: float = -1.0

    def run(self) -> Rehearsed:
        way = parse_script(WAYS[self.state].encode(), "script")
        self.stage = Stage(PLAN, 1, lambda _draw: Script(way), observers=(self,))
        self.stage.on_runner = self._begun
        rehearsed, _ = run_virtual(self.stage.run, seed=1, budget_s=VISIT_S)
        return rehearsed

    def _begun(self, runner: Runner) -> None:
        self.runner = runner

    def state_changed(self, runner: Runner, previous: State) -> None:
        if runner.state is self.state and self.begun_at < 0:
            self.begun_at = runner.loop.time()
            runner.loop.call_later(self.after_s, self._now)

    def _now(self) -> None:
        self.done_at = self.runner.loop.time()
        self.do(self)

    def records(self, kind: str) -> list[Record]:
        return [record for record in self.stage.events() if record["kind"] == kind]

    def after(self, record: Record) -> float:
        """Seconds between what was done and this record."""
        return int(record["mono"]) / 1_000 - self.done_at


def stop(ending: Ending) -> None:
    ending.runner.stop_now("the test")


def fail(ending: Ending) -> None:
    ending.runner.post(told.Failed("the test"))


# --- the log ------------------------------------------------------------------------------------------


def test_vitals_during_a_slow_commit_do_not_follow_the_footer() -> None:
    seen: list[float] = []

    class Counting(Observer):
        def vitals_seen(
            self, runner: Runner, vitals: told.VitalsArrived, raw: Mapping[str, object]
        ) -> None:
            if runner.finished.done():
                seen.append(runner.loop.time())

    def slow_disk(ending: Ending) -> None:
        log = ending.runner.log

        async def commit() -> None:
            footer = log.last_seq
            await asyncio.sleep(3.5)
            ending.runner.record("odd", {"what": "somebody who comes late"})
            assert log.append("odd", {}, sync=True) == footer

        ending.runner.observers.append(Counting())
        object.__setattr__(log, "commit", commit)
        stop(ending)

    ending = Ending(State.INFUSING, slow_disk)
    report = ending.run().report
    assert report.log_sealed
    verdict = verify(ending.stage.storage.contents())
    assert (verdict.ok, verdict.sealed) == (True, True), verdict
    assert seen == []


@pytest.mark.parametrize("never", [False, True])
def test_a_log_that_cannot_be_sealed_is_told_and_is_no_good_end(never: bool) -> None:
    async def commit() -> None:
        if never:
            await asyncio.get_running_loop().create_future()
        raise LogWriteFailed("disk full")

    def broken_disk(ending: Ending) -> None:
        object.__setattr__(ending.runner.log, "commit", commit)
        ending.runner._finish(do.Outcome.COMPLETED)

    ending = Ending(State.OBSERVING, broken_disk)
    report = ending.run().report
    why = f"the disk did not answer within {CLOSE_S:g} s" if never else "disk full"
    assert report.warnings[-1] == f"the session log could not be sealed: {why}"
    assert report.as_json()["warnings"] == list(report.warnings)
    assert (report.outcome, report.good) == (do.Outcome.COMPLETED, False)
    assert ending.stage.world is not None
    waited_s = ending.runner.loop.time() - ending.done_at
    assert waited_s < CLOSE_S + 1.0


def test_what_a_monitor_sends_can_neither_break_nor_falsify_the_log() -> None:
    hostile = {
        "signs": {"seq": 1, "state": 1, "t_s": -1, "anxious": False},
        "model": {"kind": 3, "delivered_ml": 99.0, "ts": 1, "plasma_ng_ml": 12.0},
        "hr_bpm": 10**400,
    }

    def send(ending: Ending) -> None:
        heard = ending.runner.vitals | hostile | {"seq": 10**6}  # type: ignore[operator]
        ending.runner.vitals_arrived(heard)
        ending.runner.loop.call_later(1.0, stop, ending)

    ending = Ending(State.OBSERVING, send)
    report = ending.run().report
    assert report.warnings == ()
    assert report.outcome is do.Outcome.EMERGENCY_STOPPED
    lines = ending.stage.storage.contents().splitlines()
    samples = [json.loads(line) for line in lines if b'"kind":"sample"' in line]
    (sample,) = [s for s in samples if s["ts"] and "hr_bpm" not in s and s["t_s"] > 60]
    assert (sample["state"], sample["plasma_ng_ml"], sample["anxious"]) == (
        "observing",
        12.0,
        False,
    )
    assert sample["delivered_ml"] == pytest.approx(1.0)


# --- the stop -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("act", "outcome"), [(stop, "emergency_stopped"), (fail, "fault")])
def test_a_pump_that_comes_back_after_ten_seconds_still_confirms_the_stop(
    act: Callable[[Ending], None], outcome: str
) -> None:
    def unplugged(ending: Ending) -> None:
        ending.stage.unplug()
        act(ending)
        ending.runner.loop.call_later(10.0, ending.stage.replug)

    ending = Ending(State.INFUSING, unplugged)
    report = ending.run().report
    assert (report.outcome.value, report.stop_confirmed) == (outcome, True)
    alarms = [(r["alarm"], r["active"]) for r in ending.records("alarm")]
    assert alarms.index(("stop_unconfirmed", True)) < alarms.index(("stop_unconfirmed", False))
    (confirmed,) = [r for r in ending.records("stop") if r["confirmed"]]
    assert 10.0 < ending.after(confirmed) < STANDS_S


@pytest.mark.parametrize(("act", "outcome"), [(stop, "emergency_stopped"), (fail, "fault")])
def test_a_stop_is_given_up_only_after_its_time(
    act: Callable[[Ending], None], outcome: str
) -> None:
    def unplugged(ending: Ending) -> None:
        ending.stage.unplug()
        act(ending)

    ending = Ending(State.INFUSING, unplugged)
    report = ending.run().report
    assert (report.outcome.value, report.stop_confirmed) == (outcome, False)
    (given_up,) = ending.records("stop_never_confirmed")
    assert ending.after(given_up) == pytest.approx(STANDS_S, abs=0.1)
    late = next(r for r in ending.records("alarm") if r["alarm"] == "stop_unconfirmed")
    assert ending.after(late) == pytest.approx(1.0, abs=0.1)


def test_a_fault_says_whether_its_stop_was_confirmed() -> None:
    report = Ending(State.INFUSING, fail).run().report
    assert (report.outcome, report.stop_confirmed) == (do.Outcome.FAULT, True)


def test_a_start_whose_result_waits_behind_the_stop_is_counted_all_the_same() -> None:
    """The pump has accepted and runs; the consumer has not heard of it yet when stop is pressed."""

    def hold_the_result_back(ending: Ending) -> None:
        runner = ending.runner
        post = runner.post

        def late(event: told.Event) -> None:
            if isinstance(event, told.CommandEnded) and event.what == "StartBolus":
                runner.loop.call_later(3.0, arrives, event)
            else:
                post(event)

        def arrives(event: told.Event) -> None:
            post(event)
            stop(ending)

        setattr(runner, "post", late)  # noqa: B010 - a method, which an assignment may not replace

    ending = Ending(State.TEST_BOLUS, hold_the_result_back, after_s=0.0)
    report = ending.run().report
    account = ending.runner.visit.account
    assert report.stop_confirmed
    assert account.last is not None
    assert account.last.programmed_volume == account.last.volume
    moved_nl = ending.stage.served.truth().plunger_nl
    assert moved_nl > 40_000  # three seconds at 60 mL/h
    assert round(report.delivered_ml * 1e6) == pytest.approx(moved_nl, abs=1_000)


def test_nothing_that_waits_is_decided_between_a_stop_from_a_thread_and_its_books() -> None:
    def stop_with_news_waiting(ending: Ending) -> None:
        ending.runner.post(told.LogFailed("the test"))  # before any drug: it would end the visit
        ending.runner.post(told.LinkLost("the test"))
        ending.runner.stop_from_anywhere("the test")

    ending = Ending(State.BASELINE, stop_with_news_waiting)
    report = ending.run().report
    assert (report.outcome, report.stop_confirmed) == (do.Outcome.EMERGENCY_STOPPED, True)
    assert [r["to"] for r in ending.records("state")][-1] == "emergency_stopped"
    assert ending.records("stop")[-1]["confirmed"] is True


# --- what breaks on the way ---------------------------------------------------------------------------


class Breaking(Observer):
    """Raises at everything it is told."""

    def recorded(self, runner: Runner, kind: str, data: Mapping[str, do.Scalar]) -> None:
        raise RuntimeError("no more room")

    def pump_seen(self, runner: Runner, snapshot: Snapshot) -> None:
        raise RuntimeError("no more room")


def test_an_observer_that_breaks_during_a_stop_is_left_out_and_the_stop_goes_on() -> None:
    def break_and_stop(ending: Ending) -> None:
        ending.runner.observers.insert(0, Breaking())
        stop(ending)

    ending = Ending(State.INFUSING, break_and_stop)
    report = ending.run().report
    assert (report.outcome, report.stop_confirmed) == (do.Outcome.EMERGENCY_STOPPED, True)
    assert report.warnings == ("Breaking was told nothing more: RuntimeError('no more room')",)
    assert verify(ending.stage.storage.contents()).sealed


def test_books_that_cannot_be_kept_end_an_emergency_stop_and_do_not_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("no decision")

    def break_and_stop(ending: Ending) -> None:
        stop(ending)
        monkeypatch.setattr(runner_module, "decide", breaks)

    ending = Ending(State.INFUSING, break_and_stop)
    report = ending.run().report
    assert report.outcome is do.Outcome.EMERGENCY_STOPPED
    assert "internal error: RuntimeError: no decision" in report.warnings
    assert ending.stage.served.truth().rate_nl_h == 0


def test_a_visit_that_cannot_even_fail_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("no decision")

    ending = Ending(
        State.INFUSING, lambda _ending: monkeypatch.setattr(runner_module, "decide", breaks)
    )
    report = ending.run().report
    assert report.outcome is do.Outcome.FAULT
    assert ending.stage.latch.is_set
    assert ending.stage.served.truth().rate_nl_h == 0


def test_the_library_is_read_again_before_any_drug(monkeypatch: pytest.MonkeyPatch) -> None:
    class Another:
        sha256 = "0" * 64

    monkeypatch.setattr(conduct, "load_library", Another)
    stage = Stage(PLAN, 1, lambda _draw: Script(parse_script(b"", "script")))
    rehearsed, _ = run_virtual(stage.run, seed=1, budget_s=VISIT_S)
    assert rehearsed.report.outcome is do.Outcome.ABORTED
    assert rehearsed.report.delivered_ml == 0
    said = json.dumps([r for r in stage.events() if r["kind"] != "header"])
    assert "not the one that the plan was checked against" in said
