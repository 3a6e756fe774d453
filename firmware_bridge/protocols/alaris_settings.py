"""An Alaris pump's rate and target: found, set with read-back, and put back.

A bolus is given by raising the rate under a volume to be infused; a pump left at that rate would surprise
whoever presses its start key next.  Answerable for recording, setting and restoring; not for what values
are wanted.
"""

from __future__ import annotations

from firmware_bridge.dialect import Program
from firmware_bridge.errors import PumpRefused
from firmware_bridge.protocols.alaris_plan import RATE_MIN
from firmware_bridge.protocols.alaris_replies import (
    Target,
    parse_rate,
    parse_target,
    rate_text,
    volume_text,
)
from firmware_bridge.protocols.alaris_wire import Wire, of
from firmware_bridge.quantities import Rate, Volume

_ACTIVE, _STOP = "ACTIV", "STOP"


class Settings:
    """What was found in one pump, and whether it has been changed since."""

    def __init__(self, wire: Wire) -> None:
        self.rate: Rate | None = None
        self.target: Target | None = None
        self._wire = wire
        self._rate_changed = False
        self._target_changed = False

    def forget(self) -> None:
        """Nothing is known any more, as at the start of a session."""
        self.rate = self.target = None
        self._rate_changed = self._target_changed = False

    def record(self) -> Program[None]:
        """Rate and target are known, unless they were before.  Raises `NoAnswer`."""
        if self.rate is None:
            self.rate = yield from self._rate()
        if self.target is None:
            self.target = yield from self._target()

    def disown(self) -> None:
        """The rate found is what an earlier session left behind, perhaps a bolus's: not to be kept."""
        self.rate = RATE_MIN
        self._rate_changed = True

    @property
    def changed(self) -> bool:
        return self._rate_changed or self._target_changed

    # --- setting ----------------------------------------------------------------------------------

    def set_target(self, target: Volume) -> Program[Volume]:
        """The pump stops at ``target``, read back.  Raises `PumpRefused`, `NoAnswer`."""
        self._target_changed = True
        yield from self._wire.query(
            f"INF_VTBI^{_ACTIVE}^{volume_text(target)}^ml^{_STOP}", _is_target
        )
        taken = yield from self._target()
        if (taken.state, taken.at_end, taken.volume) != (_ACTIVE, _STOP, target):
            raise PumpRefused("INF_VTBI", f"sent {target}, the pump reads back {taken}")
        return target

    def set_rate(self, rate: Rate) -> Program[Rate]:
        """The pump's rate, read back after it was sent: what it took.  Raises `NoAnswer`."""
        self._rate_changed = True
        yield from self._wire.query(f"INF_RATE^{rate_text(rate)}^ml/h", _is_rate)
        return (yield from self._rate())

    def _rate(self) -> Program[Rate]:
        return parse_rate((yield from self._wire.query("INF_RATE", _is_rate))) or Rate(0)

    def _target(self) -> Program[Target]:
        fields = yield from self._wire.query("INF_VTBI", _is_target)
        return parse_target(fields) or Target("", None, "")

    # --- putting back -----------------------------------------------------------------------------

    def slow_down(self) -> Program[str]:
        """The rate is what it was; a sentence about it, empty where it was never changed.

        A pump cannot be set to the rate of nothing that a fresh one shows: then it is the slowest.
        Raises `NoAnswer`.
        """
        if not self._rate_changed or self.rate is None:
            return ""
        wanted = max(self.rate, RATE_MIN)
        taken = yield from self.set_rate(wanted)
        if taken != wanted:
            return (
                f"INF_RATE {rate_text(wanted)} could not be put back: it reads {rate_text(taken)}"
            )
        self._rate_changed = False
        return f"INF_RATE {rate_text(wanted)}"

    def restore_target(self) -> Program[str]:
        """As `slow_down`, for the target."""
        found = self.target
        if not self._target_changed or found is None:
            return ""
        if found.state == _ACTIVE and found.volume is not None:
            text = f"INF_VTBI^{_ACTIVE}^{volume_text(found.volume)}^ml^{found.at_end}"
        else:
            text = "INF_VTBI^DEACT"
        yield from self._wire.query(text, of("INF_VTBI"))
        self._target_changed = False
        return " ".join(text.split("^"))


def _is_rate(fields: tuple[str, ...]) -> bool:
    return fields[0] == "INF_RATE" and parse_rate(fields) is not None


def _is_target(fields: tuple[str, ...]) -> bool:
    return fields[0] == "INF_VTBI" and parse_target(fields) is not None
