"""The lines of a child: each is handed on, and only the last few are kept."""

from __future__ import annotations

import asyncio
import os

from firmware_bridge.spawn import LINES_KEPT, LineReader


async def test_every_line_is_handed_on_and_the_last_few_are_kept() -> None:
    mine, its = os.pipe()
    heard: list[str] = []
    reader = LineReader(mine, heard.append)
    for number in range(1_000):
        os.write(its, b"line %d\n" % number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    os.write(its, b'{"restored": []}\n')
    os.close(its)
    rest = reader.rest()
    assert heard == [*(f"line {number}" for number in range(1_000)), '{"restored": []}']
    assert rest == heard[-LINES_KEPT:]
    assert reader.rest() == rest
