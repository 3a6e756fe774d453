"""How late this machine wakes a process just now: measured beside a test that must allow for it."""

from __future__ import annotations

import subprocess
import sys

_NAP_S = 0.005
_PROBE = f"""
import sys, time
worst = 0.0
while True:
    began = time.monotonic()
    time.sleep({_NAP_S})
    late = time.monotonic() - began - {_NAP_S}
    if late > worst:
        worst = late
        sys.stdout.write(f"{{worst:.4f}}\\n")
        sys.stdout.flush()
"""


class Lateness:
    """A process that naps and sees how late it is woken, from its making to `worst_s`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROBE], stdout=subprocess.PIPE, text=True
        )

    def worst_s(self) -> float:
        """The latest of its wake-ups.  To be asked once: it ends the process."""
        self._process.kill()
        out, _ = self._process.communicate()
        *whole, _torn = out.split("\n")
        return max(map(float, whole), default=0.0)

    def close(self) -> None:
        """Leave no process behind.  Idempotent."""
        self._process.kill()
        with self._process:
            pass
