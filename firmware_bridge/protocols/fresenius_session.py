"""A base and one of its modules opened for remote control, kept open, and closed again.

Answerable for what has to be open before a module obeys, and for noticing that it was reset since
(``I;1E``); not for what it is then asked to do (`fresenius`).
"""

from __future__ import annotations

from firmware_bridge.dialect import Program
from firmware_bridge.errors import PumpInAlarm, PumpRefused
from firmware_bridge.protocols.fresenius_replies import (
    ALREADY,
    IN_ALARM,
    NOT_OPEN,
    Reply,
    bare,
    describe,
    holds,
    variable,
)
from firmware_bridge.protocols.fresenius_wire import Wire


class Session:
    """One module's, on ``wire``.  ``reset`` once it was found closed where it had been open."""

    def __init__(self, wire: Wire) -> None:
        self.reset = False
        self._wire = wire
        self._base_opened = self._module_opened = False

    def met(self, first: Reply | None) -> None:
        """``first`` answered the first word to a pump that may have been open when it was last heard."""
        if first is not None and first.error in NOT_OPEN and self._module_opened:
            self.reset = True

    def open(self) -> Program[None]:
        """The module obeys this host and tells of alarms by itself.  Raises `PumpRefused`, `NoAnswer`."""
        wire = self._wire
        base = yield from wire.base("DC", bare)
        self._base_opened = self._base_opened or not base.error
        module = yield from wire.query("DC", bare)
        self._module_opened = self._module_opened or not module.error
        mode = yield from wire.query("MO;2", bare)
        if mode.error not in ("", ALREADY):
            raise PumpRefused("remote control", describe(mode.error))
        yield from wire.query("DE;a", bare)  # where it is refused, every reading asks for it

    def open_again(self) -> Program[None]:
        """The pump was reset, and is open once more.  Raises as `open` does."""
        self.reset = True
        yield from self.open()

    def close(self) -> Program[list[str]]:
        """Spontaneous messages off, manual mode, closed; one line for each.  Raises `NoAnswer`.

        What was open already when this session came is left open.
        """
        report = []
        for message in ("AE", "MO;1", *(("FC",) if self._module_opened else ())):
            reply = yield from self._wire.query(message, bare)
            report.append(_line(message, reply))
        if self._base_opened:
            reply = yield from self._wire.base("FC", bare)
            report.append(_line("FC of the base", reply))
        self._base_opened = self._module_opened = False
        return report

    # --- what an open module is asked -------------------------------------------------------------

    def ask(self, identifier: str) -> Program[int]:
        """One variable; a pump that was reset is opened again first.  Raises `PumpRefused`, `NoAnswer`."""
        message = f"LE;{identifier}"
        reply = yield from self._wire.query(message, holds(identifier))
        if reply.error in NOT_OPEN:
            yield from self.open_again()
            reply = yield from self._wire.query(message, holds(identifier))
        if reply.error:
            raise PumpRefused(message, describe(reply.error))
        return variable(reply.data, identifier) or 0

    def command(self, message: str) -> Program[None]:
        """A command that moves nothing was accepted.  Raises `PumpRefused`, `NoAnswer`."""
        reply = yield from self._wire.query(message, bare)
        if reply.error:
            raise (yield from self.refusal(message, reply))

    def refusal(self, what: str, reply: Reply) -> Program[PumpRefused]:
        """The error that a refusal stands for; a pump that was reset is opened again."""
        if reply.error in NOT_OPEN:
            yield from self.open_again()
            return PumpInAlarm(what, f"the pump was reset ({describe(reply.error)})")
        kind = PumpInAlarm if reply.error == IN_ALARM else PumpRefused
        return kind(what, describe(reply.error))


def _line(name: str, reply: Reply) -> str:
    return f"{name}: {describe(reply.error)}" if reply.error else name
