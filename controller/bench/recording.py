"""A recording of collected fluid, read from a table of text: times, and a mass, a volume or a flow.

Answerable for believing no file: every complaint names file, line, column, value and what is allowed.
Not answerable for what the numbers mean for a pump (`controller.bench.flow`).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TIMES: Mapping[str, float] = {"t_s": 1.0, "t_min": 60.0, "t_h": 3_600.0}
"""Names of a time column, and the seconds of its unit."""
AMOUNTS: Mapping[str, float] = {
    "mass_g": 1.0,
    "mass_mg": 1e-3,
    "volume_ml": 1.0,
    "volume_ul": 1e-3,
    "flow_ml_h": 1.0,
}
"""Names of what was measured, and its unit in g, mL or mL/h."""

BYTES_MAX = 200_000_000
LIMIT = 1e9
"""No time, mass or volume of a bench is as large, in any of these units."""
DECIMALS_MAX = 6


class RecordingError(ValueError):
    """The file is no recording of this form."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What was collected until each moment; times in s, strictly rising.

    ``amount`` is cumulative: grams if ``weighed``, else millilitres.  ``resolution`` is the step of its
    digits, in the same unit, or ``None`` where the digits show none.
    """

    t_s: Floats
    amount: Floats
    weighed: bool
    resolution: float | None


def read(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    delimiter: str = ",",
    decimal: str = ".",
) -> Recording:
    """The recording in ``path``; raises `RecordingError`.

    ``columns``: our name -> the name in the file's header.  ``decimal``: the sign before the decimals.
    """
    if decimal == delimiter:
        raise RecordingError(f"{path}: decimal sign and delimiter are both {decimal!r}")
    lines = _lines(path)
    header = _cells(path, lines[0], delimiter)
    time, amount = _chosen(path, header, columns or {})
    table = _numbers(path, lines[1:], header, (time.at, amount.at), delimiter, decimal)
    t_s, values = table[:, 0] * time.unit, table[:, 1] * amount.unit
    late = np.flatnonzero(np.diff(t_s) <= 0.0)
    if late.size:
        number = lines[int(late[0]) + 2][0]
        raise RecordingError(f"{path}, line {number}: {time.name} does not go up")
    if amount.name == "flow_ml_h":
        return Recording(t_s, _collected(t_s, values), weighed=False, resolution=None)
    step = _step(table[:, 1])
    return Recording(
        t_s, values, amount.name.startswith("mass"), None if step is None else step * amount.unit
    )


# --- the text ---------------------------------------------------------------------------------------

Line = tuple[int, str]


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    at: int
    unit: float


def _lines(path: Path) -> list[Line]:
    """Numbered lines without comments and empty ones: a header and two samples at least."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise RecordingError(f"{path}: larger than {BYTES_MAX} bytes")
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets put a byte-order mark first
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if len(lines) < 3:
        raise RecordingError(f"{path}: a header and at least two samples are needed")
    return lines


def _cells(path: Path, line: Line, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line[1]], delimiter=delimiter))]
    except (csv.Error, StopIteration, TypeError) as error:
        raise RecordingError(f"{path}, line {line[0]}: {error}") from error


def _chosen(
    path: Path, header: Sequence[str], columns: Mapping[str, str]
) -> tuple[_Column, _Column]:
    """The time column, and the one that was measured."""
    for ours, theirs in columns.items():
        if ours not in TIMES and ours not in AMOUNTS:
            known = ", ".join([*TIMES, *AMOUNTS])
            raise RecordingError(f"column {ours!r} does not exist; there are {known}")
        if theirs not in header:
            raise RecordingError(
                f"{path}: no column {theirs!r}; the header has {', '.join(header)}"
            )
    names = dict(columns)
    if not names.keys() & TIMES.keys():
        names |= {name: name for name in TIMES if name in header}
    if not names.keys() & AMOUNTS.keys():
        names |= {name: name for name in AMOUNTS if name in header}
    return _only(path, names, header, TIMES, "time"), _only(path, names, header, AMOUNTS, "amount")


def _only(
    path: Path,
    names: Mapping[str, str],
    header: Sequence[str],
    units: Mapping[str, float],
    what: str,
) -> _Column:
    found = [name for name in names if name in units]
    if len(found) != 1:
        problem = f"has several: {', '.join(found)}" if found else "has none"
        raise RecordingError(
            f"{path}: one {what} column is needed, the header {problem}; it is one of "
            f"{', '.join(units)}, or named by --columns OURS=THEIRS"
        )
    return _Column(found[0], header.index(names[found[0]]), units[found[0]])


def _numbers(
    path: Path,
    lines: Sequence[Line],
    header: Sequence[str],
    wanted: tuple[int, int],
    delimiter: str,
    decimal: str,
) -> Floats:
    """Two columns as numbers.  All at once; only a file with a fault is gone through line by line."""
    texts = [line.replace(decimal, ".") if decimal != "." else line for _, line in lines]
    try:
        table = np.loadtxt(
            texts, delimiter=delimiter, usecols=wanted, comments=None, quotechar='"', ndmin=2
        )
        if bool((np.abs(table) <= LIMIT).all()):
            return table
    except (ValueError, IndexError):
        pass
    for number, text in zip((number for number, _ in lines), texts, strict=True):
        _check(path, _cells(path, (number, text), delimiter), number, header, wanted)
    raise RecordingError(f"{path}: not a table of numbers")


def _check(
    path: Path, cells: Sequence[str], number: int, header: Sequence[str], wanted: tuple[int, int]
) -> None:
    for at in wanted:
        cell = cells[at] if at < len(cells) else ""
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if not abs(value) <= LIMIT:
            raise RecordingError(
                f"{path}, line {number}: {header[at]} = {cell[:40]!r} is not a number "
                f"up to {LIMIT:g}"
            )


# --- the numbers ------------------------------------------------------------------------------------


def _collected(t_s: Floats, flow_ml_h: Floats) -> Floats:
    """The volume behind flow samples, each the mean flow since the sample before."""
    steps = flow_ml_h[1:] * np.diff(t_s) / 3_600.0
    return np.concatenate(([0.0], np.cumsum(steps)))


def _step(values: Floats) -> float | None:
    """The decimal step on which all values lie; ``None`` for finer than `DECIMALS_MAX` digits."""
    for decimals in range(DECIMALS_MAX + 1):
        scaled = values * 10.0**decimals
        if bool((np.abs(scaled - np.round(scaled)) < 1e-3).all()):
            return float(10.0**-decimals)
    return None
