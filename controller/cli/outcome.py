"""How a command ends: exit codes, and the one line that says why nothing was started."""

from __future__ import annotations

DONE = 0
ENDED_BADLY = 1
BAD_USAGE = 2
UNREACHABLE = 3


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
