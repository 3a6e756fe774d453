"""How much faster than time a rehearsal runs, everything on, and what the time goes into."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter, process_time

from controller.cli.options import existing_plan, make_operator
from controller.cli.rehearsal import Stage
from hil_tests.bench.sampling import Sampler
from hil_tests.bench.tables import Row, Table
from hil_tests.bench.timing import Effort, Figures, taking_turns
from sim.virtual_loop import VirtualReport, run_virtual

PROCEDURE = "ketamine-first-visit"
SEED = 1
BUDGET_S = 12 * 3600.0


def rehearsal(effort: Effort) -> Table:
    """A whole visit, and the same number of wake-ups of the same loop with nothing in them."""
    report = _visit()
    a_second = report.iterations / report.virtual_s
    sampler = Sampler()

    def ours() -> Figures:
        with sampler:
            return _speed(_visit)

    found = taking_turns(
        effort.rounds(7), {"ours": ours, "floor": lambda: _speed(lambda: _bare(report))}
    )
    return Table(
        "rehearsal",
        f"a rehearsal of {PROCEDURE}, one core, everything on",
        f"the bare virtual loop with the same {report.iterations:,} wake-ups",
        tuple(
            Row.of(f"simulated s per {clock} s", found["ours"][clock], found["floor"][clock], "s/s")
            for clock in ("wall", "CPU")
        ),
        (
            f"{report.virtual_s:,.0f} simulated s, {a_second:.1f} wake-ups a second",
            *sampler.told(),
        ),
    )


def _visit() -> VirtualReport:
    stage = Stage(existing_plan(PROCEDURE), SEED, make_operator("auto"))
    _, report = run_virtual(stage.run, seed=SEED, budget_s=BUDGET_S)
    return report


def _bare(like: VirtualReport) -> VirtualReport:
    """A chain of timers over the same time, one for each round of the loop."""
    step_s = like.virtual_s / like.iterations

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        left = like.iterations

        def tick() -> None:
            nonlocal left
            left -= 1
            if left:
                loop.call_later(step_s, tick)
            else:
                done.set_result(None)

        tick()
        await done

    _, report = run_virtual(main, seed=SEED)
    return report


def _speed(run: Callable[[], VirtualReport]) -> Figures:
    wall_s, cpu_s = perf_counter(), process_time()
    simulated_s = run().virtual_s
    return {
        "wall": simulated_s / (perf_counter() - wall_s),
        "CPU": simulated_s / (process_time() - cpu_s),
    }
