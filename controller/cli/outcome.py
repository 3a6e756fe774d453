"""How a command ends: exit codes, and the one line that says why nothing was started."""

from __future__ import annotations

DONE = 0
ENDED_BADLY = 1
BAD_USAGE = 2
UNREACHABLE = 3

NOTICE = "Bench and simulation only. Never a pump connected to a person."


class CommandProblem(Exception):
    """Ends a command before it did anything; the text is the one line a person reads."""

    code = BAD_USAGE


class Usage(CommandProblem):
    """Bad usage or invalid input: names the value and the limit."""


class Unreachable(CommandProblem):
    """A port, broker or instrument could not be reached."""

    code = UNREACHABLE
