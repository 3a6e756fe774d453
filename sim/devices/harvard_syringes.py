"""The table of syringes inside a Harvard pump, from ``sim/data/harvard_syringes.toml``.

Answerable for finding a maker by its code (hosts also send whole names, of which the first letters count)
and a barrel by maker and volume.  The file is read when the first host asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).parent.parent / "data" / "harvard_syringes.toml"

_FL_PER_UL = 10**9
_ANY_HAMILTON = "ham"


@dataclass(frozen=True, slots=True)
class Maker:
    """One maker's barrels: volume (fL) to inner diameter (tenths of a micrometre)."""

    code: str
    name: str
    barrels: Mapping[int, int]


@cache
def makers() -> Mapping[str, Maker]:
    """Every maker by its code, in the order of the table."""
    import tomllib  # noqa: PLC0415  # a pump whose table nobody asks for starts without it

    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))["makers"]
    return {
        code: Maker(
            code,
            entry["name"],
            {round(ul * _FL_PER_UL): round(mm * 10_000) for ul, mm, _ in entry["rows"]},
        )
        for code, entry in table.items()
    }


def find(word: str) -> list[Maker]:
    """The makers that ``word`` stands for: one by its code, all series of Hamilton for ``ham``, or none."""
    code = word.lower()[:3]
    if code == _ANY_HAMILTON:
        return [maker for maker in makers().values() if maker.code.startswith("hm")]
    maker = makers().get(code)
    return [] if maker is None else [maker]
