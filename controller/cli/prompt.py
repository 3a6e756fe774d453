"""The person at the terminal: reads answers, refuses wrong ones kindly, and never assumes one.

A question with numbers is asked number by number.  Numbers follow the strict grammar of an infusion
pump's keypad: digits with at most two decimals behind a point; no comma, sign or exponent, since each
of those has been misread before.  Not answerable for drawing (`controller.cli.screen`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from controller.procedure.questions import Answer, Question, Value, answer_to

if TYPE_CHECKING:
    from controller.runner import Runner

NUMBER = re.compile(r"(0|[1-9][0-9]{0,4})(\.[0-9]{1,2})?", re.ASCII)
STOP_WORDS = frozenset({"stop", "estop", "!"})
YES_NO = ("no", "yes")
STANDING_KINDS = frozenset({"supervise"})
"""Questions that stand beside another one and need never be answered."""


class PromptOperator:
    """Takes whole lines; which question a line answers is the newest one that must be answered."""

    name = "operator at the terminal"

    def __init__(self, say: Callable[[str], None] = lambda _text: None) -> None:
        """``say`` shows one line of kind words to the person."""
        self._say = say
        self._runner: Runner | None = None
        self._open: dict[int, Question] = {}
        self._choice = ""
        self._values: dict[str, float] = {}
        self._for_id = 0

    def speak_through(self, say: Callable[[str], None]) -> None:
        """Show kind words to the person this way from now on."""
        self._say = say

    def attach(self, runner: Runner) -> None:
        """Whom a typed stop reaches, from now on: also while nothing has been asked yet."""
        self._runner = runner

    def ask(self, question: Question, runner: Runner) -> None:
        self.attach(runner)
        self._open[question.id] = question

    def refused(self, question: Question, why: str, runner: Runner) -> None:
        if question.id == self._for_id:
            self._start_over()
        self._say(f"not taken: {why}")

    def closed(self, question_id: int) -> None:
        self._open.pop(question_id, None)

    def close(self) -> Sequence[str]:
        self._open.clear()
        return ()

    @property
    def current(self) -> Question | None:
        """The question that the next line answers."""
        self._forget_closed()
        asked = list(self._open.values())
        urgent = [q for q in asked if q.kind not in STANDING_KINDS]
        candidates = urgent or asked
        return candidates[-1] if candidates else None

    @property
    def wanted(self) -> str:
        """What the next line should be, with unit and limits, for the prompt."""
        question = self.current
        if question is None:
            return "nothing is asked now; 'stop' is an emergency stop"
        name = self._missing(question)
        if name is not None:
            return _asked(question, name)
        proposed = _proposal(question)
        hint = f" [Enter: {proposed.choice}]" if proposed and proposed.choice else ""
        return f"{' / '.join(question.choices)}{hint}"

    def line(self, text: str) -> None:
        """The person has typed a line."""
        word = text.strip().lower()
        runner = self._runner
        if runner is None:
            return
        if word in STOP_WORDS:
            runner.stop_now(self.name)
            return
        question = self.current
        if question is None:
            if word:
                self._say("nothing is asked now; 'stop' is an emergency stop")
            return
        self._take(question, word)

    # --- one question ---------------------------------------------------------------------------------

    def _take(self, question: Question, word: str) -> None:
        name = self._missing(question)
        taken = (
            self._take_choice(question, word)
            if name is None
            else self._take_value(question, name, word)
        )
        if not taken:
            return
        if self._missing(question) is not None:
            self._say(self.wanted)
        elif self._choice or not question.choices:
            answer = answer_to(question, self._choice, self._values)
            self._start_over()
            if self._runner is not None:
                self._runner.answer(question.id, answer, self.name)

    def _take_choice(self, question: Question, word: str) -> bool:
        proposed = _proposal(question)
        if not word and proposed and proposed.choice:
            self._choice = proposed.choice
            return True
        found = [choice for choice in question.choices if word and choice.startswith(word)]
        if word in found:
            found = [word]
        if len(found) != 1:
            which = f"may be {' or '.join(found)}" if found else "is none of them"
            self._say(f"{word!r} {which}; please type one of: {', '.join(question.choices)}")
            return False
        self._choice = found[0]
        return True

    def _take_value(self, question: Question, name: str, word: str) -> bool:
        value, proposed = question.values[name], _proposal(question)
        if not word and proposed and name in proposed.values:
            self._values[name] = proposed.values[name]
            return True
        if _is_yes_or_no(value):  # elsewhere a "yes" would be read as a 1
            word = {"yes": "1", "y": "1", "no": "0", "n": "0"}.get(word, word)
        if not NUMBER.fullmatch(word):
            self._say(f"{word!r} is not a number; digits with at most two decimals, as in 7.5")
            return False
        number = float(word)
        if not value.min <= number <= value.max:
            self._say(f"{name} = {word} is outside {value.min:g} to {value.max:g} {value.unit}")
            return False
        self._values[name] = number
        return True

    def _missing(self, question: Question) -> str | None:
        """The number to ask for next, once the choice (if there is one) is known."""
        if question.id != self._for_id:
            self._start_over()
            self._for_id = question.id
        if question.choices and not self._choice:
            return None
        for name, value in question.values.items():
            needed = not value.needed_for or self._choice in value.needed_for
            if needed and name not in self._values:
                return name
        return None

    def _start_over(self) -> None:
        self._choice = ""
        self._values = {}
        self._for_id = 0

    def _forget_closed(self) -> None:
        if self._runner is not None:
            still = self._runner.questions
            self._open = {i: q for i, q in self._open.items() if i in still}


def _proposal(question: Question) -> Answer | None:
    """What Enter stands for: nothing where saying yes would go beyond a soft limit."""
    return None if question.soft else question.proposed


def _asked(question: Question, name: str) -> str:
    """The number that is asked for, with its limits and what Enter stands for."""
    value, proposed = question.values[name], _proposal(question)
    given = proposed.values.get(name) if proposed else None
    if _is_yes_or_no(value):
        return f"{name} (yes / no){'' if given is None else f' [Enter: {YES_NO[bool(given)]}]'}"
    limits = f"({value.min:g} to {value.max:g} {value.unit})"
    return f"{name} {limits}{'' if given is None else f' [Enter: {given:g}]'}"


def _is_yes_or_no(value: Value) -> bool:
    return (value.min, value.max) == (0, 1)
