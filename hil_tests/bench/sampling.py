"""Where the time of a run goes: a sampling profiler of a few lines, by part of the product.

Each sample is counted for the innermost function of ours on the stack, so that what the standard library
does is charged to whoever asked for it.  A profiler that counts calls would charge small functions too
much.
"""

from __future__ import annotations

import signal
from collections import Counter
from functools import lru_cache
from pathlib import PurePath
from types import FrameType

EVERY_S = 0.001
"""Asked of the kernel, which may give fewer: one in 4 ms is usual."""

FUNCTIONS_SHOWN = 8
ROOMS = frozenset({"controller", "firmware_bridge", "sim"})

# The first that a file's path begins with.
PARTS = (
    ("firmware_bridge/protocols", "codecs and sessions"),
    ("firmware_bridge/messages", "codecs and sessions"),
    ("firmware_bridge/quantities", "codecs and sessions"),
    ("firmware_bridge/transports", "transports"),
    ("firmware_bridge", "bridge"),
    ("sim/devices", "simulated pump"),
    ("sim/mechanics", "simulated pump"),
    ("sim/serve", "simulated pump"),
    ("sim/ports", "simulated pump"),
    ("sim/virtual", "loop"),
    ("sim", "patient and monitor"),
    ("controller/procedure", "procedure"),
    ("controller/event_log", "log"),
    ("controller/log", "log"),
    ("controller/flat_json", "log"),
    ("controller/samples", "log"),
    ("controller/telemetry", "telemetry"),
    ("controller/announcer", "telemetry"),
    ("controller/publisher", "telemetry"),
    ("controller/cli/oracle", "oracle and digest"),
    ("controller/cli/rehearsal", "oracle and digest"),
    ("controller", "runner and pump hand"),
)


class Sampler:
    """Samples while it is entered; may be entered again.  Main thread of a POSIX system only."""

    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()

    def __enter__(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)

    def told(self) -> tuple[str, ...]:
        """Sentences: the parts by their share, the three largest, the busiest functions."""
        total = self.parts.total()
        if not total:
            return ("too short to be sampled",)
        shares = [f"{part} {count / total:.0%}" for part, count in self.parts.most_common()]
        busiest = [
            f"{name} {count / total:.1%}"
            for name, count in self.functions.most_common(FUNCTIONS_SHOWN)
        ]
        return (
            f"shares of {total:,} samples: {', '.join(shares)}",
            f"three largest costs: {', '.join(shares[:3])}",
            f"busiest functions: {', '.join(busiest)}",
        )

    def _sample(self, number: int, frame: FrameType | None) -> None:
        del number
        while frame is not None:
            path = _ours(frame.f_code.co_filename)
            if path:
                self.parts[next(part for start, part in PARTS if path.startswith(start))] += 1
                self.functions[f"{path}:{frame.f_code.co_name}"] += 1
                return
            frame = frame.f_back
        self.parts["start and end"] += 1


@lru_cache(maxsize=1024)
def _ours(file: str) -> str:
    """The path of a file of ours from its room on, without its ending; empty for anybody else's."""
    parts = PurePath(file).with_suffix("").parts
    found = [index for index, part in enumerate(parts) if part in ROOMS]
    return "/".join(parts[found[-1] :]) if found and "site-packages" not in parts else ""
