"""A whole visit on the real clock, with processes and ports: its log is intact, and ends at its footer."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller import event_log
from hil_tests.real.command_line import CommandLine

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


def test_the_log_of_a_live_visit_is_intact_and_nothing_follows_its_footer(tmp_path: Path) -> None:
    user = CommandLine(tmp_path)
    words = ("run", "ketamine-first-visit", "--speed", "240", "--operator", "anxiety")
    ended = user.run(*words, "--device", "sealed-1", "--mqtt", "off", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["outcome"] == "rescued"
    log = tmp_path / ended.json["log"]
    verdict = event_log.verify(log)
    assert (verdict.ok, verdict.sealed) == (True, True), verdict
    *before, footer = event_log.read(log).records
    assert footer["kind"] == "footer"
    assert "footer" not in {record["kind"] for record in before}
    assert len([record for record in before if record["kind"] == "sample"]) > 1_000
