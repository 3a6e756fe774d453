"""What is told after a visit: for how long it helped.  Beside the sealed log, never in it.

A session log ends with its footer, and nothing may follow it.  What a patient reports days later goes
into a second file of the same form (``S-0001.followup.jsonl``), whose header names the log and the hash
of its last line, so that it cannot be laid beside another visit unnoticed.  Pure: bytes in, bytes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controller.flat_json import Scalar
from controller.log_format import (
    GENESIS,
    Kind,
    Prefix,
    Record,
    Stamp,
    encode_record,
    longest_valid_prefix,
)

KIND = "followup"
BENEFIT_H_MAX = 8_760.0
"""A year: anything longer is no longer about one visit."""


class FollowUpError(ValueError):
    """This cannot be written down: about the log, or about the file beside it."""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One entry: hours of benefit; pain and mood where they were asked; side effects in words."""

    benefit_h: float
    by: str
    pain_0_10: float | None = None
    mood_0_10: float | None = None
    side_effects: str = ""

    def data(self) -> dict[str, Scalar]:
        """The entry as flat data.  Raises `FollowUpError` naming key, value and limit."""
        _within("benefit_h", self.benefit_h, BENEFIT_H_MAX, "h")
        data: dict[str, Scalar] = {"benefit_h": self.benefit_h, "by": self.by}
        if not self.by.strip():
            raise FollowUpError("by: a follow-up is entered by a named role")
        for name, score in (("pain_0_10", self.pain_0_10), ("mood_0_10", self.mood_0_10)):
            if score is not None:
                _within(name, score, 10.0, "points")
                data[name] = score
        if self.side_effects:
            data["side_effects"] = self.side_effects
        return data


def beside(log: Path) -> Path:
    """Where the follow-ups of this log are."""
    return log.with_suffix(".followup.jsonl")


def more(log: Prefix, name: str, existing: bytes, entry: FollowUp, ts_ms: int) -> bytes:
    """What is to be appended to the ``existing`` follow-ups of the log called ``name``.

    Raises `FollowUpError` for a log that is damaged or not sealed, and for a file that is about another.
    """
    data = entry.data()
    if log.reason or not log.sealed:
        raise FollowUpError(f"{name}: {log.reason or 'the session did not end'}")
    head = log.records[0]
    known = longest_valid_prefix(existing)
    if known.reason:
        raise FollowUpError(f"the follow-ups of {name} are damaged: {known.reason}")
    stamp, boot, session = Stamp(ts_ms, 0), str(head["boot"]), str(head["session"])
    lines, h, seq = b"", known.h if known.records else GENESIS, len(known.records)
    if known.records:
        _same_log(known.records[0], log, name)
    else:
        about: dict[str, Scalar] = {"log": name, "log_h": log.h.decode()}
        about |= {key: head[key] for key in ("notice", "procedure", "drug") if key in head}
        lines, h = encode_record(
            h, stamp=stamp, boot=boot, seq=seq, session=session, kind=Kind.HEADER, data=about
        )
        seq += 1
    line, _ = encode_record(
        h, stamp=stamp, boot=boot, seq=seq, session=session, kind=KIND, data=data
    )
    return lines + line


def follow_ups(existing: bytes, log: Prefix) -> list[Record]:
    """The entries about this log, as far as they can be believed; none where they are about another."""
    records = longest_valid_prefix(existing).records
    about = records[0].get("log_h") if records else ""
    return [r for r in records if r["kind"] == KIND and about == log.h.decode()]


def _same_log(header: Record, log: Prefix, name: str) -> None:
    if header.get("log_h") != log.h.decode():
        raise FollowUpError(f"the follow-ups beside {name} are about another log")


def _within(name: str, value: float, most: float, unit: str) -> None:
    if not 0.0 <= value <= most:  # a NaN is outside too
        raise FollowUpError(f"{name} = {value:g}: must be 0 to {most:g} {unit}")
