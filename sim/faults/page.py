"""Writes docs/faults.md from the registry: ``python -m sim.faults.page`` prints it, ``--write FILE`` keeps it.

Nothing on that page is written by hand, so it cannot promise a fault that nobody can do.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from firmware_bridge.notice import NOTICE
from sim.devices.kinds import BUILT_IN
from sim.faults.fault_kind import FaultKind
from sim.faults.kinds import KINDS
from sim.faults.known import FAILURES, SOURCES
from sim.faults.parameters import Amount, Parameter
from sim.faults.support import LINE, support

NOBODY = "no engine of this version"

_HEAD = f"""# Faults

{NOTICE}

What can be broken on a simulated bench, and which failures on public record it stands for. This page is written by
`python -m sim.faults.page --write docs/faults.md` from the registry (`sim/faults`); a test holds it to that.

A fault is asked for by its kind: in a fault script (`--faults FILE` of `infusor sim pump` and `infusor rehearse`), over the
control channel, and in tests by `inject(kind, **parameters)`. What the chosen pump or run cannot do is refused before anything
starts, with who could. The unit of a number is the end of its parameter's name.

| who | does |
|---|---|
| a dialect (`alaris`, ...) | the simulated pump of that dialect, however it is served |
| line | the line to any simulated pump |
| rehearse | a visit in virtual time, at its monitor; it does the kinds of its pump and line as well |
| {NOBODY} | named, so that scripts and this page can speak of it, and refused everywhere |

## A script

```toml
[[fault]]
in = "infusing"                 # the visit enters this state, the first time ...
after_s = 60.0                  # ... and so long after that
kind = "downstream_occlusion"
for_s = 300.0                   # mended by itself

[[fault]]
nth_command = 40                # the pump is about to obey its 40th command
kind = "frame_drop"
direction = "from_pump"
```

Every entry has one kind, its parameters, exactly one trigger, and at most one duration.

| trigger | when |
|---|---|
| `at_s` | so many seconds after the start |
| `in`, and if one likes `after_s` | so long after the visit has entered a state, the first time (rehearsals) |
| `after_ml` | when so much has truly left the line |
| `nth_command`, and if one likes `command` | before the pump obeys the n-th command, of any name or of this one |
| `when = {{ signal = ..., above = ... }}` or `below` | when a value that the monitor shows goes beyond (rehearsals) |
| `probability` | with this chance before each command, from the seed's own stream of faults |

| duration | until |
|---|---|
| `for_s` | so many seconds have passed |
| `for_commands` | so many commands were heard |
| none | the end, or somebody mends it |

`repeat` and `every_s`: so many times more, at that distance. A rehearsal writes each begin and end into its session log
(`"kind":"fault"`), tells of an entry whose moment never came, and gives the same digest for the same seed and script. What
a pump does not take at that moment, such as a key, is in the log as `not_done`.
"""


def page() -> str:
    """The whole page."""
    able = support()
    return "\n".join((_HEAD, _failures(able), _sources(), *_rooms(able)))


def _failures(able: Mapping[str, Sequence[str]]) -> str:
    rows = [
        "## Failures on record",
        "",
        "| | failure | where it is on record | kinds that stand for it, and who can do them |",
        "|---|---|---|---|",
    ]
    for failure in FAILURES:
        standing = [kind for kind in KINDS.values() if failure.number in kind.known]
        kinds = "; ".join(f"`{kind.kind}`: {_who(kind, able)}" for kind in standing)
        rows.append(f"| {failure.number} | {failure.text} | {failure.where} | {kinds} |")
    return "\n".join((*rows, ""))


def _sources() -> str:
    rows = [f"* **{key}**: {text}." for key, text in SOURCES.items()]
    return "\n".join(("Sources:", "", *rows, ""))


def _rooms(able: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        _room(room, list(kinds), able)
        for room, kinds in groupby(KINDS.values(), key=lambda kind: kind.room)
    ]


def _room(room: str, kinds: Sequence[FaultKind], able: Mapping[str, Sequence[str]]) -> str:
    rows = [
        f"## Kinds: {room}",
        "",
        "| kind | what happens | parameters (default, range) | until | stands for | who |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| `{kind.kind}` | {kind.text} | {_parameters(kind)} | "
        f"{'cleared' if kind.lasting else 'it has happened'} | {' '.join(kind.known)} | "
        f"{_who(kind, able)} |"
        for kind in kinds
    ]
    return "\n".join((*rows, ""))


def _parameters(kind: FaultKind) -> str:
    return "; ".join(f"`{name}` {_values(spec)}" for name, spec in kind.parameters.items())


def _values(spec: Parameter) -> str:
    if isinstance(spec, Amount):
        return f"({spec.default:g}, {spec.low:g} to {spec.high:g})"
    return f"({', '.join(spec.words)})"


def _who(kind: FaultKind, everything: Mapping[str, Sequence[str]]) -> str:
    able = everything[kind.kind]
    if not able:
        return f"{NOBODY} ({kind.room})"
    if set(able) == set(BUILT_IN):
        return "every dialect"
    return LINE if list(able) == [LINE] else ", ".join(able)


def main(arguments: Sequence[str]) -> int:
    """Print the page, or keep it in a file."""
    if arguments[:1] == ["--write"]:
        Path(arguments[1]).write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
