"""Times in words: seconds into the visit, lengths of time, and the date that a label stands for."""

from __future__ import annotations

from datetime import UTC, datetime


def at(seconds: float) -> str:
    """Hours, minutes and seconds since the visit began."""
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole:02d}"


def long(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole:02d} s" if whole else f"{minutes} min"


def date(unix_ms: float | None) -> str:
    """The date and time (UTC) of a label; "unknown" for one that no calendar has."""
    if unix_ms is None:
        return "unknown"
    try:
        return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "unknown"
