"""A session log as the story of one visit: every record with its time, and the states it went through.

Times are seconds of the visit's own clock since the first record (`controller.visit_clock`).

Not answerable for what the records mean (`doses`, `alarms`, `timeline`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controller.log_format import Kind, Prefix, Record
from controller.reading import text_in
from controller.visit_clock import timed


@dataclass(frozen=True, slots=True)
class Moment:
    """One record and when it was written."""

    at_s: float
    record: Record

    @property
    def kind(self) -> str:
        return str(self.record.get("kind"))


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time with one name."""

    name: str
    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Seal:
    """Whether the file that the story was read from can be believed."""

    file: str
    records: int
    sealed: bool
    reason: str
    h: str

    @property
    def intact(self) -> bool:
        """Every byte of the file is part of the chain."""
        return not self.reason and self.records > 0


@dataclass(frozen=True, slots=True)
class Story:
    """``samples`` are the one-second records, ``events`` all others, the header included."""

    header: Record
    events: tuple[Moment, ...]
    samples: tuple[Moment, ...]
    states: tuple[Span, ...]
    end_s: float
    seal: Seal
    later: tuple[Record, ...] = ()
    """What was told after the visit, beside the sealed log."""

    def of_kind(self, *kinds: str) -> Iterator[Moment]:
        """The events of these kinds, in order."""
        return (moment for moment in self.events if moment.kind in kinds)

    def state_at(self, at_s: float) -> str:
        """The state the visit was in; empty before the first."""
        inside = [span.name for span in self.states if span.start_s <= at_s]
        return inside[-1] if inside else ""

    @property
    def outcome(self) -> str:
        """How it ended; empty while it has not."""
        return next((text_in(m.record, "outcome") for m in self.of_kind("finished")), "")

    @property
    def footer(self) -> Record:
        """The last record of a sealed log, or nothing."""
        return next((m.record for m in self.of_kind(Kind.FOOTER)), {})


def tell(prefix: Prefix, file: str, later: Iterable[Record] = ()) -> Story:
    """The story of the part of a log that can be believed, and of what was told after it."""
    moments = tuple(Moment(at_s, record) for at_s, record in timed(prefix.records))
    end_s = max((moment.at_s for moment in moments), default=0.0)
    events = tuple(moment for moment in moments if moment.kind != Kind.SAMPLE)
    seal = Seal(file, len(moments), prefix.sealed, prefix.reason, prefix.h.decode("ascii"))
    return Story(
        header=moments[0].record if moments else {},
        events=events,
        samples=tuple(moment for moment in moments if moment.kind == Kind.SAMPLE),
        states=tuple(_states(events, end_s)),
        end_s=end_s,
        seal=seal,
        later=tuple(later),
    )


def _states(events: Iterable[Moment], end_s: float) -> Iterator[Span]:
    """One span a state record, in order."""
    entered = [moment for moment in events if moment.kind == Kind.STATE]
    ends = [*(moment.at_s for moment in entered[1:]), end_s]
    for moment, until_s in zip(entered, ends, strict=bool(entered)):
        yield Span(text_in(moment.record, "to") or "unnamed", moment.at_s, until_s)
