"""The person at the terminal: what a typed line is taken for, and what it is never taken for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cli.prompt import INPUT_ENDED, NOTHING_ASKED, NUMBER, PromptOperator
from controller.procedure.questions import Answer, Question, Value, why_not
from controller.procedure.table import State

if TYPE_CHECKING:
    from controller.runner import Runner

CONFIRM = Question(
    id=1,
    state=State.TITRATING,
    kind="confirm",
    text="7.5 mg?",
    choices=("confirm", "refuse"),
    proposed=Answer("confirm"),
    token="7500 ug",
)
BEYOND_SOFT = Question(
    id=2,
    state=State.TITRATING,
    kind="confirm",
    text="15 mg?",
    choices=("confirm", "refuse"),
    proposed=Answer("confirm"),
    soft=("15 mg is more than 10 mg",),
)
RESPONSE = Question(
    id=3,
    state=State.OBSERVING,
    kind="response",
    text="What do you see?",
    choices=("anxiety", "analgesia", "dissociation", "nothing"),
    values={"dose_mg": Value("mg", 1, 10, ("nothing",))},
)
DOSE = Question(
    id=4,
    state=State.INFUSING,
    kind="infusion_dose",
    text="Infusion dose?",
    values={"dose_mg": Value("mg", 0.01, 60)},
    proposed=Answer("", {"dose_mg": 26.666}),
)
DISCHARGE = Question(
    id=5,
    state=State.RECOVERING,
    kind="discharge",
    text="Discharge?",
    choices=("discharge", "not_yet"),
    values={
        "escort_present": Value("1 = yes, 0 = no", 0, 1, ("discharge",)),
        "instructions_given": Value("1 = yes, 0 = no", 0, 1, ("discharge",)),
    },
)
SUPERVISE = Question(
    id=6,
    state=State.INFUSING,
    kind="supervise",
    text="hold, stop or go on",
    choices=("hold", "estop", "anxiety", "abort"),
)


@dataclass
class Clock:
    """A loop's clock, moved by hand."""

    now: float = 0.0

    def time(self) -> float:
        return self.now


@dataclass
class Visit:
    """The little of a runner that a prompt touches."""

    loop: Clock = field(default_factory=Clock)
    questions: dict[int, Question] = field(default_factory=dict)
    answers: list[tuple[int, Answer]] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    by: list[str] = field(default_factory=list)

    def acknowledge(self, by: str, alarm_id: str = "") -> None:
        del alarm_id
        self.seen.append(by)

    def answer(self, question_id: int, answer: Answer, by: str) -> None:
        self.by.append(by)
        self.answers.append((question_id, answer))

    def stop_now(self, by: str) -> None:
        self.stops.append(by)


class Terminal:
    """A prompt, the visit it belongs to, and what it said to the person."""

    def __init__(self, *questions: Question) -> None:
        self.said: list[str] = []
        self.visit = Visit()
        self.prompt = PromptOperator(self.said.append)
        self.prompt.attach(self.runner)
        for question in questions:
            self.ask(question)

    @property
    def runner(self) -> Runner:
        return cast("Runner", self.visit)

    def ask(self, question: Question, *, read: bool = True) -> None:
        """The question is asked; ``read``: the person has had the time to read it."""
        self.visit.questions[question.id] = question
        self.prompt.ask(question, self.runner)
        if read:
            self.visit.loop.now += 1.0

    def type(self, *lines: str) -> list[Answer]:
        for line in lines:
            self.prompt.line(line)
        return [answer for _, answer in self.visit.answers]


# --- choices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["confirm", "CONFIRM", "  confirm ", "conf", "c"])
def test_a_choice_may_be_typed_short_and_in_any_case(line: str) -> None:
    assert Terminal(CONFIRM).type(line) == [Answer("confirm", {}, CONFIRM.token)]


def test_a_choice_that_begins_like_another_must_be_long_enough_to_tell() -> None:
    terminal = Terminal(RESPONSE)
    assert terminal.type("an") == []
    assert len(terminal.said) == 1
    assert terminal.said[0].startswith("'an' may be anxiety or analgesia; please type one of: ")
    assert terminal.type("anx") == [Answer("anxiety")]


def test_a_word_that_is_no_choice_is_refused_with_the_choices() -> None:
    terminal = Terminal(CONFIRM)
    assert terminal.type("yes") == []
    assert terminal.said == ["'yes' is none of them; please type one of: confirm, refuse"]


def test_a_whole_choice_wins_over_a_longer_one_that_begins_with_it() -> None:
    question = Question(7, State.RECOVERING, "checklist", "?", choices=("no", "not_yet"))
    assert Terminal(question).type("no") == [Answer("no")]


def test_enter_gives_the_answer_that_is_proposed() -> None:
    terminal = Terminal(CONFIRM)
    assert terminal.prompt.wanted == "confirm / refuse [Enter: confirm]"
    assert terminal.type("") == [Answer("confirm", {}, CONFIRM.token)]


def test_enter_never_goes_beyond_a_soft_limit() -> None:
    terminal = Terminal(BEYOND_SOFT)
    assert "Enter" not in terminal.prompt.wanted
    assert terminal.type("", "  ") == []
    assert len(terminal.said) == 2
    assert terminal.type("confirm") == [Answer("confirm")]


def test_enter_takes_no_number_beyond_a_soft_limit() -> None:
    beyond = Question(
        8,
        State.INFUSING,
        "infusion_dose",
        "?",
        values=DOSE.values,
        proposed=DOSE.proposed,
        soft=("",),
    )
    terminal = Terminal(beyond)
    assert "Enter" not in terminal.prompt.wanted
    assert terminal.type("") == []


def test_enter_is_no_answer_where_nothing_is_proposed() -> None:
    terminal = Terminal(RESPONSE)
    assert terminal.prompt.wanted == "anxiety / analgesia / dissociation / nothing"
    assert terminal.type("") == []


# --- numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "dose_mg"), [("7.5", 7.5), ("7", 7.0), ("0.25", 0.25), ("10.00", 10.0), (" 8 ", 8.0)]
)
def test_a_number_has_digits_and_at_most_two_decimals(line: str, dose_mg: float) -> None:
    assert Terminal(DOSE).type(line) == [Answer("", {"dose_mg": dose_mg})]


WRONG = [
    "7,5",
    "1e1",
    "+7",
    "-7",
    "\N{ARABIC-INDIC DIGIT SEVEN}",
    "5.",
    ".5",
    "07",
    "7.125",
    "1_0",
    "nan",
    "inf",
    "0x7",
    "7 5",
    "7mg",
    "123456",
]


@pytest.mark.parametrize("line", WRONG)
def test_any_other_number_is_refused_kindly_and_the_question_stands(line: str) -> None:
    terminal = Terminal(DOSE)
    assert terminal.type(line) == []
    assert terminal.said == [
        f"{line.lower()!r} is not a number; digits with at most two decimals, as in 7.5"
    ]
    assert terminal.type("7.5") == [Answer("", {"dose_mg": 7.5})]


@given(st.text())
def test_what_the_grammar_takes_is_plain_ascii_and_a_number(text: str) -> None:
    if NUMBER.fullmatch(text):
        assert text.isascii()
        assert 0 <= float(text) < 100_000


@pytest.mark.parametrize("line", ["0", "60.01", "61"])
def test_a_number_outside_its_limits_is_refused_with_value_and_limit(line: str) -> None:
    terminal = Terminal(DOSE)
    assert terminal.type(line) == []
    assert terminal.said == [f"dose_mg = {line} is outside 0.01 to 60 mg"]


@pytest.mark.parametrize("line", ["0.01", "60"])
def test_both_limits_themselves_are_allowed(line: str) -> None:
    assert Terminal(DOSE).type(line) == [Answer("", {"dose_mg": float(line)})]


def test_enter_gives_the_number_that_is_proposed_exactly() -> None:
    terminal = Terminal(DOSE)
    assert terminal.prompt.wanted == "dose_mg (0.01 to 60 mg) [Enter: 26.666]"
    assert terminal.type("") == [Answer("", {"dose_mg": 26.666})]


@pytest.mark.parametrize("line", ["yes", "y", "no", "n"])
def test_a_yes_is_never_taken_for_one_milligram(line: str) -> None:
    terminal = Terminal(DOSE)
    assert terminal.type(line) == []
    assert "is not a number" in terminal.said[0]


@pytest.mark.parametrize(
    "kind", ["checklist", "baseline_scores", "rescue_drug", "recovery_scores", "discharge"]
)
def test_enter_never_stands_for_what_only_a_person_can_have_seen(kind: str) -> None:
    walks = {"walking_ok": Value("", 0, 1)}
    scores = Question(9, State.RECOVERING, kind, "?", (), walks, Answer("", {"walking_ok": 1.0}))
    words = replace(scores, choices=("yes", "no"), values={}, proposed=Answer("yes"))
    for asked, wanted in ((scores, "walking_ok (yes / no)"), (words, "yes / no")):
        terminal = Terminal(asked)
        assert terminal.prompt.wanted == wanted
        assert terminal.type("", "  ") == []
        assert terminal.said[0].startswith("Enter alone is no answer here; please type ")
        assert len(terminal.type("yes")) == 1


def test_neither_yes_nor_no_is_refused_as_that() -> None:
    walks = {"walking_ok": Value("", 0, 1)}
    terminal = Terminal(Question(9, State.RECOVERING, "recovery_scores", "?", values=walks))
    assert terminal.type("0.5", "maybe") == []
    assert terminal.said[1] == "'maybe' is neither yes nor no; please type walking_ok (yes / no)"


def test_an_answer_is_recorded_with_the_role_it_was_asked_of() -> None:
    item = Question(9, State.PREPARING, "checklist", "?", ("yes", "no"), role="nurse")
    terminal = Terminal(item)
    terminal.type("yes")
    assert terminal.visit.by == ["nurse, operator at the terminal"]


# --- the end of the input -------------------------------------------------------------------------------


def piped(*questions: Question) -> Terminal:
    terminal = Terminal()
    terminal.prompt.attach(terminal.runner, interactive=False)
    for question in questions:
        terminal.ask(question)
    return terminal


def test_the_end_of_the_input_is_said_once_and_nothing_is_assumed() -> None:
    terminal = piped(CONFIRM)
    terminal.prompt.ended()
    assert terminal.said == [INPUT_ENDED]
    terminal.ask(RESPONSE)
    assert terminal.said == [INPUT_ENDED]
    assert terminal.visit.answers == []


def test_lines_that_wait_are_used_up_before_the_end_is_said() -> None:
    terminal = piped()
    terminal.type("confirm")
    terminal.prompt.ended()
    assert terminal.said == []
    terminal.ask(CONFIRM)
    assert [answer.choice for _, answer in terminal.visit.answers] == ["confirm"]
    assert terminal.said == []
    terminal.ask(SUPERVISE)  # needs no answer
    del terminal.visit.questions[CONFIRM.id]
    terminal.prompt.closed(CONFIRM.id)
    assert terminal.said == []
    terminal.ask(RESPONSE)
    terminal.ask(DOSE)
    assert terminal.said == [INPUT_ENDED]


def test_a_choice_asks_for_the_numbers_it_needs_and_no_others() -> None:
    terminal = Terminal(RESPONSE)
    assert terminal.type("nothing") == []
    assert terminal.said == [terminal.prompt.wanted] == ["dose_mg (1 to 10 mg)"]
    assert terminal.type("7.5") == [Answer("nothing", {"dose_mg": 7.5})]
    assert Terminal(RESPONSE).type("dissociation") == [Answer("dissociation")]


def test_numbers_are_asked_for_one_by_one_and_yes_may_be_said_to_yes_or_no() -> None:
    terminal = Terminal(DISCHARGE)
    assert terminal.type("discharge", "yes") == []
    assert terminal.prompt.wanted == "instructions_given (yes / no)"
    assert terminal.type("n") == [
        Answer("discharge", {"escort_present": 1.0, "instructions_given": 0.0})
    ]
    assert Terminal(DISCHARGE).type("not") == [Answer("not_yet")]


# --- which question -----------------------------------------------------------------------------------


def test_a_line_answers_the_newest_question_and_not_the_one_that_stands_beside_it() -> None:
    terminal = Terminal(RESPONSE, SUPERVISE)
    assert terminal.prompt.current is RESPONSE
    assert terminal.type("dissociation") == [Answer("dissociation")]
    assert terminal.visit.answers[0][0] == RESPONSE.id


def test_the_standing_question_is_answered_when_it_is_the_only_one() -> None:
    assert Terminal(SUPERVISE).type("hold") == [Answer("hold")]


def test_a_number_that_was_begun_is_forgotten_when_another_question_comes() -> None:
    terminal = Terminal(RESPONSE)
    terminal.type("nothing")
    terminal.ask(CONFIRM)
    assert terminal.type("7.5") == []
    del terminal.visit.questions[CONFIRM.id]
    assert terminal.prompt.wanted.startswith("anxiety /")


def test_a_refused_answer_begins_again_and_says_why() -> None:
    terminal = Terminal(RESPONSE)
    terminal.type("nothing")
    terminal.prompt.refused(RESPONSE, "it is too early", terminal.runner)
    assert terminal.said[-1] == "not taken: it is too early"
    assert terminal.prompt.wanted.startswith("anxiety /")


def test_what_becomes_of_one_question_does_not_disturb_another() -> None:
    terminal = Terminal(SUPERVISE, RESPONSE)
    terminal.type("nothing")
    terminal.prompt.refused(SUPERVISE, "the pump stands already", terminal.runner)
    assert terminal.prompt.wanted.startswith("dose_mg")


def test_a_question_that_was_withdrawn_is_not_answered() -> None:
    terminal = Terminal(CONFIRM)
    terminal.visit.questions.clear()
    assert terminal.type("confirm") == []
    assert terminal.said == [NOTHING_ASKED]
    assert terminal.prompt.wanted == terminal.said[0]
    assert terminal.type("") == []
    assert len(terminal.said) == 1


def test_after_closing_nothing_is_asked() -> None:
    terminal = Terminal(CONFIRM)
    terminal.prompt.close()
    assert terminal.type("confirm") == []


# --- stepping in --------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["hold", "anxiety", "ABORT"])
@pytest.mark.parametrize("question", [CONFIRM, BEYOND_SOFT, RESPONSE, DOSE])
def test_a_person_can_hold_or_abort_whatever_else_is_asked(word: str, question: Question) -> None:
    terminal = Terminal(SUPERVISE)
    terminal.ask(question, read=False)  # nor need it have been read
    assert terminal.type(word) == [Answer(word.lower())]
    assert terminal.visit.answers[0][0] == SUPERVISE.id


def test_a_person_can_step_in_while_a_number_is_asked_for() -> None:
    terminal = Terminal(SUPERVISE, RESPONSE)
    assert terminal.type("nothing", "hold") == [Answer("hold")]
    assert terminal.visit.answers[0][0] == SUPERVISE.id


def test_a_line_begun_for_another_question_can_still_step_in() -> None:
    terminal = Terminal(SUPERVISE, RESPONSE)
    terminal.prompt.typing("h")
    terminal.ask(CONFIRM)
    assert terminal.type("hold") == [Answer("hold")]


def test_stepping_in_twice_is_stepping_in_once_until_it_was_not_taken() -> None:
    terminal = Terminal(SUPERVISE, RESPONSE)
    assert terminal.type("hold", "hold") == [Answer("hold")]
    terminal.prompt.refused(SUPERVISE, "the pump stands already", terminal.runner)
    assert len(terminal.type("hold")) == 2


def test_only_the_whole_word_steps_in() -> None:
    terminal = Terminal(SUPERVISE, CONFIRM)
    assert terminal.type("hol", "ab") == []
    assert Terminal(SUPERVISE).type("hol", "ab", "") == []


def test_where_nothing_stands_beside_it_such_a_word_answers_the_question() -> None:
    terminal = Terminal(RESPONSE)
    assert terminal.type("anxiety") == [Answer("anxiety")]
    assert Terminal(CONFIRM).type("hold") == []


def test_the_prompt_says_how_to_step_in_where_another_question_hides_it() -> None:
    terminal = Terminal(SUPERVISE, DOSE)
    assert terminal.prompt.wanted.endswith("; hold, anxiety or abort at any time")
    assert "at any time" not in Terminal(DOSE).prompt.wanted
    assert "at any time" not in Terminal(SUPERVISE).prompt.wanted


def test_another_choice_while_a_number_is_asked_for_starts_over() -> None:
    terminal = Terminal(RESPONSE)
    assert terminal.type("nothing", "dissociation") == [Answer("dissociation")]
    terminal = Terminal(DISCHARGE)
    assert terminal.type("discharge", "yes", "not_yet") == [Answer("not_yet")]


def test_a_line_of_a_pipe_steps_in_before_lines_that_wait() -> None:
    terminal = Terminal()
    terminal.prompt.attach(terminal.runner, interactive=False)
    terminal.ask(SUPERVISE, read=False)
    assert terminal.type("confirm", "hold") == [Answer("hold")]
    del terminal.visit.questions[SUPERVISE.id]
    terminal.prompt.closed(SUPERVISE.id)
    assert terminal.type("abort") == [Answer("hold")]  # waits, as there is nothing to abort
    terminal.ask(CONFIRM, read=False)
    terminal.ask(replace(SUPERVISE, id=60), read=False)
    assert [answer.choice for _, answer in terminal.visit.answers] == ["hold", "confirm", "abort"]


# --- stop ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["stop", "STOP", " estop ", "!"])
@pytest.mark.parametrize("questions", [(), (SUPERVISE,), (RESPONSE, SUPERVISE), (DOSE,)])
def test_a_stop_is_a_stop_whatever_is_asked(line: str, questions: tuple[Question, ...]) -> None:
    terminal = Terminal(*questions)
    assert terminal.type(line) == []
    assert terminal.visit.stops == ["operator at the terminal"]


def test_a_stop_in_the_middle_of_an_answer_is_a_stop() -> None:
    terminal = Terminal(RESPONSE)
    assert terminal.type("nothing", "stop") == []
    assert len(terminal.visit.stops) == 1


def test_before_there_is_a_visit_nothing_happens() -> None:
    prompt = PromptOperator()
    prompt.line("stop")
    prompt.line("confirm")
    assert prompt.current is None


def test_kind_words_go_where_they_are_wanted() -> None:
    terminal, elsewhere = Terminal(CONFIRM), list[str]()
    terminal.prompt.speak_through(elsewhere.append)
    terminal.type("perhaps")
    assert (len(elsewhere), terminal.said) == (1, [])


@given(
    st.lists(st.text(max_size=12) | st.sampled_from(["nothing", "c", "", "7.5", "y"]), max_size=8)
)
def test_whatever_is_typed_only_proper_answers_come_out(lines: list[str]) -> None:
    for question in (CONFIRM, BEYOND_SOFT, RESPONSE, DOSE, DISCHARGE, SUPERVISE):
        answers = Terminal(question).type(*lines)
        assert [why_not(question, answer) for answer in answers] == [None] * len(answers)


# --- a question that changes under one's fingers -------------------------------------------------------


def test_enter_in_the_instant_of_a_change_answers_nothing() -> None:
    terminal = Terminal(RESPONSE)
    terminal.ask(CONFIRM, read=False)
    assert terminal.type("") == []
    assert "changed" in terminal.said[-1]
    terminal.visit.loop.now += 1.0
    assert [answer.choice for answer in terminal.type("confirm")] == ["confirm"]


def test_a_line_begun_for_one_question_does_not_answer_the_next() -> None:
    terminal = Terminal(RESPONSE)
    terminal.prompt.typing("c")
    terminal.ask(CONFIRM)
    assert terminal.type("confirm") == []
    assert "changed" in terminal.said[-1]


def test_a_second_enter_does_not_answer_a_question_twice() -> None:
    terminal = Terminal(CONFIRM)
    assert len(terminal.type("confirm", "confirm")) == 1


def test_lines_of_a_pipe_wait_for_their_questions() -> None:
    terminal = Terminal()
    terminal.prompt.attach(terminal.runner, interactive=False)
    assert terminal.type("dissociation", "confirm") == []
    terminal.ask(SUPERVISE, read=False)  # stands beside others; takes no word meant for them
    terminal.ask(RESPONSE, read=False)
    assert [answer.choice for _, answer in terminal.visit.answers] == ["dissociation"]
    del terminal.visit.questions[RESPONSE.id]
    terminal.prompt.closed(RESPONSE.id)
    terminal.ask(CONFIRM, read=False)
    assert [answer.choice for _, answer in terminal.visit.answers] == ["dissociation", "confirm"]


def test_ack_says_that_the_alarms_are_seen_and_answers_no_question() -> None:
    terminal = Terminal(CONFIRM)
    assert terminal.type("ACK") == []
    assert terminal.visit.seen == [terminal.prompt.name]
    assert terminal.prompt.current is CONFIRM
    assert terminal.said == []


def test_alarms_can_be_acknowledged_while_nothing_is_asked() -> None:
    terminal = Terminal()
    terminal.type("ack")
    assert terminal.visit.seen
