"""Values out of a record that may lack them or hold something else: what can be told is told all the same."""

from __future__ import annotations

from controller.log_format import Record


def number_in(record: Record, key: str) -> float | None:
    """The number under ``key``; None where there is none (a flag is no number)."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def text_in(record: Record, key: str) -> str:
    """The text under ``key``; empty where there is none."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def answerer(record: Record) -> str:
    """Who answered, without the role that the record has beside it."""
    by, role = text_in(record, "by"), text_in(record, "role")
    return by.removeprefix(f"{role}, ") if role else by


def words(name: str) -> str:
    """A name of the program as people write it: ``test_bolus`` is "test bolus"."""
    return name.replace("_", " ").replace("-", " ")
