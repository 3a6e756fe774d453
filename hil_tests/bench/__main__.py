"""``make bench``: every figure beside a floor or a peer that was measured in the same run.

Bench and simulation only.  Never a pump connected to a person.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from functools import partial
from pathlib import Path

from hil_tests.bench.codecs import codecs
from hil_tests.bench.commands import cold_start, commands
from hil_tests.bench.exchange import exchange
from hil_tests.bench.flow import flow
from hil_tests.bench.idle import idle
from hil_tests.bench.others import others
from hil_tests.bench.patient import patient, population
from hil_tests.bench.rehearsal import rehearsal
from hil_tests.bench.timing import Effort

TABLES = {
    "exchange": exchange,
    "commands": commands,
    "cold start": cold_start,
    "codecs": codecs,
    "idle": idle,
    "rehearsal": rehearsal,
    "patient": patient,
    "flow": flow,
    "population": population,
}
HEAD = (
    "Medians and quartiles of interleaved rounds; a ratio is ours over the floor of the same round."
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hil_tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds: shows that it runs")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--only", action="append", choices=list(TABLES), help="one table; may be repeated"
    )
    parser.add_argument(
        "--others",
        metavar="PYTHON",
        type=Path,
        help="a table beside sinstruments, tickit and lewis, which this interpreter has",
    )
    arguments = parser.parse_args()
    machine = f"{platform.system()}, {os.cpu_count()} CPUs, CPython {platform.python_version()}"
    load = f"load {os.getloadavg()[0]:.1f}"
    wanted = arguments.only or ([] if arguments.others else TABLES)
    chosen = [make for key, make in TABLES.items() if key in wanted]
    if arguments.others:
        chosen.append(partial(others, interpreter=arguments.others))
    if arguments.json:
        tables = [make(Effort(arguments.quick)).as_json() for make in chosen]
        sys.stdout.write(json.dumps({"machine": machine, "load": load, "tables": tables}) + "\n")
        return 0
    sys.stdout.write(f"{machine}, {load}\n{HEAD}\n")
    for make in chosen:
        sys.stdout.write(f"\n{make(Effort(arguments.quick)).text()}")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
