"""One table of a procedure file, read key by key; every way to be wrong is one line.

Answerable for form: presence, type, range, unit in the name, and keys that nobody asked for.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any


class PlanError(ValueError):
    """The procedure file is not usable; the sentence names file, key, value and limit."""

    def __init__(self, file: str, key: str, value: object, limit: str) -> None:
        shown = " ".join(str(value).split())
        super().__init__(f"{file}: {key} = {shown}: {limit}" if key else f"{file}: {limit}")
        self.file = file
        self.key = key
        self.value = value
        self.limit = limit


class Section:
    """One table of the file; hands out each key once, checked, and names what nobody asked for."""

    def __init__(self, file: str, name: str, table: object) -> None:
        if not isinstance(table, dict):
            raise PlanError(file, name, table, "must be a table")
        self.file = file
        self.name = name
        self.table: dict[str, Any] = table
        self.known: list[str] = []

    def fail(self, key: str, limit: str) -> PlanError:
        full = f"{self.name}.{key}" if self.name else key
        return PlanError(self.file, full, self.table.get(key, "(missing)"), limit)

    def _get(self, key: str) -> object:
        self.known.append(key)
        if key not in self.table:
            hint = self._spelt_without_unit(key)
            raise self.fail(key, f"is required{hint}")
        return self.table[key]

    def _spelt_without_unit(self, key: str) -> str:
        near = [other for other in self.table if key.startswith(f"{other}_")]
        return f"; {near[0]} lacks its unit" if near else ""

    def text(self, key: str) -> str:
        value = self._get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(key, "must be text")
        return value

    def number(self, key: str, low: str, high: str, unit: str) -> Decimal:
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.fail(key, f"must be a number, {low} to {high} {unit}")
        exact = Decimal(value)
        if not exact.is_finite() or not Decimal(low) <= exact <= Decimal(high):
            raise self.fail(key, f"must be {low} to {high} {unit}")
        return exact

    def whole(self, key: str, low: int, high: int, unit: str) -> int:
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fail(key, f"must be a whole number, {low} to {high} {unit}")
        return int(self.number(key, str(low), str(high), unit))

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self._get(key)
        if not isinstance(value, str) or value not in allowed:
            raise self.fail(key, f"must be one of: {', '.join(allowed)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of sentences, which may be absent."""
        self.known.append(key)
        value = self.table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) and v.strip() for v in value):
            raise self.fail(key, "must be a list of sentences")
        return tuple(value)

    def refuse(self, key: str, why: str) -> None:
        """This key has no business here.  Raises `PlanError` where it is."""
        if key in self.table:
            raise self.fail(key, why)

    def close(self) -> None:
        """Raises `PlanError` for the first key that no reader asked for."""
        for key in self.table:
            if key not in self.known:
                near = [known for known in self.known if known.startswith(f"{key}_")]
                hint = f"unit missing, write {near[0]}" if near else f"unknown key; {self._all()}"
                raise self.fail(key, hint)

    def _all(self) -> str:
        return f"known are: {', '.join(dict.fromkeys(self.known))}"
