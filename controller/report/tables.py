"""Tables that stay readable on a telephone: each cell knows its column, and rows become cards.

The roles are spelt out, since a table that a style sheet lays out otherwise loses its meaning for
those who hear it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller.report.markup import Child, Html, element, together

ABSENT = "—"
"""In a cell for which there is no value."""


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Child]],
    *,
    last: Sequence[Child] | None = None,
    look: str = "",
) -> Html:
    """A table whose first column names the row; ``last`` is a row of totals."""
    head = [element("th", name, scope="col", role="columnheader") for name in columns]
    body = [_row(columns, row) for row in rows]
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", head, role="row"), role="rowgroup"),
        element("tbody", body, role="rowgroup"),
        element("tfoot", _row(columns, last), role="rowgroup") if last is not None else None,
        role="table",
        class_=look or None,
    )


def facts(pairs: Iterable[tuple[str, Child]]) -> Html:
    """Names and values, for what is no table; without the empty ones."""
    return element(
        "dl",
        [
            element("div", element("dt", name), element("dd", value))
            for name, value in pairs
            if value
        ],
    )


def section(name: str, title: str, *children: Child | Iterable[Child]) -> Html:
    """A part of the page under its heading."""
    heading = element("h2", title, id=name)
    return element("section", heading, *children, aria_labelledby=name, class_=f"part p-{name}")


def two_lines(strong: str, small: str) -> Html:
    """A value, and under it what it is made of."""
    return together(element("strong", strong), element("small", small) if small else None)


def chip(text: str, look: str) -> Html:
    """A word in a coloured frame; the word says what the colour says."""
    return element("span", text, class_=f"chip {look}")


def _row(columns: Sequence[str], cells: Sequence[Child]) -> Html:
    first, *others = cells
    named = [
        element("td", cell, role="cell", data_label=column)
        for column, cell in zip(columns[1:], others, strict=True)
    ]
    return element("tr", element("th", first, scope="row", role="rowheader"), named, role="row")
