"""How many commands a second `infusor sim pump` answers, and how soon after its start it answers one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from statistics import median
from time import perf_counter

from firmware_bridge.protocols.new_era_frames import basic_request, safe_frame
from hil_tests.bench.children import Client, answering, one_processor, sim_pump
from hil_tests.bench.tables import Row, Table
from hil_tests.bench.timing import Effort, Figures, Measure, closed_loop, taking_turns

COMMANDS = {"status query": "", "DIS": "DIS", "RAT set": "RAT100MH"}
PORTS: Mapping[str, tuple[str, ...]] = {"tcp": ("--tcp", "127.0.0.1:0"), "pty": ()}
ETX = b"\x03"
WANTED = 0.7
"""The ratio from which a simulator counts as no slower than the port it stands on."""

SAFE_S = 255
"""The longest safe-mode time-out, so that it never runs out between two rounds."""


def commands(effort: Effort) -> Table:
    """Each command, in each mode, on each kind of port."""
    rows: list[Row] = []
    with one_processor():
        for kind in PORTS:
            for mode in ("basic", "safe"):
                rows += _rows(kind, mode, effort)
    lowest = min(rows, key=lambda row: row.ratio.median)
    enough = sum(row.ratio.median >= WANTED for row in rows)
    return Table(
        "commands",
        "commands a second, at the median, that `infusor sim pump` answers one blocking client",
        "a bare asyncio server in its own process, answering the same bytes on the same kind of port",
        tuple(rows),
        (f"lowest ratio {lowest.ratio.median:.2f}; {enough} of {len(rows)} reach {WANTED}",),
    )


def _rows(kind: str, mode: str, effort: Effort) -> list[Row]:
    with ExitStack() as stack:
        pump = stack.enter_context(Client(stack.enter_context(sim_pump(*PORTS[kind]))))
        while b"A?" in pump.ask(basic_request(""), ETX):
            pass  # it was switched on, and says so first
        if mode == "safe":
            pump.ask(safe_frame(f"SAF{SAFE_S}"), ETX)
        frame = safe_frame if mode == "safe" else basic_request
        requests = {name: frame(text) for name, text in COMMANDS.items()}
        answers = {request: pump.ask(request, ETX) for request in requests.values()}
        port = stack.enter_context(answering(kind, answers))
        peer = stack.enter_context(Client(port))
        return [
            _row(f"{kind}, {mode}: {name}", (pump, peer), request, answers, effort)
            for name, request in requests.items()
        ]


def _row(
    what: str,
    clients: tuple[Client, Client],
    request: bytes,
    answers: Mapping[bytes, bytes],
    effort: Effort,
) -> Row:
    length, count = len(answers[request]), effort.count(700)

    def loop(client: Client) -> Measure:
        return lambda: closed_loop(lambda: client.exchange(request, length), count)

    ours, floor = clients
    found = taking_turns(effort.rounds(15), {"ours": loop(ours), "floor": loop(floor)})
    us = found["ours"]
    also = f"p99 {median(us['p99_us']):.0f} us; {median(us['per_s']):,.0f}/s with every delay"
    return Row.of(what, us["typical_per_s"], found["floor"]["typical_per_s"], "commands/s", also)


def cold_start(effort: Effort) -> Table:
    """From the start of the command to its first answer."""
    found = taking_turns(
        effort.rounds(9), {**{k: partial(_first_answer, k) for k in PORTS}, "floor": _bare_start}
    )
    rows = tuple(
        Row.of(f"{kind}: start to first answer", found[kind]["ms"], found["floor"]["ms"], "ms")
        for kind in PORTS
    )
    return Table(
        "cold start",
        "`infusor sim pump`, from its start to the first answer",
        "`python -c pass`, from its start to its end",
        rows,
    )


def _first_answer(kind: str) -> Figures:
    began = perf_counter()
    with sim_pump(*PORTS[kind]) as port, Client(port) as client:
        client.ask(basic_request(""), ETX)
        return {"ms": (perf_counter() - began) * 1e3}


def _bare_start() -> Figures:
    began = perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return {"ms": (perf_counter() - began) * 1e3}
