"""Bytes and their meaning: quantities, messages, wire protocols, the last gate, and the only way to a port.

The driver API is ``firmware_bridge.open_pump``; everything else is imported from its own module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firmware_bridge.pump import open_pump as open_pump


def __getattr__(name: str) -> Any:  # noqa: ANN401 - what the interpreter calls for a missing name
    """`open_pump`, loaded when it is asked for: importing this package costs nothing."""
    if name != "open_pump":
        raise AttributeError(f"module 'firmware_bridge' has no attribute {name!r}")
    from firmware_bridge.pump import open_pump  # noqa: PLC0415

    return open_pump
