"""A visit on the real clock whose controller blocks its own loop while the pump delivers; run as a process.

It is the product's own live visit; what is the test's is the operator, who answers everything at once and
puts the block on the loop.  One argument, a JSON object: ``pump`` (URL), ``device``, ``folder``,
``block_s`` and ``after_s`` (seconds from the first report of a running motor), ``mqtt`` (URL or "off").
It says on stdout when the loop is blocked and when it turns again, and, last, how the visit ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from controller.cli.live import LiveVisit
from controller.cli.live_parts import LiveSpec
from controller.cli.options import existing_plan
from controller.mqtt_url import parse_mqtt_url
from controller.procedure.questions import Answer, Question
from controller.procedure.table import State
from controller.runner import Observer, Runner
from controller.vitals_replay import Recording
from firmware_bridge.clock import new_loop
from firmware_bridge.messages import PumpState, Snapshot

SOON_S = 0.02
"""How long the operator takes for an answer."""

BASELINE_S = 0.5
"""Far below what a procedure file may say: the minutes before the drug are not what is looked at."""

VITALS: Mapping[str, float] = {
    "hr_bpm": 72.0,
    "spo2_pct": 98.0,
    "nibp_sys_mmhg": 122.0,
    "nibp_dia_mmhg": 76.0,
    "rr_bpm": 14.0,
}


class Bystander(Observer):
    """Agrees to everything, blocks the loop once, and presses stop if the visit comes to be held."""

    def __init__(self, block_s: float, after_s: float) -> None:
        self._block_s = block_s
        self._after_s = after_s
        self._blocks = False
        self._watches = False

    def ask(self, question: Question, runner: Runner) -> None:
        if not self._watches:
            self._watches = True
            runner.observers.append(self)
        answer = Answer("yes") if question.kind == "checklist" else question.proposed
        if answer is not None:
            runner.loop.call_later(SOON_S, runner.answer, question.id, answer, "bystander")

    def refused(self, question: Question, why: str, runner: Runner) -> None:
        say({"refused": question.kind, "why": why})

    def closed(self, question_id: int) -> None:
        pass

    def close(self) -> tuple[str, ...]:
        return ()

    def pump_seen(self, runner: Runner, snapshot: Snapshot) -> None:
        if snapshot.state is PumpState.RUNNING and not self._blocks:
            self._blocks = True
            runner.loop.call_later(self._after_s, self._block, runner)

    def state_changed(self, runner: Runner, previous: State) -> None:
        say({"state": runner.state.value})
        if runner.state is State.HOLDING:
            runner.loop.call_later(SOON_S, runner.stop_now, "bystander")

    def _block(self, runner: Runner) -> None:
        say({"blocked_at": runner.loop.time()})
        time.sleep(self._block_s)
        say({"turns_at": runner.loop.time()})


def say(news: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


async def visit(given: Mapping[str, object]) -> None:
    plan = existing_plan("ketamine-first-visit")
    plan = replace(plan, times=replace(plan.times, baseline_vitals_s=BASELINE_S))
    samples = tuple({"t_s": float(second), **VITALS} for second in range(600))
    spec = LiveSpec(
        plan=plan,
        device=str(given["device"]),
        pump=str(given["pump"]),
        simulated_pump=False,
        operator=Bystander(float(str(given["block_s"])), float(str(given["after_s"]))),
        replay=Recording(Path("vitals.csv"), samples),
        mqtt=parse_mqtt_url(str(given["mqtt"]), {}),
        speed=1.0,
        seed=0,
        log_dir=Path(str(given["folder"])),
    )
    ended = await LiveVisit(spec).run()
    say(
        {
            "final_state": ended.report.final_state,
            "stop_confirmed": ended.report.stop_confirmed,
            "delivered_ml": ended.report.delivered_ml,
        }
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=lambda: new_loop(1.0)) as loops:
        loops.run(visit(json.loads(sys.argv[1])))
