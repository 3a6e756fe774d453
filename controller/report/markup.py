"""HTML and SVG as nested calls: whatever is not markup already is escaped, so nothing can be forgotten.

``element("p", text)`` escapes ``text``; only another `element` passes as it is.  Text from devices and
people has its control characters, and letters that turn the line round, spelt out.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from controller.plain_text import spelt_out

VOID = frozenset({"meta", "br", "hr", "col"})


class Html(str):
    """Markup, safe to be written as it is."""

    __slots__ = ()


Child = str | Html | None
Attribute = str | int | float | bool | None


def element(name: str, /, *children: Child | Iterable[Child], **attributes: Attribute) -> Html:
    """One element.  An attribute's trailing underscore goes, others become hyphens; None is left out."""
    opening = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    if name in VOID:
        return Html(opening)
    return Html(f"{opening}{together(*children)}</{name}>")


def together(*children: Child | Iterable[Child]) -> Html:
    """The children one after the other, escaped where they are text."""
    return Html("".join(_child(child) for child in children))


def _child(child: Child | Iterable[Child]) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, str):
        return escape(spelt_out(child), quote=False)
    return "".join(_child(one) for one in child)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = "viewBox" if key == "view_box" else key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = short(value) if isinstance(value, int | float) else spelt_out(value)
    return f' {name}="{escape(text)}"'


def short(value: float) -> str:
    """A coordinate to a tenth of a pixel, as short as it gets."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"
