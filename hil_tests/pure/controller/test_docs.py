"""What the documents say is what the product does."""

from __future__ import annotations

import re
from pathlib import Path

from controller.cli.main import COMMANDS
from controller.procedure.machine import as_mermaid

ROOT = Path(__file__).parents[3]


def test_the_diagram_in_the_docs_is_the_table_that_runs() -> None:
    page = (ROOT / "docs" / "procedure.md").read_text()
    assert f"```mermaid\n{as_mermaid()}```" in page


def test_the_readme_names_every_command() -> None:
    page = (ROOT / "README.md").read_text()
    for name in COMMANDS:
        assert f"infusor {' '.join(name)}" in page


def test_every_surface_for_people_says_bench_only() -> None:
    for page in ("README.md", "ARCHITECTURE.md", "PROTOCOL.md", "docs/procedure.md"):
        assert "connected to" in (ROOT / page).read_text(), page


def test_decisions_are_numbered_without_gaps_and_have_three_parts() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(len(pages)))
    for page in pages:
        text = page.read_text()
        for part in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert part in text, page.name


def test_the_locks_hold_names_versions_and_hashes_only() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        assert not re.search(r"https?://|--index-url|\bfile:", lock.read_text()), lock.name
