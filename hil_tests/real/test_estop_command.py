"""``infusor estop``: stop a running visit from another process, by socket and by broker; the latch after it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from hil_tests.real.command_line import CommandLine, Ended, ended
from hil_tests.real.mqtt_bench import STOP, Mosquitto, free_port, needs_mosquitto

pytestmark = pytest.mark.real

VISIT = "ketamine-first-visit"


class Visit:
    """A running visit on a simulated pump, at ordinary speed: it is never near its end."""

    def __init__(self, user: CommandLine, device: str, *options: str) -> None:
        self.user, self.device = user, device
        self.logs = user.home / "visits"
        words = ("--device", device, "--log-dir", str(self.logs), "--json", *options)
        self.process: subprocess.Popen[str] = user.start("run", VISIT, *words)

    def records(self) -> list[dict[str, object]]:
        found = [path.read_text() for path in self.logs.glob(f"{self.device}.S-*.jsonl")]
        lines = [line for text in found for line in text.splitlines(keepends=True)]
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def begun(self) -> bool:
        return any(record["kind"] == "state" for record in self.records())

    def wait(self, within_s: float = 25.0) -> None:
        until = time.perf_counter() + within_s
        while not self.begun():
            assert self.process.poll() is None
            assert time.perf_counter() < until
            time.sleep(0.05)

    def ended(self) -> Ended:
        return ended(self.process)

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()


@contextlib.contextmanager
def visit(user: CommandLine, device: str, *options: str) -> Iterator[Visit]:
    made = Visit(user, device, *options)
    try:
        made.wait()
        yield made
    finally:
        made.kill()


@pytest.fixture
def user(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def assert_stopped_by(end: Ended, stopped: Visit, by: str) -> None:
    assert end.code == 1
    assert end.json["outcome"] == "emergency_stopped"
    assert end.json["stop_confirmed"] is True
    assert any(by in str(record.get("text", "")) for record in stopped.records())


# --- by the stop socket -----------------------------------------------------------------------------------


def not_stopped(*, reset: bool, latched: bool) -> dict[str, object]:
    """What ``--reset --json`` says, whatever came of it; a reset stops nothing."""
    return {"reset": reset, "latched": latched, "confirmed": False, "latency_ms": None}


def test_a_visit_is_stopped_latched_refused_and_reset(user: CommandLine) -> None:
    latch = user.latch("bench-1")
    with visit(user, "bench-1", "--mqtt", "off") as running:
        early = user.run("estop", "--device", "bench-1", "--reset", "--json", typed="reset\n")
        assert (early.code, early.json) == (1, not_stopped(reset=False, latched=False))
        assert "a bridge is running" in early.err
        other = user.run("estop", "--device", "bench-2", "--json")
        assert (other.code, "no bridge of bench-2" in other.complaint) == (3, True)
        assert running.process.poll() is None

        stop = user.run("estop", "--json")
        assert (stop.code, stop.json["confirmed"], stop.json["devices"]) == (0, True, 1)
        assert 0 <= stop.json["latency_ms"] < 3_000
        assert stop.err == "bench-1: stopped, confirmed by the pump\n"
        end = running.ended()
    assert (end.code, end.json["outcome"]) == (1, "emergency_stopped")
    assert latch.exists()

    again = user.run("run", VISIT, "--mqtt", "off")
    assert (again.code, "bench-1 is latched" in again.complaint) == (1, True)
    for typed in ("", "yes\n", "rese\n"):
        refused = user.run("estop", "--device", "bench-1", "--reset", "--json", typed=typed)
        assert (refused.code, refused.json) == (1, not_stopped(reset=False, latched=True))
        assert latch.exists()

    reset = user.run("estop", "--device", "bench-1", "--reset", "--json", typed="reset\n")
    assert (reset.code, reset.json) == (0, not_stopped(reset=True, latched=False))
    assert not latch.exists()
    assert user.run("estop").code == 3  # it started nothing
    nothing = user.run("estop", "--device", "bench-1", "--reset", "--json")
    assert (nothing.code, nothing.json) == (0, not_stopped(reset=False, latched=False))


def test_ctrl_c_stops_a_visit_and_latches(user: CommandLine) -> None:
    with visit(user, "bench-1", "--mqtt", "off") as running:
        running.process.send_signal(signal.SIGINT)
        assert_stopped_by(running.ended(), running, "SIGINT")
    assert user.latch("bench-1").exists()


def test_one_call_stops_a_visit_and_a_pump_driven_by_hand(user: CommandLine) -> None:
    amounts = ("--rate-ml-h", "60", "--volume-ml", "5", "--diameter-mm", "19.05")
    words = ("pump", "sim:new-era", "infuse", *amounts, "--syringe-ml", "20", "--device", "by-hand")
    with (
        visit(user, "bench-1", "--mqtt", "off") as running,
        user.running(*words, "--json") as by_hand,
    ):
        time.sleep(1.0)  # into the delivery
        stop = user.run("estop", "--json")
        assert (stop.code, stop.json["confirmed"], stop.json["devices"]) == (0, True, 2)
        assert running.ended().code == 1
        end = ended(by_hand)
    assert (end.code, end.json["latched"]) == (1, True)
    assert end.json["status"]["state"] == "stopped"
    assert end.json["delivered_ml"] < 5
    assert user.latch("by-hand").exists()
    assert user.latch("bench-1").exists()


# --- by a broker --------------------------------------------------------------------------------------------


def test_a_broker_inside_the_visit_carries_the_stop(user: CommandLine) -> None:
    port = free_port()
    url = f"mqtt://127.0.0.1:{port}"
    with visit(user, "bench-1", "--mqtt", f"embedded:{port}") as running:
        at_nobody = user.start("estop", "--mqtt", url, "--device", "bench-2")
        time.sleep(1.5)  # it goes on waiting for a confirmation that cannot come
        assert running.process.poll() is None

        stop = user.run("estop", "--mqtt", url, "--json")
        assert (stop.code, stop.json["confirmed"], stop.json["devices"]) == (0, True, 1)
        assert 0 <= stop.json["latency_ms"] < 5_000
        assert_stopped_by(running.ended(), running, "mqtt")
    assert user.latch("bench-1").exists()
    nobody = ended(at_nobody)
    assert nobody.code == 1
    assert "bench-2: STOP NOT CONFIRMED" in nobody.err


@needs_mosquitto
async def test_somebody_elses_broker_carries_the_stop(user: CommandLine, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    await broker.start()
    url = f"mqtt://127.0.0.1:{broker.port}"
    try:
        idle = user.run("estop", "--mqtt", url)
        assert (idle.code, f"no device is online at {url}" in idle.complaint) == (3, True)
        with visit(user, "bench-1", "--mqtt", url) as running:
            stop = user.run("estop", "--mqtt", url, "--device", "bench-1", "--json")
            assert (stop.code, stop.json["confirmed"]) == (0, True)
            assert_stopped_by(running.ended(), running, "mqtt")
    finally:
        await broker.stop()


@needs_mosquitto
async def test_a_stop_that_was_left_on_a_broker_stops_nothing_and_raises_a_low_alarm(
    user: CommandLine, tmp_path: Path
) -> None:
    broker = Mosquitto(tmp_path)
    await broker.start()
    try:
        async with aiomqtt.Client("127.0.0.1", broker.port) as somebody:
            await somebody.publish(STOP, b"{}", qos=1, retain=True)
        with visit(user, "bench-1", "--mqtt", f"mqtt://127.0.0.1:{broker.port}") as running:
            raised: list[dict[str, object]] = []
            until = time.perf_counter() + 10.0
            while not raised and time.perf_counter() < until:
                raised = [r for r in running.records() if r.get("alarm") == "remote_stop_odd"]
            assert [(r["priority"], r["active"]) for r in raised] == [("low", True)]
            assert "a retained one was ignored" in str(raised[0]["text"])
            assert running.process.poll() is None
    finally:
        await broker.stop()
