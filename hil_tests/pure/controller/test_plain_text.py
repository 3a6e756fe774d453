"""What comes from outside is shown, and commands nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cli.main import main
from controller.plain_text import spelt_out


@given(st.text(), st.sampled_from(["", "\n"]))
def test_whatever_it_is_nothing_in_it_commands_a_terminal(text: str, keep: str) -> None:
    shown = spelt_out(text, keep=keep)
    assert all(letter.isprintable() or letter in keep for letter in shown)


def test_words_stay_as_they_are_and_controls_are_spelt() -> None:
    assert spelt_out("7,5 µg 注射") == "7,5 µg 注射"
    assert spelt_out("a\x1b[2J\x9b\u202e\udc80\n") == r"a\x1b[2J\x9b\u202e\udc80\n"
    assert spelt_out("a\n\x1b", keep="\n") == "a\n\\x1b"


def test_a_complaint_about_a_value_spells_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "./\x1b[2J\x9b.toml"]) == 2
    assert r"./\x1b[2J\x9b.toml" in capsys.readouterr().err
