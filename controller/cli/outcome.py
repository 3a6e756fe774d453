"""How a command ends: exit codes, and the one line that says why nothing was started."""

from __future__ import annotations

import os
import sys

DONE = 0
ENDED_BADLY = 1
BAD_USAGE = 2
UNREACHABLE = 3


def seen_enough() -> int:
    """The exit code where whoever read the output has gone (``| head``): nothing went wrong."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the last flush complains
    return DONE


class CommandProblem(Exception):
    """Ends a command before it did anything; the text is the one line a person reads."""

    code = BAD_USAGE


class Usage(CommandProblem):
    """Bad usage or invalid input: names the value and the limit."""


class NotNow(CommandProblem):
    """What was asked for is well-formed, and something stands in its way: a latch, the pump itself."""

    code = ENDED_BADLY


class Unreachable(CommandProblem):
    """A port, broker or instrument could not be reached."""

    code = UNREACHABLE
