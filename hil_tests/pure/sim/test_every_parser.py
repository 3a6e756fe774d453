"""Random and mutated bytes into every parser, host and device: protocol errors only, bounded, back in step.

``python -m hil_tests.fuzz_parsers`` does the same with ten million bytes into each.
"""

from __future__ import annotations

from typing import ClassVar

import pytest

from firmware_bridge.dialects import BUILT_IN as HOSTS
from hil_tests.fuzz_corpora import Subject, subjects
from hil_tests.fuzz_parsers import fuzz, main
from sim.devices.kinds import BUILT_IN as DEVICES

BYTES = 200_000
SUBJECTS = {subject.name: subject for subject in subjects()}


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_parser_takes_any_bytes_keeps_little_and_is_in_step_within_a_frame(name: str) -> None:
    outcome = fuzz(SUBJECTS[name], BYTES, seed=1, trials=300)
    assert outcome.errors == []
    assert outcome.fine
    assert outcome.bytes >= BYTES


def test_every_dialect_is_there_on_both_sides() -> None:
    for name in HOSTS:
        assert {f"host {name}", f"host {name} programs"} <= set(SUBJECTS)
    for name in DEVICES:
        assert f"device {name}" in SUBJECTS


class Bad:
    """Trips over one byte, keeps everything, and is deaf after noise."""

    kept: ClassVar[list[bytes]] = []

    def feed(self, data: bytes, now: float) -> bytes:
        del now
        if data == b"!":
            raise IndexError("list index out of range")
        self.kept.append(data * 20)
        return b""

    def pause(self, now: float) -> bytes:
        del now
        return b""


def test_a_parser_that_raises_leaks_or_is_deaf_is_found() -> None:
    probe = (b"frame", b"frame")
    outcome = fuzz(
        Subject("bad", Bad, ["!"], lambda _chance, text: text.encode(), probe), 200_000, 1, 5
    )
    assert outcome.error_count > 0
    assert "IndexError: list index out of range on b'!'" in outcome.errors
    assert outcome.peak_bytes > 2_000_000
    assert outcome.deaf == 5
    assert not outcome.fine
    Bad.kept.clear()


def test_the_command_prints_a_row_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bytes", "2000", "--only", "alaris"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
