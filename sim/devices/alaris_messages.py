"""The messages of an Alaris pump: first field to action.

Every action takes the infusion and the fields after the first, and returns the whole answer.  What the
pump does not answer is raised as `Refused`.  Not answerable for frames, CRC, remote control, or for what
is done about a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sim.devices.alaris_infusion import SLOWEST_NL_H, Infusion
from sim.devices.alaris_state import EndAction
from sim.mechanics import PARTS_PER_NL

NL_PER_ML = 1_000_000

VTBI_MAX_NL = 1_000 * NL_PER_ML
"""1000 mL [design]; drivers use 0-50 mL."""

PROTOCOL = "Asena Rev 2.1.5"
RESPONSE_MAX_MS = 4_000
DAY_S = 86_400

_DECIMAL = re.compile("([0-9]{1,6})(?:[.]([0-9]{0,6}))?")


class Refused(Exception):
    """Unknown, out of range, or not now: the pump does not answer."""


Action = Callable[[Infusion, list[str]], str]


def query(infusion: Infusion, serial: str, fields: list[str]) -> str | None:
    """The answer to a message that anybody may send; ``None`` if it is none of those."""
    match fields:
        case ["INST_SERIALNO"]:
            return f"INST_SERIALNO^{serial}"
        case ["INF"]:
            return _status(infusion, serial)
        case [name]:
            asked = _QUERIES.get(name)
            return None if asked is None else asked(infusion)
        case ["REMQUERY", "DEACT"]:
            return "REMQUERY^DEACT^^^^"
    return None


def command(infusion: Infusion, fields: list[str]) -> str:
    """The answer to a message that needs remote control, after it was obeyed; raises `Refused`."""
    action = _COMMANDS.get(fields[0])
    if action is None:
        raise Refused
    return action(infusion, fields[1:])


# -- questions ------------------------------------------------------------------------------------


def _rate(infusion: Infusion) -> str:
    return f"INF_RATE^{_ml_h(infusion.state.rate_nl_h)}^ml/h"


def _volume(infusion: Infusion) -> str:
    return f"INF_VI^{_ml(infusion.infused_nl)}^ml"


def _vtbi(infusion: Infusion) -> str:
    """The value is empty where none is set."""
    vtbi = infusion.state.vtbi
    if vtbi is None:
        return "INF_VTBI^DEACT^^ml^STOP"
    left = infusion.vtbi_left_parts()
    volume_nl = vtbi.volume_nl
    if infusion.quirks.vtbi_query == "remaining" and left is not None:
        volume_nl = left // PARTS_PER_NL
    return f"INF_VTBI^ACTIV^{_ml(volume_nl)}^ml^{vtbi.end}"


def _syringe(infusion: Infusion) -> str:
    """The size has a blank in front where it has one digit less."""
    confirmed = "UNCONF" if "AL_SYRCO" in infusion.state.standing else "CONF"
    return f"SYRINGE_STATUS^BD PLASTIPAK^{infusion.syringe_ml:>3}^{confirmed}"


def _fastest(infusion: Infusion) -> str:
    return f"INF_RATE_MAX_SYRINGE^{_ml_h(infusion.fastest_nl_h)}^ml/h"


def _alarm(infusion: Infusion) -> str:
    return f"ALARM^{infusion.alarm}^ ^ "


def _status(infusion: Infusion, serial: str) -> str:
    """Serial, alarm, mode, rate, unit, nothing, volume, unit, pressure, unit, time left, log type, entry."""
    state, held = infusion.state, infusion.state.mode == "HLD"
    mode: str = state.mode
    rate_nl_h = infusion.running_nl_h
    if held and infusion.quirks.inf_when_stopped == "set":
        mode, rate_nl_h = "SET", state.rate_nl_h
    pending = state.latched or state.standing
    return "^".join(
        [
            "INF",
            serial,
            "A" if pending else "-",
            mode,
            _ml_h(rate_nl_h),
            "ml/h",
            "",
            _ml(infusion.infused_nl),
            "ml",
            f"{infusion.mechanics.sensed_mmhg():.2f}",
            "mmHg",
            _time_left(infusion.left_s()),
            "EVENT",
            str(state.log_entry),
        ]
    )


_QUERIES: Mapping[str, Callable[[Infusion], str]] = {
    "COMMS_PROTOCOL": lambda _: f"COMMS_PROTOCOL^{PROTOCOL}",
    "COMMS_RESPONSE_MAX": lambda _: f"COMMS_RESPONSE_MAX^{RESPONSE_MAX_MS}^ms",
    "INF_RATE": _rate,
    "INF_VI": _volume,
    "INF_VTBI": _vtbi,
    "SYRINGE_STATUS": _syringe,
    "INF_RATE_MAX_SYRINGE": _fastest,
    "ALARM": _alarm,
}


# -- commands -------------------------------------------------------------------------------------


def _set_rate(infusion: Infusion, fields: list[str]) -> str:
    match fields:
        case [text, "ml/h"]:
            rate_nl_h = _number(infusion, text, decimals=2) * NL_PER_ML // 100
        case _:
            raise Refused
    if not SLOWEST_NL_H <= rate_nl_h <= infusion.fastest_nl_h:
        raise Refused
    infusion.set_rate(rate_nl_h)
    return _rate(infusion)


def _set_vtbi(infusion: Infusion, fields: list[str]) -> str:
    match fields:
        case ["DEACT"]:
            infusion.clear_vtbi()
        case ["ACTIV", text, "ml", ("STOP" | "KVO" | "CONT") as end]:
            volume_nl = _number(infusion, text, decimals=3) * NL_PER_ML // 1_000
            action: EndAction = end
            allowed = end == "STOP" or infusion.quirks.vtbi_end_actions == "all"
            if not (allowed and 0 < volume_nl <= VTBI_MAX_NL):
                raise Refused
            infusion.set_vtbi(volume_nl, action)
        case _:
            raise Refused
    return _vtbi(infusion)


def _clear_volume(infusion: Infusion, fields: list[str]) -> str:
    _nothing_more(fields)
    infusion.clear_counter()
    return "INF_VI_CLEAR"


def _bolus(infusion: Infusion, fields: list[str]) -> str:
    """Acknowledged at best: no source shows what follows, and a bolus is given by rate and VTBI."""
    if fields != ["ENABLED"] or infusion.quirks.bolus == "silent":
        raise Refused
    return "INF_BOLUS^ENABLED"


def _start(infusion: Infusion, fields: list[str]) -> str:
    _nothing_more(fields)
    if not infusion.may_start():
        raise Refused
    infusion.start()
    return "INF_START"


def _stop(infusion: Infusion, fields: list[str]) -> str:
    _nothing_more(fields)
    if not infusion.state.faults.stop_ignored:
        infusion.acknowledge()
        infusion.hold()
    return "INF_STOP"


_COMMANDS: Mapping[str, Action] = {
    "INF_RATE": _set_rate,
    "INF_VTBI": _set_vtbi,
    "INF_VI_CLEAR": _clear_volume,
    "INF_BOLUS": _bolus,
    "INF_START": _start,
    "INF_STOP": _stop,
}


# -- numbers --------------------------------------------------------------------------------------


def _nothing_more(fields: list[str]) -> None:
    if fields:
        raise Refused


def _number(infusion: Infusion, text: str, *, decimals: int) -> int:
    """In units of the last decimal, rounded down; raises `Refused` for what is no number."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise Refused
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > decimals and infusion.quirks.excess_decimals == "refuse":
        raise Refused
    return int(whole + fraction[:decimals].ljust(decimals, "0"))


def _ml_h(rate_nl_h: int) -> str:
    """Two decimals, rounded down."""
    hundredths = rate_nl_h * 100 // NL_PER_ML
    return f"{hundredths // 100}.{hundredths % 100:02}"


def _ml(volume_nl: int) -> str:
    """Three decimals, rounded down."""
    thousandths = volume_nl * 1_000 // NL_PER_ML
    return f"{thousandths // 1_000}.{thousandths % 1_000:03}"


def _time_left(seconds: int | None) -> str:
    """``HH:MM:SS``; ``24+`` from a day on, and where nobody knows."""
    if seconds is None or seconds >= DAY_S:
        return "24+"
    return f"{seconds // 3_600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
