"""Behaviours that nobody could confirm, each a named switch with a default: how they are asked for.

A dialect's switches are a frozen dataclass whose fields are ``Literal`` texts, the first the default.
Answerable for the names, the values and the errors of ``--quirk NAME=VALUE``; what a switch does is told
where it acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeVar, get_args, get_type_hints


class QuirkError(ValueError):
    """No such switch, or no such position of it; the message names both and what is possible."""


Q = TypeVar("Q")


def parse_quirks(kind: type[Q], settings: Iterable[str]) -> Q:
    """The switches set by ``NAME=VALUE`` texts, the last of a name winning; raises `QuirkError`."""
    allowed = quirk_values(kind)
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
    return kind(**chosen)


def quirk_values(kind: type[Any]) -> dict[str, tuple[str, ...]]:
    """Every switch of a dialect with its positions, the default first."""
    hints = get_type_hints(kind)
    return {field.name: get_args(hints[field.name]) for field in fields(kind)}
