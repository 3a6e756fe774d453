"""A session log as people read it: one line a record, the time of the visit in front.

Keys carry their unit, so every value is shown with it.  Text from devices and people is shown with its
control characters spelt out: a log must not be able to drive a terminal.  Not answerable for whether
the log can be believed (`controller.event_log.verify`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from controller.log_format import RESERVED, Kind, Record
from controller.plain_text import spelt_out
from controller.visit_clock import timed
from controller.wording import quantity, unit_text
from firmware_bridge.notice import NOTICE

_HIDDEN = frozenset((*RESERVED, "notice"))


def as_text(records: Iterable[Record], *, samples: bool = False, everything: bool = False) -> str:
    """The log as lines, the notice first.

    Samples come only when asked for, and so do the counts of a dose that is still running; ``everything``
    asks for both.
    """
    shown = _shown(samples=samples or everything, counts=everything)
    return "".join(f"{line}\n" for line in _lines(records, shown))


def as_line(record: Record) -> str:
    """One record that has no place in the time of the visit, such as a later follow-up."""
    return f"later  {_sentence(record)}\n"


def as_json_lines(records: Iterable[Record], *, samples: bool = True) -> Iterator[str]:
    """The log as one flat JSON object a line, without the hashes."""
    for record in records:
        if samples or record["kind"] != Kind.SAMPLE:
            yield _ENCODE(record).decode("utf-8")


def _shown(*, samples: bool, counts: bool) -> Callable[[Record], bool]:
    """Whether a record is worth a line."""

    def worth(record: Record) -> bool:
        if record["kind"] == Kind.SAMPLE:
            return samples
        running = record["kind"] == Kind.DOSE and record.get("status") == "running"
        return counts or not (running and record.get("what") == "delivered")

    return worth


def _lines(records: Iterable[Record], shown: Callable[[Record], bool]) -> Iterator[str]:
    yield NOTICE
    last: Record | None = None
    for at_s, record in timed(records):
        last = record
        if shown(record):
            yield f"{_elapsed(at_s)}  {_sentence(record)}"
    if last is not None and last["kind"] != Kind.FOOTER:
        yield "(no footer: this session was not ended, or its log is still being written)"


def _sentence(record: Record) -> str:
    words = _SENTENCES.get(str(record["kind"]))
    return words(record) if words else _plain(record)


def _header(record: Record) -> str:
    device = _value(record, "device")
    about = f"session {_value(record, 'session')} on {device}, {_value(record, 'procedure')}"
    real = "SIMULATED" if record.get("simulated") else "a real pump on the bench"
    return f"{about} ({real}){_rest(record, 'device', 'procedure', 'simulated')}"


def _footer(record: Record) -> str:
    return f"sealed: {_value(record, 'outcome')}{_rest(record, 'outcome')}"


def _recovered(record: Record) -> str:
    kept = f"recovered after a crash, {_value(record, 'believed')} records believed"
    tail = record.get("tail_bytes")
    damage = (
        f", {spelt_out(str(tail))} damaged bytes kept in {_value(record, 'tail_file')}"
        if tail
        else ""
    )
    return kept + damage


def _state(record: Record) -> str:
    before = f"{_value(record, 'from')} -> " if "from" in record else ""
    return f"STATE {before}{_value(record, 'to')}{_rest(record, 'from', 'to')}"


def _dose(record: Record) -> str:
    return f"DOSE {_value(record, 'what')}{_rest(record, 'what')}"


def _alarm(record: Record) -> str:
    """What it says, how urgent it is while it stands, and the value that raised it."""
    name = _value(record, "text" if record.get("text") else "alarm")
    unit = f" {unit_text(_value(record, 'unit'))}" if "unit" in record else ""
    found = ", ".join(f"{key} {_value(record, key)}{unit}" for key in _MEASURED if key in record)
    detail = f" ({found})" if found else ""
    if record.get("active") is False:
        return f"alarm over: {name}"
    mark = _MARKS.get(str(record.get("priority")), "")
    told = ("alarm", "priority", "active", "text", "unit", *_MEASURED)
    return f"ALARM {mark}{name}{detail}{_rest(record, *told)}"


def _plain(record: Record) -> str:
    return f"{spelt_out(str(record['kind']))}{_rest(record)}"


def _rest(record: Record, *told: str) -> str:
    """Everything else the record says, each value with its unit."""
    others = [
        f"{spelt_out(name)} {shown}"
        for name, shown in (
            quantity(key, value)
            for key, value in record.items()
            if key not in _HIDDEN and key not in told
        )
        if shown
    ]
    return f": {', '.join(others)}" if others else ""


def _value(record: Record, key: str) -> str:
    value = record.get(key, "?")
    return spelt_out(value) if isinstance(value, str) else quantity(key, value)[1]


def _elapsed(at_s: float) -> str:
    """Hours, minutes and seconds since the first record."""
    seconds, thousandths = divmod(round(at_s * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}.{thousandths:03d}"


_ENCODE = msgspec.json.Encoder().encode
_MARKS = {"high": "*** ", "medium": "** ", "low": "* "}
_MEASURED = ("value", "limit")
_SENTENCES: dict[str, Callable[[Record], str]] = {
    Kind.HEADER: _header,
    Kind.FOOTER: _footer,
    Kind.RECOVERED: _recovered,
    Kind.STATE: _state,
    Kind.DOSE: _dose,
    Kind.ALARM: _alarm,
}
