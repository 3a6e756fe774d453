"""Parameters of faults: a number with its range, or one of several words.

Answerable for refusing, by name and limit, what a parameter cannot be.  The unit of a number is the end
of the parameter's name.
"""

from __future__ import annotations

from dataclasses import dataclass

FaultValue = int | float | str


class FaultError(ValueError):
    """It cannot be broken like this: the message names kind, parameter and what is possible."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its range."""

    default: float
    low: float
    high: float

    def accept(self, what: str, value: FaultValue) -> FaultValue:
        """``value``, or `FaultError` in which ``what`` names the parameter."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(value, str) or not number or not self.low <= value <= self.high:
            raise FaultError(
                f"{what} cannot be {value!r}; it is a number in {self.low:g}..{self.high:g}"
            )
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words; the first is the default."""

    words: tuple[str, ...]

    @property
    def default(self) -> str:
        """The first word."""
        return self.words[0]

    def accept(self, what: str, value: FaultValue) -> FaultValue:
        """``value``, or `FaultError` in which ``what`` names the parameter."""
        if value not in self.words:
            raise FaultError(f"{what} cannot be {value!r}; it is one of {', '.join(self.words)}")
        return value


Parameter = Amount | Choice
