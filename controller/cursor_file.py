"""How far the events of a log have been published, kept over restarts of the process.

A small file beside the log.  Losing it costs repetition, never an event: readers tell events apart by
boot and number.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from controller.flat_json import FlatJsonError, parse_flat
from controller.publisher import EventSource


def load(path: Path, source: EventSource) -> int:
    """The last event of ``source`` known to be published; -1 when nothing that is there can be trusted.

    A record can be lost in a crash and its number given to another one, so the boot id of the record
    must be the one that was noted.
    """
    try:
        noted = parse_flat(path.read_bytes())
        seq, boot = noted["seq"], noted["boot"]
    except (OSError, FlatJsonError, KeyError):
        return -1
    if type(seq) is not int or not 0 <= seq <= source.readable_seq:
        return -1
    return seq if source.records_after(seq - 1, 1)[0]["boot"] == boot else -1


def save(path: Path, source: EventSource, seq: int) -> None:
    """Notes that ``seq`` and all before it were published.  Raises `OSError`."""
    boot = source.records_after(seq - 1, 1)[0]["boot"]
    new = path.with_name(path.name + ".new")
    new.write_bytes(msgspec.json.encode({"boot": boot, "seq": seq}))
    new.replace(path)
