"""The person at the terminal: reads answers, refuses wrong ones kindly, and never assumes one.

A question with numbers is asked number by number.  Numbers follow the strict grammar of an infusion
pump's keypad: digits with at most two decimals behind a point; no comma, sign or exponent, since each
of those has been misread before.  Not answerable for drawing (`controller.cli.screen`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from controller.procedure.questions import Answer, Question, answer_to
from firmware_bridge.clock import speed_of

if TYPE_CHECKING:
    from controller.runner import Runner

NUMBER = re.compile(r"(0|[1-9][0-9]{0,4})(\.[0-9]{1,2})?", re.ASCII)
STOP_WORDS = frozenset({"stop", "estop", "!"})
ACK_WORD = "ack"
"""Says that every alarm in sight has been seen; it answers no question."""
NOTHING_ASKED = (
    "nothing is asked now; 'stop' is an emergency stop, 'ack' says that the alarms are seen"
)
YES_NO = ("no", "yes")
STANDING_KINDS = frozenset({"supervise"})
"""Questions that stand beside another one and need never be answered."""
COMPUTED_KINDS = frozenset({"confirm", "infusion_dose"})
"""Questions that Enter alone may answer: what it stands for was computed here and is on the screen.
What is a fact of the ward (a checklist, a score, a drug given by hand, an escort) must be typed."""
INTERVENTIONS = ("hold", "anxiety", "toxicity", "abort")
"""Exact words that answer a standing question at once, whatever else is being asked or confirmed."""

INPUT_ENDED = (
    "the input has ended: nobody answers from here on, and questions end as unanswered ones do; "
    "Ctrl-C is still an emergency stop"
)
GRACE_S = 0.5
"""Wall seconds for which a question must have been in sight before Enter, or a line, can answer it."""
PATIENCE_LINES = 1000


class PromptOperator:
    """Takes whole lines; which question a line answers is the newest one that must be answered.

    At a terminal, a line that was begun for another question, or comes in the instant of a change,
    answers nothing: a confirmation must never be given unseen.  From a pipe, lines wait for their
    questions instead, one each.
    """

    name = "operator at the terminal"

    def __init__(self, say: Callable[[str], None] = lambda _text: None) -> None:
        """``say`` shows one line of kind words to the person."""
        self._say = say
        self._runner: Runner | None = None
        self._open: dict[int, Question] = {}
        self._choice = ""
        self._values: dict[str, float] = {}
        self._for_id = 0
        self._interactive = True
        self._answered = 0
        self._intervened = 0
        self._begun_for: int | None = None
        self._seen: tuple[int, float] = (0, 0.0)
        self._lines: deque[str] = deque(maxlen=PATIENCE_LINES)
        self._end_unsaid = False

    def speak_through(self, say: Callable[[str], None]) -> None:
        """Show kind words to the person this way from now on."""
        self._say = say

    def attach(self, runner: Runner, *, interactive: bool = True) -> None:
        """Whom a typed stop reaches, from now on: also while nothing has been asked yet.

        ``interactive``: a person types; otherwise the lines come from a pipe.
        """
        self._runner = runner
        self._interactive = interactive

    def ask(self, question: Question, runner: Runner) -> None:
        self._runner = runner
        self._open[question.id] = question
        self._note_change()

    def refused(self, question: Question, why: str, runner: Runner) -> None:
        if question.id == self._for_id:
            self._start_over()
        self._answered = self._intervened = 0
        self._say(f"not taken: {why}")
        self._feed()

    def closed(self, question_id: int) -> None:
        self._open.pop(question_id, None)
        self._note_change()

    def close(self) -> Sequence[str]:
        self._open.clear()
        return ()

    def typing(self, text: str) -> None:
        """What stands half typed; the first key of a line binds it to the question then in sight."""
        if not text:
            self._begun_for = None
        elif self._begun_for is None:
            self._begun_for = self.current.id if self.current else 0

    def ended(self) -> None:
        """No more lines will come.  What has been written into a pipe still waits for its questions."""
        self._end_unsaid = True
        self._feed()

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
            return NOTHING_ASKED
        return f"{self._wanted_for(question)}{self._at_any_time(question)}"

    def line(self, text: str) -> None:
        """The person has typed a line."""
        word = text.strip().lower()
        runner = self._runner
        if runner is None:
            return
        if word in STOP_WORDS:
            self._lines.clear()
            runner.stop_now(self.name)
        elif word == ACK_WORD:
            self._begun_for = None
            runner.acknowledge(self.name)
        elif (standing := self._standing(word)) is not None:
            self._intervene(standing, word)
        elif self._interactive:
            self._typed(word)
        else:
            self._lines.append(word)
            self._feed()

    def _typed(self, word: str) -> None:
        """A person pressed Enter."""
        question, begun_for = self.current, self._begun_for
        self._begun_for = None
        if question is None:
            if word:
                self._say(NOTHING_ASKED)
        elif question.id == self._answered:
            self._say("one moment: the last answer is being taken")
        elif begun_for not in (None, question.id) or not self._in_sight(question):
            self._say("the question changed while you answered; please look and answer again")
        else:
            self._take(question, word)

    def _intervene(self, standing: Question, word: str) -> None:
        """Somebody steps in: that waits neither for a question to be read nor for lines of a pipe."""
        self._begun_for = None
        if self._runner is not None and standing.id != self._intervened:
            self._intervened = standing.id
            self._start_over()
            by = standing.answered_by(self.name)
            self._runner.answer(standing.id, answer_to(standing, word), by)

    # --- which question -------------------------------------------------------------------------------

    def _note_change(self) -> None:
        runner, question = self._runner, self.current
        question_id = question.id if question else 0
        if runner is not None and question_id != self._seen[0]:
            self._seen = (question_id, runner.loop.time())
        self._feed()

    def _standing(self, word: str) -> Question | None:
        """The open question beside all others that this very word answers."""
        self._forget_closed()
        if word not in INTERVENTIONS:
            return None
        standing = (q for q in self._open.values() if q.kind in STANDING_KINDS)
        return next((q for q in standing if word in q.choices), None)

    def _at_any_time(self, question: Question) -> str:
        """The words that step in while ``question`` hides the one that they answer."""
        if question.kind in STANDING_KINDS:
            return ""
        words = [word for word in INTERVENTIONS if self._standing(word) is not None]
        if not words:
            return ""
        first = ", ".join(words[:-1])
        return f"; {f'{first} or ' if first else ''}{words[-1]} at any time"

    def _in_sight(self, question: Question) -> bool:
        """Whether the question has stood long enough to have been read by whoever pressed Enter."""
        runner = self._runner
        if runner is None or self._seen[0] != question.id:
            return False
        return runner.loop.time() - self._seen[1] >= GRACE_S * speed_of(runner.loop)

    def _feed(self) -> None:
        """Give the lines of a pipe to their questions, one after the other."""
        self._feed_lines()
        if self._end_unsaid and not self._lines and self._waits_for_a_line():
            self._end_unsaid = False
            self._say(INPUT_ENDED)

    def _waits_for_a_line(self) -> bool:
        question = self.current
        if question is None or question.kind in STANDING_KINDS:
            return False
        return question.id != self._answered

    def _feed_lines(self) -> None:
        while self._lines:
            if (standing := self._standing(self._lines[0])) is not None:
                self._intervene(standing, self._lines.popleft())
                continue
            question = self.current
            if question is None or question.id == self._answered:
                return
            if question.kind in STANDING_KINDS and self._lines[0] not in question.choices:
                return  # it is meant for a question still to come
            self._take(question, self._lines.popleft())

    # --- one question ---------------------------------------------------------------------------------

    def _take(self, question: Question, word: str) -> None:
        if self._choice and word in question.choices:
            self._start_over()  # another choice after all, while its number was being asked for
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
            self._answered = question.id
            if self._runner is not None:
                self._runner.answer(question.id, answer, question.answered_by(self.name))

    def _take_choice(self, question: Question, word: str) -> bool:
        proposed = _proposal(question)
        if not word and proposed and proposed.choice:
            self._choice = proposed.choice
            return True
        found = [choice for choice in question.choices if word and choice.startswith(word)]
        if word in found or question.kind in STANDING_KINDS:  # a slip of one key must end nothing
            found = [choice for choice in found if choice == word]
        if len(found) != 1:
            which = (
                f"{word!r} may be {' or '.join(found)}" if found else f"{word!r} is none of them"
            )
            said = which if word else "Enter alone is no answer here"
            self._say(f"{said}; please type one of: {', '.join(question.choices)}")
            return False
        self._choice = found[0]
        return True

    def _take_value(self, question: Question, name: str, word: str) -> bool:
        value, proposed = question.values[name], _proposal(question)
        if not word and proposed and name in proposed.values:
            self._values[name] = proposed.values[name]
            return True
        if not word:
            self._say(f"Enter alone is no answer here; please type {_asked(question, name)}")
            return False
        if value.is_yes_or_no:  # elsewhere a "yes" would be read as a 1
            word = {"yes": "1", "y": "1", "no": "0", "n": "0"}.get(word, word)
            if word not in ("0", "1"):
                self._say(f"{word!r} is neither yes nor no; please type {_asked(question, name)}")
                return False
        if not NUMBER.fullmatch(word):
            self._say(f"{word!r} is not a number; digits with at most two decimals, as in 7.5")
            return False
        number = float(word)
        if not value.min <= number <= value.max:
            self._say(f"{name} = {word} is outside {value.min:g} to {value.max:g} {value.unit}")
            return False
        self._values[name] = number
        return True

    def _wanted_for(self, question: Question) -> str:
        name = self._missing(question)
        if name is not None:
            return _asked(question, name)
        proposed = _proposal(question)
        hint = f" [Enter: {proposed.choice}]" if proposed and proposed.choice else ""
        return f"{' / '.join(question.choices)}{hint}"

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
    """What Enter stands for: nothing beyond a soft limit, and no fact that only a person can know."""
    if question.soft or question.kind not in COMPUTED_KINDS:
        return None
    return question.proposed


def _asked(question: Question, name: str) -> str:
    """The number that is asked for, with its limits and what Enter stands for."""
    value, proposed = question.values[name], _proposal(question)
    given = proposed.values.get(name) if proposed else None
    if value.is_yes_or_no:
        return f"{name} (yes / no){'' if given is None else f' [Enter: {YES_NO[bool(given)]}]'}"
    limits = f"({value.min:g} to {value.max:g} {value.unit})"
    return f"{name} {limits}{'' if given is None else f' [Enter: {given:g}]'}"
