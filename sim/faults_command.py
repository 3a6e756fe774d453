"""What can be broken: every fault kind with its parameters, and which pump can do it.

Kinds and parameters are those of fault scripts (infusor sim pump --faults, infusor rehearse --faults), of
the control channel (fault.add) and of the pytest fixture pump_sim (inject).  A kind of the room "line"
strikes the line to any simulated pump, on every kind of port.  With --dialect only what that pump, or its
line, can do is listed.  For bench and simulation only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence

from firmware_bridge.errors import ConfigurationError
from firmware_bridge.notice import NOTICE
from sim.devices.kinds import device_kind, device_names
from sim.faults.fault_kind import FaultKind
from sim.faults.kinds import KINDS
from sim.faults.parameters import Choice, Parameter
from sim.faults.support import LINE, engines
from sim.pump_bench import SCHEMES

PROG = "infusor sim faults"
DONE, BAD_USAGE = 0, 2

UNITS: Mapping[str, str] = {
    "mmhg_per_min": "mmHg/min",
    "messages_per_s": "1/s",
    "ml_h": "mL/h",
    "mmhg": "mmHg",
    "baud": "Bd",
    "pct": "%",
    "ppm": "ppm",
    "min": "min",
    "ms": "ms",
    "um": "um",
    "mm": "mm",
    "cm": "cm",
    "ul": "uL",
    "ml": "mL",
    "s": "s",
}
"""The end of a parameter's name -> its unit; a longer end counts before a shorter one."""
UNITLESS = ("count", "factor", "for_commands", "probability", "value")
"""Parameters that are bare numbers; ``value`` has the unit of the signal it is a value of."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--dialect", metavar="D", help="only what this pump or its line can do")
    parser.add_argument(
        "--json",
        action="store_true",
        help="one object: faults, dialects, transports",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit codes: 0, 2 for a dialect that does not exist."""
    try:
        names = device_names() if arguments.dialect is None else [arguments.dialect]
        dialects = {name: frozenset(device_kind(name).faults) for name in names}
    except ConfigurationError as problem:
        sys.stderr.write(f"{PROG}: {problem}\n")
        return BAD_USAGE
    able = [(kind, _able(kind, dialects)) for kind in KINDS.values()]
    if arguments.dialect is not None:
        able = [(kind, who) for kind, who in able if arguments.dialect in who or LINE in who]
    if arguments.json:
        sys.stdout.write(json.dumps(_as_json(able, names)) + "\n")
    else:
        sys.stdout.write("\n".join(_as_text(able, names, matrix=arguments.dialect is None)) + "\n")
    return DONE


Able = Sequence[tuple[FaultKind, Sequence[str]]]
"""Kinds, and who can do them."""


def _able(kind: FaultKind, dialects: Mapping[str, frozenset[str]]) -> Sequence[str]:
    """The dialects whose pumps can do it, or what else can."""
    pumps = [name for name, faults in dialects.items() if kind.kind in faults]
    return pumps or [engine for engine in engines(kind) if engine not in dialects]


def unit(parameter: str) -> str:
    """The unit of a number of this name; empty for a bare one."""
    if parameter in UNITLESS:
        return ""
    ends = sorted(UNITS, key=len, reverse=True)
    return next((UNITS[end] for end in ends if f"_{parameter}".endswith(f"_{end}")), "")


# --- as JSON ------------------------------------------------------------------------------------------


def _as_json(able: Able, dialects: Sequence[str]) -> dict[str, object]:
    return {
        "faults": [
            {
                "kind": kind.kind,
                "room": kind.room,
                "text": kind.text,
                "lasting": kind.lasting,
                "parameters": {
                    name: _parameter(name, spec) for name, spec in kind.parameters.items()
                },
                "supported_by": list(who),
                "transports": list(SCHEMES) if kind.room == LINE else [],
            }
            for kind, who in able
        ],
        "dialects": list(dialects),
        "transports": list(SCHEMES),
    }


def _parameter(name: str, spec: Parameter) -> dict[str, object]:
    if isinstance(spec, Choice):
        return {"default": spec.default, "choices": list(spec.words)}
    return {"default": spec.default, "min": spec.low, "max": spec.high, "unit": unit(name)}


# --- for people ---------------------------------------------------------------------------------------


def _as_text(able: Able, dialects: Sequence[str], *, matrix: bool) -> Iterable[str]:
    width = max(len(kind.kind) for kind, _ in able)
    yield NOTICE
    for room in dict.fromkeys(kind.room for kind, _ in able):
        yield ""
        yield room
        for kind, _ in able:
            if kind.room == room:
                over = "" if kind.lasting else " (over at once)"
                yield f"  {kind.kind:<{width}}  {kind.text}{over}"
                for name, spec in kind.parameters.items():
                    yield f"  {'':<{width}}    {_described(name, spec)}"
    if matrix:
        yield from _pumps(able, dialects, width)
        yield from _lines(able, width)
        yield from _others(able, dialects, width)


def _described(name: str, spec: Parameter) -> str:
    if isinstance(spec, Choice):
        return f'{name} = "{spec.default}", or {", ".join(spec.words[1:])}'
    unit_ = unit(name)
    limits = f"{spec.low:g}..{spec.high:g}"
    return f"{name} = {spec.default:g}, in {limits}{f' {unit_}' if unit_ else ''}"


def _pumps(able: Able, dialects: Sequence[str], width: int) -> Iterable[str]:
    rows = {
        kind.kind: [name in who for name in dialects]
        for kind, who in able
        if set(who) & set(dialects)
    }
    return _matrix("which pump can do which kind", dialects, rows, width)


def _lines(able: Able, width: int) -> Iterable[str]:
    rows = {kind.kind: [True for _ in SCHEMES] for kind, _ in able if kind.room == LINE}
    return _matrix("and the lines to them", SCHEMES, rows, width)


def _matrix(
    title: str, columns: Sequence[str], rows: Mapping[str, Sequence[bool]], width: int
) -> Iterable[str]:
    yield ""
    yield title
    yield f"  {'':<{width}}  " + "  ".join(columns)
    for name, cells in rows.items():
        marks = (
            f"{'x' if can else '-':<{len(column)}}"
            for column, can in zip(columns, cells, strict=True)
        )
        yield f"  {name:<{width}}  {'  '.join(marks)}".rstrip()


def _others(able: Able, dialects: Sequence[str], width: int) -> Iterable[str]:
    yield ""
    yield "and beside them"
    for kind, who in able:
        if not set(who) & {*dialects, LINE}:
            yield f"  {kind.kind:<{width}}  {', '.join(who) or 'nothing of this version does it'}"
