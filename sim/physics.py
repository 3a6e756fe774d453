"""Named sets of drive, line and syringe, from ``data/physics.toml``, each value with its source.

``ideal`` is what a pump is without a set: an exact drive on one spring.  Bench and simulation only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sim.line import Line, Valve
from sim.mechanics_make import Drive, MakeError, Mount

TABLE = Path(__file__).parent / "data" / "physics.toml"
IDEAL = "ideal"
PARTS: Mapping[str, type] = {"line": Line, "valve": Valve, "drive": Drive, "mount": Mount}
MARKS = frozenset({"published", "derived", "design"})


class PhysicsError(ValueError):
    """No such set, or one that is not written properly; the message names it."""


@dataclass(frozen=True, slots=True)
class Value:
    """One figure of a set."""

    value: float | int | bool | str
    mark: str
    source: str


@dataclass(frozen=True, slots=True)
class Physics:
    """One set: what `sim.mechanics.Mechanics` is built of, and where it comes from."""

    name: str
    line: Line
    drive: Drive
    mount: Mount
    source: str
    doi: str = ""
    caution: str = ""
    values: Mapping[str, Value] | None = None
    """``line.alarm_mmhg`` and so on; what is not among them is the default."""


def physics_names() -> tuple[str, ...]:
    """Every set, the default first."""
    return (IDEAL, *_table())


def physics(name: str) -> Physics:
    """The set of this name.  Raises `PhysicsError`, which says which there are."""
    if name == IDEAL:
        return Physics(IDEAL, Line(), Drive(), Mount(), "our choice: nothing but one spring")
    table = _table()
    if name not in table:
        names = ", ".join(physics_names())
        raise PhysicsError(f"physics {name!r} does not exist; there are {names}")
    return _built(name, _inherited(name, table))


def _table() -> dict[str, dict[str, Any]]:
    import tomllib  # noqa: PLC0415  # a pump without a named set starts without it

    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def _inherited(name: str, table: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The set with what it takes from others; a set is based on one that stands before it."""
    own = table[name]
    base = own.get("based_on")
    if base is None:
        return own
    names = list(table)
    if base not in names[: names.index(name)]:
        raise PhysicsError(f"physics {name}: based_on {base!r} is no set before it")
    whole = dict(_inherited(base, table))
    for key, given in own.items():
        whole[key] = {**whole.get(key, {}), **given} if key in PARTS else given
    return whole


def _built(name: str, entry: Mapping[str, Any]) -> Physics:
    unknown = set(entry) - {*PARTS, "source", "doi", "caution", "based_on"}
    if unknown:
        raise PhysicsError(f"physics {name}: no such key: {', '.join(sorted(unknown))}")
    values: dict[str, Value] = {}
    chosen: dict[str, dict[str, Any]] = {}
    for part, kind in PARTS.items():
        given = {
            key: _value(name, f"{part}.{key}", row) for key, row in entry.get(part, {}).items()
        }
        _check(name, part, kind, given)
        values.update({f"{part}.{key}": value for key, value in given.items()})
        chosen[part] = {key: value.value for key, value in given.items()}
    try:
        valve = Valve(**chosen["valve"]) if chosen["valve"] else None
        line, drive = Line(**chosen["line"], valve=valve), Drive(**chosen["drive"])
        mount = Mount(**chosen["mount"])
    except MakeError as problem:
        raise PhysicsError(f"physics {name}: {problem}") from problem
    told = {key: str(entry.get(key, "")) for key in ("source", "doi", "caution")}
    return Physics(name, line, drive, mount, **told, values=values)


def _value(name: str, key: str, row: object) -> Value:
    if not isinstance(row, dict) or row.keys() != {"value", "mark", "source"}:
        raise PhysicsError(f"physics {name}: {key} is no table of value, mark and source")
    if row["mark"] not in MARKS or not row["source"]:
        raise PhysicsError(f"physics {name}: {key} has no mark or no source")
    return Value(row["value"], row["mark"], row["source"])


def _check(name: str, part: str, kind: type, given: Mapping[str, Value]) -> None:
    known = {field.name for field in fields(kind)} - {"valve"}
    for key in given:
        if key not in known:
            possible = ", ".join(sorted(known))
            raise PhysicsError(f"physics {name}: {part} has no {key!r}; it has {possible}")
