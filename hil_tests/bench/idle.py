"""What a visit in real time asks of a computer while it waits: CPU and memory of each of its processes.

Read from /proc, so Linux only.  The visit is ended by one Ctrl-C and its folders are temporary.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hil_tests.bench.tables import Row, Table
from hil_tests.bench.timing import Effort

PROCEDURE = "ketamine-first-visit"
PROCESSES = {"bridge": b"firmware_bridge", "world": b"sim.world_process"}
FLOOR = "import asyncio\nasync def main():\n    while True:\n        await asyncio.sleep(1)\nasyncio.run(main())"
UP_S, LEAVE_S = 30.0, 30.0


@dataclass(frozen=True, slots=True)
class Use:
    """CPU seconds so far, and the memory that nobody else shares plus its part of the rest."""

    cpu_s: float
    memory_mb: float

    @classmethod
    def of(cls, pid: int) -> Use:
        """Raises `OSError` when the process is gone."""
        threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
        ran_ns = sum(int(thread.read_text().split()[0]) for thread in threads)
        memory = Path(f"/proc/{pid}/smaps_rollup").read_text().split("\nPss:", 1)[1]
        return cls(ran_ns / 1e9, int(memory.split()[0]) / 1024)


def idle(effort: Effort) -> Table:
    """Two visits, with and without an embedded broker, and between them a bare process that wakes as often."""
    title = "a visit in real time that waits: CPU and memory (PSS) of each process"
    floor = "a process that does nothing but asyncio.sleep(1)"
    if not all(Path("/proc/self", file).exists() for file in ("smaps_rollup", "schedstat")):
        return Table("idle", title, floor, (), ("not measured: this system does not say",))
    parts, length_s = effort.rounds(4), 1.0 if effort.quick else 5.0
    rows: list[Row] = []
    notes: list[str] = []
    for mqtt in ("embedded", "off"):
        with _floor() as floor_pid, _visit(mqtt) as (pids, log):
            found = _watch({"floor": floor_pid, **pids}, parts, length_s)
            notes.append(f"--mqtt {mqtt}: measured for {parts * length_s:.0f} s in {_state(log)}")
        bare = found.pop("floor")
        for name, (cpu, memory) in found.items():
            what = f"{name}, --mqtt {mqtt}"
            rows.append(Row.of(f"{what}: CPU", cpu, bare[0], "%"))
            rows.append(Row.of(f"{what}: memory", memory, bare[1], "MB"))
    return Table("idle", title, floor, tuple(rows), tuple(notes))


def _watch(
    pids: dict[str, int], parts: int, length_s: float
) -> dict[str, tuple[list[float], list[float]]]:
    """CPU in percent of one core and memory in MB, in so many parts of so many seconds."""
    cpu: dict[str, list[float]] = {name: [] for name in pids}
    memory: dict[str, list[float]] = {name: [] for name in pids}
    for _ in range(parts):
        before, began = {name: Use.of(pid) for name, pid in pids.items()}, time.perf_counter()
        time.sleep(length_s)
        lasted_s = time.perf_counter() - began
        for name, pid in pids.items():
            now = Use.of(pid)
            cpu[name].append((now.cpu_s - before[name].cpu_s) / lasted_s * 100)
            memory[name].append(now.memory_mb)
    return {name: (cpu[name], memory[name]) for name in pids}


@contextmanager
def _floor() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", FLOOR])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def _visit(mqtt: str) -> Iterator[tuple[dict[str, int], Path]]:
    """A visit whose processes are all up; gives their ids, and the folder of its log."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "run").mkdir(mode=0o700)
        environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(home / "run"),
            "XDG_STATE_HOME": str(home / "state"),
        }
        options = ("--device", "bench-idle", "--mqtt", mqtt, "--log-dir", str(home / "visits"))
        process = subprocess.Popen(
            [sys.executable, "-m", "controller", "run", PROCEDURE, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        try:
            yield {"controller": process.pid, **_children(process.pid)}, home / "visits"
        finally:
            _end(process)


def _children(pid: int) -> dict[str, int]:
    """Bridge and world of this controller, once both are there.  Raises `TimeoutError`."""
    until = time.perf_counter() + UP_S
    while time.perf_counter() < until:
        found: dict[str, int] = {}
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            line = Path(f"/proc/{child}/cmdline").read_bytes()
            found |= {name: int(child) for name, module in PROCESSES.items() if module in line}
        if len(found) == len(PROCESSES):
            time.sleep(3.0)  # imports are over, and the pump has been met
            return found
        time.sleep(0.1)
    raise TimeoutError(f"bridge and world were not up within {UP_S:g} s")


def _state(visits: Path) -> str:
    """The state that the newest log says the visit is in."""
    lines = next(visits.glob("*.jsonl")).read_bytes().splitlines()
    records = [json.loads(line) for line in lines]
    return next(
        (str(record["to"]) for record in reversed(records) if record["kind"] == "state"),
        "preparing",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """One Ctrl-C stops the pump, and the visit ends; whatever does not is killed."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
