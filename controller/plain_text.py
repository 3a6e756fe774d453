"""Text from outside, made fit to be shown: a pump, a broker or a file must not be able to drive a terminal."""

from __future__ import annotations


def spelt_out(text: str, *, keep: str = "") -> str:
    """``text`` with every character that a terminal would obey or hide spelt out, but for those in ``keep``."""
    return "".join(
        letter
        if letter.isprintable() or letter in keep
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
