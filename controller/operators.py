"""The operator who answers the questions of a visit from a script.

An operator script is a TOML file of ``[[answer]]`` tables, used in order, one per question of their
state.  What the script does not mention gets "yes, as proposed" where that is harmless (checklist,
scores, confirmations within soft limits, the rescue drug, discharge), no sign of toxicity, and no
answer, or "refuse", where it is not (response, holding, anything beyond a soft limit).  Pure: says what would be answered
and after how many seconds; whoever owns the clock waits.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from math import isfinite
from pathlib import Path

from controller.procedure.questions import Answer, Question, answer_to
from controller.procedure.table import WATCHED, State

RESPONSES = ("anxiety", "analgesia", "dissociation", "nothing")
INTERVENTIONS = ("hold", "estop", "anxiety", "toxicity", "abort")
HELD = ("resume", "recover", "anxiety", "toxicity", "abort")
HANDED_OVER = ("abort",)
RESCUES = ("given", "declined", "enough")
RESCUE_AMOUNTS = ("midazolam_mg", "lipid_ml")
NO_SIGN = "none"
SIGNS_IN = (WATCHED - {State.OBSERVING}) | {State.HOLDING, State.RECOVERING}

THINKING_S = 1.0
"""How long a scripted operator takes for an answer that has no time in the script."""

HAND_OVER_S = 3_600.0
"""How long after the alarm for a long recovery a script hands over what it says nothing about."""

OBSERVED_S = 600.0
"""When a scripted response without ``after_s`` is given: the usual minimum of observation."""

_KEYS = (
    "in",
    "after_s",
    "response",
    "dose_mg",
    "action",
    "signs",
    *RESCUE_AMOUNTS,
    "accept_soft",
)


class ScriptError(ValueError):
    """The operator script is not usable; the sentence names file, key, value and what is allowed."""

    def __init__(self, file: str, key: str, value: object, limit: str) -> None:
        shown = " ".join(str(value).split())
        super().__init__(f"{file}: {key} = {shown}: {limit}" if key else f"{file}: {limit}")
        self.file = file
        self.key = key
        self.value = value
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Entry:
    """One ``[[answer]]`` of a script; ``after_s`` counts from entering the state."""

    number: int
    state: State
    after_s: float | None = None
    response: str = ""
    dose_mg: float | None = None
    action: str = ""
    midazolam_mg: float | None = None
    lipid_ml: float | None = None
    signs: str = ""
    accept_soft: bool = False

    @property
    def amounts(self) -> dict[str, float]:
        """The rescue drug, by the name it is asked for with."""
        named = {"midazolam_mg": self.midazolam_mg, "lipid_ml": self.lipid_ml}
        return {name: amount for name, amount in named.items() if amount is not None}

    def __str__(self) -> str:
        said = self.response or self.action or self.signs or "accept_soft"
        return f"answer {self.number} (in {self.state.value}: {said})"


class ScriptedOperator:
    """Answers from a script; remembers which entries it has used."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self._left = list(entries)
        self._soft_left = [entry for entry in entries if entry.accept_soft]
        self._given: dict[int, Entry] = {}

    def answer(
        self, question: Question, now: float, entered_at: float
    ) -> tuple[float, Answer] | None:
        """The answer the script, or the rule for what it leaves out, gives to this question."""
        match question.kind:
            case "checklist":
                return THINKING_S, answer_to(question, "yes")
            case "confirm":
                return self._confirm(question)
            case "response":
                return self._response(question, now, entered_at)
            case "supervise" if question.state is State.RECOVERING:
                handed_over = HAND_OVER_S, answer_to(question, *HANDED_OVER)
                return self._action(question, now, entered_at) or handed_over
            case "supervise" | "holding":
                return self._action(question, now, entered_at)
            case "signs":
                return self._signs(question, now, entered_at)
            case "rescue_drug":
                return self._action(question, now, entered_at) or _proposed(question)
            case _:
                return _proposed(question)

    def withdrawn(self, question_id: int) -> None:
        """The question closed before its answer was given: the entry is unused again."""
        entry = self._given.pop(question_id, None)
        if entry is not None:
            self._left.append(entry)
            self._left.sort(key=lambda e: e.number)

    def unused(self) -> tuple[str, ...]:
        """A sentence for every entry that was never used."""
        left = {e.number: e for e in self._left if e.response or e.action or e.signs}
        left |= {e.number: e for e in self._soft_left if not (e.response or e.action)}
        return tuple(f"{left[number]} was never used" for number in sorted(left))

    def _confirm(self, question: Question) -> tuple[float, Answer]:
        if not question.soft:
            return THINKING_S, answer_to(question, "confirm")
        # The test bolus is confirmed at the end of baseline, so that the state delivers at once.
        states = {question.state}
        if question.state is State.BASELINE:
            states.add(State.TEST_BOLUS)
        for entry in self._soft_left:
            if entry.state in states:
                self._soft_left.remove(entry)
                return THINKING_S, answer_to(question, "confirm")
        return THINKING_S, answer_to(question, "refuse")

    def _response(
        self, question: Question, now: float, entered_at: float
    ) -> tuple[float, Answer] | None:
        for entry in self._left:
            if entry.state is question.state and entry.response:
                values = {} if entry.dose_mg is None else {"dose_mg": entry.dose_mg}
                delay = _delay(entry, OBSERVED_S, now, entered_at)
                return self._give(
                    entry, question, delay, answer_to(question, entry.response, values)
                )
        return None

    def _action(
        self, question: Question, now: float, entered_at: float
    ) -> tuple[float, Answer] | None:
        for entry in self._left:
            if entry.state is question.state and entry.action in question.choices:
                delay = _delay(entry, THINKING_S, now, entered_at)
                said = answer_to(question, entry.action, entry.amounts)
                return self._give(entry, question, delay, said)
        return None

    def _signs(self, question: Question, now: float, entered_at: float) -> tuple[float, Answer]:
        """The sign that the script has by now in this state; a script that says nothing saw none."""
        for entry in self._left:
            due = entered_at + (entry.after_s or 0.0) <= now + THINKING_S
            if entry.state is question.state and entry.signs in question.choices and due:
                return self._give(entry, question, THINKING_S, answer_to(question, entry.signs))
        return THINKING_S, answer_to(question, NO_SIGN)

    def _give(
        self, entry: Entry, question: Question, delay: float, answer: Answer
    ) -> tuple[float, Answer]:
        self._left.remove(entry)
        self._given[question.id] = entry
        return delay, answer


def _delay(entry: Entry, default_s: float, now: float, entered_at: float) -> float:
    after_s = default_s if entry.after_s is None else entry.after_s
    return max(0.0, entered_at + after_s - now)


def _proposed(question: Question) -> tuple[float, Answer] | None:
    return None if question.proposed is None else (THINKING_S, question.proposed)


# --- loading --------------------------------------------------------------------------------------


def shipped_scripts() -> tuple[str, ...]:
    """The names of the operator scripts that come with the product, sorted."""
    folder = files("controller") / "data" / "operators"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir()))


def load_script(script: str) -> ScriptedOperator:
    """The operator of a shipped script (a name) or of a file.  Raises `ScriptError`."""
    if "/" in script or "\\" in script or script.endswith(".toml"):
        try:
            raw = Path(script).read_bytes()
        except OSError as error:
            raise ScriptError(script, "", "", f"cannot be read: {error.strerror}") from error
    elif script in shipped_scripts():
        raw = (files("controller") / "data" / "operators" / f"{script}.toml").read_bytes()
    else:
        names = ", ".join(shipped_scripts())
        raise ScriptError(script, "", "", f"no such operator script; shipped are: {names}")
    return parse_script(raw, script)


def parse_script(raw: bytes, file: str) -> ScriptedOperator:
    """The operator in these bytes; raises only `ScriptError`."""
    try:
        data = tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ScriptError(file, "", "", f"not a TOML file: {error}") from error
    for key, value in data.items():
        if key != "answer":
            raise ScriptError(file, key, value, "unknown key; known is: [[answer]]")
    answers = data.get("answer", [])
    if not isinstance(answers, list):
        raise ScriptError(file, "answer", answers, "must be a list of tables, [[answer]]")
    return ScriptedOperator(tuple(_entry(file, n, a) for n, a in enumerate(answers, start=1)))


def _entry(file: str, number: int, table: object) -> Entry:
    name = f"answer {number}"
    if not isinstance(table, dict):
        raise ScriptError(file, name, table, "must be a table")
    for key, value in table.items():
        if key not in _KEYS:
            near = [known for known in _KEYS if known.startswith(f"{key}_")]
            hint = f"unit missing, write {near[0]}" if near else f"known are: {', '.join(_KEYS)}"
            raise ScriptError(file, f"{name}: {key}", value, hint)
    entry = Entry(
        number=number,
        state=State(_choice(file, name, table, "in", tuple(s.value for s in State))),
        after_s=_amount(file, name, table, "after_s", 86_400.0, "s"),
        response=_choice(file, name, table, "response", RESPONSES) if "response" in table else "",
        dose_mg=_amount(file, name, table, "dose_mg", 1_000.0, "mg"),
        action=_choice(file, name, table, "action", _actions(table)) if "action" in table else "",
        midazolam_mg=_amount(file, name, table, "midazolam_mg", 100.0, "mg"),
        lipid_ml=_amount(file, name, table, "lipid_ml", 2_000.0, "mL"),
        signs=_sign(file, name, table),
        accept_soft=_flag(file, name, table, "accept_soft"),
    )
    _check(file, name, entry)
    return entry


def _actions(table: dict[str, object]) -> tuple[str, ...]:
    state = table.get("in")
    if state == State.HOLDING.value:
        return HELD
    if state == State.RESCUE.value:
        return RESCUES
    if state == State.RECOVERING.value:
        return HANDED_OVER
    return INTERVENTIONS if state in {s.value for s in WATCHED} else ()


def _check(file: str, name: str, entry: Entry) -> None:
    """What belongs together in one answer, and what does not."""
    if entry.response and entry.state is not State.OBSERVING:
        raise ScriptError(file, f"{name}: response", entry.response, "only in = observing")
    if entry.response and entry.action:
        raise ScriptError(file, f"{name}: action", entry.action, "not together with a response")
    if entry.response == "nothing" and entry.dose_mg is None:
        raise ScriptError(file, f"{name}: dose_mg", "(missing)", "is required with nothing")
    if entry.dose_mg is not None and entry.response != "nothing":
        raise ScriptError(file, f"{name}: dose_mg", entry.dose_mg, "only with response = nothing")
    if entry.action == "given" and len(entry.amounts) != 1:
        limit = "is required with given (or lipid_ml), and only one of them"
        raise ScriptError(file, f"{name}: midazolam_mg", "(missing)", limit)
    if entry.amounts and entry.action != "given":
        key, amount = next(iter(entry.amounts.items()))
        raise ScriptError(file, f"{name}: {key}", amount, "only with given")
    if entry.signs and (entry.response or entry.action):
        raise ScriptError(file, f"{name}: signs", entry.signs, "alone in its answer")
    if not (entry.response or entry.action or entry.signs or entry.accept_soft):
        limit = "needs a response, an action, signs or accept_soft"
        raise ScriptError(file, name, entry.state.value, limit)


def _sign(file: str, name: str, table: dict[str, object]) -> str:
    """A word of the drug library; whether the drug has such a sign shows when it is asked for."""
    if "signs" not in table:
        return ""
    value = table["signs"]
    if not isinstance(value, str) or not value.isidentifier():
        raise ScriptError(file, f"{name}: signs", value, "must be the word of a sign, or none")
    if table.get("in") not in {state.value for state in SIGNS_IN}:
        raise ScriptError(file, f"{name}: signs", value, "not in this state")
    return value


def _choice(
    file: str, name: str, table: dict[str, object], key: str, allowed: tuple[str, ...]
) -> str:
    value = table.get(key, "(missing)")
    if not isinstance(value, str) or value not in allowed:
        limit = f"must be one of: {', '.join(allowed)}" if allowed else "not in this state"
        raise ScriptError(file, f"{name}: {key}", value, limit)
    return value


def _amount(
    file: str, name: str, table: dict[str, object], key: str, most: float, unit: str
) -> float | None:
    if key not in table:
        return None
    value = table[key]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not isfinite(float(str(value))) or not 0 <= float(str(value)) <= most:
        raise ScriptError(file, f"{name}: {key}", value, f"must be 0 to {most:g} {unit}")
    return float(str(value))


def _flag(file: str, name: str, table: dict[str, object], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise ScriptError(file, f"{name}: {key}", value, "must be true or false")
    return value
