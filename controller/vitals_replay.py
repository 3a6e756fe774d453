"""A recording of vitals (CSV) played to the controller as if a monitor sent it.

Format: header ``t_s,hr_bpm,spo2_pct,nibp_sys_mmhg,nibp_dia_mmhg,rr_bpm,etco2_mmhg``; an empty cell means
no value; ``#`` starts a comment line.  Checked whole before anything starts.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path

COLUMNS = (
    "t_s",
    "hr_bpm",
    "spo2_pct",
    "nibp_sys_mmhg",
    "nibp_dia_mmhg",
    "rr_bpm",
    "etco2_mmhg",
)


NUMBER = re.compile(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,3})?", re.ASCII | re.IGNORECASE)


class RecordingError(ValueError):
    """The file is no vitals recording: the text names file, line, value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Samples in time order, each a mapping with ``t_s`` and the values that were there."""

    path: Path
    samples: tuple[Mapping[str, float], ...]

    def with_cuff_age(self) -> list[dict[str, object]]:
        """The samples as a monitor sends them: numbered, with the age of the last cuff reading."""
        cuff: dict[str, float] = {}
        played: list[dict[str, object]] = []
        for seq, sample in enumerate(self.samples):
            if "nibp_sys_mmhg" in sample and "nibp_dia_mmhg" in sample:
                cuff = {"at": sample["t_s"], **{k: sample[k] for k in COLUMNS[3:5]}}
            line: dict[str, object] = {**sample, "seq": seq}
            if cuff:
                line |= {k: v for k, v in cuff.items() if k != "at"}
                line["nibp_age_s"] = sample["t_s"] - cuff["at"]
            played.append(line)
        return played


def read_recording(path: Path) -> Recording:
    """The recording in ``path``.  Raises `RecordingError`, also for a file that cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets put a byte-order mark first
        rows = [
            (number, row)
            for number, row in enumerate(csv.reader(text.splitlines()), start=1)
            if row and not row[0].lstrip().startswith("#")
        ]
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: is not text in UTF-8") from error
    except csv.Error as error:
        raise RecordingError(f"{path}: {error}") from error
    if not rows or tuple(cell.strip() for cell in rows[0][1]) != COLUMNS:
        raise RecordingError(f"{path}: the header must be {','.join(COLUMNS)}")
    samples: list[Mapping[str, float]] = []
    for number, row in rows[1:]:
        sample = _sample(path, number, row)
        if samples and sample["t_s"] <= samples[-1]["t_s"]:
            raise RecordingError(f"{path}, line {number}: t_s does not go up")
        samples.append(sample)
    if not samples:
        raise RecordingError(f"{path}: no samples")
    return Recording(path, tuple(samples))


def _sample(path: Path, number: int, row: list[str]) -> dict[str, float]:
    if len(row) != len(COLUMNS):
        raise RecordingError(f"{path}, line {number}: {len(row)} cells instead of {len(COLUMNS)}")
    sample: dict[str, float] = {}
    for column, cell in zip(COLUMNS, row, strict=True):
        if cell.strip():
            sample[column] = _number(path, number, column, cell.strip())
    if "t_s" not in sample:
        raise RecordingError(f"{path}, line {number}: t_s is empty")
    return sample


def _number(path: Path, number: int, column: str, cell: str) -> float:
    value = float(cell) if NUMBER.fullmatch(cell) else inf
    if value == inf:
        raise RecordingError(f"{path}, line {number}: {column} = {cell!r} is not a number >= 0")
    return value
