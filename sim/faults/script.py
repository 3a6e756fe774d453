"""A fault script: what breaks, when, and for how long, as written in TOML.

    [[fault]]
    at_s = 1200.0
    kind = "downstream_occlusion"
    for_s = 300.0

Every entry has one kind, exactly one trigger, and at most one duration.  Answerable for refusing, in one
line that names file, entry, key, value and limit, everything else; not for what fires when
(`sim.faults.director`) nor for what a kind does.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sim.faults.kinds import accept, find
from sim.faults.parameters import FaultError, FaultValue
from sim.faults.support import who_can

S_MAX = 1e7
ML_MAX = 1e5
COUNT_MAX = 1_000_000
ENTRIES_MAX = 10_000
FILE_BYTES_MAX = 1_000_000
NL_PER_ML = 1_000_000

TRIGGERS = ("at_s", "in", "after_ml", "nth_command", "when", "probability")
_BESIDE: Mapping[str, tuple[str, ...]] = {"in": ("after_s",), "nth_command": ("command",)}
"""What may stand beside a trigger."""
_DURATIONS = ("for_s", "for_commands")
_REPEATS = ("repeat", "every_s")


class ScriptError(ValueError):
    """The file is no fault script."""


@dataclass(frozen=True, slots=True)
class AtTime:
    """So many seconds after the start."""

    at_s: float


@dataclass(frozen=True, slots=True)
class InState:
    """So long after the visit has entered a state, the first time."""

    state: str
    after_s: float


@dataclass(frozen=True, slots=True)
class AfterVolume:
    """When so much was truly delivered."""

    nl: int


@dataclass(frozen=True, slots=True)
class NthCommand:
    """Before the pump obeys the n-th command; ``command`` empty: of any name."""

    n: int
    command: str


@dataclass(frozen=True, slots=True)
class When:
    """When a signal of the world goes beyond a value."""

    signal: str
    above: float | None
    below: float | None

    def holds(self, value: float) -> bool:
        """Whether it is beyond."""
        if self.above is not None:
            return value > self.above
        return self.below is not None and value < self.below


@dataclass(frozen=True, slots=True)
class Perhaps:
    """With this probability before each command."""

    probability: float


Trigger = AtTime | InState | AfterVolume | NthCommand | When | Perhaps


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault of a script.  ``for_s`` and ``for_commands`` are ``None`` for one that stays."""

    number: int
    kind: str
    parameters: Mapping[str, FaultValue]
    trigger: Trigger
    for_s: float | None = None
    for_commands: int | None = None
    repeat: int = 0
    every_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Possible:
    """What the run at hand can do: kinds of fault, states to wait for, signals to watch.

    ``where`` names the run in a refusal, as in "a new-era pump by itself".
    """

    where: str
    kinds: Collection[str]
    states: Collection[str] = field(default=())
    signals: Collection[str] = field(default=())


def read_script(path: Path, possible: Possible) -> list[Entry]:
    """The entries of a file, all of them possible.  Raises `ScriptError`."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ScriptError(f"{path}: larger than {FILE_BYTES_MAX} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    return parse_script(text, str(path), possible)


def parse_script(text: str, file: str, possible: Possible) -> list[Entry]:
    """The entries in this text, all of them possible.  Raises `ScriptError`."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"{file}: not a TOML file: {error}") from error
    tables = data.pop("fault", [])
    if data:
        raise ScriptError(f"{file}: unknown key {next(iter(data))!r}; there is [[fault]]")
    if not isinstance(tables, list) or len(tables) > ENTRIES_MAX:
        raise ScriptError(f"{file}: fault must be [[fault]] tables, at most {ENTRIES_MAX}")
    return [
        _Reader(f"{file}: fault {number}", number, table).entry(possible)
        for number, table in enumerate(tables, start=1)
    ]


class _Reader:
    """One ``[[fault]]`` table."""

    def __init__(self, where: str, number: int, table: object) -> None:
        if not isinstance(table, dict):
            raise ScriptError(f"{where}: must be a table")
        self.where = where
        self.number = number
        self.table: dict[str, object] = dict(table)

    def entry(self, possible: Possible) -> Entry:
        """Every key is taken once; what is left over belongs to the kind."""
        kind = self._kind(possible)
        trigger = self._trigger(kind, possible)
        durations = [key for key in _DURATIONS if key in self.table]
        if len(durations) > 1:
            raise ScriptError(f"{self.where}: for_s and for_commands; one of the two")
        for_s = self._number("for_s", 0.0, S_MAX) if "for_s" in self.table else None
        for_commands = self._whole("for_commands", 1) if self._counts(kind) else None
        if not find(kind).lasting and (for_s is not None or for_commands is not None):
            raise ScriptError(f"{self.where}: {kind} is over at once; no {durations[0]}")
        repeat, every_s = 0, 0.0
        if "repeat" in self.table or "every_s" in self.table:
            if not all(key in self.table for key in _REPEATS):
                raise ScriptError(f"{self.where}: repeat and every_s belong together")
            repeat, every_s = self._whole("repeat", 1), self._number("every_s", 0.001, S_MAX)
        return Entry(
            self.number, kind, self._rest(kind), trigger, for_s, for_commands, repeat, every_s
        )

    def _counts(self, kind: str) -> bool:
        """Whether ``for_commands`` is a duration here, and no parameter of the kind."""
        return "for_commands" in self.table and "for_commands" not in find(kind).parameters

    def _kind(self, possible: Possible) -> str:
        kind = self._text("kind")
        try:
            find(kind)
        except FaultError as error:
            raise ScriptError(f"{self.where}: kind = {error}") from error
        if kind not in possible.kinds:
            raise ScriptError(
                f"{self.where}: kind = {kind!r} cannot be done to {possible.where}, "
                f"{who_can(kind)}; it can do "
                f"{', '.join(possible.kinds)}"
            )
        return kind

    def _trigger(self, kind: str, possible: Possible) -> Trigger:
        kind_takes = find(kind).parameters
        found = [key for key in TRIGGERS if key in self.table and key not in kind_takes]
        if len(found) != 1:
            problem = "none" if not found else " and ".join(found)
            raise ScriptError(
                f"{self.where}: exactly one trigger is needed, there is {problem}; "
                f"it is one of {', '.join(TRIGGERS)}"
            )
        match found[0]:
            case "at_s":
                return AtTime(self._number("at_s", 0.0, S_MAX))
            case "in":
                return self._in_state(possible)
            case "after_ml":
                return AfterVolume(round(self._number("after_ml", 0.0, ML_MAX) * NL_PER_ML))
            case "nth_command":
                command = self._text("command") if "command" in self.table else ""
                return NthCommand(self._whole("nth_command", 1), command)
            case "when":
                return self._when(possible)
            case _:
                return Perhaps(self._number("probability", 0.0, 1.0))

    def _in_state(self, possible: Possible) -> InState:
        state = self._text("in")
        after_s = self._number("after_s", 0.0, S_MAX) if "after_s" in self.table else 0.0
        if state not in possible.states:
            there = ", ".join(possible.states) or f"none in {possible.where}"
            raise ScriptError(f"{self.where}: in = {state!r}: no such state; there are {there}")
        return InState(state, after_s)

    def _when(self, possible: Possible) -> When:
        condition = self.table.pop("when")
        inner = _Reader(f"{self.where}: when", self.number, condition)
        signal = inner._text("signal")
        sides = [key for key in ("above", "below") if key in inner.table]
        if len(sides) != 1:
            raise ScriptError(f"{inner.where}: exactly one of above and below is needed")
        value = inner._number(sides[0], -1e9, 1e9)
        if inner.table:
            raise ScriptError(f"{inner.where}: unknown key {next(iter(inner.table))!r}")
        if signal not in possible.signals:
            there = ", ".join(possible.signals) or f"none in {possible.where}"
            raise ScriptError(f"{inner.where}: signal = {signal!r}: there are {there}")
        return When(
            signal,
            value if sides[0] == "above" else None,
            value if sides[0] == "below" else None,
        )

    def _rest(self, kind: str) -> dict[str, FaultValue]:
        """The parameters of the kind."""
        given: dict[str, FaultValue] = {}
        for key, value in self.table.items():
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                raise ScriptError(f"{self.where}: {key} = {value!r} is no number and no text")
            given[key] = value
        try:
            return accept(kind, given)
        except FaultError as error:
            raise ScriptError(f"{self.where}: {error}") from error

    # --- keys -------------------------------------------------------------------------------------

    def _text(self, key: str) -> str:
        value = self.table.pop(key, None)
        if not isinstance(value, str) or not value:
            raise ScriptError(f"{self.where}: {key} = {value!r} must be a text")
        return value

    def _number(self, key: str, low: float, high: float) -> float:
        value = self.table.pop(key)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not isinstance(value, int | float) or not number or not low <= value <= high:
            raise ScriptError(f"{self.where}: {key} = {value!r} must be in {low:g}..{high:g}")
        return float(value)

    def _whole(self, key: str, low: int) -> int:
        value = self.table.pop(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= COUNT_MAX:
            raise ScriptError(
                f"{self.where}: {key} = {value!r} must be a whole number in {low}..{COUNT_MAX}"
            )
        return value
