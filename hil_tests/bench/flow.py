"""What the analysis of a day's recording costs, beside numpy's cumulative sum of the same rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from controller.bench.flow import Question, analyse
from controller.bench.recording import read
from hil_tests.bench.tables import Row, Table
from hil_tests.bench.timing import Effort, Figures, taking_turns

ROWS = 172_800
"""Two days at a sample a second."""
RATE_ML_H = 5.0


def flow(effort: Effort) -> Table:
    """Reading and analysing a whole recording, all its windows, in milliseconds."""
    rows = effort.count(ROWS)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "flow.csv"
        t_s = np.arange(rows, dtype=np.float64)
        volume = np.round(RATE_ML_H * t_s / 3_600.0, 4)
        pairs = zip(t_s.tolist(), volume.tolist(), strict=True)
        path.write_text("t_s,volume_ml\n" + "".join(f"{t:.0f},{v:.4f}\n" for t, v in pairs))
        recording = read(path)
        windows = (1.0, 2.0, 5.0, 11.0, 19.0, 31.0)
        question = Question(
            rate_ml_h=RATE_ML_H, from_min=0.0, to_min=(rows - 1) / 60.0, windows_min=windows
        )
        found = taking_turns(
            effort.rounds(9),
            {
                "floor": lambda: _timed(lambda: np.cumsum(volume)),
                f"analyse {rows:,} rows, 6 windows": lambda: _timed(
                    lambda: analyse(recording, question)
                ),
                "read and analyse the file": lambda: _timed(lambda: analyse(read(path), question)),
            },
        )
    floor = found.pop("floor")["ms"]
    return Table(
        "flow",
        "the analysis of a flow recording",
        "numpy's cumulative sum of its rows",
        tuple(Row.of(what, figures["ms"], floor, "ms") for what, figures in found.items()),
    )


def _timed(work: Callable[[], object]) -> Figures:
    began = perf_counter()
    work()
    return {"ms": (perf_counter() - began) * 1e3}
