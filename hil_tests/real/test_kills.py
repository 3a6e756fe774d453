"""`kill -9` and an unplugged cable in the middle of an infusion, with real processes on a real PTY.

The clock runs 60 times as fast, so the lease of 3 s is stretched to 15 s (250 ms of wall time), and the
bounds here are bounds in stretched leases: they show the mechanism and are no evidence for a time.  Each
test prints what the plunger did and how much of its bound that was.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil_tests.real.command_line import Ended
from hil_tests.real.kill_bench import LEASE_S, SPEED, STOP_S, Bench, Seen

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]

STROKE_NL = 179
"""One microstep in a syringe of 19.05 mm."""

AUTHORISED_NL = 1_500_000
"""A test bolus of 1 mL and half as much for the infusion."""

SCHEDULING_S = 0.1
"""Wall time that a quiet machine may take to bring a frame from the controller to the pump."""
WAKE_UPS = 4
"""Processes and threads that must be woken on the way: controller, bridge, pump, and the one that looks."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def bounded(
    bench: Bench, what: str, before: Seen, after: Seen, *, lease_s: float = LEASE_S
) -> None:
    """Invariant 1, from the last packet that renewed the pump's own dead-man.

    Scheduling is allowed what a quiet machine needs, and what this one was seen to be late.
    """
    scheduling_s = SCHEDULING_S + WAKE_UPS * bench.lateness.worst_s()
    allowed_s = lease_s + STOP_S + scheduling_s * SPEED
    allowed_nl = before.rate_nl_h * allowed_s / 3_600 + STROKE_NL
    further_nl = after.plunger_nl - before.spoken_to_nl
    print(
        f"\n{what}: {further_nl} nL after the last renewal, {allowed_nl:.0f} nL allowed: rate x "
        f"(stretched lease {lease_s:g} s + stop {STOP_S:g} s + scheduling {scheduling_s * SPEED:.1f} s) "
        "+ one stroke"
    )
    assert 0 <= further_nl <= allowed_nl


def went_on_by_a_person(bench: Bench, ended: Ended, held_because: str) -> None:
    """Held, asked, resumed by the script, and ended by it; account and plunger agree."""
    records = list(bench.records())
    ways = [(r["from"], r["to"]) for r in records if r["kind"] == "state"]
    assert ways[-2:] == [("holding", "infusing"), ("infusing", "aborted")], ways
    (held,) = [r for r in records if r["kind"] in {"hold", "interrupted"}]
    assert held_because in held.get("reason", held["kind"])
    (said,) = [r for r in records if r["kind"] == "holding"]
    assert (said["choice"], said["by"]) == ("resume", "script")
    starts = [r["seq"] for r in records if r["kind"] == "intent"]
    assert len(starts) == 3
    assert starts[1] < held["seq"] < said["seq"] < starts[2]
    assert ended.code == 1  # an abort is no good end; the person gave it
    true_nl = bench.pump.see().plunger_nl
    assert abs(ended.json["delivered_ml"] * 1e6 - true_nl) <= 10_000
    assert true_nl <= AUTHORISED_NL


def test_a_killed_controller_stops_the_pump_and_the_next_one_waits_for_a_person(
    bench: Bench,
) -> None:
    first = bench.run()
    before = bench.pump.infusing()
    first.kill()
    again = bench.run()  # at once: the former bridge may still be stopping its pump
    stopped = bench.pump.standing()
    bounded(bench, "controller killed", before, stopped, lease_s=0.0)  # its bridge stops at once
    while not any(r["kind"] == "holding" for r in bench.records()):
        assert bench.pump.see().plunger_nl == stopped.plunger_nl
        time.sleep(0.05)
    ended = again.ends()
    went_on_by_a_person(bench, ended, "interrupted")
    assert ended.json["session"] == "S-0001"
    assert "taking up the unfinished visit" in ended.err
    assert "the controller was interrupted in infusing; of 0.5 mL the log says" in ended.err
    assert bench.pump.settings().safe_s == 0


def test_a_killed_bridge_is_replaced_and_the_visit_waits_for_a_person(bench: Bench) -> None:
    visit = bench.run()
    bench.pump.infusing()
    bridge = visit.bridge()
    before = bench.pump.see()
    os.kill(bridge, signal.SIGKILL)
    bounded(bench, "bridge killed", before, bench.pump.standing())
    ended = visit.ends()
    went_on_by_a_person(bench, ended, "the bridge is gone")
    assert bench.pump.settings().safe_s == 0


def test_with_both_killed_the_pump_stops_by_itself_and_a_restart_waits_for_a_person(
    bench: Bench,
) -> None:
    first = bench.run()
    bench.pump.infusing()
    bridge = first.bridge()
    before = bench.pump.see()
    os.kill(bridge, signal.SIGKILL)
    first.kill()
    stopped = bench.pump.standing()
    bounded(bench, "both killed", before, stopped)
    ended = bench.run().ends()
    went_on_by_a_person(bench, ended, "interrupted")
    assert bench.pump.settings().safe_s == 0


def test_an_unplugged_pump_stops_and_is_met_again_and_gets_its_settings_back(bench: Bench) -> None:
    found = bench.pump.settings()
    visit = bench.run()
    before = bench.pump.infusing()
    bench.pump.unplug()
    stopped = bench.pump.standing()
    bounded(bench, "unplugged", before, stopped)
    time.sleep(0.3)
    bench.pump.replug()
    ended = visit.ends()
    went_on_by_a_person(bench, ended, "the pump cannot be reached")
    assert bench.pump.settings() == found


def test_a_second_controller_of_one_device_is_refused_in_one_line(bench: Bench) -> None:
    first = bench.run(operator="dissociation")
    bench.pump.until(lambda seen: seen.plunger_nl > 0)
    here = bench.run().ends()
    assert here.code == 3
    assert "bench-1 is in use" in here.complaint
    elsewhere = bench.run(
        logs=bench.home / "elsewhere"
    ).ends()  # after 5 s of waiting for its bridge
    assert elsewhere.code == 3
    assert "busy: another bridge of this device runs" in elsewhere.complaint
    assert list((bench.home / "elsewhere").glob("*")) == []
    assert bench.pump.see().plunger_nl > 0
    first.kill()
