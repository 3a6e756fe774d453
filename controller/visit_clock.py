"""When each record of a log was written, in seconds of the visit's own clock since the first one.

The monotonic clock of a process carries the time, since the wall clock is only a label and a scaled visit
runs faster than it; where a new process went on after a crash, the label says how long the gap was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller.log_format import Kind, Record
from controller.reading import number_in

SPEED_MAX = 1e4
"""Far beyond what a scaled run can do; a log that says more is not believed in this."""


def timed(records: Iterable[Record]) -> Iterator[tuple[float, Record]]:
    """Every record with its time, which never runs backwards."""
    speed, boot, base_s, at_s, label_ms = 1.0, "", 0.0, 0.0, 0.0
    for record in records:
        mono_s = (number_in(record, "mono") or 0.0) / 1000
        ts_ms = number_in(record, "ts") or 0.0
        if not boot:
            speed = number_in(record, "speed") or 1.0
            speed = speed if 0 < speed <= SPEED_MAX else 1.0
            base_s = -mono_s
        elif boot != record.get("boot") or record.get("kind") == Kind.RECOVERED:
            gap_s = max(0.0, (ts_ms - label_ms) / 1000 * speed)
            base_s = at_s + gap_s - mono_s
        boot, label_ms = str(record.get("boot")), ts_ms
        at_s = max(at_s, base_s + mono_s)
        yield at_s, record
