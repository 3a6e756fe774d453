"""P1 to P10 and the step, as the commands of `hil_tests.bench.checkpoints`, here without processes."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hil_tests.bench import checkpoints
from hil_tests.bench.checkpoints import CHECKPOINTS, Checkpoint, Words, judged, step_changes
from sim.patient_command import add_arguments, run

PAGE = Path(__file__).parents[3] / "docs" / "patient.md"


def ask(words: Words) -> Mapping[str, Any]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run(parser.parse_args([*words, "--json"])) == 0
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


@pytest.mark.parametrize("one", CHECKPOINTS, ids=[one.key for one in CHECKPOINTS])
def test_a_checkpoint_holds(one: Checkpoint) -> None:
    seen = one.seen(ask(one.words))
    assert seen
    assert all(figure.holds for figure in seen), [figure.line() for figure in seen]


def test_every_checkpoint_is_there() -> None:
    keys = [one.key for one in CHECKPOINTS]
    assert keys == [*(f"P{number}" for number in range(1, 10)), "P10a", "P10b", "P10c"]


def test_no_number_of_any_answer_depends_on_the_step() -> None:
    seen = step_changes(ask)
    assert len(seen) == 9
    assert all(figure.holds for figure in seen), [figure.line() for figure in seen]


def test_a_model_that_is_a_little_off_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(words: Words) -> Mapping[str, Any]:
        answer = ask(words)
        less = [x * 0.999 for x in answer["plasma_ng_ml"]]
        return {
            **answer,
            "plasma_ng_ml": less if "--step-s" not in words else answer["plasma_ng_ml"],
        }

    said: list[str] = []
    monkeypatch.setattr(checkpoints, "CHECKPOINTS", CHECKPOINTS[:1])
    monkeypatch.setattr(checkpoints, "STEPPED", {"ketamine": checkpoints.STEPPED["ketamine"]})
    assert judged(ask, said.append)
    assert not any("NOT" in line for line in said)
    assert not judged(off, said.append)
    assert sum("DOES NOT HOLD" in line for line in said) == 5 + 3  # every Cp, and every step


def test_the_page_shows_every_command_as_it_is_run() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for one in CHECKPOINTS:
        assert one.command in page, one.command
