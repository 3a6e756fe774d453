"""Behaviours of New Era pumps that nobody could confirm, each a named switch with a default.

Answerable for the names, the values and the errors of ``--quirk NAME=VALUE``; what a switch does is
told where it acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints


class QuirkError(ValueError):
    """No such switch, or no such position of it; the message names both and what is possible."""


@dataclass(frozen=True, slots=True)
class Quirks:
    """One position per switch; the first value of each is the default."""

    power_on: Literal["alarm_R", "ignore_first_command", "clean"] = "alarm_R"
    """The first command after power-up: answered by the alarm, not answered at all, or obeyed."""
    reply_ge_1000: Literal["trailing_point", "no_point"] = "trailing_point"
    """``1500.`` or ``1500``: sources conflict for answers of 1000 and more."""
    stp_when_stopped: Literal["na", "ok"] = "na"
    """``STP`` on a stopped pump is answered ``?NA``, or accepted."""
    saf_reply_mode: Literal["new", "old"] = "new"
    """The answer to ``SAF`` is framed as that ``SAF`` asks, or as before it."""
    saf_alarm_framing: Literal["requested", "current"] = "requested"
    """The framing of an alarm that answers ``SAF`` instead of its execution."""
    com_resets_saf_timer: Literal["no", "yes"] = "no"
    """Whether a packet answered with ``?COM`` restarts the safe-mode timer."""
    dis_overflow: Literal["saturate", "rollover"] = "saturate"
    """A volume counter beyond 9999 stays there, or begins again at zero."""
    phase2_default: Literal["stop", "continuous"] = "stop"
    """Factory setting of program phase 2; ``continuous`` never stops at a target unless programmed."""
    vol_combined: Literal["accept", "refuse"] = "accept"
    """``VOL 1 ML``: value and unit in one command."""
    excess_decimals: Literal["cut", "refuse"] = "cut"
    """``VOL 26.700``: decimals beyond four digits are cut off, as hosts that send them expect, or
    answered ``?OOR``, as the manual's syntax would have it."""
    reply_address_digits: Literal["2", "1"] = "2"
    """Addresses below 10 are answered as ``05`` or as ``5``."""

    @classmethod
    def parse(cls, settings: Iterable[str]) -> Quirks:
        """The switches set by ``NAME=VALUE`` texts, the last of a name winning; raises `QuirkError`."""
        allowed = quirk_values()
        chosen: dict[str, str] = {}
        for setting in settings:
            name, equals, value = setting.partition("=")
            if not equals:
                raise QuirkError(f"quirk {setting!r} is not NAME=VALUE")
            if name not in allowed:
                raise QuirkError(f"quirk {name!r} does not exist; there are {', '.join(allowed)}")
            if value not in allowed[name]:
                raise QuirkError(
                    f"quirk {name} cannot be {value!r}; it is one of {', '.join(allowed[name])}"
                )
            chosen[name] = value
        return cls(**chosen)  # type: ignore[arg-type]  # each value was just found in its Literal


def quirk_values() -> dict[str, tuple[str, ...]]:
    """Every switch with its positions, the default first."""
    hints = get_type_hints(Quirks)
    return {field.name: get_args(hints[field.name]) for field in fields(Quirks)}
