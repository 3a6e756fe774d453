"""The absolute caps of this bridge: read once from ``caps.toml``, narrowed by ARM, widened by nobody.

Answerable for reading and checking that file.  What the caps are compared with is the gate's affair.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources
from typing import TypeVar

from firmware_bridge.errors import ConfigurationError
from firmware_bridge.quantities import (
    Concentration,
    Duration,
    QuantityError,
    Rate,
    Volume,
)

LEASE_ON_THE_WIRE_MAX = Duration(0xFFFF)
"""A lease travels as 16 bits of milliseconds (PROTOCOL.md)."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The largest values the gate ever lets pass, and the span a lease must lie in."""

    rate_max: Rate
    volume_per_command_max: Volume
    volume_total_max: Volume
    time_max: Duration
    concentration_max: Concentration
    lease_min: Duration
    lease_max: Duration

    def stretched(self, floor: Duration) -> Caps:
        """The same caps with room for a lease of ``floor``, which scaled time needs.

        ``floor`` is 250 ms of wall time in loop time.  The longest lease stays a choice (twice the
        shortest) where the wire has room for it.  Raises `ConfigurationError` where even ``floor`` has none.
        """
        if floor > LEASE_ON_THE_WIRE_MAX:
            raise ConfigurationError(
                f"speed: 250 ms of wall time is {floor} of loop time, "
                f"above the longest lease on the wire, {LEASE_ON_THE_WIRE_MAX}"
            )
        longest = min(floor + floor, LEASE_ON_THE_WIRE_MAX)
        return replace(
            self,
            lease_min=max(self.lease_min, floor),
            lease_max=max(self.lease_max, longest),
        )


_Quantity = TypeVar("_Quantity", Rate, Volume, Duration, Concentration)


def parse_caps(text: str) -> Caps:
    """The caps written in ``text`` (TOML).  Raises `ConfigurationError` naming key and value."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"caps: {error}") from error
    caps = Caps(
        rate_max=_take(table, "rate_ml_h_max", Rate.from_ml_h),
        volume_per_command_max=_take(table, "volume_ml_per_command_max", Volume.from_ml),
        volume_total_max=_take(table, "volume_ml_total_max", Volume.from_ml),
        time_max=_take(table, "time_s_max", Duration.from_s),
        concentration_max=_take(table, "concentration_mg_ml_max", Concentration.from_mg_ml),
        lease_min=_take(table, "lease_s_min", Duration.from_s),
        lease_max=_take(table, "lease_s_max", Duration.from_s),
    )
    if table:
        raise ConfigurationError(f"caps: unknown keys: {', '.join(sorted(table))}")
    if caps.lease_min > caps.lease_max:
        raise ConfigurationError(
            f"caps: lease_s_min: {caps.lease_min} is above lease_s_max, {caps.lease_max}"
        )
    return caps


def _take(
    table: dict[str, object], key: str, reader: Callable[[int | float], _Quantity]
) -> _Quantity:
    value = table.pop(key, None)
    if not isinstance(value, (int, float)):
        raise ConfigurationError(f"caps: {key}: {value!r} is not a number")
    try:
        return reader(value)
    except QuantityError as error:
        raise ConfigurationError(f"caps: {key}: {error}") from error


def load_caps() -> Caps:
    """The caps shipped with this package.  Raises `ConfigurationError`."""
    return parse_caps(resources.files("firmware_bridge").joinpath("caps.toml").read_text("utf-8"))
