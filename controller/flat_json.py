"""Flat JSON objects: one level deep, scalar values, no key twice, every number finite.

The one form of everything this room writes to a log or a topic and reads back from outside.  Reading
is total: on any bytes it gives the object or raises `FlatJsonError`, nothing else.  Not answerable for
which keys mean what.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import NoReturn

Scalar = str | int | float | bool
FlatObject = dict[str, Scalar]

MAX_MESSAGE_BYTES = 4096
"""Cap before parsing for anything that arrives from outside this machine's own files."""

MAX_INTEGER = 2**63 - 1
"""Integers stay within 64 bits with sign, so that every reader of the file can hold them."""


class FlatJsonError(ValueError):
    """These bytes are not a flat JSON object; the sentence says why."""


def parse_flat(data: bytes, *, max_bytes: int = MAX_MESSAGE_BYTES) -> FlatObject:
    """The object in ``data``.  Raises `FlatJsonError` and nothing else, on any bytes at all."""
    if len(data) > max_bytes:
        raise FlatJsonError(f"{len(data)} bytes are more than {max_bytes}")
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise FlatJsonError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise FlatJsonError("nested too deep") from None
    except FlatJsonError:
        raise
    except ValueError as error:  # malformed JSON, or an integer of thousands of digits
        raise FlatJsonError(f"not JSON: {error}") from None
    if not isinstance(value, _Object):
        raise FlatJsonError("not a JSON object")
    return dict(value)


def check_flat(data: Mapping[str, Scalar]) -> None:
    """Nothing, if every value may be written; raises `FlatJsonError` naming the first that may not.

    The encoder would write NaN as null, which is exactly what no reader may ever see.
    """
    for key, value in data.items():
        kind = type(value)
        if kind is float:
            if not math.isfinite(value):  # type: ignore[arg-type]  # `kind is float` says so, faster
                raise FlatJsonError(f"{key}: {value!r} is not a finite number")
        elif kind is int:
            if not -MAX_INTEGER <= value <= MAX_INTEGER:  # type: ignore[operator]  # the same
                raise FlatJsonError(f"{key}: {value!r} is beyond 64 bits")
        elif kind not in _PLAIN:
            _check_odd(key, value)


class _Object(dict[str, Scalar]):
    """Marks what the decoder built from a JSON object, apart from the values inside it."""


def _check_odd(key: str, value: object) -> None:
    """A subclass of a plain type (an enumeration) is fine; anything else is not."""
    if not isinstance(value, str | int | float):
        raise FlatJsonError(f"{key}: {type(value).__name__} is not text, a number or a flag")
    if isinstance(value, float) and not math.isfinite(value):
        raise FlatJsonError(f"{key}: {value!r} is not a finite number")


def _object(pairs: list[tuple[str, object]]) -> _Object:
    found = _Object()
    for key, value in pairs:
        if key in found:
            raise FlatJsonError(f"key {key!r} appears twice")
        found[_text(key)] = _scalar(key, value)
    return found


def _scalar(key: str, value: object) -> Scalar:
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, int | float):
        raise FlatJsonError(f"key {key!r} is null or nested")
    if isinstance(value, float) and not math.isfinite(value):  # 1e999 reads as infinity
        raise FlatJsonError(f"key {key!r} is not a finite number")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise FlatJsonError(f"key {key!r} is beyond 64 bits")
    return value


def _text(value: str) -> str:
    """``value``, unless it holds half a surrogate pair, which no UTF-8 file can hold."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise FlatJsonError("half a surrogate pair in a string") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise FlatJsonError(f"{name} is not a number")


_PLAIN = frozenset((str, bool))
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)
