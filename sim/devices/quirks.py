"""Behaviours that nobody could confirm, each a named switch with a default: how they are asked for.

A dialect's switches are a frozen dataclass.  A field is a ``Literal`` text, the first the default, or a
number, ``Annotated[int, Whole(low, high)]``.  Answerable for the names, the values and the errors of
``--quirk NAME=VALUE``; what a switch does is told where it acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar, get_args, get_type_hints


class QuirkError(ValueError):
    """No such switch, or no such position of it; the message names both and what is possible."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A switch that is a whole number in ``low..high``."""

    low: int
    high: int

    def accepts(self, text: str) -> bool:
        """Whether the text is such a number."""
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(self.high))
        return digits and self.low <= int(text) <= self.high


Q = TypeVar("Q")


def parse_quirks(kind: type[Q], settings: Iterable[str]) -> Q:
    """The switches set by ``NAME=VALUE`` texts, the last of a name winning; raises `QuirkError`."""
    ranges, allowed = _ranges(kind), quirk_values(kind)
    chosen: dict[str, str | int] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise QuirkError(f"quirk {setting!r} is not NAME=VALUE")
        if name not in allowed:
            raise QuirkError(f"quirk {name!r} does not exist; there are {', '.join(allowed)}")
        if name in ranges:
            chosen[name] = _number(name, ranges[name], value)
        elif value in allowed[name]:
            chosen[name] = value
        else:
            raise QuirkError(
                f"quirk {name} cannot be {value!r}; it is one of {', '.join(allowed[name])}"
            )
    return kind(**chosen)


def quirk_values(kind: type[Any]) -> dict[str, tuple[str, ...]]:
    """Every switch of a dialect with its positions, the default first; of a number, default and limits."""
    hints, ranges = get_type_hints(kind), _ranges(kind)
    values: dict[str, tuple[str, ...]] = {}
    for field in fields(kind):
        if field.name in ranges and field.default is not MISSING:
            ends = ranges[field.name]
            texts = [str(number) for number in (field.default, ends.low, ends.high)]
            values[field.name] = tuple(dict.fromkeys(texts))
        else:
            values[field.name] = get_args(hints[field.name])
    return values


def _ranges(kind: type[Any]) -> dict[str, Whole]:
    """The switches that are numbers."""
    hints = get_type_hints(kind, include_extras=True)
    found: dict[str, Whole] = {}
    for field in fields(kind):
        for note in getattr(hints[field.name], "__metadata__", ()):
            if isinstance(note, Whole):
                found[field.name] = note
    return found


def _number(name: str, ends: Whole, text: str) -> int:
    if not ends.accepts(text):
        raise QuirkError(
            f"quirk {name} cannot be {text!r}; it is a whole number in {ends.low}..{ends.high}"
        )
    return int(text)
